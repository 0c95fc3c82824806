"""Quantised models: operators on quantised tensors, and products between dequantised tensors as products of integers.

A tensor that is dequantised keeps the integers that it is made of (a `graph.dequantize` makes it, or it is a
`QuantisedConst`), so that a product of two such tensors is computed on these, exactly, and requantised where it is
quantised: what ONNX Runtime makes of such a graph by default, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...dialects.conversions import ConversionOp, DequantizeOp, QuantizeOp, RequantizeOp
from ...dialects.graph import MappedOp, MatmulOp
from ...dialects.kernels import KERNELS
from ...dialects.kernels.conversions import saturates
from ...dialects.kernels.quantised import QUANTISED
from ...ir.attributes import F32, FloatAttr
from ...ir.core import Value
from ...ir.types import TensorType
from .build import Builder, converted, sums_of_products
from .model import Node, type_name
from .tensors import Const, Held, Shape, Tensor, Unsupported, View, broadcast, text, transposed

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

Inputs = list[Any]
"""A node's inputs, each a view, a constant, or None where it is left out."""

CLOSE = 1e-5
"""How far a bias's scale may lie from the product of the operands' scales, in parts of it: that has been rounded."""


class Steps(NamedTuple):
    """Which numbers integers stand for: multiples of a scale, counted from the zero point."""

    scale: np.float32
    zero_point: int


@dataclass(frozen=True, slots=True, eq=False)
class QuantisedConst(Const):
    """A constant that is dequantised: `array` are the numbers, `stored` the integers."""

    stored: Array
    steps: Steps


class Quantised(NamedTuple):
    """A tensor of integers and what they stand for."""

    tensor: Tensor
    steps: Steps


# Scales and zero points


def steps_of(node: Node, scale: Tensor | None, zero_point: Tensor | None) -> Steps:
    """A scale and a zero point, each a constant of one number. Raises `Unsupported` for one for each channel."""
    numbers: list[Any] = []
    for what, tensor in (("scale", scale), ("zero point", zero_point)):
        if tensor is None:
            numbers.append(0)
            continue
        if not isinstance(tensor, Const):
            raise Unsupported(f"its {what} must be constant", node)
        if tensor.array.size != 1:
            raise Unsupported(f"its {what} is {text(tensor.shape)}, one for each channel; it can be one for all", node)
        numbers.append(tensor.array.reshape(-1)[0])
    if numbers[0].dtype != np.float32:
        raise Unsupported(f"its scale is {numbers[0].dtype}; it can be f32", node)
    if not 0 < numbers[0] < np.inf:
        raise Unsupported(f"its scale is {numbers[0]}; it must be positive and finite", node)
    return Steps(numbers[0], int(numbers[1]))


def in_steps(build: Builder, kind: type[ConversionOp], view: View, dtype: str, steps: Steps, name: str) -> View:
    """A conversion by a scale and a zero point; one of 0 is not written."""
    scale, zero_point = FloatAttr(float(steps.scale), F32), steps.zero_point or None
    return converted(build, kind, view, dtype, name, scale=scale, zero_point=zero_point)


# What is quantised, and what it is of


def quantised_of(tensor: Tensor) -> Quantised | None:
    """The integers that a tensor is dequantised from; None for another tensor."""
    if isinstance(tensor, QuantisedConst):
        return Quantised(Const(tensor.name, tensor.stored), tensor.steps)
    if not isinstance(tensor, View) or tensor.held.value is None:
        return None
    op = tensor.held.value.owner
    if not isinstance(op, DequantizeOp):
        return None
    assert op.scale is not None
    return Quantised(_through(tensor, op.operands[0]), Steps(np.float32(op.scale.value), op.zero_point or 0))


def _through(view: View, value: Value) -> View:
    """Another value, of the same form, seen as a view sees its own."""
    assert isinstance(value.type, TensorType)
    return View(Held(value.name, value.type.dtype, value), view.source, view.axes, view.via)


