"""Graph operations from views of tensors: reshapes fold away, constant data become parameters."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isinf, isnan, prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ...dialects.conversions import CastOp
from ...dialects.graph import GraphOp, MatmulOp
from ...dialects.graph_builders import elementwise
from ...dialects.kernels import Kernel
from ...dialects.kernels.elementwise import held
from ...dialects.kernels.products import ACCUMULATOR
from ...dialects.result_types import result_of_matmul
from ...ir.attributes import UNIT, round_float
from ...ir.core import Operation, Value
from ...ir.types import TensorType
from ...runtime.inputs import not_held
from ...runtime.numerics import numpy_dtype
from .model import ELEMENT_TYPES, Node

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

Shape = tuple[int, ...]


class Unsupported(Exception):
    """Why a node can't be imported; `node` where it is another than the one at hand."""

    def __init__(self, why: str, node: Node | None = None):
        super().__init__(why)
        self.node = node


@dataclass(slots=True, eq=False)
class Held:
    """What a view looks at: a value in some form, or an input whose form its first use decides (`value` is None)."""

    name: str
    dtype: str
    value: Value | None = None

    @property
    def form(self) -> Shape | None:
        return self.value.type.shape if self.value is not None and isinstance(self.value.type, TensorType) else None


@dataclass(frozen=True, slots=True)
class View:
    """A tensor computed at run time: `held`, in row-major order, as `source`, its axes permuted by `axes`.

    `via` is the last node that reshaped or transposed it.
    """

    held: Held
    source: Shape
    axes: Shape
    via: Node | None = None

    @classmethod
    def plain(cls, held: Held, shape: Shape, via: Node | None = None) -> View:
        return cls(held, shape, tuple(range(len(shape))), via)

    @property
    def shape(self) -> Shape:
        return tuple(self.source[a] for a in self.axes)

    @property
    def in_order(self) -> bool:
        """Whether the permutation leaves the elements where they are: it moves nothing but axes of size 1."""
        moved = [a for a in self.axes if self.source[a] != 1]
        return moved == sorted(moved)

    def reshaped(self, shape: Shape, node: Node) -> View:
        if not self.in_order:
            raise Unsupported("a reshape of a transposed tensor moves data", node)
        return View.plain(self.held, shape, node)

    def transposed(self, perm: Sequence[int], node: Node) -> View:
        return View(self.held, self.source, tuple(self.axes[p] for p in perm), node)


@dataclass(frozen=True, slots=True, eq=False)
class Const:
    """A tensor known at import, and the initializer's name that it goes by."""

    name: str
    array: Array

    @property
    def shape(self) -> Shape:
        return self.array.shape

    def with_array(self, array: Array) -> Const:
        return Const(self.name, array)


Tensor = View | Const


