"""List scheduling in time: transfers run ahead of the execs as far as the SRAM has room. A pure solver.

Given is a schedule without addresses: which tiles are brought, computed, stored and dropped, in an order that works.
The execs keep their order, the loads theirs and the stores theirs; a load may pass execs and stores. Room is given in
the order in which the schedule asks for it, as soon as it is free, so that a tile far ahead never takes what a nearer
one needs, and nothing can deadlock. The DMA takes the next load if that has its room, else the next store that is
ready.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import NamedTuple

from .arena import SRAMConfig, VirtualSRAMArena
from .liveness import EXEC, LOAD, STORE, Limits

NONE = -1


class Item(NamedTuple):
    """One operation: its kind, how many cycles it takes and its tile. An exec reads `sources` (distinct) and goes on
    with its tile's sum (`accumulate`) or starts it; a store may keep the tile (`retain`)."""

    kind: int
    cycles: int
    tile: int
    sources: tuple[int, ...] = ()
    accumulate: bool = False
    retain: bool = False


class Placed(NamedTuple):
    """An operation of the result: the number of the item, its start in cycles, and the addresses of its tile and of
    its sources."""

    item: int
    start: int
    addresses: tuple[int, ...]


@dataclass(slots=True)
class Copy:
    """A tile's stay on chip: when its bytes are there (NONE: not known yet), who still has to use it."""

    tile: int
    users: int = 0
    address: int = NONE
    ready: int = NONE
    idle: int = 0


@dataclass(slots=True)
class Problem:
    """Items in a working order, tile sizes in bytes, the SRAM, and the machine. `distance` is how many execs ahead of
    the computing one a load may be asked for."""

    items: Sequence[Item]
    sizes: Sequence[int]
    config: SRAMConfig
    channels: int = 1
    distance: int = 1 << 60
    limits: Limits = field(default_factory=Limits)
    set_aside: Sequence[tuple[int, int]] = ()


def retime(problem: Problem) -> list[Placed] | None:
    """The items in order of their starts; None if the room, in pieces as it is, is not enough."""
    return _Clock(problem).run()


def makespan(problem: Problem, placed: Sequence[Placed]) -> int:
    """When the last operation ends."""
    return max((p.start + problem.items[p.item].cycles for p in placed), default=0)


class Needs(NamedTuple):
    """What an item waits for besides its own tiles: so many loads, execs and stores, as positions in their queues, that
    have ended; and so many execs that have started, since a store that ends a tile's life on chip comes after those
    that read it."""

    loads: int = 0
    execs: int = 0
    stores: int = 0
    readers: int = 0


NO_NEEDS = Needs()


