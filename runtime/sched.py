"""Runs a schedule on a real byte array, at the schedule's addresses.

Nothing of the verifier is used here. With poisoning, every byte is poison before a tile is written to it and after the
last read of it before it is overwritten; reading poison is an error at the operation.
"""

from __future__ import annotations

from collections.abc import Callable
from math import gcd
from typing import Any, NamedTuple

import numpy as np

from ..dialects.sched import ExecOp, LoadOp, StoreOp
from ..dialects.tiles import Coord, TiledType, tile_text
from ..dialects.uop import AllocOp
from ..ir.attributes import UNIT
from ..ir.builtin import FuncOp
from ..ir.core import Operation, Value
from ..ir.diagnostics import fail
from .buffers import POISON, Buffer, execute, valid_part
from .numerics import Array, activate, numpy_dtype
from .uop import read_off_chip

Placed = LoadOp | ExecOp | StoreOp


class SchedRun:
    """One run of a scheduled function on `total` bytes of SRAM. `buffers` are the off-chip buffers."""

    def __init__(self, buffers: dict[Value, Buffer], total: int, poison: bool = True):
        self.buffers = buffers
        self.total = total
        self.poison = poison
        self.sram = np.full(total, POISON, np.uint8)
        self.views: dict[tuple[int, int], Array] = {}
        self.parts: dict[tuple[Value, Coord], tuple[int, ...] | None] = {}
        self.types: dict[Value, tuple[int, TiledType]] = {}

    def run(self, func: FuncOp, progress: Callable[[int], None] | None = None) -> None:
        """Runs all operations. Raises `DiagnosticError` for a read of poison or an address beyond the SRAM."""
        ops = [op for op in func.ops if isinstance(op, (LoadOp, ExecOp, StoreOp))]
        for op in func.ops:
            if isinstance(op, AllocOp):
                assert isinstance(op.result.type, TiledType)
                self.buffers[op.result] = Buffer(op.result.type)
        for op in ops:
            self.check_range(op)
        guard = Guard(ops, self.sram) if self.poison else None
        steps: dict[type, Any] = {LoadOp: self.load, ExecOp: self.exec, StoreOp: self.store}
        for i, op in enumerate(ops):
            if progress and not i % 1024:
                progress(i)
            if guard:
                guard.before(i, op)
            steps[type(op)](op)
            if guard:
                guard.after(i)

    def check_range(self, op: Placed) -> None:
        for value, coord, address in zip(op.operands, op.coords, op.addrs, strict=True):
            if address + size_of(value) > self.total:
                message = f"{tile_text(value, coord)} @0x{address:04x} ends beyond the SRAM's {self.total:,} bytes"
                fail(message, op.loc, f"@0x{address:04x}")

    def at(self, value: Value, address: int) -> Array:
        """The tile-shaped view of the SRAM at an address."""
        known = self.types.get(value)
        if known is None:
            assert isinstance(value.type, TiledType)
            same = next((number for number, type in self.types.values() if type == value.type), len(self.types))
            known = self.types[value] = (same, value.type)
        number, type = known
        view = self.views.get((address, number))
        if view is None:
            raw = self.sram[address : address + type.tile_bytes]
            if address % numpy_dtype(type.dtype).itemsize:
                fail(f"address 0x{address:04x} is not aligned to an element of {type.dtype}")
            view = self.views[(address, number)] = raw.view(numpy_dtype(type.dtype)).reshape(type.tile)
        return view

    def load(self, op: LoadOp) -> None:
        (value,), (coord,) = op.operands, op.coords
        self.at(value, op.addrs[0])[...] = read_off_chip(op, self.buffers[value], value, coord)

    def exec(self, op: ExecOp) -> None:
        views = [self.at(v, a) for v, a in zip(op.operands, op.addrs, strict=True)]
        key = (op.operands[0], op.coords[0])
        if key not in self.parts:
            assert isinstance(key[0].type, TiledType)
            self.parts[key] = valid_part(key[0].type, key[1])
        execute(op, views[0], views[1:], self.parts[key])

    def store(self, op: StoreOp) -> None:
        (value,), (coord,) = op.operands, op.coords
        buffer = self.buffers[value]
        buffer.tiles[coord] = activate(self.at(value, op.addrs[0]), op.activation)
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

    def __init__(self, ops: list[Placed], sram: Array):
        self.sram = sram
        self.grain = gcd(
            *{x for op in ops for v, a in zip(op.operands, op.addrs, strict=True) for x in (a, size_of(v))}
        )
        self.grain = self.grain or 1
        self.spans: dict[tuple[int, int], Span] = {}
        self.moves = [self.moves_of(op) for op in ops]
        self.live = bytearray(-(-len(sram) // self.grain))
        self.ends = self._last_uses(ops)

    def span(self, address: int, size: int) -> Span:
        found = self.spans.get((address, size))
        if found is None:
            first, last = address // self.grain, (address + size) // self.grain
            count = last - first
            found = self.spans[(address, size)] = Span(
                address, address + size, first, last, b"\1" * count, bytes(count)
            )
        return found

    def moves_of(self, op: Placed) -> tuple[list[Span], list[Span]]:
        """What an operation reads and what it writes."""
        spans = [self.span(a, size_of(v)) for v, a in zip(op.operands, op.addrs, strict=True)]
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
        name = tile_text(op.operands[index], op.coords[index])
        fail(f"{name} @0x{address:04x} is read, but there is poison", op.loc, f"{name} @0x{address:04x}")

    def after(self, i: int) -> None:
        """Books what has been written, and poisons what is of no further use."""
        live = self.live
        for span in self.moves[i][1]:
            live[span.first : span.last] = span.set
        for span in self.ends[i]:
            live[span.first : span.last] = span.clear
            self.sram[span.start : span.end] = POISON
