"""Schedules for a machine with speeds: plans a tile program with some room to spare, and lets the transfers run ahead.

Planning for the whole SRAM evicts the tile just used, so that the next load waits for the exec that is using it;
planning for a few tiles fewer leaves room to load into while computing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from .arena import SRAMConfig
from .list_schedule import Job, ScheduledJob, SchedulingProblem, least_cycles, list_schedule, makespan
from .liveness import EXEC, LOAD, STORE, Liveness, Program, liveness_of
from .nest_cost import INFEASIBLE, SECOND, TrafficModel, program_tensors
from .nests import Nest
from .placement import WORK
from .residency import FILL, SPILL, Event, FirstFitPlanner, Plan, StepOutOfMemoryError, TrafficLimitError
from .simulator import TimedOp, simulate
from .units import UNLIMITED, ceil_div

NEAR = 20
"""In a long function, operations that exceed the cycles that they take at least by one part in so many are left alone:
the first loads and the last stores, which nothing hides, are as much."""

SETTLED = 64
"""A long program's schedule that exceeds its bound by one part in so many is taken."""

LONG = 20_000
"""Tile operations beyond which a function is long."""


@dataclass(frozen=True, slots=True)
class Speeds:
    """Cycles of a program's execs by step, and of a transfer by its bytes; how many transfers go on at once."""

    exec_cycles: Sequence[int]
    move_cycles: Callable[[int], int]
    channels: int = 1


@dataclass(slots=True)
class TimedSchedule:
    """A schedule in time: the events of the plan, which of them (as jobs, by number) comes when and where, the makespan
    in cycles, and its lower bound, the cycles that the busier of compute engine and DMA takes for them."""

    events: list[Event]
    jobs: list[ScheduledJob]
    makespan: int
    bound: int


def jobs_of(program: Program, events: Sequence[Event], speeds: Speeds) -> list[Job]:
    """A plan's events as jobs for the list scheduler."""
    jobs: list[Job] = []
    for event in events:
        tile = event.tile
        if event.kind == FILL:
            jobs.append(Job(LOAD, speeds.move_cycles(program.sizes[tile]), tile))
        elif event.kind == SPILL:
            jobs.append(Job(STORE, speeds.move_cycles(program.sizes[tile]), tile))
        else:
            step = program.steps[event.step]
            cycles = speeds.exec_cycles[event.step] if step.kind == EXEC else speeds.move_cycles(program.sizes[tile])
            jobs.append(Job(step.kind, cycles, tile, step.sources, step.accumulate, step.retain))
    return jobs


def schedule_transfers(
    program: Program, events: list[Event], speeds: Speeds, config: SRAMConfig, distance: int | None = None,
    limit: int = UNLIMITED,
) -> TimedSchedule | None:  # fmt: skip
    """A plan's events with their transfers as early as there is room; None if that is not found, or takes `limit`
    cycles or more."""
    aside = program.set_aside(config)
    problem = SchedulingProblem(
        jobs_of(program, events, speeds), program.sizes, config, speeds.channels,
        1 << 60 if distance is None else distance, program.limits, aside,
    )  # fmt: skip
    jobs = list_schedule(problem, limit)
    return None if jobs is None else TimedSchedule(events, jobs, makespan(problem, jobs), least_cycles(problem))


