"""Copies of the part of one tile that belongs to another: what makes a view that does not fall on the tile grid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import prod

from ...ir.light_typing import Any, NamedTuple
from ...ir.opdef import OpError
from ..tiles import Coord, TiledType
from .declaration import ALL, ELEMENTS, Array, Call, Kernel, Parameter, declare

MOST_MOVED = 1 << 22
"""Most elements of a tile that moves may write: where each of them comes from is looked at."""


class Placement(NamedTuple):
    """Where the elements of a tensor are found in another one, the source: that at `within`'s corner is number `first`
    there, row by row, and the next one along each axis lies `steps` further. `within` has for each axis the first
    element that is found there and the one behind the last."""

    first: int
    steps: Coord
    within: tuple[Coord, ...]


Run = tuple[int, int, int, int]
"""Elements that an exec moves: the first one's number in the destination's tile and in the source's, how much further
the next ones lie in the source's, and how many there are. Numbers count what is no padding, row by row."""


def placement_of(op: Any, shape: Coord) -> Placement:
    """What an exec says of its source; `shape` is the destination's."""
    return Placement(op.first or 0, op.steps, op.within or tuple([(0, size) for size in shape]))


def _check(types: Sequence[TiledType], op: Any) -> None:
    dst, source = types
    shape, steps = dst.tensor.shape, getattr(op, "steps", None)
    if dst.dtype != source.dtype:
        raise OpError(f"kernel move: element types differ: {dst} = move {source}")
    if steps is None:
        example = ", ".join(map(str, row_major(shape)))
        raise OpError(f"kernel move takes a step for each axis of the destination: {{steps = [{example}]}}")
    if len(steps) != len(shape) or min(steps) < 0:
        raise OpError(f"kernel move: 'steps' must have {len(shape)} numbers, 0 or more, got {list(steps)}", "steps")
    if prod(dst.tile) > MOST_MOVED:
        raise OpError(f"kernel move works on tiles of {MOST_MOVED:,} elements at most, got {dst}")
    within = getattr(op, "within", None) or [(0, size) for size in shape]
    if len(within) != len(shape):
        raise OpError(f"kernel move: 'within' must have a range for each axis of {dst.tensor}", "within")
    for axis, (ends, size) in enumerate(zip(within, shape, strict=True)):
        if len(ends) != 2 or not 0 <= ends[0] < ends[1] <= size:
            message = f"kernel move: {list(ends)} is no range [start, end) within the {size} elements of axis {axis}"
            raise OpError(message, "within")
    first = getattr(op, "first", None) or 0
    last = first + sum(step * (end - start - 1) for step, (start, end) in zip(steps, within, strict=True))
    count = prod(source.tensor.shape)
    if first < 0 or last >= count:
        raise OpError(f"kernel move: elements {first} to {last} lie outside the {count} of {source.tensor}", "steps")


def row_major(shape: Coord) -> Coord:
    """How far the next element along each axis lies from one, row by row."""
    steps = [1]
    for size in reversed(shape[1:]):
        steps.append(steps[-1] * size)
    return tuple(reversed(steps))


