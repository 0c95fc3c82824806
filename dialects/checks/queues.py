"""Schedules with synchronisation made explicit: queues that run by themselves, and what keeps them from racing.

Every operation has a `queue` and runs after the one before it there. A `wait = [[q, n]]` holds it until queue q has
signalled n times; an operation with `signal` does so when it has ended. Two operations conflict where they touch the
same bytes, on chip or off, and one of them writes; a schedule is free of races if of each such pair the one that comes
first in the text is known to have ended when the other starts (vector clocks: Fidge 1988, Mattern 1989).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from ...ir.builtin import FuncOp
from ...ir.diagnostics import Diagnostic, are_enough
from ..opaque import opaque_ops
from ..sched import ExecOp, LoadOp, StoreOp
from ..tiles import tiled
from .dram import OffChip

Placed = LoadOp | ExecOp | StoreOp
Bytes = tuple[int, int]
Clock = tuple[int, ...]
"""For each queue, how many of its operations have ended."""


class Accesses(NamedTuple):
    """What an operation touches: bytes of the SRAM and bytes off chip."""

    reads: list[Bytes]
    writes: list[Bytes]
    off_reads: list[Bytes]
    off_writes: list[Bytes]


def placed_ops(func: FuncOp) -> list[Placed]:
    """The operations that engines carry out, in order."""
    return [op for op in func.ops if type(op) is LoadOp or type(op) is ExecOp or type(op) is StoreOp]


def accesses_of(op: Placed, off_chip: OffChip) -> Accesses:
    return Accesses(*_touched(op, off_chip))


def _touched(op: Placed, off_chip: OffChip) -> tuple[list[Bytes], list[Bytes], list[Bytes], list[Bytes]]:
    """The four lists of `Accesses`."""
    if isinstance(op, ExecOp):
        ranges = [(a, a + tiled(v).tile_bytes) for v, a in zip(op.operands, op.addrs, strict=True)]
        return ranges if op.accumulate else ranges[1:], ranges[:1], [], []
    value, address = op.operands[0], op.addrs[0]
    inside = [(address, address + tiled(value).tile_bytes)]
    outside = [off_chip.range(value, op.coords[0])]
    return ([], inside, outside, []) if isinstance(op, LoadOp) else (inside, [], [], outside)


class _Stretch:
    """Bytes with one history: the operation that wrote them last (or -1), and per queue the last that has read them
    since."""

    __slots__ = ("end", "readers", "start", "writer")

    def __init__(self, start: int, end: int, writer: int = -1, readers: dict[int, int] | None = None):
        self.start = start
        self.end = end
        self.writer = writer
        self.readers = readers or {}


class History:
    """Who has touched which bytes of one memory; operations are numbered in the text's order."""

    def __init__(self) -> None:
        self.stretches: dict[int, _Stretch] = {}
        self.starts: list[int] = []

    def overlapping(self, start: int, end: int) -> list[_Stretch]:
        at = bisect_left(self.starts, start)
        if at and self.stretches[self.starts[at - 1]].end > start:
            at -= 1
        found: list[_Stretch] = []
        while at < len(self.starts) and self.starts[at] < end:
            found.append(self.stretches[self.starts[at]])
            at += 1
        return found

    def read(self, start: int, end: int, queue: int, number: int) -> list[int]:
        """The operations that a read must come after; it is entered, for bytes that nobody has written too."""
        whole = self.stretches.get(start)
        if whole is not None and whole.end == end:
            whole.readers[queue] = number
            return [whole.writer] if whole.writer >= 0 else []
        found: list[int] = []
        for stretch in self._exactly(start, end):
            if stretch.writer >= 0:
                found.append(stretch.writer)
            stretch.readers[queue] = number
        return found

    def write(self, start: int, end: int, number: int) -> list[int]:
        """The operations that a write must come after; it is entered."""
        whole = self.stretches.get(start)
        covered = [whole] if whole is not None and whole.end == end else self._exactly(start, end)
        found: list[int] = []
        for stretch in covered:
            if stretch.writer >= 0:
                found.append(stretch.writer)
            found += stretch.readers.values()
        for stretch in covered[1:]:
            self._remove(stretch)
        covered[0].end, covered[0].writer, covered[0].readers = end, number, {}
        return found

    def _exactly(self, start: int, end: int) -> list[_Stretch]:
        """The stretches of just these bytes, in order: those that reach beyond are cut, gaps are filled."""
        covered = self.overlapping(start, end)
        found: list[_Stretch] = []
        at = start
        for stretch in covered:
            if at < stretch.start:
                found.append(self._add(_Stretch(at, stretch.start)))
            at = stretch.end
            found.append(self._trim(stretch, start, end))
        if at < end:
            found.append(self._add(_Stretch(at, end)))
        return found

    def _trim(self, stretch: _Stretch, start: int, end: int) -> _Stretch:
        """Cuts off what a stretch has outside of a range, as stretches of their own; the part inside."""
        if stretch.end > end:
            self._add(_Stretch(end, stretch.end, stretch.writer, dict(stretch.readers)))
            stretch.end = end
        if stretch.start >= start:
            return stretch
        inside = _Stretch(start, stretch.end, stretch.writer, dict(stretch.readers))
        stretch.end = start
        return self._add(inside)

    def _remove(self, stretch: _Stretch) -> None:
        del self.stretches[stretch.start]
        del self.starts[bisect_left(self.starts, stretch.start)]

    def _add(self, stretch: _Stretch) -> _Stretch:
        self.stretches[stretch.start] = stretch
        insort(self.starts, stretch.start)
        return stretch


