"""Runs a graph function, operation by operation on whole arrays."""

from __future__ import annotations

import numpy as np

from ..dialects.graph import AddOp, CastOp, GraphOp, MatmulOp, ReluOp
from ..ir.builtin import FuncOp
from ..ir.core import Value
from ..ir.diagnostics import fail
from ..ir.types import TensorType
from .integers import i32_sum
from .numerics import Array, activate, cast, numpy_dtype, product, relu, wide_product


def run_graph(func: FuncOp, inputs: list[Array], wrap: bool = False) -> list[Array]:
    """The results for the given arguments, in order. Raises `DiagnosticError` for an i32 sum that may not `wrap`."""
    values: dict[Value, Array] = dict(zip(func.args, inputs, strict=True))
    for op in func.ops:
        if isinstance(op, GraphOp):
            values[op.result] = _compute(op, [values[v] for v in op.operands], wrap)
    return [values[v] for v in func.returned()]


def _compute(op: GraphOp, operands: list[Array], wrap: bool) -> Array:
    if isinstance(op, MatmulOp):
        if operands[0].dtype == np.int8:
            wide = wide_product(operands[0], operands[1])
            wide = wide + operands[2] if len(operands) > 2 else wide
            return activate(i32_sum(wide, wrap, op, op.result), op.activation)
        total = product(operands[0], operands[1])
        return activate(total + operands[2] if len(operands) > 2 else total, op.activation)
    if isinstance(op, AddOp):
        if operands[0].dtype == np.int32:
            return i32_sum(operands[0].astype(np.int64) + operands[1], wrap, op, op.result)
        return operands[0] + operands[1]
    if isinstance(op, ReluOp):
        return relu(operands[0])
    if not isinstance(op, CastOp):
        fail(f"cannot run {op.name}", op.loc)
    assert isinstance(op.result.type, TensorType)
    return cast(operands[0], numpy_dtype(op.result.type.dtype), op.scale, op.zero_point)
