"""How each kind of ONNX node is imported that reads something computed at run time."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, prod
from typing import Any

import numpy as np

from ...dialects.graph import GraphOp
from ...dialects.kernels import KERNELS, Call, Kernel
from ...dialects.kernels.elementwise import ELEMENTWISE
from ...ir.plugins import DIALECT_PLUGINS
from ...ir.types import MAX_RANK
from .build import (
    Builder,
    Const,
    Shape,
    Tensor,
    Unsupported,
    View,
    binary,
    broadcast,
    cast,
    flat,
    product,
    text,
    unary,
)
from .model import ELEMENT_TYPES, Node, OnnxModel, type_name

Inputs = list[Any]
"""A node's inputs, each a view, a constant, or None where it is left out."""


def kernel_of(op: str) -> Kernel | None:
    """The elementwise kernel that means what an ONNX operator does; that of a plugin where we have none."""
    found = next((kernel for kernel in ELEMENTWISE.values() if kernel.onnx == op), None)
    if found is None:
        DIALECT_PLUGINS.find_all()
        found = next((kernel for kernel in ELEMENTWISE.values() if kernel.onnx == op), None)
    return found


def import_matmul(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    """NumPy's rules: leading axes of A are rows; a vector is a row as A and a column as B."""
    a, b = inputs
    if not a.shape or not b.shape:
        raise Unsupported("a scalar has no product")
    if prod(b.shape[:-2]) != 1:
        return product_of_batches(build, node, a, b)
    held = a.held.form if isinstance(a, View) and a.in_order else None
    rows = held if held and len(held) > 2 and held[-1] == a.shape[-1] else flat(a.shape)
    columns = (b.shape[0], 1) if len(b.shape) == 1 else b.shape[-2:]
    lead = a.shape[:-1]
    if len(a.shape) > 1 and len(b.shape) > len(a.shape):
        lead = b.shape[: len(b.shape) - len(a.shape)] + lead
    elif len(a.shape) == 1:
        lead = b.shape[:-2]
    shape = lead + (() if len(b.shape) == 1 else b.shape[-1:])
    return product(build, node.outputs[0], (a, rows), (b, columns), shape)


def product_of_batches(build: Builder, node: Node, a: Tensor, b: Tensor) -> Tensor:
    """A product for each of several matrices; a vector is one row for all of them."""
    form = a.shape if len(a.shape) > 1 else (1, *a.shape)
    batches = broadcast(form[:-2], b.shape[:-2])
    if batches is None:
        raise ValueError(f"the batches of {text(a.shape)} and {text(b.shape)} can't be broadcast to one shape")
    if len(batches) + 2 > MAX_RANK:
        raise Unsupported(f"its tensors have rank {len(batches) + 2}; there are ranks up to {MAX_RANK}")
    shape = (*batches, *a.shape[-2:-1], b.shape[-1])
    return product(build, node.outputs[0], (a, form), (b, b.shape), shape)


def import_gemm(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    """alpha A B + beta C: the scales and the transpositions go into the constants."""
    a, b, c = inputs if len(inputs) > 2 else [*inputs, None]
    if len(a.shape) != 2 or len(b.shape) != 2:
        raise Unsupported(f"its operands have ranks {len(a.shape)} and {len(b.shape)}, not 2")
    a = transposed(a, (1, 0), node) if node.attribute("transA", 0) else a
    b = transposed(b, (1, 0), node) if node.attribute("transB", 0) else b
    alpha, beta = node.attribute("alpha", 1.0), node.attribute("beta", 1.0)
    name, shape = node.outputs[0], (a.shape[0], b.shape[1])
    if isinstance(b, Const):
        b, alpha = scaled(b, alpha), 1.0
    elif isinstance(a, Const):
        a, alpha = scaled(a, alpha), 1.0
    if c is None or beta == 0:
        return times(build, name, alpha, lambda own: product(build, own, (a, a.shape), (b, b.shape), shape))
    if broadcast(shape, c.shape) != shape:
        raise ValueError(f"C is {'x'.join(map(str, c.shape))}, which does not broadcast to {shape[0]}x{shape[1]}")
    if isinstance(c, Const):
        c = scaled(c, beta)
        if prod(c.shape[:-1]) == 1 and alpha == 1:
            bias = Const(c.name, np.broadcast_to(c.array.reshape(c.shape[-1:]), shape[1:]))
            return product(build, name, (a, a.shape), (b, b.shape), shape, bias)
    elif beta != 1:
        c = unary(build, f"{name}_scaled", KERNELS["mul"], c, right=beta)
    total = times(build, f"{name}_product", alpha, lambda own: product(build, own, (a, a.shape), (b, b.shape), shape))
    return binary(build, name, KERNELS["add"], total, c)


def times(build: Builder, name: str, factor: float, make: Callable[[str], View]) -> View:
    """What is made under a name, times a number under that name."""
    if factor == 1:
        return make(name)
    return unary(build, name, KERNELS["mul"], make(f"{name}_unscaled"), right=factor)


def import_einsum(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    """A product of two matrices, whichever way they and the result are turned: `ij,kj->ki`, say."""
    equation = str(node.attribute("equation", "")).replace(" ", "")
    sides, _, result = equation.partition("->")
    first, _, second = sides.partition(",")
    a, b = inputs
    summed = set(first) & set(second)
    matrices = all(len(set(letters)) == len(letters) == 2 for letters in (first, second, result))
    if not matrices or len(summed) != 1 or set(result) != set(first) ^ set(second):
        raise Unsupported(f"'{equation}' is no product of two matrices")
    if len(a.shape) != 2 or len(b.shape) != 2:
        raise ValueError(f"its operands have ranks {len(a.shape)} and {len(b.shape)}, not 2")
    if result[0] not in first:
        a, b, first, second = b, a, second, first
    a = transposed(a, (1, 0), node) if first[0] in summed else a
    b = transposed(b, (1, 0), node) if second[1] in summed else b
    return product(build, node.outputs[0], (a, a.shape), (b, b.shape), (a.shape[0], b.shape[1]))


def scaled(tensor: Const, factor: float) -> Const:
    """The constant times alpha or beta, in its own precision."""
    if factor == 1:
        return tensor
    return Const(tensor.name, tensor.array * tensor.array.dtype.type(factor))


def transposed(tensor: Any, perm: Shape, node: Node) -> Any:
    if isinstance(tensor, Const):
        return Const(tensor.name, tensor.array.transpose(perm))
    return tensor.transposed(perm, node)


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


def import_size(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    return Const(node.outputs[0], np.array(prod(inputs[0].shape), np.int64))


def import_identity(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    return inputs[0]


def import_cast(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    """Falls away between equal types. ONNX's casts to integers wrap or truncate, `graph.cast` saturates."""
    (view,) = inputs
    name = cast_type(node)
    if name == "double":
        build.note("double precision is rounded to f32")
    dtype = ELEMENT_TYPES[name]
    if dtype == view.held.dtype:
        return view
    if dtype == "i8":
        raise Unsupported("a cast to int8 wraps in ONNX, and saturates here")
    return cast(build, view, dtype, node.outputs[0])


def cast_type(node: Node) -> str:
    """ONNX's name of the type to cast to. Raises `Unsupported` for one that there is not here."""
    name = type_name(node.attribute("to", 0))
    if name not in ELEMENT_TYPES:
        raise Unsupported(f"no cast to {name}; types are {', '.join(ELEMENT_TYPES)}")
    return name


def check_unread(model: OnnxModel, node: Node, lost: list[bool]) -> None:
    """Raises `Unsupported` where a node can't be imported whatever its `lost` operands are."""
    if node.op == "Cast":
        cast_type(node)
    if node.op != "Gemm":
        return
    for i, option in enumerate(("transA", "transB")):
        maker = model.makers.get(node.inputs[i])
        if lost[i] and node.attribute(option, 0) and maker is not None and maker.op not in MOVING:
            raise Unsupported(f"{option}: a transposition of a computed tensor moves data")


def import_transpose(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    (view,) = inputs
    rank = len(view.shape)
    perm = tuple(node.attribute("perm", range(rank - 1, -1, -1)))
    if sorted(perm) != list(range(rank)):
        raise ValueError(f"perm is {list(perm)}, and the tensor has rank {rank}")
    return view.transposed(perm, node)


def import_flatten(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    (view,) = inputs
    axis = node.attribute("axis", 1)
    axis += len(view.shape) if axis < 0 else 0
    return view.reshaped((prod(view.shape[:axis]), prod(view.shape[axis:])), node)


def import_reshape(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    view, wanted = inputs
    sizes = integers(wanted, "the shape")
    if not node.attribute("allowzero", 0):
        sizes = [view.shape[i] if d == 0 and i < len(view.shape) else d for i, d in enumerate(sizes)]
    known, total = prod(d for d in sizes if d != -1), prod(view.shape)
    if sizes.count(-1) == 1 and known > 0 and total % known == 0:
        sizes[sizes.index(-1)] = total // known
    if min(sizes, default=1) < 1 or prod(sizes) != total:
        raise ValueError(f"a tensor of shape {list(view.shape)} can't be reshaped to {integers(wanted, 'the shape')}")
    return view.reshaped(tuple(sizes), node)


def import_squeeze(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    view, axes = inputs[0], _axes(node, inputs)
    if axes is None:
        axes = [i for i, d in enumerate(view.shape) if d == 1]
    gone = {a % max(len(view.shape), 1) for a in axes}
    if any(view.shape[a] != 1 for a in gone):
        raise ValueError(f"axes {sorted(gone)} of shape {list(view.shape)} are not all of size 1")
    return view.reshaped(tuple(d for i, d in enumerate(view.shape) if i not in gone), node)


def import_unsqueeze(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    view, axes = inputs[0], _axes(node, inputs) or []
    rank = len(view.shape) + len(axes)
    new, rest = {a % rank for a in axes}, iter(view.shape)
    return view.reshaped(tuple(1 if i in new else next(rest) for i in range(rank)), node)


def import_shape(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    (view,) = inputs
    start, end = node.attribute("start", 0), node.attribute("end", None)
    return Const(node.outputs[0], np.array(view.shape[start:end], np.int64))


def _axes(node: Node, inputs: Inputs) -> list[int] | None:
    """An attribute before operator set 13, an input since."""
    if len(inputs) > 1 and inputs[1] is not None:
        return integers(inputs[1], "the axes")
    return node.attribute("axes", None)


def integers(tensor: Tensor, what: str) -> list[int]:
    if not isinstance(tensor, Const):
        raise Unsupported(f"{what} must be constant")
    return [int(n) for n in tensor.array.reshape(-1)]


MOVING = frozenset(["Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity"])
"""What a transposition may undo, or whose result it may leave in order."""
Handler = Callable[[Builder, Node, Inputs], Tensor]

HANDLERS: dict[str, Handler] = {
    "BatchNormalization": import_batch_normalization,
    "Cast": import_cast,
    "Clip": import_clip,
    "Dropout": import_dropout,
    "Einsum": import_einsum,
    "Flatten": import_flatten,
    "Gelu": import_gelu,
    "Gemm": import_gemm,
    "Identity": import_identity,
    "MatMul": import_matmul,
    "Max": import_several,
    "Min": import_several,
    "Reshape": import_reshape,
    "Shape": import_shape,
    "Size": import_size,
    "Squeeze": import_squeeze,
    "Sum": import_several,
    "Transpose": import_transpose,
    "Unsqueeze": import_unsqueeze,
}
ANY = 1 << 30
ARITY = {
    "BatchNormalization": (5, 5), "Clip": (1, 3), "Dropout": (1, 3), "Einsum": (2, 2), "Gemm": (2, 3), "MatMul": (2, 2),
    "Max": (1, ANY), "Min": (1, ANY), "Reshape": (2, 2), "Squeeze": (1, 2), "Sum": (1, ANY), "Unsqueeze": (1, 2),
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
