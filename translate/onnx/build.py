"""Graph operations from views of tensors: what only says where elements are becomes views of the language, and folds
away where it can; constant data become parameters."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import isinf, isnan
from typing import TYPE_CHECKING, Any

import numpy as np

from ...dialects.conversions import CastOp, ConversionOp
from ...dialects.graph import GraphOp, MatmulOp, ViewOp
from ...dialects.graph_builders import elementwise
from ...dialects.kernels import Kernel
from ...dialects.kernels.elementwise import held
from ...dialects.kernels.products import ACCUMULATOR
from ...dialects.result_types import result_of_matmul
from ...dialects.tiles import bare
from ...dialects.views import BroadcastOp, ConcatOp, ReshapeOp, SliceOp, TransposeOp
from ...ir.attributes import UNIT, round_float
from ...ir.core import Operation, Value
from ...ir.types import MAX_RANK, TensorType
from ...runtime.inputs import not_held
from ...runtime.numerics import numpy_dtype
from .model import ELEMENT_TYPES, Node
from .tensors import Const, Held, Shape, Tensor, Unsupported, View, broadcast, natural, text, without_ones

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]


@dataclass(slots=True)
class Builder:
    """The function being built: its operations, its parameters and their values by argument name, remarks for the user.

    `origin` says which initializer a parameter stands for. With `opaque` data are moved by opaque operations, so that
    only what surely lies on every tile grid becomes a view.
    """

    ops: list[Operation] = field(default_factory=list)
    params: list[Value] = field(default_factory=list)
    weights: dict[str, Array] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    origin: dict[Value, str] = field(default_factory=dict)
    opset: int = 0
    opaque: bool = False
    normalizations: list[tuple[GraphOp, GraphOp]] = field(default_factory=list)
    """Where a factor for each column, and then an addend, stand for one operation of the model."""
    readers: Counter[str] = field(default_factory=Counter)
    """How often the model reads each tensor, or gives it."""
    sums: dict[Value, str] = field(default_factory=dict)
    """What is dequantised from sums of products of integers, with the tensor's name in the model."""
    passed_by: set[Operation] = field(default_factory=set)
    """Operations that nothing may read: what does, read what they are made of."""
    viewed: dict[tuple[Any, ...], Value] = field(default_factory=dict)
    """The views that have been made, by what they are."""

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

    # Values of tensors

    def operand(self, tensor: Tensor, form: Shape, dtype: str = "") -> Value:
        """The value of a tensor in a form; a constant becomes a parameter."""
        if isinstance(tensor, Const):
            return self.parameter(tensor.name, tensor.array.reshape(form), dtype or self.dtype(tensor))
        held = tensor.held
        first = form if tensor.in_order else natural(tensor.source if held.given is None else held.given)
        if held.value is None:
            held.value = Value(TensorType(first, held.dtype), held.name)
        if held.free:
            held.value.type, held.free = TensorType(first, held.dtype), False
        value = held.value
        if not tensor.in_order:
            value = self.turned(tensor, value)
        return self.in_form(value, form, tensor.via)

    def turned(self, tensor: View, value: Value) -> Value:
        """What a view in another order than it is held is: a transposition, as far as it moves anything."""
        axes = [a for a in tensor.axes if tensor.source[a] != 1] if len(tensor.axes) > MAX_RANK else list(tensor.axes)
        kept = sorted(axes)
        source = tuple([tensor.source[a] for a in kept])
        self.check_move(False, "a transposition of a computed tensor moves data", tensor.via)
        value = self.in_form(value, source, tensor.via)
        permutation = tuple([kept.index(a) for a in axes])
        shape = tuple([tensor.source[a] for a in axes])
        return self.view(TransposeOp, [value], shape, tensor.via, permutation=permutation)

    def in_form(self, value: Value, form: Shape, via: Node | None) -> Value:
        """A value under another shape; a shape of another shape is one of what that is made of."""
        assert isinstance(value.type, TensorType)
        if value.type.shape == form:
            return value
        found = text(value.type.shape)
        surely = bare(value.type.shape) == bare(form)
        self.check_move(surely, f"'{value.name}' is held as {found}, and can't be read as {text(form)}", via)
        if isinstance(value.owner, ReshapeOp):
            return self.in_form(value.owner.operands[0], form, via)
        return self.view(ReshapeOp, [value], form, via)

    def check_move(self, surely: bool, why: str, via: Node | None) -> None:
        """Raises `Unsupported` where an opaque operation is to move data, and for tensors of too many axes."""
        if self.opaque and not surely:
            raise Unsupported(why, via)

    def view(
        self, kind: type[ViewOp], values: Sequence[Value], shape: Shape, via: Node | None, name: str = "", **given: Any
    ) -> Value:
        """The value of a view; one that has been made before is that."""
        if len(shape) > MAX_RANK:
            raise Unsupported(f"a tensor of rank {len(shape)}; there are ranks up to {MAX_RANK}", via)
        key = (kind, *values, shape, *given.values())
        if key not in self.viewed:
            first = values[0].type
            assert isinstance(first, TensorType)
            made_by = name or (via.outputs[0] if via is not None else f"{values[0].name}_{kind.name[6:]}")
            result = Value(TensorType(shape, first.dtype), self.fresh(made_by))
            made = kind(list(values), [result], **given)
            made.verify()
            self.ops.append(made)
            self.viewed[key] = result
        return self.viewed[key]

    # Views of tensors

    def reshaped(self, view: View, shape: Shape, node: Node) -> View:
        return view.reshaped(shape, node) or self.settled(view).reshaped(shape, node) or view

    def settled(self, view: View) -> View:
        """A view in the order in which its elements are read, held as it is."""
        return self.seen(self.operand(view, natural(view.shape)), view.shape, view.via)

    def seen(self, value: Value, shape: Shape, via: Node | None = None) -> View:
        """A value in ONNX's shape."""
        assert isinstance(value.type, TensorType)
        return View.plain(Held(value.name, value.type.dtype, value), shape, via)

    def sliced(self, view: View, starts: Shape, sizes: Shape, node: Node, name: str = "") -> View:
        """A part of a view, in the same order; called by a node's first output, or another name."""
        if sizes == view.shape:
            return view
        view = put_ahead(self, view)
        places = {axis: i for i, axis in enumerate(view.axes)}
        first, count = (tuple([given[places[a]] for a in range(len(view.axes))]) for given in (starts, sizes))
        self.check_move(False, "a part of a computed tensor", node)
        value = self.operand(View.plain(view.held, view.source, view.via), natural(view.source))
        made = self.view(SliceOp, [value], count, node, name, starts=first, sizes=count)
        return View(Held(made.name, view.held.dtype, made), count, view.axes, node)

    def repeated(self, view: View, shape: Shape, node: Node) -> View:
        """A view broadcast to a shape."""
        form = (1,) * (len(shape) - len(view.shape)) + view.shape
        if form == shape:
            return self.reshaped(view, shape, node)
        self.check_move(False, "a repetition of a computed tensor", node)
        return self.seen(self.view(BroadcastOp, [self.operand(view, form)], shape, node), shape)

    def joined(self, tensors: Sequence[Tensor], axis: int, node: Node) -> View:
        """Tensors one behind the other."""
        self.check_move(False, "a concatenation of computed tensors", node)
        values = [self.operand(t, natural(t.shape), self.dtype(tensors[0])) for t in tensors]
        total = sum(t.shape[axis] for t in tensors)
        shape = (*tensors[0].shape[:axis], total, *tensors[0].shape[axis + 1 :])
        return self.seen(self.view(ConcatOp, values, shape, node, axis=axis), shape)

    # The function

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

    def drop_unread(self, results: Iterable[Value] = ()) -> None:
        """Takes back views, what is passed by, and parameters that neither an operation nor a result reads any more."""
        read = set(results)
        for op in reversed(self.ops):
            if not self.may_go(op) or op.results[0] in read:
                read.update(op.operands)
        gone = {op for op in self.ops if self.may_go(op) and op.results[0] not in read}
        self.names.difference_update(op.results[0].name for op in gone)
        self.ops[:] = [op for op in self.ops if op not in gone]
        self.drop_unread_parameters()

    def may_go(self, op: Operation) -> bool:
        """Whether an operation is left out where nothing reads it."""
        return isinstance(op, ViewOp) or op in self.passed_by

    def drop_unread_parameters(self) -> None:
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
        return self.seen(op.result, shape)

    def take_back(self, ops: int, normalizations: int) -> None:
        """Takes back what has been added since there were so many operations and normalizations."""
        for value in (v for op in self.ops[ops:] for v in op.results):
            self.names.discard(value.name)
        gone = {v for op in self.ops[ops:] for v in op.results}
        self.viewed = {key: value for key, value in self.viewed.items() if value not in gone}
        del self.ops[ops:], self.normalizations[normalizations:]
        self.drop_unread_parameters()

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


