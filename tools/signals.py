"""How a command ends before its time: at once, wherever it is, without a traceback and without leaving half a file.

A handler that ends the process, and no exception: that could be caught on its way, or get lost in a destructor. This is
the first module of a command to be loaded, and needs no other: what is loaded before it can't be interrupted so.
"""

from __future__ import annotations

import atexit
import os
import sys

TYPE_CHECKING = False

if TYPE_CHECKING:
    import signal as signals
    from collections.abc import Callable
    from typing import Any
else:
    import _signal as signals  # `signal` itself makes enumerations first, which takes as long as to read a short text

CLEAN_UPS: list[Callable[[], None]] = []
"""What is done before the process ends by a signal, besides removing files that are not finished. None may fail."""

INTERRUPTED = 130
"""The exit status after Ctrl-C, as shells have it."""

ENDING = [getattr(signals, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signals, name)]
"""Signals by which the process ends, as their sender expects, but for the cleaning up."""


def catch_signals(command: str) -> None:
    """From here on, Ctrl-C is one line and exit status 130, and what is not finished goes with the process.

    What the caller has had ignored (`nohup`, a job in the background) is ignored still.
    """

    def end(number: int, frame: Any) -> None:
        if Held.depth:
            Held.waiting.append(lambda: end(number, frame))
            return
        for clean_up in (_remove_unfinished, *CLEAN_UPS):
            clean_up()
        if number == signals.SIGINT:
            _say(f"{command}: interrupted\n")
            os._exit(INTERRUPTED)
        signals.signal(number, signals.SIG_DFL)
        os.kill(os.getpid(), number)

    if signals.getsignal(signals.SIGINT) is signals.default_int_handler:
        signals.signal(signals.SIGINT, end)
    for number in ENDING:
        if signals.getsignal(number) == signals.SIG_DFL:
            signals.signal(number, end)


def _remove_unfinished() -> None:
    writing = sys.modules.get("tilewright.ir.atomic_write")  # loaded when a file is first written
    if writing is not None and hasattr(writing, "remove_unfinished"):  # it may be in the middle of being loaded
        writing.remove_unfinished()


def _say(text: str) -> None:
    try:
        os.write(2, text.encode())
    except OSError:
        return  # nobody is there to read it


class Held:
    """Within it, in the main thread, signals wait.

    They are blocked, and what comes all the same waits in its handler: another thread (NumPy's, say) may not have it
    blocked, and handlers run in the main thread.
    """

    depth = 0
    waiting: list[Callable[[], None]] = []  # noqa: RUF012

    def __enter__(self) -> None:
        Held.depth += 1
        if hasattr(signals, "pthread_sigmask"):
            self.before = signals.pthread_sigmask(signals.SIG_BLOCK, [signals.SIGINT, *ENDING])

    def __exit__(self, *error: object) -> None:
        if hasattr(signals, "pthread_sigmask"):
            signals.pthread_sigmask(signals.SIG_SETMASK, self.before)
        Held.depth -= 1
        while not Held.depth and Held.waiting:
            Held.waiting.pop(0)()


def open_missing_streams() -> None:
    """Where a standard stream is closed, its number is given to the null device: the next file that is opened would
    have it, and get what is meant for the stream. `sys.stdin` and the others stay None."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free


def leave(status: int) -> None:
    """Ends the process without taking apart what it holds: that takes time, and Ctrl-C would find nobody to handle it.
    Functions that packages have registered for the end (`atexit`) are called."""
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            continue
    os._exit(status)
