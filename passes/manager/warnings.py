"""Warnings: what a pass finds odd in what it is given, and goes on with. Whoever runs passes may listen to them."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar

from ...ir.diagnostics import Diagnostic, DiagnosticWarning
from ...ir.source import Source

Listener = Callable[[Diagnostic], None]

_LISTENER: ContextVar[Listener | None] = ContextVar("listener", default=None)


def warn(diagnostic: Diagnostic) -> None:
    """Says what a user ought to know, at its place; the pass goes on."""
    listener = _LISTENER.get()
    if listener is not None:
        listener(diagnostic)


@contextmanager
def listening_to_warnings(listener: Listener) -> Generator[None]:
    """Tells a listener of the warnings within the context, and nobody else."""
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


@contextmanager
def python_warning(source: Source | None) -> Generator[None]:
    """Makes one `DiagnosticWarning` of the warnings within the context, for the caller of the function it is in."""
    found: list[Diagnostic] = []
    with listening_to_warnings(found.append):
        yield
    if found:
        import warnings

        warnings.warn(DiagnosticWarning(found, source), stacklevel=4)  # behind this function and `contextlib`
