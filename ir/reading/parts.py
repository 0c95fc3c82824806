"""What grammar rules give to the rules that they are parts of, where that is no value of the IR."""

from __future__ import annotations

from ..attributes import Attributes
from ..core import Block, Value
from ..types import Type


class Result(tuple[str, int, int]):
    """A result as written: name, how many, where."""

    __slots__ = ()


class Names(list[Result]):
    """All results of an operation."""


class Regions(list[Block]):
    pass


class Args(list[tuple[Value, Attributes]]):
    pass


class FuncResult(tuple[Type, Attributes]):
    __slots__ = ()


class FuncResults(list[FuncResult]):
    pass


class Header:
    """The head of a function. `named_at` is where its name stands."""

    __slots__ = ("args", "attrs", "loc", "name", "named_at", "results", "visibility")

    def __init__(self, loc: int):
        self.loc = loc
        self.name = ""
        self.named_at = loc
        self.args = Args()
        self.results = FuncResults()
        self.attrs: Attributes = {}
        self.visibility = ""


class Properties:
    __slots__ = ("value",)

    def __init__(self, value: Attributes):
        self.value = value
