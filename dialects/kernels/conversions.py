"""Other element types: casts, and what quantised numbers stand for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import copysign, isnan

from ...ir.attributes import round_float
from ...ir.light_typing import TYPE_CHECKING, Any
from ...ir.opdef import OpError
from ..tiles import TiledType, bare
from .declaration import ELEMENTS, KERNELS, Array, Call, Kernel, Parameter, Range, declare, elements, same_coordinates
from .quantised import QUANTISED, check_zero_point

CheckTypes = Callable[[str, str, str, object], None]
"""Raises `OpError` for a source's and a result's element type that don't go together, and parameters that can't be."""

if TYPE_CHECKING:
    from .declaration import Algebra, Check, Meaning, TermT

CASTS = {
    ("f32", "f16"), ("f32", "bf16"), ("f16", "f32"), ("bf16", "f32"),
    ("i32", "i8"), ("i32", "ui8"), ("i8", "i32"), ("ui8", "i32"),
}  # fmt: skip
"""The element types that a cast can go from and to."""

WIDENING = {("f16", "f32"), ("bf16", "f32"), ("i8", "i32"), ("ui8", "i32")}
"""Those where nothing is lost: the cast back, without a scale or a zero point, gives what there was."""

QUANTIZE_TYPES = {("f32", name) for name in QUANTISED}
REQUANTIZE_TYPES = {("i32", name) for name in QUANTISED}
DEQUANTIZE_TYPES = {(name, "f32") for name in (*QUANTISED, "i32")}

MOST_STEPS = 2.0**20
"""More steps than any quantised type has."""

UNROUNDED = 2.0**-100, 2.0**100
"""Scales between these divide their own multiples without a remainder that counts."""


def check_cast(name: str, source: str, target: str, op: object) -> None:
    """Raises `OpError` for a pair of element types without a cast, or a scale where nothing is requantised."""
    _check_pair(f"{name}: no cast", source, target, CASTS)
    scale, zero_point = getattr(op, "scale", None), getattr(op, "zero_point", None)
    if scale is None and zero_point is None:
        return
    if target not in QUANTISED:
        raise OpError(f"{name}: scale and zero_point go with a cast from i32 to {' or '.join(QUANTISED)}")
    _check_scale(name, scale)
    check_zero_point(name, "zero_point", zero_point, target)


def check_quantize(name: str, source: str, target: str, op: object) -> None:
    """Raises `OpError` for element types that are not quantised, and a scale or a zero point that can't be."""
    _check_pair(f"{name}: nothing is quantised", source, target, QUANTIZE_TYPES)
    _check_scale(name, getattr(op, "scale", None), required=True)
    check_zero_point(name, "zero_point", getattr(op, "zero_point", None), target)


def check_requantize(name: str, source: str, target: str, op: object) -> None:
    """Raises `OpError` for element types that are not quantised anew, and a scale or a zero point that can't be."""
    _check_pair(f"{name}: nothing is requantised", source, target, REQUANTIZE_TYPES)
    _check_scale(name, getattr(op, "scale", None), required=True)
    check_zero_point(name, "zero_point", getattr(op, "zero_point", None), target)


def check_dequantize(name: str, source: str, target: str, op: object) -> None:
    """Raises `OpError` for element types that stand for no numbers, and a scale or a zero point that can't be."""
    _check_pair(f"{name}: nothing is dequantised", source, target, DEQUANTIZE_TYPES)
    _check_scale(name, getattr(op, "scale", None), required=True)
    check_zero_point(name, "zero_point", getattr(op, "zero_point", None), source)


def _check_pair(what: str, source: str, target: str, allowed: set[tuple[str, str]]) -> None:
    if (source, target) not in allowed:
        pairs = ", ".join(f"{a} to {b}" for a, b in sorted(allowed))
        raise OpError(f"{what} from {source} to {target}; there are {pairs}")


def _check_scale(name: str, scale: Any, required: bool = False) -> None:
    if scale is None and required:
        raise OpError(f"{name} takes a scale: {{scale = 0.05 : f32}}")
    if scale is not None and not 0 < scale.value < float("inf"):
        raise OpError(f"{name}: scale must be positive and finite", "scale")


def _checked(kernel: str, check_types: CheckTypes) -> Check:
    def check(types: Sequence[TiledType], op: object) -> None:
        if bare(types[0].tile) != bare(types[1].tile):
            shown = f"{types[0]} = {kernel} {types[1]}"
            raise OpError(f"kernel {kernel}: source and destination tiles differ: {shown}")
        check_types(f"kernel {kernel}", types[1].dtype, types[0].dtype, op)

    return check


# Meanings


def _saturated(np: Any, steps: Array, zero_point: float, dtype: Any) -> Array:
    """Whole numbers, the zero point added, within an integer type's range; NaN is the least number."""
    if dtype.kind not in "iu":
        return (steps + zero_point).astype(dtype)
    ends = np.iinfo(dtype)
    return np.clip(np.where(np.isnan(steps), -np.inf, steps) + zero_point, ends.min, ends.max).astype(dtype)


def _in_f32(np: Any, values: Array) -> Array:
    """Numbers as f32 has them; f64 stays what it is."""
    return values if values.dtype == np.float64 else values.astype(np.float32)


def _cast(np: Any, call: Call, values: Array) -> Array:
    """Floats round to nearest even; i32 to i8 or ui8 saturates, after scaling and rounding half to even where a scale
    is given, and adding the zero point."""
    scale, zero_point = call.params
    if call.dtype.kind not in "iu" or values.dtype.itemsize == 1:
        with np.errstate(over="ignore"):
            return values.astype(call.dtype)
    wide = values.astype(np.float64)
    return _saturated(np, np.rint(wide * scale) if scale else wide, zero_point, call.dtype)


