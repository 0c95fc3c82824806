"""pingpong: the DMA fills one half of a buffer while the engine computes from the other.

... attributes {sched.sram = {alignment = 64, total_bytes = 640}}
sched.load %x[0, 0] @0x0000 {bytes = 64}                   sched.load %x[0, 0] @0x0040 {bytes = 64, half = 0}
sched.exec relu %y[0, 0] @0x0040 = %x[0, 0] @0x0000    ->  sched.load %x[0, 1] @0x0140 {bytes = 64, half = 1}
sched.store %y[0, 0] @0x0040 {bytes = 64}                  sched.exec relu %y[0, 0] @0x0000 = ... {half = 0}
sched.load %x[0, 1] @0x0000 {bytes = 64}                   ...

The execs keep their order and are cut into phases whose loaded tiles fit a half; those of the next phase are loaded
meanwhile. What is computed lies in a part of its own. The verifier checks that it is so (`dialects/checks/halves.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ..dialects import sched, uop
from ..dialects.levels import level_of
from ..dialects.placement_limits import wishes_of
from ..dialects.target import Target, schedule_target
from ..dialects.tiles import TileRef
from ..ir.attributes import UNIT
from ..ir.builtin import FuncOp, ModuleOp
from ..ir.core import Operation
from ..ir.diagnostics import Diagnostic, DiagnosticError
from ..lowering.allocs import config_of, tidy_allocs
from ..lowering.finished_schedule import check_no_opaque, expect_schedules, settle_off_chip, with_stats
from ..lowering.rewriting import ValueMap, clone_with, map_functions, with_tile_ops
from ..lowering.timed_ops import Placed, TimedOps, placed_ops, size_of
from ..planner.liveness import Limits, Program
from ..planner.pingpong_phases import Phase, PhaseProblem, ResultRegion, cut, halves_above, place_results
from ..planner.placement import LiveRange
from ..planner.simulator import simulate
from ..planner.units import UNLIMITED, round_down
from .manager import register_pass

LAGS = (0, 2, 8, 32)
"""How long, in execs and stores, the place of what was computed stays unused before it is used again."""

PARTS = (1, 2, 4)
"""Halves as large as can be, and by so many times smaller: shorter phases."""

LARGE = 20_000
"""Operations beyond which only the first way is tried."""


@register_pass
@dataclass(frozen=True)
class PingpongPass:
    """Loads tiles into one half of a buffer while computing from the other; whatever is computed lies apart."""

    name: ClassVar[str] = "pingpong"
    needs: ClassVar[tuple[str, ...]] = ()

    def apply(self, module: ModuleOp) -> ModuleOp:
        expect_schedules(module, "pingpong")
        return map_functions(module, pingpong_function)


def pingpong_function(func: FuncOp, module: ModuleOp) -> FuncOp:
    """A scheduled function with ping/pong buffers, the quickest of a few ways. Raises `DiagnosticError`."""
    if level_of(func) != "sched" or not any(isinstance(op, sched.ExecOp) for op in func.ops):
        return func
    check_no_opaque(func, "pingpong")
    for wish in wishes_of(func).values():
        message = "pingpong: with sched.pin or sched.at, tiles can't be put into halves and loaded for each phase"
        raise DiagnosticError([Diagnostic(message, wish.loc)])
    target = schedule_target(func, module)
    given = _Given(func, target)
    best: tuple[int, FuncOp] | None = None
    for layout in layouts(given.problem):
        made = build(func, given, layout)
        timed = TimedOps(target)
        makespan = simulate(timed.all(made), timed.queues).makespan
        if best is None or makespan < best[0]:
            best = makespan, made
    if best is None:
        raise no_room(given)
    return finished(best[1], target)


def finished(made: FuncOp, target: Target) -> FuncOp:
    """With what every schedule has, and the halves."""
    sram: dict[str, Any] = made.attrs["sched.sram"]  # type: ignore[assignment]
    made.body.ops = tidy_allocs(made.ops)
    placed = any(isinstance(op, uop.AllocOp) and op.dram is not None for op in made.ops)
    settle_off_chip(made, target, renew=placed)
    made = with_stats(made, target)
    made.attrs = made.attrs | {"sched.sram": made.attrs["sched.sram"] | {k: sram[k] for k in ("buffering", "halves")}}  # type: ignore[operator]
    return made


def no_room(given: _Given) -> DiagnosticError:
    """Two halves for the exec that reads the most, beside what is computed, are too much."""
    problem = given.problem
    read, item = problem.most_read()
    results = place_results(problem, 0, UNLIMITED)
    assert results is not None
    total = problem.config.capacity
    needs = 2 * read + results.end
    message = (
        f"pingpong: no room for two halves: this exec reads {read:,} bytes of loaded tiles, accumulators and "
        f"intermediates take {results.end:,}, together 2 x {read:,} + {results.end:,} = {needs:,} of {total:,} bytes"
    )
    if needs <= total:
        message += ", around those that are reserved"
    return DiagnosticError([Diagnostic(message, given.items[item].op.loc)])


# From the schedule to the solver's problem


@dataclass(slots=True)
class _Item:
    """An exec or a store that stays; for each operand the loaded tile that it is (by number), or the result that it
    is of what is computed, as -1 - number."""

    op: Placed
    places: list[int] = field(default_factory=list)


class _Given:
    """A schedule as a problem: loads are left out, and what the input keeps on chip after computing it stays there.

    A tile that is stored after it was loaded is off chip as it is, so that such a store goes.
    """

    def __init__(self, func: FuncOp, target: Target):
        self.items: list[_Item] = []
        self.refs: list[TileRef] = []
        self.results: list[LiveRange] = []
        self.stored: list[int] = []
        self.numbers: dict[tuple[TileRef, int], int] = {}
        self.versions: dict[TileRef, int] = {}
        self.on_chip: dict[TileRef, int] = {}
        self.last_store: dict[TileRef, int] = {}
        for op in placed_ops(func):
            if isinstance(op, sched.ExecOp):
                self.exec(op)
            elif isinstance(op, sched.StoreOp):
                self.store(op)
            else:
                self.on_chip.pop((op.operands[0], op.coords[0]), None)
        self.read = {t for item in self.items for t in item.places if t >= 0}
        config = config_of(func, target)
        self.problem = PhaseProblem(
            config,
            [tuple(dict.fromkeys(t for t in item.places if t >= 0)) for item in self.items],
            [size_of(value) for value, _ in self.refs],
            self.stored,
            self.results,
            Program(limits=Limits(reserved=target.reserved)).set_aside(config),
        )

    def exec(self, op: sched.ExecOp) -> None:
        item = _Item(op)
        dst, *sources = zip(op.operands, op.coords, strict=True)
        places = [self.source(ref) for ref in sources]
        if dst not in self.on_chip or (not op.accumulate and dst not in sources):
            self.on_chip[dst] = len(self.results)
            self.results.append(LiveRange(len(self.items), len(self.items) + 1, size_of(dst[0])))
        self.versions[dst] = self.versions.get(dst, 0) + 1
        item.places = [self.use(self.on_chip[dst]), *places]
        self.items.append(item)

    def source(self, ref: TileRef) -> int:
        return self.use(self.on_chip[ref]) if ref in self.on_chip else self.number(ref)

    def use(self, result: int) -> int:
        self.results[result] = self.results[result]._replace(end=len(self.items) + 1)
        return -1 - result

    def number(self, ref: TileRef) -> int:
        """The number of a loaded tile with its present value."""
        key = (ref, self.versions.get(ref, 0))
        if key not in self.numbers:
            self.numbers[key] = len(self.refs)
            self.refs.append(ref)
            self.stored.append(self.last_store.get(ref, -1))
        return self.numbers[key]

    def store(self, op: sched.StoreOp) -> None:
        ref = (op.operands[0], op.coords[0])
        if ref not in self.on_chip:
            return
        self.items.append(_Item(op, [self.use(self.on_chip[ref])]))
        self.last_store[ref] = len(self.items) - 1
        if op.activation is not None:
            self.versions[ref] = self.versions.get(ref, 0) + 1
        if op.retain is not UNIT:
            del self.on_chip[ref]


# From the solver's answer to a schedule


@dataclass(slots=True)
class Layout:
    """The phases, where the two halves lie, and where what is computed lies."""

    phases: list[Phase]
    halves: tuple[tuple[int, int], tuple[int, int]]
    results: ResultRegion


def layouts(problem: PhaseProblem) -> Iterator[Layout]:
    """Ways to divide the SRAM that work, the first with the largest halves."""
    large = len(problem.reads) > LARGE
    seen = set()
    for lag in LAGS[:1] if large else LAGS:
        results = place_results(problem, lag, problem.config.total_bytes)
        halves = halves_above(problem, results.end) if results is not None else None
        if results is None or halves is None:
            return
        for part in PARTS[:1] if large else PARTS:
            size = round_down((halves[0][1] - halves[0][0]) // part, problem.config.alignment)
            phases = cut(problem, size) if (size, results.end) not in seen else None
            seen.add((size, results.end))
            if phases is not None:
                yield Layout(
                    phases, ((halves[0][0], halves[0][0] + size), (halves[1][0], halves[1][0] + size)), results
                )


def build(func: FuncOp, given: _Given, layout: Layout) -> FuncOp:
    """The function in its new order, at its new addresses."""
    made = with_tile_ops(func, lambda values: _ScheduleBuilder(given, layout, values).operations())
    sram: dict[str, Any] = made.attrs.get("sched.sram", {})  # type: ignore[assignment]
    made.attrs = made.attrs | {"sched.sram": sram | {"buffering": "pingpong", "halves": layout.halves}}
    return made


class _ScheduleBuilder:
    def __init__(self, given: _Given, layout: Layout, values: ValueMap):
        self.given = given
        self.layout = layout
        self.values = values
        self.again = {given.stored[t] for t in given.read}

    def operations(self) -> list[Operation]:
        loads = self.loads_before()
        out: list[Operation] = []
        phase = 0
        starts = {p.first: k for k, p in enumerate(self.layout.phases)}
        for i, item in enumerate(self.given.items):
            phase = starts.get(i, phase)
            out += loads.get(i, ())
            out.append(self.placed(i, item, phase))
        return out

    def loads_before(self) -> dict[int, list[Operation]]:
        """Loads by the item that they come before: those of a phase spread over the one before it, each as soon as its
        tile is off chip; those of the first phase at once."""
        found: dict[int, list[Operation]] = {}
        previous = 0
        for k, phase in enumerate(self.layout.phases):
            for n, load in enumerate(phase.loads):
                early = previous + n * (phase.first - previous) // len(phase.loads)
                at = min(phase.first, max(early, self.given.stored[load.tile] + 1))
                found.setdefault(at, []).append(self.load(load.tile, load.offset, phase, k % 2))
            previous = phase.first
        return found

    def load(self, tile: int, offset: int, phase: Phase, half: int) -> Operation:
        value, coord = self.given.refs[tile]
        reader = self.first_reader(tile, phase.first)
        return sched.LoadOp(
            (self.values.get(value, value),), coords=(coord,), addrs=(self.layout.halves[half][0] + offset,),
            bytes=size_of(value), half=half, buffer=reader.buffer, loc=reader.loc,
        )  # fmt: skip

    def first_reader(self, tile: int, first: int) -> Placed:
        items = self.given.items
        return next(items[i].op for i in range(first, len(items)) if tile in items[i].places)

    def placed(self, i: int, item: _Item, phase: int) -> Operation:
        op, offsets = item.op, self.layout.phases[phase].offsets
        base = self.layout.halves[phase % 2][0]
        addrs = tuple([base + offsets[p] if p >= 0 else self.layout.results.addresses[-1 - p] for p in item.places])
        changes: dict[str, Any] = {"addrs": addrs, "queue": None, "signal": None, "wait": None}
        if isinstance(op, sched.ExecOp):
            changes["half"] = phase % 2 if any(p >= 0 for p in item.places) else None
        elif isinstance(op, sched.StoreOp) and op.spill is UNIT and i not in self.again:
            changes["spill"] = None
        return clone_with(op, [self.values.get(v, v) for v in op.operands], (), **changes)
