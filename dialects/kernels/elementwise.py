"""The kernels that work element by element: a row of the table each, from which all facets follow.

A row says what the function is; which levels there are, it need not know. To add one: a row here, its word in
`dialects/graph.lark`, and `docs/language.md` brought up to date.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isnan, nan

from ...ir.attributes import FloatAttr, float_text, round_float
from ...ir.light_typing import TYPE_CHECKING, Any
from ...ir.opdef import REGISTRIES, OpError
from ...ir.types import DTYPE_BYTES
from ..tiles import TiledType
from .declaration import ALL as REPEATED
from .declaration import (
    ELEMENTS,
    Array,
    Call,
    Check,
    Kernel,
    Parameter,
    Range,
    declare,
    elements,
    same_coordinates,
    shapes_seen,
)
from .formulas import erf, gelu, gelu_tanh, hard_swish, sigmoid, silu
from .laws import Clamps, clamping

if TYPE_CHECKING:
    from .declaration import Algebra, TermT

FLOATS = ("f32", "f16", "bf16")
SUMMABLE = (*FLOATS, "i32")
ALL = (*FLOATS, "i8", "ui8", "i32")

Formula = Callable[..., Array]
OfOne = (
    Callable[[Any, Array], Array] | Callable[[Any, Array, float], Array] | Callable[[Any, Array, float, float], Array]
)
"""A formula of one array, with so many parameters."""

ELEMENTWISE: dict[str, Kernel] = {}
"""The kernels of the table by name; each is an operation of the graph dialect too, or of the dialect of the plugin that
has it."""

REGISTRIES.append(ELEMENTWISE)


def unary(name: str, formula: OfOne, **facets: Any) -> Kernel:
    """A function of one tensor. `formula(np, x, *params)`; the other facets are those of `elementwise`."""
    return elementwise(name, formula, ("value",), shown=f"{name} {{1}}", **facets)


def binary(name: str, formula: Callable[[Any, Array, Array], Array], *, sign: str = "", **facets: Any) -> Kernel:
    """A function of two tensors, broadcast to one shape; or of one and a number instead of the other. `sign` is how it
    is written between its operands."""

    def filled(np: Any, *given: Any) -> Array:
        return formula(np, *_with_number(*given))

    shown = f"{{1}} {sign} {{2}}" if sign else f"{name} {{1}}, {{2}}"
    numbers = Parameter("left", "left", nan), Parameter("right", "right", nan)
    return elementwise(name, filled, ("left", "right"), shown=shown, params=numbers, **facets)


def ternary(name: str, formula: Callable[[Any, Array, Array, Array], Array], role: str, **facets: Any) -> Kernel:
    """A function of three tensors, broadcast to one shape; or a number instead of the second, the third, or both.
    `role` is the first one's."""

    def filled(np: Any, first: Array, *given: Any) -> Array:
        one, other = given[:2] if len(given) != 3 else _with_number(*given)
        return formula(np, first, *[first.dtype.type(x) if isinstance(x, float) else x for x in (one, other)])

    numbers = Parameter("left", "left", nan), Parameter("right", "right", nan)
    return elementwise(
        name, filled, (role, "left", "right"), shown=f"{name} {{1}}, {{2}}, {{3}}", params=numbers, **facets
    )


def _with_number(*given: Any) -> tuple[Array, Array]:
    """The two operands; if just one of them is an array, the numbers in place of either follow it."""
    if len(given) != 3:
        return given[0], given[1]
    array, left, right = given
    number = array.dtype.type(right if isnan(left) else left)
    return (array, number) if isnan(left) else (number, array)


def compared(name: str, holds: Callable[[Array, Array], Array], **facets: Any) -> Kernel:
    """Whether something holds of two numbers: 1 or 0, in their own type. Of NaN nothing does."""

    def formula(np: Any, a: Array, b: Array) -> Array:
        return holds(a, b).astype(a.dtype)

    return binary(name, formula, dtypes=ALL, ulps=0, onnx=None, **facets)


def finite(name: str) -> Parameter:
    """A parameter that is neither an infinity nor NaN."""
    return Parameter(name, finite=True)


