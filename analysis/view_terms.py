"""Views in the proof, by a definition of their own: where each element of a tile lies, one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

from ..dialects.graph import ViewOp
from ..dialects.tiles import Coord, TiledType
from ..ir.types import TensorType


def viewed_tiles(op: ViewOp, types: Sequence[TiledType]) -> tuple[Coord, dict[Coord, tuple[int, Coord]]]:
    """The tiles of a view of operands that are cut in tiles of these types, and of each the operand and the tile there
    that it is: all of its elements, in order. Raises `ValueError` where a tile is none."""
    assert isinstance(op.result.type, TensorType)
    tile = _tile(op, op.result.type.shape, types)
    result = TiledType(op.result.type, tile)
    found = {coord: _whole_tile(op, result, coord, types) for coord in result.each_coord()}
    return tile, found


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


def _whole_tile(op: ViewOp, result: TiledType, coord: Coord, types: Sequence[TiledType]) -> tuple[int, Coord]:
    """The operand and the tile there whose elements are those of a view's tile, in the same order."""
    start = tuple([c * size for c, size in zip(coord, result.tile, strict=True)])
    number, at = _tile_of(op, start, types)
    type = types[number]
    extents = result.valid(coord), type.valid(at)
    if _without_ones(extents[0]) != _without_ones(extents[1]) or _without_ones(result.tile) != _without_ones(type.tile):
        sizes = ["x".join(map(str, extent)) for extent in extents]
        raise ValueError(f"its tile of {sizes[0]} elements is not the operand's tile of {sizes[1]}")
    first = tuple([c * size for c, size in zip(at, type.tile, strict=True)])
    for inner, outer in zip(_places(extents[0], start), _places(extents[1], first), strict=True):
        if op.source(inner) != (number, outer):
            raise ValueError("its elements lie in another order than those of its operand's tile")
    return number, at


def _places(extent: Coord, start: Coord) -> Iterator[Coord]:
    return product(*[range(a, a + size) for a, size in zip(start, extent, strict=True)])


def _without_ones(sizes: Coord) -> Coord:
    return tuple([size for size in sizes if size > 1])
