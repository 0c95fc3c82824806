"""What a synchronised schedule takes in time, told by its queues, waits and signals alone: no bytes are looked at.

For what `sync` writes that is the time that `simulator.py` finds from hazards: a wait that is left out is implied by
one that ends no earlier.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from ..dialects.checks.queues import lanes_of, run_lanes, signals_of, wait_targets
from ..dialects.sched import ExecOp
from ..dialects.target import Target
from ..ir.builtin import FuncOp
from ..lowering.timed_ops import TimedOps, move_cycles, placed_ops
from ..planner.simulator import NOBODY, Timeline

CAUSE = "wait for a signal"


class QueuedOp(NamedTuple):
    """An operation: its queue, how many cycles it takes, and the operations whose ends it waits for, by number."""

    queue: int
    cycles: int
    waits: tuple[int, ...] = ()


def has_queues(func: FuncOp) -> bool:
    """Whether a scheduled function is synchronised."""
    return any(op.queue is not None for op in placed_ops(func))


def queued_ops(func: FuncOp, target: Target) -> list[QueuedOp]:
    """The operations of a verified function in which each has a queue. Queues are numbered anew from 0, in the order
    of their numbers: first those that move tiles, then those that compute (one, if there is none)."""
    ops = placed_ops(func)
    numbers: list[int] = [op.queue for op in ops]  # type: ignore[misc]
    computing = {op.queue for op in ops if isinstance(op, ExecOp)}
    order = sorted(set(numbers), key=lambda queue: (queue in computing, queue))
    slot = {queue: s for s, queue in enumerate(order)}
    signals = signals_of(ops, lanes_of(numbers))
    timed = TimedOps(target)
    return [
        QueuedOp(
            slot[op.queue],  # type: ignore[index]
            timed.cycles(op) if isinstance(op, ExecOp) else move_cycles(op.bytes, target),
            tuple(wait_targets(op, signals) or ()),
        )
        for op in ops
    ]


def simulate_queues(ops: Sequence[QueuedOp], queues: int | None = None) -> Timeline:
    """Runs operations in the order of their queues. `queues` is how many engines there are, at least those named.

    Raises ValueError for a deadlock, which the verifier refuses.
    """
    count = max((op.queue + 1 for op in ops), default=0)
    line = Timeline(max(count, queues or 0))
    line.busy = [0] * line.queues
    line.stalls = [Counter() for _ in range(line.queues)]
    line.start, line.end = [NOBODY] * len(ops), [NOBODY] * len(ops)
    line.cause, line.by = [""] * len(ops), [NOBODY] * len(ops)

    def start(i: int, before: int) -> bool:
        op = ops[i]
        if any(line.end[t] == NOBODY for t in op.waits):
            return False
        free = line.end[before] if before >= 0 else 0
        last = max(op.waits, key=lambda t: line.end[t], default=NOBODY)
        ready = line.end[last] if last != NOBODY else 0
        if ready > free:
            line.cause[i], line.by[i] = CAUSE, last
            line.stalls[op.queue][CAUSE] += ready - free
        line.start[i] = max(ready, free)
        line.end[i] = line.start[i] + op.cycles
        line.busy[op.queue] += op.cycles
        return True

    if run_lanes(lanes_of([op.queue for op in ops]), start):
        raise ValueError("deadlock")
    return line