def elementwise(
    name: str,
    formula: Formula,
    sources: tuple[str, ...],
    *,
    shown: str,
    dtypes: tuple[str, ...],
    keeps_zeros: bool,
    ulps: float,
    summary: str,
    onnx: str | None,
    params: tuple[str | Parameter, ...] = (),
    commutes: bool = False,
    widens: bool = False,
    in_double: bool = False,
    is_sum: bool = False,
    idempotent: bool = False,
    clamps: Clamps | None = None,
) -> Kernel:
    """Declares a kernel from its formula.

    `widens` says that i32 operands can give more than i32 holds, `in_double` that it is computed in f64 and rounded
    once, `is_sum` that it is the sum of its operands.
    """
    parameters = tuple([Parameter(p) if isinstance(p, str) else p for p in params])
    kernel = declare(
        Kernel(
            name,
            sources=sources,
            parameters=parameters,
            combine=None,
            is_sum=is_sum,
            commutes=commutes or is_sum,
            idempotent=idempotent,
            clamps=clamps,
            starts=False,
            in_place=frozenset(range(len(sources))),
            keeps_zeros=keeps_zeros,
            dtypes=dtypes,
            check=_checked(name, dtypes, shown, len(sources)),
            reads=same_coordinates,
            meaning=_meaning(formula, widens, in_double),
            algebra=_algebra_of_two(name, commutes, idempotent, is_sum)
            if len(sources) == 2
            else _algebra(name, clamps),
            ulps=ulps,
            work=elements,
            rate=ELEMENTS,
            onnx=onnx,
            summary=summary,
            example=_example(name, len(sources), len([p for p in parameters if not p.is_operand])),
        )
    )
    ELEMENTWISE[name] = kernel
    return kernel


def _algebra(name: str, clamps: Clamps | None) -> Callable[..., Any]:
    """How the terms of a function are made of which no other law is known; one that `clamps` is of one tensor."""

    def applied(terms: Algebra[TermT], given: tuple[float, ...], types: Sequence[str], *operands: TermT) -> TermT:
        return terms.apply(name, given, *operands)

    return applied if clamps is None else clamping(name, clamps)


def _algebra_of_two(name: str, commutes: bool, idempotent: bool, is_sum: bool) -> Callable[..., Any]:
    """How the terms of a function of two operands are made, with the laws that hold for it."""

    def made(terms: Algebra[TermT], given: tuple[float, ...], types: Sequence[str], *operands: TermT) -> TermT:
        if len(operands) == 1:
            return terms.apply(name, _second(given) if commutes or is_sum else given, *operands)
        a, b = operands
        if is_sum:
            return terms.plus(a, b)
        return a if idempotent and a == b else terms.apply(name, (), a, b, commutes=commutes)

    return made


def _second(numbers: tuple[float, ...]) -> tuple[float, ...]:
    """The number in place of one of two operands that may change places, in place of the second one."""
    left, right = numbers
    return (left, right) if isnan(left) else (right, left)


def check_dtype(name: str, dtype: str, allowed: Sequence[str]) -> None:
    """Raises `OpError` for an element type that there is no such function of."""
    if dtype not in allowed:
        raise OpError(f"kernel {name}: element type must be one of {', '.join(allowed)}, got {dtype}")


def check_number(name: str, dtype: str, op: object) -> None:
    """Raises `OpError` for a number in place of an operand that elements of a type can't hold."""
    for side in ("left", "right"):
        number: FloatAttr | None = getattr(op, side, None)
        if number is None or number.value == (nearest := held(number.value, dtype)):
            continue
        given, hint = float_text(number.value, "f32"), "" if isnan(nearest) else f"; the nearest one is {nearest}"
        raise OpError(f"{name}: {side} = {given} is no number of {dtype}{hint}", side)


def held(value: float, dtype: str) -> float:
    """The number of an element type next to one of f32, ties to even; beyond a float type's range an infinity, beyond
    an integer type's its end. NaN stays NaN."""
    if dtype in FLOATS or isnan(value):
        return round_float(value, dtype)
    bits = 8 * DTYPE_BYTES[dtype]
    low, high = (0, 2**bits - 1) if dtype.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return float(round(min(max(value, low), high)))


