"""A scheduled function in time: the simulator's run of it, and the figures that the reports show."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from ..dialects.sched import ExecOp
from ..dialects.target import Target, schedule_target
from ..ir.builtin import FuncOp, ModuleOp
from ..lowering.timed_ops import Placed, TimedOps, placed_ops
from ..planner.simulator import TimedOp, Timeline, makespan_bound, one_at_a_time, simulate
from .queue_timing import has_queues, queued_ops, simulate_queues


@dataclass(slots=True)
class Stall:
    """What an operation kept its engine waiting: cycles, cause, and the number of the operation that it waited for."""

    op: int
    cycles: int
    cause: str
    by: int


@dataclass(slots=True)
class Simulation:
    """A run. `ops[i]` took `timed[i]` and went as `line` says; cycles everywhere. The last queues compute. A run
    `from_queues` heeds waits and signals alone: of its `timed`, only queues and cycles are known."""

    target: Target
    ops: list[Placed]
    timed: list[TimedOp]
    line: Timeline
    computing: int = 1
    from_queues: bool = False

    @property
    def makespan(self) -> int:
        """When the last operation ends."""
        return self.line.makespan

    @property
    def one_at_a_time(self) -> int:
        """What the operations would take one after the other."""
        return one_at_a_time(self.timed)

    @property
    def bound(self) -> int:
        """max(DMA, compute): no order of these operations takes less."""
        return makespan_bound(self.timed, self.line.queues, self.computing)

    def engines(self) -> list[str]:
        """The engines' names, by queue."""
        return [*_numbered("dma", self.line.queues - self.computing), *_numbered("compute", self.computing)]

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
    """Runs a verified scheduled function on its machine; a synchronised one from its queues."""
    target = schedule_target(func, module)
    if has_queues(func):
        return _from_queues(func, target)
    timed = TimedOps(target)
    ops = timed.all(func)
    return Simulation(target, placed_ops(func), ops, simulate(ops, timed.queues))


def _from_queues(func: FuncOp, target: Target) -> Simulation:
    """Queues that move tiles are channels; those that the machine has beyond them stand idle."""
    ops = placed_ops(func)
    queued = queued_ops(func, target)
    moving = len({q.queue for op, q in zip(ops, queued, strict=True) if not isinstance(op, ExecOp)})
    computing = max(len({q.queue for q in queued}) - moving, 1)
    idle = max(target.dma_channels - moving, 0)
    queued = [q if q.queue < moving else q._replace(queue=q.queue + idle) for q in queued]
    line = simulate_queues(queued, moving + idle + computing)
    return Simulation(target, ops, [TimedOp(q.queue, q.cycles) for q in queued], line, computing, from_queues=True)


def _numbered(name: str, count: int) -> list[str]:
    return [name] if count == 1 else [f"{name}{i}" for i in range(count)]


def kind_of(op: Placed) -> str:
    """load, store, or the kernel's name."""
    return op.kernel if isinstance(op, ExecOp) else op.name.partition(".")[2]
