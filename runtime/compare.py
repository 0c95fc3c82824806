"""Whether two runs of the same inputs gave the same: element by element, bit by bit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..ir.core import Value
from .numerics import Array
from .recorded import Held


@dataclass(frozen=True, slots=True)
class Difference:
    """The first element that differs, in row-major order: its result, index and two values."""

    result: int
    index: tuple[int, ...]
    first: object
    second: object
    count: int

    @property
    def where(self) -> str:
        return ", ".join(map(str, self.index))

    def __str__(self) -> str:
        values = f"{self.first} against {self.second}"
        verb = "element differs" if self.count == 1 else "elements differ"
        return f"element [{self.where}]: {values}; {self.count:,} {verb}"


@dataclass(frozen=True, slots=True)
class Finding:
    """What is `different`, or `undecided`: a tensor of the reference, what the other run holds of it, and the index of
    an element."""

    kind: str
    value: Value
    held: Held
    index: tuple[int, ...]
    text: str


def first_difference(first: list[Array], second: list[Array]) -> Difference | None:
    """The first difference of two lists of results; None if they are equal. Raises ValueError for other shapes or
    types."""
    for number, a, b in _pairs(first, second):
        if found := _first(number, a, b, a != b):
            return found
    return None


def first_nan(first: list[Array], second: list[Array]) -> Difference | None:
    """The first element that is NaN in either list of results, which nothing can be compared with."""
    for number, a, b in _pairs(first, second):
        if a.dtype.kind not in "iu" and (found := _first(number, a, b, np.isnan(a) | np.isnan(b))):
            return found
    return None


def _pairs(first: list[Array], second: list[Array]) -> Iterator[tuple[int, Array, Array]]:
    if len(first) != len(second):
        raise ValueError(f"{len(first)} results against {len(second)}")
    for number, (a, b) in enumerate(zip(first, second, strict=True)):
        if a.shape != b.shape or a.dtype != b.dtype:
            raise ValueError(f"result {number} is {a.dtype}{list(a.shape)} against {b.dtype}{list(b.shape)}")
        yield number, a, b


def _first(number: int, a: Array, b: Array, marked: Array) -> Difference | None:
    if not marked.any():
        return None
    index = tuple(int(i) for i in np.unravel_index(int(marked.argmax()), marked.shape))
    return Difference(number, index, a[index], b[index], int(np.count_nonzero(marked)))
