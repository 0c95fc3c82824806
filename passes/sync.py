"""sync: says which engine's queue each operation stands in, and what it must wait for.

sched.load %x[0, 0] @0x0000 {bytes = 4096}             sched.load %x[0, 0] @0x0000 {bytes = 4096, queue = 0, signal}
sched.exec relu %y[0, 0] @0x1000 = %x[0, 0] @0x0000 -> sched.exec relu %y[0, 0] @0x1000 = ... {queue = 1, signal,
                                                                                              wait = [[0, 1]]}
sched.store %y[0, 0] @0x1000 {bytes = 4096}            sched.store %y[0, 0] @0x1000 {..., queue = 0, wait = [[1, 1]]}

Engines that run their queues by themselves, each in order, then do what the text says: whatever touches the same bytes
waits. No wait is written that others imply.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..dialects.checks.queues import Placed, needed_waits, placed_ops
from ..dialects.levels import level_of
from ..dialects.sched import ExecOp
from ..dialects.target import target_of
from ..ir.attributes import UNIT
from ..ir.builtin import FuncOp, ModuleOp
from ..ir.core import Operation
from ..lowering.finished_schedule import check_no_opaque, expect_schedules
from ..lowering.rewriting import ValueMap, clone, clone_with, copy_value, map_functions, with_body
from .manager import register_pass


@register_pass
@dataclass(frozen=True)
class SyncPass:
    """Makes synchronisation explicit: a queue for each operation of a schedule, and the fewest waits and signals."""

    name: ClassVar[str] = "sync"
    needs: ClassVar[tuple[str, ...]] = ()

    def apply(self, module: ModuleOp) -> ModuleOp:
        expect_schedules(module, "sync")
        return map_functions(module, sync_function)


def sync_function(func: FuncOp, module: ModuleOp) -> FuncOp:
    """A scheduled function with queues, waits and signals, those it has replaced; any other as it is."""
    if level_of(func) != "sched":
        return func
    check_no_opaque(func, "sync")
    ops = placed_ops(func)
    queues = queues_of(ops, target_of(func, module).dma_channels)
    waits = dict(needed_waits(func, ops, queues))
    signalling = {target for targets in waits.values() for target in targets}
    count: dict[int, int] = {}
    order: dict[int, int] = {}
    for i, queue in enumerate(queues):
        if i in signalling:
            count[queue] = order[i] = count.get(queue, 0) + 1
    changes = {
        op: {
            "queue": queues[i],
            "signal": UNIT if i in signalling else None,
            "wait": tuple((queues[t], order[t]) for t in waits[i]) or None,
        }
        for i, op in enumerate(ops)
    }
    values: ValueMap = {}
    args = [copy_value(a, values) for a in func.args]
    made: list[Operation] = []
    for op in func.ops:
        if op in changes:
            made.append(clone_with(op, [values[v] for v in op.operands], (), **changes[op]))  # type: ignore[index]
        else:
            made.append(clone(op, values))
    return with_body(func, args, made)


def queues_of(ops: list[Placed], channels: int) -> list[int]:
    """Transfers are dealt to the DMA channels' queues in turn; the compute engine's queue is the last."""
    queues: list[int] = []
    transfers = 0
    for op in ops:
        if isinstance(op, ExecOp):
            queues.append(channels)
        else:
            queues.append(transfers % channels)
            transfers += 1
    return queues
