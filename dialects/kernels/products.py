"""The product of matrices, and the bias that starts its sums."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from ...ir.light_typing import TYPE_CHECKING, Any
from ...ir.opdef import OpError
from ..tiles import Coord, TiledType
from .declaration import ELEMENTS, MULTIPLIES, Array, Call, Kernel, declare, elements, same_coordinates

if TYPE_CHECKING:
    from .declaration import Algebra, TermT

ACCUMULATOR = {"f32": "f32", "f16": "f32", "bf16": "f32", "i8": "i32"}
"""Element type of a product's sum, by the operands' element type."""


def _check_matmul(types: Sequence[TiledType], op: object) -> None:
    dst, a, b = types
    if any(len(t.tile) != 2 for t in types):
        raise OpError("kernel matmul works on tiles of rank 2")
    if (a.tile[1], a.tile[0], b.tile[1]) != (b.tile[0], *dst.tile):
        shapes = " = ".join(["x".join(map(str, dst.tile)), " times ".join("x".join(map(str, t.tile)) for t in (a, b))])
        raise OpError(f"kernel matmul: tile shapes don't fit: {shapes}")
    if a.dtype != b.dtype or ACCUMULATOR.get(a.dtype) != dst.dtype:
        raise OpError(f"kernel matmul: {a.dtype} times {b.dtype} does not accumulate in {dst.dtype}")


def _check_bias(types: Sequence[TiledType], op: object) -> None:
    dst, b = types
    if len(dst.tile) != 2 or b.tile != dst.tile[1:] or b.dtype != dst.dtype:
        raise OpError(f"kernel bias: the source must be a tile of {dst.tile[-1]} elements of {dst.dtype}, got {b}")


def _product(np: Any, call: Call, a: Array, b: Array) -> Array:
    """A x B: in f32 for f32 and shorter floats, written to `call.out` if that is given (`dot` is the same product as
    `@`, without the cost of a universal function, which counts for small tiles); exact in i64 for i8, since in double
    precision a sum of 2**39 products of two bytes still fits in 53 bits."""
    if a.dtype == np.float32:
        return a.dot(b, call.out)
    if a.dtype == np.int8:
        return (a.astype(np.float64) @ b.astype(np.float64)).astype(np.int64)
    return a @ b if a.dtype == np.float64 else a.astype(np.float32) @ b.astype(np.float32)


def _vector(np: object, call: Call, vector: Array) -> Array:
    return vector


def _rows(terms: Algebra[TermT], params: tuple[float, ...], dtypes: Sequence[str], rows: TermT) -> TermT:
    return rows


def _multiplies(tiles: Sequence[Sequence[int]]) -> int:
    return prod(tiles[0]) * tiles[1][1]


def _rows_times_columns(coord: Coord, k: int, ranks: Sequence[int]) -> tuple[Coord, ...]:
    m, n = coord
    return (m, k), (k, n)


MATMUL = declare(
    Kernel(
        "matmul",
        sources=("left", "right"),
        parameters=(),
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
        summary="the product of two matrices; `+=` adds it to the destination",
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
