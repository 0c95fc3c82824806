"""Runs a graph function, operation by operation on whole arrays."""

from __future__ import annotations

import numpy as np

from ..dialects.graph import GraphOp, ViewOp
from ..dialects.kernels import KERNELS, Call
from ..dialects.kernels.reductions import REDUCTIONS
from ..ir.builtin import FuncOp
from ..ir.core import Value
from ..ir.diagnostics import fail
from ..ir.types import TensorType
from .composites import ON_ARRAYS, composed
from .integers import in_i32
from .numerics import Array, activate, combined, numpy_dtype


def run_graph(func: FuncOp, inputs: list[Array], wrap: bool = False) -> dict[Value, Array]:
    """All values for the given arguments. Raises `DiagnosticError` for an i32 sum that may not `wrap`."""
    values: dict[Value, Array] = dict(zip(func.args, inputs, strict=True))
    for op in func.ops:
        if isinstance(op, GraphOp):
            values[op.result] = _compute(op, [values[v] for v in op.operands], wrap)
    return values


def _compute(op: GraphOp, operands: list[Array], wrap: bool) -> Array:
    if isinstance(op, ViewOp):
        return np.ascontiguousarray(op.view(np, *operands))
    tensor = op.result.type
    if not isinstance(tensor, TensorType):
        fail(f"cannot run {op.name}", op.loc)
    if op.is_composite:
        made = composed(op, ON_ARRAYS, *operands)
        return in_i32(made, REDUCTIONS["sum"], wrap, op, op.result) if tensor.dtype == "i32" else made
    kernel = KERNELS[op.kernel]
    count = len(kernel.sources)
    made = kernel.meaning(np, Call(kernel.params_of(op), numpy_dtype(tensor.dtype)), *operands[:count])
    for bias in operands[count:]:
        made = combined(kernel, bias, made)
    if tensor.dtype == "i32":
        made = in_i32(made, kernel, wrap, op, op.result)
    return activate(made, op) if getattr(op, "activation", None) else made