def import_dequantize(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    view, scale, zero_point = [*inputs, None][:3]
    steps = steps_of(node, scale, zero_point)
    if view.held.dtype not in (*QUANTISED, "i32"):
        raise Unsupported(f"its elements are {view.held.dtype}; they can be {', '.join(QUANTISED)}, i32")
    return dequantized(build, view, steps, node.outputs[0])


def dequantized(build: Builder, view: View, steps: Steps, name: str) -> View:
    """What integers stand for; where it is only read by what reads the integers, it is left out."""
    made = in_steps(build, DequantizeOp, view, "f32", steps, name)
    build.passed_by.add(build.ops[-1])
    return made


def dequantized_const(node: Node, inputs: Inputs, numbers: Sequence[Array]) -> Const | None:
    """A constant that a node dequantises, with its integers, where they have one scale; None for all else."""
    if node.op != "DequantizeLinear" or len(inputs) < 2:
        return None
    try:
        steps = steps_of(node, inputs[1], inputs[2] if len(inputs) > 2 else None)
    except Unsupported:
        return None
    given = inputs[0]
    return QuantisedConst(given.name, np.asarray(numbers[0]), given.array, steps)


def import_quantize(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    """Of what is dequantised from sums of products of integers, the sums are requantised; as ONNX Runtime does it where
    nothing else reads what is quantised, and the left operand has the result's type."""
    view, scale, zero_point = [*inputs, None][:3]
    steps = steps_of(node, scale, zero_point)
    dtype = _result_type(node, zero_point)
    if view.held.dtype != "f32":
        raise Unsupported(f"its elements are {view.held.dtype}; they can be f32")
    view = _uncut(build, view, dtype, steps)
    sums = _sums_of(build, view, dtype) if build.readers[node.inputs[0]] == 1 else None
    if sums is not None:
        return requantized(build, sums, steps, dtype, node.outputs[0])
    return in_steps(build, QuantizeOp, view, dtype, steps, node.outputs[0])


def _result_type(node: Node, zero_point: Tensor | None) -> str:
    """The type that a node quantises to: its zero point's, or what it says; else it has no sign."""
    if zero_point is None:
        said = node.attribute("output_dtype", 0)
        name = type_name(said) if said else "uint8"
    else:
        name = zero_point.array.dtype.name if isinstance(zero_point, Const) else ""
    dtype = {"int8": "i8", "uint8": "ui8"}.get(name)
    if dtype is None:
        raise Unsupported(f"it quantises to {name}; it can be {', '.join(QUANTISED)}")
    return dtype


def _uncut(build: Builder, view: View, dtype: str, steps: Steps) -> View:
    """A tensor before a relu, or another cut, that its quantisation makes anyway."""
    op = view.held.value.owner if view.held.value is not None else None
    if not isinstance(op, MappedOp) or KERNELS[op.kernel].clamps is None:
        return view
    kernel = KERNELS[op.kernel]
    assert kernel.clamps is not None
    if not saturates((float(steps.scale), steps.zero_point), dtype, kernel.clamps(kernel.params_of(op))):
        return view
    build.passed_by.add(op)
    return _through(view, op.operands[0])


def _sums_of(build: Builder, view: View, dtype: str) -> Quantised | None:
    """The sums of products, with a left operand of a type, that a tensor is dequantised from and nothing else."""
    value = view.held.value
    if value is None or value not in build.sums or build.readers[build.sums[value]] > 1:
        return None
    sums = quantised_of(view)
    op = sums.tensor.held.value.owner if sums and isinstance(sums.tensor, View) and sums.tensor.held.value else None
    left = op.operands[0].type if isinstance(op, MatmulOp) else None
    return sums if isinstance(left, TensorType) and left.dtype == dtype else None


def requantized(build: Builder, sums: Quantised, steps: Steps, dtype: str, name: str) -> View:
    """Sums of products, with what a step of them is, in other steps: times the quotient of the scales in f32."""
    assert isinstance(sums.tensor, View)
    factor = Steps(sums.steps.scale / steps.scale, steps.zero_point)
    if not 0 < factor.scale < np.inf:
        raise Unsupported(f"its scales, {sums.steps.scale} and {steps.scale}, have no quotient in f32")
    return in_steps(build, RequantizeOp, sums.tensor, dtype, factor, name)


# Products


class Product(NamedTuple):
    """A product of two tensors of integers, each turned as it is meant; a bias is in the steps of the sums."""

    a: Quantised
    b: Quantised
    bias: Tensor | None = None

    @property
    def shape(self) -> Shape:
        left, right = self.a.tensor.shape, self.b.tensor.shape
        return (*(broadcast(left[:-2], right[:-2]) or ()), *left[-2:-1], right[-1])

    @property
    def scale(self) -> np.float32:
        """What a step of the sums is."""
        return self.a.steps.scale * self.b.steps.scale

    def problem(self, build: Builder) -> str:
        """Why it can't be computed on integers; nothing where it can."""
        left, right = self.a.tensor.shape, self.b.tensor.shape
        dtypes = [build.dtype(side.tensor) for side in (self.a, self.b)]
        if any(dtype not in QUANTISED for dtype in dtypes):
            return f"its operands are of {' and '.join(dtypes)}; they can be of {', '.join(QUANTISED)}"
        if not left or len(right) < 2 or broadcast(left[:-2], right[:-2]) is None:
            return f"there is no quantised product of {text(left)} and {text(right)}"
        if self.bias is None:
            return ""
        columns = (right[-1], 1)
        fits = isinstance(self.bias, Const) and self.bias.array.dtype == np.int32 and self.bias.array.size in columns
        return "" if fits else "its bias is no constant of i32, with an element for each column"

    def sums(self, build: Builder, name: str) -> View:
        """The sums, less the zero points, in i32. Raises `Unsupported`."""
        if problem := self.problem(build):
            raise Unsupported(problem)
        left, right = self.a.tensor.shape, self.b.tensor.shape
        bias = None
        if isinstance(self.bias, Const):
            bias = Const(self.bias.name, np.broadcast_to(self.bias.array.reshape(-1), right[-1:]))
        form = left if len(left) > 1 else (1, *left)
        zero_points = self.a.steps.zero_point or None, self.b.steps.zero_point or None
        return sums_of_products(
            build, name, (self.a.tensor, form), (self.b.tensor, right), self.shape, bias, zero_points
        )


def product_of_dequantized(build: Builder, node: Node, inputs: Inputs) -> Tensor | None:
    """A Gemm or MatMul of two dequantised tensors, and perhaps a bias in their steps, as a product of integers that is
    dequantised; None for any other, and where ONNX Runtime computes it in f32."""
    a, b, *bias = [None if t is None else quantised_of(t) for t in inputs]
    has_bias = len(inputs) > 2 and inputs[2] is not None
    if a is None or b is None or (has_bias and bias[0] is None):
        return None
    if any(node.attribute(factor, 1.0) != 1 for factor in ("alpha", "beta")):
        return None
    made = Product(*_turned(node, a, b), bias=bias[0].tensor if has_bias and bias[0] else None)
    left, right = (build.dtype(side.tensor) for side in (a, b))
    if made.problem(build) or (left, right) == ("i8", "ui8") or not 0 < made.scale < np.inf:
        return None
    if (
        has_bias
        and bias[0]
        and (abs(bias[0].steps.scale - made.scale) > CLOSE * made.scale or bias[0].steps.zero_point)
    ):
        return None
    name = node.outputs[0]
    view = dequantized(build, made.sums(build, f"{name}_sum"), Steps(made.scale, 0), name)
    assert view.held.value is not None
    build.sums[view.held.value] = name
    return view


def _turned(node: Node, a: Quantised, b: Quantised) -> tuple[Quantised, Quantised]:
    """A Gemm's operands as it turns them."""
    return _side(node, a, "transA"), _side(node, b, "transB")


def _side(node: Node, side: Quantised, name: str) -> Quantised:
    turned = node.attribute(name, 0) and len(side.tensor.shape) == 2
    return side._replace(tensor=transposed(side.tensor, (1, 0), node)) if turned else side


# Operators on quantised tensors


def _operands(node: Node, inputs: Inputs) -> tuple[Quantised, Quantised]:
    """Two tensors, each with its scale and zero point behind it."""
    a, a_scale, a_zero, b, b_scale, b_zero = inputs[:6]
    return Quantised(a, steps_of(node, a_scale, a_zero)), Quantised(b, steps_of(node, b_scale, b_zero))


def import_qlinear_matmul(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    """y = a b, each with its scale and zero point."""
    product = Product(*_operands(node, inputs))
    return _ending(build, node, product, product.scale, inputs[6:8])


def import_qgemm(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    """alpha a b + c, with c in i32; in f32 without a scale of the result's own."""
    inputs = [*inputs, *[None] * (9 - len(inputs))]
    product = Product(*_turned(node, *_operands(node, inputs)), inputs[6])
    alpha = np.float32(node.attribute("alpha", 1.0))
    return _ending(build, node, product, alpha * product.a.steps.scale * product.b.steps.scale, inputs[7:9])


def _ending(build: Builder, node: Node, product: Product, scale: np.float32, end: Sequence[Tensor | None]) -> Tensor:
    """A product of integers, in the result's steps, or in f32 where it has none."""
    if not 0 < scale < np.inf:
        raise Unsupported(f"its scales have no product in f32: {scale}")
    name = node.outputs[0]
    sums = product.sums(build, f"{name}_sum")
    if end[0] is None:
        return in_steps(build, DequantizeOp, sums, "f32", Steps(scale, 0), name)
    return requantized(
        build, Quantised(sums, Steps(scale, 0)), steps_of(node, end[0], end[1]), _result_type(node, end[1]), name
    )


def import_matmul_integer(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    """a b in i32, each less its zero point."""
    one = Const("", np.array(1, np.float32))
    a, b, a_zero, b_zero = [*inputs, None, None][:4]
    return Product(*_operands(node, [a, one, a_zero, b, one, b_zero])).sums(build, node.outputs[0])


Handler = Callable[[Builder, Node, Inputs], Tensor]

HANDLERS: dict[str, tuple[Handler, tuple[int, int]]] = {
    "DequantizeLinear": (import_dequantize, (2, 3)),
    "MatMulInteger": (import_matmul_integer, (2, 4)),
    "QLinearMatMul": (import_qlinear_matmul, (8, 8)),
    "QuantizeLinear": (import_quantize, (2, 3)),
    "com.microsoft.QGemm": (import_qgemm, (6, 9)),
}
"""How each kind of node is imported, and how many inputs it has, at least and at most."""
