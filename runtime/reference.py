"""Follows a function, operation by operation, with figures instead of arrays: exact values and how far a run may lie
from them.

Whoever follows it `settles` each value as soon as it has its last figure, and so decides with what it goes on: with the
same figure, with what another run holds, or with another number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..dialects.graph import GraphOp, ViewOp
from ..dialects.kernels import KERNELS, Call
from ..dialects.levels import level_of
from ..dialects.tile_ops import ExecBase, StoreBase
from ..dialects.tiles import Coord, TiledType, TileRef, tiled
from ..ir.builtin import FuncOp
from ..ir.core import Operation, Value
from ..ir.types import INTEGERS, TensorType
from .buffers import Buffer, summed_part, valid_part, whole_of
from .composites import Arithmetic, composed
from .numerics import Array, numpy_dtype
from .recorded import followed, last_writes
from .rounding import FLOAT64, Figure, computed, extremum, plus

Settle = Callable[[Value, Coord, Figure], Figure]
"""What goes on as a value's figure; the coordinates of its tile are empty at the graph level."""


def follow(func: FuncOp, arrays: Sequence[Array], settle: Settle, exact: bool = False) -> Reference:
    """Follows a function on arrays for its arguments. With `exact` all floats are of double precision."""
    given = dict(zip(func.args, arrays, strict=True))
    walk = (_OnTensors if level_of(func) == "graph" else _OnTiles)(func, given, settle, exact)
    with np.errstate(all="ignore"):
        for op in func.ops:
            walk.step(op)
    return walk


class Reference:
    """The figures of a function's values so far."""

    def __init__(self, settle: Settle, exact: bool):
        self.settle = settle
        self.exact = exact

    def step(self, op: Operation) -> None:
        """Goes on by an operation."""
        raise NotImplementedError

    def result(self, value: Value) -> Array:
        """The exact values of a tensor, once all operations have been followed."""
        raise NotImplementedError

    def start(self, array: Array) -> Figure:
        """The figure of what both runs have been given."""
        figure = Figure.of(array)
        return Figure(figure.value, FLOAT64) if self.exact and array.dtype.kind not in "iu" else figure

    def dtype(self, name: str) -> np.dtype[Any]:
        return FLOAT64 if self.exact and name not in INTEGERS else numpy_dtype(name)

    def activated(self, figure: Figure, op: Any) -> Figure:
        """The figure with an operation's activation, if it has one."""
        if getattr(op, "activation", None) is None:
            return figure
        kernel = KERNELS[op.activation]
        return computed(kernel, Call(kernel.params_of(op, "activation_params"), figure.dtype), figure)


class _OnTensors(Reference):
    def __init__(self, func: FuncOp, given: Mapping[Value, Array], settle: Settle, exact: bool):
        super().__init__(settle, exact)
        self.counts = followed(func)
        self.figures = {value: self.start(array) for value, array in given.items() if self.counts(value.type)}

    def step(self, op: Operation) -> None:
        if isinstance(op, GraphOp) and self.counts(op.result.type):
            self.figures[op.result] = self.settle(op.result, (), self.made(op))

    def made(self, op: GraphOp) -> Figure:
        if isinstance(op, ViewOp):
            return viewed(op, [self.figures[v] for v in op.operands])
        if op.is_composite:
            return composed(op, Arithmetic(computed, self.dtype), *[self.figures[v] for v in op.operands])
        kernel = KERNELS[op.kernel]
        assert isinstance(op.result.type, TensorType)
        operands, count = [self.figures[v] for v in op.operands], len(kernel.sources)
        made = computed(kernel, Call(kernel.params_of(op), self.dtype(op.result.type.dtype)), *operands[:count])
        for bias in operands[count:]:
            made = plus(made, bias)
        return self.activated(made, op)

    def result(self, value: Value) -> Array:
        return self.figures[value].value


def viewed(op: ViewOp, figures: Sequence[Figure]) -> Figure:
    """A view of figures: each element with what is known of it; sums of different lengths have the longest."""
    sums = [figure.as_sum() for figure in figures] if any(f.mass is not None for f in figures) else list(figures)
    parts: dict[str, Array | None] = {"value": op.view(np, *[figure.value for figure in sums])}
    for name in ("carried", "mass"):
        given = [getattr(figure, name) for figure in sums]
        filled = [np.zeros(f.value.shape) if a is None else a for a, f in zip(given, sums, strict=True)]
        parts[name] = op.view(np, *filled) if any(a is not None for a in given) else None
    terms, exact = max(figure.terms for figure in sums), all(figure.whole for figure in sums)
    return replace(sums[0], terms=terms, whole=exact, **parts)  # type: ignore[arg-type]


