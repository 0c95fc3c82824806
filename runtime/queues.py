"""Runs a schedule from its queues, waits and signals alone: a thread for each engine, or a seeded interleaving.

What each operation must find is told by the text's order; that it does find it is checked before it reads: who has
written each granule of the SRAM last, and which store has put a tile off chip. Two operations that touch the same bytes
may not be under way at once. So a missing wait is an error at the operation that did not wait, or shows in no result.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from math import gcd

import numpy as np

from ..dialects.checks.dram import OffChip
from ..dialects.checks.queues import Accesses, accesses_of
from ..dialects.sched import ExecOp, LoadOp, StoreOp
from ..dialects.tiles import TileRef, tile_text
from ..ir.builtin import FuncOp
from ..ir.core import Value
from ..ir.diagnostics import Diagnostic, DiagnosticError, fail
from .buffers import Buffer
from .recorded import Recorder
from .sched import Placed, SchedRun, size_of


@dataclass(frozen=True, slots=True)
class Engines:
    """How queues take turns: real threads, or operation by operation as a seed (or a favourite queue) has it.

    An interleaving starts and ends operations one at a time, so that any two may be under way together; `favourite`
    lets one queue run as far ahead as its waits allow.
    """

    seed: int | None = None
    favourite: int | None = None

    @property
    def are_threads(self) -> bool:
        return self.seed is None and self.favourite is None


class QueueRun(SchedRun):
    """One run of a function with queues. `total` is the SRAM's size in bytes."""

    def __init__(
        self, buffers: dict[Value, Buffer], total: int, wrap: bool, engines: Engines, recorder: Recorder | None = None
    ):
        super().__init__(buffers, total, True, wrap, recorder)
        self.engines = engines

    def run(self, func: FuncOp, progress: Callable[[int], None] | None = None) -> None:
        """Runs all queues to their ends. Raises `DiagnosticError` for a race or a deadlock."""
        ops = self.prepare(func)
        without = next((op for op in ops if op.queue is None), None)
        if without is not None:
            fail(f"{without.name} has no queue; opt --sync gives each operation one", without.loc)
        self.scratch = {}  # several engines may compute
        turns = Turns(func, ops, self)
        if self.engines.are_threads:
            _run_threads(turns)
        else:
            _interleave(turns, self.engines, progress)

    def do(self, op: Placed) -> None:
        self.steps()[type(op)](op)


class Turns:
    """What the queues have done so far. `lanes` are the operations of each queue, by number."""

    def __init__(self, func: FuncOp, ops: list[Placed], runner: QueueRun):
        self.ops = ops
        self.runner = runner
        self.lanes: dict[int, list[int]] = {}
        for i, op in enumerate(ops):
            self.lanes.setdefault(op.queue or 0, []).append(i)
        self.at = dict.fromkeys(self.lanes, 0)
        self.signals = dict.fromkeys(self.lanes, 0)
        self.under_way: dict[int, Accesses] = {}
        self.off_chip = OffChip(func)
        self.memory = LastWriters(ops, runner.buffers)

    def next(self, queue: int) -> int | None:
        """The next operation of a queue, by number, if it need not wait."""
        lane, at = self.lanes[queue], self.at[queue]
        if at == len(lane) or lane[at] in self.under_way:
            return None
        waits = self.ops[lane[at]].wait or ()
        return None if any(self.signals.get(q, 0) < count for q, count in waits) else lane[at]

    def begin(self, i: int) -> None:
        """Checks that an operation finds what it is meant to, and that nothing under way is in its way."""
        op = self.ops[i]
        touched = accesses_of(op, self.off_chip)
        for other, theirs in self.under_way.items():
            if _clash(touched, theirs):
                error = Diagnostic("race: this runs while another operation touches the same bytes", op.loc)
                raise DiagnosticError([error.note("the other one is here", self.ops[other].loc)])
        self.memory.check(i, op)
        self.under_way[i] = touched

    def end(self, i: int) -> None:
        op = self.ops[i]
        self.memory.book(i, op)
        del self.under_way[i]
        queue = op.queue or 0
        self.at[queue] += 1
        if op.signal is not None:
            self.signals[queue] += 1

    @property
    def done(self) -> bool:
        return all(self.at[queue] == len(lane) for queue, lane in self.lanes.items())

    @property
    def stuck(self) -> bool:
        """Whether no queue can ever go on."""
        return not self.under_way and all(self.next(queue) is None for queue in self.lanes)

    def deadlock(self) -> DiagnosticError:
        stuck = [self.ops[lane[self.at[q]]] for q, lane in self.lanes.items() if self.at[q] < len(lane)]
        return DiagnosticError([Diagnostic(f"deadlock: queue {op.queue} waits here for ever", op.loc) for op in stuck])


