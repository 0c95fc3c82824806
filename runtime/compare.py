"""Whether two runs gave the same: exact on integer-valued data, within a few units in the last place otherwise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .numerics import Array

ULPS = 64
"""Allowed difference of floats that are no integers, in units in the last place of the largest magnitude summed."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The first element that differs, in row-major order: its result, index and two values."""

    result: int
    index: tuple[int, ...]
    first: object
    second: object
    count: int

    def __str__(self) -> str:
        where = ", ".join(map(str, self.index))
        values = f"{self.first} against {self.second}"
        return f"element [{where}]: {values}; {self.count:,} elements differ"


def first_difference(first: list[Array], second: list[Array], ulps: float = ULPS) -> Difference | None:
    """The first difference of two lists of results; None if they agree. Raises ValueError for other shapes or types."""
    if len(first) != len(second):
        raise ValueError(f"{len(first)} results against {len(second)}")
    for number, (a, b) in enumerate(zip(first, second, strict=True)):
        if a.shape != b.shape or a.dtype != b.dtype:
            raise ValueError(f"result {number} is {a.dtype}{list(a.shape)} against {b.dtype}{list(b.shape)}")
        differing = np.argwhere(~agree(a, b, ulps))
        if len(differing):
            index = tuple(int(i) for i in differing[0])
            return Difference(number, index, a[index], b[index], len(differing))
    return None


def agree(a: Array, b: Array, ulps: float) -> Array:
    """Element by element: equal, both NaN, or within the tolerance where the arrays are not integer-valued."""
    if a.dtype.kind == "i":
        return a == b
    wide_a, wide_b = a.astype(np.float64), b.astype(np.float64)
    equal = (wide_a == wide_b) | (np.isnan(wide_a) & np.isnan(wide_b))
    if integer_valued(wide_a) and integer_valued(wide_b):
        return equal
    scale = np.nanmax(np.abs(wide_a), initial=0.0, where=np.isfinite(wide_a))
    epsilon = {4: 2.0**-23, 2: 2.0**-10 if a.dtype == np.float16 else 2.0**-7}[a.dtype.itemsize]
    with np.errstate(invalid="ignore"):
        return equal | (np.abs(wide_a - wide_b) <= ulps * epsilon * scale)


def integer_valued(array: Array) -> bool:
    """Whether all elements are whole numbers."""
    return bool(np.all(np.isfinite(array)) and np.all(array == np.rint(array)))