@dataclass(slots=True)
class Builder:
    """The function being built: its operations, its parameters and their values by argument name, remarks for the user.

    `origin` says which initializer a parameter stands for.
    """

    ops: list[Operation] = field(default_factory=list)
    params: list[Value] = field(default_factory=list)
    weights: dict[str, Array] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    origin: dict[Value, str] = field(default_factory=dict)
    opset: int = 0
    normalizations: list[tuple[GraphOp, GraphOp]] = field(default_factory=list)
    """Where a factor for each column, and then an addend, stand for one operation of the model."""

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def dtype(self, tensor: Tensor) -> str:
        if isinstance(tensor, View):
            return tensor.held.dtype
        name = {"float32": "float", "float64": "double"}.get(tensor.array.dtype.name, tensor.array.dtype.name)
        if name not in ELEMENT_TYPES:
            raise Unsupported(f"'{tensor.name}' has elements of type {name}; they can be {', '.join(ELEMENT_TYPES)}")
        return ELEMENT_TYPES[name]

    def operand(self, tensor: Tensor, form: Shape, dtype: str = "") -> Value:
        """The value of a tensor in a form; a constant becomes a parameter."""
        if isinstance(tensor, Const):
            return self.parameter(tensor.name, tensor.array.reshape(form), dtype or self.dtype(tensor))
        if not tensor.in_order:
            raise Unsupported("a transposition of a computed tensor moves data", tensor.via)
        held = tensor.held
        if held.value is None:
            held.value = Value(TensorType(form, held.dtype), held.name)
        if held.form != form:
            found = text(held.form or ())
            raise Unsupported(f"'{held.name}' is held as {found}, and can't be read as {text(form)}", tensor.via)
        return held.value

    def parameter(self, name: str, array: Array, dtype: str) -> Value:
        """An argument for constant data; the same data under the same name are one."""
        if array.dtype == np.float64:
            self.note("double precision is rounded to f32")
        if 0 in array.shape:
            raise Unsupported(f"initializer '{name}' is {text(array.shape)}; dimensions are at least 1")
        with np.errstate(over="ignore"):
            data = np.ascontiguousarray(array, numpy_dtype(dtype))
        lost = not_held(array, data)
        if lost is not None:
            raise Unsupported(f"'{name}' has the value {lost}, which {dtype} can't hold")
        type = TensorType(data.shape, dtype)
        for known in self.params:
            if known.type == type and self.origin[known] == name and same(self.weights[known.name], data):
                return known
        value = Value(type, self.fresh(name))
        self.params.append(value)
        self.weights[value.name] = data
        self.origin[value] = name
        return value

    def drop_unread(self) -> None:
        """Takes back the parameters that no operation reads any more."""
        read = {v for op in self.ops for v in op.operands}
        for value in [v for v in self.params if v not in read]:
            self.params.remove(value)
            del self.weights[value.name], self.origin[value]
            self.names.discard(value.name)

    def emit(self, op: GraphOp, shape: Shape) -> View:
        """Adds an operation; its result is seen in ONNX's shape."""
        op.verify()
        self.ops.append(op)
        assert isinstance(op.result.type, TensorType)
        return View.plain(Held(op.result.name, op.result.type.dtype, op.result), shape)

    def fresh(self, wish: str, instead_of: str = "") -> str:
        """A valid SSA name like an ONNX name, used nowhere else."""
        self.names.discard(instead_of)
        stem = re.sub(r"[^A-Za-z0-9_$.\-]", "_", wish).lstrip("_.-$") or "value"
        stem = f"v{stem}" if stem[0].isdigit() else stem
        name, number = stem, 1
        while name in self.names:
            number += 1
            name = f"{stem}_{number}"
        self.names.add(name)
        return name


def same(a: Array, b: Array) -> bool:
    return a.shape == b.shape and a.tobytes() == b.tobytes()


def broadcast(a: Shape, b: Shape) -> Shape | None:
    """The shape that two tensors are broadcast to, if there is one."""
    try:
        return np.broadcast_shapes(a, b)
    except ValueError:
        return None


