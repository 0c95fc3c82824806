"""Runs a schedule on a real byte array, at the schedule's addresses.

Nothing of the verifier is used here. With poisoning, every byte is poison before a tile is written to it and after the
last read of it before it is overwritten; reading poison is an error at the operation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import gcd
from typing import Any, NamedTuple

import numpy as np

from ..dialects.checks.queues import Placed
from ..dialects.kernels import KERNELS, Call
from ..dialects.sched import ExecOp, LoadOp, StoreOp
from ..dialects.tiles import Coord, TiledType, tile_text
from ..dialects.uop import AllocOp
from ..ir.attributes import UNIT
from ..ir.builtin import FuncOp
from ..ir.core import Operation, Value
from ..ir.diagnostics import fail
from .buffers import POISON, Buffer, execute, valid_part
from .numerics import FLOAT32, Array, activate, numpy_dtype
from .recorded import Recorder
from .room import check_address
from .uop import read_off_chip

CHUNK = 1024
"""Operations between two reports of progress."""


class SchedRun:
    """One run of a scheduled function on `total` bytes of SRAM. `buffers` are the off-chip buffers."""

    def __init__(
        self,
        buffers: dict[Value, Buffer],
        total: int,
        poison: bool = True,
        wrap: bool = False,
        recorder: Recorder | None = None,
    ):
        self.buffers = buffers
        self.wrap = wrap
        self.recorder = recorder
        self.total = total
        self.poison = poison
        self.sram = np.full(0, POISON, np.uint8)
        self.views: dict[Value, dict[int, Array]] = {}
        self.off_chip: dict[Value, dict[Coord, Array]] = {}
        self.padded: set[Value] = set()
        self.scratch: dict[Value, Call] = {}
        self.mixed = False

    def run(self, func: FuncOp, progress: Callable[[int], None] | None = None) -> None:
        """Runs all operations. Raises `DiagnosticError` for a read of poison or an address beyond the SRAM."""
        ops = self.prepare(func)
        guard = Guard(ops, self.sram, self.total, self.buffers) if self.poison else None
        steps = self.steps()
        for start in range(0, len(ops), CHUNK):
            if progress:
                progress(start)
            if guard is None:
                for op in ops[start : start + CHUNK]:
                    steps[type(op)](op)
                continue
            for i, op in enumerate(ops[start : start + CHUNK], start):
                guard.before(i, op)
                steps[type(op)](op)
                guard.after(i)

    def steps(self) -> dict[type, Any]:
        """How to carry out each kind of operation."""
        if self.recorder is None:
            return {LoadOp: self.load, ExecOp: self.exec, StoreOp: self.store}
        return {LoadOp: self.load, ExecOp: self.recorded_exec, StoreOp: self.recorded_store}

    def recorded_exec(self, op: ExecOp) -> None:
        self.exec(op)
        assert self.recorder is not None
        self.recorder.after(op, self.views[op.operands[0]][op.addrs[0]])

    def recorded_store(self, op: StoreOp) -> None:
        self.store(op)
        assert self.recorder is not None
        self.recorder.after(op, self.buffers[op.operands[0]].tiles[op.coords[0]])

    def prepare(self, func: FuncOp) -> list[Placed]:
        """The operations in order, once there are an SRAM and off-chip buffers for them."""
        ops = [op for op in func.ops if isinstance(op, (LoadOp, ExecOp, StoreOp))]
        for op in func.ops:
            if isinstance(op, AllocOp):
                assert isinstance(op.result.type, TiledType)
                self.buffers[op.result] = Buffer(op.result.type)
        ends = (a + size_of(v) for op in ops for v, a in zip(op.operands, op.addrs, strict=True))
        end = max((end for end in ends if end <= self.total), default=0)
        check_address(end, func.loc)
        self.sram = np.full(end, POISON, np.uint8)
        self.views = {value: {} for value in self.buffers}
        self.off_chip = {value: {} for value in self.buffers}
        self.padded = {v for v, buffer in self.buffers.items() if buffer.type.is_padded}
        self.mixed = len({len(v.type.tile) for v in self.buffers if isinstance(v.type, TiledType)} - {1}) > 1
        self.scratch = {
            v: Call((), FLOAT32, np.empty(b.type.tile, FLOAT32))
            for v, b in self.buffers.items()
            if v not in self.padded and b.type.dtype == "f32"
        }
        return ops

    def at(self, op: Placed, index: int) -> Array:
        """The tile-shaped view of the SRAM at an operand's address, made once."""
        value, address = op.operands[index], op.addrs[index]
        type = value.type
        assert isinstance(type, TiledType)
        name = f"{tile_text(value, op.coords[index])} @0x{address:04x}"
        if address + type.tile_bytes > self.total:
            fail(f"{name} ends beyond the SRAM's {self.total:,} bytes", op.loc, name)
        view = self.sram[address : address + type.tile_bytes].view(numpy_dtype(type.dtype)).reshape(type.tile)
        self.views[value][address] = view
        return view

    def load(self, op: LoadOp) -> None:
        (value,), (coord,) = op.operands, op.coords
        view = self.views[value].get(op.addrs[0])
        if view is None:
            view = self.at(op, 0)
        tile = self.off_chip[value].get(coord)
        if tile is None:
            tile = self.off_chip[value][coord] = read_off_chip(op, self.buffers[value], value, coord)
        view[...] = tile

    def exec(self, op: ExecOp) -> None:
        found = self.views
        try:
            views = [found[v][a] for v, a in zip(op.operands, op.addrs, strict=True)]
        except KeyError:
            views = [self.at(op, k) for k in range(len(op.addrs))]
        value = op.operands[0]
        turned = op.transpose_a is not None or op.transpose_b is not None
        as_it_is = op.activation is None and not turned and op.axis is op.steps is None and not self.mixed
        if as_it_is and op.accumulate and value in self.scratch:
            dst = views[0]  # what nearly all execs do, without the way through `execute`
            dst += KERNELS[op.kernel].meaning(np, self.scratch[value], *views[1:])
            return
        part = None
        if value in self.padded:
            assert isinstance(value.type, TiledType)
            part = valid_part(value.type, op.coords[0])
        execute(op, views[0], views[1:], part, self.wrap)

    def store(self, op: StoreOp) -> None:
        (value,), (coord,) = op.operands, op.coords
        view = self.views[value].get(op.addrs[0])
        if view is None:
            view = self.at(op, 0)
        buffer = self.buffers[value]
        buffer.tiles[coord] = activate(view, op)
        buffer.stored[coord] = op


