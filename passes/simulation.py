"""A scheduled function in time: the simulator's run of it, and the figures that the reports show."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from ..dialects.sched import ExecOp
from ..dialects.target import Target, schedule_target
from ..ir.builtin import FuncOp, ModuleOp
from .timed import Placed, TimedOps, placed_ops
from .timing import TimedOp, Timeline, makespan_bound, one_at_a_time, simulate


@dataclass(slots=True)
class Stall:
    """What an operation kept its engine waiting: cycles, cause, and the number of the operation that it waited for."""

    op: int
    cycles: int
    cause: str
    by: int


@dataclass(slots=True)
class Simulation:
    """A run. `ops[i]` took `timed[i]` and went as `line` says; cycles everywhere."""

    target: Target
    ops: list[Placed]
    timed: list[TimedOp]
    line: Timeline

    @property
    def makespan(self) -> int:
        return self.line.makespan

    @property
    def one_at_a_time(self) -> int:
        return one_at_a_time(self.timed)

    @property
    def bound(self) -> int:
        """max(DMA, compute): no order of these operations takes less."""
        return makespan_bound(self.timed, self.line.queues)

    def engines(self) -> list[str]:
        """The engines' names, by queue."""
        moves = self.line.queues - 1
        return [*(["dma"] if moves == 1 else [f"dma{i}" for i in range(moves)]), "compute"]

    def idle(self) -> list[tuple[int, Counter[str]]]:
        """By queue: cycles of the makespan without an operation, and those of them that have a cause; the others
        are after the queue's last operation."""
        return [(self.makespan - busy, stalls) for busy, stalls in zip(self.line.busy, self.line.stalls, strict=True)]

    def stalls(self) -> list[Stall]:
        """Every wait, the longest first; of equal ones the earlier."""
        free = [0] * self.line.queues
        found = []
        for i, op in enumerate(self.timed):
            if self.line.cause[i]:
                found.append(Stall(i, self.line.start[i] - free[op.queue], self.line.cause[i], self.line.by[i]))
            free[op.queue] = self.line.end[i]
        return sorted(found, key=lambda stall: (-stall.cycles, stall.op))


def simulation_of(func: FuncOp, module: ModuleOp) -> Simulation:
    """Runs a scheduled function on its machine."""
    target = schedule_target(func, module)
    timed = TimedOps(target)
    ops = timed.all(func)
    return Simulation(target, placed_ops(func), ops, simulate(ops, timed.queues))


def kind_of(op: Placed) -> str:
    """load, store, or the kernel's name."""
    return op.kernel if isinstance(op, ExecOp) else op.name.partition(".")[2]
