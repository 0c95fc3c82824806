"""A line on the terminal that says what a long run is at: written over again and again, and gone in the end."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from ..planner.progress import listening
from .signals import CLEAN_UPS

AFTER, BETWEEN = 2.0, 0.1
"""Seconds before the line appears, and between two versions of it."""

GONE = "\r\x1b[K"
"""Takes the line off the terminal."""

USUAL = 80
"""Columns of a terminal that doesn't say."""


class StatusLine:
    """Shows texts on a terminal. `clock` gives seconds."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic):
        self.stream = stream
        self.clock = clock
        self.due = clock() + AFTER
        self.shown = False

    def show(self, text: str) -> None:
        now = self.clock()
        if now < self.due:
            return
        self.due = now + BETWEEN
        self.shown = True
        self.stream.write(f"\r{text[: self.width() - 1]}\x1b[K")
        self.stream.flush()

    def width(self) -> int:
        try:
            return os.get_terminal_size(self.stream.fileno()).columns or USUAL
        except (OSError, ValueError):
            return USUAL

    def remove(self) -> None:
        if self.shown:
            self.stream.write(GONE)
            self.stream.flush()

    def wipe(self) -> None:
        """Like `remove`, but for a signal's handler, which may have stopped a write to the stream."""
        if self.shown:
            with suppress(OSError, ValueError):
                os.write(self.stream.fileno(), GONE.encode())


@contextmanager
def status_line() -> Iterator[None]:
    """Shows on standard error what is done within the context, if that is a terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield
        return
    line = StatusLine(sys.stderr)
    CLEAN_UPS.append(line.wipe)
    try:
        with listening(line.show):
            yield
    finally:
        line.remove()
        CLEAN_UPS.remove(line.wipe)