def size_of(value: Value) -> int:
    """Bytes of a tile of a buffer."""
    return value.type.tile_bytes  # type: ignore[attr-defined]


class Span(NamedTuple):
    """A range of SRAM bytes and of granules, and as many set and clear flags as it has granules."""

    start: int
    end: int
    first: int
    last: int
    set: bytes
    clear: bytes


class Guard:
    """Keeps the poison: which granules of the SRAM hold bytes that may be read, and when they stop being of use.

    A granule is the greatest common divisor of all addresses and sizes, in bytes.
    """

    def __init__(self, ops: list[Placed], sram: Array, total: int, buffers: Iterable[Value]):
        self.sram = sram
        self.total = total
        sizes = {size_of(v) for v in buffers}
        self.grain = gcd(*sizes, *{a for op in ops for a in op.addrs}) or 1
        self.spans: dict[tuple[int, int], Span] = {}
        self.moves = [self.moves_of(op) for op in ops]
        self.live = bytearray(-(-len(sram) // self.grain))
        self.ends = self._last_uses(ops)

    def span(self, address: int, size: int) -> Span:
        """The range, made once."""
        first, last = address // self.grain, (address + size) // self.grain
        made = Span(address, address + size, first, last, b"\1" * (last - first), bytes(last - first))
        self.spans[(address, size)] = made
        return made

    def moves_of(self, op: Placed) -> tuple[list[Span], list[Span]]:
        """What an operation reads and what it writes."""
        spans = [
            self.spans.get((a, v.type.tile_bytes)) or self.span(a, size_of(v))  # type: ignore[attr-defined]
            for v, a in zip(op.operands, op.addrs, strict=True)
        ]
        if isinstance(op, LoadOp):
            return [], spans
        if isinstance(op, StoreOp):
            return spans, []
        return (spans if op.accumulate else spans[1:]), spans[:1]

    def _last_uses(self, ops: list[Placed]) -> list[list[Span]]:
        """For each operation the ranges that nobody reads after it before they are overwritten."""
        wanted = bytearray(len(self.live))
        ends: list[list[Span]] = [[] for _ in ops]
        for i in range(len(ops) - 1, -1, -1):
            reads, writes = self.moves[i]
            op = ops[i]
            ended = isinstance(op, StoreOp) and op.retain is not UNIT
            for span in reads if not writes else reads + writes:
                flags = wanted[span.first : span.last]
                if ended or flags == span.clear:
                    ends[i].append(span)
                elif flags != span.set:
                    unread = (k for k, flag in enumerate(flags, span.first) if not flag)
                    ends[i] += [self.span(k * self.grain, self.grain) for k in unread]
            for span in writes:
                wanted[span.first : span.last] = span.clear
            for span in reads:
                wanted[span.first : span.last] = span.set
        return ends

    def before(self, i: int, op: Placed) -> None:
        """Raises `DiagnosticError` if the operation reads poison."""
        live = self.live
        for span in self.moves[i][0]:
            if live[span.first : span.last] != span.set:
                self._complain(op, span.start)

    def _complain(self, op: Operation, address: int) -> None:
        assert isinstance(op, (ExecOp, StoreOp))
        index = max(k for k, a in enumerate(op.addrs) if a == address)
        name = f"{tile_text(op.operands[index], op.coords[index])} @0x{address:04x}"
        if address + size_of(op.operands[index]) > self.total:
            fail(f"{name} ends beyond the SRAM's {self.total:,} bytes", op.loc, name)
        fail(f"{name} is read, but there is poison", op.loc, name)

    def after(self, i: int) -> None:
        """Books what has been written, and poisons what is of no further use."""
        live = self.live
        for span in self.moves[i][1]:
            live[span.first : span.last] = span.set
        for span in self.ends[i]:
            live[span.first : span.last] = span.clear
            self.sram[span.start : span.end] = POISON
