"""Schedules for a machine with speeds: plans a tile program with some room to spare, and lets the transfers run ahead.

A pure solver. Planning for the whole SRAM evicts the tile just used, so that the next load waits for the exec that is
using it; planning for a few tiles fewer leaves room to load into while computing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from .arena import SRAMConfig
from .list_schedule import Item, Placed, Problem, least_cycles, makespan, retime
from .liveness import EXEC, LOAD, NEVER, STORE, Program
from .nest_cost import INFEASIBLE, Trials, program_tensors
from .nests import Nest
from .residency import FILL, SPILL, Event, Full, Plan, Planner, Timeline, TooMuch, timeline_of

NEAR = 20
"""In a long function, operations that exceed the cycles that they take at least by one part in so many are left alone:
the first loads and the last stores, which nothing hides, are as much."""

SETTLED = 64
"""A long program's schedule that exceeds its bound by one part in so many is taken."""

LONG = 20_000
"""Tile operations beyond which a function is long."""


@dataclass(frozen=True, slots=True)
class Speeds:
    """Cycles of a program's execs by step, and of a transfer by bytes; how many transfers go on at once."""

    exec_cycles: Sequence[int]
    move_cycles: Callable[[int], int]
    channels: int = 1


@dataclass(slots=True)
class Timed:
    """A schedule in time: the events of the plan, which of them comes when and where, the makespan in cycles, and the
    cycles that the busier of compute engine and DMA takes for them."""

    events: list[Event]
    placed: list[Placed]
    makespan: int
    bound: int


def items_of(program: Program, events: Sequence[Event], speeds: Speeds) -> list[Item]:
    """A plan's events as items to be put in time."""
    items: list[Item] = []
    for event in events:
        tile = event.tile
        if event.kind == FILL:
            items.append(Item(LOAD, speeds.move_cycles(program.sizes[tile]), tile))
        elif event.kind == SPILL:
            items.append(Item(STORE, speeds.move_cycles(program.sizes[tile]), tile))
        else:
            step = program.steps[event.step]
            cycles = speeds.exec_cycles[event.step] if step.kind == EXEC else speeds.move_cycles(program.sizes[tile])
            items.append(Item(step.kind, cycles, tile, step.sources, step.accumulate, step.retain))
    return items


def put_in_time(
    program: Program, events: list[Event], speeds: Speeds, config: SRAMConfig, distance: int | None = None,
    limit: int = NEVER,
) -> Timed | None:  # fmt: skip
    """A plan's events with their transfers as early as there is room; None if that is not found, or takes `limit`
    cycles or more."""
    aside = program.set_aside(config)
    problem = Problem(
        items_of(program, events, speeds), program.sizes, config, speeds.channels,
        1 << 60 if distance is None else distance, program.limits, aside,
    )  # fmt: skip
    placed = retime(problem, limit)
    return None if placed is None else Timed(events, placed, makespan(problem, placed), least_cycles(problem))


def reserves(program: Program, config: SRAMConfig, few: bool = False) -> list[int]:
    """How many bytes to leave free while planning: none, and a few tiles' worth of the largest size; at most four of
    them if there shall be `few`."""
    largest = max(program.sizes, default=0)
    tiles = config.total_bytes // largest if largest else 0
    counts = [0, 1, 2, 3, 4, 6, 8, 10, 12, 16]
    found = [largest * count for count in counts if count <= tiles // 3 or count <= 2]
    return [found[1], found[2], found[len(found) // 2], found[-1]] if few and len(found) > 4 else found


def best_in_time(
    program: Program,
    speeds: Speeds,
    config: SRAMConfig,
    reserved: Sequence[int],
    evict: str = "cost",
    distance: int | None = None,
    limit: int = NEVER,
    settle: bool = False,
) -> Timed | None:
    """The quickest of the plans that leave those bytes free, the first of equal ones; None if none works in less than
    `limit` cycles. To `settle` is to take the first that comes near its bound.

    They are tried from the last on, since what leaves most free is often the quickest, and the others are given up as
    soon as they are slower.
    """
    timeline = timeline_of(program)
    best: Timed | None = None
    for reserve in reversed(reserved):
        left = leaving(program, config, reserve)
        plan = _plan(left[0], timeline, left[1], evict) if left is not None else None
        least = limit if best is None else best.makespan + 1
        timed = put_in_time(program, plan.events, speeds, config, distance, least) if plan is not None else None
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
    taken = []
    ends = [0, *(end for _, end in aside)]
    starts = [*(start for start, _ in aside), config.total_bytes // config.alignment * config.alignment]
    for low, high in sorted(zip(ends, starts, strict=True), reverse=True):
        size = min(-(-reserve // config.alignment) * config.alignment, high - low)
        if size > 0:
            taken.append((high - size, high))
            reserve -= size
    if reserve > 0:
        return None
    limits = replace(program.limits, reserved=(*program.limits.reserved, *taken))
    return replace(program, limits=limits), config


def _plan(program: Program, timeline: Timeline, config: SRAMConfig, evict: str) -> Plan | None:
    try:
        return Planner(program, timeline, config, evict).run()
    except (Full, TooMuch):
        return None


@dataclass(slots=True)
class TimeTrials(Trials):
    """Trials whose cost is the makespan in cycles. `exec_cycles` are those of each operation's tile operation and, for
    a product, of its bias. In a `long` function nothing is gained where little is left to gain."""

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
        timed = best_in_time(program, speeds, self.config, tried, self.evict, limit=limit, settle=settle)
        return INFEASIBLE if timed is None else timed.makespan

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
        least = self.compulsory(first, end)
        return least + least // NEAR if self.long else least

    def compulsory(self, first: int, end: int) -> int:
        """Cycles that some operations take at least: their execs one after the other, or their compulsory transfers."""
        compute = moved = 0
        for i in range(first, end):
            result = self.tensors[self.works[i].result]
            compute += result.rows * result.columns * max(self.works[i].k, 1) * self.exec_cycles[i][0]
        for tensor in self.moved(first, end):
            it = self.tensors[tensor]
            moved += it.rows * it.columns * self.move_cycles(it.tile_bytes)
        return max(compute, -(-moved // self.channels))
