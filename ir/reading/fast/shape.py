"""A statement shape, ready for use: made by `shape_compiler.py`, or read from the cache."""

from __future__ import annotations

from collections.abc import Callable
from types import CodeType, FunctionType

from ...light_typing import TYPE_CHECKING, Any
from ...opdef import Reading, all_dialects
from .memos import Memos, Tok
from .regexes import unpack

if TYPE_CHECKING:
    import re

MEMO = "M_"


class Shape:
    """A compiled statement: its pattern, which ends right before the next one, and what to do with a match.

    Every match begins with `prefix`, which may be empty, and a token of type `first`; nothing comes next that would go
    on with the statement. `closed` says that nothing could that begins a statement, or ends a region. `generic` tells
    the generic form; `reference` is the terminal of all values in it, if it is a dialect's, `token` its pattern,
    `reading` its reading.
    """

    __slots__ = ("closed", "first", "generic", "pattern", "prefix", "reading", "reference", "run", "token")

    def __init__(self, data: tuple[Any, ...], actions: Any, memos: Memos, patterns: dict[str, str]):
        _, self.prefix, _, self.first, pattern, code, self.closed, self.generic, reference = data
        self.pattern: re.Pattern[str] = unpack(pattern)
        self.run: Callable[[re.Match[str], int], None] = _function(code, actions, memos)
        self.reading: Reading | None = None
        self.reference = ""
        self.token = ""
        for dialect in all_dialects():
            if reference in dialect.references:
                self.reference, self.token = reference, patterns[reference]
                self.reading = dialect.references[reference]


def _function(code: CodeType, actions: Any, memos: Memos) -> Callable[[Any, int], None]:
    """The code as a function, with the memos that it looks into."""
    for name in code.co_names:
        if name.startswith(MEMO):
            memos.table(name.removeprefix(MEMO))
    return FunctionType(code, {"A": actions, "tok": Tok.at, **memos.tables})
