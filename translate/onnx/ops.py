"""How each kind of ONNX node is imported that reads something computed at run time."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, prod
from typing import Any

import numpy as np

from ...dialects.conversions import DequantizeOp
from ...dialects.graph import GraphOp
from ...dialects.kernels import KERNELS, Call, Kernel
from ...dialects.kernels.elementwise import ELEMENTWISE
from ...dialects.kernels.quantised import QUANTISED
from ...ir.attributes import F32, FloatAttr
from ...ir.plugins import DIALECT_PLUGINS
from ...ir.types import INTEGERS
from . import attention, choices, fused, quantised
from .build import Builder, binary, cast, converted, unary
from .model import ELEMENT_TYPES, Node, OnnxModel, type_name
from .moves import (
    import_concat,
    import_expand,
    import_flatten,
    import_gather,
    import_reshape,
    import_slice,
    import_split,
    import_squeeze,
    import_transpose,
    import_unsqueeze,
)
from .norms import import_layer_norm, import_log_softmax, import_reduce, import_rms_norm, import_softmax
from .products import import_einsum, import_gemm, import_matmul
from .tensors import Const, Shape, Tensor, Unsupported, View, broadcast, text

Inputs = list[Any]
"""A node's inputs, each a view, a constant, or None where it is left out."""


def kernel_of(op: str) -> Kernel | None:
    """The elementwise kernel that means what an ONNX operator does; that of a plugin where we have none."""
    found = next((kernel for kernel in ELEMENTWISE.values() if kernel.onnx == op), None)
    if found is None:
        DIALECT_PLUGINS.find_all()
        found = next((kernel for kernel in ELEMENTWISE.values() if kernel.onnx == op), None)
    return found