def _requantize(np: Any, call: Call, values: Array) -> Array:
    scale, zero_point = call.params
    with np.errstate(over="ignore"):
        steps = np.rint(_in_f32(np, values) * np.float32(scale))
    return _saturated(np, steps.astype(np.float64), zero_point, call.dtype)


def _quantize(np: Any, call: Call, values: Array) -> Array:
    scale, zero_point = call.params
    with np.errstate(over="ignore", invalid="ignore"):
        steps = np.rint(_in_f32(np, values) / np.float32(scale))
    return _saturated(np, steps.astype(np.float64), zero_point, call.dtype)


def _dequantize(np: Any, call: Call, values: Array) -> Array:
    scale, zero_point = call.params
    wide = values.astype(np.int64) if values.dtype.kind in "iu" else values
    with np.errstate(over="ignore"):
        return (wide - int(zero_point)).astype(call.dtype) * call.dtype.type(scale)


# Laws


def saturates(params: Sequence[float], dtype: str, bounds: Range) -> bool:
    """Whether to cut values to these bounds changes nothing of what they are quantised to: beyond the bounds that is an
    end of its type anyway, as it grows with the value."""
    return (
        not any(map(isnan, bounds))
        and tuple([_quantised(params, b, QUANTISED[dtype]) for b in bounds]) == QUANTISED[dtype]
    )


def _quantised(params: Sequence[float], value: float, ends: Range) -> float:
    """What a number is quantised to."""
    scale, zero_point = params
    steps = round_float(value / scale, "f32") if abs(value) < MOST_STEPS * scale else copysign(MOST_STEPS, value)
    return min(max(round(steps) + zero_point, ends[0]), ends[1])


def gives_back(params: Sequence[float], others: Sequence[float]) -> bool:
    """Whether what has been dequantised with other parameters is, quantised with these, what it was."""
    least, greatest = UNROUNDED
    return tuple(params) == tuple(others) and least <= params[0] <= greatest


def _term_of_cast(terms: Algebra[TermT], params: tuple[float, ...], dtypes: Sequence[str], value: TermT) -> TermT:
    made = terms.parts(value) if (dtypes[0], dtypes[1]) in WIDENING and not any(params) else None
    if made is not None and made[0].name == "cast" and made[0].words == _words(dtypes[0], dtypes[1]):
        return made[1]
    return terms.apply("cast", params, value, words=_words(dtypes[1], dtypes[0]))


def _term_of_quantize(terms: Algebra[TermT], params: tuple[float, ...], dtypes: Sequence[str], value: TermT) -> TermT:
    made = terms.parts(value)
    if made is not None:
        given = tuple(map(float, made[0].params))
        clamps = KERNELS[made[0].name].clamps
        if clamps is not None and saturates(params, dtypes[0], clamps(given)):
            return _term_of_quantize(terms, params, dtypes, made[1])
        if made[0].name == "dequantize" and made[0].words == _words(dtypes[0], "f32") and gives_back(params, given):
            return made[1]
    return terms.apply("quantize", params, value, words=_words(dtypes[1], dtypes[0]))


def _term_of(name: str) -> Callable[..., Any]:
    """The terms of a conversion of which nothing more is known than its types and parameters."""

    def term(terms: Algebra[TermT], params: tuple[float, ...], dtypes: Sequence[str], value: TermT) -> TermT:
        return terms.apply(name, params, value, words=_words(dtypes[1], dtypes[0]))

    return term


def _words(source: str, target: str) -> str:
    return f"from {source} to {target}"


def conversion(
    name: str, check_types: CheckTypes, meaning: Meaning, algebra: Callable[..., Any], *, scale: float | None,
    ulps: float, onnx: str | None, summary: str,
) -> Kernel:  # fmt: skip
    """Declares a kernel that makes elements of another type, one of one; `scale` is what an absent one is."""
    return declare(
        Kernel(
            name,
            sources=("value",),
            parameters=(Parameter("scale", "scale", scale), Parameter("zero_point", "zero_point", 0)),
            combine=None,
            is_sum=False,
            commutes=False,
            idempotent=False,
            clamps=None,
            starts=False,
            in_place=frozenset(),
            keeps_zeros=False,  # a zero point is what zero becomes
            dtypes=(),
            check=_checked(name, check_types),
            reads=same_coordinates,
            meaning=meaning,
            algebra=algebra,
            ulps=ulps,
            work=elements,
            rate=ELEMENTS,
            onnx=onnx,
            summary=summary,
            example=f"uop.exec {name} %y[0, 1] = %x[0, 1] {{scale = 0.05 : f32, zero_point = -3}}",
        )
    )


CAST = conversion(
    "cast", check_cast, _cast, _term_of_cast, scale=0.0, ulps=0.5, onnx="Cast",
    summary="another element type; i32 to i8 or ui8 may have `scale` and `zero_point`",
)  # fmt: skip
QUANTIZE = conversion(
    "quantize", check_quantize, _quantize, _term_of_quantize, scale=None, ulps=0, onnx="QuantizeLinear",
    summary="f32 in steps of `scale`, from `zero_point` on, as i8 or ui8",
)  # fmt: skip
REQUANTIZE = conversion(
    "requantize", check_requantize, _requantize, _term_of("requantize"), scale=None, ulps=0, onnx=None,
    summary="i32 times `scale`, computed in f32, from `zero_point` on, as i8 or ui8",
)  # fmt: skip
DEQUANTIZE = conversion(
    "dequantize", check_dequantize, _dequantize, _term_of("dequantize"), scale=None, ulps=0.5, onnx="DequantizeLinear",
    summary="what i8, ui8 or i32 stands for in f32: steps of `scale` from `zero_point` on",
)  # fmt: skip
