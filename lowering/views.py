"""Views resolved: which buffer a tensor lies in, and which tile of it each of the tensor's tiles is.

A view moves nothing where its tiles are those of the buffer behind it. Each element of a view has a number in its
operand, row by row, that goes up evenly along each of the view's axes. So a tile is told by the number of its first
element and by how far the next one is along each axis that has more than one element; two tiles of which this is equal
are one. A view of which some tile is none, or that would have to be in two buffers, is moved: it becomes a buffer of
its own, written part by part (`kernels/moves.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..dialects.graph import GraphOp, ReduceOp, ViewOp
from ..dialects.kernels.moves import Placement, row_major, tiles_moved
from ..dialects.opaque import opaque_ops
from ..dialects.tiles import Coord, TiledType, TileRef, bare
from ..dialects.views import BroadcastOp, ConcatOp, ReshapeOp, SliceOp, TransposeOp
from ..ir.builtin import FuncOp
from ..ir.core import Value
from .strides import Strides, composed

Tiled = Mapping[Value, TiledType]


class Copied(NamedTuple):
    """What is copied into a buffer: another buffer, and where its elements go."""

    buffer: Value
    placement: Placement


@dataclass(slots=True)
class Views:
    """Where the tensors of a function lie that have no buffer of their own: in which, and where each of their tiles;
    those that nothing but views reads are nowhere (`unread`). `moves` has the views that are copied."""

    homes: dict[Value, tuple[Value, dict[Coord, Coord]]] = field(
        default_factory=dict[Value, tuple[Value, dict[Coord, Coord]]]
    )
    unread: set[Value] = field(default_factory=set[Value])
    moves: dict[Value, list[Copied]] = field(default_factory=dict[Value, list[Copied]])

    def buffer(self, value: Value) -> Value:
        """The buffer that a tensor lies in."""
        return self.homes[value][0] if value in self.homes else value

    def is_buffer(self, value: Value) -> bool:
        """Whether a tensor is a buffer of its own."""
        return value not in self.homes and value not in self.unread

    def place(self, value: Value, coord: Coord) -> TileRef:
        """The tile of a buffer that a tensor's tile is."""
        if value not in self.homes:
            return value, coord
        buffer, coords = self.homes[value]
        return buffer, coords[coord]

    def parts(self, value: Value, coord: Coord, tiled: Tiled) -> list[tuple[Copied, Coord]]:
        """The tiles that a moved view's tile has parts of."""
        return [
            (copied, at)
            for copied in self.moves[value]
            for at in tiles_moved(copied.placement, (tiled[value], tiled[copied.buffer]), coord)
        ]

    def computed(self, ops: Sequence[GraphOp]) -> list[GraphOp]:
        """The operations that compute something, or copy it."""
        return [op for op in ops if not isinstance(op, ViewOp) or op.result in self.moves]

    def axis(self, op: ReduceOp) -> int:
        """The axis that is reduced, in the buffer that its operand lies in, which may have more axes before it, or
        fewer; negative where it is one of those that are missing."""
        (operand,) = op.operands
        ranks = [len(v.type.shape) for v in (self.buffer(operand), operand)]  # type: ignore[attr-defined]
        return op.axis + ranks[0] - ranks[1]


def resolved(ops: Sequence[GraphOp], func: FuncOp, tiled: Tiled) -> Views:
    """The buffers of all tensors of a function's operations. A view that can't lie in another buffer is moved; if it
    would have been others' place, they are looked at again."""
    fixed = _Fixed.of(func)
    moved: set[ViewOp] = set()
    while True:
        attempt = _Attempt(ops, fixed, tiled, frozenset(moved))
        found = attempt.run()
        if not attempt.failed:
            return found
        moved |= attempt.failed


@dataclass(frozen=True, slots=True)
class _Fixed:
    """The tensors that have to be buffers of their own: those that somebody else gives, arguments and results of opaque
    operations, and those that somebody else takes."""

    given: set[Value]
    taken: set[Value]

    @classmethod
    def of(cls, func: FuncOp) -> _Fixed:
        opaque = opaque_ops(func)
        given = [v for op in opaque for v in op.results]
        taken = [v for op in opaque for v in op.operands]
        return cls({*given, *func.args}, {*taken, *func.returned()})


_Parent = tuple[Value, ViewOp, int]
"""What a tensor lies in: a view's operand (-1), or its result, of which it is the operand of that number."""


