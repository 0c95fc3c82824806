"""Other element types."""

from __future__ import annotations

from collections.abc import Sequence

from ...ir.light_typing import TYPE_CHECKING, Any
from ...ir.opdef import OpError
from ..tiles import TiledType, bare
from .declaration import ELEMENTS, Array, Call, Kernel, Parameter, declare, elements, same_coordinates

if TYPE_CHECKING:
    from .declaration import Algebra, TermT

CASTS = {("f32", "f16"), ("f32", "bf16"), ("f16", "f32"), ("bf16", "f32"), ("i32", "i8"), ("i8", "i32")}
"""The element types that a cast can go from and to."""

WIDENING = {("f16", "f32"), ("bf16", "f32"), ("i8", "i32")}
"""Those where nothing is lost: the cast back, without a scale or a zero point, gives what there was."""


def check_cast(name: str, source: str, target: str, op: object) -> None:
    """Raises `OpError` for a pair of element types without a cast, or a scale where nothing is requantised."""
    scale, zero_point = getattr(op, "scale", None), getattr(op, "zero_point", None)
    if (source, target) not in CASTS:
        pairs = ", ".join(f"{a} to {b}" for a, b in sorted(CASTS))
        raise OpError(f"{name}: no cast from {source} to {target}; there are {pairs}")
    if (scale is not None or zero_point is not None) and (source, target) != ("i32", "i8"):
        raise OpError(f"{name}: scale and zero_point go with a cast from i32 to i8")
    if scale is not None and not 0 < scale.value < float("inf"):
        raise OpError(f"{name}: scale must be positive and finite", "scale")
    if zero_point is not None and not -128 <= zero_point <= 127:
        raise OpError(f"{name}: zero_point must lie in -128..127, got {zero_point}", "zero_point")


def _check(types: Sequence[TiledType], op: object) -> None:
    if bare(types[0].tile) != bare(types[1].tile):
        raise OpError(f"kernel cast: source and destination tiles differ: {types[0]} = cast {types[1]}")
    check_cast("kernel cast", types[1].dtype, types[0].dtype, op)


def _cast(np: Any, call: Call, values: Array) -> Array:
    """Floats round to nearest even; i32 to i8 saturates, after scaling and rounding half to even where a scale is
    given, and adding the zero point."""
    scale, zero_point = call.params
    if not (values.dtype == np.int32 and call.dtype == np.int8):
        with np.errstate(over="ignore"):
            return values.astype(call.dtype)
    wide = values.astype(np.float64)
    if scale:
        wide = np.rint(wide * scale)
    return np.clip(wide + zero_point, -128, 127).astype(np.int8)


def _term(terms: Algebra[TermT], params: tuple[float, ...], dtypes: Sequence[str], value: TermT) -> TermT:
    made = terms.parts(value) if (dtypes[0], dtypes[1]) in WIDENING and not any(params) else None
    if made is not None and made[0].name == "cast" and made[0].words == _words(dtypes[0], dtypes[1]):
        return made[1]
    return terms.apply("cast", params, value, words=_words(dtypes[1], dtypes[0]))


def _words(source: str, target: str) -> str:
    return f"from {source} to {target}"


CAST = declare(
    Kernel(
        "cast",
        sources=("value",),
        parameters=(Parameter("scale", "scale", 0.0), Parameter("zero_point", "zero_point", 0)),
        combine=None,
        is_sum=False,
        commutes=False,
        idempotent=False,
        clamps=None,
        starts=False,
        in_place=frozenset(),
        keeps_zeros=False,  # a zero point is what zero becomes
        dtypes=(),
        check=_check,
        reads=same_coordinates,
        meaning=_cast,
        algebra=_term,
        ulps=0.5,
        work=elements,
        rate=ELEMENTS,
        onnx="Cast",
        summary="another element type; i32 to i8 may have `scale` and `zero_point`",
        example="uop.exec cast %y[0, 1] = %x[0, 1] {scale = 0.05 : f32, zero_point = -3}",
    )
)
