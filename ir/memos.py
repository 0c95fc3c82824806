"""Readings of short texts, each made once: types, attributes, lists of integers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lark import Lark


class Tok(str):
    """A token's text with its place, as the actions see it."""

    __slots__ = ("start_pos",)
    start_pos: int


def tok(text: str, at: int) -> Tok:
    token = Tok(text)
    token.start_pos = at
    return token


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

    def __init__(self, actions: Any, lark: Lark, size: int, unit: Any):
        self.actions = actions
        self.size = size
        self.tables: dict[str, Any] = {"UNIT": unit}
        self._add("function_type", lambda text: lark.parse(text, start="function_type"))
        self._add("integers", self.integers)

    def _add(self, kind: str, read: Callable[[str], Any]) -> str:
        self.tables[f"M_{kind}"] = Memo(lambda text: self._whole(read, text), self.size)
        return f"M_{kind}"

    def _whole(self, read: Callable[[str], Any], text: str) -> Any:
        """A reading that is without fault. Raises `NotRead` for any other: its error belongs to each place anew."""
        value = read(text)
        if self.actions.errors:
            raise NotRead(text)
        return value

    def table(self, kind: str) -> str:
        """The memo of an action that reads a single token."""
        name = f"M_{kind}"
        if name not in self.tables:
            action = getattr(self.actions, kind)
            self._add(kind, lambda text: action([tok(text, 0)]))
        return name

    def integers(self, text: str) -> tuple[int, ...]:
        table = self.tables[self.table("int_attr")]
        return tuple([table[part.strip()] for part in text[1:-1].split(",")])
