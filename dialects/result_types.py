"""The types of the graph operations' results, by those of their operands."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from ..ir.attributes import Unit
from ..ir.opdef import OpError
from ..ir.types import MAX_RANK, TensorType
from .kernels.products import ACCUMULATOR, turn
from .kernels.reductions import RESULT_TYPES, without


def result_of_matmul(
    a: TensorType, b: TensorType, transpose_a: Unit | None = None, transpose_b: Unit | None = None
) -> TensorType:
    """The type of A x B, either of which may be read transposed. Raises `OpError` for ranks, inner or batch dimensions
    or element types that don't fit."""
    if not (2 <= a.rank <= MAX_RANK and 2 <= b.rank <= MAX_RANK):
        raise OpError(f"graph.matmul: both operands have ranks from 2 to {MAX_RANK}, got {a} and {b}")
    swapped = transpose_a is not None, transpose_b is not None
    m, inner = turn(a.shape[-2:], swapped[0])
    other, n = turn(b.shape[-2:], swapped[1])
    if inner != other:
        sides = "rows" if swapped[0] else "columns", "columns" if swapped[1] else "rows"
        counts = f"{a} has {inner} {sides[0]}, {b} has {other} {sides[1]}"
        raise OpError(f"graph.matmul: inner dimensions differ: {counts}")
    if a.dtype != b.dtype or a.dtype not in ACCUMULATOR:
        raise OpError(f"graph.matmul: operands are both f32, f16, bf16 or i8, got {a.dtype} and {b.dtype}")
    return TensorType((*_batches(a, b), m, n), ACCUMULATOR[a.dtype])


def _batches(a: TensorType, b: TensorType) -> tuple[int, ...]:
    """The leading axes of a product: those of both operands, as NumPy broadcasts them. Raises `OpError`."""
    one, other = a.shape[:-2], b.shape[:-2]
    count = max(len(one), len(other))
    pairs = list(zip((1,) * (count - len(one)) + one, (1,) * (count - len(other)) + other, strict=True))
    if any(x != y and 1 not in (x, y) for x, y in pairs):
        raise OpError(f"graph.matmul: batch dimensions differ: {a} has {_sizes(one)}, {b} has {_sizes(other)}")
    return tuple([max(pair) for pair in pairs])


def _sizes(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "none"


def result_of_elementwise(name: str, types: Sequence[TensorType]) -> TensorType:
    """The type of a function of tensors, broadcast to one shape as NumPy does: axis by axis from the last, where one is
    missing or has one element it counts for all of the other's. Raises `OpError`."""
    first, *others = types
    shape = first.shape
    for other in others:
        if other.dtype != first.dtype:
            raise OpError(f"{name}: element types differ: {first} and {other}")
        pairs = list(zip_longest(reversed(shape), reversed(other.shape), fillvalue=1))
        if any(a != b and 1 not in (a, b) for a, b in pairs):
            raise OpError(f"{name}: {first} and {other} can't be broadcast to one shape")
        shape = tuple([max(pair) for pair in reversed(pairs)])
    return TensorType(shape, first.dtype)


def result_of_reduce(a: TensorType, kind: str, axes: Sequence[int]) -> TensorType:
    """The type of a reduction: one element is left along each of the axes."""
    return TensorType(without(a.shape, axes), RESULT_TYPES[kind][a.dtype])
