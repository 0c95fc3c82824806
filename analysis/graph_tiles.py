"""Tiles in which two graph functions without any are proved against each other where whole tensors don't do: the
largest ones that their views leave. They are a hint: tiles that don't fit prove nothing.
"""

from __future__ import annotations

from ..dialects.graph import GraphOp, ViewOp
from ..dialects.tiles import Coord, can_tile
from ..ir.builtin import FuncOp
from ..ir.core import Value
from ..ir.types import TensorType
from ..lowering.view_sizes import Limits
from .graph_terms import needed_values


def has_views(*functions: FuncOp) -> bool:
    """Whether there are any views in functions."""
    return any(isinstance(op, ViewOp) for func in functions for op in func.ops)


def common_tiles(model: FuncOp, func: FuncOp) -> list[Coord]:
    """The tile of each argument; none, `()`, of what can't be cut."""
    pairs = zip(model.args, func.args, strict=True)
    alike = [((a, axis), (b, axis)) for a, b in pairs for axis in range(len(_shape(a)))]
    limits = Limits([*_cut_ops(model), *_cut_ops(func)], alike)
    return [tuple([limits.fit(a, axis, size) for axis, size in enumerate(_shape(a))]) for a in model.args]


def _cut_ops(func: FuncOp) -> list[GraphOp]:
    needed = needed_values(func)
    ops = [op for op in func.ops if isinstance(op, GraphOp) and op.result in needed]
    return [op for op in ops if all(can_tile(v.type) for v in (*op.operands, op.result))]


def _shape(value: Value) -> Coord:
    return value.type.shape if isinstance(value.type, TensorType) and can_tile(value.type) else ()
