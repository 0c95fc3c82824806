"""Runs a graph function, operation by operation on whole arrays."""

from __future__ import annotations

from ..dialects.graph import AddOp, CastOp, GraphOp, MatmulOp, ReluOp
from ..ir.builtin import FuncOp
from ..ir.core import Value
from ..ir.diagnostics import fail
from ..ir.types import TensorType
from .numerics import Array, activate, cast, numpy_dtype, product, relu


def run_graph(func: FuncOp, inputs: list[Array]) -> list[Array]:
    """The results for the given arguments, in order."""
    values: dict[Value, Array] = dict(zip(func.args, inputs, strict=True))
    for op in func.ops:
        if isinstance(op, GraphOp):
            values[op.result] = _compute(op, [values[v] for v in op.operands])
    return [values[v] for v in func.returned()]


def _compute(op: GraphOp, operands: list[Array]) -> Array:
    if isinstance(op, MatmulOp):
        total = product(operands[0], operands[1])
        return activate(total + operands[2] if len(operands) > 2 else total, op.activation)
    if isinstance(op, AddOp):
        return operands[0] + operands[1]
    if isinstance(op, ReluOp):
        return relu(operands[0])
    if not isinstance(op, CastOp):
        fail(f"cannot run {op.name}", op.loc)
    assert isinstance(op.result.type, TensorType)
    return cast(operands[0], numpy_dtype(op.result.type.dtype), op.scale, op.zero_point)
