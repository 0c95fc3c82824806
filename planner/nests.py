"""In which order the tiles of a function's operations are computed: loop nests over tile grids.

An operation is a `Nest`: a product over m x n x k tiles, or an elementwise operation over m x n tiles. `walk` yields
the tile operations of a list of nests in order. What a nest can say:

- `block = (bm, bn)`: bm x bn accumulators are summed up together, k outermost, so that each tile of the left operand
  serves bn products and each of the right one bm (Goto and van de Geijn, 2008, "Anatomy of High-Performance Matrix
  Multiplication"; Smith et al., 2019, "A Tight I/O Lower Bound for Matrix Multiplication").
- `order`: "mn" walks the blocks row by row, "nm" column by column.
- `snake`: every other row (or column) of blocks is walked backwards, and every other block sums over k backwards, so
  that what the last block has used is used again first. With `reverse` the first sum is the one that goes backwards.
- `group`, `rows`: neighbours of one group are computed depth first: all of them on `rows` rows of tiles, then on the
  next.
- `stream = h`: within a group, h columns of tiles are computed and used up by the next product at once, whose
  accumulators for all those rows stay.
- `epilogue`: an elementwise operation is computed tile by tile, right after its last operand's tile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

ORDERS = ("mn", "nm")


@dataclass(frozen=True, slots=True)
class Nest:
    """One operation. `m`, `n`, `k` count tiles (k = 0: elementwise). `after` is the nest in whose epilogue it is
    computed, -1 for none."""

    m: int
    n: int
    k: int = 0
    block: tuple[int, int] = (1, 1)
    order: str = "mn"
    snake: bool = False
    reverse: bool = False
    group: int | None = None
    rows: int = 0
    stream: int = 0
    after: int = -1


TileOpAt = tuple[int, int, int, int, bool, bool]
"""The number of a nest; m, n and k of a tile; whether this starts and whether it finishes the result's tile m, n."""

Range = tuple[int, int]
"""Tiles [start, end) along one axis."""


def walk(nests: Sequence[Nest]) -> Iterator[TileOpAt]:
    """The tile operations of all nests in order."""
    return _Walk(nests).run()


def groups_of(nests: Sequence[Nest]) -> list[list[int]]:
    """The nests that are no epilogues, neighbours of one group together."""
    groups: list[list[int]] = []
    for i, nest in enumerate(nests):
        if nest.after >= 0:
            continue
        last = nests[groups[-1][-1]].group if groups else None
        if nest.group is not None and nest.group == last:
            groups[-1].append(i)
        else:
            groups.append([i])
    return groups


def uneven_members(nests: Sequence[Nest]) -> Iterator[tuple[int, int]]:
    """The nests that have other `rows`, or other rows of tiles, than the first of their group, each with that first."""
    for first, *others in groups_of(nests):
        for i in others:
            if (nests[i].rows, nests[i].m) != (nests[first].rows, nests[first].m):
                yield first, i


def unread_streams(nests: Sequence[Nest], lefts: Sequence[int]) -> Iterator[int]:
    """The streamed nests that no product of their group reads right after them; `lefts[i]` is the nest that makes
    the left operand of i, -1 if none does."""
    for members in groups_of(nests):
        for i, reader in zip(members, [*members[1:], -1], strict=True):
            if not nests[i].stream:
                continue
            made = lefts[reader] if reader >= 0 and nests[reader].k and not nests[reader].stream else -1
            while made >= 0 and made != i:
                made = nests[made].after
            if made != i:
                yield i


@dataclass(slots=True)
class _Turns:
    """How often a nest has gone through k, and along a row (or column) of blocks: odd times go backwards."""

    sums: int = 0
    sweeps: int = 0
    outer: int = 0


