"""What each tile of a function's results is, as a symbolic term over the tiles of its arguments.

Equal terms are one number, so that comparing two programs is comparing numbers. A sum of products is a multiset: the
order of a sum does not count, how often each product occurs does. Every operation costs a constant number of steps, but
for the sorting of each sum.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf, nan, prod
from typing import Any

from ..dialects.graph import MatmulOp
from ..dialects.kernels import KERNELS, Kernel
from ..dialects.kernels.constants import IDENTITY, LAWS
from ..dialects.kernels.declaration import Function
from ..dialects.kernels.masks import CAUSAL_MASK
from ..dialects.kernels.products import MATMUL
from ..dialects.opaque import OpaqueBase
from ..dialects.tile_ops import ExecBase
from ..dialects.tiles import Coord, TiledType, bare
from ..ir.attributes import Unit

NONE = -1

Term = int

Element = tuple[Term, int]
"""An element of a tile: its number among those that are no padding, row by row."""


class Terms:
    """The terms met so far; `keys[t]` is how term t is made. `plain` are the functions without parameters, `elements`
    where each element comes from of what moves have made, `extents` how much is no padding of what they read; `fulls`
    the terms of tiles that are full of one number."""

    def __init__(self) -> None:
        self.numbers: dict[tuple[Any, ...], Term] = {}
        self.keys: list[tuple[Any, ...]] = []
        self.plain: dict[str, Function] = {}
        self.elements: dict[Term, list[Element]] = {}
        self.extents: dict[Term, Coord] = {}
        self.fulls: dict[Term, float] = {}

    def make(self, *key: Any) -> Term:
        number = self.numbers.get(key)
        if number is None:
            number = self.numbers[key] = len(self.keys)
            self.keys.append(key)
        return number

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
        if tile == NONE or self.keys[tile][0] != "seen":
            return self.elements.get(tile, ())
        (_, own), whole = self.keys[tile][1:]
        self.extents.setdefault(whole, own)
        return self.elements.get(whole) or [(whole, i) for i in range(prod(own))]

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

    def parts(self, term: Term) -> tuple[Any, ...] | None:
        """The function that `apply` made a term of, and its sources; None for a term of another kind."""
        key = self.keys[term]
        return key[1:] if key[0] == "apply" else None

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

    def full(self, number: float) -> Term:
        """A tile full of a number, as far as it is no padding."""
        term = self.make("full", repr(number))
        self.fulls[term] = number
        return term

    def without_useless(self, products: list[tuple[Term, Term]]) -> list[tuple[Term, Term]]:
        """The parts of a sum, or of a maximum, but those that change nothing of it: products of zeros, and the number
        that is the kernel's identity (`part` has looked). All of them, where none would be left."""
        if not self.fulls or not any(a in self.fulls or b in self.fulls for a, b in products):
            return products
        one = self.make("one")
        left = [
            (a, b)
            for a, b in products
            if not (0.0 in (self.fulls.get(a), self.fulls.get(b)) or (a in self.fulls and b == one))
        ]
        return left or products

    def of_full(self, kernel: Kernel, sources: Sequence[Term]) -> Term:
        """What a kernel makes of a tile full of a number, where that is known (`constants.py`); else `NONE`."""
        law = LAWS.get((kernel.name, self.fulls.get(sources[0])))
        if law is None or len(sources) != 1 + (law.beside is not None):
            return NONE
        return self.full(law.gives) if law.beside is None or self.is_reduced(sources[1], law.beside) else NONE

    def is_reduced(self, term: Term, combine: str) -> bool:
        """Whether a term is what a reduction makes of some tiles, repeated or not."""
        key = self.keys[term]
        key = self.keys[key[2]] if key[0] == "rows" else key
        if key[0] != "sum" or key[1][1] != self.make("one"):
            return False
        made = self.parts(key[1][0])
        return made is not None and KERNELS[made[0].name].combine == combine

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
