"""What each tile of a graph function's results is, as a term over the tiles of its arguments: `Terms` for whole tensors
that are cut in tiles.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from ..dialects.graph import GraphOp, MatmulOp, ReduceOp, ViewOp
from ..dialects.kernels import KERNELS
from ..dialects.kernels.declaration import ALL, coords_along
from ..dialects.masks import CausalMaskOp
from ..dialects.opaque import GraphOpaqueOp
from ..dialects.tiles import Coord, TiledType, can_tile, tile_text
from ..ir.attributes import attr_text
from ..ir.builtin import FuncOp
from ..ir.core import Operation, Value
from ..ir.types import TensorType
from .composite_terms import Cut, composed_tiles
from .terms import NONE, Element, Term, Terms
from .tile_terms import Result, check_count, cut, rank_of
from .view_terms import ViewedTile, WholeTile, viewed_tiles


class TilingError(Exception):
    """Tile shapes of arguments with which a graph can't be computed tile by tile; they don't fit at `op`."""

    def __init__(self, op: Operation, message: str):
        super().__init__(message)
        self.op = op


class Hints(NamedTuple):
    """How the other side cuts what nothing else decides: what opaque operations give, by node and number, and what
    moves make, by name and type. What they say need not be true: other tiles have other terms."""

    opaque: Mapping[tuple[str, int], Coord] = {}
    moved: Mapping[tuple[str, str], Coord] = {}


def needed_values(func: FuncOp) -> set[Value]:
    """What a graph function returns, and all that its operations on tensors compute that from."""
    needed = set(func.returned())
    for op in reversed(func.ops):
        if isinstance(op, (GraphOp, GraphOpaqueOp)) and not needed.isdisjoint(op.results):
            needed.update(op.operands)
    return needed


class GraphTerms:
    """The terms of a graph function, tile by tile, its arguments cut in the given tiles, and what opaque operations
    give and moves make in those of `hints` (whole without any); `others` are the terms of what is no tensor that
    can be cut. Where neither function has tiles, all tensors are `whole`, and of a view nothing is known but that equal
    tensors have equal views. What no result depends on is left out: how it would be cut is no matter.

    Raises `TilingError` where two operands' tiles don't fit together, and `TooManyTilesError`.
    """

    def __init__(
        self,
        terms: Terms,
        func: FuncOp,
        shapes: Sequence[Coord],
        others: Mapping[Value, Term],
        hints: Hints,
        whole: bool = False,
    ):
        self.terms = terms
        self.others = others
        self.func = func
        self.hints = hints
        self.whole = whole
        self.types: dict[Value, TiledType] = {}
        self.values: dict[Value, dict[Coord, Term]] = {}
        self.names = {term: f"%{value.name}" for value, term in others.items()}
        self.ops: dict[Term, Operation] = {}
        for index, (arg, shape) in enumerate(zip(func.args, shapes, strict=True)):
            if arg not in others:
                type = self.types[arg] = cut(arg, shape)
                check_count(arg, type)
                self.values[arg] = {c: terms.argument(index, c) for c in type.coords()}
                self.note(arg)
        needed = needed_values(func)
        for op in func.ops:
            if isinstance(op, GraphOp) and op.result in needed:
                self.compute(op)
                self.note(op.result)
            elif isinstance(op, GraphOpaqueOp) and not needed.isdisjoint(op.results):
                self.opaque(op)

    def note(self, value: Value) -> None:
        for coord, term in self.values[value].items():
            self.names.setdefault(term, tile_text(value, coord))
            if isinstance(value.owner, Operation):
                self.ops.setdefault(term, value.owner)

    def results(self) -> list[Result]:
        """What the function returns."""
        return [
            Result((), [self.others[v]])
            if v in self.others
            else Result(self.types[v].tile, list(self.values[v].values()))
            for v in self.func.returned()
        ]

    def view(self, op: ViewOp) -> None:
        """The terms of a view: each of its tiles is, element by element, a tile of its operands, or made of theirs."""
        types = [self.types[v] for v in op.operands]
        assert isinstance(op.result.type, TensorType)
        if self.whole:
            self.types[op.result] = whole = TiledType(op.result.type, op.result.type.shape)
            sources = [term for v in op.operands for term in self.values[v].values()]
            what = f"{op.name} {attr_text(op.attributes)} {op.result.type}"
            self.values[op.result] = {coord: self.terms.make("view", what, *sources) for coord in whole.coords()}
            return
        hint = self.hints.moved.get((op.result.name, op.result.type.text))
        tile, found = viewed_tiles(op, types, hint)
        result = self.types[op.result] = TiledType(op.result.type, tile)
        check_count(op.result, result)
        self.values[op.result] = {c: self.viewed(op, types, whole, result.valid(c)) for c, whole in found.items()}

    def viewed(self, op: ViewOp, types: Sequence[TiledType], found: ViewedTile, extent: Coord) -> Term:
        """A tile of a view that is another tile, or is made of elements of others."""
        if isinstance(found, WholeTile):
            source = self.values[op.operands[found.number]][found.coord]
            return self.terms.seen(source, types[found.number].valid(found.coord), extent)
        elements: list[Element] = []
        for number, at, place in found:
            source = self.values[op.operands[number]][at]
            self.terms.extents.setdefault(source, types[number].valid(at))
            elements.append((source, place))
        return self.terms.moved(elements, extent)

    def opaque(self, op: GraphOpaqueOp) -> None:
        """As of an operation on buffers: an uninterpreted function of all tiles of its operands."""
        whole = self.terms.opaque(op, [term for v in op.operands for term in self.values[v].values()])
        for number, value in enumerate(op.results):
            assert isinstance(value.type, TensorType)
            type = self.types[value] = cut(value, self.hints.opaque.get((op.node, number), value.type.shape))
            check_count(value, type)
            self.values[value] = {c: self.terms.opaque_result(whole, number, type, c) for c in type.coords()}
            self.note(value)

    def compose(self, op: GraphOp) -> None:
        """The terms of what is made of other operations."""
        try:
            made = composed_tiles(self.terms, op, [Cut(self.types[v], self.values[v]) for v in op.operands])
        except ValueError as error:
            raise TilingError(op, f"{op.name} %{op.result.name} can't be computed on tiles: {error}") from None
        self.types[op.result], self.values[op.result] = made

    def compute(self, op: GraphOp) -> None:
        tensor = op.result.type
        whole = next((v for v in (*op.operands, op.result) if not can_tile(v.type)), None)
        if whole is not None:
            what = f"%{whole.name} is {whole.type}"
            raise TilingError(op, f"{op.name} %{op.result.name} can't be computed on tiles: {what}")
        assert isinstance(tensor, TensorType)
        if isinstance(op, ViewOp):
            self.view(op)
            return
        if op.is_composite:
            self.compose(op)
            return
        types = [self.types[v] for v in op.operands]
        axes = self.axes(op, tensor)
        k = tensor.rank
        depths = {t.tile[along.index(k)] for along, t in zip(axes, types, strict=True) if k in along}
        if len(depths) > 1:
            raise TilingError(op, f"{op.name} %{op.result.name} can't be computed on tiles {types[0]} and {types[1]}")
        sizes = {ALL: 1}
        for along, operand in zip(axes, types, strict=True):
            sizes = dict(zip(along, operand.tile, strict=True)) | sizes
        type = self.types[op.result] = TiledType(tensor, tuple([sizes.get(axis, 1) for axis in range(tensor.rank)]))
        for along, operand in zip(axes, types, strict=True):
            if operand.tile != tuple([sizes[axis] for axis in along]):
                raise TilingError(op, f"{op.name} %{op.result.name} can't be computed on tiles {type} and {operand}")
        check_count(op.result, type, 1 if op.depth_axis is None else types[0].grid[op.depth_axis])
        reads = [coords_along(along) for along in axes]
        self.values[op.result] = {c: self.term(op, c, reads) for c in type.coords()}

    def axes(self, op: GraphOp, result: TensorType) -> tuple[Coord, ...]:
        """The axes of the result, or of the sum, along which each operand is cut as it is; a bias as its last one."""
        kernel = KERNELS[op.kernel]
        count = len(kernel.sources)
        shapes = [self.types[v].tensor.shape for v in op.operands[:count]]
        found = kernel.reads(op, [result.shape, *shapes])
        return (*found, *[(result.rank - 1,)] * (len(op.operands) - count))

    def term(self, op: GraphOp, coord: Coord, reads: Sequence[Callable[[Coord], Coord]]) -> Term:
        terms, values = self.terms, [self.values[v] for v in op.operands]
        if isinstance(op, MatmulOp):
            (a, b), (left, right) = values[:2], reads[:2]
            places = [(*coord, k, 0) for k in range(self.types[op.operands[0]].grid[op.depth_axis])]
            products = [terms.factors(op, a[left(place)], b[right(place)]) for place in places]
            extent = self.types[op.result].valid(coord)
            start = terms.rows(values[2][coord[-1:]], extent) if op.bias is not None else NONE
            return terms.activate(terms.total(start, products), op, self.types[op.result].dtype)
        if isinstance(op, ReduceOp):
            return self.reduction(op, coord, reads[0])
        places = [along((*coord, 0, 0)) for along in reads]
        extents = [self.types[v].valid(place) for v, place in zip(op.operands, places, strict=True)]
        sources = [
            terms.over(value[place], own, self.types[op.result].valid(coord))
            for place, value, own in zip(places, values, extents, strict=True)
        ]
        if isinstance(op, CausalMaskOp):
            return self.mask(op, coord, sources[0])
        dtypes = [self.types[v].dtype for v in (op.result, *op.operands)]
        return terms.of_kernel(KERNELS[op.kernel], op, dtypes, sources)

    def mask(self, op: CausalMaskOp, coord: Coord, scores: Term) -> Term:
        """A tile of a causal mask, by where its first row and its first column stand in the tensor."""
        row, column = [at * size for at, size in zip(coord, self.types[op.result].tile, strict=True)][-2:]
        return self.terms.masked(row - column + (op.diagonal or 0), self.types[op.result].valid(coord), scores)

    def reduction(self, op: ReduceOp, coord: Coord, along: Callable[[Coord], Coord]) -> Term:
        """The whole of a reduction's parts: each tile along the axis, once."""
        (operand,) = op.operands
        kernel, values = KERNELS[op.kernel], self.values[operand]
        places = [along((*coord, k, 0)) for k in range(self.types[operand].grid[op.axis])]
        axis = op.axis - rank_of(operand)
        return self.terms.total(NONE, [self.terms.part(kernel, axis, values[place]) for place in places])