def reserves(program: Program, config: SRAMConfig, few: bool = False) -> list[int]:
    """How many bytes to leave free while planning: none, and a few tiles' worth of the largest size; at most four of
    them if there shall be `few`."""
    largest = max(program.sizes, default=0)
    tiles = config.total_bytes // largest if largest else 0
    counts = [0, 1, 2, 3, 4, 6, 8, 10, 12, 16]
    found = [largest * count for count in counts if count <= tiles // 3 or count <= 2]
    return [found[1], found[2], found[len(found) // 2], found[-1]] if few and len(found) > 4 else found


def quickest_schedule(
    program: Program,
    speeds: Speeds,
    config: SRAMConfig,
    reserved: Sequence[int],
    evict: str = "cost",
    distance: int | None = None,
    limit: int = UNLIMITED,
    settle: bool = False,
) -> TimedSchedule | None:
    """The quickest of the plans that leave those bytes free, the first of equal ones; None if none works in less than
    `limit` cycles. To `settle` is to take the first that comes near its bound.

    They are tried from the last on, since what leaves most free is often the quickest, and the others are given up as
    soon as they are slower.
    """
    liveness = liveness_of(program)
    best: TimedSchedule | None = None
    for reserve in reversed(reserved):
        left = leaving(program, config, reserve)
        plan = _plan(left[0], liveness, left[1], evict) if left is not None else None
        least = limit if best is None else best.makespan + 1
        timed = schedule_transfers(program, plan.events, speeds, config, distance, least) if plan is not None else None
        if timed is not None and timed.makespan < least:
            best = timed
        if settle and best is not None and best.makespan - best.bound <= best.bound // SETTLED:
            break
    return best


def leaving(program: Program, config: SRAMConfig, reserve: int) -> tuple[Program, SRAMConfig] | None:
    """A program and an SRAM to plan for, so many bytes of which are left free; None if there are not so many. They are
    taken from the high end, around what is set aside there."""
    aside = program.set_aside(config)
    if not aside or not reserve:
        less = config.total_bytes - reserve
        return (program, SRAMConfig(less, config.alignment)) if less >= config.alignment else None
    taken: list[tuple[int, int]] = []
    ends = [0, *(end for _, end in aside)]
    starts = [*(start for start, _ in aside), config.capacity]
    for low, high in sorted(zip(ends, starts, strict=True), reverse=True):
        size = min(config.rounded(reserve), high - low)
        if size > 0:
            taken.append((high - size, high))
            reserve -= size
    if reserve > 0:
        return None
    limits = replace(program.limits, reserved=(*program.limits.reserved, *taken))
    return replace(program, limits=limits), config


def _plan(program: Program, liveness: Liveness, config: SRAMConfig, evict: str) -> Plan | None:
    try:
        return FirstFitPlanner(program, liveness, config, evict).run()
    except (StepOutOfMemoryError, TrafficLimitError):
        return None


def makespan_in_order(program: Program, events: Sequence[Event], speeds: Speeds) -> int:
    """Cycles of a plan's events in their order, transfers dealt to the channels in turn, by the simulator."""
    ops: list[TimedOp] = []
    transfers = 0
    for event, job in zip(events, jobs_of(program, events, speeds), strict=True):
        tiles = (job.tile, *dict.fromkeys(job.sources))
        ranges = [(a, a + program.sizes[t]) for t, a in zip(tiles, event.addresses, strict=True)]
        if job.kind == EXEC:
            reads = ranges if job.accumulate else ranges[1:]
            ops.append(TimedOp(speeds.channels, job.cycles, tuple(reads), (ranges[0],)))
            continue
        queue = transfers % speeds.channels
        transfers += 1
        if job.kind == LOAD:
            ops.append(TimedOp(queue, job.cycles, (), (ranges[0],), tile_read=job.tile))
        else:
            ops.append(TimedOp(queue, job.cycles, (ranges[0],), tile_written=job.tile))
    return simulate(ops, speeds.channels + 1).makespan


@dataclass(slots=True)
class MakespanModel(TrafficModel):
    """The cost of loop nests as a makespan in cycles. `exec_cycles` are those of each operator's tile operation and,
    for a product, of its bias; `move_cycles` those of a transfer by bytes. In a `long` function nothing is tried where
    little is left to gain."""

    measure: ClassVar[str] = "makespan"
    exec_cycles: Sequence[tuple[int, int]] = ()
    move_cycles: Callable[[int], int] = int
    channels: int = 1
    long: bool = False

    def _plan(self, nests: Sequence[Nest], first: int, end: int, limit: int) -> int:
        program = self.program(nests, first, end)
        if program is None:
            return INFEASIBLE
        speeds = Speeds(self._cycles(program, nests, first, end), self.move_cycles, self.channels)
        tried = reserves(program, self.config, few=True)
        self.steps += len(program.steps) * len(tried) * 4
        settle = len(program.steps) > LONG
        timed = quickest_schedule(program, speeds, self.config, tried, limit=limit, settle=settle)
        if timed is not None:
            return timed.makespan
        return self._second_makespan(program, speeds, SECOND * len(program.steps), limit)

    def scheduled_cost(self, nests: Sequence[Nest]) -> int:
        """As `cost`, of all operators; a second attempt at planning may take all the work that `schedule` gives it."""
        cost = self.cost(nests)
        program = self.program(nests) if cost == INFEASIBLE else None
        if program is None:
            return cost
        speeds = Speeds(self._cycles(program, nests, 0, len(self.operators)), self.move_cycles, self.channels)
        return self._second_makespan(program, speeds, WORK)

    def _second_makespan(self, program: Program, speeds: Speeds, work: int, limit: int = UNLIMITED) -> int:
        """Cycles of a program that only the second attempt at planning finds room for: its transfers early, or where
        that would find no room again, in the plan's order."""
        if len(set(program.sizes)) == 1:
            return INFEASIBLE
        liveness = liveness_of(program)
        if _plan(program, liveness, self.config, "cost") is not None:
            return INFEASIBLE
        made = self.second_attempt(program, liveness, work)
        if made is None:
            return INFEASIBLE
        timed = schedule_transfers(program, made.events, speeds, self.config, limit=limit)
        return makespan_in_order(program, made.events, speeds) if timed is None else timed.makespan

    def _cycles(self, program: Program, nests: Sequence[Nest], first: int, end: int) -> list[int]:
        """The cycles of each step: a step's operation is told by its tile."""
        owner: list[int] = []
        for number in program_tensors(self, first, end):
            tensor = self.tensors[number]
            owner += [tensor.maker - first] * (tensor.rows * tensor.columns)
        costs = self.exec_cycles[first:end]
        return [
            0 if step.kind != EXEC else costs[owner[step.tile]][0 if step.product or len(step.sources) != 1 else 1]
            for step in program.steps
        ]

    def enough(self, first: int, end: int) -> int:
        """The cycles at which nothing more is tried for some operators."""
        least = self.compulsory(first, end)
        return least + least // NEAR if self.long else least

    def compulsory(self, first: int, end: int) -> int:
        """Cycles that some operations take at least: their execs one after the other, or their compulsory transfers."""
        compute = moved = 0
        for i in range(first, end):
            result = self.tensors[self.operators[i].result]
            compute += result.rows * result.columns * max(self.operators[i].k, 1) * self.exec_cycles[i][0]
        for tensor in self.moved(first, end):
            it = self.tensors[tensor]
            moved += it.rows * it.columns * self.move_cycles(it.tile_bytes)
        return max(compute, ceil_div(moved, self.channels))
