"""Composites in the proof, by definitions of their own: what each tile of one is, of the tiles of its operands.

What is subtracted before `exp` is here the maximum over the very tiles that are summed, so that a softmax with another
shift, or without any, has other terms.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import nan, prod
from typing import Any, NamedTuple

from ..dialects.composites import LayerNormOp, NormOp, RmsNormOp, SoftmaxOp
from ..dialects.graph import GraphOp, ReduceOp
from ..dialects.kernels import KERNELS
from ..dialects.kernels.conversions import CAST
from ..dialects.tiles import Coord, TiledType
from ..ir.attributes import round_float
from ..ir.types import TensorType
from .terms import NONE, Term, Terms


class Cut(NamedTuple):
    """A tensor in tiles, with the term of each."""

    type: TiledType
    tiles: dict[Coord, Term]

    def over(self, terms: Terms, coord: Coord, extent: Coord) -> Term:
        """The tile that goes with one of a tensor with as many axes or more: along what it lacks, or has one element
        of, there is one."""
        shape = self.type.tensor.shape
        own = tuple([0 if size == 1 else at for at, size in zip(coord[-len(shape) :], shape, strict=True)])
        return terms.over(self.tiles[own], self.type.valid(own), extent)


def composed_tiles(terms: Terms, op: GraphOp, operands: Sequence[Cut]) -> Cut:
    """A composite in tiles. Raises `ValueError` for operands whose tiles don't go together."""
    return DEFINITIONS[type(op)](terms, op, *operands)


def _mapped(terms: Terms, name: str, *sources: Cut, right: float = nan) -> Cut:
    """A kernel of the table on sources in one element type, the first of which has the result's shape."""
    type = sources[0].type
    for other in sources[1:]:
        sizes = zip(reversed(other.type.tile), reversed(other.type.tensor.shape), reversed(type.tile), strict=False)
        if any(size > 1 and tile != wanted for tile, size, wanted in sizes):
            raise ValueError(f"{type} goes with no tiles of {other.type}")
    kernel = KERNELS[name]
    params = (nan, right) if len(kernel.sources) == 2 else ()
    dtypes = [type.dtype] * (1 + len(sources))
    made = {
        coord: terms.of_numbers(
            kernel, params, dtypes, [source.over(terms, coord, type.valid(coord)) for source in sources]
        )
        for coord in sources[0].tiles
    }
    return Cut(type, made)


def _cast(terms: Terms, source: Cut, dtype: str) -> Cut:
    if source.type.dtype == dtype:
        return source
    dtypes = dtype, source.type.dtype
    made = {c: terms.of_numbers(CAST, (0.0, 0), dtypes, [term]) for c, term in source.tiles.items()}
    return Cut(TiledType(TensorType(source.type.tensor.shape, dtype), source.type.tile), made)


def _reduced(terms: Terms, source: Cut, kind: str, axes: Sequence[int]) -> Cut:
    """One element of each row along the axes is left: of each row along the last of them, then of what is left."""
    *before, axis = sorted(axes)
    parts: dict[Coord, list[tuple[Term, Term]]] = {}
    kernel = KERNELS[f"reduce_{kind}"]
    for coord, term in source.tiles.items():
        at = (*coord[:axis], 0, *coord[axis + 1 :])
        parts.setdefault(at, []).append(terms.part(kernel, axis - len(coord), term))
    tensor, tile = source.type.tensor, list(source.type.tile)
    shape = list(tensor.shape)
    shape[axis] = tile[axis] = 1
    dtype = tensor.dtype if kind != "sum" else "i32" if tensor.dtype[0] == "i" else "f32"
    made = {coord: terms.total(NONE, found) for coord, found in parts.items()}
    left = Cut(TiledType(TensorType(tuple(shape), dtype), tuple(tile)), made)
    return _reduced(terms, left, kind, before) if before else left


def _mean(terms: Terms, source: Cut, axes: Sequence[int]) -> Cut:
    count = round_float(prod([source.type.tensor.shape[axis] for axis in axes]), "f32")
    return _mapped(terms, "div", _reduced(terms, source, "sum", axes), right=count)


# The definitions


def _reduction(terms: Terms, op: ReduceOp, x: Cut) -> Cut:
    return _mean(terms, x, op.axes) if op.kind == "mean" else _reduced(terms, x, op.kind, op.axes)


def _softmax(terms: Terms, op: SoftmaxOp, x: Cut) -> Cut:
    wide = _cast(terms, x, "f32")
    powers = _mapped(terms, "exp", _mapped(terms, "sub", wide, _reduced(terms, wide, "max", op.axes)))
    return _cast(terms, _mapped(terms, "div", powers, _reduced(terms, powers, "sum", op.axes)), x.type.dtype)


def _layer_norm(terms: Terms, op: LayerNormOp, x: Cut, scale: Cut, *bias: Cut) -> Cut:
    wide = _cast(terms, x, "f32")
    made = _scaled(terms, op, _mapped(terms, "sub", wide, _mean(terms, wide, op.axes)), scale)
    for vector in bias:
        made = _mapped(terms, "add", made, _cast(terms, vector, "f32"))
    return _cast(terms, made, x.type.dtype)


def _rms_norm(terms: Terms, op: RmsNormOp, x: Cut, scale: Cut) -> Cut:
    return _cast(terms, _scaled(terms, op, _cast(terms, x, "f32"), scale), x.type.dtype)


def _scaled(terms: Terms, op: NormOp, x: Cut, scale: Cut) -> Cut:
    """x / sqrt(mean(x x) + epsilon) times the scale."""
    variance = _mean(terms, _mapped(terms, "mul", x, x), op.axes)
    deviation = _mapped(terms, "rsqrt", _mapped(terms, "add", variance, right=op.epsilon.value))
    return _mapped(terms, "mul", _mapped(terms, "mul", x, deviation), _cast(terms, scale, "f32"))


DEFINITIONS: dict[type[GraphOp], Callable[..., Any]] = {
    ReduceOp: _reduction,
    SoftmaxOp: _softmax,
    LayerNormOp: _layer_norm,
    RmsNormOp: _rms_norm,
}
