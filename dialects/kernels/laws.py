"""Laws that hold bit for bit, for all inputs, of kernels that are declared to have them (`declaration.py`).

`canonicalize` makes use of them, and the proof knows them; `test/unit/dialects/test_laws.py` holds each against what
the kernels mean.
"""

from __future__ import annotations

from ...ir.light_typing import TYPE_CHECKING
from .declaration import KERNELS

if TYPE_CHECKING:
    from .declaration import Algebra, Range, TermT

LEAST = 2.0**-24
"""The least positive number of f16, which has the fewest: nothing from here on is rounded to zero."""


def within(inner: Range, outer: Range) -> bool:
    """Whether what is cut to the range `inner` is left as it is when it is cut to `outer` too, in every element type.

    Not where a bound is NaN, -0.0, or so small that f16 makes a zero of it: of two zeros with different signs either
    may be the larger.
    """
    nested = outer[0] <= inner[0] <= inner[1] <= outer[1]
    return nested and all(map(_is_plain, (*inner, *outer)))


def _is_plain(bound: float) -> bool:
    return abs(bound) >= LEAST or repr(bound) == "0.0"


def clamped(terms: Algebra[TermT], name: str, params: tuple[float, ...], bounds: Range, value: TermT) -> TermT:
    """The term of a kernel that cuts a value to a range: the value itself where that has been cut to a part of the
    range before, and one without the cut before where that was to a larger range."""
    made = terms.parts(value)
    clamps = None if made is None else KERNELS[made.name].clamps
    if made is None or clamps is None:
        return terms.apply(name, params, value)
    before = clamps(made.params)
    if within(before, bounds):
        return value
    if within(bounds, before):
        return clamped(terms, name, params, bounds, made.sources[0])
    return terms.apply(name, params, value)
