"""Building functions at graph level from Python, operation by operation, each checked as it is added."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import index
from typing import Any, Protocol

from . import dialects
from .dialects.graph import MAPPED
from .dialects.kernels import find_kernel, kernel_name
from .dialects.kernels.reductions import RESULT_TYPES
from .dialects.result_types import result_of_elementwise, result_of_matmul, result_of_reduce
from .ir import verifier
from .ir.attributes import F32, UNIT, Attributes, FloatAttr, round_float
from .ir.builtin import FuncOp, ModuleOp, ReturnOp
from .ir.core import Block, Operation, Value
from .ir.diagnostics import did_you_mean
from .ir.opdef import Field, OpError, all_ops, find_op, float32, from_generic, numbers, unit
from .ir.plugins import find_plugin_op
from .ir.printer import VALUE_NAME, fresh_name
from .ir.source import UNKNOWN_LOC
from .ir.structure import LEAST, MOST, attribute_fault, exactly, shown
from .ir.types import DTYPE_BYTES, MAX_RANK, TensorType, Type

dialects.load_all()


class Listed(Protocol):
    """NumPy's numbers and arrays, and what is like them."""

    def tolist(self) -> Any:
        """Python's own numbers, or lists of them."""
        ...


Attribute = bool | int | float | str | Type | FloatAttr | None | Listed | Sequence["Attribute"]
"""What an attribute may be given as: floats are f32, lists stand for themselves, NumPy's numbers and arrays for
Python's; None means that it is not there, and so does False where the attribute is a key alone."""