@dataclass(slots=True)
class _Walk:
    nests: Sequence[Nest]
    epilogues: dict[int, list[int]] = field(default_factory=dict[int, list[int]])
    turns: list[_Turns] = field(default_factory=list[_Turns])

    def run(self) -> Iterator[TileOpAt]:
        """The tile operations of all nests, group by group."""
        self.turns = [_Turns() for _ in self.nests]
        for i, nest in enumerate(self.nests):
            if nest.after >= 0:
                self.epilogues.setdefault(nest.after, []).append(i)
        for members in groups_of(self.nests):
            first = self.nests[members[0]]
            rows = first.rows if first.group is not None and first.rows else first.m
            for start in range(0, first.m, rows):
                yield from self.members(members, (start, min(start + rows, first.m)))

    def members(self, members: list[int], rows: Range) -> Iterator[TileOpAt]:
        """All operations of a group on some rows of tiles."""
        at = 0
        while at < len(members):
            nest = self.nests[members[at]]
            if nest.stream and at + 1 < len(members):
                yield from self.streamed(members[at], members[at + 1], rows)
                at += 2
            else:
                yield from self.nest(members[at], rows, (0, nest.n))
                at += 1

    def streamed(self, i: int, j: int, rows: Range) -> Iterator[TileOpAt]:
        """Some columns of one product, then all that the next one makes of them, and so on."""
        producer, consumer = self.nests[i], self.nests[j]
        parts = list(_parts((0, producer.n), producer.stream))
        if self.backwards(producer, self.turns[j].outer) != consumer.reverse:
            parts.reverse()
        self.turns[j].outer += 1
        for number, columns in enumerate(parts):
            yield from self.nest(i, rows, columns)
            first, last = number == 0, number == len(parts) - 1
            yield from self.block(j, rows, (0, consumer.n), columns, first, last)

    def nest(self, i: int, rows: Range, columns: Range) -> Iterator[TileOpAt]:
        """One operation on some rows and columns of tiles."""
        nest = self.nests[i]
        if not nest.k:
            for m in range(*rows):
                for n in range(*columns):
                    yield from self.tile(i, m, n)
            return
        for block_rows, block_columns in self.blocks(i, rows, columns):
            yield from self.block(i, block_rows, block_columns, (0, nest.k), True, True)

    def blocks(self, i: int, rows: Range, columns: Range) -> Iterator[tuple[Range, Range]]:
        """The blocks of a product in the order in which they are walked."""
        nest, turns = self.nests[i], self.turns[i]
        across = nest.order == "mn"
        outer = list(_parts(rows, nest.block[0]) if across else _parts(columns, nest.block[1]))
        inner = list(_parts(columns, nest.block[1]) if across else _parts(rows, nest.block[0]))
        if self.backwards(nest, turns.outer):
            outer.reverse()
        turns.outer += 1
        for one in outer:
            swept = inner[::-1] if self.backwards(nest, turns.sweeps) else inner
            turns.sweeps += 1
            for other in swept:
                yield (one, other) if across else (other, one)

    def backwards(self, nest: Nest, turn: int) -> bool:
        """Whether a snake goes backwards on its n-th turn."""
        return nest.snake and turn % 2 == 1

    def block(self, i: int, rows: Range, columns: Range, ks: Range, starts: bool, ends: bool) -> Iterator[TileOpAt]:
        """A block of accumulators; `starts` and `ends` tell whether its sums begin and are complete with these k."""
        nest, turns = self.nests[i], self.turns[i]
        steps = range(*ks)
        if self.backwards(nest, turns.sums) != nest.reverse:
            steps = steps[::-1]
        turns.sums += 1
        first = steps[0] if starts else -1
        last = steps[-1] if ends else -1
        tall = rows[1] - rows[0] > columns[1] - columns[0]
        for k in steps:
            places = (
                [(m, n) for m in range(*rows) for n in range(*columns)]
                if tall
                else [(m, n) for n in range(*columns) for m in range(*rows)]
            )
            for m, n in places:
                yield i, m, n, k, k == first, k == last
                if k == last:
                    yield from self.epilogue(i, m, n)

    def tile(self, i: int, m: int, n: int) -> Iterator[TileOpAt]:
        """One tile of an elementwise operation."""
        yield i, m, n, 0, True, True
        yield from self.epilogue(i, m, n)

    def epilogue(self, i: int, m: int, n: int) -> Iterator[TileOpAt]:
        """What is computed right after a nest's tile m, n."""
        waiting = list(reversed(self.epilogues.get(i, ())))
        while waiting:
            j = waiting.pop()
            yield j, m, n, 0, True, True
            waiting += reversed(self.epilogues.get(j, ()))


def _parts(whole: Range, size: int) -> Iterator[Range]:
    for start in range(whole[0], whole[1], size):
        yield start, min(start + size, whole[1])