def _checked(name: str, dtypes: tuple[str, ...], shown: str, count: int) -> Check:
    def check(types: Sequence[TiledType], op: object) -> None:
        dst, _, *rest = types
        along = same_coordinates(op, shapes_seen(types))
        # An axis along which a tile has one element need not be covered: a buffer that holds a view may lack it.
        covered = {axis for axes in along for axis in axes} >= {i for i, size in enumerate(dst.tile) if size > 1}
        fits = covered and all(
            source.tile == tuple([1 if axis == REPEATED else dst.tile[axis] for axis in axes])
            for source, axes in zip(types[1:], along, strict=True)
        )
        if not fits or any(t.dtype != dst.dtype for t in types):
            what = "tiles and element types don't fit" if rest else "source and destination tiles differ"
            given = shown.format(*types) if len(types) > count else f"{name} {', '.join(map(str, types[1:]))}"
            raise OpError(f"kernel {name}: {what}: {dst} = {given}")
        check_dtype(name, dst.dtype, dtypes)
        check_number(f"kernel {name}", dst.dtype, op)

    return check


def _meaning(formula: Formula, widens: bool, in_double: bool) -> Callable[..., Array]:
    def plain(np: Any, call: Call, *sources: Array) -> Array:
        return formula(np, *sources, *call.params)

    def wide(np: Any, call: Call, *sources: Array) -> Array:
        if sources[0].dtype.kind in "iu":
            sources = tuple([s.astype(np.int64) for s in sources])
        return formula(np, *sources, *call.params)

    def double(np: Any, call: Call, *sources: Array) -> Array:
        with np.errstate(all="ignore"):
            return formula(np, *[s.astype(np.float64) for s in sources], *call.params).astype(call.dtype)

    return double if in_double else wide if widens else plain


def _example(name: str, count: int, params: int) -> str:
    sources = ", ".join(f"%{letter}[0, 1]" for letter in "xzw"[:count])
    shown = f" {{params = [{', '.join(f'{n}.0 : f32' for n in range(params))}]}}" if params else ""
    return f"uop.exec {name} %y[0, 1] = {sources}{shown}"


def _relu(np: Any, x: Array) -> Array:
    return np.maximum(x, x.dtype.type(0))


def _from_zero(params: Sequence[float]) -> Range:
    return 0.0, float("inf")


def _clip(np: Any, x: Array, low: float, high: float) -> Array:
    return np.minimum(np.maximum(x, x.dtype.type(low)), x.dtype.type(high))


def _bounds(params: Sequence[float]) -> Range:
    low, high = params
    return low, high