class _Attempt:
    """One attempt at finding the buffers where some views are moved; `failed` are others that have to be."""

    def __init__(self, ops: Sequence[GraphOp], fixed: _Fixed, tiled: Tiled, moved: frozenset[ViewOp]):
        self.ops = ops
        self.fixed = fixed
        self.tiled = tiled
        self.moved = moved
        self.failed: set[ViewOp] = set()
        self.parents: dict[Value, _Parent] = {}
        self.links: dict[Value, dict[Coord, Coord] | None] = {}
        self.found = Views()

    def run(self) -> Views:
        views = [op for op in self.ops if isinstance(op, ViewOp)]
        self.find_parents([op for op in views if op not in self.moved])
        for op in self.ops:
            if not isinstance(op, ViewOp):
                self.settle_operation(op)
            elif op in self.moved:
                self.copy(op)
        self.found.unread = self.parents.keys() - self.found.homes.keys()
        return self.found

    def find_parents(self, views: Sequence[ViewOp]) -> None:
        """What each tensor lies in. A view lies in its operand, unless it has to be a buffer of its own, since it is
        returned or made of several parts: then its operands lie in it."""
        own = {op.result for op in views if op.result in self.fixed.taken or isinstance(op, ConcatOp)}
        for op in reversed(views):
            if op.result in self.parents:
                own.add(op.result)
            if op.result not in own:
                self.parents[op.result] = (op.operands[0], op, -1)
            elif all(self.can_lie_in(value, op) for value in op.operands):
                self.parents.update((value, (op.result, op, number)) for number, value in enumerate(op.operands))
            else:
                self.failed.add(self.parents[op.result][1] if op.result in self.parents else op)

    def can_lie_in(self, value: Value, op: ViewOp) -> bool:
        """Whether a tensor can lie in a view of it."""
        if isinstance(op, (SliceOp, BroadcastOp)) and op.result.type != value.type:
            return False
        return (
            value not in self.fixed.given
            and value not in self.fixed.taken
            and value not in self.parents
            and value.owner not in self.moved
            and op.operands.count(value) == 1
        )

    def settle_operation(self, op: GraphOp) -> None:
        """Finds the buffers of what an operation reads and makes, whose tiles must be alike."""
        for value in (op.result, *op.operands):
            if value not in self.parents:
                continue
            if value not in self.found.homes:
                self.settle(value)
            if value not in self.found.homes:
                continue
            alike = bare(self.tiled[value].tile) == bare(self.tiled[self.found.buffer(value)].tile)
            if isinstance(op, ReduceOp) and value is not op.result:
                alike = alike and self.found.axis(op) >= 0
            if not alike:
                self.failed.add(self.parents[value][1])

    def settle(self, value: Value) -> None:
        """Finds the buffer of a tensor and its tiles there; where it has none, the first view on the way that is to
        blame."""
        at, coords = value, {coord: coord for coord in self.tiled[value].each_coord()}
        blamed: ViewOp | None = None
        while at in self.parents:
            outer, op, _ = self.parents[at]
            link = self.link(at)
            if link is None:
                blamed = blamed or op
            elif not blamed:
                coords = {coord: link[place] for coord, place in coords.items()}
            at = outer
        if blamed is not None:
            _, strides = self.strides_of(value)
            coords = None if strides is None else tile_map(self.tiled[value], self.tiled[at], strides)
        if coords is not None:
            self.found.homes[value] = at, coords
        elif blamed is not None:
            self.failed.add(blamed)

    def link(self, value: Value) -> dict[Coord, Coord] | None:
        """Which tile of what a tensor lies in each of its tiles is; None where one is none."""
        if value not in self.links:
            outer, op, number = self.parents[value]
            self.links[value] = tile_map(self.tiled[value], self.tiled[outer], strides_in(op, number))
        return self.links[value]

    def strides_of(self, value: Value) -> tuple[Value, Strides | None]:
        """The buffer that a tensor lies in, and how; None where that is nothing even."""
        at, strides = value, (row_major(_shape(value)), 0)
        while at in self.parents:
            outer, op, number = self.parents[at]
            if strides is not None:
                strides = composed(strides, _shape(value), _shape(at), strides_in(op, number))
            at = outer
        return at, strides

    def copy(self, op: ViewOp) -> None:
        """Finds what a moved view is copied from."""
        copied: list[Copied] = []
        at = 0
        for value in op.operands:
            buffer, strides = self.strides_of(value)
            size, within = _shape(op.result), [(0, size) for size in _shape(op.result)]
            inner = strides_in(op, -1)
            if isinstance(op, ConcatOp):
                size, inner = _shape(value), (row_major(_shape(value)), 0)
                within[op.axis] = at, at + size[op.axis]
                at += size[op.axis]
            if strides is not None and buffer is not value:
                strides = composed(inner, size, _shape(value), strides)
            elif strides is not None:
                strides = inner
            if strides is None:
                self.failed.add(self.parents[value][1])
                return
            copied.append(Copied(buffer, Placement(strides[1], strides[0], tuple(within))))
        self.found.moves[op.result] = copied


def tile_map(inside: TiledType, around: TiledType, strides: Strides) -> dict[Coord, Coord] | None:
    """Which tile of a tensor each tile of one that lies in it is; None where one is none."""
    if _without_ones(inside.tile) != _without_ones(around.tile):
        return None
    plain = row_major(around.tensor.shape), 0
    known = {_told(around, coord, plain): coord for coord in around.each_coord()}
    found: dict[Coord, Coord] = {}
    for coord in inside.each_coord():
        at = known.get(_told(inside, coord, strides))
        if at is None:
            return None
        found[coord] = at
    return found


def _without_ones(tile: Coord) -> Coord:
    return tuple([size for size in tile if size > 1])


def _told(type: TiledType, coord: Coord, strides: Strides) -> tuple[Any, ...]:
    """What tells a tile from all others of a tensor: its first element, and its extents with the steps along them."""
    steps, first = strides
    at = first + sum(c * t * step for c, t, step in zip(coord, type.tile, steps, strict=True))
    extents = type.valid(coord)
    return at, *[(size, step) for size, step in zip(extents, steps, strict=True) if size > 1]


def strides_in(op: ViewOp, number: int) -> Strides:
    """How a view lies in its operand (-1), or the operand of a number in the view."""
    source, result = (row_major(v.type.shape) for v in (op.operands[max(number, 0)], op.result))  # type: ignore[attr-defined]
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


def _shape(value: Value) -> Coord:
    return value.type.shape  # type: ignore[attr-defined]
