"""List scheduling in time: transfers run ahead of the execs as far as the SRAM has room.

List scheduling with resources, event by event (Graham, 1966, "Bounds for Certain Multiprocessing Anomalies"); the SRAM
is one of the resources. Given is a schedule without addresses: which tiles are brought, computed, stored and dropped,
in an order that works. The execs keep their order, the loads theirs and the stores theirs; a load may pass execs and
stores. Room is given in the order in which the schedule asks for it, as soon as it is free, so that a tile far ahead
never takes what a nearer one needs, and nothing can deadlock. The DMA takes the next load if that has its room, else
the next store that is ready.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import NamedTuple

from .arena import SRAMConfig, VirtualSRAMArena
from .liveness import EXEC, LOAD, STORE, Limits
from .units import UNLIMITED, ceil_div

NONE = -1


class Job(NamedTuple):
    """One operation: its kind (`liveness.LOAD`, EXEC, STORE), how many cycles it takes and its tile. An exec reads
    `sources` (distinct) and goes on with its tile's sum (`accumulate`) or starts it; a store may keep the tile on chip
    (`retain`)."""

    kind: int
    cycles: int
    tile: int
    sources: tuple[int, ...] = ()
    accumulate: bool = False
    retain: bool = False


class ScheduledJob(NamedTuple):
    """A job of the result: its number, its start in cycles, and the addresses in bytes of its tile and its sources."""

    job: int
    start: int
    addresses: tuple[int, ...]


@dataclass(slots=True)
class SchedulingProblem:
    """Jobs in a working order, tile sizes in bytes, the SRAM, and how many DMA `channels` the machine has.

    `distance` is the prefetch distance: how many execs ahead of the computing one a load may be asked for. `limits`
    holds fixed addresses, `set_aside` the ranges [start, end) of bytes that nothing else may use.
    """

    jobs: Sequence[Job]
    sizes: Sequence[int]
    config: SRAMConfig
    channels: int = 1
    distance: int = 1 << 60
    limits: Limits = field(default_factory=Limits)
    set_aside: Sequence[tuple[int, int]] = ()


def list_schedule(problem: SchedulingProblem, limit: int = UNLIMITED) -> list[ScheduledJob] | None:
    """The jobs in order of their starts; None if the room, in pieces as it is, is not enough, or as soon as it is
    known that they take `limit` cycles or more."""
    return _Clock(problem, limit).run()


def makespan(problem: SchedulingProblem, scheduled: Sequence[ScheduledJob]) -> int:
    """When the last job ends, in cycles."""
    return max((s.start + problem.jobs[s.job].cycles for s in scheduled), default=0)


def least_cycles(problem: SchedulingProblem) -> int:
    """The lower bound in cycles: the execs one after the other, or the transfers on all channels. No order of the jobs
    takes less."""
    execs = sum([job.cycles for job in problem.jobs if job.kind == EXEC])
    moves = sum([job.cycles for job in problem.jobs if job.kind != EXEC])
    return max(execs, ceil_div(moves, problem.channels))


class Needs(NamedTuple):
    """What a store waits for besides its tile: the end of so many loads and execs, as positions in their queues, and
    the start of so many execs, since a store that ends a tile's life on chip comes after those that read it."""

    loads: int
    execs: int
    readers: int


@dataclass(slots=True)
class _Copies:
    """Copies of tiles on chip, by number: tile, how many jobs still have to use it, address, when its bytes are there
    and when its last user ends (NONE: not known yet)."""

    tiles: list[int] = field(default_factory=list[int])
    users: list[int] = field(default_factory=list[int])
    address: list[int] = field(default_factory=list[int])
    ready: list[int] = field(default_factory=list[int])
    idle: list[int] = field(default_factory=list[int])

    def new(self, tile: int) -> int:
        """A copy of a tile that nobody uses yet."""
        self.tiles.append(tile)
        self.users.append(0)
        self.address.append(NONE)
        self.ready.append(NONE)
        self.idle.append(0)
        return len(self.tiles) - 1


class _Queues:
    """The jobs by kind, what each uses and waits for, and in which order room is asked for.

    `places` are the copies that a job's addresses belong to, `uses` the distinct ones of them, and `reads` those
    that have to be there before it starts. `requests` are copies with the number of execs before them. A load or an
    exec waits for the end of so many `stores`.
    """

    def __init__(self, jobs: Sequence[Job], tiles: int):
        self.copies = _Copies()
        self.places: list[tuple[int, ...]] = []
        self.uses: list[tuple[int, ...]] = []
        self.reads: list[tuple[int, ...]] = []
        self.needs: list[Needs | None] = []
        self.stores: list[int] = []
        self.requests: list[tuple[int, int]] = []
        self.of: tuple[list[int], ...] = ([], [], [])
        self.current = [NONE] * tiles
        self.last = tuple([0] * tiles for _ in self.of)
        self.readers = [0] * tiles
        for number, job in enumerate(jobs):
            self.add(number, job)

    def add(self, number: int, job: Job) -> None:
        """Enters the next job."""
        kind, _, tile, sources, accumulate, _ = job
        current, last, execs = self.current, self.last, len(self.of[EXEC])
        read = tuple([current[s] for s in sources])
        if kind == LOAD or (kind == EXEC and not accumulate and tile not in sources):
            current[tile] = self.copies.new(tile)
            self.requests.append((current[tile], execs))
        own = current[tile]
        self.places.append((own, *read))
        self.uses.append(used := read if own in read else (own, *read))
        self.reads.append(() if kind == LOAD else read if kind == EXEC and not accumulate else used)
        users = self.copies.users
        for copy in used:
            users[copy] += 1
        store = kind == STORE
        readers = self.readers[tile] if not job.retain else 0
        self.needs.append(Needs(last[LOAD][tile], last[EXEC][tile], readers) if store else None)
        self.stores.append(0 if store else last[STORE][tile])
        self.of[kind].append(number)
        for s in sources:
            self.readers[s] = execs + 1
        last[kind][tile] = len(self.of[kind])


