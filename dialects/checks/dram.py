"""Off-chip addresses: from when to when each `uop.alloc` holds bytes off chip, and that no two of them clash."""

from __future__ import annotations

from ...ir.builtin import FuncOp
from ...ir.core import Value
from ...ir.diagnostics import Diagnostic
from ..opaque import OpaqueOp
from ..placement_limits import off_chip_bytes
from ..sched import LoadOp, StoreOp
from ..tiles import Coord, tiled
from ..uop import AllocOp, is_alloc


def off_chip_ranges(func: FuncOp) -> dict[Value, tuple[int, int]]:
    """The live range [start, end) off chip of each alloc that is stored, in numbers of operations: from its first store
    to its last load (or store, or opaque read), to the end for what is returned."""
    ranges: dict[Value, tuple[int, int]] = {}
    for i, op in enumerate(func.ops):
        if isinstance(op, (LoadOp, StoreOp)) and is_alloc(op.operands[0]):
            value = op.operands[0]
            ranges[value] = (ranges[value][0] if value in ranges else i, i + 1)
        elif isinstance(op, OpaqueOp):
            ranges |= {value: (ranges[value][0], i + 1) for value in op.operands if value in ranges}
    for value in func.returned():
        if value in ranges:
            ranges[value] = (ranges[value][0], len(func.ops) + 1)
    return ranges


def dram_errors(func: FuncOp) -> list[Diagnostic]:
    """Two allocs that hold bytes at one off-chip address at once; an address of what is never off chip."""
    allocs = [op for op in func.ops if type(op) is AllocOp and op.dram is not None]
    if not allocs:
        return []
    ranges = off_chip_ranges(func)
    placed: list[tuple[int, int, tuple[int, int], AllocOp]] = []
    errors: list[Diagnostic] = []
    for op in allocs:
        value = op.results[0]
        if value not in ranges:
            errors.append(
                Diagnostic(f"%{value.name} has a 'dram' address, but it is never stored", op.loc, focus="dram")
            )
            continue
        assert op.dram is not None
        start = op.dram
        placed.append((start, start + off_chip_bytes(tiled(value)), ranges[value], op))
    placed.sort(key=lambda p: p[2])
    for i, (start, end, (begin, until), op) in enumerate(placed):
        for other_start, other_end, (other_begin, other_until), other in placed[:i]:
            if start < other_end and other_start < end and begin < other_until and other_begin < until:
                message = (
                    f"%{op.results[0].name} and %{other.results[0].name} share bytes off chip while both are in use"
                )
                errors.append(Diagnostic(message, op.loc, focus="dram").note("the other one is here", other.loc))
    return errors


class OffChip:
    """Where each buffer's tiles lie off chip: at its `dram` address, or in a place of its own."""

    def __init__(self, func: FuncOp):
        self.bases: dict[Value, int] = {}
        self.free = 0
        for op in func.ops:
            if isinstance(op, AllocOp) and op.dram is not None:
                self.bases[op.result] = op.dram
                self.free = max(self.free, op.dram + off_chip_bytes(tiled(op.result)))

    def range(self, value: Value, coord: Coord) -> tuple[int, int]:
        """The bytes [start, end) of a tile, in an address space that all buffers share."""
        type = tiled(value)
        base = self.bases.get(value)
        if base is None:
            base = self.bases[value] = self.free
            self.free += off_chip_bytes(type)
        start = base + type.number(coord) * type.tile_bytes
        return start, start + type.tile_bytes
