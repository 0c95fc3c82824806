"""One attempt at planning: which tiles reside in the SRAM when, and at which addresses.

First fit from the lowest address; an operand tile is placed when first needed and freed right after its last use; an
accumulator is placed at its first exec and stays until it is stored, or finished and only read from then on. A finished
tile that is not stored is evicted by a spill: a store that the program does not ask for, and later a load.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable
from typing import NamedTuple

from .arena import Allocation, OutOfMemoryError, SRAMConfig, VirtualSRAMArena
from .eviction import Request, make_eviction
from .liveness import EXEC, NEVER, STORE, Liveness, Program
from .units import UNLIMITED

RUN, FILL, SPILL = 0, 1, 2
"""Kinds of event: the step itself; a load; a store that only makes room."""

ASIDE = -1
"""The tag of allocations that stand for no tile."""

SET_ASIDE = "(set aside)"
"""What stands in messages for SRAM that is reserved, or kept for tiles at fixed addresses."""

SMALL = 8
"""With eviction by cost, tiles this many times smaller than the largest are placed from the high end, so that they
don't break up the room for the others."""


class Event(NamedTuple):
    """One scheduled operation: a step itself, or a load or spill of `tile` that `step` needs.

    `addresses`, in bytes, belong to the tile of a load or store, and to destination then sources (distinct ones) of an
    exec.
    """

    kind: int
    step: int
    tile: int
    addresses: tuple[int, ...]

    @property
    def is_load(self) -> bool:
        """Whether it brings a tile."""
        return self.kind == FILL


# `_make(Event, (...))` takes half the time of `Event(...)`, and there is an event for each step.
_make: Callable[[type[Event], tuple[int, int, int, tuple[int, ...]]], Event] = tuple[object, ...].__new__


class Plan(NamedTuple):
    """Events in order, and what the arena saw: its largest live bytes and its high-water mark, in bytes."""

    events: list[Event]
    arena_peak: int
    high_water: int

    def traffic(self, program: Program) -> int:
        """Bytes that all loads and stores move."""
        steps, sizes = program.steps, program.sizes
        return sum(sizes[e.tile] for e in self.events if e.kind != RUN or steps[e.step].kind != EXEC)


class NoRoomError(Exception):
    """A step finds no room."""


class StepOutOfMemoryError(NoRoomError):
    """A step finds no room. `cause` has the state of the SRAM, with the tiles' names as tags."""

    def __init__(self, step: int, cause: OutOfMemoryError):
        super().__init__(step, cause)
        self.step = step
        self.cause = cause


class TrafficLimitError(Exception):
    """The plan moves more bytes than its limit."""