class Conflicts:
    """For each operation in turn, those before it in the text that it must not overtake."""

    def __init__(self, func: FuncOp):
        self.off_chip = OffChip(func)
        self.sram, self.dram = History(), History()

    def before(self, op: Placed, queue: int, number: int) -> set[int]:
        reads, writes, off_reads, off_writes = _touched(op, self.off_chip)
        found: list[int] = []
        for start, end in reads:
            found += self.sram.read(start, end, queue, number)
        for start, end in writes:
            found += self.sram.write(start, end, number)
        for start, end in off_reads:
            found += self.dram.read(start, end, queue, number)
        for start, end in off_writes:
            found += self.dram.write(start, end, number)
        others = set(found)
        others.discard(number)
        return others


def queue_errors(func: FuncOp) -> list[Diagnostic]:
    """Races and deadlocks of a schedule with queues; nothing for one without."""
    ops = placed_ops(func)
    with_queue = [op for op in ops if op.queue is not None]
    if not with_queue:
        stray = [op for op in ops if op.wait is not None or op.signal is not None][:1]
        return [Diagnostic("'wait' and 'signal' need a 'queue'", op.loc) for op in stray]
    if len(with_queue) < len(ops):
        without = next(op for op in ops if op.queue is None)
        error = Diagnostic(f"{without.name} has no 'queue', while others have one", without.loc)
        return [error.note("the first one with a queue is here", with_queue[0].loc)]
    for opaque in opaque_ops(func)[:1]:
        message = f"{opaque.name} stands in a schedule with queues: nothing says what runs beside it"
        return [Diagnostic(message, opaque.loc)]
    mixed = _mixed_queue(ops)
    if mixed is not None:
        return [mixed]
    clocks, errors = _clocks(ops)
    return errors or _races(func, ops, clocks)


def _queues(ops: list[Placed]) -> list[int]:
    """The queue of each operation, where all have one."""
    return [op.queue for op in ops if op.queue is not None]


def _mixed_queue(ops: list[Placed]) -> Diagnostic | None:
    """An engine either computes or moves."""
    first: dict[int, Placed] = {}
    for op in ops:
        assert op.queue is not None
        other = first.setdefault(op.queue, op)
        if isinstance(op, ExecOp) != isinstance(other, ExecOp):
            message = f"queue {op.queue} holds both execs and transfers; an engine does one of them"
            return Diagnostic(message, op.loc, focus="queue").note("the first of the others is here", other.loc)
    return None


def numbers_in_queues(queues: Sequence[int]) -> list[int]:
    """For each operation, which of its queue it is, from 1."""
    counts: dict[int, int] = {}
    found: list[int] = []
    for queue in queues:
        counts[queue] = counts.get(queue, 0) + 1
        found.append(counts[queue])
    return found


def _clocks(ops: list[Placed]) -> tuple[list[Clock], list[Diagnostic]]:
    """What each operation knows to have ended when it starts, by running the queues; or the deadlock they run into."""
    queues = _queues(ops)
    lanes = lanes_of(queues)
    signals = signals_of(ops, lanes)
    slot = {queue: s for s, queue in enumerate(lanes)}
    slots = [slot[queue] for queue in queues]
    place = numbers_in_queues(queues)
    clocks: list[Clock] = [()] * len(ops)

    def start(i: int, before: int) -> bool:
        targets = wait_targets(ops[i], signals)
        if targets is None:
            return False
        clock = list(clocks[before]) if before >= 0 else [0] * len(lanes)
        clock[slots[i]] = place[i] - 1
        for t in targets:
            if not clocks[t]:
                return False
            clock = list(map(max, clock, clocks[t]))
            clock[slots[t]] = max(clock[slots[t]], place[t])
        clocks[i] = tuple(clock)
        return True

    stuck = run_lanes(lanes, start)
    return clocks, [_deadlock(ops[i], signals) for i in stuck]


