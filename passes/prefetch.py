"""prefetch: lets the transfers of a schedule run ahead of its execs, for a machine with given speeds.

sched.load %x[0, 0] @0x0000 {bytes = 4096}             sched.load %x[0, 0] @0x0000 {bytes = 4096}
sched.exec relu %y[0, 0] @0x1000 = %x[0, 0] @0x0000    sched.load %x[0, 1] @0x1000 {bytes = 4096}
sched.store %y[0, 0] @0x1000 {bytes = 4096}         -> sched.exec relu %y[0, 0] @0x2000 = %x[0, 0] @0x0000
sched.load %x[0, 1] @0x0000 {bytes = 4096}             sched.store %y[0, 0] @0x2000 {bytes = 4096}
sched.exec relu %y[0, 1] @0x1000 = %x[0, 1] @0x0000    ...

Loads come as early as there is room, stores get out of their way, and tiles get the addresses that this takes. Planning
anew with a few tiles left free is tried besides. Never slower than its input in the simulator.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from ..dialects import sched, uop
from ..dialects.levels import level_of
from ..dialects.opaque import opaque_ops
from ..dialects.placement_limits import wishes_of
from ..dialects.target import Target, schedule_target
from ..ir.attributes import UNIT
from ..ir.builtin import FuncOp, ModuleOp
from ..ir.constructors import maker
from ..ir.core import Operation
from ..lowering.allocs import config_of, tidy_allocs
from ..lowering.finished_schedule import expect_schedules, settle_off_chip, with_stats
from ..lowering.rewriting import ValueMap, map_functions, with_tile_ops
from ..lowering.tile_program import TileProgram, buffer_ids, event_ops
from ..lowering.timed_ops import Placed, TimedOps, exec_cycles, move_cycles, placed_ops
from ..planner.makespan import LONG, Speeds, TimedSchedule, quickest_schedule, reserves, schedule_transfers
from ..planner.residency import FILL, RUN, SPILL, Event
from ..planner.simulator import simulate
from ..planner.units import UNLIMITED
from .manager import option, read_bytes, read_count, register_pass
from .manager.remarks import remark


@register_pass
@dataclass(frozen=True)
class PrefetchPass:
    """Brings the loads of a schedule forward and puts its stores off, as far as the SRAM has room; re-places tiles."""

    name: ClassVar[str] = "prefetch"
    needs: ClassVar[tuple[str, ...]] = ()
    distance: int | None = option(read_count, "how many execs a load may run ahead (default: any number)", "EXECS")
    reserve: int | None = option(
        read_bytes, "plan anew with so many bytes left free (default: several sizes are tried)", "BYTES"
    )

    def apply(self, module: ModuleOp) -> ModuleOp:
        expect_schedules(module, "prefetch")
        return map_functions(module, self.prefetch_function)

    def prefetch_function(self, func: FuncOp, module: ModuleOp) -> FuncOp:
        if level_of(func) != "sched" or not placed_ops(func):
            return func
        for op in opaque_ops(func)[:1]:
            remark(f"prefetch: {func.symbol} stays as it is, since nothing passes this opaque operation", op.loc)
            return func
        target = schedule_target(func, module)
        given = GivenSchedule(func, target)
        best = self.best(given)
        timed = TimedOps(target)
        if best is None or simulate(timed.all(func), timed.queues).makespan <= best.makespan:
            return func
        made = with_tile_ops(func, partial(given.operations, best))
        made.body.ops = tidy_allocs(made.ops)
        placed = any(isinstance(op, uop.AllocOp) and op.dram is not None for op in func.ops)
        settle_off_chip(made, target, renew=placed)
        return with_stats(made, target)

    def best(self, given: GivenSchedule) -> TimedSchedule | None:
        """The quickest of the schedule's own decisions and new ones, each with its transfers as early as can be."""
        program, speeds, config = given.tiles.program, given.speeds, given.config
        kept = schedule_transfers(program, given.events, speeds, config, self.distance)
        long = len(program.steps) > LONG
        left_free = reserves(program, config, few=long) if self.reserve is None else [self.reserve]
        limit = UNLIMITED if kept is None else kept.makespan
        made = quickest_schedule(program, speeds, config, left_free, distance=self.distance, limit=limit, settle=long)
        return made or kept


class GivenSchedule:
    """A schedule as a tile program and the plan's events that it amounts to."""

    def __init__(self, func: FuncOp, target: Target):
        ops = placed_ops(func)
        self.config = config_of(func, target)
        self.tiles = TileProgram(unplaced(op) for op in ops if not _is_move(op))
        self.tiles.limit(wishes_of(func), target.reserved, target.alignment)
        self.events = list(self._events(ops))
        self.labelled = any(op.buffer is not None for op in ops)
        costs = [_cycles(op, target) for op in self.tiles.ops]
        self.speeds = Speeds(costs, partial(move_cycles, target=target), target.dma_channels)

    def _events(self, ops: list[Placed]) -> Iterator[Event]:
        step = 0
        for op in ops:
            if not _is_move(op):
                kind, tile = RUN, self.tiles.program.steps[step].tile
            else:
                kind = FILL if isinstance(op, sched.LoadOp) else SPILL
                tile = self.tiles.id_of(op.operands[0], op.coords[0])
            yield Event(kind, min(step, len(self.tiles.ops) - 1), tile, op.addrs)
            step += kind == RUN

    def operations(self, timed: TimedSchedule, values: ValueMap) -> list[Operation]:
        """The schedule in its new order, at its new addresses."""
        events = [timed.events[s.job]._replace(addresses=s.addresses) for s in timed.jobs]
        program = self.tiles.program
        buffers = buffer_ids(program, events) if self.labelled else [None] * len(events)
        return event_ops(self.tiles, events, buffers, values)


def _is_move(op: Placed) -> bool:
    """Whether an operation is the scheduler's own: a load, or a store that only makes room."""
    return isinstance(op, sched.LoadOp) or (isinstance(op, sched.StoreOp) and op.spill is UNIT)


def unplaced(op: Placed) -> Operation:
    """The uop of a sched operation."""
    to = {sched.LoadOp: uop.LoadOp, sched.ExecOp: uop.ExecOp, sched.StoreOp: uop.StoreOp}[type(op)]
    return maker(to, (), type(op))(op)


def _cycles(op: Operation, target: Target) -> int:
    if not isinstance(op, uop.ExecOp):
        return 0
    return exec_cycles(op.kernel, tuple(v.type.tile for v in op.operands), target)  # type: ignore[attr-defined]
