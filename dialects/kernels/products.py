"""The product of matrices, and the bias that starts its sums."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from ...ir.light_typing import TYPE_CHECKING, Any
from ...ir.opdef import OpError
from ..tiles import Coord, TiledType
from .declaration import (
    ELEMENTS,
    MULTIPLIES,
    Array,
    Call,
    Kernel,
    Parameter,
    declare,
    elements,
    leading_axes,
    same_coordinates,
)
from .quantised import QUANTISED, check_zero_point

if TYPE_CHECKING:
    from .declaration import Algebra, TermT

ACCUMULATOR = {"f32": "f32", "f16": "f32", "bf16": "f32", "i8": "i32", "ui8": "i32"}
"""Element type of a product's sum, by the operands' element type."""


TRANSPOSED = ("transpose_a", "transpose_b")
"""The attributes that say which of a product's operands is read transposed."""

ZERO_POINTS = ("zero_point_a", "zero_point_b")
"""The attributes that say which number stands for zero in a product's operands."""


def transposed(op: object) -> tuple[bool, bool]:
    """Whether a product reads its left, and its right operand transposed."""
    left, right = TRANSPOSED
    return getattr(op, left, None) is not None, getattr(op, right, None) is not None


def _check_matmul(types: Sequence[TiledType], op: object) -> None:
    dst, a, b = types
    if any(len(t.tile) < 2 for t in types):
        raise OpError("kernel matmul works on tiles of rank 2 or more")
    if any(prod(t.tile[:-2]) > 1 for t in types):
        raise OpError("kernel matmul works on tiles of one matrix: all sizes but the last two are 1")
    turned = [turn(t.tile[-2:], swapped) for t, swapped in zip((a, b), transposed(op), strict=True)]
    if (turned[0][1], turned[0][0], turned[1][1]) != (turned[1][0], *dst.tile[-2:]):
        sides = " times ".join(_shown(t, swapped) for t, swapped in zip((a, b), transposed(op), strict=True))
        raise OpError(f"kernel matmul: tile shapes don't fit: {'x'.join(map(str, dst.tile))} = {sides}")
    if accumulator(a.dtype, b.dtype) != dst.dtype:
        raise OpError(f"kernel matmul: {a.dtype} times {b.dtype} does not accumulate in {dst.dtype}")
    check_zero_points("kernel matmul", op, a.dtype, b.dtype)


def accumulator(a: str, b: str) -> str | None:
    """Element type of the sums of products of two element types; None where they don't go together."""
    return ACCUMULATOR.get(a) if a == b or (a in QUANTISED and b in QUANTISED) else None


def check_zero_points(name: str, op: object, *dtypes: str) -> None:
    """Raises `OpError` for a zero point that an operand of a product can't have."""
    for attribute, dtype in zip(ZERO_POINTS, dtypes, strict=True):
        check_zero_point(name, attribute, getattr(op, attribute, None), dtype)


def zero_points(op: object) -> tuple[int, int]:
    """Which number stands for zero in a product's left, and in its right operand."""
    left, right = [getattr(op, name, None) or 0 for name in ZERO_POINTS]
    return left, right


def turn(pair: Coord, swapped: bool) -> Coord:
    """What is said of a matrix's rows and columns, of one that may be read transposed."""
    return pair[::-1] if swapped else pair


def _shown(type: TiledType, swapped: bool) -> str:
    return "x".join(map(str, type.tile)) + (" transposed" if swapped else "")


def _check_bias(types: Sequence[TiledType], op: object) -> None:
    dst, b = types
    width = dst.tile[-1]
    if len(dst.tile) < 2 or b.tile != (width,) or b.dtype != dst.dtype:
        raise OpError(f"kernel bias: the source must be a tile of {width} elements of {dst.dtype}, got {b}")


def _product(np: Any, call: Call, a: Array, b: Array) -> Array:
    """A x B: in f32 for f32 and shorter floats, written to `call.out` if that is given (`dot` is the same product as
    `@`, without the cost of a universal function, which counts for small tiles); exact in i64 for i8 and ui8, less
    their zero points, since in double precision a sum of 2**35 products of two of nine bits still fits in 53 bits. Of
    tensors with more axes, the last two are the matrices'."""
    if any(call.params):
        a, b = [np.swapaxes(x, -1, -2) if swap else x for x, swap in zip((a, b), call.params[:2], strict=True)]
    if a.dtype == np.float32:
        return a.dot(b, call.out) if a.ndim == b.ndim == 2 else np.matmul(a, b)
    if a.dtype.itemsize == 1:
        wide = [x.astype(np.float64) - zero for x, zero in zip((a, b), call.params[2:] or (0, 0), strict=True)]
        return (wide[0] @ wide[1]).astype(np.int64)
    return a @ b if a.dtype == np.float64 else a.astype(np.float32) @ b.astype(np.float32)


def _vector(np: object, call: Call, vector: Array) -> Array:
    return vector


def _rows(terms: Algebra[TermT], params: tuple[float, ...], dtypes: Sequence[str], rows: TermT) -> TermT:
    return rows


def _multiplies(tiles: Sequence[Sequence[int]]) -> int:
    """Multiply-accumulates: the left operand's matrix has m * k elements, be it transposed or not."""
    return prod(tiles[0]) * (prod(tiles[1][-2:]) // tiles[0][-2])


def _rows_times_columns(op: object, shapes: Sequence[Coord]) -> tuple[Coord, ...]:
    result, *sources = shapes
    k = len(result)
    matrices = ((k - 2, k), (k, k - 1))
    return tuple(
        [
            (*leading_axes(result, shape, len(shape) - 2), *turn(axes, swapped))
            for shape, axes, swapped in zip(sources, matrices, transposed(op), strict=True)
        ]
    )


MATMUL = declare(
    Kernel(
        "matmul",
        sources=("left", "right"),
        parameters=tuple([Parameter(name, name, 0) for name in (*TRANSPOSED, *ZERO_POINTS)]),
        combine="sum",
        is_sum=True,
        commutes=False,
        idempotent=False,
        clamps=None,
        starts=False,
        in_place=frozenset(),
        keeps_zeros=True,
        dtypes=(),
        check=_check_matmul,
        reads=_rows_times_columns,
        meaning=_product,
        algebra=None,
        ulps=0.5,
        work=_multiplies,
        rate=MULTIPLIES,
        onnx="MatMul",
        summary="the product of two matrices, either read transposed with `transpose_a`, `transpose_b`; of i8 "
        "and ui8 less `zero_point_a` and `zero_point_b`; `+=` adds it to the destination",
        example="uop.exec matmul %y[0, 1] += %x[0, 2], %w[2, 1]",
    )
)

BIAS = declare(
    Kernel(
        "bias",
        sources=("vector",),
        parameters=(),
        combine=None,
        is_sum=False,
        commutes=False,
        idempotent=False,
        clamps=None,
        starts=True,
        in_place=frozenset(),
        keeps_zeros=True,
        dtypes=(),
        check=_check_bias,
        reads=same_coordinates,
        meaning=_vector,
        algebra=_rows,
        ulps=0,
        work=elements,
        rate=ELEMENTS,
        onnx=None,
        summary="a vector in every row, for products to be added to",
        example="uop.exec bias %y[0, 1] = %b[1]",
    )
)
