"""What a schedule takes in time: in-order engines that wait for each other.

Every operation has a queue, in which it waits for the one before it. It starts when nothing that it needs is in use:
bytes of the SRAM that it reads have been written (read after write), those that it writes have been read by all that
read them before (write after read) and written (write after write); the same for tiles off chip. That is the model of
a scoreboard of in-order engines (Thornton, 1964, "Parallel Operation in the Control Data 6600"). Linear in operations.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from .units import ceil_div

NOBODY = -1


class TimedOp(NamedTuple):
    """An operation: its queue, how many cycles it takes, the ranges [start, end) of SRAM bytes that it reads and
    writes, the numbers of the off-chip tiles that it reads and writes (NOBODY: none). `buffer` is the number of the
    off-chip buffer that the tile belongs to, if it shares bytes with others, whose numbers are `aliases`: any two of
    their tiles may overlap.
    """

    queue: int
    cycles: int
    reads: tuple[tuple[int, int], ...] = ()
    writes: tuple[tuple[int, int], ...] = ()
    tile_read: int = NOBODY
    tile_written: int = NOBODY
    buffer: int = NOBODY
    aliases: tuple[int, ...] = ()


@dataclass(slots=True)
class Timeline:
    """When each operation starts and ends, in cycles; what it waited for beyond its queue (a cause, or ""), and the
    operation that kept it."""

    queues: int
    start: list[int] = field(default_factory=list[int])
    end: list[int] = field(default_factory=list[int])
    cause: list[str] = field(default_factory=list[str])
    by: list[int] = field(default_factory=list[int])
    busy: list[int] = field(default_factory=list[int])
    stalls: list[Counter[str]] = field(default_factory=list[Counter[str]])

    @property
    def makespan(self) -> int:
        """When the last operation ends, in cycles."""
        return max(self.end, default=0)


@dataclass(slots=True)
class _Span:
    """Bytes of the SRAM: who wrote them last and when that ends; the last end of those that have read them since."""

    start: int
    end: int
    written: int = 0
    writer: int = NOBODY
    read: int = 0
    reader: int = NOBODY


class Spans:
    """The SRAM as disjoint ranges of bytes, each with its last writer and reader."""

    def __init__(self) -> None:
        self.spans: dict[int, _Span] = {}
        self.starts: list[int] = []

    def overlapping(self, start: int, end: int) -> list[_Span]:
        """The ranges that share a byte with [start, end), in address order."""
        exact = self.spans.get(start)
        if exact is not None and exact.end == end:
            return [exact]
        at = bisect_left(self.starts, start)
        found: list[_Span] = []
        if at and self.spans[self.starts[at - 1]].end > start:
            found.append(self.spans[self.starts[at - 1]])
        while at < len(self.starts) and self.starts[at] < end:
            found.append(self.spans[self.starts[at]])
            at += 1
        return found

    def read(self, start: int, end: int, time: int, reader: int) -> None:
        """The range is read until a time; what it overlaps is cut, so that nothing else counts as read."""
        exact = self.spans.get(start)
        if exact is None or exact.end != end:
            for span in self._cut(start, end):
                _book_read(span, time, reader)
            return
        _book_read(exact, time, reader)

    def write(self, start: int, end: int, time: int, writer: int) -> None:
        """The range has one writer now; what is left of the ranges that it overlaps keeps theirs."""
        exact = self.spans.get(start)
        if exact is not None and exact.end == end:
            exact.written, exact.writer, exact.read, exact.reader = time, writer, 0, NOBODY
            return
        for span in self._cut(start, end):
            self._drop(span)
        self._add(_Span(start, end, time, writer))

    def _cut(self, start: int, end: int) -> list[_Span]:
        """The spans of exactly a range, new ones where nothing was known."""
        found: list[_Span] = []
        at = start
        for span in self.overlapping(start, end):
            if at < span.start:
                found.append(self._add(_Span(at, span.start)))
            self._drop(span)
            for left, right in ((span.start, start), (max(span.start, start), min(span.end, end)), (end, span.end)):
                if left < right:
                    part = self._add(_Span(left, right, span.written, span.writer, span.read, span.reader))
                    if start <= left and right <= end:
                        found.append(part)
            at = span.end
        if at < end:
            found.append(self._add(_Span(at, end)))
        return found

    def _drop(self, span: _Span) -> None:
        del self.spans[span.start]
        del self.starts[bisect_left(self.starts, span.start)]

    def _add(self, span: _Span) -> _Span:
        self.spans[span.start] = span
        insort(self.starts, span.start)
        return span


def _book_read(span: _Span, end: int, number: int) -> None:
    if end > span.read:
        span.read, span.reader = end, number


@dataclass(slots=True)
class _OffChip:
    """Tiles off chip by number, and the buffers that share bytes with others."""

    tiles: dict[int, _Span] = field(default_factory=dict[int, _Span])
    buffers: dict[int, _Span] = field(default_factory=dict[int, _Span])


def simulate(ops: Sequence[TimedOp], queues: int) -> Timeline:
    """Runs operations in order on so many queues; each starts as soon as its queue and its hazards let it."""
    line = Timeline(queues, busy=[0] * queues, stalls=[Counter() for _ in range(queues)])
    free = [0] * queues
    sram = Spans()
    off_chip = _OffChip()
    for number, op in enumerate(ops):
        ready, by, cause = _ready(op, sram)
        if op.tile_read != NOBODY or op.tile_written != NOBODY:
            ready, by, cause = _ready_off_chip(op, off_chip, (ready, by, cause))
        queue = op.queue
        start = max(ready, free[queue])
        end = free[queue] + op.cycles if start == free[queue] else start + op.cycles
        if ready > free[queue]:
            line.stalls[queue][cause] += ready - free[queue]
        else:
            by, cause = NOBODY, ""
        line.start.append(start)
        line.end.append(end)
        line.cause.append(cause)
        line.by.append(by)
        line.busy[queue] += op.cycles
        free[queue] = end
        _book(op, number, end, sram, off_chip)
    return line


Hazard = tuple[int, int, str]
"""Until when (in cycles) an operation has to wait, for which operation, and why: a data hazard, in the terms of
Hennessy and Patterson, Computer Architecture: A Quantitative Approach, appendix C."""


def _ready(op: TimedOp, sram: Spans) -> Hazard:
    """When nothing in the SRAM keeps an operation; the last operation that does."""
    ready, by, cause = 0, NOBODY, ""
    for start, end in op.reads:
        for span in sram.overlapping(start, end):
            if span.written > ready:
                ready, by, cause = span.written, span.writer, "read after write"
    for start, end in op.writes:
        for span in sram.overlapping(start, end):
            if span.read > ready:
                ready, by, cause = span.read, span.reader, "write after read"
            if span.written > ready:
                ready, by, cause = span.written, span.writer, "write after write"
    return ready, by, cause


def _ready_off_chip(op: TimedOp, off_chip: _OffChip, wait: Hazard) -> Hazard:
    """The same for the tile off chip and for what shares bytes with its buffer."""
    ready, by, cause = wait
    own = off_chip.tiles.get(op.tile_read if op.tile_read != NOBODY else op.tile_written)
    others = [off_chip.buffers[b] for b in op.aliases if b in off_chip.buffers]
    for span in others if own is None else (own, *others):
        if op.tile_read != NOBODY:
            if span.written > ready:
                ready, by, cause = span.written, span.writer, "off-chip read after write"
            continue
        if span.read > ready:
            ready, by, cause = span.read, span.reader, "off-chip write after read"
        if span.written > ready:
            ready, by, cause = span.written, span.writer, "off-chip write after write"
    return ready, by, cause


def _book(op: TimedOp, number: int, end: int, sram: Spans, off_chip: _OffChip) -> None:
    for first, stop in op.reads:
        sram.read(first, stop, end, number)
    for first, stop in op.writes:
        sram.write(first, stop, end, number)
    if op.tile_read != NOBODY:
        _book_read(off_chip.tiles.setdefault(op.tile_read, _Span(0, 0)), end, number)
        if op.aliases:
            _book_read(off_chip.buffers.setdefault(op.buffer, _Span(0, 0)), end, number)
    if op.tile_written != NOBODY:
        off_chip.tiles[op.tile_written] = _Span(0, 0, end, number)
        if op.aliases:
            span = off_chip.buffers.setdefault(op.buffer, _Span(0, 0))
            if end > span.written:
                span.written, span.writer = end, number


def one_at_a_time(ops: Sequence[TimedOp]) -> int:
    """The makespan if nothing overlapped, in cycles."""
    return sum(op.cycles for op in ops)


def makespan_bound(ops: Sequence[TimedOp], queues: int, computing: int = 1) -> int:
    """The lower bound in cycles: no order of these operations takes less on these engines. The last `computing` queues
    share the execs, the others the transfers."""
    moving = queues - computing
    compute = sum(op.cycles for op in ops if op.queue >= moving)
    moves = sum(op.cycles for op in ops if op.queue < moving)
    return max(ceil_div(compute, computing), ceil_div(moves, max(moving, 1)))
