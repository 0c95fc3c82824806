"""Reductions: the sum, the maximum or the minimum along one axis, of which one element is left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

from ...ir.light_typing import Any
from ...ir.opdef import OpError
from ..tiles import Coord, TiledType, bare
from .declaration import ALL as REPEATED
from .declaration import ELEMENTS, Array, Call, Kernel, Parameter, declare
from .elementwise import ALL, FLOATS
from .products import ACCUMULATOR

SUM_TYPES = {**ACCUMULATOR, "i32": "i32"}
"""Element type of a sum, by that of what is summed: f32 for the shorter floats, which is rounded by a cast."""

SAME_TYPES = {name: name for name in ALL}

MEAN_TYPES = {name: type for name, type in ACCUMULATOR.items() if name in FLOATS}

RESULT_TYPES = {"sum": SUM_TYPES, "mean": MEAN_TYPES, "max": SAME_TYPES, "min": SAME_TYPES}
"""Element type of a reduction of each kind, by that of its operand. A mean is no kernel's: a sum, divided."""

REDUCTIONS: dict[str, Kernel] = {}
"""The kernels by kind."""


def _checked(kind: str) -> Callable[[Sequence[TiledType], object], None]:
    name, results = f"kernel reduce_{kind}", RESULT_TYPES[kind]

    def check(types: Sequence[TiledType], op: object) -> None:
        dst, source = types
        axis: int | None = getattr(op, "axis", None)
        takes = f"{name} takes an axis from 0 to {len(source.tile) - 1}"
        if axis is None:
            raise OpError(f"{takes}: {{axis = {len(source.tile) - 1}}}")
        if not 0 <= axis < len(source.tile):
            raise OpError(f"{takes}, got {axis}", "axis")
        if results.get(source.dtype) != dst.dtype:
            raise OpError(f"{name}: a {kind} of {source.dtype} is no {dst.dtype}")
        if bare(without(source.tile, [axis])) != bare(dst.tile):
            shown = f"{_shown(dst.tile)} from {_shown(source.tile)}"
            raise OpError(f"{name}: tiles don't fit: {shown} along axis {axis}")

    return check


def without(shape: Coord, axes: Sequence[int]) -> Coord:
    """A shape of which one element is left along some axes."""
    return tuple([1 if i in axes else size for i, size in enumerate(shape)])


def _shown(shape: Coord) -> str:
    return "x".join(map(str, shape))


def _along(op: object, shapes: Sequence[Coord]) -> tuple[Coord, ...]:
    """k runs over the tiles along the axis, which counts from the source's first; along all others, from behind, source
    and destination are alike: one may be a buffer with fewer axes than a view in it."""
    k, rank = map(len, shapes)
    axis: int = op.axis  # type: ignore[attr-defined]
    return (tuple([k if i == axis else max(i + k - rank, REPEATED) for i in range(rank)]),)


def _meaning(kind: str) -> Callable[..., Array]:
    def meaning(np: Any, call: Call, values: Array) -> Array:
        """Sums of the shorter floats in f32, those of integers exact in i64."""
        wide = values.dtype
        if kind == "sum" and wide != np.float64:
            wide = np.int64 if wide.kind == "i" else np.float32
        return getattr(np, kind)(values.astype(wide, copy=False), axis=int(call.params[0]), keepdims=True)

    return meaning


def _elements_read(tiles: Sequence[Sequence[int]]) -> int:
    return prod(tiles[1])


def reduction(kind: str, combine: str, onnx: str, words: str) -> None:
    """Declares the kernel of a kind."""
    name = f"reduce_{kind}"
    REDUCTIONS[kind] = declare(
        Kernel(
            name,
            sources=("value",),
            parameters=(Parameter("axis", "axis"),),
            combine=combine,
            is_sum=kind == "sum",
            commutes=False,
            idempotent=False,
            clamps=None,
            starts=False,
            in_place=frozenset(),
            keeps_zeros=True,
            dtypes=(),
            check=_checked(kind),
            reads=_along,
            meaning=_meaning(kind),
            algebra=None,
            ulps=0.5 if kind == "sum" else 0,
            work=_elements_read,
            rate=ELEMENTS,
            onnx=onnx,
            summary=f"{words} along `axis`, of which one element is left; `+=` goes on with another tile",
            example=f"uop.exec {name} %y[0, 0] += %x[0, 2] {{axis = 1}}",
        )
    )


reduction("sum", "sum", "ReduceSum", "the sum")
reduction("max", "greatest", "ReduceMax", "the greatest element")
reduction("min", "least", "ReduceMin", "the least element")
