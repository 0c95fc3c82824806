"""Tile sizes that views leave: along each axis of a tensor, a number that the size of its tiles has to divide, and one
that it must not be larger than.

A slice has to start and end on tile borders and to be no smaller than a tile, a head of a projection has to be whole
tiles, and two axes that change places can't both be cut in tiles of more than one element. What is asked of one
tensor's axis is asked of all that are cut alike: those that a chain of operations reads and makes along it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations
from math import gcd

from ..dialects.graph import GraphOp, MatmulOp, ViewOp
from ..dialects.kernels import KERNELS
from ..dialects.views import BroadcastOp, ConcatOp, ReshapeOp, SliceOp, TransposeOp
from ..ir.core import Value
from .view_tiles import groups

Axis = tuple[Value, int]
Shape = tuple[int, ...]


class Limits:
    """What tile sizes along tensors' axes have to be, by the views of some operations: `numbers` are what they divide,
    `most` what they are at most. Axes that are `alike` are cut alike whatever the operations want."""

    def __init__(self, ops: list[GraphOp], alike: Iterable[tuple[Axis, Axis]] = ()):
        self.parent: dict[Axis, Axis] = {}
        self.numbers: dict[Axis, int] = {}
        self.most: dict[Axis, int] = {}
        if not any(isinstance(op, ViewOp) for op in ops):
            return
        for one, other in (*alike, *[pair for op in ops for pair in _alike(op)]):
            self.join(one, other)
        for op in ops:
            for axis, number in _asked(op):
                self.limit(axis, number)
            for value, axis in _parts(op):
                self.keep_within(value, axis)
        for op in ops:
            if isinstance(op, TransposeOp):
                self.part(op)

    def fit(self, value: Value, axis: int, size: int) -> int:
        """The largest tile size, at most `size`, that is possible along an axis."""
        if not self.parent:
            return size
        root = self.find((value, axis))
        number, size = self.numbers.get(root, 0), min(size, self.most.get(root, size))
        if not number:
            return size
        return next(n for n in range(min(size, number), 0, -1) if number % n == 0)

    def find(self, axis: Axis) -> Axis:
        root = axis
        while (above := self.parent.get(root, root)) != root:
            root = above
        while axis != root:
            self.parent[axis], axis = root, self.parent[axis]
        return root

    def join(self, one: Axis, other: Axis) -> None:
        self.parent[self.find(one)] = self.find(other)

    def limit(self, axis: Axis, number: int) -> None:
        root = self.find(axis)
        self.numbers[root] = gcd(self.numbers.get(root, 0), number)

    def keep_within(self, value: Value, axis: int) -> None:
        """Has no tile along an axis larger than a tensor is along it."""
        root, size = self.find((value, axis)), _shape(value)[axis]
        self.most[root] = min(self.most.get(root, size), size)

    def part(self, op: TransposeOp) -> None:
        """Has one of each two axes that change places cut into single elements: one that is already, or else the one
        that comes first in the result. A matrix that is turned is left alone: no tile would do."""
        shape, order, last = _shape(op.result), op.permutation, len(op.permutation) - 2
        for i, j in combinations(range(len(order)), 2):
            if order[i] < order[j] or 1 in (shape[i], shape[j]) or (i >= last and order[j] >= last):
                continue
            if all(self.numbers.get(self.find((op.result, axis))) != 1 for axis in (i, j)):
                self.limit((op.result, i), 1)


def _shape(value: Value) -> Shape:
    return value.type.shape  # type: ignore[attr-defined]


def _alike(op: GraphOp) -> Iterator[tuple[Axis, Axis]]:
    """The axes of its operands and its result that an operation wants cut alike."""
    result, rank = op.result, len(_shape(op.result))
    if isinstance(op, MatmulOp):
        yield from _alike_in_product(op, rank)
    elif isinstance(op, TransposeOp):
        yield from (((op.operands[0], axis), (result, i)) for i, axis in enumerate(op.permutation))
    elif isinstance(op, ReshapeOp):
        yield from (((op.operands[0], i), (result, j)) for i, j in _reshaped(op))
    elif isinstance(op, ViewOp):
        yield from (
            ((value, axis), (result, axis))
            for value in op.operands
            for axis in range(rank)
            if not isinstance(op, BroadcastOp) or _shape(value)[axis] > 1
        )
    elif op.is_composite:
        yield from _alike_from_behind(op)
    elif op.kernel:
        axes = KERNELS[op.kernel].reads(op, [_shape(v) for v in (result, *op.operands)])
        for value, along in zip(op.operands, axes, strict=True):
            yield from (((value, i), (result, axis)) for i, axis in enumerate(along) if 0 <= axis < rank)


def _alike_from_behind(op: GraphOp) -> Iterator[tuple[Axis, Axis]]:
    """The axes along which an operand has as many elements as the result, counted from the last one."""
    shape = _shape(op.result)
    for value in op.operands:
        own = _shape(value)
        ends = range(1, min(len(own), len(shape)) + 1)
        yield from (((value, len(own) - i), (op.result, len(shape) - i)) for i in ends if own[-i] == shape[-i])


def _alike_in_product(op: MatmulOp, rank: int) -> Iterator[tuple[Axis, Axis]]:
    a, b = op.operands[:2]
    ends = [(value, len(_shape(value)) - 2, len(_shape(value)) - 1) for value in (a, b)]
    turned = op.transpose_a is not None, op.transpose_b is not None
    (m, k), (other, n) = (
        ((value, last), (value, first)) if swapped else ((value, first), (value, last))
        for (value, first, last), swapped in zip(ends, turned, strict=True)
    )
    yield m, (op.result, rank - 2)
    yield n, (op.result, rank - 1)
    yield k, other
    if op.bias is not None:
        yield (op.bias, 0), (op.result, rank - 1)


def _reshaped(op: ReshapeOp) -> Iterator[tuple[int, int]]:
    """The axes of a reshape that are cut alike, of the operand and of the result."""
    for one, other in _groups(op):
        pairs = zip(one, other, strict=True) if _sizes(one) == _sizes(other) else [(one[-1], other[-1])]
        yield from ((i, j) for (_, i), (_, j) in pairs)


def _groups(op: ReshapeOp) -> Iterator[tuple[list[Axis], list[Axis]]]:
    """The axes of a reshape's operand and of its result that hold the same elements, without those of one element."""
    source, result = op.operands[0], op.result
    for axes, others in groups(_shape(source), _shape(result)):
        one, other = ([(v, i) for i in own if _shape(v)[i] > 1] for v, own in ((source, axes), (result, others)))
        if one:
            yield one, other