def import_mapped(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    """By the kernel that means the same."""
    kernel = kernel_of(node.op)
    assert kernel is not None
    if len(kernel.sources) == 2:
        return binary(build, node.outputs[0], kernel, *inputs)
    params = tuple([float(node.attribute(p.name, _default(build, node, p.name))) for p in kernel.parameters])
    return unary(build, node.outputs[0], kernel, inputs[0], params)


def _default(build: Builder, node: Node, name: str) -> float:
    """What an attribute is that is left out, in the version of the operator that a model uses."""
    from onnx import defs

    return float(defs.get_schema(node.op, build.opset).attributes[name].default_value.f)


def import_gelu(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    form = node.attribute("approximate", "none")
    kernel = {"none": "gelu", "tanh": "gelu_tanh"}.get(form)
    if kernel is None:
        raise ValueError(f"approximate is '{form}'; it can be none or tanh")
    return unary(build, node.outputs[0], KERNELS[kernel], inputs[0])


def import_several(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    """A function of two tensors, of any number of them: the first two, that and the third, and so on."""
    kernel = KERNELS["add"] if node.op == "Sum" else kernel_of(node.op)
    assert kernel is not None
    made, *others = inputs
    for i, tensor in enumerate(others, 1):
        name = node.outputs[0] if i == len(others) else f"{node.outputs[0]}_{i}"
        made = of_two(build, name, kernel, made, tensor)
    return made


def of_two(build: Builder, name: str, kernel: Kernel, a: Tensor, b: Tensor) -> Tensor:
    """A function of two tensors; a maximum of one and zero is a relu."""
    view, zero = (b, a) if isinstance(a, Const) else (a, b)
    if isinstance(a, Const) and isinstance(b, Const):
        arrays = [t.array.astype(np.float64) if t.array.dtype.kind == "f" else t.array.astype(np.int64) for t in (a, b)]
        made = kernel.meaning(np, Call((), arrays[0].dtype), *arrays)
        return Const(name, made.astype(a.array.dtype))
    is_zero = isinstance(zero, Const) and not zero.array.any() and broadcast(view.shape, zero.shape) == view.shape
    if kernel is KERNELS["max"] and is_zero and isinstance(view, View):
        return unary(build, name, KERNELS["relu"], view)
    return binary(build, name, kernel, a, b)


def import_batch_normalization(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    """(x - mean) / sqrt(variance + epsilon) * scale + shift, along axis 1: two constant vectors, which go into the
    product before it where there is one that nothing else reads."""
    view, *given = inputs
    if node.attribute("training_mode", 0) or len([name for name in node.outputs if name]) > 1:
        raise Unsupported("it is imported as it is after training")
    if not all(isinstance(t, Const) for t in given):
        raise Unsupported("its scale, shift, mean and variance must be constant")
    if len(view.shape) < 2 or prod(view.shape[2:]) != 1:
        raise Unsupported(f"of {text(view.shape)} it works along axis 1, which isn't the last one")
    scale, shift, mean, variance = (t.array.astype(np.float64) for t in given)
    factor = scale / np.sqrt(variance + node.attribute("epsilon", 1e-5))
    added = shift - mean * factor
    vectors = Const(given[0].name, factor.astype(np.float32)), Const(given[1].name, added.astype(np.float32))
    name = node.outputs[0]
    sides = [Const(v.name, v.array.reshape((-1,) + (1,) * (len(view.shape) - 2))) for v in vectors]
    product = binary(build, f"{name}_scaled", KERNELS["mul"], view, sides[0])
    result = binary(build, name, KERNELS["add"], product, sides[1])
    pair = [t.held.value.owner for t in (product, result) if t.held.value is not None]
    if all(isinstance(op, GraphOp) and len(op.operands) == 2 for op in pair):
        build.normalizations.append((pair[0], pair[1]))  # type: ignore[arg-type]
    return result


def import_clip(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    """Its bounds are constant inputs, or attributes before operator set 11; either may be left out."""
    given = [inputs[i] if i < len(inputs) else None for i in (1, 2)]
    bounds = [node.attribute("min", -inf), node.attribute("max", inf)]
    for i, tensor in enumerate(given):
        if tensor is not None and not isinstance(tensor, Const):
            raise Unsupported("its bounds must be constant")
        if tensor is not None:
            bounds[i] = float(tensor.array.reshape(()))
    return unary(build, node.outputs[0], KERNELS["clip"], inputs[0], tuple(bounds))


def import_dropout(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    """Nothing, but in training."""
    training = inputs[2] if len(inputs) > 2 else None
    if training is not None and not (isinstance(training, Const) and not training.array.any()):
        raise Unsupported("it is imported as it is after training")
    return inputs[0]


def import_identity(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    return inputs[0]


def import_cast(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    """Falls away between equal types. ONNX's casts to integers wrap or truncate, `graph.cast` saturates."""
    (view,) = inputs
    if type_name(node.attribute("to", 0)) == "bool":
        return choices.truth_of(build, view, node.outputs[0])
    name = cast_type(node)
    if name == "double":
        build.note("double precision is rounded to f32")
    dtype = ELEMENT_TYPES[name]
    if dtype == view.held.dtype:
        return view
    if dtype in QUANTISED:
        raise Unsupported(f"a cast to {name} wraps in ONNX, and saturates here")
    if dtype == "f32" and view.held.dtype in INTEGERS:
        return converted(build, DequantizeOp, view, dtype, node.outputs[0], scale=FloatAttr(1.0, F32))
    return cast(build, view, dtype, node.outputs[0])


def cast_type(node: Node) -> str:
    """ONNX's name of the type to cast to. Raises `Unsupported` for one that there is not here."""
    name = type_name(node.attribute("to", 0))
    if name not in ELEMENT_TYPES:
        raise Unsupported(f"no cast to {name}; types are {', '.join(ELEMENT_TYPES)}")
    return name


def check_unread(model: OnnxModel, node: Node, lost: list[bool]) -> None:
    """Raises `Unsupported` where a node can't be imported whatever its `lost` operands are."""
    if node.op == "Cast" and type_name(node.attribute("to", 0)) != "bool":
        cast_type(node)


def import_shape(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    return shape_of(node, inputs[0].shape)


def shape_of(node: Node, shape: Shape) -> Const:
    """What Shape or Size gives of a tensor of a shape."""
    if node.op == "Size":
        return Const(node.outputs[0], np.array(prod(shape), np.int64))
    return Const(node.outputs[0], np.array(shape[node.attribute("start", 0) : node.attribute("end", None)], np.int64))


Handler = Callable[[Builder, Node, Inputs], Tensor | list[Tensor]]
"""Gives the tensor that is a node's first output, or those that are its outputs."""

OTHERS = quantised.HANDLERS | attention.HANDLERS | choices.HANDLERS | fused.HANDLERS
"""The operators of other files, with how many inputs they have."""

HANDLERS: dict[str, Handler] = {
    "BatchNormalization": import_batch_normalization,
    "Cast": import_cast,
    "Clip": import_clip,
    "Concat": import_concat,
    "Dropout": import_dropout,
    "Einsum": import_einsum,
    "Expand": import_expand,
    "Flatten": import_flatten,
    "Gather": import_gather,
    "Gelu": import_gelu,
    "Gemm": import_gemm,
    "Identity": import_identity,
    "LayerNormalization": import_layer_norm,
    "LogSoftmax": import_log_softmax,
    "MatMul": import_matmul,
    "Max": import_several,
    "Min": import_several,
    "RMSNormalization": import_rms_norm,
    "ReduceMax": import_reduce,
    "ReduceMean": import_reduce,
    "ReduceMin": import_reduce,
    "ReduceSum": import_reduce,
    "Reshape": import_reshape,
    "Shape": import_shape,
    "Size": import_shape,
    "Slice": import_slice,
    "Softmax": import_softmax,
    "Split": import_split,
    "Squeeze": import_squeeze,
    "Sum": import_several,
    "Transpose": import_transpose,
    "Unsqueeze": import_unsqueeze,
    **{op: handler for op, (handler, _) in OTHERS.items()},
}
ANY = 1 << 30
ARITY = {
    "BatchNormalization": (5, 5), "Clip": (1, 3), "Concat": (1, ANY), "Dropout": (1, 3), "Einsum": (2, 2),
    "Expand": (2, 2), "Gather": (2, 2), "Gemm": (2, 3), "LayerNormalization": (2, 3), "MatMul": (2, 2),
    "Max": (1, ANY), "Min": (1, ANY), "RMSNormalization": (2, 2), "ReduceMax": (1, 2), "ReduceMean": (1, 2),
    "ReduceMin": (1, 2), "ReduceSum": (1, 2), "Reshape": (2, 2), "Slice": (1, 5), "Split": (1, 2), "Squeeze": (1, 2),
    "Sum": (1, ANY), "Unsqueeze": (1, 2), **{op: counts for op, (_, counts) in OTHERS.items()},
}  # fmt: skip
"""How many inputs a node has, at least and at most; one where nothing is said."""


def handler_of(op: str) -> Handler | None:
    """How a kind of node is imported; None where it can't be."""
    return HANDLERS.get(op) or (None if kernel_of(op) is None else import_mapped)


def inputs_of(op: str) -> tuple[int, int]:
    """How many inputs a kind of node has, at least and at most."""
    kernel = None if op in HANDLERS else kernel_of(op)
    if kernel is None:
        return ARITY.get(op, (1, 1))
    return len(kernel.sources), len(kernel.sources)
