"""How far two runs of the same function may part by rounding: a bound for every element of its results.

All operations are determined but the order of a sum. A sum of n terms t in any order, rounded to its type each time,
lies within n u / (1 - n u) * (|t1| + ... + |tn|) of the exact sum, with u half a unit in the last place of 1 (Higham,
Accuracy and Stability of Numerical Algorithms, section 3.1); two of them lie within twice that. What operands carry is
multiplied with the other factor's magnitude, and a cast adds a unit in the last place where its operand may differ.
Sums of whole numbers are exact as long as their magnitudes sum to no more than the type counts to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..dialects.graph import GraphOp
from ..dialects.kernels import KERNELS, Call, Kernel, conversions, products
from ..dialects.levels import level_of
from ..dialects.tile_ops import ExecBase, StoreBase
from ..dialects.tiles import Coord, TiledType, TileRef
from ..ir.builtin import FuncOp
from ..ir.core import Operation, Value
from ..ir.types import TensorType
from .buffers import Buffer, valid_part, whole_of
from .numerics import FLOAT32, Array, numpy_dtype

EPSILON = {"float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}
"""The unit in the last place of 1."""
LEAST = {"float32": 2.0**-149, "float16": 2.0**-24, "bfloat16": 2.0**-133}
"""The least positive number."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A value, and what is known of how far another run's may lie from it; the bounds are double precision.

    `carried` is what its operands bring along, None for nothing. A sum has its number of `terms`, the sum of their
    magnitudes (`mass`), and whether all are whole numbers without a bound.
    """

    value: Array
    carried: Array | None = None
    terms: int = 1
    mass: Array | None = None
    whole: bool = False

    def slack(self) -> Array | None:
        """The bound for each element; None where both runs have the same."""
        if self.terms == 1 or self.mass is None:
            return self.carried
        name = self.value.dtype.name
        growth = self.terms * EPSILON[name]
        rounding = growth / max(1 - growth / 2, 0.5) * self.mass + self.terms * LEAST[name]
        if self.whole:
            rounding = np.where(self.mass <= 2 / EPSILON[name], 0, rounding)
        total = rounding if self.carried is None else rounding + self.carried
        total = np.where(np.isfinite(self.value), total, 0.0)
        return total if total.any() else None

    def as_sum(self) -> Figure:
        """A value that is no sum as a sum of one term."""
        if self.mass is not None:
            return self
        return Figure(self.value, self.carried, 1, magnitude(self.value), self.carried is None and whole(self.value))

    def over(self, shape: tuple[int, ...]) -> Figure:
        """Repeated over all rows of a tile."""
        slack = self.slack()
        return Figure(np.broadcast_to(self.value, shape), None if slack is None else np.broadcast_to(slack, shape))

    def within(self, part: tuple[int, ...] | None, shape: tuple[int, ...]) -> Figure:
        """With zeros in a tile's padding; `part` is what is none."""
        if part is None:
            return self
        mask = np.zeros(shape, bool)
        mask[tuple(map(slice, part))] = True
        value = np.where(mask, self.value, self.value.dtype.type(0))
        carried, mass = (None if a is None else np.where(mask, a, 0.0) for a in (self.carried, self.mass))
        return Figure(value, carried, self.terms, mass, self.whole)


def magnitude(values: Array) -> Array:
    return np.abs(values.astype(np.float64))


def whole(values: Array) -> bool:
    """Whether all elements are whole numbers."""
    wide = values.astype(np.float64)
    return bool(np.all(np.isfinite(wide)) and np.all(wide == np.rint(wide)))


def both(a: Array | None, b: Array | None) -> Array | None:
    """The sum of two bounds."""
    if a is None or b is None:
        return b if a is None else a
    return a + b