def moved(op: ExecBase, source: Figure, before: Figure | None) -> Figure:
    """A part of a figure put into another one, or into an empty tile: each element with what is known of it."""
    types, kernel = [tiled(v) for v in op.operands], KERNELS[op.kernel]
    figures = [source] if before is None else [source, before]
    if any(figure.mass is not None for figure in figures):
        figures = [figure.as_sum() for figure in figures]
    parts: dict[str, Array | None] = {}
    for name in ("value", "carried", "mass"):
        given = [getattr(figure, name) for figure in figures]
        filled = [np.zeros(f.value.shape) if a is None else a for a, f in zip(given, figures, strict=True)]
        out = filled[1].copy() if before is not None else np.zeros(types[0].tile)
        call = Call(kernel.params_of(op), out.dtype, out, types, op.coords)
        parts[name] = kernel.meaning(np, call, filled[0]) if any(a is not None for a in given) else None
    terms, exact = max(figure.terms for figure in figures), all(figure.whole for figure in figures)
    return replace(figures[0], terms=terms, whole=exact, **parts)  # type: ignore[arg-type]


class _OnTiles(Reference):
    """What a tile's name stands for is its last write, on chip or off."""

    def __init__(self, func: FuncOp, given: Mapping[Value, Array], settle: Settle, exact: bool):
        super().__init__(settle, exact)
        self.buffers = {v: Buffer(v.type, a) for v, a in given.items() if isinstance(v.type, TiledType)}
        self.counts = followed(func)
        self.last = last_writes(func)
        self.figures: dict[TileRef, Figure] = {}

    def read(self, value: Value, coord: Coord) -> Figure:
        found = self.figures.get((value, coord))
        if found is None:
            buffer, type = self.buffers.get(value), tiled(value)
            unwritten = np.zeros(type.tile, numpy_dtype(type.dtype))
            found = self.figures[value, coord] = self.start(unwritten if buffer is None else buffer.tiles[coord])
        return found

    def step(self, op: Operation) -> None:
        if not isinstance(op, (ExecBase, StoreBase)) or not self.counts(op.operands[0].type):
            return
        if isinstance(op, StoreBase) and op.activation is None:
            return
        value, coord = op.operands[0], op.coords[0]
        made = self.activated(self.made(op) if isinstance(op, ExecBase) else self.read(value, coord), op)
        made = made.within(valid_part(tiled(value), coord))
        self.figures[value, coord] = self.settle(value, coord, made) if op in self.last else made

    def made(self, op: ExecBase) -> Figure:
        (value, *operands), (coord, *coords) = op.operands, op.coords
        kernel, type = KERNELS[op.kernel], tiled(value)
        rank = len(type.tile)
        sources = [self.read(v, c) for v, c in zip(operands, coords, strict=True)]
        if kernel.combine == "part":
            return moved(op, sources[0], self.read(value, coord) if op.accumulate else None)
        if op.axis is None:
            sources = [source.within_rank(rank) for source in sources]
        else:
            sources = [source.cut(op.axis, tiled(operands[0]).valid(coords[0])[op.axis]) for source in sources]
        if op.zero_point_a is not None or op.zero_point_b is not None:
            axes, size = summed_part(op, kernel)
            sources = [s.cut(s.value.ndim + axis, size) for s, axis in zip(sources, axes, strict=True)]
        made = computed(kernel, Call(kernel.params_of(op), self.dtype(type.dtype)), *sources).within_rank(rank)
        if made.value.shape != type.tile:
            made = made.over(type.tile)
        if not op.accumulate:
            return made
        before = self.read(value, coord)
        return plus(before, made) if kernel.combine == "sum" else extremum(kernel, before, made)

    def result(self, value: Value) -> Array:
        type = tiled(value)
        tiles = np.zeros((*type.grid, *type.tile))
        for coord in type.each_coord():
            tiles[coord] = self.read(value, coord).value
        return whole_of(type, tiles)
