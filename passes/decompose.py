"""decompose: composites become the operations that they are made of.

%y = graph.softmax %x {axes = [1]} : ...    ->    %y_max = graph.reduce %x {axes = [1], kind = "max"} : ...
                                                  %y_shifted = graph.sub %x, %y_max : ...
                                                  %y_exp = graph.exp %y_shifted : ...
                                                  %y_sum = graph.reduce %y_exp {axes = [1], kind = "sum"} : ...
                                                  %y = graph.div %y_exp, %y_sum : ...

Norms and means likewise, and a reduction along several axes as one along each of them, the last axis first. What is
narrower than f32 is cast to f32 before, and rounded once, by the last cast.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from ..dialects.composites import LayerNormOp, NormOp, RmsNormOp, SoftmaxOp
from ..dialects.graph import GraphOp, ReduceOp
from ..dialects.levels import level_of
from ..ir.builtin import FuncOp, ModuleOp
from ..ir.core import Operation, Value
from ..lowering.graph_parts import Parts, tensor_of
from ..lowering.rewriting import ValueMap, clone, copy_value, map_functions, with_body
from .manager import register_pass


@register_pass
@dataclass(frozen=True)
class DecomposePass:
    """Writes softmax, norms, means and reductions along several axes as the operations that they are made of."""

    name: ClassVar[str] = "decompose"
    needs: ClassVar[tuple[str, ...]] = ()

    def apply(self, module: ModuleOp) -> ModuleOp:
        return map_functions(module, decompose_function)


def decompose_function(func: FuncOp, module: ModuleOp) -> FuncOp:
    """A graph function without composites; any other, and one that has none, as it is."""
    if level_of(func) != "graph" or not any(isinstance(op, GraphOp) and op.is_composite for op in func.ops):
        return func
    used = {v.name for v in (*func.args, *[result for op in func.ops for result in op.results])}
    values: ValueMap = {}
    args = [copy_value(a, values) for a in func.args]
    ops: list[Operation] = []
    for op in func.ops:
        made_of = DECOMPOSITIONS.get(type(op)) if isinstance(op, GraphOp) and op.is_composite else None
        if made_of is None:
            ops.append(clone(op, values))
            continue
        parts = Parts(op, used)
        last = made_of(parts, op, *[values[v] for v in op.operands])
        ops += parts.finished(last, values)
    return with_body(func, args, ops)


# What composites are made of


def reduction(parts: Parts, op: ReduceOp, x: Value) -> Value:
    """A mean, or a reduction along several axes."""
    return parts.mean("mean", x, op.axes) if op.kind == "mean" else parts.reduced(x, op.kind, op.axes)


def softmax(parts: Parts, op: SoftmaxOp, x: Value) -> Value:
    """The exponentials of what is left of each element without the maximum, divided by their sum."""
    wide = parts.cast(x, "f32", "wide")
    shifted = parts.mapped("shifted", "sub", wide, parts.reduced(wide, "max", op.axes))
    powers = parts.mapped("exp", "exp", shifted)
    quotient = parts.mapped("quotient", "div", powers, parts.reduced(powers, "sum", op.axes))
    return parts.cast(quotient, tensor_of(x).dtype, "rounded")


def layer_norm(parts: Parts, op: LayerNormOp, x: Value, *others: Value) -> Value:
    """What is left of each element without the mean, as `normalized`."""
    wide = parts.cast(x, "f32", "wide")
    centered = parts.mapped("centered", "sub", wide, parts.mean("mean", wide, op.axes))
    return normalized(parts, op, centered, *others)


def rms_norm(parts: Parts, op: RmsNormOp, x: Value, *others: Value) -> Value:
    """Each element, as `normalized`."""
    return normalized(parts, op, parts.cast(x, "f32", "wide"), *others)


def normalized(parts: Parts, op: NormOp, x: Value, scale: Value, *bias: Value) -> Value:
    """Elements divided by the root of their mean square, times the scale, plus the bias."""
    square = parts.mean("mean_square", parts.mapped("square", "mul", x, x), op.axes)
    inverse = parts.mapped("inverse", "rsqrt", parts.mapped("epsilon", "add", square, right=op.epsilon.value))
    made = parts.mapped("unit", "mul", x, inverse)
    made = parts.mapped("scaled", "mul", made, parts.cast(scale, "f32", "wide_scale"))
    for value in bias:
        made = parts.mapped("shifted", "add", made, parts.cast(value, "f32", "wide_bias"))
    return parts.cast(made, tensor_of(scale).dtype, "rounded")


DECOMPOSITIONS: dict[type[Operation], Callable[..., Any]] = {
    ReduceOp: reduction,
    SoftmaxOp: softmax,
    LayerNormOp: layer_norm,
    RmsNormOp: rms_norm,
}
"""By operation: what makes its parts of it and its operands."""
