"""What a statement shape makes of a match, as plain data, and the function that is written from it.

A construction is a text (itself), a number (that group's text), or a list of a word and what belongs to it:

    ["call", action, *parts]   what an action gives
    ["read", kind, part]       the reading of a text, remembered (`Memos.table`)
    ["token", part, group]     a text with its place: that of a group, or for 0 that of the statement
    ["place", group]           such a place
    ["list", *parts]  ["tuple", *parts]  ["dict", key, value, ...]  ["unit"]

So what comes from the cache can say which actions are called on which parts of a text, and no more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ...light_typing import Any
from .memos import Memos, NotRead, Tok

Node = Any
"""A construction."""


def function_of(construction: Node, groups: int, actions: Any, memos: Memos) -> Callable[[Any, int], None]:
    """The function `run(match, at)` that takes a match of so many groups to the actions. Raises `NotRead` for what is
    no construction."""
    code = _Writer(groups, actions, memos).source(construction)
    names = "".join(f"g{i}, " for i in range(1, groups + 1))
    unpack = f"    {names}= m.groups()\n" if groups else ""
    scope: dict[str, Any] = {"A": actions, "tok": Tok.at, **memos.tables}
    exec(f"def run(m, at):\n{unpack}    {code}\n", scope)  # no `compile`: its first call takes a millisecond
    return scope["run"]


class _Writer:
    """Writes constructions as Python source."""

    def __init__(self, groups: int, actions: Any, memos: Memos):
        self.groups = groups
        self.actions = actions
        self.memos = memos

    def source(self, node: Node) -> str:
        match node:
            case str():
                return repr(node)
            case int():
                return f"g{self.group(node)}"
            case ["call", str(action), *parts]:
                return f"A.{self.action(action)}({self.all(parts)})"
            case ["read", str(kind), part]:
                return f"{self.memos.table(self.action(kind))}[{self.source(part)}]"
            case ["token", part, int(group)]:
                return f"tok({self.source(part)}, {self.place(group)})"
            case ["place", int(group)]:
                return self.place(group)
            case ["list", *parts]:
                return f"[{self.all(parts)}]"
            case ["tuple", *parts]:
                return f"({self.all(parts)}{',' if parts else ''})"
            case ["dict", *parts] if len(parts) % 2 == 0:
                pairs = zip(map(self.source, parts[::2]), map(self.source, parts[1::2]), strict=True)
                return "{" + ", ".join([f"{key}: {value}" for key, value in pairs]) + "}"
            case ["unit"]:
                return self.memos.unit
            case _:
                raise NotRead("no construction")

    def all(self, parts: Iterable[Node]) -> str:
        return ", ".join(map(self.source, parts))

    def place(self, group: int) -> str:
        return f"m.start({self.group(group)})" if group else "at"

    def group(self, number: int) -> int:
        if not 0 < number <= self.groups:
            raise NotRead("no group")
        return int(number)

    def action(self, name: str) -> str:
        """A name, if it is one: of an action, or of a kind of readings."""
        if not name.isidentifier() or name.startswith("_"):
            raise NotRead("no action")
        return name
