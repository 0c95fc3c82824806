"""The second attempt at planning, for tiles of several sizes: accumulators go to addresses chosen over their whole
lives, operands around them. A pure solver."""

from __future__ import annotations

from typing import NamedTuple

from .arena import SRAMConfig
from .liveness import EXEC, STORE, Program, accumulator_lives, pinned_lives
from .placement import Life, place_lives
from .residency import FILL, Event, Planner, Timeline


class Homes(NamedTuple):
    """Addresses in bytes: of accumulators by the step that starts them, of operands by step and tile, of pinned tiles
    by tile. Tiles with fixed addresses have none."""

    accumulators: dict[int, int]
    operands: dict[tuple[int, int], int]
    pinned: dict[int, int]


def find_homes(program: Program, config: SRAMConfig) -> Homes | None:
    """Places accumulators over their lives, and pinned tiles over theirs, together with each step's own operands; None
    where that is not found."""
    size = [-(-s // config.alignment) * config.alignment for s in program.sizes]
    at, asked = program.limits.at, program.limits.at.keys() | program.limits.pinned
    spans = accumulator_lives(program)
    sums = [span for span in spans if span[2] not in asked]
    kept = [span for span in pinned_lives(program) if span[2] not in at]
    needs = [(i, tile) for i, tile in operand_needs(program, spans) if tile not in asked]
    lives = [Life(first, last, size[t]) for first, last, t in sums + kept] + [Life(i, i, size[t]) for i, t in needs]
    capacity = config.total_bytes // config.alignment * config.alignment
    addresses = place_lives(lives, capacity, program.set_aside(config))
    if addresses is None:
        return None
    accumulators = {first: a for (first, _, _), a in zip(sums, addresses, strict=False)}
    pinned = {tile: a for (_, _, tile), a in zip(kept, addresses[len(sums) :], strict=False)}
    accumulators |= {first: pinned[tile] for first, _, tile in spans if tile in pinned}
    return Homes(accumulators, dict(zip(needs, addresses[len(sums) + len(kept) :], strict=True)), pinned)


def operand_needs(program: Program, spans: list[tuple[int, int, int]]) -> list[tuple[int, int]]:
    """Each step's tiles that must be on chip there and are no accumulators, as (step, tile)."""
    starts = {first: (last, tile) for first, last, tile in spans}
    until: dict[int, int] = {}
    needs: list[tuple[int, int]] = []
    for i, step in enumerate(program.steps):
        if i in starts:
            until[starts[i][1]] = starts[i][0]
        tiles = step.sources if step.kind == EXEC else (step.tile,) if step.kind == STORE else ()
        needs += [(i, t) for t in tiles if until.get(t, -1) < i]
    return needs


class LifetimePlanner(Planner):
    """The second attempt: accumulators go to addresses chosen over their whole lives, operands around them.

    An exec's accumulator takes its place before the exec's operands do, and an operand is loaded right before its use.
    Where first fit finds no room for the operands, everything that can go is evicted and they go to their homes.
    """

    def __init__(self, program: Program, timeline: Timeline, config: SRAMConfig, evict: str, homes: Homes):
        super().__init__(program, timeline, config, evict)
        self.homes = homes

    def hint(self, i: int, tile: int) -> None:
        """Loads wait for the step that needs them."""

    def exec(self, i: int, dst: int, sources: tuple[int, ...]) -> None:
        if i in self.homes.accumulators and not self.pinned[dst]:
            self.settle(i, dst, sources)
        self.bring(i, sources)
        super().exec(i, dst, sources)

    def store(self, i: int, tile: int) -> None:
        self.bring(i, (tile,))
        super().store(i, tile)

    def bring(self, i: int, tiles: tuple[int, ...]) -> None:
        """Loads what a step needs, pinned tiles first; those with fixed addresses are left to the step itself."""
        for tile in tiles:
            if tile in self.homes.pinned and self.address[tile] < 0:
                self.fill_home(i, tile, self.homes.pinned[tile])
        tiles = tuple([t for t in tiles if t not in self.at])
        if not self.fit(i, tiles):
            self.go_home(i, tiles)
            return
        for tile in sorted((t for t in tiles if self.address[t] < 0), key=lambda t: -self.sizes[t]):
            self.load(i, tile, tiles)
            self.keep(tile, i)

    def settle(self, i: int, tile: int, sources: tuple[int, ...]) -> None:
        """Puts an accumulator at its home, unless it is there, evicting what lies there; an in-place exec's is
        loaded."""
        home = self.homes.accumulators[i]
        if self.address[tile] == home:
            self.evictable.drop(tile)
        elif tile in sources:
            self.fill_home(i, tile, home)
        else:
            self.move(i, tile, home)
        self.pinned[tile] = True

    def fill_home(self, i: int, tile: int, home: int) -> None:
        """Loads a tile to its home."""
        self.move(i, tile, home)
        self.events.append(Event(FILL, i, tile, (home,)))

    def move(self, i: int, tile: int, home: int) -> None:
        """Gives a tile its home, from which everything that can go is evicted."""
        if self.address[tile] >= 0:
            self.evictable.drop(tile)
            self.evict(i, tile)
        end = home + self.sizes[tile]
        for other in self.evictable.tiles():
            if self.address[other] < end and self.address[other] + self.sizes[other] > home:
                self.evictable.drop(other)
                self.evict(i, other)
        self.address[tile] = self.arena.allocate_at(home, self.sizes[tile], tile)

    def fit(self, i: int, tiles: tuple[int, ...]) -> bool:
        """Evicts until the missing tiles fit all at once; False if they don't whatever else is evicted."""
        missing = sorted((t for t in tiles if self.address[t] < 0), key=lambda t: -self.sizes[t])
        while True:
            placed: list[int] = []
            for tile in missing:
                if self.arena.find(self.sizes[tile]) is None:
                    break
                placed.append(self.arena.allocate(self.sizes[tile]))
            for address in placed:
                self.arena.free(address)
            if len(placed) == len(missing):
                return True
            victims = self.victims(i, max(self.sizes[t] for t in missing), tiles)
            if not victims:
                return False
            for victim in victims:
                self.evict(i, victim)

    def go_home(self, i: int, tiles: tuple[int, ...]) -> None:
        """Loads a step's tiles to their homes, after evicting every tile that can go, their own copies included."""
        for tile in self.evictable.tiles():
            self.evictable.drop(tile)
            self.evict(i, tile)
        for tile in tiles:
            if (i, tile) in self.homes.operands:
                self.fill_home(i, tile, self.homes.operands[(i, tile)])
                self.keep(tile, i)