class FuncBuilder:
    """A function in the making: arguments first, then operations, each giving the value of its result.

    Results are named as wished, or by number; a name that is taken gets a number behind it. What does not fit raises
    `OpError` at once, with the message that a text would get, and what is of another type than the signatures say
    TypeError.

    >>> b = tw.FuncBuilder("layer")
    >>> x, w = b.arg("x", (128, 64)), b.arg("w", (64, 32), param=True)
    >>> h = b.matmul(x, w, activation="relu", name="h")
    >>> b.returns(h)
    >>> tw.report(b.module(), "O1{sram=64KiB}").function("layer").cost.traffic_bytes
    57344
    """

    def __init__(self, name: str):
        _expect("a function's name", name, str)
        self.name = name
        self._body = Block()
        self._arg_attrs: list[Attributes] = []
        self._values: set[Value] = set()
        self._names: set[str] = set()

    def arg(self, name: str, shape: Sequence[int], dtype: str = "f32", *, param: bool = False) -> Value:
        """An argument: a tensor of a shape in elements and an element type (f32, f16, bf16, i8, ui8, i32); `param` says
        that it is a weight. Raises ValueError for a name that is taken or can't be one, and for what is no tensor's
        type."""
        _expect("an argument's name", name, str)
        _expect("an element type", dtype, str)
        if not VALUE_NAME.match(name) or name in self._names:
            raise ValueError(f"argument name '{name}' " + ("is taken" if name in self._names else "is not a name"))
        if dtype not in DTYPE_BYTES:
            known = ", ".join(DTYPE_BYTES)
            raise ValueError(f"element type of %{name} must be one of {known}, got '{dtype}'")
        sizes = _sizes(shape)
        if not 1 <= len(sizes) <= MAX_RANK:
            raise ValueError(f"shape of %{name} must be one to {MAX_RANK} whole numbers, got {shown(shape)}")
        if self._body.ops:
            raise ValueError(f"argument %{name} must be added before the first operation")
        if max(sizes) > MOST:
            raise ValueError(f"shape of %{name}: tensor dimension does not fit in 64 bits")
        value = Value(TensorType(sizes, dtype), name)
        value.owner = self._body
        self._body.args.append(value)
        self._arg_attrs.append({"graph.param": UNIT} if param else {})
        self._names.add(name)
        self._values.add(value)
        return value

    def op(self, op: str, *operands: Value, type: Type | None = None, name: str = "", **attributes: Attribute) -> Value:
        """Any operation with one result, such as `b.op("graph.relu", x, tile=[32, 32])`; without a `type` the
        result has that of the first operand, as elementwise operations do.

        Raises `OpError` for an operation that is unknown or doesn't fit, ValueError for an operand of another
        function, and `PluginError` for an operation of a plugin that can't be used.
        """
        _expect("an operation's name", op, str)
        _expect("the result's name", name, str)
        cls = find_op(op) or find_plugin_op(op)
        if cls is None:
            raise OpError(f"unknown operation '{op}'{did_you_mean(op, all_ops())}")
        self._check_operands(operands)
        if type is None and not operands:
            raise OpError(f"{op} needs a result type")
        result = Value(operands[0].type if type is None else type)
        _expect("a result's type", result.type, Type)
        made = from_generic(cls, operands, [result], _declared(cls, attributes), (), UNKNOWN_LOC)
        check = getattr(made, "verify", None)
        if check is not None:
            check()
        result.name = fresh_name(name, self._names).removeprefix("%")
        self._values.add(result)
        self._body.append(made)
        return result

    def matmul(
        self,
        a: Value,
        b: Value,
        bias: Value | None = None,
        *,
        activation: str | None = None,
        transpose_a: bool = False,
        transpose_b: bool = False,
        name: str = "",
        **attributes: Attribute,
    ) -> Value:
        """`a` x `b`, of shapes [m, k] and [k, n] (or [k, m] and [n, k], read transposed), plus `bias`, of shape [n];
        then the activation. The result has shape [m, n] and the accumulator's element type: f32 of floats, i32 of i8
        and ui8. Axes before the last two are batches, broadcast where one operand has 1 or none. Raises `OpError`."""
        self._check_operands((a, b))
        if not isinstance(a.type, TensorType) or not isinstance(b.type, TensorType):
            raise OpError("graph.matmul: operands must be tensors")
        operands = (a, b) if bias is None else (a, b, bias)
        wanted = result_of_matmul(a.type, b.type, UNIT if transpose_a else None, UNIT if transpose_b else None)
        attributes |= {"transpose_a": transpose_a, "transpose_b": transpose_b}
        return self.op("graph.matmul", *operands, type=wanted, name=name, activation=activation, **attributes)

    def add(self, a: Value, b: Value, *, name: str = "") -> Value:
        """`a` + `b`, broadcast to one shape. Raises `OpError`."""
        return self.elementwise("add", a, b, name=name)

    def relu(self, x: Value, *, name: str = "") -> Value:
        """max(x, 0), element by element. Raises `OpError`."""
        return self.elementwise("relu", x, name=name)

    def elementwise(self, kernel: str, *operands: Value, name: str = "", **attributes: Attribute) -> Value:
        """An elementwise operation by its kernel's name, `b.elementwise("relu", x)`, a plugin's too: two operands are
        broadcast to one shape, and `left=1.0` or `right=1.0` is a number in place of one. Raises `OpError`."""
        if find_kernel(kernel) is None:
            raise OpError(f"the kernel must be {kernel_name(kernel)}, got {shown(kernel)}")
        op = MAPPED[kernel].name if kernel in MAPPED else f"graph.{kernel}"
        self._check_operands(operands)
        types = [v.type for v in operands if isinstance(v.type, TensorType)]
        result = result_of_elementwise(op, types) if types else None
        return self.op(op, *operands, type=result, name=name, **attributes)

    def cast(
        self, x: Value, dtype: str, *, scale: float | None = None, zero_point: int | None = None, name: str = ""
    ) -> Value:
        """`x` in another element type; i32 to i8 or ui8 with `scale` and `zero_point` requantises. Raises `OpError`."""
        self._check_operands((x,))
        _expect("an element type", dtype, str)
        if not isinstance(x.type, TensorType):
            raise OpError("graph.cast: the operand must be a tensor")
        wanted = TensorType(x.type.shape, dtype)
        return self.op("graph.cast", x, type=wanted, name=name, scale=scale, zero_point=zero_point)

    def quantize(self, x: Value, dtype: str, scale: float, zero_point: int = 0, *, name: str = "") -> Value:
        """`x` of f32 as i8 or ui8, in steps of `scale` counted from `zero_point`; of i32, which is multiplied by
        `scale`, in f32. Raises `OpError`."""
        kind = "requantize" if isinstance(x.type, TensorType) and x.type.dtype == "i32" else "quantize"
        return self._converted(f"graph.{kind}", x, dtype, scale, zero_point, name)

    def dequantize(self, x: Value, scale: float, zero_point: int = 0, *, name: str = "") -> Value:
        """What `x` of i8, ui8 or i32 stands for in f32: steps of `scale` counted from `zero_point`. Raises
        `OpError`."""
        return self._converted("graph.dequantize", x, "f32", scale, zero_point, name)

    def _converted(self, op: str, x: Value, dtype: str, scale: float, zero_point: int, name: str) -> Value:
        tensor = self._tensor(op, x)
        _expect("an element type", dtype, str)
        wanted = TensorType(tensor.shape, dtype)
        return self.op(op, x, type=wanted, name=name, scale=scale, zero_point=zero_point or None)

    def reduce(
        self, x: Value, kind: str, axis: int | Sequence[int], *, name: str = "", **attributes: Attribute
    ) -> Value:
        """The "sum", "mean", "max" or "min" of `x` along an axis, or several, of which one element is left. Raises
        `OpError`."""
        tensor, axes = self._tensor("graph.reduce", x), _axes(axis)
        _expect("a reduction's kind", kind, str)
        fits = kind in RESULT_TYPES and tensor.dtype in RESULT_TYPES[kind] and all(0 <= a < tensor.rank for a in axes)
        wanted = result_of_reduce(tensor, kind, axes) if fits else tensor
        return self.op("graph.reduce", x, type=wanted, name=name, kind=kind, axes=axes, **attributes)

    def softmax(self, x: Value, axis: int | Sequence[int] = -1, *, name: str = "") -> Value:
        """exp(x - m) / sum(exp(x - m)) along an axis, or several, where m is the maximum along them; -1 is the last
        one. Raises `OpError`."""
        tensor = self._tensor("graph.softmax", x)
        return self.op("graph.softmax", x, name=name, axes=_from_the_end(axis, tensor))

    def causal_mask(self, scores: Value, diagonal: int = 0, *, name: str = "") -> Value:
        """Of each row i, along the last two axes, the elements up to column i + `diagonal`; minus infinity behind them.
        Raises `OpError`."""
        self._tensor("graph.causal_mask", scores)
        return self.op("graph.causal_mask", scores, name=name, diagonal=diagonal or None)

    def layer_norm(
        self,
        x: Value,
        scale: Value,
        bias: Value | None = None,
        *,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-5,
        name: str = "",
    ) -> Value:
        """(x - m) / sqrt(mean((x - m)^2) + `epsilon`) along an axis, or several, where m is the mean along them, times
        `scale`, plus `bias`, which are broadcast. Raises `OpError`."""
        others = (scale,) if bias is None else (scale, bias)
        axes = _from_the_end(axis, self._tensor("graph.layer_norm", x))
        return self.op("graph.layer_norm", x, *others, name=name, axes=axes, epsilon=epsilon)

    def rms_norm(
        self, x: Value, scale: Value, *, axis: int | Sequence[int] = -1, epsilon: float = 1e-5, name: str = ""
    ) -> Value:
        """x / sqrt(mean(x^2) + `epsilon`) along an axis, or several, times `scale`, which is broadcast. Raises
        `OpError`."""
        axes = _from_the_end(axis, self._tensor("graph.rms_norm", x))
        return self.op("graph.rms_norm", x, scale, name=name, axes=axes, epsilon=epsilon)

    def transpose(self, x: Value, permutation: Sequence[int], *, name: str = "") -> Value:
        """`x` with axis `permutation[i]` as axis i. Raises `OpError`."""
        tensor, order = self._tensor("graph.transpose", x), list(permutation)
        fits = sorted(order) == list(range(tensor.rank))
        wanted = TensorType(tuple([tensor.shape[axis] for axis in order]), tensor.dtype) if fits else tensor
        return self.op("graph.transpose", x, type=wanted, name=name, permutation=order)

    def reshape(self, x: Value, shape: Sequence[int], *, name: str = "") -> Value:
        """The elements of `x`, row by row, in another shape. Raises `OpError`."""
        return self._view("graph.reshape", x, shape, name)

    def broadcast(self, x: Value, shape: Sequence[int], *, name: str = "") -> Value:
        """`x` repeated along axes of which it has one element. Raises `OpError`."""
        return self._view("graph.broadcast", x, shape, name)

    def slice(self, x: Value, starts: Sequence[int], sizes: Sequence[int], *, name: str = "") -> Value:
        """`sizes` elements along each axis of `x`, from `starts` on. Raises `OpError`."""
        return self._view("graph.slice", x, sizes, name, starts=list(starts), sizes=list(sizes))

    def concat(self, *parts: Value, axis: int, name: str = "") -> Value:
        """Tensors one behind the other along an axis. Raises `OpError`."""
        tensors = [self._tensor("graph.concat", part) for part in parts]
        if not tensors:
            raise OpError("graph.concat needs an operand")
        shape = list(tensors[0].shape)
        _expect("an axis", axis, int)
        if all(0 <= axis < t.rank for t in tensors):
            shape[axis] = sum(t.shape[axis] for t in tensors)
        return self.op("graph.concat", *parts, type=TensorType(tuple(shape), tensors[0].dtype), name=name, axis=axis)

    def _view(self, op: str, x: Value, shape: Sequence[int], name: str, **attributes: Attribute) -> Value:
        """A view with one operand, of a shape."""
        tensor, sizes = self._tensor(op, x), _sizes(shape)
        if not 1 <= len(sizes) <= MAX_RANK or max(sizes) > MOST:
            raise OpError(f"{op}: the shape must be one to {MAX_RANK} whole numbers, got {shown(shape)}")
        return self.op(op, x, type=TensorType(sizes, tensor.dtype), name=name, **attributes)

    def _tensor(self, op: str, x: Value) -> TensorType:
        """The type of an operand that is a tensor."""
        self._check_operands((x,))
        if not isinstance(x.type, TensorType):
            raise OpError(f"{op}: the operand must be a tensor")
        return x.type

    def returns(self, *values: Value) -> None:
        """Ends the function; `values` are its results. Raises ValueError for a value of another function."""
        self._check_operands(values)
        self._body.append(ReturnOp(values))

    def func(self) -> FuncOp:
        """A copy of the function as it stands. Raises ValueError before `returns`."""
        last = self._body.ops[-1] if self._body.ops else None
        if not isinstance(last, ReturnOp):
            raise ValueError(f"@{self.name} returns nothing yet: call returns(...)")
        results = [value.type for value in last.operands]
        return FuncOp(self.name, self._body, results, arg_attrs=self._arg_attrs).clone()

    def module(self) -> ModuleOp:
        """A verified module with a copy of the function alone. Raises `DiagnosticError`, and ValueError before
        `returns`."""
        module = ModuleOp([self.func()])
        verifier.verify(module)
        return module

    def _check_operands(self, operands: Sequence[Value]) -> None:
        if self._body.ops and isinstance(self._body.ops[-1], ReturnOp):
            raise ValueError(f"@{self.name} has returned")
        for value in operands:
            _expect("an operand", value, Value)
        other = next((value for value in operands if value not in self._values), None)
        if other is not None:
            raise ValueError(f"%{other.name or '?'} is no value of @{self.name}")


