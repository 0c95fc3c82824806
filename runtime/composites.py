"""What composites come to at the graph level: formulas of kernels and reductions, for arrays and for figures alike.

`decompose` has its own, and so has the proof.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import nan
from typing import Any, Generic, TypeVar

import numpy as np

from ..dialects.composites import LayerNormOp, NormOp, RmsNormOp, SoftmaxOp
from ..dialects.graph import GraphOp, ReduceOp
from ..dialects.kernels import KERNELS, Call, Kernel
from ..dialects.kernels.conversions import CAST
from ..dialects.kernels.reductions import REDUCTIONS, RESULT_TYPES
from ..ir.types import TensorType
from .numerics import Array, numpy_dtype

T = TypeVar("T")


class Arithmetic(Generic[T]):
    """How kernels work on values of a kind: `compute(kernel, call, *values)`; `types` are the array module's types by
    the names of element types."""

    def __init__(self, compute: Callable[..., T], types: Callable[[str], Any] = numpy_dtype):
        self.compute = compute
        self.types = types

    def apply(self, name: str, *values: T, right: float = nan) -> T:
        """A kernel of the table in f32, with a number in place of its right operand if one is given."""
        params = (nan, right) if len(KERNELS[name].sources) == 2 else ()
        return self.compute(KERNELS[name], Call(params, self.types("f32")), *values)

    def cast(self, value: T, source: str, target: str) -> T:
        """A value of one element type in another one."""
        return value if source == target else self.compute(CAST, Call((0.0, 0), self.types(target)), value)

    def reduced(self, kind: str, value: T, axes: Sequence[int], dtype: str) -> T:
        """A reduction of a value with elements of a type along axes, one after the other."""
        for axis in axes:
            dtype = RESULT_TYPES[kind][dtype]
            value = self.compute(REDUCTIONS[kind], Call((axis,), self.types(dtype)), value)
        return value

    def mean(self, value: T, axes: Sequence[int], type: TensorType) -> T:
        """The mean of a value of a type."""
        count = np.prod([type.shape[axis] for axis in axes])
        return self.apply("div", self.reduced("sum", value, axes, type.dtype), right=float(np.float32(count)))


def _meaning(kernel: Kernel, call: Call, *values: Array) -> Array:
    return kernel.meaning(np, call, *values)


ON_ARRAYS: Arithmetic[Array] = Arithmetic(_meaning)


def composed(op: GraphOp, do: Arithmetic[T], *values: T) -> T:
    """What a composite is of its operands' values."""
    return FORMULAS[type(op)](op, do, *values)


def _reduce(op: ReduceOp, do: Arithmetic[T], value: T) -> T:
    type = _type(op, 0)
    return do.mean(value, op.axes, type) if op.kind == "mean" else do.reduced(op.kind, value, op.axes, type.dtype)


def _softmax(op: SoftmaxOp, do: Arithmetic[T], value: T) -> T:
    dtype = _type(op, 0).dtype
    value = do.cast(value, dtype, "f32")
    powers = do.apply("exp", do.apply("sub", value, do.reduced("max", value, op.axes, "f32")))
    return do.cast(do.apply("div", powers, do.reduced("sum", powers, op.axes, "f32")), "f32", dtype)


def _layer_norm(op: LayerNormOp, do: Arithmetic[T], value: T, *others: T) -> T:
    wide = do.cast(value, _type(op, 0).dtype, "f32")
    return _scaled(op, do, do.apply("sub", wide, do.mean(wide, op.axes, _wide_type(op))), *others)


def _rms_norm(op: RmsNormOp, do: Arithmetic[T], value: T, *others: T) -> T:
    return _scaled(op, do, do.cast(value, _type(op, 0).dtype, "f32"), *others)


def _scaled(op: NormOp, do: Arithmetic[T], value: T, *others: T) -> T:
    """f32 values over the root of their mean square, times the scale, plus the bias."""
    square = do.mean(do.apply("mul", value, value), op.axes, _wide_type(op))
    root = do.apply("rsqrt", do.apply("add", square, right=op.epsilon.value))
    dtype = _type(op, 0).dtype
    scale, *bias = [do.cast(other, dtype, "f32") for other in others]
    made = do.apply("mul", do.apply("mul", value, root), scale)
    for addend in bias:
        made = do.apply("add", made, addend)
    return do.cast(made, "f32", dtype)


def _type(op: GraphOp, index: int) -> TensorType:
    type = op.operands[index].type
    assert isinstance(type, TensorType)
    return type


def _wide_type(op: GraphOp) -> TensorType:
    """The first operand's type in f32."""
    return TensorType(_type(op, 0).shape, "f32")


FORMULAS: dict[type[GraphOp], Callable[..., Any]] = {
    ReduceOp: _reduce,
    SoftmaxOp: _softmax,
    LayerNormOp: _layer_norm,
    RmsNormOp: _rms_norm,
}
