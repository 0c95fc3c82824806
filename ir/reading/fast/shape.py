"""A statement shape, ready for use: made by `shape_compiler.py`, or read from the cache."""

from __future__ import annotations

from collections.abc import Callable

from ...light_typing import TYPE_CHECKING, Any
from ...opdef import Reading, all_dialects
from .memos import Memos
from .regexes import unpack

if TYPE_CHECKING:
    import re


class Shape:
    """A compiled statement: its pattern, which ends right before the next one, and what to do with a match.

    Every match begins with `prefix`, which may be empty, and a token of type `first`; nothing comes next that would go
    on with the statement. `closed` says that nothing could that begins a statement, or ends a region. `generic` tells
    the generic form; `reference` is the terminal of all values in it, if it is a dialect's, `token` its pattern,
    `reading` its reading.
    """

    __slots__ = (
        *(
            "actions",
            "closed",
            "construction",
            "first",
            "generic",
            "memos",
            "pattern",
            "prefix",
            "reading",
            "reference",
        ),
        *("run", "token"),
    )

    def __init__(self, data: tuple[Any, ...], actions: Any, memos: Memos, patterns: dict[str, str]):
        _, self.prefix, _, self.first, pattern, self.construction, self.closed, self.generic, reference = data
        self.pattern: re.Pattern[str] = unpack(pattern)
        self.actions = actions
        self.memos = memos
        self.run: Callable[[re.Match[str], int], None] = self._run_first
        self.reading: Reading | None = None
        self.reference = ""
        self.token = ""
        for dialect in all_dialects():
            if reference in dialect.references:
                self.reference, self.token = reference, patterns[reference]
                self.reading = dialect.references[reference]

    def _run_first(self, match: re.Match[str], at: int) -> None:
        """Writes the function when it is first needed: most shapes that are tried at a place never match."""
        from .construction import function_of

        self.run = function_of(self.construction, self.pattern.groups, self.actions, self.memos)
        self.run(match, at)