def product(
    build: Builder, name: str, a: tuple[Tensor, Shape], b: tuple[Tensor, Shape], shape: Shape, bias: Const | None = None
) -> View:
    """A matmul of two tensors in the given forms, cast back to their type where the accumulator is wider."""
    dtype = build.dtype(a[0])
    if dtype == "i32":
        raise Unsupported("there is no product of i32 here; matmul takes f32, f16, bf16")
    if dtype not in ("f32", "f16", "bf16"):
        raise Unsupported(f"a product of {dtype} tensors has another element type than ONNX's")
    wide = ACCUMULATOR[dtype]
    view = sums_of_products(build, name if wide == dtype else f"{name}_sum", a, b, shape, bias)
    return view if wide == dtype else cast(build, view, dtype, name)


def sums_of_products(
    build: Builder, name: str, a: tuple[Tensor, Shape], b: tuple[Tensor, Shape], shape: Shape, bias: Const | None,
    zero_points: tuple[int | None, int | None] = (None, None),
) -> View:  # fmt: skip
    """A matmul of two tensors in the given forms. A matrix that has been transposed is read so."""
    sides = [_turned(build, *side) for side in (a, b)]
    operands = [value for value, _ in sides]
    if bias is not None:
        operands.append(build.operand(bias, (b[1][-1],), ACCUMULATOR[build.dtype(a[0])]))
    first, second = operands[0].type, operands[1].type
    assert isinstance(first, TensorType)
    assert isinstance(second, TensorType)
    turned = [UNIT if is_turned else None for _, is_turned in sides]
    result = Value(result_of_matmul(first, second, *turned), build.fresh(name))
    made = MatmulOp(
        operands,
        [result],
        transpose_a=turned[0],
        transpose_b=turned[1],
        zero_point_a=zero_points[0],
        zero_point_b=zero_points[1],
    )
    return build.emit(made, shape)


