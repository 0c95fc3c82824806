"""Whether another run computes what a reference function does: equal, different, or nothing that can be told.

Each operation of the reference is evaluated in double precision on what the other run holds for its operands, and what
that run holds for its result must lie within the bound of this one operation (`rounding.py`). Tensors are matched by
name, results by position; what the other run does not have goes together with the next value that it has. From values
that have been found right follow those behind them, so that nothing is hidden by what rounding may have become of
inputs many operations before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..dialects.tiles import Coord, TiledType
from ..ir.builtin import FuncOp
from ..ir.core import Value
from .buffers import Buffer
from .compare import Difference, Finding, first_difference
from .end_to_end import EndToEnd
from .execute import Run
from .numerics import Array
from .recorded import Held, followed, is_float
from .reference import follow
from .rounding import LIMIT, Figure

DECISIVE = {"float32": 1e-3, "float16": 1e-2, "bfloat16": 5e-2}
"""How much of a tensor's largest magnitude a bound may be for anything to be told by it; of integers nothing."""
NORMAL = {"float32": 2.0**-126, "float16": 2.0**-14, "bfloat16": 2.0**-126}
"""The least magnitude with full precision."""
ALIKE = 0.1
"""How much of `DECISIVE` two tensors may part that are one."""


def judge(func: FuncOp, inputs: Sequence[Array], first: Run, other: FuncOp, second: Run) -> Finding | None:
    """How two recorded runs on the same inputs part, the first one that of the reference `func`; None for equal. No
    result may be NaN."""
    if first_difference(first.arrays, second.arrays) is None:
        return None
    counts = followed(func)
    computed = [i for i, value in enumerate(func.returned()) if counts(value.type) and value not in func.args]
    found = _exact(func, first, other, second, [i for i in range(len(first.arrays)) if i not in computed])
    if found is not None:
        return found
    local = LocalCheck(func, first, other, second)
    follow(func, inputs, local.settle)
    floats = [i for i in computed if is_float(func.returned()[i].type)]
    found = local.different or EndToEnd(func, inputs, floats).compare(first, other, second)
    return (local.doubtful if found else None) or found or local.undecided


def _exact(func: FuncOp, first: Run, other: FuncOp, second: Run, indices: Sequence[int]) -> Finding | None:
    """The first difference of results that are not rounded: integers, and arguments."""
    found = first_difference([first.arrays[i] for i in indices], [second.arrays[i] for i in indices])
    if found is None:
        return None
    result = indices[found.result]
    return Finding("different", func.returned()[result], second.result(other, result), found.index, str(found))


class Counterpart:
    """What the other run holds of a tensor of the reference's, which may be in tiles of its own."""

    def __init__(self, value: Value, held: Held):
        self.held = held
        self.tiles = Buffer(value.type, held.array).tiles if isinstance(value.type, TiledType) else None
        self.largest = _largest(held.array)

    def part(self, coord: Coord) -> Array:
        """The tensor, or one of the reference's tiles of it."""
        return self.held.array if self.tiles is None else self.tiles[coord]


