"""Texts of declared attributes, made once and found again by the attributes' values.

Python's dictionaries take `True` for 1, and -0.0 for 0.0. So a field prints what of its kind its value equals (1 for
`True` where an integer belongs: equal values, equal texts), and nothing with a float in it is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .attributes import UNIT, Attr, attr_text, key_text
from .fields import Field, Kind
from .light_typing import Any, TypeGuard
from .opdef import coordinates, integers

SIZE = 50_000
"""How many texts are kept before starting afresh."""

Made = tuple[Any, bool]
"""A text, or texts, and whether equal keys have the same one."""


class Texts(dict[Any, Any]):
    """Texts by key; `make` is asked for those that are not there."""

    def __init__(self, make: Callable[[Any], Made]):
        super().__init__()
        self.make = make

    def __missing__(self, key: Any) -> Any:
        text, keep = self.make(key)
        if keep:
            if len(self) >= SIZE:
                self.clear()
            self[key] = text
        return text


def declared(kind: Kind, value: Attr) -> Made:
    """The value of a kind that a value equals, if there is one, and whether equal values have the same one."""
    if kind(value):
        likely = (_with_leaves(value, leaf) for leaf in (int, bool))
        found = next((v for v in likely if v == value and not kind(v)), None)
        return (value, False) if found is None else (found, True)
    return value, _is_plain(value)


def _with_leaves(value: Attr, leaf: type[int]) -> Attr:
    if type(value) is tuple:
        return tuple([_with_leaves(v, leaf) for v in value])
    return leaf(value) if isinstance(value, int) or _is_whole(value) else value


def _is_whole(value: object) -> TypeGuard[float]:
    """Whether a value is a float that equals an integer."""
    return type(value) is float and value.is_integer()


def _is_plain(value: Attr) -> bool:
    if type(value) is tuple:
        return all(map(_is_plain, value))
    return type(value) in (int, str, bool) or value is None or value is UNIT


def entries(fields: Sequence[Field], values: Sequence[Attr]) -> tuple[list[str], bool]:
    """The entries of fields in an attribute dictionary, without those that are absent."""
    shown: list[str] = []
    keep = True
    for field, given in zip(fields, values, strict=True):
        keep = keep and (field.required or field.default is None)  # others are absent by identity, not by value
        if not field.required and given is field.default:
            continue
        value, plain = declared(field.kind, given)
        keep = keep and plain
        shown.append(key_text(field.name) if value is UNIT else f"{key_text(field.name)} = {attr_text(value)}")
    return shown, keep


def key_source(fields: Sequence[Field]) -> str:
    """The tuple of an operation's values as Python source: reading slots by name takes several times as long."""
    return "(" + "".join([f"op.{f.slot}, " for f in fields]) + ")"


def by_values(fields: Sequence[Field], make: Callable[[tuple[Attr, ...]], Made]) -> Callable[[Any], Any]:
    """A function of operations: what `make` makes of the values of some fields."""
    scope: dict[str, Any] = {"TEXTS": Texts(make), "MAKE": make}
    key = key_source(fields)
    source = f" try:\n  return TEXTS[{key}]\n except TypeError:  # a list or dictionary\n  return MAKE({key})[0]"
    exec(f"def found(op):\n{source}", scope)
    return scope["found"]


def of_kind(kind: Kind, text: Callable[[Attr], str] = attr_text) -> Texts:
    """Texts of the values of one kind."""

    def make(value: Attr) -> Made:
        found, keep = declared(kind, value)
        return text(found), keep

    return Texts(make)


def _coords_text(value: Attr) -> Made:
    if type(value) is not tuple or not value:
        return attr_text(value), False
    return f"[{', '.join([COORD[c] for c in value])}]", all(map(COORD.__contains__, value))


COORD = of_kind(integers)
"""The texts of tile coordinates: `[0, 1]` for (0, 1)."""
LISTS: dict[Kind, Texts] = {coordinates: Texts(_coords_text), integers: of_kind(integers)}
"""The texts of the kinds of fields that differ from one operation to the next: lists of numbers."""
