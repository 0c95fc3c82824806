"""Orders of tiles made from recipes: which layers run together by rows, and which tiles are made only when needed.

A recipe can say what the attributes of a graph's operations may not: it is written out on demand, so that whatever it
says, what a tile reads is made before it. A run of layers is walked by some rows of tiles at a time; in it

- a layer that is made WHOLE is computed on all of these rows where it stands,
- one that is made LAZY tile by tile when another one asks for it: several producers stream into one consumer,
- one that FOLLOWS (elementwise) right after its last operand's tile,
- a team, products of one left operand, as one product whose columns are those of all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tilewright.dialects.tiles import TiledType
from tilewright.ir.core import Value
from tilewright.lowering.graph_nests import grid_of
from tilewright.lowering.tile_program import TileProgram
from tilewright.lowering.uop_nests import Raised, find_operations
from tilewright.planner.dependences import NONE, Chains

WHOLE, LAZY, FOLLOW = "whole", "lazy", "follow"

Tiles = Sequence[int]


class Layer(NamedTuple):
    """An operation in tiles: its result's rows and columns, k of a product (0: elementwise), the layers that it reads
    (NONE: from outside), the exec of each (row, column, k); of an elementwise one the axes that each source has."""

    name: str
    rows: int
    columns: int
    k: int
    sources: tuple[int, ...]
    execs: Mapping[tuple[int, int, int], int]
    axes: tuple[tuple[int, ...], ...]
    left: object
    """What a product reads from the left: the same object for products of one input."""


def layers_of(tiles: TileProgram, chains: Chains) -> list[Layer]:
    """The operations of a uop function. Raises `ValueError` where some exec is part of none."""
    found = find_operations(tiles, chains)
    if found is None or any(operation.partial for operation in found):
        raise ValueError("an exec is part of no whole operation")
    ordered = _in_order(found)
    numbers = {operation.result: i for i, operation in enumerate(ordered)}
    return [
        Layer(o.result.name or "", *_grid(o.result), o.k, tuple(numbers.get(v, NONE) for v in o.sources),
              o.execs, o.axes, o.sources[0])
        for o in ordered
    ]  # fmt: skip


def _grid(value: Value) -> tuple[int, int]:
    assert isinstance(value.type, TiledType)
    return grid_of(value.type)


def _in_order(found: Sequence[Raised]) -> list[Raised]:
    """Operations after those that they read. By their first execs they need not be: a sum may begin with its bias
    before its operands are there."""
    makers = {operation.result: operation for operation in found}
    ordered: dict[Value, Raised] = {}
    waiting = list(reversed(found))
    while waiting:
        operation = waiting[-1]
        missing = [makers[v] for v in operation.sources if v in makers and v not in ordered]
        if operation.result not in ordered and missing:
            waiting += missing
            continue
        ordered.setdefault(waiting.pop().result, operation)
    return list(ordered.values())


@dataclass(frozen=True, slots=True)
class Loop:
    """How a layer is made: when, in blocks of how many tiles, over them by rows (or by columns), back and forth or not,
    how many steps of k at a time (0: all; what they read is asked for so many at a time), the sum backwards or not."""

    when: str = WHOLE
    block: tuple[int, int] = (1, 1)
    by_rows: bool = True
    snake: bool = False
    chunk: int = 0
    backwards: bool = False


@dataclass(frozen=True, slots=True)
class Recipe:
    """An order of the layers; at each place 0, or how many rows at a time the run that begins there is walked by; the
    loops of each layer, and its team (layers of one number are one)."""

    order: tuple[int, ...]
    cuts: tuple[int, ...]
    loops: tuple[Loop, ...]
    teams: tuple[int, ...]

    def runs(self) -> list[tuple[int, list[int]]]:
        """The layers that run together, with the rows at a time."""
        found: list[tuple[int, list[int]]] = []
        for layer, rows in zip(self.order, self.cuts, strict=True):
            if rows or not found:
                found.append((rows or 1, []))
            found[-1][1].append(layer)
        return found


def write_out(layers: Sequence[Layer], recipe: Recipe, only: Sequence[int] | None = None) -> list[int]:
    """The execs of all layers (or of some, as if the others were there) in the recipe's order."""
    return _Writer(layers, recipe, only).run()


