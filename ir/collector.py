"""Doing without Python's cyclic garbage collector while many objects are made."""

from __future__ import annotations

import gc
import os
from _thread import RLock, get_ident  # `threading` takes longer to import than a short text to read
from collections.abc import Generator
from contextlib import contextmanager


class _Switch:
    """Off as long as any thread is inside: the first one in turns the collector off, the last one out on again."""

    def __init__(self) -> None:
        self.lock = RLock()
        self.inside: dict[int, int] = {}
        self.was_on = False

    def enter(self) -> None:
        with self.lock:
            if not self.inside:
                self.was_on = gc.isenabled()
                gc.disable()
            self.inside[get_ident()] = self.inside.get(get_ident(), 0) + 1

    def leave(self) -> None:
        with self.lock:
            self.inside[get_ident()] -= 1
            self._forget([thread for thread, times in self.inside.items() if not times])

    def _forget(self, threads: list[int]) -> None:
        for thread in threads:
            del self.inside[thread]
        if threads and not self.inside and self.was_on:
            gc.enable()

    def after_fork(self) -> None:
        """In the child: of all threads, only the one that forked goes on."""
        self.lock = RLock()
        self._forget([thread for thread in self.inside if thread != get_ident()])


_SWITCH = _Switch()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_SWITCH.after_fork)


@contextmanager
def collector_off() -> Generator[None, None, None]:
    """Within it no garbage is collected, in any thread: looking through all live objects again and again as they grow
    in number would take longer than making them."""
    _SWITCH.enter()
    try:
        yield
    finally:
        _SWITCH.leave()