class _Clock:
    """The state at a moment."""

    def __init__(self, problem: Problem):
        self.problem = problem
        self.items = problem.items
        self.arena = VirtualSRAMArena(problem.config)
        for start, end in problem.set_aside:
            self.arena.allocate_at(start, end - start)
        self.fixed: dict[int, Copy] = {}
        self.copies: list[tuple[Copy, ...]] = []
        self.needs: list[Needs] = []
        self.requests: list[tuple[Copy, int]] = []
        self.queues: dict[int, list[int]] = {LOAD: [], EXEC: [], STORE: []}
        self.ends: dict[int, list[int]] = {LOAD: [], EXEC: [], STORE: []}
        self._make_copies()
        self.given = 0
        self.full = False  # nothing has been freed since there was no room for the next request
        self.now = 0
        self.channels = [0] * problem.channels
        self.compute = 0
        self.events: list[int] = []
        self.frees: list[tuple[int, int, Copy]] = []
        self.out: list[Placed] = []

    def _make_copies(self) -> None:
        """Which stays of tiles each item makes or uses, and in which order room is asked for."""
        current: dict[int, Copy] = {}
        last: dict[int, dict[int, int]] = {LOAD: {}, EXEC: {}, STORE: {}}
        readers: dict[int, int] = {}
        for number, item in enumerate(self.items):
            kind, tile = item.kind, item.tile
            sources = [current[s] for s in item.sources]
            if kind == LOAD or (kind == EXEC and not item.accumulate and tile not in item.sources):
                current[tile] = Copy(tile)
                self.requests.append((current[tile], len(self.queues[EXEC])))
            own = current[tile]
            self.copies.append((own, *sources))
            own.users += 1
            for copy in sources:
                if copy is not own:
                    copy.users += 1
            if kind == STORE:
                read = 0 if item.retain else readers.get(tile, 0)
                self.needs.append(Needs(last[LOAD].get(tile, 0), last[EXEC].get(tile, 0), 0, read))
            else:
                stored = last[STORE].get(tile, 0)
                self.needs.append(Needs(0, 0, stored, 0) if stored else NO_NEEDS)
            self.queues[kind].append(number)
            for source in item.sources:
                readers[source] = len(self.queues[EXEC])
            last[kind][tile] = len(self.queues[kind])

    def run(self) -> list[Placed] | None:
        while len(self.out) < len(self.items):
            self.release()
            self.give_room()
            if self.step():
                continue
            if not self.events:
                return None
            self.now = max(self.now, heappop(self.events))
        return self.out

    # Room

    def release(self) -> None:
        """Frees the room of copies that nobody uses any more."""
        while self.frees and self.frees[0][0] <= self.now:
            _, _, copy = heappop(self.frees)
            self.full = False
            if self.fixed.get(copy.tile) is copy:
                del self.fixed[copy.tile]
            else:
                self.arena.free(copy.address)

    def give_room(self) -> None:
        """Places what is asked for, in order, as far as there is room."""
        ahead = len(self.ends[EXEC]) + self.problem.distance
        while self.given < len(self.requests) and not self.full:
            copy, execs = self.requests[self.given]
            if execs > ahead:
                return
            if self.place(copy):
                self.given += 1
            else:
                self.full = True

    def place(self, copy: Copy) -> bool:
        size = self.problem.sizes[copy.tile]
        wanted = self.problem.limits.at.get(copy.tile)
        if wanted is None:
            address = self.arena.place(size)
            if address is None:
                return False
            copy.address = address
            return True
        for tile, other in self.fixed.items():
            if other.address < wanted + size and wanted < other.address + self.problem.sizes[tile]:
                return False
        copy.address = wanted
        self.fixed[copy.tile] = copy
        return True

    # Operations

    def step(self) -> bool:
        """Starts what can start now; whether anything did."""
        started = self.compute <= self.now and self.next(EXEC)
        if self.channels[(len(self.ends[LOAD]) + len(self.ends[STORE])) % len(self.channels)] > self.now:
            return started
        return self.next(LOAD) or self.next(STORE) or started

    def next(self, kind: int) -> bool:
        """Starts the next operation of a kind, if it can start."""
        at = len(self.ends[kind])
        if at == len(self.queues[kind]):
            return False
        number = self.queues[kind][at]
        copies, needs = self.copies[number], self.needs[number]
        if copies[0].address == NONE or (needs is not NO_NEEDS and not self.met(needs)):
            return False
        if kind != LOAD:
            starts = kind == EXEC and not self.items[number].accumulate
            for copy in copies[1:] if starts else copies:
                if copy.ready == NONE or copy.ready > self.now:
                    return False
        self.start(kind, number)
        return True

    def met(self, needs: Needs) -> bool:
        if len(self.ends[EXEC]) < needs.readers:
            return False
        for kind, count in ((LOAD, needs.loads), (EXEC, needs.execs), (STORE, needs.stores)):
            if count and (len(self.ends[kind]) < count or self.ends[kind][count - 1] > self.now):
                return False
        return True

    def start(self, kind: int, number: int) -> None:
        end = self.now + self.items[number].cycles
        copies = self.copies[number]
        if kind == EXEC:
            self.compute = end
        else:
            self.channels[(len(self.ends[LOAD]) + len(self.ends[STORE])) % len(self.channels)] = end
        self.ends[kind].append(end)
        heappush(self.events, end)
        self.out.append(Placed(number, self.now, tuple([copy.address for copy in copies])))
        if kind != STORE:
            copies[0].ready = end
        for i, copy in enumerate(copies):
            if i and copy is copies[0]:
                continue
            copy.users -= 1
            copy.idle = max(copy.idle, end)
            if not copy.users:
                heappush(self.frees, (copy.idle, copy.address, copy))