def _expect(what: str, given: object, kind: type) -> None:
    """Raises TypeError for an argument of another type."""
    if not isinstance(given, kind):
        raise TypeError(f"{what} must be a {kind.__name__}, got {shown(given)}")


def _axes(axis: int | Sequence[int]) -> list[int]:
    """One axis or several as a list."""
    axes = [axis] if isinstance(axis, int) else list(axis)
    for number in axes:
        _expect("an axis", number, int)
    return axes


def _from_the_end(axis: int | Sequence[int], tensor: TensorType) -> list[int]:
    """Axes, of which negative ones are counted from the end."""
    return [a + tensor.rank if a < 0 else a for a in _axes(axis)]


def _sizes(shape: Any) -> tuple[int, ...]:
    """A shape as Python's own integers; empty where it is none."""
    try:
        given: list[Any] = list(shape)
        return () if any(isinstance(size, bool) for size in given) else tuple(map(index, given))
    except TypeError:
        return ()


def _declared(cls: type[Operation], attributes: dict[str, Attribute]) -> Attributes:
    """The attributes as the language has them. A key alone may be given as True or False, a number for a float."""
    fields: dict[str, Field] = {field.name: field for field in cls.fields}
    found: Attributes = {}
    for key, given in attributes.items():
        kind = fields[key].kind if key in fields else None
        value = _attribute(given, kind is float32 or kind is numbers)
        if value is None or (kind is unit and value is False):
            continue
        found[key] = UNIT if kind is unit and value is True else value
        fault = attribute_fault(found[key])
        if fault:
            error = OpError if "64 bits" in fault else TypeError
            raise error(f"attribute '{key}' of {cls.name} is {fault}")
    return found


def _attribute(given: Any, floats: bool) -> Any:
    """What is given, as the language has it; with `floats` integers are f32 too. What is no attribute is kept."""
    value: Any = given.tolist() if hasattr(given, "tolist") else given  # NumPy's numbers and arrays
    if _is_a(value, float) or (floats and exactly(value, int) and LEAST <= value <= MOST):
        return FloatAttr(round_float(float(value), "f32"), F32)
    if _is_a(value, Mapping):
        return {key: _attribute(inner, floats) for key, inner in value.items()}
    if _is_a(value, Sequence) and not _is_a(value, str | bytes):
        return tuple([_attribute(inner, floats) for inner in value])
    return value


def _is_a(value: Any, kind: Any) -> bool:
    """`isinstance`, which leaves it open what there is in a list."""
    return isinstance(value, kind)
