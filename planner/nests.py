"""In which order the tiles of a function's operations are computed: loop nests over tile grids.

An operation is a `Nest`: a product over m x n x k tiles, a reduction over k, or an elementwise operation over m x n
tiles, each for every batch. `walk` yields the tile operations of a list of nests in order. What a nest can say:

- `block = (bm, bn)`: bm x bn accumulators are summed up together, k outermost, so that each tile of the left operand
  serves bn products and each of the right one bm (Goto and van de Geijn, 2008, "Anatomy of High-Performance Matrix
  Multiplication"; Smith et al., 2019, "A Tight I/O Lower Bound for Matrix Multiplication").
- `order`: "mn" walks the blocks row by row, "nm" column by column.
- `snake`: every other row (or column) of blocks is walked backwards, and every other block sums over k backwards, so
  that what the last block has used is used again first. With `reverse` the first sum is the one that goes backwards.
- `beside`, `below`: the product is computed as further columns, or rows, of another one with the same left, or right,
  operand: both are one product with concatenated operands, whose blocks reach from one into the other.
- `group`, `rows`: neighbours of one group are computed depth first: all of them on `rows` rows of tiles, then on the
  next. Where an operation reads other rows than its own (`reads`: a stride, a halo), those are computed that it needs.
- `stream = h`: within a group, h columns of tiles are computed and used up by the next product at once, whose
  accumulators for all those rows stay; with `strip` so many rows of them at a time. Neighbours that are streamed are
  streamed together: into the first product after them.
- `lazy`: within a group, each block of it is computed right before the first operation that reads one of its tiles.
- `epilogue`: an elementwise operation, or a product whose k is one tile, is computed tile by tile, right after another
  operation's tile at the same place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

ORDERS = ("mn", "nm")


@dataclass(frozen=True, slots=True)
class Reach:
    """Which rows of tiles of a nest are read for row r: those from r * stride - before to r * stride + after."""

    nest: int
    stride: int = 1
    before: int = 0
    after: int = 0


@dataclass(frozen=True, slots=True)
class Nest:
    """One operation. `m`, `n`, `k` count tiles (k = 0: elementwise), `batch` how many of m x n there are, one below the
    other: row b * m + i is row i of batch b. `after` is the nest in whose epilogue it is computed, `beside` and `below`
    the one whose columns or rows it continues; -1 for none. `reads` are the nests before it in its group whose rows are
    not its own."""

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
    beside: int = -1
    below: int = -1
    batch: int = 1
    strip: int = 0
    reads: tuple[Reach, ...] = ()
    lazy: bool = False

    @property
    def height(self) -> int:
        """Rows of tiles, of all batches together."""
        return self.m * self.batch

    @property
    def lead(self) -> int:
        """The nest whose columns or rows this one continues, -1 for none."""
        return max(self.beside, self.below)


TileOpAt = tuple[int, int, int, int, bool, bool]
"""The number of a nest; m (of all batches), n and k of a tile; whether this starts and whether it finishes the result's
tile m, n."""

Range = tuple[int, int]
"""Tiles [start, end) along one axis."""

Lane = tuple[int, int]
"""A row or a column of tiles: the number of its nest, -1 for all of those walked together, and its own."""


@dataclass(frozen=True, slots=True)
class Source:
    """What an operation reads of another nest's result: how many tiles further, counted row by row, for its next row,
    next column and next k, and for each batch from the first one's."""

    nest: int
    down: int
    across: int
    deep: int
    below: tuple[int, ...] = (0,)


Sources = Sequence[Sequence[Source]]
"""By nest, what it reads of the others; only asked for where some nest is lazy."""


def walk(nests: Sequence[Nest], sources: Sources = ()) -> Iterator[TileOpAt]:
    """The tile operations of all nests in order."""
    return _Walk(nests, sources).run()


def groups_of(nests: Sequence[Nest]) -> list[list[int]]:
    """The nests that are no epilogues, neighbours of one group together, and what continues another with that."""
    groups: list[list[int]] = []
    for i, nest in enumerate(nests):
        if nest.after >= 0:
            continue
        last = nests[groups[-1][-1]].group if groups else None
        if groups and (nest.lead >= 0 or (nest.group is not None and nest.group == last)):
            groups[-1].append(i)
        else:
            groups.append([i])
    return groups


