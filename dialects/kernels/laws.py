"""Laws that hold bit for bit, for all inputs, of kernels that are declared to have them (`declaration.py`).

`canonicalize` makes use of them, and the proof knows them; `test/unit/dialects/test_laws.py` holds each against what
the kernels mean.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...ir.light_typing import TYPE_CHECKING, Any
from .declaration import KERNELS, Range

if TYPE_CHECKING:
    from .declaration import Algebra, TermT

Clamps = Callable[[Sequence[float]], Range]
"""The range that a kernel cuts to, by its parameters."""

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


def clamping(name: str, clamps: Clamps) -> Callable[..., Any]:
    """How terms of a kernel are made that cuts values to a range: the value itself where that has been cut to a part of
    the range before, and one without the cut before where that was to a larger range."""

    def cut(terms: Algebra[TermT], params: tuple[float, ...], dtypes: Sequence[str], value: TermT) -> TermT:
        made = terms.parts(value)
        before = None if made is None else KERNELS[made[0].name].clamps
        if made is None or before is None:
            return terms.apply(name, params, value)
        bounds, earlier = clamps(params), before(tuple(map(float, made[0].params)))
        if within(earlier, bounds):
            return value
        return cut(terms, params, dtypes, made[1]) if within(bounds, earlier) else terms.apply(name, params, value)

    return cut