def text(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "a scalar"


def flat(shape: Shape) -> Shape:
    """The matrix whose rows are a tensor's innermost ones, all further axes taken together; rank 1 is one row."""
    return (prod(shape[:-1]), shape[-1] if shape else 1)


def natural(shape: Shape) -> Shape:
    """The form of a tensor that nothing else asks of it: rank 1 as it is, else `flat`."""
    return shape if len(shape) == 1 else flat(shape)


def product(
    build: Builder, name: str, a: tuple[Tensor, Shape], b: tuple[Tensor, Shape], shape: Shape, bias: Const | None = None
) -> View:
    """A matmul of two tensors in the given forms, cast back to their type where the accumulator is wider. A matrix that
    has been transposed is read so."""
    dtype = build.dtype(a[0])
    if dtype == "i32":
        raise Unsupported("there is no product of i32 here; matmul takes f32, f16, bf16")
    if dtype not in ("f32", "f16", "bf16"):
        raise Unsupported(f"a product of {dtype} tensors has another element type than ONNX's")
    sides = [_turned(build, *side) for side in (a, b)]
    operands = [value for value, _ in sides]
    if bias is not None:
        operands.append(build.operand(bias, (b[1][-1],), ACCUMULATOR[dtype]))
    first, second = operands[0].type, operands[1].type
    assert isinstance(first, TensorType)
    assert isinstance(second, TensorType)
    turned = [UNIT if is_turned else None for _, is_turned in sides]
    wide = result_of_matmul(first, second, *turned)
    result = build.fresh(name if wide.dtype == dtype else f"{name}_sum")
    made = MatmulOp(operands, [Value(wide, result)], transpose_a=turned[0], transpose_b=turned[1])
    view = build.emit(made, shape)
    return view if wide.dtype == dtype else cast(build, view, dtype, name)


def _turned(build: Builder, tensor: Tensor, form: Shape) -> tuple[Value, bool]:
    """The value of a product's operand, and whether it is to be read transposed."""
    *batches, m, n = range(len(form))
    if isinstance(tensor, Const) or tensor.in_order or tensor.axes != (*batches, n, m):
        return build.operand(tensor, form), False
    return build.operand(View.plain(tensor.held, tensor.source, tensor.via), tensor.source), True


def cast(build: Builder, view: View, dtype: str, name: str) -> View:
    held = view.held
    form = held.form or natural(view.source)
    value = build.operand(View.plain(held, view.source), form)
    made = build.emit(CastOp([value], [Value(TensorType(form, dtype), build.fresh(name))]), view.source)
    return View(made.held, view.source, view.axes, view.via)


def binary(build: Builder, name: str, kernel: Kernel, a: Tensor, b: Tensor) -> View:
    """A function of two tensors, broadcast to one shape; a constant that is one number goes into the operation."""
    shape = broadcast(a.shape, b.shape)
    if shape is None:
        raise Unsupported(f"{text(a.shape)} and {text(b.shape)} can't be broadcast to one shape")
    for side, number, other in (("right", b, a), ("left", a, b)):
        if isinstance(other, View) and other.shape == shape and (value := _number(build, number, other)) is not None:
            sides = {"right" if kernel.commutes else side: value}
            return unary(build, name, kernel, other, (), **sides)
    if kernel.commutes and b.shape == shape and (a.shape != shape or isinstance(a, Const)):
        a, b = b, a
    whole = [t for t in (a, b) if t.shape == shape]
    form = next((t.held.form for t in whole if isinstance(t, View) and t.held.form), natural(shape))
    operands = [_operand_of(build, tensor, shape, form) for tensor in (a, b)]
    return build.emit(elementwise(kernel.name, *operands, name=build.fresh(name)), shape)


def _number(build: Builder, tensor: Tensor, other: View) -> float | None:
    """The one number that a constant has, or has everywhere, if elements of another tensor's type can be that."""
    if not isinstance(tensor, Const) or not tensor.array.size or build.dtype(tensor) != other.held.dtype:
        return None
    number = float(tensor.array.reshape(-1)[0])
    if tensor.array.size > 1 or number != held(round_float(number, "f32"), other.held.dtype):
        if tensor.array.size > 1 or tensor.array.dtype != np.float64:
            return None
        build.note("double precision is rounded to f32")
    return None if isnan(number) or isinf(round_float(number, "f32")) != isinf(number) else number


def _operand_of(build: Builder, tensor: Tensor, shape: Shape, form: Shape) -> Value:
    """An operand of a function whose result, of a shape, is held in a form: in that form, or broadcast to it; a
    constant that can't be is written out. Raises `Unsupported` for another."""
    if tensor.shape == shape:
        return build.operand(tensor, form)
    own = _broadcast_form(tensor, shape, form)
    if own is not None:
        return build.operand(tensor, own)
    if not isinstance(tensor, Const):
        raise Unsupported(f"{text(tensor.shape)} can't be broadcast to {text(shape)}, which is held as {text(form)}")
    return build.operand(Const(tensor.name, np.broadcast_to(tensor.array, shape)), form)


def _broadcast_form(tensor: Tensor, shape: Shape, form: Shape) -> Shape | None:
    """The form in which a tensor is broadcast to a form of its result: a vector or one row, a column, one element; None
    where it is none of these."""
    if form != natural(shape):
        return tensor.shape or None if form == shape else None
    full = (1,) * (len(shape) - len(tensor.shape)) + tensor.shape
    rows, columns = flat(full)
    if len(form) == 1:
        return (columns,)
    if rows == 1:
        one_row = isinstance(tensor, View) and tensor.held.form == (1, columns)
        return (1, columns) if one_row else (columns,)
    return (rows, columns) if full[:-1] == shape[:-1] else None


def unary(
    build: Builder, name: str, kernel: Kernel, view: View, params: tuple[float, ...] = (), **numbers: float
) -> View:
    """A function of one tensor, or of one and a number, whatever way it is seen."""
    form = view.held.form or natural(view.source)
    value = build.operand(View.plain(view.held, view.source), form)
    made = build.emit(elementwise(kernel.name, value, params=params, name=build.fresh(name), **numbers), view.source)
    return View(made.held, view.source, view.axes, view.via)