class _Clock:
    """The state at a moment."""

    def __init__(self, problem: SchedulingProblem, limit: int):
        self.problem = problem
        self.limit = limit
        self.arena = VirtualSRAMArena(problem.config)
        for start, end in problem.set_aside:
            self.arena.allocate_at(start, end - start)
        self.queues = _Queues(problem.jobs, len(problem.sizes))
        self.copies = self.queues.copies
        self.fixed: dict[int, int] = {}
        self.ends: tuple[list[int], ...] = ([], [], [])
        self.given = 0
        self.full = False
        self.now = 0
        self.channels = [0] * problem.channels
        self.compute = 0
        self.left = [sum(problem.jobs[i].cycles for i in numbers) for numbers in self.queues.of]
        self.events: list[int] = []
        self.frees: list[tuple[int, int, int]] = []
        self.out: list[ScheduledJob] = []

    def run(self) -> list[ScheduledJob] | None:
        """Goes from event to event until every job has started; None if that can't be, or takes too long."""
        while len(self.out) < len(self.problem.jobs):
            if self.frees and self.frees[0][0] <= self.now:
                self.release()
            if not self.full:
                self.give_room()
            if not self.step() and not self.advance():
                return None
        return self.out

    def advance(self) -> bool:
        """Goes on to when something ends; False if nothing goes on, or what is left takes too long."""
        now, events = self.now, self.events
        while events and events[0] <= now:
            heappop(events)
        if not events:
            return False
        self.now = now = events[0]
        moving = sum([max(free, now) for free in self.channels]) + self.left[LOAD] + self.left[STORE]
        computing = max(self.compute, now) + self.left[EXEC]
        return computing < self.limit and moving < self.limit * len(self.channels)

    # Room

    def release(self) -> None:
        """Frees the room of copies that nobody uses any more."""
        self.full = False
        while self.frees and self.frees[0][0] <= self.now:
            _, address, copy = heappop(self.frees)
            tile = self.copies.tiles[copy]
            if self.fixed and self.fixed.get(tile) == copy:
                del self.fixed[tile]
            else:
                self.arena.free(address)

    def give_room(self) -> None:
        """Places what is asked for, in order, as far as there is room."""
        ahead = len(self.ends[EXEC]) + self.problem.distance
        requests = self.queues.requests
        while self.given < len(requests):
            copy, execs = requests[self.given]
            if execs > ahead:
                return
            if not self.place(copy):
                self.full = True
                return
            self.given += 1

    def place(self, copy: int) -> bool:
        """Gives a copy its address, the fixed one or by first fit; False if there is no room now."""
        tile = self.copies.tiles[copy]
        size = self.problem.sizes[tile]
        wanted = self.problem.limits.at.get(tile)
        if wanted is None:
            address = self.arena.place(size)
            if address is None:
                return False
            self.copies.address[copy] = address
            return True
        for other, there in self.fixed.items():
            start = self.copies.address[there]
            if start < wanted + size and wanted < start + self.problem.sizes[other]:
                return False
        self.copies.address[copy] = wanted
        self.fixed[tile] = copy
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
        queues, now = self.queues, self.now
        at = len(self.ends[kind])
        if at == len(queues.of[kind]):
            return False
        number = queues.of[kind][at]
        if self.copies.address[queues.places[number][0]] == NONE:
            return False
        ready = self.copies.ready
        for copy in queues.reads[number]:
            if not NONE < ready[copy] <= now:
                return False
        stores, needs = queues.stores[number], queues.needs[number]
        if (stores and not self.ended(STORE, stores)) or (needs is not None and not self.met(needs)):
            return False
        self.start(kind, number)
        return True

    def met(self, needs: Needs) -> bool:
        """Whether what a store waits for besides its tile has come."""
        if len(self.ends[EXEC]) < needs.readers:
            return False
        return self.ended(LOAD, needs.loads) and self.ended(EXEC, needs.execs)

    def ended(self, kind: int, count: int) -> bool:
        """Whether the first so many operations of a kind have ended."""
        ends = self.ends[kind]
        return not count or (len(ends) >= count and ends[count - 1] <= self.now)

    def start(self, kind: int, number: int) -> None:
        """Starts a job now; copies that it is the last to use are freed when it ends."""
        cycles = self.problem.jobs[number].cycles
        end = self.now + cycles
        if kind == EXEC:
            self.compute = end
        else:
            self.channels[(len(self.ends[LOAD]) + len(self.ends[STORE])) % len(self.channels)] = end
        self.left[kind] -= cycles
        self.ends[kind].append(end)
        heappush(self.events, end)
        places, copies = self.queues.places[number], self.copies
        address, users, idle = copies.address, copies.users, copies.idle
        self.out.append(ScheduledJob(number, self.now, tuple([address[copy] for copy in places])))
        if kind != STORE:
            copies.ready[places[0]] = end
        for copy in self.queues.uses[number]:
            users[copy] -= 1
            if end > idle[copy]:
                idle[copy] = end
            if not users[copy]:
                heappush(self.frees, (idle[copy], address[copy], copy))
