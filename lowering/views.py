"""Views resolved: which buffer a tensor lies in, and which tile of it each of the tensor's tiles is.

A view moves nothing: its tiles are those of the buffer behind it. Each element of a view has a number in its operand,
row by row, that goes up evenly along each of the view's axes. So a tile is told by the number of its first element and
by how far the next one is along each axis that has more than one element; two tiles of which this is equal are one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..dialects.graph import GraphOp, ReduceOp, ViewOp
from ..dialects.opaque import opaque_ops
from ..dialects.tiles import Coord, TiledType, TileRef, bare
from ..dialects.views import BroadcastOp, ConcatOp, ReshapeOp, SliceOp, TransposeOp
from ..ir.builtin import FuncOp
from ..ir.core import Value
from ..ir.diagnostics import Diagnostic, DiagnosticError

Tiled = Mapping[Value, TiledType]


@dataclass(slots=True)
class Views:
    """Where the tensors of a function lie that have no buffer of their own: in which, and where each of their tiles."""

    homes: dict[Value, tuple[Value, dict[Coord, Coord]]] = field(
        default_factory=dict[Value, tuple[Value, dict[Coord, Coord]]]
    )

    def buffer(self, value: Value) -> Value:
        """The buffer that a tensor lies in."""
        return self.homes[value][0] if value in self.homes else value

    def place(self, value: Value, coord: Coord) -> TileRef:
        """The tile of a buffer that a tensor's tile is."""
        if value not in self.homes:
            return value, coord
        buffer, coords = self.homes[value]
        return buffer, coords[coord]

    def axis(self, op: ReduceOp) -> int:
        """The axis that is reduced, in the buffer that its operand lies in, which may have more axes before it, or
        fewer; negative where it is one of those that are missing."""
        (operand,) = op.operands
        ranks = [len(v.type.shape) for v in (self.buffer(operand), operand)]  # type: ignore[attr-defined]
        return op.axis + ranks[0] - ranks[1]


def without_views(ops: Sequence[GraphOp]) -> list[GraphOp]:
    """The operations that compute something."""
    return [op for op in ops if not isinstance(op, ViewOp)]


def resolved(ops: Sequence[GraphOp], func: FuncOp, tiled: Tiled) -> Views:
    """The buffers of all tensors of a function's operations. Raises `DiagnosticError` for a view that does not fall on
    the tile grid, or that would have to be in two buffers at once."""
    views = [op for op in ops if isinstance(op, ViewOp)]
    parents = _parents(views, _Fixed.of(func))
    found = Views()
    for op in ops:
        for value in (op.result, *op.operands):
            if value in parents:
                _settle(value, parents, found, tiled)
                alike = _are_alike(tiled[value], tiled[found.buffer(value)])
                if isinstance(op, ReduceOp) and value is not op.result:
                    alike = alike and found.axis(op) >= 0
                if not isinstance(op, ViewOp) and not alike:
                    raise DiagnosticError([_unfit(value, found.buffer(value), parents[value][1], tiled)])
    return found


@dataclass(frozen=True, slots=True)
class _Fixed:
    """The tensors that have to be buffers of their own, and why: those that somebody else gives, arguments and results
    of opaque operations, and those that somebody else takes."""

    given: dict[Value, str]
    taken: dict[Value, str]

    @classmethod
    def of(cls, func: FuncOp) -> _Fixed:
        opaque = opaque_ops(func)
        given = {v: "given by an opaque operation" for op in opaque for v in op.results}
        taken = {v: "read by an opaque operation" for op in opaque for v in op.operands}
        return cls(given | dict.fromkeys(func.args, "an argument"), taken | dict.fromkeys(func.returned(), "returned"))


_Parent = tuple[Value, ViewOp, int]
"""What a tensor lies in: a view's operand (-1), or its result, of which it is the operand of that number."""


def _parents(views: Sequence[ViewOp], fixed: _Fixed) -> dict[Value, _Parent]:
    """What each tensor lies in. A view lies in its operand, unless it has to be a buffer of its own, since it is
    returned or made of several parts: then its operands lie in it."""
    parents: dict[Value, _Parent] = {}
    own = {op.result for op in views if op.result in fixed.taken or isinstance(op, ConcatOp)}
    for op in reversed(views):
        if op.result in parents:
            own.add(op.result)
        if op.result not in own:
            parents[op.result] = (op.operands[0], op, -1)
            continue
        for number, value in enumerate(op.operands):
            why = _why_not(value, op, fixed, parents)
            if why or op.operands.count(value) > 1:
                raise DiagnosticError([_off_grid(op, why or f"%{value.name} would have to be there twice")])
            parents[value] = (op.result, op, number)
    return parents