class Rules:
    """How the figure of each kernel's result follows from those of its sources; kernels name the rule (`rounding`)."""

    @staticmethod
    def plus(a: Figure, b: Figure) -> Figure:
        """A sum of sums is one sum."""
        a, b = a.as_sum(), b.as_sum()
        mass = both(a.mass, b.mass)
        return Figure(a.value + b.value, both(a.carried, b.carried), a.terms + b.terms, mass, a.whole and b.whole)

    @staticmethod
    def added(kernel: Kernel, call: Call, a: Figure, b: Figure) -> Figure:
        """Nobody reorders a sum of two terms that are no sums: it is rounded once, to nearest."""
        return Rules.mapped(kernel, call, a, b) if a.mass is None and b.mass is None else Rules.plus(a, b)

    @staticmethod
    def product(a: Figure, b: Figure) -> Figure:
        """A x B; `mass` is that of |A| x |B|, with what their bounds add."""
        x, y = magnitude(a.value), magnitude(b.value)
        dx, dy = a.slack(), b.slack()
        carried = both(None if dx is None else dx @ y, None if dy is None else (x if dx is None else x + dx) @ dy)
        mass = both(x @ y, carried)
        exact = carried is None and whole(a.value) and whole(b.value)
        value = PRODUCT.meaning(np, Call(), a.value, b.value)
        return Figure(value, carried, max(a.value.shape[1], 2), mass, exact)

    @staticmethod
    def converted(a: Figure, call: Call) -> Figure:
        """Two values that may differ may be rounded to neighbours."""
        slack, dtype = a.slack(), call.dtype
        value = CAST.meaning(np, call, a.value)
        if slack is not None and dtype is not FLOAT32:
            ulp = EPSILON[dtype.name] * (magnitude(a.value) + slack) + LEAST[dtype.name]
            slack = np.where((slack > 0) & np.isfinite(value.astype(np.float32)), slack + ulp, 0.0)
        return Figure(value, slack)

    @staticmethod
    def column(a: Figure) -> Figure:
        """A vector along the first axis of a matrix."""
        slack = a.slack()
        return Figure(a.value[:, np.newaxis], None if slack is None else slack[:, np.newaxis])

    @staticmethod
    def mapped(kernel: Kernel, call: Call, *sources: Figure) -> Figure:
        """A function element by element: what its sources' bounds become, and what its own rounding adds. Both runs may
        be off by the kernel's ULPs; one that rounds to nearest gives both the same where their operands are."""
        value = kernel.meaning(np, call, *[s.value for s in sources])
        given = [s.slack() for s in sources]
        moved = any(slack is not None for slack in given)
        if not moved and kernel.ulps <= NEAREST:
            return Figure(value)
        shape = value.shape
        carried = np.zeros(shape)
        if moved:
            assert kernel.carry is not None
            wide = [np.broadcast_to(s.value.astype(np.float64), shape) for s in sources]
            slacks = [np.zeros(shape) if d is None else np.broadcast_to(d, shape) for d in given]
            carried = kernel.carry(np, call, wide, slacks)
        if kernel.ulps:
            carried = carried + _own_rounding(kernel, value, carried)
        carried = np.where(np.isfinite(value.astype(np.float32)) & np.isfinite(carried), carried, 0.0)
        return Figure(value, carried if carried.any() else None)


def _own_rounding(kernel: Kernel, value: Array, carried: Array) -> Array:
    """How far two runs may part by a function's own rounding, where its exact values part by `carried`. What is
    computed in f32 and then rounded to a narrower type is off by half a unit there, and that little."""
    name = value.dtype.name
    units = 2 * kernel.ulps if value.dtype is FLOAT32 else 2 * NEAREST * (1 + kernel.ulps * 2.0**-8)
    rounding = units * (EPSILON[name] * (magnitude(value) + carried) + LEAST[name])
    return rounding if kernel.ulps > NEAREST else np.where(carried > 0, rounding, 0.0)


NEAREST = 0.5
"""The ULPs of what is rounded to nearest: the same everywhere."""

PRODUCT, CAST = products.MATMUL, conversions.CAST


