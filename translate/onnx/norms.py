"""How ONNX's operators are imported that work along whole axes: reductions, softmax and norms."""

from __future__ import annotations

from typing import Any

from ...dialects.composites import LayerNormOp, NormOp, RmsNormOp, SoftmaxOp
from ...dialects.graph import GraphOp, ReduceOp
from ...dialects.kernels import KERNELS
from ...dialects.kernels.reductions import RESULT_TYPES
from ...ir.attributes import F32, FloatAttr, round_float
from ...ir.core import Value
from ...ir.types import TensorType
from .build import Builder, binary, cast, unary
from .model import Node
from .moves import axes_of, axis_of
from .tensors import Shape, Tensor, Unsupported, View, natural, text

Inputs = list[Any]
KINDS = {"ReduceMax": "max", "ReduceMean": "mean", "ReduceMin": "min", "ReduceSum": "sum"}
LAST_AXIS_OPSET = 13
"""Since this operator set Softmax works along the last axis where nothing is said; before it took axis 1 and all after
it as one."""


def import_reduce(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    """Along some axes, or all; where these are not kept, what is left is seen without them."""
    view = inputs[0]
    rank, given = len(view.shape), axes_of(node, inputs)
    if not given and node.attribute("noop_with_empty_axes", 0):
        return view
    axes = sorted({a % max(rank, 1) for a in given}) if given else list(range(rank))
    made = reduced(build, node.outputs[0], KINDS[node.op], view, axes)
    if node.attribute("keepdims", 1):
        return made
    return build.reshaped(made, tuple([d for a, d in enumerate(view.shape) if a not in axes]), node)


def reduced(build: Builder, name: str, kind: str, view: View, axes: list[int]) -> View:
    """A reduction of which one element is left along each axis, in the type of what is reduced. Of a view in another
    order, the axes are found where it is held."""
    dtype, many = view.held.dtype, [view.axes[a] for a in axes if view.shape[a] > 1]
    if not many:
        return view
    if dtype not in RESULT_TYPES[kind]:
        raise Unsupported(f"there is no {kind} of {dtype} here")
    wide = RESULT_TYPES[kind][dtype]
    shape = tuple([1 if a in many else d for a, d in enumerate(view.source)])
    value = build.operand(View.plain(view.held, view.source, view.via), view.source)
    result = Value(TensorType(shape, wide), build.fresh(name if wide == dtype else f"{name}_wide"))
    made = build.emit(ReduceOp([value], [result], kind=kind, axes=tuple(sorted(many))), shape)
    made = made if wide == dtype else cast(build, made, dtype, name)
    return View(made.held, shape, view.axes, view.via)


def import_softmax(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    (view,) = inputs
    axes = softmax_axes(build, node, view)
    return along(build, node, view, axes, lambda value, own: SoftmaxOp([value], [own(value)], axes=axes))


def softmax_axes(build: Builder, node: Node, view: View) -> Shape:
    """The axes that a softmax is along."""
    rank = len(view.shape)
    axis = axis_of(node, -1 if build.opset >= LAST_AXIS_OPSET else min(1, rank - 1), rank)
    return (axis,) if build.opset >= LAST_AXIS_OPSET else tuple(range(axis, rank))


def along(build: Builder, node: Node, view: View, axes: Shape, make: Any) -> View:
    """An operation of the type of its first operand, in ONNX's shape; it is given the operand's value, and what makes
    its result."""
    if not axes:
        raise ValueError(f"it works along an axis, and its operand is {text(view.shape)}")
    value = build.operand(view, natural(view.shape))
    made: GraphOp = make(value, lambda v: Value(v.type, build.fresh(node.outputs[0])))
    return build.emit(made, view.shape)


def import_log_softmax(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    """x - m - log(sum(exp(x - m))), where m is the maximum."""
    (view,) = inputs
    axes, name = list(softmax_axes(build, node, view)), node.outputs[0]
    largest = reduced(build, f"{name}_max", "max", view, axes)
    shifted = binary(build, f"{name}_shifted", KERNELS["sub"], view, largest)
    powers = unary(build, f"{name}_exp", KERNELS["exp"], shifted)
    total = reduced(build, f"{name}_sum", "sum", powers, axes)
    return binary(build, name, KERNELS["sub"], shifted, unary(build, f"{name}_log", KERNELS["log"], total))


def import_layer_norm(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    """Along an axis and all after it, times a scale, plus a bias where there is one."""
    view, *factors = [t for t in inputs if t is not None]
    return normed(build, node, LayerNormOp, view, factors, _from_axis(node, view))


def import_rms_norm(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    view, scale = inputs
    return normed(build, node, RmsNormOp, view, [scale], _from_axis(node, view))


def normed(
    build: Builder, node: Node, kind: type[NormOp], view: View, factors: list[Tensor], axes: Shape,
    epsilon: float = 1e-5,
) -> View:  # fmt: skip
    """A norm of a kind, with a scale and perhaps a bias; `epsilon` is added before the root where nothing is said."""
    added = FloatAttr(round_float(node.attribute("epsilon", epsilon), "f32"), F32)

    def make(value: Value, own: Any) -> GraphOp:
        return kind([value, *_factors(build, view, factors)], [own(value)], axes=axes, epsilon=added)

    return along(build, node, view, axes, make)


def _from_axis(node: Node, view: View) -> Shape:
    """The axes that a norm is along."""
    rank = len(view.shape)
    return tuple(range(axis_of(node, -1, rank), rank))


def _factors(build: Builder, view: View, tensors: list[Tensor]) -> list[Value]:
    """A norm's scale and bias, with as many axes as what is normalised."""
    values: list[Value] = []
    for tensor in tensors:
        form = (1,) * (len(view.shape) - len(tensor.shape)) + tensor.shape
        dtype = view.held.dtype
        if isinstance(tensor, View) and tensor.held.dtype != dtype:
            tensor = cast(build, tensor, dtype, f"{tensor.held.name}_{dtype}")
        values.append(build.operand(tensor, form, dtype))
    return values
