"""A concatenation of what lies elsewhere, read element by element: its parts are computed, and what comes of them is
put together, since a part that is a view can't lie in another tensor. So rotary embeddings copy nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from ...dialects.graph import GraphOp, MappedOp, ViewOp
from ...dialects.views import ConcatOp, SliceOp
from ...ir.core import Operation, Value
from ...ir.types import TensorType
from ...lowering.rewriting import clone_with
from .build import Builder


def compute_in_parts(build: Builder, results: Sequence[Value]) -> None:
    """Computes functions element by element of concatenations part by part; the results keep their values."""
    uses = Counter([*results, *(v for op in build.ops for v in op.operands)])
    made: list[Operation] = []
    gone: set[Operation] = set()
    for op in build.ops:
        joined = _joined(build, op, uses)
        if joined is None:
            made.append(op)
            continue
        assert isinstance(op, MappedOp)
        gone.add(joined)
        made += _in_parts(build, op, joined)
    build.ops[:] = [op for op in made if op not in gone]


def _joined(build: Builder, op: Operation, uses: Counter[Value]) -> ConcatOp | None:
    """The concatenation that an operation reads alone, of parts that don't all lie in it."""
    if not isinstance(op, MappedOp):
        return None
    for value in op.operands:
        joined = value.owner
        if not isinstance(joined, ConcatOp) or uses[value] > 1 or value.type != op.result.type:
            continue
        if any(isinstance(v.owner, ViewOp) or not isinstance(v.owner, GraphOp) or uses[v] > 1 for v in joined.operands):
            return joined
    return None


def _in_parts(build: Builder, op: MappedOp, joined: ConcatOp) -> Iterator[GraphOp]:
    """What an operation on a concatenation is by its parts."""
    at, results = 0, []
    for part in joined.operands:
        size = _shape(part)[joined.axis]
        operands: list[Value] = []
        for value in op.operands:
            if value is joined.result:
                operands.append(part)
                continue
            own = _part(build, value, joined.axis - len(_shape(joined.result)), at, size)
            if isinstance(own, SliceOp):
                yield own
            operands.append(own.result if isinstance(own, SliceOp) else own)
        assert isinstance(part.type, TensorType)
        results.append(Value(part.type, build.fresh(f"{op.result.name}_{len(results) + 1}")))
        yield clone_with(op, operands, [results[-1]])  # type: ignore[misc]
        at += size
    yield ConcatOp(results, [op.result], axis=joined.axis)


def _part(build: Builder, value: Value, axis: int, start: int, size: int) -> Value | SliceOp:
    """What belongs to a part of a concatenation, along an axis counted from behind: a constant, the whole where that is
    broadcast, or a view still to be made."""
    shape = _shape(value)
    if -axis > len(shape) or shape[axis] == 1:
        return value
    assert isinstance(value.type, TensorType)
    if value in build.origin:
        data = build.weights[value.name].take(range(start, start + size), axis)
        return build.parameter(build.origin[value], data, value.type.dtype)
    starts, sizes = [0] * len(shape), list(shape)
    starts[axis], sizes[axis] = start, size
    made = Value(TensorType(tuple(sizes), value.type.dtype), build.fresh(f"{value.name}_part"))
    return SliceOp([value], [made], starts=tuple(starts), sizes=tuple(sizes))


def _shape(value: Value) -> tuple[int, ...]:
    return value.type.shape  # type: ignore[attr-defined]
