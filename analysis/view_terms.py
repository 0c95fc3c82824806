"""Views in the proof, by a definition of their own: where each element of a tile lies, one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

from ..dialects.graph import ViewOp
from ..dialects.tiles import Coord, TiledType
from ..ir.types import TensorType


class WholeTile(NamedTuple):
    """All elements, in order, of a tile of an operand: the operand's number, and the tile's place."""

    number: int
    coord: Coord


ViewedTile = WholeTile | list[tuple[int, Coord, int]]
"""A tile of a view: one of an operand, or for each element the operand's number, the tile there that it lies in, and
its number among the elements of that, row by row."""


def viewed_tiles(op: ViewOp, types: Sequence[TiledType], hint: Coord | None) -> tuple[Coord, dict[Coord, ViewedTile]]:
    """The tiles of a view of operands that are cut in tiles of these types. They are as a `hint` has them, or as large
    as those that they lie in."""
    assert isinstance(op.result.type, TensorType)
    tile = hint or _tile(op, op.result.type.shape, types)
    result = TiledType(op.result.type, tile)
    return tile, {c: _whole_tile(op, result, c, types) or _elements(op, result, c, types) for c in result.each_coord()}


def _elements(op: ViewOp, result: TiledType, coord: Coord, types: Sequence[TiledType]) -> list[tuple[int, Coord, int]]:
    start = tuple([c * size for c, size in zip(coord, result.tile, strict=True)])
    found: list[tuple[int, Coord, int]] = []
    for place in _places(result.valid(coord), start):
        number, at = op.source(place)
        type = types[number]
        tile = tuple([x // size for x, size in zip(at, type.tile, strict=True)])
        inner = 0
        for x, size, extent in zip(at, type.tile, type.valid(tile), strict=True):
            inner = inner * extent + x % size
        found.append((number, tile, inner))
    return found


def _tile(op: ViewOp, shape: Coord, types: Sequence[TiledType]) -> Coord:
    """How far the first tile reaches along each axis: as long as its elements lie in one tile of an operand."""
    origin = (0,) * len(shape)
    first = _tile_of(op, origin, types)
    reach: list[int] = []
    for axis, size in enumerate(shape):
        seen = {op.source(origin)}
        count = 1
        while count < size:
            place = (*origin[:axis], count, *origin[axis + 1 :])
            if _tile_of(op, place, types) != first or op.source(place) in seen:
                break
            seen.add(op.source(place))
            count += 1
        reach.append(count)
    return tuple(reach)


def _tile_of(op: ViewOp, place: Coord, types: Sequence[TiledType]) -> tuple[int, Coord]:
    """The operand, and the tile there, that an element of a view lies in."""
    number, at = op.source(place)
    return number, tuple([x // size for x, size in zip(at, types[number].tile, strict=True)])


def _whole_tile(op: ViewOp, result: TiledType, coord: Coord, types: Sequence[TiledType]) -> WholeTile | None:
    """The operand and the tile there whose elements are those of a view's tile, in the same order; None for none."""
    start = tuple([c * size for c, size in zip(coord, result.tile, strict=True)])
    number, at = _tile_of(op, start, types)
    type = types[number]
    extents = result.valid(coord), type.valid(at)
    if _without_ones(extents[0]) != _without_ones(extents[1]) or _without_ones(result.tile) != _without_ones(type.tile):
        return None
    first = tuple([c * size for c, size in zip(at, type.tile, strict=True)])
    for inner, outer in zip(_places(extents[0], start), _places(extents[1], first), strict=True):
        if op.source(inner) != (number, outer):
            return None
    return WholeTile(number, at)


def _places(extent: Coord, start: Coord) -> Iterator[Coord]:
    return product(*[range(a, a + size) for a, size in zip(start, extent, strict=True)])


def _without_ones(sizes: Coord) -> Coord:
    return tuple([size for size in sizes if size > 1])
