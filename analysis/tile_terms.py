"""What each tile of a function's results is, found by running its operations on tiles as terms (`terms.py`)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from ..dialects.kernels import KERNELS, Kernel
from ..dialects.kernels.masks import CAUSAL_MASK
from ..dialects.kernels.moves import moved_runs, placement_of
from ..dialects.kernels.products import MATMUL
from ..dialects.opaque import OpaqueOp
from ..dialects.tile_ops import ExecBase, StoreBase
from ..dialects.tiles import MOST_TILES, Coord, TiledType, TileRef, bare, tile_text, tiled
from ..ir.builtin import FuncOp
from ..ir.core import Operation, Value
from ..ir.types import TensorType
from .terms import NONE, Term, Terms


class Result(NamedTuple):
    """What a function returns at one place: the shape of its tiles, and their terms row by row; one term of what can't
    be cut."""

    tile: Coord
    terms: list[Term]


class TileValue:
    """A tile's present value: what it was started with, the products added since, the operation that activates it (None
    for none); `term` once asked.

    `ops` are the operations that made it: first the one that started it, if that was no product, then one per product.
    """

    __slots__ = ("activation", "kernel", "ops", "products", "start", "term")

    def __init__(self, start: Term, *ops: Operation):
        self.start = start
        self.products: list[tuple[Term, Term]] = []
        self.activation: ExecBase | None = None
        self.kernel = MATMUL
        self.term = NONE
        self.ops = list(ops)

    def op_of(self, terms: Terms, part: Term, extra: Collection[tuple[Term, Term]]) -> Operation | None:
        """The operation that brought in one of the extra products or a part of the value; the last one otherwise."""
        for product, op in zip(reversed(self.products), reversed(self.ops), strict=False):
            if product in extra or part in product:
                return op
        if self.start != NONE and self.ops and part in (self.start, *terms.keys[self.start][1:]):
            return self.ops[0]
        return self.ops[-1] if self.ops else None


class TileTerms:
    """The terms of a valid uop or sched function: what a tile's name stands for is its last write.

    `shapes` are the tiles of those arguments that are tensors, `others` the terms of what is no tensor in any form.
    """

    def __init__(self, terms: Terms, func: FuncOp, shapes: Sequence[Coord], others: Mapping[Value, Term]):
        self.terms = terms
        self.shapes = shapes
        self.others = others
        self.func = func
        self.tiles: dict[TileRef, TileValue] = {}
        self.order = {arg: i for i, arg in enumerate(func.args)}
        self.padded = {
            v
            for v in (*func.args, *(r for op in func.ops for r in op.results))
            if isinstance(v.type, TiledType) and v.type.is_padded
        }
        self.names = {term: f"%{value.name}" for value, term in others.items()}
        self.holders: dict[Term, tuple[str, TileValue]] = {}
        self.fitting: dict[tuple[object, ...], bool] = {}
        for op in func.ops:
            if isinstance(op, ExecBase):
                self.exec(op)
            elif isinstance(op, StoreBase) and op.activation is not None:
                self.activate(op)
            elif isinstance(op, OpaqueOp):
                self.opaque(op)

    def results(self) -> list[Result]:
        """What the function returns. Raises `TooManyTilesError`."""
        return [self.result(value) for value in self.func.returned()]

    def result(self, value: Value) -> Result:
        if value in self.others:
            return Result((), [self.others[value]])
        if isinstance(value.type, TiledType):
            check_count(value, value.type)
            return Result(value.type.tile, [self.read((value, coord)) for coord in value.type.coords()])
        index = self.order[value]
        type = cut(value, self.shapes[index])
        return Result(type.tile, [self.terms.argument(index, coord) for coord in type.coords()])

    def tile(self, place: TileRef) -> TileValue:
        found = self.tiles.get(place)
        if found is None:
            index = self.order.get(place[0], NONE)
            start = (
                self.terms.argument(index, place[1])
                if index >= 0
                else self.terms.make("unwritten", tile_text(*place), len(self.terms.keys))
            )
            found = self.tiles[place] = TileValue(start)
        return found

    def read(self, place: TileRef) -> Term:
        tile = self.tile(place)
        if tile.term == NONE:
            tile.term = self.terms.total(tile.start, tile.products, tile.kernel)
            if tile.activation is not None:
                tile.term = self.terms.activate(tile.term, tile.activation, _dtype(place[0]))
            if tile.ops:
                self.holders.setdefault(tile.term, (tile_text(*place), tile))
            if tile.ops or place[0] in self.order:
                self.names.setdefault(tile.term, tile_text(*place))
        return tile.term

    def exec(self, op: ExecBase) -> None:
        operands, coords = op.operands, op.coords
        place = (operands[0], coords[0])
        kernel = KERNELS[op.kernel]
        sources = [self.read(p) for p in zip(operands[1:], coords[1:], strict=True)]
        if not self.padded.isdisjoint(operands):
            extents = tuple([tiled(v).valid(c) for v, c in zip(operands, coords, strict=True)])
            if not self.fits(kernel, op, extents):
                sources[0] = self.terms.make("within", bare(extents[0]), sources[0])
        if kernel.algebra is not None:
            tile = self.tiles[place] = TileValue(self.computed(op, kernel, sources), op)
        else:
            if not op.accumulate:
                self.tiles[place] = TileValue(NONE)
            tile = self.tile(place)
            if tile.kernel.combine != kernel.combine:
                tile = self.combining(place, kernel)
            if kernel.combine == "part":
                tile.products.append((sources[0], self.part(op)))
            elif len(sources) == 1:
                axis = None if op.axis is None else op.axis - rank_of(operands[1])
                tile.products.append(self.terms.part(kernel, axis, sources[0]))
            else:
                tile.products.append(self.terms.product(kernel, op, sources[0], sources[1]))
            tile.ops.append(op)
        tile.term = NONE
        tile.activation = op if op.activation is not None else None

    def part(self, op: ExecBase) -> Term:
        """Which elements a move writes, of which of its source's: all that a valid extent of each has, by number."""
        types = [tiled(v) for v in op.operands]
        runs = moved_runs(placement_of(op, types[0].tensor.shape), types, op.coords)
        extents = [t.valid(c) for t, c in zip(types, op.coords, strict=True)]
        return self.terms.make("part", *extents, runs)

    def combining(self, place: TileRef, kernel: Kernel) -> TileValue:
        """A tile as it is, to be combined in another way from here on."""
        tile = self.tiles[place]
        if tile.products:
            tile = self.tiles[place] = TileValue(self.read(place), *tile.ops[-1:])
        tile.kernel = kernel
        return tile

    def fits(self, kernel: Kernel, op: ExecBase, extents: tuple[Coord, ...]) -> bool:
        """As `kernel.fits`, which is asked once: there are few different extents."""
        key = (kernel.name, op.transpose_a, op.transpose_b, op.operands, extents)
        found = self.fitting.get(key)
        if found is None:
            found = self.fitting[key] = kernel.fits(op, [tiled(v) for v in op.operands], extents)
        return found

    def computed(self, op: ExecBase, kernel: Kernel, sources: list[Term]) -> Term:
        """The term of a kernel that is no product."""
        extent, *extents = [tiled(v).valid(c) for v, c in zip(op.operands, op.coords, strict=True)]
        whole = [self.terms.over(source, own, extent) for source, own in zip(sources, extents, strict=True)]
        if kernel is CAUSAL_MASK:
            return self.terms.masked(op.diagonal or 0, extent, *whole)
        return self.terms.of_kernel(kernel, op, [_dtype(v) for v in op.operands], whole)

    def opaque(self, op: OpaqueOp) -> None:
        """An uninterpreted function of all tiles of its operands, which are off chip as they are."""
        for value in (*op.operands, *op.results):
            check_count(value, tiled(value))
        whole = self.terms.opaque(op, [self.read((v, c)) for v in op.operands for c in tiled(v).coords()])
        for number, value in enumerate(op.results):
            for coord in tiled(value).coords():
                term = self.terms.opaque_result(whole, number, tiled(value), coord)
                self.tiles[value, coord] = TileValue(term, op)

    def activate(self, op: StoreBase) -> None:
        place = (op.operands[0], op.coords[0])
        before = self.read(place)
        self.tiles[place] = TileValue(self.terms.activate(before, op, _dtype(place[0])), op)


def rank_of(value: Value) -> int:
    """The rank of a tensor, or of a buffer's."""
    type = value.type.tensor if isinstance(value.type, TiledType) else value.type
    assert isinstance(type, TensorType)
    return type.rank


def cut(value: Value, shape: Coord) -> TiledType:
    """The type of a tensor that is cut in tiles of a shape."""
    assert isinstance(value.type, TensorType)
    return TiledType(value.type, shape)


def _dtype(value: Value) -> str:
    assert isinstance(value.type, TiledType)
    return value.type.dtype


class TooManyTilesError(Exception):
    """A value with more tiles, or computed by more products of tiles, than are looked at one by one."""

    def __init__(self, value: Value, what: str):
        super().__init__(f"%{value.name} {what}, more than {MOST_TILES:,}: too many to be proved one by one")
        self.value = value


def check_count(value: Value, type: TiledType, depth: int = 1) -> None:
    """Raises `TooManyTilesError` for a value each of whose tiles is a sum of so many products, before they are made."""
    if type.count > MOST_TILES:
        raise TooManyTilesError(value, f"has {type.count:,} tiles")
    if type.count * depth > MOST_TILES:
        raise TooManyTilesError(value, f"is a sum of {type.count * depth:,} products of tiles")