def moved_runs(placement: Placement, types: Sequence[TiledType], coords: Sequence[Coord]) -> tuple[Run, ...]:
    """Which elements of a source's tile an exec moves, and where to; destination first."""
    source, at = types[1], coords[1]
    starts = [c * t for c, t in zip(at, source.tile, strict=True)]
    extents = source.valid(at)
    local = row_major(extents)
    found: list[Run] = []
    for to, place, axis, step, count in _stretches(placement, types[0], coords[0], source.tensor.shape):
        inner = [x - start for x, start in zip(place, starts, strict=True)]
        if any(not 0 <= x < size for i, (x, size) in enumerate(zip(inner, extents, strict=True)) if i != axis):
            continue
        skipped = max(-(inner[axis] // step), 0) if step else 0
        end = min(count, -((inner[axis] - extents[axis]) // step)) if step else count
        if end <= skipped or not (step or 0 <= inner[axis] < extents[axis]):
            continue
        inner[axis] += skipped * step
        at_source = sum(x * further for x, further in zip(inner, local, strict=True))
        found.append((to + skipped, at_source, step * local[axis], end - skipped))
    return tuple(found)


def elements_moved(placement: Placement, types: Sequence[TiledType], coords: Sequence[Coord]) -> int:
    """A bit for each element of the destination's tile that an exec writes."""
    found = 0
    for to, _, _, count in moved_runs(placement, types, coords):
        found |= ((1 << count) - 1) << to
    return found


def tiles_moved(placement: Placement, types: Sequence[TiledType], coord: Coord) -> list[Coord]:
    """The source's tiles that have a part of the destination's tile, in the order in which its elements need them."""
    source = types[1]
    found: dict[Coord, None] = {}
    for _, place, axis, step, count in _stretches(placement, types[0], coord, source.tensor.shape):
        tile = [x // size for x, size in zip(place, source.tile, strict=True)]
        size = source.tile[axis]
        for number in dict.fromkeys((place[axis] + i * step) // size for i in range(count if step else 1)):
            found[(*tile[:axis], number, *tile[axis + 1 :])] = None
    return list(found)


def _stretches(
    placement: Placement, dst: TiledType, coord: Coord, shape: Coord
) -> Iterator[tuple[int, list[int], int, int, int]]:
    """Of a destination's tile, stretches of elements along its last axis that lie along one axis of the source: the
    first one's number in the tile, its place in the source, that axis, the step along it, and how many they are."""
    first, steps, within = placement
    tile = [c * t for c, t in zip(coord, dst.tile, strict=True)]
    extents = dst.valid(coord)
    local = row_major(extents)
    ranges = [
        range(max(low, start), min(low + size, end))
        for low, size, (start, end) in zip(tile, extents, within, strict=True)
    ]
    *outer, last = ranges
    if not last:
        return
    further, radix = steps[-1], row_major(shape)
    axis = next((i for i, unit in enumerate(radix) if further and further % unit == 0), len(shape) - 1)
    step = further // radix[axis]
    for places in product(*outer):
        place = (*places, last.start)
        number = first + sum((x - ends[0]) * s for x, ends, s in zip(place, within, steps, strict=True))
        to = sum((x - low) * unit for x, low, unit in zip(place, tile, local, strict=True))
        done = 0
        while done < len(last):
            found = _unravelled(number + done * further, shape)
            count = len(last) - done
            if step:
                count = min(count, -((found[axis] - shape[axis]) // step))
            yield to + done, found, axis, step, count
            done += count


def _unravelled(number: int, shape: Coord) -> list[int]:
    """The place of an element by its number, row by row."""
    found: list[int] = []
    for size in reversed(shape):
        number, at = divmod(number, size)
        found.append(at)
    return found[::-1]


def _meaning(np: Any, call: Call, source: Array) -> Array:
    """Writes the elements that lie in the source's tile, each found by itself, and leaves all others."""
    (dst, src), (to, at) = call.types, call.coords
    first, steps, within = call.params
    extents = dst.valid(to)
    places = np.indices(extents).reshape(len(extents), -1)
    spots = places + np.multiply(to, dst.tile)[:, None]
    ends = np.array(within or [(0, size) for size in dst.tensor.shape])
    inside = ((spots >= ends[:, :1]) & (spots < ends[:, 1:])).all(axis=0)
    places, spots = places[:, inside], spots[:, inside]
    numbers = first + (np.array(steps)[:, None] * (spots - ends[:, :1])).sum(axis=0)
    found = np.array(np.unravel_index(numbers, src.tensor.shape)) - np.multiply(at, src.tile)[:, None]
    here = ((found >= 0) & (found < np.array(src.tile)[:, None])).all(axis=0)
    assert call.out is not None
    call.out[tuple(places[:, here])] = source[tuple(found[:, here])]
    return call.out


def _along_none(op: object, shapes: Sequence[Coord]) -> tuple[Coord, ...]:
    """Which tiles are read, and how much of them, follows from their parameters and coordinates alone."""
    return tuple([(ALL,) * len(shape) for shape in shapes[1:]])


def _smaller(tiles: Sequence[Sequence[int]]) -> int:
    return min(map(prod, tiles))


MOVE = declare(
    Kernel(
        "move",
        sources=("value",),
        parameters=(Parameter("first", "first", 0), Parameter("steps", "steps"), Parameter("within", "within", ())),
        combine="part",
        is_sum=False,
        commutes=False,
        idempotent=False,
        clamps=None,
        starts=False,
        in_place=frozenset(),
        keeps_zeros=True,
        dtypes=(),
        check=_check,
        reads=_along_none,
        meaning=_meaning,
        algebra=None,
        ulps=0,
        work=_smaller,
        rate=ELEMENTS,
        onnx=None,
        summary="the elements of the source's tile that belong to the destination's, where element p of the "
        "destination is number `first` + p * `steps` of the source, row by row, `p` counting from the start of "
        "`within`; `+=` writes its elements and leaves the others",
        example="uop.exec move %y[0, 1] += %x[2, 0] {first = 4, steps = [1, 8]}",
    )
)
