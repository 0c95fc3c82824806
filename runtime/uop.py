"""Runs a uop function: tiles come and go on an on-chip memory without limits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..dialects.tile_ops import ExecBase, StoreBase
from ..dialects.tiles import Coord, TiledType, TileRef, tile_text
from ..dialects.uop import AllocOp, ExecOp, LoadOp, StoreOp
from ..ir.attributes import UNIT
from ..ir.builtin import FuncOp
from ..ir.core import Operation, Value
from ..ir.diagnostics import fail
from .buffers import Buffer, execute, valid_part
from .numerics import Array, activate, numpy_dtype
from .recorded import Recorder


class UopRun:
    """One run of a uop function. `buffers` are the off-chip buffers, `chip` the tiles on chip."""

    def __init__(self, buffers: dict[Value, Buffer], wrap: bool = False, recorder: Recorder | None = None):
        self.buffers = buffers
        self.wrap = wrap
        self.recorder = recorder
        self.chip: dict[TileRef, Array] = {}

    def run(self, func: FuncOp, progress: Callable[[int], None] | None = None) -> None:
        """Runs all operations. Raises `DiagnosticError` where a tile is read that is not there."""
        for i, op in enumerate(func.ops):
            if progress and not i % 1024:
                progress(i)
            if isinstance(op, AllocOp):
                assert isinstance(op.result.type, TiledType)
                self.buffers[op.result] = Buffer(op.result.type)
            elif isinstance(op, LoadOp):
                self.load(op)
            elif isinstance(op, ExecOp):
                self.exec(op)
            elif isinstance(op, StoreOp):
                self.store(op)

    def load(self, op: LoadOp) -> None:
        ref = (op.operands[0], op.coords[0])
        if ref not in self.chip:
            self.chip[ref] = read_off_chip(op, self.buffers[ref[0]], *ref).copy()

    def on_chip(self, op: Operation, ref: TileRef) -> Array:
        tile = self.chip.get(ref)
        if tile is None:
            fail(f"{tile_text(*ref)} is read, but it is not on chip", op.loc, tile_text(*ref))
        return tile

    def exec(self, op: ExecBase) -> None:
        refs = list(zip(op.operands, op.coords, strict=True))
        sources = [self.on_chip(op, ref) for ref in refs[1:]]
        type = refs[0][0].type
        assert isinstance(type, TiledType)
        if op.accumulate:
            dst = self.on_chip(op, refs[0])
        else:
            dst = self.chip.setdefault(refs[0], np.empty(type.tile, numpy_dtype(type.dtype)))
        execute(op, dst, sources, valid_part(type, refs[0][1]), self.wrap)
        if self.recorder is not None:
            self.recorder.after(op, dst)

    def store(self, op: StoreBase) -> None:
        ref = (op.operands[0], op.coords[0])
        buffer = self.buffers[ref[0]]
        buffer.tiles[ref[1]] = activate(self.on_chip(op, ref), op)
        buffer.stored[ref[1]] = op
        if self.recorder is not None:
            self.recorder.after(op, buffer.tiles[ref[1]])
        if op.retain is not UNIT:
            del self.chip[ref]


def read_off_chip(op: Operation, buffer: Buffer, value: Value, coord: Coord) -> Array:
    """A tile of an off-chip buffer. Raises `DiagnosticError` if nobody has stored it."""
    if coord not in buffer.stored:
        fail(
            f"{tile_text(value, coord)} is read off chip, but it was never stored there",
            op.loc,
            tile_text(value, coord),
        )
    return buffer.tiles[coord]