def units_of(nests: Sequence[Nest], members: Sequence[int]) -> list[list[int]]:
    """The nests of a group, those that are walked together as one product in one list."""
    units: list[list[int]] = []
    for i in members:
        if nests[i].lead >= 0 and units:
            units[-1].append(i)
        else:
            units.append([i])
    return units


@dataclass(slots=True)
class _Turns:
    """How often a nest has gone through k, and along a row (or column) of blocks: odd times go backwards."""

    sums: int = 0
    sweeps: int = 0
    outer: int = 0


@dataclass(slots=True)
class _Walk:
    nests: Sequence[Nest]
    sources: Sources
    epilogues: dict[int, list[int]] = field(default_factory=dict[int, list[int]])
    turns: list[_Turns] = field(default_factory=list[_Turns])

    def run(self) -> Iterator[TileOpAt]:
        """The tile operations of all nests, group by group."""
        self.turns = [_Turns() for _ in self.nests]
        for i, nest in enumerate(self.nests):
            if nest.after >= 0:
                self.epilogues.setdefault(nest.after, []).append(i)
        for members in groups_of(self.nests):
            units = units_of(self.nests, members)
            lazy = [unit for unit in units if self.nests[unit[0]].lazy]
            if lazy:
                eager = [unit for unit in units if not self.nests[unit[0]].lazy]
                height = self.nests[eager[-1][0]].height if eager else 0
                yield from _OnDemand(self, lazy, height).serve(self.group(eager))
            else:
                yield from self.group(units)

    def group(self, units: list[list[int]]) -> Iterator[TileOpAt]:
        """The operations of a group, stretch by stretch."""
        done = [0] * len(units)
        for end in self.stretches(units) if units else ():
            needed = self.needed(units, end)
            yield from self.units(units, list(zip(done, needed, strict=True)))
            done = needed

    def stretches(self, units: list[list[int]]) -> Iterator[int]:
        """Where the stretches of rows end on which a group is computed, in rows of its last operation."""
        last = self.nests[units[-1][0]]
        rows = last.rows if last.group is not None and last.rows else last.height
        for start in range(0, last.height, rows):
            yield min(start + rows, last.height)

    def needed(self, units: list[list[int]], end: int) -> list[int]:
        """How many rows each unit of a group must have been computed on, when the last one has been on so many."""
        last = self.nests[units[-1][0]]
        ends: dict[int, int] = {}
        for unit in reversed(units):
            lead = self.nests[unit[0]]
            share = -(-end * lead.height // last.height) if lead.height != last.height else end
            wanted = ends.get(unit[0], share)
            # Nothing is left out at the end, whether it is read or not.
            own = lead.height if end == last.height else min(wanted, lead.height)
            ends[unit[0]] = own
            for reach in lead.reads:
                reached = (own - 1) * reach.stride + reach.after + 1 if own else 0
                ends[reach.nest] = max(ends.get(reach.nest, 0), reached)
        return [ends[unit[0]] for unit in units]

    def units(self, units: list[list[int]], rows: list[Range]) -> Iterator[TileOpAt]:
        """All operations of a group on some rows of tiles each."""
        at = 0
        while at < len(units):
            reader = at
            while reader < len(units) and self.nests[units[reader][0]].stream:
                reader += 1
            if at < reader < len(units):
                yield from self.streamed(units[at:reader], units[reader], rows[at])
                at = reader + 1
            else:
                yield from self.unit(units[at], rows[at], (0, self.nests[units[at][0]].n))
                at += 1

    def streamed(self, producers: list[list[int]], reader: list[int], rows: Range) -> Iterator[TileOpAt]:
        """Some columns of the producers, then all that the reader makes of them, and so on."""
        producer, consumer = self.nests[producers[0][0]], self.nests[reader[0]]
        parts = list(_parts((0, producer.n), producer.stream))
        turns = self.turns[reader[0]]
        if self.backwards(producer, turns.outer) != consumer.reverse:
            parts.reverse()
        turns.outer += 1
        for number, columns in enumerate(parts):
            first, last = number == 0, number == len(parts) - 1
            strips = list(_parts(rows, producer.strip or producer.height))
            for strip in strips[::-1] if self.backwards(producer, number) else strips:
                for unit in producers:
                    yield from self.unit(unit, strip, columns)
                for some in self.batches(reader, strip):
                    yield from self.block(reader, some, self.columns(reader, None), columns, first, last)

    def unit(self, unit: list[int], rows: Range, columns: Range) -> Iterator[TileOpAt]:
        """The operations that are walked together, on some rows and columns of tiles of each."""
        lead = self.nests[unit[0]]
        if not lead.k:
            for m in range(*rows):
                for n in range(*columns):
                    yield from self.tile(unit[0], m, n)
            return
        whole = columns == (0, lead.n)
        for some in self.batches(unit, rows):
            for block_rows, block_columns in self.blocks(unit, some, self.columns(unit, None if whole else columns)):
                yield from self.block(unit, block_rows, block_columns, (0, lead.k), True, True)

    def batches(self, unit: list[int], rows: Range) -> Iterator[list[Lane]]:
        """Some rows of a unit, those of each batch by themselves; of the nests below, their rows follow."""
        lead = self.nests[unit[0]]
        below = [i for i in unit if self.nests[i].below >= 0]
        if below:
            whole = rows == (0, lead.m)
            spans = [(i, (0, self.nests[i].m) if whole else rows) for i in (unit[0], *below)]
            yield [(i, m) for i, span in spans for m in range(*span)]
            return
        for batch in range(rows[0] // lead.m, -(-rows[1] // lead.m)) if lead.batch > 1 else (0,):
            start, end = batch * lead.m, (batch + 1) * lead.m
            yield [(-1, m) for m in range(max(start, rows[0]), min(end, rows[1]))]

    def columns(self, unit: list[int], columns: Range | None) -> list[Lane]:
        """Some columns of a unit (None: all of them). Those of the nests beside the first follow; made on demand they
        take turns: what asks for one of them asks for its neighbours at that place, too."""
        if self.nests[unit[-1]].below >= 0:
            return [(-1, n) for n in range(*(columns or (0, self.nests[unit[0]].n)))]
        lanes = [(i, n) for i in unit for n in range(*(columns or (0, self.nests[i].n)))]
        return sorted(lanes, key=lambda lane: lane[1]) if self.nests[unit[0]].lazy else lanes

    def blocks(self, unit: list[int], rows: list[Lane], columns: list[Lane]) -> Iterator[tuple[list[Lane], list[Lane]]]:
        """The blocks of a product in the order in which they are walked."""
        nest, turns = self.nests[unit[0]], self.turns[unit[0]]
        across = nest.order == "mn"
        outer = _cut(rows, nest.block[0]) if across else _cut(columns, nest.block[1])
        inner = _cut(columns, nest.block[1]) if across else _cut(rows, nest.block[0])
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

    def block(
        self, unit: list[int], rows: list[Lane], columns: list[Lane], ks: Range, starts: bool, ends: bool
    ) -> Iterator[TileOpAt]:
        """A block of accumulators; `starts` and `ends` tell whether its sums begin and are complete with these k."""
        nest, turns = self.nests[unit[0]], self.turns[unit[0]]
        steps = range(*ks)
        if self.backwards(nest, turns.sums) != nest.reverse:
            steps = steps[::-1]
        turns.sums += 1
        first = steps[0] if starts else -1
        last = steps[-1] if ends else -1
        if len(rows) > len(columns):
            places = _places(rows, columns)
        else:
            places = [(max(i, j), m, n) for j, n in columns for i, m in rows]
        waiting = any(i in self.epilogues for i in unit)
        for k in steps:
            for i, m, n in places:
                yield i, m, n, k, k == first, k == last
                if waiting and k == last:
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


@dataclass(slots=True)
class _Frame:
    """A block that is being computed: what is left of it, the operation of it that waits, and for which blocks."""

    steps: Iterator[TileOpAt]
    wants: Iterator[int]
    held: TileOpAt | None = None


class _OnDemand:
    """The blocks of a group's lazy nests, each begun right before the first operation that reads one of its tiles. In
    nests of as many rows of tiles as those that the group is walked by, a block keeps to one stretch of them."""

    def __init__(self, walk: _Walk, units: Sequence[list[int]], height: int):
        self.walk = walk
        self.height = height
        self.blocks: list[tuple[list[int], list[Lane], list[Lane]]] = []
        self.block_of: dict[int, list[int]] = {}
        for unit in units:
            self.cut(unit)
        self.begun = bytearray(len(self.blocks))

    def cut(self, unit: list[int]) -> None:
        """Cuts a unit into its blocks; each tile of its nests, and of those in their epilogues, knows its block."""
        nests = self.walk.nests
        for i in unit:
            self.block_of[i] = [-1] * (nests[i].height * nests[i].n)
        lead = nests[unit[0]]
        size = lead.rows if lead.rows and lead.height == self.height else lead.height
        for stretch in _parts((0, lead.height), size):
            for some in self.walk.batches(unit, stretch):
                for rows, columns in self.walk.blocks(unit, some, self.walk.columns(unit, None)):
                    for i, m, n in _places(rows, columns):
                        self.block_of[unit[0] if i < 0 else i][m * nests[i].n + n] = len(self.blocks)
                    self.blocks.append((unit, rows, columns))
        for i in unit:
            for j in self.epilogues(i):
                self.block_of[j] = self.block_of[i]

    def epilogues(self, i: int) -> Iterator[int]:
        """The nests in the epilogues of a nest, one after the other."""
        waiting = list(self.walk.epilogues.get(i, ()))
        while waiting:
            j = waiting.pop()
            yield j
            waiting += self.walk.epilogues.get(j, ())

    def serve(self, steps: Iterator[TileOpAt]) -> Iterator[TileOpAt]:
        """The steps of a group's other nests, each after the blocks that it wants; at the end those nobody has wanted.
        A block that is begun is not waited for: what reads itself is refused by whoever knows the tiles."""
        stack = [_Frame(iter(()), iter(range(len(self.blocks)))), _Frame(steps, iter(()))]
        while stack:
            frame = stack[-1]
            block = next((b for b in frame.wants if not self.begun[b]), -1)
            if block >= 0:
                self.begun[block] = 1
                stack.append(self.begin(*self.blocks[block]))
                continue
            if frame.held is not None:
                yield frame.held
            frame.held = next(frame.steps, None)
            if frame.held is None:
                stack.pop()
            else:
                frame.wants = self.wanted(*frame.held[:4])

    def begin(self, unit: list[int], rows: list[Lane], columns: list[Lane]) -> _Frame:
        """A block, and before it what its epilogues read besides."""
        lead = self.walk.nests[unit[0]]
        places = [(unit[0] if i < 0 else i, m, n) for i, m, n in _places(rows, columns)]
        wants = [b for i, m, n in places for j in self.epilogues(i) for b in self.wanted(j, m, n, 0)]
        if lead.k:
            return _Frame(self.walk.block(unit, rows, columns, (0, lead.k), True, True), iter(wants))
        return _Frame(chain.from_iterable(self.walk.tile(i, m, n) for i, m, n in places), iter(wants))

    def wanted(self, i: int, m: int, n: int, k: int) -> Iterator[int]:
        """The blocks with what an operation reads."""
        per_batch = self.walk.nests[i].m
        batch, row = divmod(m, per_batch)
        for source in self.walk.sources[i]:
            blocks = self.block_of.get(source.nest)
            if blocks is not None:
                yield blocks[row * source.down + n * source.across + k * source.deep + source.below[batch]]


def _places(rows: list[Lane], columns: list[Lane]) -> list[tuple[int, int, int]]:
    """The nest, row and column of the tiles of a block; -1: the first nest of its unit."""
    return [(max(i, j), m, n) for i, m in rows for j, n in columns]


def _parts(whole: Range, size: int) -> Iterator[Range]:
    for start in range(whole[0], whole[1], size):
        yield start, min(start + size, whole[1])


def _cut(lanes: list[Lane], size: int) -> list[list[Lane]]:
    return [lanes[start : start + size] for start in range(0, len(lanes), size)]