@dataclass(slots=True)
class _Writer:
    layers: Sequence[Layer]
    recipe: Recipe
    only: Sequence[int] | None
    out: list[int] = field(default_factory=list[int])
    done: list[bytearray] = field(default_factory=list[bytearray])
    followers: list[list[int]] = field(default_factory=list[list[int]])
    members: dict[int, list[int]] = field(default_factory=dict[int, list[int]])
    turns: list[int] = field(default_factory=list[int])
    active: set[int] = field(default_factory=set[int])

    def run(self) -> list[int]:
        """The execs in order. What a recipe forgets is made where its run ends."""
        mine = set(range(len(self.layers)) if self.only is None else self.only)
        self.done = [bytearray([i not in mine]) * (each.rows * each.columns) for i, each in enumerate(self.layers)]
        self.followers = [[] for _ in self.layers]
        self.turns = [0] * len(self.layers)
        for i in self.recipe.order:
            if i not in mine:
                continue
            self.members.setdefault(self.recipe.teams[i], []).append(i)
            if self.recipe.loops[i].when == FOLLOW:
                for source in set(self.layers[i].sources) - {NONE}:
                    self.followers[source].append(i)
        for rows, run in self.recipe.runs():
            self.together(rows, [i for i in run if i in mine])
        return self.out

    def together(self, rows: int, run: list[int]) -> None:
        """A run of layers, some rows at a time. Layers with other rows than most are made as they are asked for."""
        if not run:
            return
        counts = [self.layers[i].rows for i in run]
        height = max(counts, key=counts.count)
        for start in range(0, height, rows):
            part = range(start, min(start + rows, height))
            for i in run:
                if self.layers[i].rows == height and self.recipe.loops[i].when == WHOLE:
                    self.ask(i, part, range(self.layers[i].columns))
            for i in run:
                if self.layers[i].rows == height:
                    self.ask(i, part, range(self.layers[i].columns))
        for i in run:
            self.ask(i, range(self.layers[i].rows), range(self.layers[i].columns))

    def ask(self, i: int, rows: Tiles, columns: Tiles) -> None:
        """Sees to it that these tiles of a layer are there; those of its team are made with them."""
        layer = self.layers[i]
        done, width = self.done[i], layer.columns
        if all(done[m * width + n] for m in rows for n in columns):
            return
        if not layer.k:
            return self.elementwise(i, rows, columns)
        team = self.recipe.teams[i]
        members = [i] if team in self.active else self.members[team]
        self.active.add(team)
        wanted = set(columns)
        everything = len(wanted) == width
        places = [
            (j, n) for j in members for n in range(self.layers[j].columns) if n in wanted or (everything and j != i)
        ]
        for block_rows, block in self.blocks(i, rows, places):
            self.product(block_rows, block)
        self.active.discard(team)

    def elementwise(self, i: int, rows: Tiles, columns: Tiles) -> None:
        """Tiles of an elementwise layer, block by block, each after what it reads."""
        layer = self.layers[i]
        for block_rows, block in self.blocks(i, rows, [(i, n) for n in columns]):
            across = [n for _, n in block]
            for source, axes in zip(layer.sources, layer.axes, strict=True):
                if source != NONE:
                    self.ask(source, block_rows if 0 in axes else (0,), across if 1 in axes else (0,))
            for m in block_rows:
                for n in across:
                    self.finish(i, m, n)

    def finish(self, i: int, m: int, n: int) -> None:
        """One tile of an elementwise layer, unless it is there, and what follows it."""
        layer = self.layers[i]
        if self.done[i][m * layer.columns + n]:
            return
        self.out.append(layer.execs[m, n, 0])
        self.mark(i, m, n)

    def mark(self, i: int, m: int, n: int) -> None:
        """A tile is complete: what follows it and lacks nothing else is made."""
        self.done[i][m * self.layers[i].columns + n] = 1
        for j in self.followers[i]:
            layer = self.layers[j]
            if not layer.k and layer.rows == self.layers[i].rows and self.has_all(j, m, n):
                self.finish(j, m, n)

    def has_all(self, j: int, m: int, n: int) -> bool:
        """Whether all that a tile of an elementwise layer reads is there."""
        layer = self.layers[j]
        return all(
            source == NONE or self.done[source][(m if 0 in axes else 0) * self.layers[source].columns + n * (1 in axes)]
            for source, axes in zip(layer.sources, layer.axes, strict=True)
        )

    def blocks(
        self, i: int, rows: Tiles, places: Sequence[tuple[int, int]]
    ) -> Iterator[tuple[Tiles, Sequence[tuple[int, int]]]]:
        """The blocks of a layer (or of its team) in the order of its loop."""
        loop = self.recipe.loops[i]
        down = [rows[at : at + loop.block[0]] for at in range(0, len(rows), loop.block[0])]
        across = [places[at : at + loop.block[1]] for at in range(0, len(places), loop.block[1])]
        outer, inner = (down, across) if loop.by_rows else (across, down)
        for one in outer:
            swept = inner[::-1] if loop.snake and self.turns[i] % 2 else inner
            self.turns[i] += 1
            for other in swept:
                yield (one, other) if loop.by_rows else (other, one)  # type: ignore[misc]

    def product(self, rows: Tiles, places: Sequence[tuple[int, int]]) -> None:
        """The sums of a block, some steps of k at a time, each after what these read."""
        rest = [(m, j, n) for j, n in places for m in rows if not self.done[j][m * self.layers[j].columns + n]]
        if not rest:
            return
        first = rest[0][1]
        layer, loop = self.layers[first], self.recipe.loops[first]
        if len(rows) > len(places):
            rest.sort()
        steps = list(range(layer.k))
        if loop.backwards != (loop.snake and self.turns[first] % 2 == 1):
            steps.reverse()
        size = loop.chunk or layer.k
        for at in range(0, layer.k, size):
            self.sums(rest, steps[at : at + size], rows, not at, at + size >= layer.k)

    def sums(self, rest: list[tuple[int, int, int]], steps: Tiles, rows: Tiles, starts: bool, ends: bool) -> None:
        """Some steps of k for the tiles of a block."""
        for _, j, n in dict.fromkeys((0, j, n) for _, j, n in rest):
            for source, part in zip(self.layers[j].sources, ((rows, steps), (steps, (n,))), strict=False):
                if source != NONE:
                    self.ask(source, *part)
        for k in steps:
            for m, j, n in rest:
                execs = self.layers[j].execs
                if starts and k == steps[0] and (m, n, NONE) in execs:
                    self.out.append(execs[m, n, NONE])
                self.out.append(execs[m, n, k])
                if ends and k == steps[-1]:
                    self.mark(j, m, n)


def told(layers: Sequence[Layer], recipe: Recipe) -> str:
    """A recipe in words, for whoever wants to know what its order does."""
    parts: list[str] = []
    for rows, run in recipe.runs():
        parts.append(f"[{rows} rows: {', '.join(_told(layers[i], recipe.loops[i]) for i in run)}]")
    teams = [[layers[i].name for i in recipe.order if recipe.teams[i] == team] for team in set(recipe.teams)]
    together = "; ".join(" with ".join(team) for team in teams if len(team) > 1)
    return " ".join(parts) + (f" as one product: {together}" if together else "")


def _told(layer: Layer, loop: Loop) -> str:
    words = [f"%{layer.name}"]
    if loop.when != WHOLE:
        words.append(loop.when)
    if loop.block != (1, 1):
        words.append(f"{min(loop.block[0], layer.rows)}x{min(loop.block[1], 99)}")
    if layer.k and loop.chunk:
        words.append(f"k by {loop.chunk}")
    words += [word for word, said in (("by columns", not loop.by_rows), ("snake", loop.snake)) if said]
    return " ".join(words)
