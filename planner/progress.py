"""What a long pass is at, in words, for a command that wants to show it. Nobody listens otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Listener = Callable[[str], None]

_listeners: list[Listener] = []


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Tells a listener what passes do within the context."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def tell(text: str) -> None:
    """Says what is being done, such as `plan: blocks, product 3 of 14`."""
    for listener in _listeners:
        listener(text)