def _sizes(axes: list[Axis]) -> list[int]:
    return [_shape(value)[axis] for value, axis in axes]


def _asked(op: GraphOp) -> Iterator[tuple[Axis, int]]:
    """The axes of which an operation asks that their tiles' size divides a number: what is computed is cut into single
    elements along all axes but the last two."""
    if not isinstance(op, ViewOp):
        for value in (*op.operands[:2], op.result) if isinstance(op, MatmulOp) else (op.result,):
            yield from (((value, axis), 1) for axis in range(len(_shape(value)) - 2) if _shape(value)[axis] > 1)
    elif isinstance(op, ReshapeOp):
        yield from _asked_by_reshape(op)
    elif isinstance(op, SliceOp):
        for axis, (start, size) in enumerate(zip(op.starts, op.sizes, strict=True)):
            end = start + size
            whole = _shape(op.operands[0])[axis]
            yield (op.result, axis), gcd(start, end if end < whole else 0)
    elif isinstance(op, ConcatOp):
        at = 0
        for value in op.operands:
            yield (op.result, op.axis), at
            at += _shape(value)[op.axis]
    elif isinstance(op, BroadcastOp):
        pairs = zip(_shape(op.operands[0]), _shape(op.result), strict=True)
        yield from (((op.result, axis), 1) for axis, (one, other) in enumerate(pairs) if one != other)


def _parts(op: GraphOp) -> Iterator[Axis]:
    """The tensors that are parts of others, with the axes along which they are."""
    if isinstance(op, SliceOp):
        wholes = _shape(op.operands[0])
        yield from ((op.result, axis) for axis, size in enumerate(op.sizes) if size < wholes[axis])
    elif isinstance(op, ConcatOp):
        yield from ((value, op.axis) for value in op.operands)


def _asked_by_reshape(op: ReshapeOp) -> Iterator[tuple[Axis, int]]:
    """Within each group of axes that hold the same elements the last ones may be cut, all others into single
    elements."""
    for one, other in _groups(op):
        if _sizes(one) != _sizes(other):
            yield from ((axis, 1) for axis in (*one[:-1], *other[:-1]))
            yield one[-1], gcd(*_sizes([one[-1], other[-1]]))
