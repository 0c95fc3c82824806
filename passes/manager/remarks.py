"""What passes could not do and why, for a command that shows it. Nobody listens otherwise."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

from ...ir.diagnostics import Diagnostic

Listener = Callable[[Diagnostic], None]

_listeners: list[Listener] = []


@contextmanager
def remarked(listener: Listener) -> Generator[None]:
    """Hands the remarks that are made within the context to a listener."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def remark(message: str, loc: int) -> None:
    """Says what a pass could not do, such as `reorder: ...`, at an offset of the source."""
    for listener in _listeners:
        listener(Diagnostic(message, loc))
