"""How far a run may lie from the exact result of an operation, element by element, given what it computes with.

A sum of n terms t in any order, rounded to its type each time, lies within n u / (1 - n u) * (|t1| + ... + |tn|) of the
exact sum, with u half a unit in the last place of 1 (Higham, Accuracy and Stability of Numerical Algorithms, section
3.1). Where terms cancel, their rounding errors do too, and n becomes a multiple of its root (Higham and Mary, A New
Approach to Probabilistic Rounding Error Analysis, 2019). Sums of whole numbers are exact as long as their magnitudes
sum to no more than the type counts to. What is said to be rounded to nearest is known bit by bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import isfinite
from typing import Any

import numpy as np

from ..dialects.kernels import Call, Kernel
from .numerics import COMBINE, FLOAT32, Array

FLOAT64 = np.dtype(np.float64)
EPSILON = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}
"""The unit in the last place of 1."""
LEAST = {"float64": 2.0**-1074, "float32": 2.0**-149, "float16": 2.0**-24, "bfloat16": 2.0**-133}
"""The least positive number."""
LIMIT = {
    "float64": np.inf,
    "float32": 2.0**128 - 2.0**103,
    "float16": 65520.0,
    "bfloat16": 2.0**128 - 2.0**119,
}
"""The least magnitude that is rounded to an infinity."""
NEAREST = 0.5
"""The ULPs of what is rounded to nearest: the same everywhere."""
ROOTS = 2.0
"""How many times the root of n the rounding errors of n cancelling terms sum up to at most; their own spread is a fifth
of the root, in the worst order."""


@dataclass(frozen=True, slots=True)
class Figure:
    """An exact value in double precision, and how far a run may lie from it that has it in the type `dtype`.

    `carried` is how far its operands bring a run from it, None for nothing. A sum has its number of `terms`, the sum of
    their magnitudes (`mass`), and whether all are `whole` numbers that a run has exactly. `poles` are infinities of
    either sign: of a sum that is zero, the order of its terms decides which zero.
    """

    value: Array
    dtype: np.dtype[Any]
    carried: Array | None = None
    terms: int = 0
    mass: Array | None = None
    whole: bool = False
    poles: Array | None = None

    @staticmethod
    def of(array: Array) -> Figure:
        """What a run holds: exact."""
        return Figure(array.astype(np.float64), array.dtype)

    def slack(self) -> Array | None:
        """The bound for each element; None where the run has the value itself. Where the value is no finite number, it
        is 0: a run has the same."""
        if self.mass is None:
            return self.carried
        name, n = self.dtype.name, self.terms
        unit = EPSILON[name] / 2
        most = np.minimum(n * self.mass, ROOTS * n**0.5 * self.mass + n * np.abs(self.value))
        rounding = unit / max(1 - n * unit, 0.5) * most + n * LEAST[name]
        if self.whole:
            rounding = np.where(self.mass <= 2 / EPSILON[name], 0, rounding)
        total = rounding if self.carried is None else rounding + self.carried
        total = np.where(np.isfinite(self.value), np.where(np.isnan(total), np.inf, total), 0.0)
        return total if total.any() else None

    def usual(self) -> Array | None:
        """How far a run is likely to lie from the value, whatever the order of its sum."""
        if self.mass is None:
            return self.carried
        count = min(self.terms, ROOTS * self.terms**0.5)
        return both(self.carried, EPSILON[self.dtype.name] / 2 * count * self.mass)

    def as_sum(self) -> Figure:
        """A value that is no sum as a sum of one term."""
        if self.mass is not None:
            return self
        mass = np.abs(self.value)
        return replace(self, terms=1, mass=mass, whole=self.carried is None and whole(self.value))

    def over(self, shape: tuple[int, ...]) -> Figure:
        """Repeated over all rows of a tile."""
        carried, mass = (None if a is None else np.broadcast_to(a, shape) for a in (self.carried, self.mass))
        return replace(self, value=np.broadcast_to(self.value, shape), carried=carried, mass=mass)

    def within_rank(self, rank: int) -> Figure:
        """Without leading axes of one element that a destination of this rank doesn't have."""
        if self.value.ndim <= rank:
            return self
        shape = self.value.shape[-rank:]
        carried, mass = (None if a is None else a.reshape(shape) for a in (self.carried, self.mass))
        return replace(self, value=self.value.reshape(shape), carried=carried, mass=mass)

    def cut(self, axis: int, size: int) -> Figure:
        """The first so many elements along an axis."""
        part = (slice(None),) * axis + (slice(size),)
        carried, mass = (None if a is None else a[part] for a in (self.carried, self.mass))
        return replace(self, value=self.value[part], carried=carried, mass=mass)

    def within(self, part: tuple[int, ...] | None) -> Figure:
        """With zeros in a tile's padding; `part` is what is none."""
        if part is None:
            return self
        mask = np.zeros(self.value.shape, bool)
        mask[tuple(map(slice, part))] = True
        carried, mass = (None if a is None else np.where(mask, a, 0.0) for a in (self.carried, self.mass))
        return replace(self, value=np.where(mask, self.value, 0.0), carried=carried, mass=mass)

    def overflows(self) -> Array:
        """Where a finite sum may pass through an infinity, in one order of its terms or another."""
        if self.mass is None:
            return np.zeros(self.value.shape, bool)
        return np.isfinite(self.value) & (self.mass >= LIMIT[self.dtype.name])

    def as_operand(self) -> Figure:
        """The same for a run that holds it in its type: beyond the type's range an infinity, near its end anything."""
        if self.dtype.kind in "iu":
            return self
        limit, slack = LIMIT[self.dtype.name], self.slack()
        if slack is None:
            return Figure(self.value, self.dtype)
        size = np.abs(self.value)
        near = ~(size + slack < limit) | self.overflows()
        if near.any():
            beyond = size - slack >= limit
            slack = np.where(near, np.where(beyond | ~np.isfinite(self.value), 0.0, np.inf), slack)
            return Figure(np.where(beyond, np.copysign(np.inf, self.value), self.value), self.dtype, slack)
        return Figure(self.value, self.dtype, slack)


