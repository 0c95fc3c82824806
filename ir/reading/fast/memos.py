"""Readings of short texts, each made once: types, attributes, lists of integers."""

from __future__ import annotations

from collections.abc import Callable

from ...light_typing import Any


class Tok(str):
    """A token's text with its place, as the actions see it."""

    __slots__ = ("start_pos", "type")
    start_pos: int
    type: str

    @classmethod
    def at(cls, text: str, at: int, type: str = "") -> Tok:
        token = cls(text)
        token.start_pos = at
        token.type = type
        return token

    @property
    def end_pos(self) -> int:
        return self.start_pos + len(self)


class NotRead(Exception):
    """A text, or a statement, that Lark alone must read."""


class Memo(dict[str, Any]):
    """Readings by text; what is not there is read, once."""

    def __init__(self, read: Callable[[str], Any], size: int):
        super().__init__()
        self.read = read
        self.size = size

    def __missing__(self, text: str) -> Any:
        if len(self) >= self.size:
            self.clear()
        value = self[text] = self.read(text)
        return value


class Memos:
    """A memo for each kind of reading, under the name that shapes know it by."""

    unit = "UNIT"

    def __init__(self, actions: Any, size: int, unit: Any, parse: Callable[[str, str], Any]):
        """`parse` reads a text that is a grammar's start symbol as a whole."""
        self.actions = actions
        self.size = size
        self.parse = parse
        self.tables: dict[str, Any] = {"UNIT": unit}

    def table(self, kind: str) -> str:
        """The name of a memo: of an action that reads one token, of whole function types, of lists of integers."""
        name = f"M_{kind}"
        if name not in self.tables:
            self.tables[name] = Memo(self._reading(kind), self.size)
        return name

    def _reading(self, kind: str) -> Callable[[str], Any]:
        if kind == "integers":
            return self._integers
        if kind == "function_type":
            return lambda text: self._whole(self.parse(text, kind), text)
        action = getattr(self.actions, kind)
        return lambda text: self._whole(action([Tok.at(text, 0)]), text)

    def _whole(self, value: Any, text: str) -> Any:
        """A reading that is without fault. Raises `NotRead` for any other: its error belongs to each place anew."""
        if self.actions.errors:
            raise NotRead(text)
        return value

    def _integers(self, text: str) -> tuple[int, ...]:
        table = self.tables[self.table("int_attr")]
        return tuple([table[part.strip()] for part in text[1:-1].split(",")])
