"""The second attempt at planning, for tiles of several sizes: accumulators go to addresses chosen beforehand over their
whole live ranges (static allocation), operands around them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .arena import SRAMConfig
from .liveness import EXEC, STORE, Liveness, Program, Residency, accumulator_residencies, pinned_residencies
from .placement import WORK, LiveRange, place_live_ranges
from .residency import FILL, Event, FirstFitPlanner
from .units import UNLIMITED


class StaticAddresses(NamedTuple):
    """Addresses in bytes: of accumulators by the step that starts them, of operands by step and tile, of pinned tiles
    by tile. Tiles with fixed addresses have none."""

    accumulators: dict[int, int]
    operands: dict[tuple[int, int], int]
    pinned: dict[int, int]


def static_addresses(program: Program, config: SRAMConfig, work: int = WORK) -> StaticAddresses | None:
    """Places accumulators over their residencies, and pinned tiles over theirs, together with each step's own operands;
    None where that is not found with so much `work` (`placement.py`)."""
    size = [config.rounded(s) for s in program.sizes]
    at, asked = program.limits.at, program.limits.at.keys() | program.limits.pinned
    accumulating = accumulator_residencies(program)
    sums = [r for r in accumulating if r.tile not in asked]
    kept = [r for r in pinned_residencies(program) if r.tile not in at]
    needs = [(i, tile) for i, tile in operand_needs(program, accumulating) if tile not in asked]
    ranges = [LiveRange(start, end, size[t]) for start, end, t in sums + kept]
    ranges += [LiveRange(i, i + 1, size[t]) for i, t in needs]
    addresses = place_live_ranges(ranges, config.capacity, program.set_aside(config), work)
    if addresses is None:
        return None
    accumulators = {r.start: a for r, a in zip(sums, addresses, strict=False)}
    pinned = {r.tile: a for r, a in zip(kept, addresses[len(sums) :], strict=False)}
    accumulators |= {start: pinned[tile] for start, _, tile in accumulating if tile in pinned}
    return StaticAddresses(accumulators, dict(zip(needs, addresses[len(sums) + len(kept) :], strict=True)), pinned)


def operand_needs(program: Program, accumulating: Sequence[Residency]) -> list[tuple[int, int]]:
    """Each step's tiles that must be on chip there and are no accumulators, as (step, tile)."""
    starts = {start: (end, tile) for start, end, tile in accumulating}
    until: dict[int, int] = {}
    needs: list[tuple[int, int]] = []
    for i, step in enumerate(program.steps):
        if i in starts:
            until[starts[i][1]] = starts[i][0]
        tiles = step.sources if step.kind == EXEC else (step.tile,) if step.kind == STORE else ()
        needs += [(i, t) for t in tiles if until.get(t, 0) <= i]
    return needs


class LifetimePlanner(FirstFitPlanner):
    """The second attempt: accumulators go to their static addresses, operands around them.

    An exec's accumulator takes its place before the exec's operands do, and an operand is loaded right before its use.
    Where first fit finds no room for the operands, everything that can go is evicted and they go to their static
    addresses. Raises as `FirstFitPlanner` does.
    """

    def __init__(
        self, program: Program, liveness: Liveness, config: SRAMConfig, evict: str, static: StaticAddresses,
        limit: int = UNLIMITED,
    ):  # fmt: skip
        super().__init__(program, liveness, config, evict, limit)
        self.static = static

    def hint(self, i: int, tile: int) -> None:
        """Loads wait for the step that needs them."""

    def exec(self, i: int, dst: int, sources: tuple[int, ...]) -> None:
        """Step `i`: as first fit does, the accumulator at its static address, its operands brought before."""
        if i in self.static.accumulators and not self.pinned[dst]:
            self.settle(i, dst, sources)
        self.bring(i, sources)
        super().exec(i, dst, sources)

    def store(self, i: int, tile: int) -> None:
        """Step `i`: stores a tile, brought before if it is not on chip."""
        self.bring(i, (tile,))
        super().store(i, tile)

    def bring(self, i: int, tiles: tuple[int, ...]) -> None:
        """Loads what a step needs, pinned tiles first; those with fixed addresses are left to the step itself."""
        for tile in tiles:
            if tile in self.static.pinned and self.address[tile] < 0:
                self.fill_at(i, tile, self.static.pinned[tile])
        tiles = tuple([t for t in tiles if t not in self.at])
        if not self.fit(i, tiles):
            self.bring_static(i, tiles)
            return
        for tile in sorted((t for t in tiles if self.address[t] < 0), key=lambda t: -self.sizes[t]):
            self.load(i, tile, tiles)
            self.keep(tile, i)

    def settle(self, i: int, tile: int, sources: tuple[int, ...]) -> None:
        """Puts an accumulator at its static address, unless it is there, evicting what lies there; an in-place exec's
        is loaded."""
        address = self.static.accumulators[i]
        if self.address[tile] == address:
            self.evictable.drop(tile)
        elif tile in sources:
            self.fill_at(i, tile, address)
        else:
            self.move(i, tile, address)
        self.pinned[tile] = True

    def fill_at(self, i: int, tile: int, address: int) -> None:
        """Loads a tile to an address."""
        self.move(i, tile, address)
        self.spend(tile)
        self.events.append(Event(FILL, i, tile, (address,)))

    def move(self, i: int, tile: int, address: int) -> None:
        """Gives a tile an address, from which everything that can go is evicted."""
        if self.address[tile] >= 0:
            self.evictable.drop(tile)
            self.evict(i, tile)
        end = address + self.sizes[tile]
        for other in self.evictable.tiles():
            if self.address[other] < end and self.address[other] + self.sizes[other] > address:
                self.evictable.drop(other)
                self.evict(i, other)
        self.address[tile] = self.arena.allocate_at(address, self.sizes[tile], tile)

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

    def bring_static(self, i: int, tiles: tuple[int, ...]) -> None:
        """Loads a step's tiles to their static addresses, after evicting every tile that can go, their own copies
        included."""
        for tile in self.evictable.tiles():
            self.evictable.drop(tile)
            self.evict(i, tile)
        for tile in tiles:
            if (i, tile) in self.static.operands:
                self.fill_at(i, tile, self.static.operands[(i, tile)])
                self.keep(tile, i)
