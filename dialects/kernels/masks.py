"""The causal mask: of a score, what lies behind its row's own place counts for nothing."""

from __future__ import annotations

from collections.abc import Sequence

from ...ir.light_typing import TYPE_CHECKING, Any
from ...ir.opdef import OpError
from ..tiles import TiledType, bare
from .declaration import ELEMENTS, Array, Call, Kernel, Parameter, declare, elements, same_coordinates
from .elementwise import FLOATS, check_dtype

if TYPE_CHECKING:
    from .declaration import Algebra, TermT


def _check(types: Sequence[TiledType], op: object) -> None:
    dst, source = types
    shown = f"{dst} = causal_mask {source}"
    if bare(dst.tile) != bare(source.tile) or dst.dtype != source.dtype:
        raise OpError(f"kernel causal_mask: source and destination tiles differ: {shown}")
    if len(dst.tile) < 2:
        raise OpError(f"kernel causal_mask: tiles must have rows and columns: {shown}")
    check_dtype("causal_mask", dst.dtype, FLOATS)


def _meaning(np: Any, call: Call, scores: Array) -> Array:
    rows, columns = scores.shape[-2:]
    diagonal = min(max(call.params[0], -rows), columns)
    stays = np.arange(columns) <= np.arange(rows).reshape(-1, 1) + diagonal
    return np.where(stays, scores, scores.dtype.type(-np.inf))


def _term(terms: Algebra[TermT], params: tuple[float, ...], dtypes: Sequence[str], value: TermT) -> TermT:
    return terms.apply("causal_mask", params, value)


CAUSAL_MASK = declare(
    Kernel(
        "causal_mask",
        sources=("scores",),
        parameters=(Parameter("diagonal", "diagonal", 0),),
        combine=None,
        is_sum=False,
        commutes=False,
        idempotent=False,
        clamps=None,
        starts=False,
        in_place=frozenset({0}),
        keeps_zeros=False,
        dtypes=(),
        check=_check,
        reads=same_coordinates,
        meaning=_meaning,
        algebra=_term,
        ulps=0,
        work=elements,
        rate=ELEMENTS,
        onnx=None,
        summary="of each row i of a tile the elements up to column i + `diagonal`, minus infinity behind them",
        example="uop.exec causal_mask %y[1, 0] = %x[1, 0] {diagonal = 32}",
    )
)