# fmt: off
binary(
    "add", lambda np, a, b: a + b, sign="+", dtypes=SUMMABLE, keeps_zeros=True, is_sum=True, widens=True, ulps=0.5,
    onnx="Add", summary="a + b",
)
binary(
    "sub", lambda np, a, b: a - b, sign="-", dtypes=SUMMABLE, keeps_zeros=True, widens=True, ulps=0.5, onnx="Sub",
    summary="a - b",
)
binary(
    "mul", lambda np, a, b: a * b, sign="*", dtypes=SUMMABLE, keeps_zeros=True, commutes=True, widens=True, ulps=0.5,
    onnx="Mul", summary="a * b",
)
binary(
    "div", lambda np, a, b: a / b, sign="/", dtypes=FLOATS, keeps_zeros=False, ulps=0.5, onnx="Div", summary="a / b",
)
binary(
    "pow", lambda np, a, b: np.power(a, b), dtypes=FLOATS, keeps_zeros=False, in_double=True, ulps=4, onnx="Pow",
    summary="a to the power b",
)
binary(
    "max", lambda np, a, b: np.maximum(a, b), dtypes=ALL, keeps_zeros=True, commutes=True, idempotent=True, ulps=0,
    onnx="Max", summary="the larger of a and b",
)
binary(
    "min", lambda np, a, b: np.minimum(a, b), dtypes=ALL, keeps_zeros=True, commutes=True, idempotent=True, ulps=0,
    onnx="Min", summary="the smaller of a and b",
)
compared("less", lambda a, b: a < b, sign="<", keeps_zeros=True, summary="1 where a < b, else 0")
compared("less_equal", lambda a, b: a <= b, sign="<=", keeps_zeros=False, summary="1 where a <= b, else 0")
compared("greater", lambda a, b: a > b, sign=">", keeps_zeros=True, summary="1 where a > b, else 0")
compared("greater_equal", lambda a, b: a >= b, sign=">=", keeps_zeros=False, summary="1 where a >= b, else 0")
compared(
    "equal", lambda a, b: a == b, sign="==", keeps_zeros=False, commutes=True, summary="1 where a = b, else 0"
)
ternary(
    "where", lambda np, condition, a, b: np.where(condition != 0, a, b), "condition", dtypes=ALL, keeps_zeros=True,
    ulps=0, onnx=None, summary="a where the condition is not 0, else b",
)
unary("neg", lambda np, x: -x, dtypes=FLOATS, keeps_zeros=True, ulps=0, onnx="Neg", summary="-x")
unary("abs", lambda np, x: np.abs(x), dtypes=FLOATS, keeps_zeros=True, ulps=0, onnx="Abs", summary="x without its sign")
unary(
    "relu", _relu, dtypes=ALL, keeps_zeros=True, clamps=_from_zero, ulps=0, onnx="Relu", summary="max(x, 0)",
)
unary(
    "leaky_relu", lambda np, x, alpha: np.where(x < 0, alpha * x, x), params=(finite("alpha"),), dtypes=FLOATS,
    keeps_zeros=True, in_double=True, ulps=0.5, onnx="LeakyRelu", summary="x, or alpha x below 0",
)
unary(
    "clip", _clip, params=("low", "high"), dtypes=FLOATS, keeps_zeros=False, clamps=_bounds, ulps=0,
    onnx=None, summary="min(max(x, low), high)",
)
unary(
    "exp", lambda np, x: np.exp(x), dtypes=FLOATS, keeps_zeros=False, in_double=True, ulps=4, onnx="Exp",
    summary="e to the power x",
)
unary(
    "log", lambda np, x: np.log(x), dtypes=FLOATS, keeps_zeros=False, in_double=True, ulps=4, onnx="Log",
    summary="the natural logarithm",
)
unary(
    "sqrt", lambda np, x: np.sqrt(x), dtypes=FLOATS, keeps_zeros=True, ulps=0.5, onnx="Sqrt",
    summary="the square root",
)
unary(
    "rsqrt", lambda np, x: 1 / np.sqrt(x), dtypes=FLOATS, keeps_zeros=False, in_double=True, ulps=4, onnx=None,
    summary="1 / sqrt(x)",
)
unary(
    "reciprocal", lambda np, x: x.dtype.type(1) / x, dtypes=FLOATS, keeps_zeros=False, ulps=0.5, onnx="Reciprocal",
    summary="1 / x",
)
unary(
    "erf", erf, dtypes=FLOATS, keeps_zeros=True, in_double=True, ulps=4, onnx="Erf", summary="the error function",
)
unary(
    "tanh", lambda np, x: np.tanh(x), dtypes=FLOATS, keeps_zeros=True, in_double=True, ulps=4, onnx="Tanh",
    summary="the hyperbolic tangent",
)
unary(
    "sigmoid", sigmoid, dtypes=FLOATS, keeps_zeros=False, in_double=True, ulps=4, onnx="Sigmoid",
    summary="1 / (1 + exp(-x))",
)
unary(
    "hard_sigmoid", lambda np, x, alpha, beta: np.clip(alpha * x + beta, 0, 1),
    params=(finite("alpha"), finite("beta")), dtypes=FLOATS, keeps_zeros=False, in_double=True, ulps=4,
    onnx="HardSigmoid", summary="min(max(alpha x + beta, 0), 1)",
)
unary(
    "silu", silu, dtypes=FLOATS, keeps_zeros=True, in_double=True, ulps=4, onnx=None, summary="x / (1 + exp(-x))",
)
unary(
    "hard_swish", hard_swish, dtypes=FLOATS, keeps_zeros=True, in_double=True, ulps=4, onnx="HardSwish",
    summary="x min(max(x + 3, 0), 6) / 6",
)
unary(
    "gelu", gelu, dtypes=FLOATS, keeps_zeros=True, in_double=True, ulps=4, onnx="Gelu",
    summary="x (1 + erf(x / sqrt(2))) / 2, the exact form",
)
unary(
    "gelu_tanh", gelu_tanh, dtypes=FLOATS, keeps_zeros=True, in_double=True, ulps=4, onnx=None,
    summary="x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x x x))) / 2, near `gelu`",
)
unary(
    "elu", lambda np, x, alpha: np.where(x < 0, alpha * np.expm1(x), x), params=(finite("alpha"),), dtypes=FLOATS,
    keeps_zeros=True, in_double=True, ulps=4, onnx="Elu", summary="x, or alpha (exp(x) - 1) below 0",
)
unary(
    "softplus", lambda np, x: np.logaddexp(0, x), dtypes=FLOATS, keeps_zeros=False, in_double=True, ulps=4,
    onnx="Softplus", summary="log(1 + exp(x))",
)
# fmt: on
