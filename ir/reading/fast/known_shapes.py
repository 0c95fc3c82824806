"""The statement shapes of a language as plain data: what one thread has made, all use, and later processes.

Nothing here belongs to a text or a thread. Threads need no lock: each change is one step of a list or dictionary, and
at worst a shape is made twice, or a statement is counted once too few.
"""

from __future__ import annotations

from collections.abc import Hashable

from ...light_typing import Any
from .. import cache

MOST_SHAPES = 400
MOST_STORED = 200
"""Shapes that the cache keeps: the newest."""

MOST_SEEN = 10_000
"""Kinds of statements that are counted before counting starts afresh."""

KEY = 8
"""Characters of a statement that choose the shapes to try."""

MAKERS = (
    *(f"fast/{name}.py" for name in ("shape_compiler", "shape_writer", "construction", "shape", "tables", "regexes")),
    *("fast/memos.py", "fast/lines.py", "fast/forms.py", "fast/first_chars.py", "actions.py", "attr_actions.py"),
)  # fmt: skip
"""The files that decide what a shape is."""

Packed = tuple[Any, ...]
"""A shape as plain data; `Shape` takes it."""


class KnownShapes:
    """`starting[text]` are the shapes to try where a statement starts so; these lists only grow."""

    def __init__(self, stamp: str):
        self.stamp = stamp + cache.makers(MAKERS)
        self.starting: dict[str, list[Packed]] = {}
        self.patterns: set[str] = set()
        self.all: list[Packed] = []
        self.seen: dict[int, int] = {}
        self.new = False
        self._load()

    def is_full(self) -> bool:
        return len(self.all) >= MOST_SHAPES

    def sighted(self, kind: Hashable) -> int:
        """Counts a statement of some kind: how often it has come up. Two kinds that share a hash count as one."""
        if len(self.seen) >= MOST_SEEN:
            self.seen.clear()
        key = hash(kind)
        count = self.seen[key] = self.seen.get(key, 0) + 1
        return count

    def add(self, data: Packed) -> None:
        """Takes a shape that was made here; `store` keeps it for others."""
        self.new = self._add(data) or self.new

    def _add(self, data: Packed) -> bool:
        pattern, prefix, start, *_ = data
        if pattern in self.patterns or self.is_full():
            return False
        self.patterns.add(pattern)
        self.all.append(data)
        self.starting.setdefault(prefix[:KEY] if len(prefix) >= KEY else start, []).append(data)
        return True

    def _load(self) -> None:
        for data in cache.load("shapes", self.stamp) or ():
            self._add(data)

    def store(self) -> None:
        """Keeps new shapes for later processes, with those that others have kept meanwhile."""
        if self.new:
            self.new = False
            self._load()
            cache.store("shapes", self.stamp, self.all[-MOST_STORED:])