def _clash(a: Accesses, b: Accesses) -> bool:
    pairs = (
        (a.writes, b.reads), (a.writes, b.writes), (a.reads, b.writes),
        (a.off_writes, b.off_reads), (a.off_writes, b.off_writes), (a.off_reads, b.off_writes),
    )  # fmt: skip
    return any(x[0] < y[1] and y[0] < x[1] for xs, ys in pairs for x in xs for y in ys)


class LastWriters:
    """Who has written what last: by granule of the SRAM, by tile off chip, and what each operation must find there."""

    def __init__(self, ops: list[Placed], buffers: dict[Value, Buffer]):
        sizes = {size_of(v) for v in buffers}
        self.grain = gcd(*sizes, *{a for op in ops for a in op.addrs}) or 1
        end = max((a + size_of(v) for op in ops for v, a in zip(op.operands, op.addrs, strict=True)), default=0)
        self.writer = [-1] * (end // self.grain)
        self.stored: dict[TileRef, int] = {}
        self.wanted: list[list[tuple[int, list[int]]]] = []
        self.wanted_off: list[int] = []
        for i, op in enumerate(ops):
            reads = range(len(op.addrs)) if _reads_first(op) else range(1, len(op.addrs))
            self.wanted.append([(k, self.writers(op, k)) for k in reads if not isinstance(op, LoadOp)])
            self.wanted_off.append(self.stored.get((op.operands[0], op.coords[0]), -1))
            self.book(i, op)
        self.writer = [-1] * (end // self.grain)
        self.stored = {}

    def granules(self, op: Placed, k: int) -> tuple[int, int]:
        return op.addrs[k] // self.grain, (op.addrs[k] + size_of(op.operands[k])) // self.grain

    def writers(self, op: Placed, k: int) -> list[int]:
        first, last = self.granules(op, k)
        return self.writer[first:last]

    def check(self, i: int, op: Placed) -> None:
        """Raises `DiagnosticError` unless an operation finds what it would in the text's order."""
        for k, writers in self.wanted[i]:
            if self.writers(op, k) != writers:
                name = f"{tile_text(op.operands[k], op.coords[k])} @0x{op.addrs[k]:04x}"
                fail(f"race: {name} is read before it is there, or after it was overwritten", op.loc, name)
        if isinstance(op, LoadOp) and self.stored.get((op.operands[0], op.coords[0]), -1) != self.wanted_off[i]:
            fail(f"race: {tile_text(op.operands[0], op.coords[0])} is loaded before or after its time", op.loc)

    def book(self, i: int, op: Placed) -> None:
        if isinstance(op, StoreOp):
            self.stored[op.operands[0], op.coords[0]] = i
            return
        first, last = self.granules(op, 0)
        self.writer[first:last] = [i] * (last - first)


def _reads_first(op: Placed) -> bool:
    return isinstance(op, StoreOp) or (isinstance(op, ExecOp) and op.accumulate)


def _interleave(turns: Turns, engines: Engines, progress: Callable[[int], None] | None) -> None:
    """Starts and ends operations one at a time, in an order that a seed or a favourite queue decides."""
    generator = random.Random(engines.seed)
    ended = 0
    while not turns.done:
        able = [i for queue in turns.lanes if (i := turns.next(queue)) is not None]
        choices = [(True, i) for i in able] + [(False, i) for i in turns.under_way]
        if not choices:
            raise turns.deadlock()
        starts, i = _choose(turns, engines, generator, choices)
        if starts:
            turns.begin(i)
            continue
        turns.runner.do(turns.ops[i])
        turns.end(i)
        ended += 1
        if progress and not ended % 1024:
            progress(ended)


def _choose(
    turns: Turns, engines: Engines, generator: random.Random, choices: list[tuple[bool, int]]
) -> tuple[bool, int]:
    if engines.favourite is not None:
        preferred = [c for c in choices if turns.ops[c[1]].queue == engines.favourite]
        return (preferred or choices)[0]
    return generator.choice(choices)


def _run_threads(turns: Turns) -> None:
    """A thread for each queue; a semaphore's count changes under one lock, tiles are moved and computed outside it."""
    changed = threading.Condition()
    errors: list[BaseException] = []

    def engine(queue: int) -> None:
        try:
            while True:
                with changed:
                    while not errors and turns.next(queue) is None and turns.at[queue] < len(turns.lanes[queue]):
                        if turns.stuck:
                            raise turns.deadlock()
                        changed.wait()
                    if errors or turns.at[queue] == len(turns.lanes[queue]):
                        return
                    i = turns.lanes[queue][turns.at[queue]]
                    turns.begin(i)
                with np.errstate(all="ignore"):  # each thread has its own
                    turns.runner.do(turns.ops[i])
                with changed:
                    turns.end(i)
                    changed.notify_all()
        except BaseException as error:  # what a thread raises would be lost
            with changed:
                errors.append(error)
                changed.notify_all()

    threads = [threading.Thread(target=engine, args=(queue,), daemon=True) for queue in turns.lanes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