def _turned(build: Builder, tensor: Tensor, form: Shape) -> tuple[Value, bool]:
    """The value of a product's operand, and whether it is to be read transposed: so is one whose rows lie closer
    together than its columns do, as it is held."""
    swapped = (*range(len(form) - 2), len(form) - 1, len(form) - 2)
    if isinstance(tensor, Const) or tensor.in_order or tensor.shape != form or tensor.axes[-1] > tensor.axes[-2]:
        return build.operand(tensor, form), False
    turned = View(tensor.held, tensor.source, tuple([tensor.axes[i] for i in swapped]), tensor.via)
    return build.operand(turned, turned.shape), True


def put_ahead(build: Builder, view: View) -> View:
    """A view to compute with. Where axes before the last one have changed places, as those of heads have,
    it is the view itself: what is computed is cut into single elements along all axes but the last two, and in the
    order in which heads are held these would be the projection's rows. Any other is computed with as it is held."""
    if build.opaque or not view.moves_leading:
        return view
    return build.settled(view)


def cast(build: Builder, view: View, dtype: str, name: str) -> View:
    return converted(build, CastOp, view, dtype, name)


def converted(build: Builder, kind: type[ConversionOp], view: View, dtype: str, name: str, **given: Any) -> View:
    """A tensor with elements of another type, by an operation of a kind, whatever way it is seen."""
    view = put_ahead(build, view)
    held = view.held
    form = held.form or natural(view.source)
    value = build.operand(View.plain(held, view.source), form)
    made = build.emit(kind([value], [Value(TensorType(form, dtype), build.fresh(name))], **given), view.source)
    return View(made.held, view.source, view.axes, view.via)


