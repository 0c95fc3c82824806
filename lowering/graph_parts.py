"""Graph operations that come in place of another one: `decompose` and `split-softmax` write them."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from ..dialects.conversions import CastOp
from ..dialects.graph import GraphOp, ReduceOp
from ..dialects.graph_builders import elementwise
from ..dialects.result_types import result_of_reduce
from ..ir.core import Operation, Value
from ..ir.printer import fresh_name
from ..ir.types import TensorType
from .rewriting import ValueMap


class Parts:
    """The operations that come in place of one; `used` are the names that are taken."""

    def __init__(self, op: Operation, used: set[str]):
        self.op = op
        self.used = used
        self.ops: list[Operation] = []

    def finished(self, last: Value, values: ValueMap) -> list[Operation]:
        """The operations, of which the last one's result stands for that one's, under its name."""
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
        type = tensor_of(value)
        if type.dtype == dtype:
            return value
        return self.add(CastOp([value], [Value(TensorType(type.shape, dtype))]), suffix)

    def reduced(self, value: Value, kind: str, axes: Sequence[int]) -> Value:
        """A reduction, axis by axis."""
        for axis in sorted(axes, reverse=True):
            type = result_of_reduce(tensor_of(value), kind, [axis])
            value = self.add(ReduceOp([value], [Value(type)], kind=kind, axes=(axis,)), kind)
        return value

    def mean(self, suffix: str, value: Value, axes: Sequence[int]) -> Value:
        count = prod(tensor_of(value).shape[axis] for axis in axes)
        return self.mapped(suffix, "div", self.reduced(value, "sum", axes), right=count)


def tensor_of(value: Value) -> TensorType:
    assert isinstance(value.type, TensorType)
    return value.type