def _why_not(value: Value, op: ViewOp, fixed: _Fixed, parents: Mapping[Value, _Parent]) -> str:
    """Why a tensor can't lie in a view of it."""
    if isinstance(op, (SliceOp, BroadcastOp)) and op.result.type != value.type:
        why = fixed.taken.get(op.result, "part of another tensor")
        return f"%{op.result.name} is {why}, and is not as large as %{value.name}"
    if value in fixed.given:
        return f"%{value.name} is {fixed.given[value]}"
    if value in fixed.taken:
        return f"%{value.name} is {fixed.taken[value]}, too"
    return f"%{value.name} lies elsewhere already" if value in parents else ""


def _settle(value: Value, parents: Mapping[Value, _Parent], found: Views, tiled: Tiled) -> None:
    """Finds the buffer of a tensor, by way of those that it lies in."""
    chain = [value]
    while chain[-1] in parents and chain[-1] not in found.homes:
        chain.append(parents[chain[-1]][0])
    for inner in reversed(chain[:-1]):
        outer, op, number = parents[inner]
        coords = tile_map(inner, outer, op, number, tiled)
        if outer in found.homes:
            buffer, further = found.homes[outer]
            coords = {coord: further[at] for coord, at in coords.items()}
        else:
            buffer = outer
        found.homes[inner] = buffer, coords


Strides = tuple[tuple[int, ...], int]
"""How much further in another tensor, row by row, the next element along each axis lies, and where the first one is."""


def tile_map(inner: Value, outer: Value, op: ViewOp, number: int, tiled: Tiled) -> dict[Coord, Coord]:
    """Which tile of the outer tensor each tile of the inner one is. Raises `DiagnosticError` where one is none."""
    strides = _strides_in(op, number)
    inside, around = tiled[inner], tiled[outer]
    if _without_ones(inside.tile) != _without_ones(around.tile):
        raise DiagnosticError([_unfit(inner, outer, op, tiled)])
    plain = _row_major(around.tensor.shape), 0
    known = {_told(around, coord, plain): coord for coord in around.each_coord()}
    found: dict[Coord, Coord] = {}
    for coord in inside.each_coord():
        at = known.get(_told(inside, coord, strides))
        if at is None:
            shown = ", ".join(map(str, coord))
            raise DiagnosticError([_off_grid(op, f"tile [{shown}] of %{inner.name} is no tile of %{outer.name}")])
        found[coord] = at
    return found


def _are_alike(one: TiledType, other: TiledType) -> bool:
    """Whether tiles of two types are one below a kernel's eyes: equal, but for sizes of 1 before the
    last two."""
    return bare(one.tile) == bare(other.tile)


def _without_ones(tile: Coord) -> Coord:
    return tuple([size for size in tile if size > 1])


def _told(type: TiledType, coord: Coord, strides: Strides) -> tuple[Any, ...]:
    """What tells a tile from all others of a tensor: its first element, and its extents with the steps along them."""
    steps, first = strides
    at = first + sum(c * t * step for c, t, step in zip(coord, type.tile, steps, strict=True))
    extents = type.valid(coord)
    return at, *[(size, step) for size, step in zip(extents, steps, strict=True) if size > 1]


def _row_major(shape: Coord) -> tuple[int, ...]:
    steps = [1]
    for size in reversed(shape[1:]):
        steps.append(steps[-1] * size)
    return tuple(reversed(steps))


def _strides_in(op: ViewOp, number: int) -> Strides:
    """How a view lies in its operand (-1), or the operand of a number in the view."""
    source, result = (_row_major(v.type.shape) for v in (op.operands[max(number, 0)], op.result))  # type: ignore[attr-defined]
    if isinstance(op, TransposeOp):
        order = op.permutation if number < 0 else tuple(map(op.permutation.index, range(len(op.permutation))))
        return tuple([(source if number < 0 else result)[axis] for axis in order]), 0
    if isinstance(op, ReshapeOp):
        return result if number < 0 else source, 0
    if isinstance(op, SliceOp):
        return source, sum(start * step for start, step in zip(op.starts, source, strict=True))
    if isinstance(op, BroadcastOp):
        shape = op.operands[0].type.shape  # type: ignore[attr-defined]
        return tuple([0 if size == 1 else step for size, step in zip(shape, source, strict=True)]), 0
    assert isinstance(op, ConcatOp)
    before = sum(v.type.shape[op.axis] for v in op.operands[:number])  # type: ignore[attr-defined]
    return result, before * result[op.axis]


def _unfit(inner: Value, outer: Value, op: ViewOp, tiled: Tiled) -> Diagnostic:
    sizes = " and ".join("x".join(map(str, tiled[v].tile)) for v in (inner, outer))
    return _off_grid(op, f"the tiles of %{inner.name} and %{outer.name} are {sizes}")


def _off_grid(op: ViewOp, why: str) -> Diagnostic:
    return Diagnostic(f"{op.name} %{op.result.name} is not on the tile grid: {why}", op.loc)
