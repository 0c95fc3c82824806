"""One attempt at planning: which tiles reside in the SRAM when, and at which addresses. A pure solver.

First fit from the lowest address; an operand tile is placed when first needed and freed right after its last use; an
accumulator is placed at its first exec and stays until it is stored, or finished and only read from then on. A finished
tile that is not stored is evicted by a spill: a store that the program does not ask for, and later a load.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from .arena import Allocation, OutOfMemoryError, SRAMConfig, VirtualSRAMArena
from .eviction import Request, make_eviction
from .liveness import EXEC, LOAD, NEVER, Program, finishing_execs, next_uses

RUN, FILL, SPILL = 0, 1, 2
"""Kinds of event: the step itself; a load; a store that only makes room."""

SET_ASIDE = "(set aside)"
"""What stands in messages for SRAM that is reserved, or kept for tiles at fixed addresses."""

SMALL = 8
"""With eviction by cost, tiles this many times smaller than the largest are placed from the high end, so that they
don't break up the room for the others."""


class Event(NamedTuple):
    """One scheduled operation: a step itself, or a load or spill of `tile` that `step` needs.

    `addresses` belong to the tile of a load or store, and to destination then sources (distinct ones) of an exec.
    """

    kind: int
    step: int
    tile: int
    addresses: tuple[int, ...]

    @property
    def is_load(self) -> bool:
        return self.kind == FILL


class Plan(NamedTuple):
    """Events in order, and what the arena saw: its largest live bytes and its high-water mark, in bytes."""

    events: list[Event]
    arena_peak: int
    high_water: int

    def traffic(self, program: Program) -> int:
        """Bytes that all loads and stores move."""
        steps, sizes = program.steps, program.sizes
        return sum(sizes[e.tile] for e in self.events if e.kind != RUN or steps[e.step].kind != EXEC)


class Full(Exception):
    """A step finds no room."""

    def __init__(self, step: int, cause: OutOfMemoryError):
        super().__init__(step, cause)
        self.step = step
        self.cause = cause


class TooMuch(Exception):
    """The plan moves more bytes than its limit."""


class Timeline(NamedTuple):
    """What a program needs when: the next uses of each step's tiles, and which execs finish their tile for good."""

    uses: list[tuple[int, ...]]
    finishing: list[bool]


