"""The memory planner: gives every step of a tile program its SRAM addresses, with the loads that it needs.

The baseline: first fit from the lowest address; an operand tile is placed when first needed and freed right after its
last use; an accumulator is placed at its first exec and freed at its store, and never moves nor is evicted. A pure
solver: it knows integers, not IR.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from .arena import OutOfMemoryError, SRAMConfig, VirtualSRAMArena
from .eviction import EVICTIONS
from .liveness import EXEC, LOAD, NEVER, STORE, Program, accumulator_lives, next_uses
from .placement import Life, place_lives


class Event(NamedTuple):
    """One scheduled operation: a load of `tile` (step is the one that asked for it), or the step itself.

    `addresses` belong to the tile of a load or store, and to destination then sources (distinct ones) of an exec.
    """

    is_load: bool
    step: int
    tile: int
    addresses: tuple[int, ...]


class Plan(NamedTuple):
    """Events in order, and what the arena saw: its largest live bytes and its high-water mark, in bytes."""

    events: list[Event]
    arena_peak: int
    high_water: int


class PlanError(Exception):
    """No plan at this SRAM size. `needs` is a size in bytes at which planning was run again and succeeded; `shortage`
    tells tiles needed at once that exceed the SRAM from fragmentation."""

    def __init__(self, step: int, cause: OutOfMemoryError, needs: int, shortage: bool):
        super().__init__(step, cause, needs, shortage)
        self.step = step
        self.cause = cause
        self.needs = needs
        self.shortage = shortage


class _Full(Exception):
    def __init__(self, step: int, cause: OutOfMemoryError):
        super().__init__(step, cause)
        self.step = step
        self.cause = cause


def plan(program: Program, config: SRAMConfig, evict: str = "min") -> Plan:
    """Plans a program; first fit first, then, if that fails, with accumulators placed over their whole lifetimes.

    Raises `PlanError` with the first attempt's state of memory if both fail.
    """
    uses = next_uses(program)
    try:
        return _attempt(program, uses, config, evict)
    except _Full as full:
        least = least_bytes(program, config)
        needs = _enough(program, uses, config, evict, max(least, config.total_bytes + config.alignment))
        raise PlanError(full.step, full.cause, needs, least > config.total_bytes) from None


def _attempt(program: Program, uses: list[tuple[int, ...]], config: SRAMConfig, evict: str) -> Plan:
    try:
        return Planner(program, uses, config, evict).run()
    except _Full as full:
        if least_bytes(program, config) > config.total_bytes:
            raise
        return _retry(program, uses, config, evict, full)


def _retry(program: Program, uses: list[tuple[int, ...]], config: SRAMConfig, evict: str, first: _Full) -> Plan:
    homes = find_homes(program, config)
    if homes is None:
        raise first
    return LifetimePlanner(program, uses, config, evict, homes).run()


class Homes(NamedTuple):
    """Addresses in bytes: of accumulators by the step that starts them, of operands by step and tile."""

    accumulators: dict[int, int]
    operands: dict[tuple[int, int], int]


def find_homes(program: Program, config: SRAMConfig) -> Homes | None:
    """Places accumulators over their lives together with each step's own operands; None where that is not found."""
    size = [-(-s // config.alignment) * config.alignment for s in program.sizes]
    spans = accumulator_lives(program)
    needs = operand_needs(program, spans)
    lives = [Life(first, last, size[tile]) for first, last, tile in spans] + [Life(i, i, size[t]) for i, t in needs]
    addresses = place_lives(lives, config.total_bytes // config.alignment * config.alignment)
    if addresses is None:
        return None
    accumulators = {first: a for (first, _, _), a in zip(spans, addresses, strict=False)}
    return Homes(accumulators, dict(zip(needs, addresses[len(spans) :], strict=True)))


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


def least_bytes(program: Program, config: SRAMConfig) -> int:
    """The largest sum, over all execs, of the exec's own tiles and the accumulators live there, each rounded up to the
    alignment: no schedule of this order needs less, and with a single tile size none needs more."""
    size = [-(-s // config.alignment) * config.alignment for s in program.sizes]
    starts: dict[int, list[int]] = {}
    ends: dict[int, list[int]] = {}
    for first, last, tile in accumulator_lives(program):
        starts.setdefault(first, []).append(tile)
        ends.setdefault(last, []).append(tile)
    live: set[int] = set()
    total = most = 0
    for i, step in enumerate(program.steps):
        for tile in starts.get(i, ()):
            live.add(tile)
            total += size[tile]
        own = sum(size[s] for s in step.sources if s not in live)
        if step.kind != EXEC and step.tile not in live:
            own = 0 if step.kind == LOAD else size[step.tile]
        most = max(most, total + own)
        for tile in ends.get(i, ()):
            live.discard(tile)
            total -= size[tile]
    return most


def _enough(program: Program, uses: list[tuple[int, ...]], config: SRAMConfig, evict: str, least: int) -> int:
    """A size that planning succeeds at, a multiple of the alignment: `least`, or one where a step less fails."""

    def succeeds(units: int) -> bool:
        try:
            _attempt(program, uses, SRAMConfig(units * config.alignment, config.alignment), evict)
        except _Full:
            return False
        return True

    high = -(-least // config.alignment)
    low, grow = high - 1, 1
    while not succeeds(high):
        low, high, grow = high, high + grow, grow * 2
    while high - low > 1 and low >= least // config.alignment:
        middle = (low + high) // 2
        low, high = (low, middle) if succeeds(middle) else (middle, high)
    return high * config.alignment


class Planner:
    """One attempt by first fit. Raises `_Full` at the step that finds no room."""

    def __init__(self, program: Program, uses: list[tuple[int, ...]], config: SRAMConfig, evict: str):
        self.program = program
        self.uses = uses
        self.arena = VirtualSRAMArena(config)
        self.address = [-1] * len(program.sizes)
        self.pinned = [False] * len(program.sizes)
        self.evictable = EVICTIONS[evict]()
        self.events: list[Event] = []

    def run(self) -> Plan:
        coming = self.coming_execs()
        for i, step in enumerate(self.program.steps):
            if step.kind == EXEC:
                self.exec(i)
            elif step.kind == LOAD:
                self.hint(i, coming[i])
            else:
                self.store(i)
        return Plan(self.events, self.arena.peak_bytes, self.arena.high_water)

    def coming_execs(self) -> list[int]:
        """For each step, the next exec (itself included); `NEVER` after the last."""
        steps = self.program.steps
        coming = [NEVER] * len(steps)
        exec_step = NEVER
        for i in range(len(steps) - 1, -1, -1):
            if steps[i].kind == EXEC:
                exec_step = i
            coming[i] = exec_step
        return coming

    # Room

    def room(self, tile: int, protected: Collection[int]) -> int:
        """Places a tile by first fit, evicting until it fits. Raises `OutOfMemoryError`."""
        size = self.program.sizes[tile]
        name = self.program.names[tile]
        while True:
            if self.arena.find(size) is not None:
                self.address[tile] = self.arena.allocate(size, name)
                return self.address[tile]
            victim = self.evictable.victim(protected)
            if victim is None:
                return self.arena.allocate(size, name)
            self.release(victim)

    def release(self, tile: int) -> None:
        self.arena.free(self.address[tile])
        self.address[tile] = -1

    def load(self, i: int, tile: int, protected: Collection[int]) -> None:
        try:
            self.events.append(Event(True, i, tile, (self.room(tile, protected),)))
        except OutOfMemoryError as error:
            raise _Full(i, error) from None

    def used(self, tile: int, next_use: int) -> None:
        """After a use of a clean tile, or of an accumulator: keeps it for its next use, or frees it."""
        if next_use == NEVER:
            if not self.pinned[tile]:
                self.evictable.drop(tile)
            self.pinned[tile] = False
            self.release(tile)
        elif not self.pinned[tile]:
            self.evictable.use(tile, next_use, self.address[tile])

    # Steps

    def hint(self, i: int, coming: int) -> None:
        """A load asks for a tile ahead of its use. What can't be made now without harm is made when it is needed."""
        tile = self.program.steps[i].tile
        (next_use,) = self.uses[i]
        if self.address[tile] >= 0 or next_use == NEVER:
            return
        sources = self.program.steps[coming].sources if coming != NEVER else ()
        if tile not in sources and not self.leaves_room(tile, coming):
            return
        try:
            address = self.room(tile, sources)
        except OutOfMemoryError:
            return
        self.events.append(Event(True, i, tile, (address,)))
        self.evictable.use(tile, next_use, address)

    def leaves_room(self, tile: int, coming: int) -> bool:
        """Whether a tile can be placed without eviction, now and for the tiles that the coming exec still lacks."""
        sizes = self.program.sizes
        lacking = 0
        if coming != NEVER:
            step = self.program.steps[coming]
            lacking = sum(sizes[t] for t in {step.tile, *step.sources} if self.address[t] < 0)
        return self.arena.find(sizes[tile]) is not None and self.arena.free_bytes >= lacking + sizes[tile]

    def exec(self, i: int) -> None:
        _, dst, sources, _, _, _ = self.program.steps[i]
        address = self.address
        uses = self.uses[i]
        for s in sources:
            if address[s] < 0:
                self.load(i, s, sources)
                self.evictable.use(s, i, address[s])
        self.start(i, dst, sources)
        self.events.append(Event(False, i, dst, (address[dst], *[address[s] for s in sources])))
        for s, next_use in zip(sources, uses[1:], strict=True):
            if s != dst:
                self.used(s, next_use)
        if uses[0] == NEVER:
            self.used(dst, NEVER)

    def start(self, i: int, dst: int, sources: tuple[int, ...]) -> None:
        """Makes the destination's place, unless it has one; from now on it is an accumulator, which stays."""
        if self.address[dst] < 0:
            try:
                self.room(dst, sources)
            except OutOfMemoryError as error:
                raise _Full(i, error) from None
        elif not self.pinned[dst]:
            self.evictable.drop(dst)
        self.pinned[dst] = True

    def store(self, i: int) -> None:
        step = self.program.steps[i]
        tile = step.tile
        if self.address[tile] < 0:
            self.load(i, tile, ())
        elif not self.pinned[tile]:
            self.evictable.drop(tile)
        self.events.append(Event(False, i, tile, (self.address[tile],)))
        self.pinned[tile] = False
        self.used(tile, self.uses[i][0] if step.retain else NEVER)


class LifetimePlanner(Planner):
    """The second attempt: accumulators go to addresses chosen over their whole lives, operands around them.

    An exec's accumulator takes its place before the exec's operands do, and an operand is loaded right before its use.
    Where first fit finds no room for the operands, everything that can go is evicted and they go to their homes.
    """

    def __init__(self, program: Program, uses: list[tuple[int, ...]], config: SRAMConfig, evict: str, homes: Homes):
        super().__init__(program, uses, config, evict)
        self.homes = homes

    def hint(self, i: int, coming: int) -> None:
        """Loads wait for the step that needs them."""

    def exec(self, i: int) -> None:
        step = self.program.steps[i]
        if i in self.homes.accumulators and not self.pinned[step.tile]:
            self.settle(i, step.tile, step.sources)
        self.bring(i, step.sources)
        super().exec(i)

    def store(self, i: int) -> None:
        self.bring(i, (self.program.steps[i].tile,))
        super().store(i)

    def bring(self, i: int, tiles: tuple[int, ...]) -> None:
        """Loads what a step needs."""
        if not self.fit(tiles):
            self.go_home(i, tiles)
            return
        for tile in sorted((t for t in tiles if self.address[t] < 0), key=lambda t: -self.program.sizes[t]):
            self.load(i, tile, tiles)
            self.evictable.use(tile, i, self.address[tile])

    def settle(self, i: int, tile: int, sources: tuple[int, ...]) -> None:
        """Puts an accumulator at its home, evicting what lies there; an in-place exec's is loaded."""
        self.move(tile, self.homes.accumulators[i])
        if tile in sources:
            self.events.append(Event(True, i, tile, (self.address[tile],)))
        self.pinned[tile] = True

    def move(self, tile: int, home: int) -> None:
        """Gives a tile its home, from which everything that can go is evicted."""
        if self.address[tile] >= 0:
            self.evictable.drop(tile)
            self.release(tile)
        end = home + self.program.sizes[tile]
        for other in self.evictable.tiles():
            if self.address[other] < end and self.address[other] + self.program.sizes[other] > home:
                self.evictable.drop(other)
                self.release(other)
        self.address[tile] = self.arena.allocate_at(home, self.program.sizes[tile], self.program.names[tile])

    def fit(self, tiles: tuple[int, ...]) -> bool:
        """Evicts until the missing tiles fit all at once; False if they don't whatever else is evicted."""
        missing = sorted((t for t in tiles if self.address[t] < 0), key=lambda t: -self.program.sizes[t])
        while True:
            placed: list[int] = []
            for tile in missing:
                if self.arena.find(self.program.sizes[tile]) is None:
                    break
                placed.append(self.arena.allocate(self.program.sizes[tile]))
            for address in placed:
                self.arena.free(address)
            if len(placed) == len(missing):
                return True
            victim = self.evictable.victim(tiles)
            if victim is None:
                return False
            self.release(victim)

    def go_home(self, i: int, tiles: tuple[int, ...]) -> None:
        """Loads a step's tiles to their homes, after evicting every tile that can go, their own copies included."""
        for tile in self.evictable.tiles():
            self.evictable.drop(tile)
            self.release(tile)
        for tile in tiles:
            if (i, tile) in self.homes.operands:
                self.move(tile, self.homes.operands[(i, tile)])
                self.events.append(Event(True, i, tile, (self.address[tile],)))
                self.evictable.use(tile, i, self.address[tile])
