"""Which tiles of a graph are not computed, since a causal mask leaves nothing of them: they are full of minus infinity,
of zero once `exp` has been applied, and add nothing to what is made of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import inf

from ..dialects.graph import GraphOp, ReduceOp, ViewOp
from ..dialects.kernels import KERNELS
from ..dialects.kernels.constants import IDENTITY, LAWS
from ..dialects.kernels.declaration import coords_along
from ..dialects.masks import CausalMaskOp, diagonal_of
from ..dialects.tiles import Coord, TiledType, TileRef
from ..ir.core import Value
from .graph_nests import axes_of, depth_of
from .left_out import LeftOut
from .views import Views

Execs = set[tuple[int, Coord, int]]
"""Operations by number, with the coordinates of a tile of the result, and k."""


def left_out(
    ops: Sequence[GraphOp], tiled: Mapping[Value, TiledType], views: Views, kept: Iterable[Value]
) -> LeftOut | None:
    """What need not be computed of operations; all tiles of what is `kept` are needed, as are those of what moves read
    and write. None where nothing is left out."""
    if not any(isinstance(op, CausalMaskOp) for op in ops):
        return None
    moved = [v for op in ops if isinstance(op, ViewOp) for v in (*op.operands, op.result)]
    return _Masked(ops, tiled, views).left_out({views.buffer(v) for v in (*kept, *moved)})


class _Masked:
    """The tiles that are full of one number, as far as masks tell; `useless` are the parts of sums and maxima that
    change nothing, `partial` the tiles that lack some and how many they have."""

    def __init__(self, ops: Sequence[GraphOp], tiled: Mapping[Value, TiledType], views: Views):
        self.ops = ops
        self.reads = [
            [(v, coords_along(axes)) for v, axes in zip(op.operands, axes_of(op, tiled), strict=False)] for op in ops
        ]
        self.depths = [depth_of(op, tiled) for op in ops]
        self.tiled = tiled
        self.views = views
        self.full: dict[TileRef, float] = {}
        self.useless: Execs = set()
        self.partial: dict[tuple[int, Coord], int] = {}
        for i, op in enumerate(ops):
            for coord in tiled[op.result].each_coord():
                number = self.of_sum(i, op, coord) if self.depths[i] else self.of_tile(i, op, coord)
                if number is not None:
                    self.full[views.place(op.result, coord)] = number

    def sources(self, i: int, coord: Coord, k: int) -> list[TileRef]:
        """The tiles that an exec reads."""
        return [self.views.place(value, along((*coord, k, 0))) for value, along in self.reads[i]]

    def of_tile(self, i: int, op: GraphOp, coord: Coord) -> float | None:
        """The number that a tile of an operation that sums nothing is full of, if any."""
        if isinstance(op, CausalMaskOp):
            type = self.tiled[op.result]
            return -inf if diagonal_of(op, coord, type.tile) + type.valid(coord)[-2] <= 0 else None
        if isinstance(op, ViewOp):
            return None
        first, *others = self.sources(i, coord, 0)
        law = LAWS.get((op.kernel, self.full.get(first)))
        if law is None or len(others) != (law.beside is not None):
            return None
        return law.gives if law.beside is None or self.is_reduced(op.operands[1], others[0], law.beside) else None

    def is_reduced(self, value: Value, place: TileRef, combine: str) -> bool:
        """Whether a value is a reduction of a kind, and its tile at a place one that is made of something."""
        owner = value.owner
        return isinstance(owner, ReduceOp) and KERNELS[owner.kernel].combine == combine and place not in self.full

    def of_sum(self, i: int, op: GraphOp, coord: Coord) -> float | None:
        """Notes the parts of a product, or of a reduction, that change nothing of its tile, unless all do: then a
        reduction's is full of one number."""
        steps, identity = self.depths[i], IDENTITY.get(KERNELS[op.kernel].combine or "")
        if identity is None:
            return None
        useless = [k for k in range(steps) if identity in [self.full.get(s) for s in self.sources(i, coord, k)]]
        if len(useless) == steps:
            return identity if isinstance(op, ReduceOp) else None
        if useless:
            self.useless.update((i, coord, k) for k in useless)
            self.partial[i, coord] = steps - len(useless)
        return None

    def left_out(self, kept: set[Value]) -> LeftOut | None:
        """The parts that change nothing, and the tiles that nothing else reads. Whatever has no reader at all stays."""
        needed: set[TileRef] = set()
        read: set[TileRef] = set()
        execs = set(self.useless)
        for i, op in reversed(list(enumerate(self.ops))):
            for coord in self.tiled[op.result].each_coord():
                place = self.views.place(op.result, coord)
                gone = place in read and place not in needed and place[0] not in kept
                for k in range(max(self.depths[i], 1)):
                    sources = self.sources(i, coord, k)
                    read.update(sources)
                    if gone:
                        execs.add((i, coord, k))
                    elif (i, coord, k) not in self.useless:
                        needed.update(sources)
        return LeftOut(execs, self.partial) if execs else None
