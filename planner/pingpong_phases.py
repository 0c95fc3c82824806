"""Cuts execs into the phases of a ping/pong buffer and says what each phase has to load where.

Execs come one by one; each joins the phase under way if what it reads of loaded tiles fits the phase's half beside what
the phase has already, else it begins the next phase, in the other half. What the phase before last has left in a half
stays while there is room, and is not loaded again.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from .arena import SRAMConfig, VirtualSRAMArena
from .liveness import NEVER
from .placement import LiveRange
from .units import round_down


@dataclass(slots=True)
class PhaseProblem:
    """Items (execs and stores) in order, by number. `reads` are the loaded tiles that each reads; `sizes` are their
    bytes, and `stored` the item that puts each off chip (-1 for none). `results` are the live ranges, in items, of what
    the items compute, in order of their starts. `reserved` are ranges [start, end) of bytes, whole blocks of the SRAM.
    """

    config: SRAMConfig
    reads: Sequence[tuple[int, ...]]
    sizes: Sequence[int]
    stored: Sequence[int]
    results: Sequence[LiveRange]
    reserved: Sequence[tuple[int, int]] = ()

    def most_read(self) -> tuple[int, int]:
        """The bytes of the item that reads the most, and its number."""
        sums = [(sum(self.config.rounded(self.sizes[t]) for t in tiles), -i) for i, tiles in enumerate(self.reads)]
        size, item = max(sums, default=(0, 0))
        return size, -item


class ResultRegion(NamedTuple):
    """Where what is computed lies, by result, and the address at which that part of the SRAM ends."""

    addresses: list[int]
    end: int


class Load(NamedTuple):
    """A tile to be loaded, and its offset in bytes from the start of its half."""

    tile: int
    offset: int


@dataclass(slots=True)
class Phase:
    """From the item `first` on; `offsets` has, in bytes from the start of its half, where each tile lies that the phase
    reads."""

    first: int
    loads: list[Load] = field(default_factory=list[Load])
    offsets: dict[int, int] = field(default_factory=dict[int, int])


def place_results(problem: PhaseProblem, lag: int, total: int) -> ResultRegion | None:
    """First fit in `total` bytes; an address is used again only `lag` items after its last use, lest what comes there
    has to wait. None if that doesn't fit."""
    arena = VirtualSRAMArena(SRAMConfig(total, problem.config.alignment))
    for start, end in problem.reserved:
        if start < arena.capacity:
            arena.allocate_at(start, min(end, arena.capacity) - start)
    addresses: list[int] = []
    live: list[tuple[int, int]] = []
    for result in problem.results:
        for end, address in [block for block in live if block[0] + lag <= result.start]:
            live.remove((end, address))
            arena.free(address)
        if arena.find(result.size) is None:
            return None
        addresses.append(arena.allocate(result.size))
        live.append((result.end, addresses[-1]))
    ends = (a + problem.config.rounded(result.size) for a, result in zip(addresses, problem.results, strict=True))
    return ResultRegion(addresses, max(ends, default=0))


def halves_above(problem: PhaseProblem, end: int) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """The two largest ranges [start, end) of equal size from the address `end` on, around what is reserved; None if
    there are none."""
    limit = problem.config.capacity
    gaps: list[tuple[int, int]] = []
    at = end
    for start, stop in [*problem.reserved, (limit, limit)]:
        if start > at:
            gaps.append((start - at, at))
        at = max(at, stop)
    gaps = sorted(gaps, reverse=True)[:2]
    if not gaps:
        return None
    split = round_down(gaps[0][0] // 2, problem.config.alignment)
    if len(gaps) == 2 and gaps[1][0] > split:
        size = gaps[1][0]
        return (gaps[0][1], gaps[0][1] + size), (gaps[1][1], gaps[1][1] + size)
    start = gaps[0][1]
    return ((start, start + split), (start + split, start + 2 * split)) if split else None


def cut(problem: PhaseProblem, size: int) -> list[Phase] | None:
    """The phases with halves of so many bytes; None if an item's tiles do not fit."""
    if size < problem.config.alignment:
        return None
    cutter = _Cutter(problem, size)
    for i, tiles in enumerate(problem.reads):
        if tiles and not cutter.join(i, tiles) and not cutter.begin(i, tiles):
            return None
    return cutter.phases


class _Half:
    """What lies in one half: an arena, and where each tile is."""

    def __init__(self, config: SRAMConfig):
        self.arena = VirtualSRAMArena(config)
        self.places: dict[int, int] = {}

    def drop(self, tile: int) -> None:
        """Gives up a tile's place."""
        self.arena.free(self.places.pop(tile))


class _Cutter:
    def __init__(self, problem: PhaseProblem, size: int):
        self.problem = problem
        self.config = SRAMConfig(size, problem.config.alignment)
        self.halves = [_Half(self.config), _Half(self.config)]
        self.phases: list[Phase] = []
        self.uses: dict[int, list[int]] = {}
        for i, tiles in enumerate(problem.reads):
            for tile in tiles:
                self.uses.setdefault(tile, []).append(i)

    def begin(self, i: int, tiles: tuple[int, ...]) -> bool:
        """Begins the next phase with an item; whether its tiles fit the half."""
        self.phases.append(Phase(i))
        if self.join(i, tiles):
            return True
        self.halves[(len(self.phases) - 1) % 2] = _Half(self.config)  # what was left there has its room in pieces
        return self.join(i, tiles)

    def join(self, i: int, tiles: tuple[int, ...]) -> bool:
        """Takes an item into the phase under way, if its tiles fit and were off chip before the phase began."""
        if not self.phases:
            return False
        phase = self.phases[-1]
        half = self.halves[(len(self.phases) - 1) % 2]
        if any(self.problem.stored[t] >= phase.first for t in tiles):
            return False
        new: list[Load] = []
        for tile in tiles:
            if tile not in half.places:
                if not self.make_room(half, tile, {*phase.offsets, *tiles}, i):
                    for load in new:
                        half.drop(load.tile)
                    return False
                half.places[tile] = half.arena.allocate(self.problem.sizes[tile])
                new.append(Load(tile, half.places[tile]))
        phase.loads += new
        phase.offsets |= {tile: half.places[tile] for tile in tiles}
        return True

    def make_room(self, half: _Half, tile: int, kept: set[int], i: int) -> bool:
        """Gives up what the phase does not read, the farthest next use first, until a tile fits."""
        while half.arena.find(self.problem.sizes[tile]) is None:
            others = [t for t in half.places if t not in kept]
            if not others:
                return False
            half.drop(max(others, key=lambda t: (self.next_use(t, i), t)))
        return True

    def next_use(self, tile: int, i: int) -> int:
        """The next item after `i` that reads a tile."""
        uses = self.uses[tile]
        at = bisect_right(uses, i)
        return uses[at] if at < len(uses) else NEVER