def binary(build: Builder, name: str, kernel: Kernel, a: Tensor, b: Tensor) -> View:
    """A function of two tensors, broadcast to one shape; a constant that is one number goes into the operation."""
    shape = broadcast(a.shape, b.shape)
    if shape is None:
        raise Unsupported(f"{text(a.shape)} and {text(b.shape)} can't be broadcast to one shape")
    for side, number, other in (("right", b, a), ("left", a, b)):
        if (
            isinstance(other, View)
            and other.shape == shape
            and (value := number_of(build, number, other.held.dtype)) is not None
        ):
            sides = {"right" if kernel.commutes else side: value}
            return unary(build, name, kernel, other, (), **sides)
    if kernel.commutes and b.shape == shape and (a.shape != shape or isinstance(a, Const)):
        a, b = b, a
    a, b = (put_ahead(build, tensor) if isinstance(tensor, View) else tensor for tensor in (a, b))
    if isinstance(a, View) and isinstance(b, View) and not a.in_order and (a.source, a.axes) == (b.source, b.axes):
        made = binary(build, name, kernel, *(View.plain(t.held, t.source, t.via) for t in (a, b)))
        return View(made.held, a.source, a.axes, a.via)
    return of_several(build, name, kernel, (a, b), shape)


def of_several(
    build: Builder, name: str, kernel: Kernel, tensors: Sequence[Tensor], shape: Shape, dtype: str = "",
    **numbers: float,
) -> View:  # fmt: skip
    """A function of tensors that are broadcast to a shape, and of numbers in place of others; `dtype` is that of
    constants, where it is not their own."""
    form = _form(tensors, shape)
    operands = [build.operand(t, _narrowed(t, shape, form) or natural(t.shape), dtype) for t in tensors]
    return build.emit(elementwise(kernel.name, *operands, params=(), name=build.fresh(name), **numbers), shape)


def _form(tensors: Sequence[Tensor], shape: Shape) -> Shape:
    """In which form a function of tensors is computed: the one in which an operand of its shape is held, if the others
    can be that too, else its shape."""
    for tensor in tensors:
        form = tensor.held.form if isinstance(tensor, View) and tensor.in_order and tensor.shape == shape else None
        if form is not None and all(_narrowed(other, shape, form) for other in tensors):
            return form
    return natural(shape)


def _narrowed(tensor: Tensor, shape: Shape, form: Shape) -> Shape | None:
    """The form of a tensor that is broadcast to a shape, where that is held in a form; None where it has none."""
    if tensor.shape == shape and (isinstance(tensor, Const) or tensor.held.form in (None, form) or tensor.held.free):
        return form
    if without_ones(shape) != without_ones(form):
        return None
    full = (1,) * (len(shape) - len(tensor.shape)) + tensor.shape
    rest = list(form)
    own: list[int] = []
    for size, whole in zip(full, shape, strict=True):
        if rest and rest[0] == whole:
            own.append(size)
            rest.pop(0)
        elif whole != 1:
            return None
    if rest:
        return None
    held_as = tensor.held.form if isinstance(tensor, View) and tensor.in_order else None
    plain = held_as is None or len(tensor.shape) < 2
    while len(own) > 1 and own[0] == 1 and tuple(own) != held_as and (plain or len(own) > len(tensor.shape)):
        own.pop(0)
    return held_as if held_as is not None and own == [1] * (len(own) - len(held_as)) + [*held_as] else tuple(own)


def number_of(build: Builder, tensor: Tensor, dtype: str) -> float | None:
    """The one number that a constant has, if elements of a type can be that."""
    if not isinstance(tensor, Const) or not tensor.array.size or build.dtype(tensor) != dtype:
        return None
    number = float(tensor.array.reshape(-1)[0])
    if tensor.array.size > 1 or number != held(round_float(number, "f32"), dtype):
        if tensor.array.size > 1 or tensor.array.dtype != np.float64:
            return None
        build.note("double precision is rounded to f32")
    return None if isnan(number) or isinf(round_float(number, "f32")) != isinf(number) else number


def unary(
    build: Builder, name: str, kernel: Kernel, view: View, params: tuple[float, ...] = (), **numbers: float
) -> View:
    """A function of one tensor, or of one and a number, whatever way it is seen."""
    view = put_ahead(build, view)
    form = view.held.form or natural(view.source)
    value = build.operand(View.plain(view.held, view.source), form)
    made = build.emit(elementwise(kernel.name, value, params=params, name=build.fresh(name), **numbers), view.source)
    return View(made.held, view.source, view.axes, view.via)
