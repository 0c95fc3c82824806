"""A product that is turned around is the product of its sides, turned around and the other way round: so nothing has to
move where a model computes along the other axis of a matrix and turns the result back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ...dialects.graph import MAPPED, GraphOp, MappedOp, MatmulOp
from ...dialects.views import TransposeOp
from ...ir.attributes import UNIT
from ...ir.core import Operation, Value
from ...ir.types import TensorType
from ...lowering.rewriting import clone_with
from .build import Builder


def turn_products(build: Builder, results: Sequence[Value]) -> None:
    """Computes turned around what is only read so: products, and functions element by element of them. The results
    keep their values."""
    uses = Counter([*results, *(v for op in build.ops for v in op.operands)])
    instead: dict[Operation, list[GraphOp]] = {}
    for op in build.ops:
        chain = _chain(build, op.operands[0], uses) if isinstance(op, TransposeOp) and _swaps_last(op) else []
        if chain:
            instead |= _turned(build, chain, op.result)
            instead[op] = []
    build.ops[:] = [made for op in build.ops for made in instead.get(op, [op])]


def _swaps_last(op: TransposeOp) -> bool:
    *outer, m, n = range(len(op.permutation))
    return op.permutation == (*outer, n, m)


def _chain(build: Builder, value: Value, uses: Counter[Value]) -> list[MatmulOp | MappedOp]:
    """The operations that make a value from a product's sides, which nothing else reads; empty where there are none, or
    where one of them reads more than a constant row beside it."""
    chain: list[MatmulOp | MappedOp] = []
    while uses[value] == 1:
        op = value.owner
        beside = op.operands[2:] if isinstance(op, MatmulOp) else op.operands[1:] if isinstance(op, MappedOp) else []
        known = all(v in build.origin and v.type.rank == 1 for v in beside)  # type: ignore[attr-defined]
        if not isinstance(op, (MatmulOp, MappedOp)) or not known:
            return []
        chain.append(op)
        if isinstance(op, MatmulOp):
            return chain[::-1]
        value = op.operands[0]
    return []


def _turned(build: Builder, chain: Sequence[MatmulOp | MappedOp], result: Value) -> dict[Operation, list[GraphOp]]:
    """What is computed in place of each operation of a chain; the last one makes `result`."""
    instead: dict[Operation, list[GraphOp]] = {}
    value = result
    for op in chain:
        last = op is chain[-1]
        if isinstance(op, MappedOp):
            operands = [value, *(_column(build, v) for v in op.operands[1:])]
            made = [clone_with(op, operands, [result if last else _like(build, op.result)])]
        else:
            made = _product(build, op, result if last else None)
        instead[op] = made  # type: ignore[assignment]
        value = made[-1].results[0]
    return instead


def _product(build: Builder, op: MatmulOp, result: Value | None) -> list[GraphOp]:
    a, b, *bias = op.operands
    sides = [UNIT if side is None else None for side in (op.transpose_b, op.transpose_a)]
    value = _like(build, op.result) if bias or result is None else result
    made: list[GraphOp] = [MatmulOp([b, a], [value], transpose_a=sides[0], transpose_b=sides[1])]
    if bias:
        total = result or _like(build, op.result)
        made.append(MAPPED["add"]([value, _column(build, bias[0])], [total]))
    return made


def _like(build: Builder, value: Value) -> Value:
    """A new value of a type with its last two axes exchanged."""
    assert isinstance(value.type, TensorType)
    *outer, m, n = value.type.shape
    return Value(TensorType((*outer, n, m), value.type.dtype), build.fresh(f"{value.name}_turned"))


def _column(build: Builder, row: Value) -> Value:
    assert isinstance(row.type, TensorType)
    return build.parameter(build.origin[row], build.weights[row.name].reshape(-1, 1), row.type.dtype)
