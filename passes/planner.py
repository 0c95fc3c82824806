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
from .liveness import EXEC, LOAD, NEVER, Program, accumulator_lives, next_uses
from .placement import place_lives


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
    try:
        homes = place_lives(accumulator_lives(program), program.sizes, config)
        return LifetimePlanner(program, uses, config, evict, homes).run()
    except _Full:
        raise first from None


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
    """A size that planning succeeds at, from `least` upwards; multiples of the alignment."""
    size = -(-least // config.alignment) * config.alignment
    grow = config.alignment
    while True:
        try:
            _attempt(program, uses, SRAMConfig(size, config.alignment), evict)
            return size
        except _Full:
            size += grow
            grow *= 2


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

    def coming_execs(self) -> list[tuple[int, ...]]:
        """For each step, the sources of the next exec: what must not be evicted for a load before it."""
        steps = self.program.steps
        coming: list[tuple[int, ...]] = [()] * len(steps)
        sources: tuple[int, ...] = ()
        for i in range(len(steps) - 1, -1, -1):
            if steps[i].kind == EXEC:
                sources = steps[i].sources
            coming[i] = sources
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

    def hint(self, i: int, coming: tuple[int, ...]) -> None:
        """A load asks for a tile ahead of its use. It is made now if there is room without harm, else at the exec."""
        tile = self.program.steps[i].tile
        (next_use,) = self.uses[i]
        if self.address[tile] >= 0 or next_use == NEVER:
            return
        if tile in coming:
            self.load(i, tile, coming)
        elif self.arena.find(self.program.sizes[tile]) is not None:
            self.load(i, tile, ())
        else:
            return
        self.evictable.use(tile, next_use, self.address[tile])

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

    An exec's accumulator takes its place before the exec's operands do, and an operand is loaded only right before the
    exec. Where the operands still find no room, everything that can go is evicted and they are placed largest first.
    """

    def __init__(
        self, program: Program, uses: list[tuple[int, ...]], config: SRAMConfig, evict: str, homes: dict[int, int]
    ):
        super().__init__(program, uses, config, evict)
        self.homes = homes

    def hint(self, i: int, coming: tuple[int, ...]) -> None:
        """Loads wait for their exec."""

    def exec(self, i: int) -> None:
        step = self.program.steps[i]
        if i in self.homes and not self.pinned[step.tile]:
            self.settle(i, step.tile, step.sources)
        if not self.operands_fit(i, step.sources):
            self.clear(step.sources)
        missing = [s for s in step.sources if self.address[s] < 0]
        for s in sorted(missing, key=lambda s: -self.program.sizes[s]):
            self.load(i, s, step.sources)
            self.evictable.use(s, i, self.address[s])
        super().exec(i)

    def settle(self, i: int, tile: int, sources: tuple[int, ...]) -> None:
        """Puts an accumulator at its home, evicting what lies there; an in-place exec's is loaded."""
        home = self.homes[i]
        if self.address[tile] >= 0:
            self.evictable.drop(tile)
            self.release(tile)
        end = home + self.program.sizes[tile]
        for other in self.evictable.tiles():
            if self.address[other] < end and self.address[other] + self.program.sizes[other] > home:
                self.evictable.drop(other)
                self.release(other)
        try:
            self.address[tile] = self.arena.allocate_at(home, self.program.sizes[tile], self.program.names[tile])
        except OutOfMemoryError as error:
            raise _Full(i, error) from None
        if tile in sources:
            self.events.append(Event(True, i, tile, (home,)))
        self.pinned[tile] = True

    def operands_fit(self, i: int, sources: tuple[int, ...]) -> bool:
        """Evicts until the exec's missing operands fit all at once; False if they don't whatever is evicted."""
        missing = sorted((s for s in sources if self.address[s] < 0), key=lambda s: -self.program.sizes[s])
        while True:
            placed: list[int] = []
            for s in missing:
                if self.arena.find(self.program.sizes[s]) is None:
                    break
                placed.append(self.arena.allocate(self.program.sizes[s]))
            for address in placed:
                self.arena.free(address)
            if len(placed) == len(missing):
                return True
            victim = self.evictable.victim(sources)
            if victim is None:
                return False
            self.release(victim)

    def clear(self, sources: tuple[int, ...]) -> None:
        """Evicts every tile that can be, the exec's own included."""
        for tile in self.evictable.tiles():
            self.evictable.drop(tile)
            self.release(tile)