def whole(values: Array) -> bool:
    """Whether all elements are whole numbers; of sums of what is infinite, or NaN, nothing finite comes."""
    return bool(np.all((values == np.rint(values)) | np.isnan(values)))


def both(a: Array | None, b: Array | None) -> Array | None:
    """The sum of two bounds."""
    if a is None or b is None:
        return b if a is None else a
    return a + b


def computed(kernel: Kernel, call: Call, *sources: Figure) -> Figure:
    """What a kernel makes of figures, in the type `call.dtype`."""
    if call.dtype.kind in "iu":
        return _of_integers(kernel, call, *sources)
    if kernel.combine is not None and len(sources) == 1:
        return _reduced(kernel, call, *sources)
    if kernel.combine is not None:
        return _sum_of_products(kernel, call, *sources)
    if kernel.is_sum and len(sources) == 2 and any(s.mass is not None for s in sources):
        return plus(*sources)
    return _mapped(kernel, call, *sources)


def plus(a: Figure, b: Figure) -> Figure:
    """A sum of sums is one sum; of integers, one that wraps."""
    if a.dtype.kind in "iu":
        return Figure(in_range(a.value + b.value, a.dtype), a.dtype, both(a.carried, b.carried))
    if a.dtype == FLOAT64:
        return Figure(a.value + b.value, FLOAT64)
    a, b = a.as_sum(), b.as_sum()
    mass, carried = both(a.mass, b.mass), both(a.carried, b.carried)
    return Figure(a.value + b.value, a.dtype, carried, a.terms + b.terms, mass, a.whole and b.whole)


