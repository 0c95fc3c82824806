"""Off-chip buffers in tiles, with zero-padded edges, and running kernels on tiles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..dialects.kernels import KERNELS, Call, Kernel
from ..dialects.tile_ops import ExecBase
from ..dialects.tiles import Coord, TiledType, tiled
from ..ir.core import Operation
from .integers import in_i32
from .numerics import Array, activate, combined, numpy_dtype


class Buffer:
    """A tiled off-chip buffer: `tiles` has shape (*grid, *tile), so that each tile is contiguous.

    `stored` maps each tile that exists off chip to the operation that stored it (None for an argument's); the bytes of
    a tile that is not there are poison.
    """

    __slots__ = ("stored", "tiles", "type")

    def __init__(self, type: TiledType, data: Array | None = None):
        self.type = type
        self.stored: dict[Coord, Operation | None] = {}
        if data is None:
            self.tiles = np.empty((*type.grid, *type.tile), numpy_dtype(type.dtype))
            self.tiles.view(np.uint8)[...] = POISON
            return
        whole = np.ascontiguousarray(data, numpy_dtype(type.dtype))
        if type.is_padded:
            whole = np.pad(whole, [(0, g * t - d) for g, t, d in zip(type.grid, type.tile, whole.shape, strict=True)])
        cut = whole.reshape([size for pair in zip(type.grid, type.tile, strict=True) for size in pair])
        rank = type.tensor.rank
        self.tiles = np.ascontiguousarray(cut.transpose(*range(0, 2 * rank, 2), *range(1, 2 * rank, 2)))
        self.stored = dict.fromkeys(type.coords())

    def whole(self) -> Array:
        """The tensor without its padding."""
        return whole_of(self.type, self.tiles)


def whole_of(type: TiledType, tiles: Array) -> Array:
    """A tensor from its tiles, of shape (*grid, *tile), without their padding."""
    rank = type.tensor.rank
    order = [axis + which for axis in range(rank) for which in (0, rank)]
    whole = tiles.transpose(order).reshape([g * t for g, t in zip(type.grid, type.tile, strict=True)])
    return whole[tuple(map(slice, type.tensor.shape))].copy()


POISON = 0xFF
"""The byte that fills what must not be read: NaN in every float type, -1 in the integers."""


def valid_part(type: TiledType, coord: Coord) -> tuple[int, ...] | None:
    """How much of a tile along each axis is not padding; None for a tile without any."""
    sizes = type.valid(coord)
    return None if sizes == type.tile else sizes


def clear_padding(tile: Array, part: tuple[int, ...]) -> None:
    """Makes a tile's padding zero."""
    for axis, size in enumerate(part):
        tile[(slice(None),) * axis + (slice(size, None),)] = 0


def within_rank(array: Array, rank: int) -> Array:
    """A source's tile, or what is made of it, without leading axes of one element that the destination's doesn't have:
    its buffer may hold a view of fewer axes."""
    return array.reshape(array.shape[-rank:]) if array.ndim > rank else array


def valid_along(op: ExecBase, axis: int, source: Array) -> Array:
    """What is no padding along the axis that an exec reduces: a maximum must not see it."""
    size = tiled(op.operands[1]).valid(op.coords[1])[axis]
    return source[(slice(None),) * axis + (slice(size),)]


def summed_part(op: ExecBase, kernel: Kernel) -> tuple[list[int], int]:
    """The axes, counted from behind, that a product sums its sources along, and how much is no padding there."""
    types = [tiled(v) for v in op.operands]
    k = types[0].tensor.rank
    axes = [along.index(k) for along in kernel.reads(op, [t.tensor.shape for t in types])]
    behind = [axis - t.tensor.rank for axis, t in zip(axes, types[1:], strict=True)]
    size = min(t.valid(c)[axis] for t, c, axis in zip(types[1:], op.coords[1:], axes, strict=True))
    return behind, size


def without_padding(op: ExecBase, kernel: Kernel, sources: Sequence[Array]) -> list[Array]:
    """A product's sources without padding along the axis that it sums along, where a zero point is taken from them:
    padding is zero, and stands for no zero there."""
    axes, size = summed_part(op, kernel)
    cuts = [(..., slice(size), *[slice(None)] * (-1 - axis)) for axis in axes]
    return [source[cut] for source, cut in zip(sources, cuts, strict=True)]


def move(op: ExecBase, kernel: Kernel, dst: Array, sources: list[Array], part: tuple[int, ...] | None) -> None:
    """Runs a kernel that writes a part of a tile and leaves the rest."""
    types = [tiled(v) for v in op.operands]
    kernel.meaning(np, Call(kernel.params_of(op), dst.dtype, dst, types, op.coords), *sources)
    if op.activation is not None:
        dst[...] = activate(dst, op)
    if part is not None:
        clear_padding(dst, part)


def execute(op: ExecBase, dst: Array, sources: list[Array], part: tuple[int, ...] | None, wrap: bool = False) -> None:
    """Runs a kernel on tiles, `dst` in place; `part` is the destination's part that is no padding.

    Raises `DiagnosticError` for an i32 beyond its range that may not `wrap`.
    """
    kernel = KERNELS[op.kernel]
    if kernel.combine == "part":
        move(op, kernel, dst, sources, part)
        return
    if op.axis is None:
        sources = [within_rank(source, dst.ndim) for source in sources]
        if op.zero_point_a is not None or op.zero_point_b is not None:
            sources = without_padding(op, kernel, sources)
    else:
        sources = [valid_along(op, op.axis, source) for source in sources]
    made = within_rank(kernel.meaning(np, Call(kernel.params_of(op), dst.dtype), *sources), dst.ndim)
    if op.accumulate:
        made = combined(kernel, dst, made)
    if dst.dtype == np.int32:
        value = op.operands[0]
        assert isinstance(value.type, TiledType)
        corner = [c * t for c, t in zip(op.coords[0], value.type.tile, strict=True)]
        made = in_i32(made, kernel, wrap, op, value, corner)
    dst[...] = made
    if op.activation is not None:
        dst[...] = activate(dst, op)
    if part is not None:
        clear_padding(dst, part)
