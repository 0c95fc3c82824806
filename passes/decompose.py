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

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

from ..dialects.composites import LayerNormOp, NormOp, RmsNormOp, SoftmaxOp
from ..dialects.graph import CastOp, GraphOp, ReduceOp
from ..dialects.graph_builders import elementwise
from ..dialects.levels import level_of
from ..dialects.result_types import result_of_reduce
from ..ir.builtin import FuncOp, ModuleOp
from ..ir.core import Operation, Value
from ..ir.printer import fresh_name
from ..ir.types import TensorType
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
        parts = _Parts(op, used)
        last = made_of(parts, op, *[values[v] for v in op.operands])
        ops += parts.finished(last, values)
    return with_body(func, args, ops)


class _Parts:
    """The operations that come in place of a composite; `used` are the names that are taken."""

    def __init__(self, op: Operation, used: set[str]):
        self.op = op
        self.used = used
        self.ops: list[Operation] = []

    def finished(self, last: Value, values: ValueMap) -> list[Operation]:
        """The operations, of which the last one's result stands for the composite's, under its name."""
        result = self.op.results[0]
        last.name, last.own_loc = result.name, result.own_loc
        values[result] = last
        self.ops[-1].extra = self.op.extra
        return self.ops

    def add(self, made: GraphOp, suffix: str) -> Value:
        made.loc = self.op.loc
        made.result.name = fresh_name(f"{self.op.results[0].name}_{suffix}", self.used).removeprefix("%")
        self.ops.append(made)
        return made.result

    def mapped(self, suffix: str, kernel: str, *operands: Value, **numbers: float) -> Value:
        """An elementwise operation."""
        return self.add(elementwise(kernel, *operands, params=(), name="", **numbers), suffix)

    def cast(self, value: Value, dtype: str, suffix: str) -> Value:
        """A value in an element type: itself, if it has that already."""
        type = _tensor(value)
        if type.dtype == dtype:
            return value
        return self.add(CastOp([value], [Value(TensorType(type.shape, dtype))]), suffix)

    def reduced(self, value: Value, kind: str, axes: Sequence[int]) -> Value:
        """A reduction, axis by axis."""
        for axis in sorted(axes, reverse=True):
            type = result_of_reduce(_tensor(value), kind, [axis])
            value = self.add(ReduceOp([value], [Value(type)], kind=kind, axes=(axis,)), kind)
        return value

    def mean(self, suffix: str, value: Value, axes: Sequence[int]) -> Value:
        count = prod(_tensor(value).shape[axis] for axis in axes)
        return self.mapped(suffix, "div", self.reduced(value, "sum", axes), right=count)


def _tensor(value: Value) -> TensorType:
    assert isinstance(value.type, TensorType)
    return value.type


# What composites are made of


def reduction(parts: _Parts, op: ReduceOp, x: Value) -> Value:
    """A mean, or a reduction along several axes."""
    return parts.mean("mean", x, op.axes) if op.kind == "mean" else parts.reduced(x, op.kind, op.axes)


def softmax(parts: _Parts, op: SoftmaxOp, x: Value) -> Value:
    """The exponentials of what is left of each element without the maximum, divided by their sum."""
    wide = parts.cast(x, "f32", "wide")
    shifted = parts.mapped("shifted", "sub", wide, parts.reduced(wide, "max", op.axes))
    powers = parts.mapped("exp", "exp", shifted)
    quotient = parts.mapped("quotient", "div", powers, parts.reduced(powers, "sum", op.axes))
    return parts.cast(quotient, _tensor(x).dtype, "rounded")


def layer_norm(parts: _Parts, op: LayerNormOp, x: Value, *others: Value) -> Value:
    """What is left of each element without the mean, as `normalized`."""
    wide = parts.cast(x, "f32", "wide")
    centered = parts.mapped("centered", "sub", wide, parts.mean("mean", wide, op.axes))
    return normalized(parts, op, centered, *others)


def rms_norm(parts: _Parts, op: RmsNormOp, x: Value, *others: Value) -> Value:
    """Each element, as `normalized`."""
    return normalized(parts, op, parts.cast(x, "f32", "wide"), *others)


def normalized(parts: _Parts, op: NormOp, x: Value, scale: Value, *bias: Value) -> Value:
    """Elements divided by the root of their mean square, times the scale, plus the bias."""
    square = parts.mean("mean_square", parts.mapped("square", "mul", x, x), op.axes)
    inverse = parts.mapped("inverse", "rsqrt", parts.mapped("epsilon", "add", square, right=op.epsilon.value))
    made = parts.mapped("unit", "mul", x, inverse)
    made = parts.mapped("scaled", "mul", made, parts.cast(scale, "f32", "wide_scale"))
    for value in bias:
        made = parts.mapped("shifted", "add", made, parts.cast(value, "f32", "wide_bias"))
    return parts.cast(made, _tensor(scale).dtype, "rounded")


DECOMPOSITIONS: dict[type[Operation], Callable[..., Any]] = {
    ReduceOp: reduction,
    SoftmaxOp: softmax,
    LayerNormOp: layer_norm,
    RmsNormOp: rms_norm,
}
"""By operation: what makes its parts of it and its operands."""