class LocalCheck:
    """Holds each value of the reference that the other run has against the operations that lead there from values that
    it has, too. `different` and `undecided` are what has been found first; `doubtful` is a value that is wrong unless
    its name means something else in the other function."""

    def __init__(self, func: FuncOp, first: Run, other: FuncOp, second: Run):
        self.own = first.held
        self.held: dict[Value, list[Counterpart]] = {}
        counts = followed(func)
        for i, value in enumerate(func.returned()):
            if counts(value.type):
                self.held.setdefault(value, []).append(Counterpart(value, second.result(other, i)))
        self.results = set(self.held)
        for name, own in first.held.items():
            match = second.held.get(name)
            if match is not None and own.value not in self.held and _same_type(own.array, match.array):
                self.held[own.value] = [Counterpart(own.value, match)]
        self.different: Finding | None = None
        self.doubtful: Finding | None = None
        self.undecided: Finding | None = None
        self.count = Difference(0, (), 0, 0, 0)

    def settle(self, value: Value, coord: Coord, figure: Figure) -> Figure:
        """What the other run holds, if it has the value; else the figure itself."""
        for counterpart in self.held.get(value, ()):
            self.check(value, counterpart, coord, figure)
        return Figure.of(self.held[value][0].part(coord)) if value in self.held else figure

    def check(self, value: Value, counterpart: Counterpart, coord: Coord, figure: Figure) -> None:
        found, held = counterpart.part(coord), counterpart.held
        wrong = ~agree(figure, found)
        if wrong.any():
            self.differ(value, held, coord, figure, found, wrong)
            return
        slack = figure.slack()
        if slack is None or self.undecided is not None:
            return
        size = max(counterpart.largest, _largest(figure.value))
        name = held.array.dtype.name
        at = np.unravel_index(int(np.argmax(slack)), slack.shape)
        if slack[at] > DECISIVE.get(name, 0.0) * max(size, NORMAL.get(name, 0.0)):
            index = _index(value, coord, at)
            values = f"{figure.value[at].astype(found.dtype)} against {found[at]}"
            bound = f"rounding may reach {slack[at]:.3g}, more than {DECISIVE[name]:g} times the largest, {size:.3g}"
            where = ", ".join(map(str, index))
            self.undecided = Finding("undecided", value, held, index, f"element [{where}]: {values}; {bound}")

    def differ(self, value: Value, held: Held, coord: Coord, figure: Figure, found: Array, wrong: Array) -> None:
        """Books elements that are wrong."""
        at = tuple(int(i) for i in np.unravel_index(int(wrong.argmax()), wrong.shape))
        wanted = figure.value[at].astype(found.dtype)
        made = Difference(0, _index(value, coord, at), wanted, found[at], int(np.count_nonzero(wrong)))
        before = self.different
        if before is None and value not in self.results and self.is_another(value, held):
            self.doubtful = self.doubtful or Finding("different", value, held, made.index, str(made))
            del self.held[value]
        elif before is None or before.held is held:
            self.count = made if before is None else _joined(self.count, made)
            self.different = Finding("different", value, held, self.count.index, str(self.count))

    def is_another(self, value: Value, held: Held) -> bool:
        """Whether what the other run holds under a name is what the reference has under another one."""
        others = (own.array for own in self.own.values() if own.value is not value)
        return any(_same_type(a, held.array) and _alike(a, held.array) for a in others)


def _joined(a: Difference, b: Difference) -> Difference:
    """The differences of two tiles of one tensor as one."""
    return replace(min(a, b, key=lambda d: d.index), count=a.count + b.count)


def agree(figure: Figure, found: Array) -> Array:
    """Element by element: within the bound, or equal (infinities and NaN too). What may overflow may be an infinity, or
    NaN where a sum may on its way."""
    wide, exact = found.astype(np.float64), figure.value
    slack = figure.slack()
    slack = np.zeros(exact.shape) if slack is None else slack
    limit, on_the_way = LIMIT.get(found.dtype.name, np.inf), figure.overflows()
    with np.errstate(all="ignore"):
        near = (np.abs(wide - exact) <= slack) & np.isfinite(wide)
        same = (wide == exact) | (np.isnan(wide) & np.isnan(exact))
        same |= False if figure.poles is None else figure.poles & np.isinf(wide)
        beyond = np.isinf(wide) & ((np.sign(wide) * exact + slack >= limit) | on_the_way)
        lost = np.isnan(wide) & (on_the_way | np.isinf(slack))
    return near | same | beyond | lost


def _same_type(a: Array, b: Array) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype


def _largest(array: Array) -> float:
    """The largest finite magnitude of an array, 0 for none."""
    size = np.abs(array.astype(np.float64))
    return float(size.max(where=np.isfinite(size), initial=0.0))


def _alike(a: Array, b: Array) -> bool:
    """Whether two arrays hold one tensor, whose roundings may have gone other ways."""
    near = ALIKE * DECISIVE.get(a.dtype.name, 0.0) * max(_largest(a), _largest(b))
    with np.errstate(invalid="ignore"):
        return bool(np.all((a == b) | (np.abs(a.astype(np.float64) - b.astype(np.float64)) <= near)))


def _index(value: Value, coord: Coord, at: Sequence[np.integer | int]) -> tuple[int, ...]:
    """Where an element of a tile stands in its tensor."""
    corner = [c * t for c, t in zip(coord, value.type.tile, strict=True)] if isinstance(value.type, TiledType) else []
    return tuple(int(i) + c for i, c in zip(at, corner or [0] * len(at), strict=True))
