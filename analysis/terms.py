"""What each tile of a function's results is, as a symbolic term over the tiles of its arguments.

Equal terms are one number, so that comparing two programs is comparing numbers. A sum of products is a multiset: the
order of a sum does not count, how often each product occurs does. Every operation costs a constant number of steps, but
for the sorting of each sum.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from math import inf, nan, prod
from typing import Any, NamedTuple

from ..dialects.graph import MatmulOp
from ..dialects.kernels import KERNELS, Kernel
from ..dialects.kernels.constants import IDENTITY
from ..dialects.kernels.declaration import Function
from ..dialects.kernels.masks import CAUSAL_MASK
from ..dialects.kernels.moves import moved_runs, placement_of
from ..dialects.kernels.products import MATMUL
from ..dialects.opaque import OpaqueBase, OpaqueOp
from ..dialects.tile_ops import ExecBase, StoreBase
from ..dialects.tiles import MOST_TILES, Coord, TiledType, TileRef, bare, tile_text, tiled
from ..ir.attributes import Unit
from ..ir.builtin import FuncOp
from ..ir.core import Operation, Value
from ..ir.types import TensorType
from .term_table import NONE, Term, TermTable

Element = tuple[Term, int]
"""An element of a tile: its number among those that are no padding, row by row."""


class Terms(TermTable):
    """The terms met so far; `keys[t]` is how term t is made. `plain` are the functions without parameters, `elements`
    where each element comes from of what moves have made, `extents` how much is no padding of what they read."""

    def __init__(self) -> None:
        super().__init__()
        self.plain: dict[str, Function] = {}
        self.elements: dict[Term, list[Element]] = {}
        self.extents: dict[Term, Coord] = {}

    def argument(self, index: int, coord: Coord) -> Term:
        return self.make("argument", index, coord)

    def total(self, start: Term, products: list[tuple[Term, Term]], kernel: Kernel = MATMUL) -> Term:
        """A sum of products, added to what the accumulator was started with, if anything; or whatever else combines
        them, as their `kernel` says."""
        products = self.without_useless(products)
        if not products:
            return start
        if kernel.combine == "part":
            return self.put_together(products)
        summed = self.make("sum", *sorted(products))
        if start == NONE:
            return summed
        onto = "onto what was there"
        return self.plus(start, summed) if kernel.is_sum else self.apply(kernel.name, (), start, summed, words=onto)

    def product(self, kernel: Kernel, op: ExecBase, left: Term, right: Term) -> tuple[Term, Term]:
        """What a kernel that combines by "sum" adds: of the matrix product its two factors; of another one what these
        are to it, lest it be taken for the matrix product."""
        if kernel is not MATMUL:
            return self.apply(kernel.name, kernel.params_of(op), left), right
        return self.factors(op, left, right)

    def part(self, kernel: Kernel, axis: int | None, tile: Term) -> tuple[Term, Term]:
        """What a reduction of one tile adds to the whole: as a product it is by one. Its axis counts from behind, since
        a buffer may have more axes than a view that lies in it."""
        if self.fulls.get(tile) == IDENTITY.get(kernel.combine or "", nan):
            return tile, self.make("one")
        words = "" if axis is None else f"along axis {axis}"
        return self.apply(kernel.name, (), tile, words=words), self.make("one")

    def factors(self, op: ExecBase | MatmulOp, left: Term, right: Term) -> tuple[Term, Term]:
        """The factors of a matrix product, which may read either transposed, and less a zero point."""
        if op.transpose_a is op.transpose_b is op.zero_point_a is op.zero_point_b is None:
            return left, right
        return self.factor(left, op.transpose_a, op.zero_point_a), self.factor(right, op.transpose_b, op.zero_point_b)

    def factor(self, tile: Term, transposed: Unit | None, zero_point: int | None) -> Term:
        """A tile as one of them; what is full of zeros stays so, either way."""
        if tile in self.fulls:
            return tile
        if zero_point:
            tile = self.make("shifted", zero_point, tile)
        return tile if transposed is None else self.make("transposed", tile)

    def rows(self, vector: Term, extent: Coord) -> Term:
        """A vector repeated over the part of a tile that is no padding: over its rows, unless the kernel that reads it
        says otherwise. Of all else that a tile can be, its sources say how much of it is no padding."""
        return self.make("rows", bare(extent), vector)

    def over(self, tile: Term, own: Coord, extent: Coord) -> Term:
        """A tile of which so much is no padding, for elements of another: repeated where it has fewer axes, or one
        element along one, and so counts for all of the other's."""
        own, extent = bare(own), bare(extent)
        repeated = own != extent and (
            len(own) < len(extent) or any(a == 1 < b for a, b in zip(own, extent, strict=False))
        )
        if not repeated:
            return tile
        # A column may be a view of a vector: its repetition is told from the vector's.
        return self.rows(tile, extent) if len(own) < 2 else self.make("rows", (*extent, own), tile)

    def seen(self, tile: Term, own: Coord, extent: Coord) -> Term:
        """A tile of which so much is no padding, as part of a view that has the same elements in the same order, but
        along other axes: a column as a row, which is another factor, and another operand of a reduction."""
        if tile in self.fulls:
            return tile
        own, extent = bare(own), bare(extent)
        key = self.keys[tile]
        if own != extent and key[0] == "seen":
            (_, own), tile = key[1:]
        return tile if own == extent else self.make("seen", (extent, own), tile)

    def put_together(self, parts: Sequence[tuple[Term, Term]]) -> Term:
        """A tile of the parts that moves have written; a part of it that none has is like nothing else."""
        extent = self.keys[parts[0][1]][1]
        elements = [(NONE, len(self.keys) + i) for i in range(prod(extent))]
        for tile, part in parts:
            _, _, own, runs = self.keys[part]
            self.extents.setdefault(tile, own)
            for to, at, step, count in runs:
                elements[to : to + count] = [(tile, at + i * step) for i in range(count)]
        return self.moved(elements, extent)

    def moved(self, elements: Sequence[Element], extent: Coord) -> Term:
        """A tile of these elements of others, all that is no padding in it, row by row: another tile itself where it
        is all of that, else told by where each element has come from in the end. How many elements each of the tiles
        has, and along which axes, must be in `extents`."""
        origins = {tile: self.elements_of(tile) for tile in dict.fromkeys([tile for tile, _ in elements])}
        found = [origins[tile][at] if origins.get(tile) else (tile, at) for tile, at in elements]
        tile = found[0][0]
        if tile in self.extents and found == [(tile, i) for i in range(prod(self.extents[tile]))]:
            return self.seen(tile, self.extents[tile], extent)
        made = self.make("moved", bare(extent), *runs_of(found))
        self.elements[made] = found
        return made

    def elements_of(self, tile: Term) -> Sequence[Element]:
        """Where the elements of a tile have come from; nothing for one that is not made of others' elements."""
        key: tuple[Any, ...] = self.keys[tile] if tile != NONE else ()
        if not key or key[0] != "seen":
            return self.elements.get(tile, ())
        self.extents.setdefault(key[2], key[1][1])
        return self.elements.get(key[2]) or [(key[2], i) for i in range(prod(key[1][1]))]

    def plus(self, a: Term, b: Term) -> Term:
        """A sum of two, in either order."""
        return self.make("plus", *sorted((a, b)))

    def apply(
        self, name: str, params: Sequence[float], *sources: Term, commutes: bool = False, words: str = ""
    ) -> Term:
        """A kernel's value where nothing is known of it but that equal sources give equal values."""
        if params or words:
            function = Function(name, words, tuple(map(repr, params)))
        else:
            function = self.plain.get(name) or self.plain.setdefault(name, Function(name, "", ()))
        return self.make("apply", function, *(sorted(sources) if commutes else sources))

    def opaque(self, op: OpaqueBase, operands: Sequence[Term]) -> Term:
        """What an opaque operation does with all tiles of its operands: equal only to one of the same operator and node
        on equal tiles."""
        return self.make("opaque", op.op, op.node, len(op.operands), *operands)

    def opaque_result(self, whole: Term, number: int, type: TiledType, coord: Coord) -> Term:
        """A tile of one of its results."""
        return self.make("given", number, type.text, coord, whole)

    def masked(self, diagonal: int, extent: Coord, scores: Term) -> Term:
        """A tile of a causal mask, so much of which is no padding: of each row i what stands up to column
        i + diagonal."""
        if diagonal >= extent[-1] - 1:
            return scores
        last = diagonal + extent[-2] - 1  # the last column that stays of the last row
        return self.full(-inf) if last < 0 else self.apply(CAUSAL_MASK.name, (diagonal,), scores)

    def of_kernel(self, kernel: Kernel, op: Any, dtypes: Sequence[str], sources: Sequence[Term]) -> Term:
        """The value of a kernel that is no product, with the parameters that an operation gives it."""
        return self.of_numbers(kernel, kernel.params_of(op), dtypes, sources)

    def of_numbers(
        self, kernel: Kernel, params: Sequence[float], dtypes: Sequence[str], sources: Sequence[Term]
    ) -> Term:
        """The same, of parameters as they are."""
        assert kernel.algebra is not None
        made = self.of_full(kernel, sources) if self.fulls else NONE
        return kernel.algebra(self, params, dtypes, *sources) if made == NONE else made

    def activate(self, term: Term, op: Any, dtype: str) -> Term:
        """The value with an operation's activation, if it has one."""
        if op.activation is None:
            return term
        kernel = KERNELS[op.activation]
        assert kernel.algebra is not None
        return kernel.algebra(self, kernel.params_of(op, "activation_params"), (dtype, dtype), term)


def runs_of(elements: Sequence[Element]) -> Iterator[tuple[Term, int, int, int]]:
    """Elements as runs that go up evenly within one tile: the first one, the step, and how many. Equal elements make
    equal runs."""
    tile, first, step, count = *elements[0], 0, 0
    for other, at in elements:
        if other == tile and (count < 2 or at == first + step * count):
            step = at - first
            count += 1
        else:
            yield tile, first, step, count
            tile, first, step, count = other, at, 0, 1
    yield tile, first, step, count


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