def activated(figure: Figure, op: Any) -> Figure:
    """The figure with an operation's activation, if it has one."""
    if op.activation is None:
        return figure
    kernel = KERNELS[op.activation]
    return kernel.rounding(Rules, Call(kernel.params_of(op, "activation_params"), figure.value.dtype), figure)


def slacks(func: FuncOp, arrays: list[Array]) -> list[Array | None]:
    """For each result, how far two runs on the same arguments may part; None for not at all, as in all integers."""
    with np.errstate(all="ignore"):
        if level_of(func) == "graph":
            return _graph_slacks(func, arrays)
        walk = TileFigures(dict(zip(func.args, arrays, strict=True)))
        for op in func.ops:
            walk.step(op)
        return [walk.result(value) for value in func.returned()]


def _is_float(type: object) -> bool:
    return isinstance(type, (TensorType, TiledType)) and type.dtype not in ("i8", "i32")


def _graph_slacks(func: FuncOp, arrays: list[Array]) -> list[Array | None]:
    figures: dict[Value, Figure] = {v: Figure(a) for v, a in zip(func.args, arrays, strict=True)}
    for op in func.ops:
        if isinstance(op, GraphOp) and _is_float(op.result.type):
            figures[op.result] = _graph_figure(op, [figures[v] for v in op.operands])
    return [figures[v].slack() if _is_float(v.type) else None for v in func.returned()]


def _graph_figure(op: GraphOp, operands: list[Figure]) -> Figure:
    kernel = KERNELS[op.kernel]
    assert isinstance(op.result.type, TensorType)
    count = len(kernel.sources)
    made = kernel.rounding(Rules, Call(kernel.params_of(op), numpy_dtype(op.result.type.dtype)), *operands[:count])
    for bias in operands[count:]:
        made = Rules.plus(made, bias)
    return activated(made, op) if getattr(op, "activation", None) else made


class TileFigures:
    """The figures of a uop or sched function's tiles: what a tile's name stands for is its last write."""

    def __init__(self, arguments: Mapping[Value, Array]):
        self.buffers = {v: Buffer(v.type, a) for v, a in arguments.items() if isinstance(v.type, TiledType)}
        self.tiles: dict[TileRef, Figure] = {}

    def read(self, value: Value, coord: Coord) -> Figure:
        found = self.tiles.get((value, coord))
        if found is None:
            assert isinstance(value.type, TiledType)
            buffer = self.buffers.get(value)
            unwritten = np.zeros(value.type.tile, numpy_dtype(value.type.dtype))
            found = self.tiles[(value, coord)] = Figure(unwritten if buffer is None else buffer.tiles[coord])
        return found

    def step(self, op: Operation) -> None:
        if not isinstance(op, (ExecBase, StoreBase)) or not _is_float(op.operands[0].type):
            return
        place = (op.operands[0], op.coords[0])
        made = self.computed(op) if isinstance(op, ExecBase) else self.read(*place)
        made = activated(made, op)
        assert isinstance(place[0].type, TiledType)
        self.tiles[place] = made.within(valid_part(place[0].type, place[1]), place[0].type.tile)

    def computed(self, op: ExecBase) -> Figure:
        value, coord = op.operands[0], op.coords[0]
        type = value.type
        assert isinstance(type, TiledType)
        sources = [self.read(v, c) for v, c in zip(op.operands[1:], op.coords[1:], strict=True)]
        kernel = KERNELS[op.kernel]
        made = kernel.rounding(Rules, Call(kernel.params_of(op), numpy_dtype(type.dtype)), *sources)
        if made.value.shape != type.tile:
            made = made.over(type.tile)
        return Rules.plus(self.read(value, coord), made) if op.accumulate else made

    def result(self, value: Value) -> Array | None:
        type = value.type
        if value in self.buffers or not isinstance(type, TiledType) or not _is_float(type):
            return None
        tiles = np.zeros((*type.grid, *type.tile))
        for coord in type.each_coord():
            slack = self.read(value, coord).slack()
            tiles[coord] = 0.0 if slack is None else slack
        return whole_of(type, tiles)