class Planner:
    """One attempt by first fit. Raises `Full` at the step that finds no room, `TooMuch` once the loads and spills move
    more than `limit` bytes."""

    def __init__(self, program: Program, timeline: Timeline, config: SRAMConfig, evict: str, limit: int = NEVER):
        self.program = program
        self.uses, self.finishing = timeline
        self.arena = VirtualSRAMArena(config)
        self.address = [-1] * len(program.sizes)
        self.pinned = [False] * len(program.sizes)
        self.dirty = [False] * len(program.sizes)
        self.evictable = make_eviction(evict, [self.arena.rounded(size) for size in program.sizes])
        self.small = max(program.sizes, default=0) // SMALL if evict == "cost" else 0
        self.events: list[Event] = []
        self.budget = limit
        self.at = program.limits.at
        self.stay = self.at.keys() | program.limits.pinned
        self.fixed: set[int] = set()
        for start, end in program.set_aside(config):
            self.arena.allocate_at(start, end - start, -1)

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

    def room(self, i: int, tile: int, protected: Collection[int]) -> int:
        """Places a tile by first fit, evicting until it fits. Raises `OutOfMemoryError`."""
        if tile in self.at:
            return self.fix(i, tile, protected)
        size = self.program.sizes[tile]
        while self.arena.find(size) is None:
            victims = self.victims(i, size, protected)
            if not victims:
                break
            for victim in victims:
                self.evict(i, victim)
        self.address[tile] = self.allocate(size, tile)
        return self.address[tile]

    def fix(self, i: int, tile: int, protected: Collection[int]) -> int:
        """Places a tile at its fixed address, in place of whatever tiles with fixed addresses are there. Raises
        `OutOfMemoryError` with the address and those tiles that have to stay."""
        start, sizes, arena = self.at[tile], self.program.sizes, self.arena
        there = [
            other for other in sorted(self.fixed)
            if self.at[other] < start + sizes[tile] and start < self.at[other] + sizes[other]
        ]  # fmt: skip
        staying = [t for t in there if self.pinned[t] or t in protected or t in self.program.limits.pinned]
        if staying:
            live = tuple(Allocation(self.at[t], sizes[t], t) for t in staying)
            largest = arena.largest_free_block
            raise OutOfMemoryError(sizes[tile], tile, arena.capacity, arena.live_bytes, largest, live, False, start)
        for other in there:
            self.evict(i, other)
        self.fixed.add(tile)
        self.address[tile] = start
        return start

    def allocate(self, size: int, tile: int) -> int:
        if size <= self.small:
            return self.arena.allocate_high(size, tile)
        return self.arena.allocate(size, tile)

    def victims(self, i: int, size: int, protected: Collection[int]) -> list[int]:
        return self.evictable.victims(Request(self.arena.rounded(size), i, protected, self.arena))

    def evict(self, i: int, tile: int) -> None:
        """Takes a tile off chip; it has been dropped from the evictable ones."""
        if self.dirty[tile]:
            self.spend(tile)
            self.events.append(Event(SPILL, i, tile, (self.address[tile],)))
            self.dirty[tile] = False
        self.release(tile)

    def spend(self, tile: int) -> None:
        self.budget -= self.program.sizes[tile]
        if self.budget < 0:
            raise TooMuch

    def release(self, tile: int) -> None:
        if tile in self.fixed:
            self.fixed.discard(tile)
        else:
            self.arena.free(self.address[tile])
        self.address[tile] = -1

    def load(self, i: int, tile: int, protected: Collection[int]) -> None:
        try:
            address = self.room(i, tile, protected)
        except OutOfMemoryError as error:
            raise self.full(i, error) from None
        self.spend(tile)
        self.events.append(Event(FILL, i, tile, (address,)))

    def full(self, i: int, error: OutOfMemoryError) -> Full:
        """The error with the tiles' names in place of their numbers."""
        names = self.program.names
        live = tuple(a._replace(tag=SET_ASIDE if a.tag == -1 else names[a.tag]) for a in error.live)  # type: ignore[call-overload]
        request = names[error.request_tag]  # type: ignore[call-overload]
        return Full(i, OutOfMemoryError(
            error.request_bytes, request, error.capacity, error.live_bytes, error.largest_free_block, live,
            error.fragmented, error.request_address,
        ))  # fmt: skip

    def keep(self, tile: int, next_use: int) -> None:
        """Makes a tile evictable, or tells that it has been used. Pinned tiles and those at fixed addresses stay."""
        if tile in self.stay:
            return
        self.evictable.use(tile, next_use, self.address[tile], 2 if self.dirty[tile] else 1)

    def used(self, tile: int, next_use: int) -> None:
        """After a use of a clean tile, or of an accumulator: keeps it for its next use, or frees it."""
        if next_use == NEVER:
            if not self.pinned[tile]:
                self.evictable.drop(tile)
            self.pinned[tile] = self.dirty[tile] = False
            self.release(tile)
        elif not self.pinned[tile]:
            self.keep(tile, next_use)

    # Steps

    def hint(self, i: int, coming: int) -> None:
        """A load asks for a tile ahead of its use. What can't be made now without harm is made when it is needed: so
        is a tile that stays once it is there."""
        tile = self.program.steps[i].tile
        (next_use,) = self.uses[i]
        if self.address[tile] >= 0 or next_use == NEVER:
            return
        sources = self.program.steps[coming].sources if coming != NEVER else ()
        if tile not in sources and (tile in self.stay or not self.leaves_room(tile, coming)):
            return
        try:
            address = self.room(i, tile, sources)
        except OutOfMemoryError:
            return
        self.events.append(Event(FILL, i, tile, (address,)))
        self.keep(tile, next_use)

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
                self.keep(s, i)
        self.start(i, dst, sources)
        self.events.append(Event(RUN, i, dst, (address[dst], *[address[s] for s in sources])))
        for s, next_use in zip(sources, uses[1:], strict=True):
            if s != dst:
                self.used(s, next_use)
        if uses[0] == NEVER:
            self.used(dst, NEVER)
        elif self.finishing[i]:
            self.pinned[dst] = False
            self.dirty[dst] = True
            self.keep(dst, uses[0])

    def start(self, i: int, dst: int, sources: tuple[int, ...]) -> None:
        """Makes the destination's place, unless it has one; from now on it is an accumulator, which stays."""
        if self.address[dst] < 0:
            try:
                self.room(i, dst, sources)
            except OutOfMemoryError as error:
                raise self.full(i, error) from None
        elif not self.pinned[dst]:
            self.evictable.drop(dst)
        self.pinned[dst] = True
        self.dirty[dst] = False

    def store(self, i: int) -> None:
        step = self.program.steps[i]
        tile = step.tile
        if self.address[tile] < 0:
            self.load(i, tile, ())
        elif not self.pinned[tile]:
            self.evictable.drop(tile)
        self.events.append(Event(RUN, i, tile, (self.address[tile],)))
        self.pinned[tile] = self.dirty[tile] = False
        self.used(tile, self.uses[i][0] if step.retain else NEVER)


def timeline_of(program: Program) -> Timeline:
    """The program's next uses and finishing execs, by two backward passes."""
    return Timeline(next_uses(program), finishing_execs(program))
