"""Which tiles a view has if what it is a view of is cut in tiles of a shape, and the other way round."""

from __future__ import annotations

from ..dialects.graph import ViewOp
from ..dialects.views import ReshapeOp, TransposeOp
from ..ir.core import Value

Shape = tuple[int, ...]


def tile_in_result(op: ViewOp, tile: Shape) -> Shape | None:
    """The tiles of a view whose operand is cut in these; None where there are none."""
    if isinstance(op, TransposeOp):
        return tuple([tile[axis] for axis in op.permutation])
    if isinstance(op, ReshapeOp):
        return _reshaped(tile, op.operands[0], op.result)
    return tile


def tile_in_operand(op: ViewOp, value: Value, tile: Shape) -> Shape | None:
    """The tiles of an operand whose view is cut in these; None where there are none."""
    if isinstance(op, TransposeOp):
        return tuple([tile[op.permutation.index(axis)] for axis in range(len(tile))])
    if isinstance(op, ReshapeOp):
        return _reshaped(tile, op.result, value)
    return tile


def _reshaped(tile: Shape, given: Value, wanted: Value) -> Shape | None:
    """The tiles of the same elements under another shape: within each group of axes that hold the same elements, what
    a tile has is within one axis of either."""
    found: list[int] = []
    for axes, others in groups(_shape(given), _shape(wanted)):
        sizes = [(_shape(given)[i], tile[i]) for i in axes]
        targets = [_shape(wanted)[i] for i in others]
        made = _within_group([size for size in sizes if size[0] > 1], [size for size in targets if size > 1])
        if made is None:
            return None
        rest = iter(made)
        found += [next(rest) if size > 1 else 1 for size in targets]
    return tuple(found)


def _within_group(sizes: list[tuple[int, int]], targets: list[int]) -> list[int] | None:
    """The tile sizes of a group's axes, given sizes and tiles of the axes that it had; None where there are none."""
    if [size for size, _ in sizes] == targets:
        return [tile for _, tile in sizes]
    tiled = [i for i, (_, tile) in enumerate(sizes) if tile > 1]
    if not tiled:
        return [1] * len(targets)
    size, tile = sizes[-1]
    if tiled != [len(sizes) - 1] or targets[-1] % tile or size % tile:
        return None
    return [1] * (len(targets) - 1) + [tile]


def groups(given: Shape, wanted: Shape) -> list[tuple[list[int], list[int]]]:
    """The axes of two shapes in groups that hold equally many elements, as small as can be."""
    found: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(given) or j < len(wanted):
        one, other, a, b = [], [], 1, 1
        while True:
            if i < len(given) and (a <= b or j >= len(wanted)):
                a *= given[i]
                one.append(i)
                i += 1
            elif j < len(wanted):
                b *= wanted[j]
                other.append(j)
                j += 1
            if a == b and (one or other):
                break
        found.append((one, other))
    return found


def _shape(value: Value) -> Shape:
    return value.type.shape  # type: ignore[attr-defined]