def _of_integers(kernel: Kernel, call: Call, *sources: Figure) -> Figure:
    """Integers are known one by one as long as the operands are: what is quantised of a number that may move, moves by
    as many steps, and of integers that may be others nothing is known."""
    given = [s.as_operand() for s in sources]
    made = kernel.meaning(np, call, *[s.value.astype(s.dtype) for s in given])
    value = in_range(made.astype(np.float64), call.dtype)
    if all(s.carried is None for s in given):
        return Figure(value, call.dtype)
    if any(s.dtype.kind in "iu" for s in given):
        return Figure(value, call.dtype, np.full(value.shape, np.inf))
    ends = [kernel.meaning(np, call, *corner).astype(np.float64) for corner in product(*map(_ends, given))]
    reach = np.max([np.abs(end - value) for end in ends], axis=0)
    return Figure(value, call.dtype, reach if reach.any() else None)


def in_range(values: Array, dtype: np.dtype[Any]) -> Array:
    """Whole numbers as an integer type has them, beyond its range wrapped."""
    return values.astype(np.int64).astype(dtype).astype(np.float64)


def _sum_of_products(kernel: Kernel, call: Call, a: Figure, b: Figure) -> Figure:
    """A x B; `mass` is that of |A| x |B|, with what their bounds add."""
    wide = Call(call.params, FLOAT64)
    if call.dtype == FLOAT64:
        return Figure(kernel.meaning(np, wide, a.value, b.value), FLOAT64)
    a, b = a.as_operand(), b.as_operand()
    value = kernel.meaning(np, wide, a.value, b.value)
    x, y, dx, dy = np.abs(a.value), np.abs(b.value), a.carried, b.carried
    of_left = None if dx is None else kernel.meaning(np, wide, dx, y)
    of_right = None if dy is None else kernel.meaning(np, wide, x if dx is None else x + dx, dy)
    carried = both(of_left, of_right)
    mass = kernel.meaning(np, wide, x, y)
    mass = mass if carried is None else mass + carried
    terms = kernel.work([value.shape, x.shape, y.shape]) // max(value.size, 1)
    exact = carried is None and whole(a.value) and whole(b.value)
    return Figure(value, call.dtype, carried, max(terms, 1), mass, exact)


def _reduced(kernel: Kernel, call: Call, source: Figure) -> Figure:
    """A reduction along an axis; an extremum moves no further than the element that moves most."""
    wide, source = Call(call.params, FLOAT64), source.as_operand()
    value = kernel.meaning(np, wide, source.value)
    if call.dtype == FLOAT64:
        return Figure(value, FLOAT64)
    axis = int(call.params[0])
    if not kernel.is_sum:
        carried = None if source.carried is None else source.carried.max(axis=axis, keepdims=True)
        return Figure(value, call.dtype, carried)
    carried = None if source.carried is None else kernel.meaning(np, wide, source.carried)
    mass = kernel.meaning(np, wide, np.abs(source.value))
    mass = mass if carried is None else mass + carried
    return Figure(
        value, call.dtype, carried, max(source.value.shape[axis], 1), mass, carried is None and whole(source.value)
    )


def extremum(kernel: Kernel, a: Figure, b: Figure) -> Figure:
    """The greater, or the lesser, of two."""
    a, b = a.as_operand(), b.as_operand()
    value = COMBINE[kernel.combine](a.value, b.value)
    if a.carried is None and b.carried is None:
        return Figure(value, a.dtype)
    carried = [np.zeros(value.shape) if x.carried is None else x.carried for x in (a, b)]
    return Figure(value, a.dtype, np.maximum(*carried))