def lanes_of(queues: Sequence[int]) -> dict[int, list[int]]:
    """The operations of each queue, by number; the queues in order."""
    lanes: dict[int, list[int]] = {queue: [] for queue in sorted(set(queues))}
    for i, queue in enumerate(queues):
        lanes[queue].append(i)
    return lanes


def signals_of(ops: Sequence[Placed], lanes: dict[int, list[int]]) -> dict[int, list[int]]:
    """The operations of each queue that signal, in order."""
    return {queue: [i for i in lane if ops[i].signal is not None] for queue, lane in lanes.items()}


def run_lanes(lanes: dict[int, list[int]], start: Callable[[int, int], bool]) -> list[int]:
    """Runs queues by turns, each as far as it goes: `start` takes an operation and the one before it in its queue (-1
    for none), and says whether it could start. Returns those at which queues are stuck."""
    at = dict.fromkeys(lanes, 0)
    moved = True
    while moved:
        moved = False
        for queue, lane in lanes.items():
            while at[queue] < len(lane) and start(lane[at[queue]], lane[at[queue] - 1] if at[queue] else -1):
                at[queue] += 1
                moved = True
    return [lane[at[queue]] for queue, lane in lanes.items() if at[queue] < len(lane)]


def wait_targets(op: Placed, signals: dict[int, list[int]]) -> list[int] | None:
    """The operations whose signals an operation waits for; None if there are not so many."""
    found: list[int] = []
    for queue, count in op.wait or ():
        if len(signals.get(queue, ())) < count:
            return None
        found.append(signals[queue][count - 1])
    return found


def _deadlock(op: Placed, signals: dict[int, list[int]]) -> Diagnostic:
    for queue, count in op.wait or ():
        there = len(signals.get(queue, ()))
        if there < count:
            message = f"waits for signal {count} of queue {queue}, which gives {there}: it never starts"
            return Diagnostic(message, op.loc, focus="wait")
    return Diagnostic(f"deadlock: queue {op.queue} can't go on from here", op.loc, focus="wait")


def _races(func: FuncOp, ops: list[Placed], clocks: list[Clock]) -> list[Diagnostic]:
    queues = _queues(ops)
    slot = {queue: s for s, queue in enumerate(sorted(set(queues)))}
    place = numbers_in_queues(queues)
    conflicts = Conflicts(func)
    errors: list[Diagnostic] = []
    lanes = [slot[queue] for queue in queues]
    for i, op in enumerate(ops):
        own, clock = lanes[i], clocks[i]
        before = conflicts.before(op, queues[i], i)
        for other in sorted([b for b in before if lanes[b] != own and clock[lanes[b]] < place[b]]):
            first = ops[other]
            message = f"race: nothing makes this wait for queue {first.queue}'s operation {place[other]}"
            errors.append(Diagnostic(message, op.loc).note("it touches the same bytes here", first.loc))
            if are_enough(errors, op.loc):
                return errors
    return errors


def needed_waits(func: FuncOp, ops: list[Placed], queues: Sequence[int]) -> Iterable[tuple[int, list[int]]]:
    """For each operation, by number, the operations of other queues whose ends it must wait for: one a queue at most,
    and none that the others, or what its queue has waited for before, imply (a transitive reduction)."""
    count = max(queues, default=-1) + 1
    place = numbers_in_queues(queues)
    known = [[0] * count for _ in range(count)]
    clocks: list[Clock] = []
    conflicts = Conflicts(func)
    for i, op in enumerate(ops):
        own = known[queues[i]]
        latest: dict[int, int] = {}
        for other in conflicts.before(op, queues[i], i):
            queue = queues[other]
            if queue != queues[i] and place[other] > own[queue]:
                latest[queue] = max(latest.get(queue, -1), other)
        kept = [
            other for queue, other in sorted(latest.items())
            if not any(t != other and clocks[t][queue] >= place[other] for t in latest.values())
        ]  # fmt: skip
        for other in latest.values():
            own[:] = [max(a, b) for a, b in zip(own, clocks[other], strict=True)]
            own[queues[other]] = max(own[queues[other]], place[other])
        own[queues[i]] = place[i] - 1
        clocks.append(tuple(own))
        yield i, kept