class FirstFitPlanner:
    """One attempt by first fit. Raises `StepOutOfMemoryError` at the step that finds no room, `TrafficLimitError` once
    the loads and spills move more than `limit` bytes."""

    def __init__(self, program: Program, liveness: Liveness, config: SRAMConfig, evict: str, limit: int = UNLIMITED):
        self.program = program
        self.steps, self.sizes = program.steps, program.sizes
        self.uses, self.finishing, _ = liveness
        self.arena = VirtualSRAMArena(config)
        self.address = [-1] * len(program.sizes)
        self.pinned = [False] * len(program.sizes)
        self.dirty = [False] * len(program.sizes)
        self.evictable = make_eviction(evict, [self.arena.rounded(size) for size in program.sizes])
        self.small = max(program.sizes, default=0) // SMALL if evict == "cost" else 0
        self.events: list[Event] = []
        self.coming = -1
        self.budget = limit
        self.at = program.limits.at
        self.stay = self.at.keys() | program.limits.pinned
        self.use = self.evictable.use
        self.hot = self.address, self.pinned, self.dirty, self.stay, self.use  # what each exec looks at
        self.fixed: set[int] = set()
        for start, end in program.set_aside(config):
            self.arena.allocate_at(start, end - start, ASIDE)

    def run(self) -> Plan:
        """Plans all steps in order. Raises as the class says; an instance is run once."""
        address = self.address
        i = -1
        for kind, tile, sources, _, _, _ in self.steps:
            i += 1
            if kind == EXEC:
                self.exec(i, tile, sources)
            elif kind == STORE:
                self.store(i, tile)
            elif address[tile] < 0:
                self.hint(i, tile)
        return Plan(self.events, self.arena.peak_bytes, self.arena.high_water)

    def coming_exec(self, i: int) -> int:
        """The first exec from step `i` on, which must not be before the last one asked for; `NEVER` for none."""
        if self.coming < i:
            steps, end = self.steps, len(self.steps)
            while i < end and steps[i][0] != EXEC:
                i += 1
            self.coming = i if i < end else NEVER
        return self.coming

    # Room

    def room(self, i: int, tile: int, protected: Collection[int]) -> int:
        """Places a tile by first fit, evicting until it fits. Raises `OutOfMemoryError`."""
        if tile in self.at:
            return self.fix(i, tile, protected)
        size = self.sizes[tile]
        small = size <= self.small
        place = self.arena.place_high if small else self.arena.place
        while (address := place(size, tile)) is None:
            victims = self.victims(i, size, protected)
            if not victims:
                raise self.arena.out_of_memory(size, tile)
            for victim in victims:
                self.evict(i, victim)
        self.address[tile] = address
        return address

    def fix(self, i: int, tile: int, protected: Collection[int]) -> int:
        """Places a tile at its fixed address, in place of whatever tiles with fixed addresses are there. Raises
        `OutOfMemoryError` with the address and those tiles that have to stay."""
        start, sizes, arena = self.at[tile], self.sizes, self.arena
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

    def victims(self, i: int, size: int, protected: Collection[int]) -> list[int]:
        """The next tiles to evict so that a tile of `size` bytes may find room at step `i`; none if there are none."""
        return self.evictable.victims(Request(self.arena.rounded(size), i, protected, self.arena))

    def evict(self, i: int, tile: int) -> None:
        """Takes a tile off chip; it has been dropped from the evictable ones."""
        if self.dirty[tile]:
            self.spend(tile)
            self.events.append(_make(Event, (SPILL, i, tile, (self.address[tile],))))
            self.dirty[tile] = False
        self.release(tile)

    def spend(self, tile: int) -> None:
        """Counts a transfer against the limit on traffic."""
        self.budget -= self.sizes[tile]
        if self.budget < 0:
            raise TrafficLimitError

    def release(self, tile: int) -> None:
        """Gives back the bytes of a tile."""
        if tile in self.fixed:
            self.fixed.discard(tile)
        else:
            self.arena.free(self.address[tile])
        self.address[tile] = -1

    def load(self, i: int, tile: int, protected: Collection[int]) -> None:
        """Brings a tile for step `i`, which must not evict what is protected."""
        try:
            address = self.room(i, tile, protected)
        except OutOfMemoryError as error:
            raise self.full(i, error) from None
        self.spend(tile)
        self.events.append(_make(Event, (FILL, i, tile, (address,))))

    def full(self, i: int, error: OutOfMemoryError) -> StepOutOfMemoryError:
        """The error with the tiles' names in place of their numbers."""
        names = self.program.names

        def name_of(tag: object) -> Hashable:
            assert isinstance(tag, int)
            return SET_ASIDE if tag == ASIDE else names[tag]

        live = tuple(allocation._replace(tag=name_of(allocation.tag)) for allocation in error.live)
        request = name_of(error.request_tag)
        return StepOutOfMemoryError(i, OutOfMemoryError(
            error.request_bytes, request, error.capacity, error.live_bytes, error.largest_free_block, live,
            error.fragmented, error.request_address,
        ))  # fmt: skip

    def keep(self, tile: int, next_use: int) -> None:
        """Makes a tile evictable, or tells that it has been used. Pinned tiles and those at fixed addresses stay."""
        if tile in self.stay:
            return
        self.use(tile, next_use, self.address[tile], 2 if self.dirty[tile] else 1)

    def finish(self, tile: int) -> None:
        """After the last use of a tile: frees it."""
        if not self.pinned[tile]:
            self.evictable.drop(tile)
        self.pinned[tile] = self.dirty[tile] = False
        self.release(tile)

    # Steps

    def hint(self, i: int, tile: int) -> None:
        """A load asks for a tile that is not on chip, ahead of its use. What can't be made now without harm is made
        when it is needed: so is a tile that stays once it is there."""
        (next_use,) = self.uses[i]
        if next_use == NEVER:
            return
        coming = self.coming_exec(i)
        sources = self.steps[coming].sources if coming != NEVER else ()
        if tile not in sources and (tile in self.stay or not self.leaves_room(tile, coming)):
            return
        try:
            address = self.room(i, tile, sources)
        except OutOfMemoryError:
            return
        self.events.append(_make(Event, (FILL, i, tile, (address,))))
        self.keep(tile, next_use)

    def leaves_room(self, tile: int, coming: int) -> bool:
        """Whether a tile can be placed without eviction, now and for the tiles that the coming exec still lacks."""
        sizes = self.sizes
        lacking = 0
        if coming != NEVER:
            step = self.steps[coming]
            lacking = sum(sizes[t] for t in {step.tile, *step.sources} if self.address[t] < 0)
        return self.arena.find(sizes[tile]) is not None and self.arena.free_bytes >= lacking + sizes[tile]

    def exec(self, i: int, dst: int, sources: tuple[int, ...]) -> None:
        """Step `i`: loads what is missing, gives the accumulator its place, frees what is used no more."""
        address, pinned, dirty, stay, use = self.hot
        for s in sources:
            if address[s] < 0:
                self.load(i, s, sources)
                self.keep(s, i)
        if not pinned[dst]:
            self.start(i, dst, sources)
        dirty[dst] = False
        left, right = sources[0], sources[-1]
        lies = (address[dst], address[left]) if left == right else (address[dst], address[left], address[right])
        if len(sources) > 2:
            lies = (address[dst], *[address[s] for s in sources])
        self.events.append(_make(Event, (RUN, i, dst, lies)))
        uses = self.uses[i]
        at = 0
        for s in sources:
            at += 1
            if s == dst:
                continue
            if uses[at] == NEVER:
                self.finish(s)
            elif not pinned[s] and s not in stay:
                use(s, uses[at], address[s], 2 if dirty[s] else 1)
        next_use = uses[0]
        if next_use == NEVER:
            self.finish(dst)
        elif self.finishing[i]:
            pinned[dst] = False
            dirty[dst] = True
            self.keep(dst, next_use)

    def start(self, i: int, dst: int, sources: tuple[int, ...]) -> None:
        """Makes the destination's place, unless it has one; from now on it is an accumulator, which stays."""
        if self.address[dst] < 0:
            try:
                self.room(i, dst, sources)
            except OutOfMemoryError as error:
                raise self.full(i, error) from None
        else:
            self.evictable.drop(dst)
        self.pinned[dst] = True

    def store(self, i: int, tile: int) -> None:
        """Step `i`: stores a tile, loaded again if it was spilled; it goes, unless the store retains it."""
        if self.address[tile] < 0:
            self.load(i, tile, ())
        elif not self.pinned[tile]:
            self.evictable.drop(tile)
        self.events.append(_make(Event, (RUN, i, tile, (self.address[tile],))))
        self.pinned[tile] = self.dirty[tile] = False
        (next_use,) = self.uses[i]
        if next_use == NEVER or not self.steps[i].retain:
            self.finish(tile)
        else:
            self.keep(tile, next_use)