def _mapped(kernel: Kernel, call: Call, *sources: Figure) -> Figure:
    """A function element by element. Where a run has its operands exactly and it is rounded to nearest, the run's bits
    are known; else what its operands' bounds become, and what its own rounding adds."""
    given = [s.as_operand() for s in sources]
    poles = _poles(kernel, call, sources, given)
    moved = any(s.carried is not None for s in given)
    if not moved and (kernel.ulps <= NEAREST or call.dtype == FLOAT64):
        made = kernel.meaning(np, call, *[s.value.astype(s.dtype) for s in given])
        return replace(Figure.of(made), poles=poles)
    wide = Call(call.params, FLOAT64)
    value = kernel.meaning(np, wide, *[s.value for s in given])
    carried = _reach(kernel, wide, value, given) if moved else np.zeros(value.shape)
    if kernel.ulps:
        carried = carried + _own_rounding(kernel, call, np.abs(value) + carried)
    if moved and not kernel.ulps:  # what selects may select a number in place of an infinity
        value = np.where(np.isinf(carried) & ~np.isfinite(value), 0.0, value)
    carried = np.where(np.isfinite(value), carried, 0.0)
    return Figure(value, call.dtype, carried if carried.any() else None, poles=poles)


def _poles(kernel: Kernel, call: Call, sources: Sequence[Figure], given: Sequence[Figure]) -> Array | None:
    """Where a function of sums is an infinity whose sign is that of a zero among them; None for nowhere."""
    found: Array | None = None
    for i, source in enumerate(sources):
        zero = given[i].value == 0
        if source.mass is None or not zero.any():
            continue
        values = [s.value for s in given]
        one = kernel.meaning(np, Call(call.params, FLOAT64), *values)
        values[i] = np.where(zero, -values[i], values[i])
        other = kernel.meaning(np, Call(call.params, FLOAT64), *values)
        flipped = np.isinf(one) & (one == -other)
        found = flipped if found is None else found | flipped
    return found if found is not None and found.any() else None


def _reach(kernel: Kernel, wide: Call, value: Array, sources: list[Figure]) -> Array:
    """How far a function's value moves where its operands move as far as they can: at the ends, which is right for what
    grows or falls, is convex or concave so far, or is linear in each operand; at zero, where there may be a pole, and
    at numbers in place of operands; and where two operands are equal.
    """
    numbers = [n for p, n in zip(kernel.parameters, wide.params, strict=False) if p.is_operand and isfinite(n)]
    corners = list(product(*[_ends(source, numbers) for source in sources]))
    if len(sources) == 2:
        corners.append(_meeting(*sources))
    furthest = np.zeros(value.shape)
    for corner in corners:
        made = kernel.meaning(np, wide, *corner)
        same = (made == value) | (np.isnan(made) & np.isnan(value))
        moved = np.where(same, 0.0, np.abs(made - value))
        furthest = np.maximum(furthest, np.where(np.isnan(moved), np.inf, moved))
    return furthest


def _ends(source: Figure, numbers: Sequence[float] = ()) -> list[Array]:
    """How far an operand can move down and up; and zero, and other numbers, for those that may be on either side of
    them."""
    if source.carried is None:
        return [source.value]
    low, high = source.value - source.carried, source.value + source.carried
    found = [low, high]
    for number in dict.fromkeys((0.0, *numbers)):
        around = (low < number) & (high > number)
        if around.any():
            found.append(np.where(around, number, source.value))
    return found


def _meeting(a: Figure, b: Figure) -> tuple[Array, Array]:
    """Two operands where they are equal, as far as they can move there; elsewhere as they are."""
    (low, high), (other_low, other_high) = [
        (s.value, s.value) if s.carried is None else (s.value - s.carried, s.value + s.carried) for s in (a, b)
    ]
    least = np.maximum(low, other_low)
    meet = least <= np.minimum(high, other_high)
    return np.where(meet, least, a.value), np.where(meet, least, b.value)


def _own_rounding(kernel: Kernel, call: Call, most: Array) -> Array:
    """How far a run may be off by a function's own rounding, where its value is at most `most`. What is computed in f32
    and then rounded to a narrower type is off by half a unit there, and that little."""
    name = call.dtype.name
    units = kernel.ulps if call.dtype is FLOAT32 else NEAREST * (1 + kernel.ulps * 2.0**-8)
    return units * (EPSILON[name] * most + LEAST[name])
