"""Heads of functions that have been read before, but for their names: put together from what was made of them then.

A text of many functions has few kinds of heads. What stands before the name and what comes after it, up to the brace of
the body, is looked up as a text; a new `Header` is made of what the tables read from the same text.
"""

from __future__ import annotations

import re
from functools import cache

from ...attributes import Attributes
from ...core import Value
from ...light_typing import NamedTuple
from ...types import Type
from ..parts import Args, FuncResults, Header

MOST_HEADS = 10_000
"""Most heads that are kept."""

LONGEST = 10_000
"""Longest head that is kept, in characters."""

Key = tuple[str, str]
"""What stands before a function's name, and what comes after it up to the brace of its body."""


class _Argument(NamedTuple):
    """An argument: where it stands, from the end of the function's name on."""

    type: Type
    name: str
    at: int
    attrs: Attributes


class Known(NamedTuple):
    """What was made of a head."""

    visibility: str
    arguments: tuple[_Argument, ...]
    results: FuncResults
    attrs: Attributes

    def header(self, at: int, name: str, behind: int) -> Header:
        """The same head at an offset, with another name, which ends at `behind`."""
        header = Header(at)
        header.name, header.named_at = name, behind - len(name) - 1
        header.visibility, header.results, header.attrs = self.visibility, self.results, self.attrs
        header.args = Args([(Value(a.type, a.name, loc=behind + a.at), a.attrs) for a in self.arguments])
        return header


class Heads(dict[Key, Known]):
    """Heads by their texts. One that ends with a brace is the whole head wherever it stands: nothing that could come
    next in the line would make another token of that brace.

    The first head is not learned: most texts have but one function, and would make the expression in vain.
    """

    def __init__(self) -> None:
        super().__init__()
        self.first = True

    def find(self, text: str, at: int) -> tuple[Header, int] | None:
        """The head of the function at an offset, and where the brace of its body stands; None for one not known."""
        named = _named().match(text, at) if self and text.startswith("func.func", at) else None
        if named is None:
            return None
        behind = named.end()
        line_end = text.find("\n", behind, behind + LONGEST)
        brace = text.rfind("{", behind, line_end if line_end >= 0 else behind + LONGEST)
        known = self.get((named.group(1), text[behind : brace + 1]))
        return (known.header(at, named.group(2), behind), brace) if known is not None else None

    def learn(self, text: str, brace: int, header: Header) -> None:
        """Takes note of a head that the tables have read, up to its brace."""
        if self.first:
            self.first = False
            return
        named = _named().match(text, header.loc)
        if named is None or brace - header.loc > LONGEST or len(self) >= MOST_HEADS:
            return
        behind = named.end()
        arguments = tuple([_Argument(v.type, v.name, v.loc - behind, attrs) for v, attrs in header.args])
        found = Known(header.visibility, arguments, header.results, header.attrs)
        self[named.group(1), text[behind : brace + 1]] = found


@cache
def _named() -> re.Pattern[str]:
    """The start of a head, up to the arguments; with groups for what stands before the name, and for the name."""
    return re.compile(r"func\.func((?:[ \t]+(?:public|private|nested))?[ \t]+)@([A-Za-z_][A-Za-z0-9_$.]*)(?=[ \t]*\()")
