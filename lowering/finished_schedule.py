"""What every scheduled function has in the end, whichever pass made it: tidy allocs, off-chip addresses, statistics."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate
from typing import Any

from ..dialects.checks.dram import dram_errors, off_chip_ranges
from ..dialects.levels import level_of
from ..dialects.opaque import opaque_ops
from ..dialects.placement_limits import off_chip_bytes
from ..dialects.sched import ExecOp, LoadOp, StoreOp
from ..dialects.target import Target
from ..dialects.tiles import TiledType
from ..dialects.uop import AllocOp
from ..ir.attributes import UNIT, Attributes
from ..ir.builtin import FuncOp, ModuleOp
from ..ir.core import Operation, Value
from ..ir.diagnostics import Diagnostic, DiagnosticError
from ..planner.placement import LiveRange, place_live_ranges
from ..planner.units import round_up


def expect_schedules(module: ModuleOp, who: str) -> None:
    """Raises `DiagnosticError` for a module in which a pass on schedules finds functions, but no scheduled one."""
    levels = [(func, level_of(func)) for func in module.functions() if any(op.operands for op in func.ops[:-1])]
    if not levels or any(level == "sched" for _, level in levels):
        return
    func, level = levels[0]
    message = f"{who} works on schedules, and {func.symbol} is at {level} level; run --schedule (or -O1) first"
    raise DiagnosticError([Diagnostic(message, func.loc)], module.source)


def check_no_opaque(func: FuncOp, who: str, module: ModuleOp | None = None) -> None:
    """Raises `DiagnosticError` at the first opaque operation of a schedule whose engines are to run side by side."""
    for op in opaque_ops(func)[:1]:
        message = f"{who} does not understand {op.name}: what runs beside it, and how long it takes, is not known"
        raise DiagnosticError([Diagnostic(message, op.loc)], module.source if module else None)


def settle_off_chip(func: FuncOp, target: Target, renew: bool) -> None:
    """Takes the addresses off chip from what is not stored and, to `renew` them, gives new ones to what is.

    Raises `DiagnosticError` where those that were given before clash.
    """
    if not renew and not any(type(op) is AllocOp and op.dram is not None for op in func.ops):
        return
    ranges = off_chip_ranges(func)
    for op in func.ops:
        if isinstance(op, AllocOp) and op.result not in ranges:
            op.dram = None
    if renew:
        place_off_chip(func, ranges, target)
    errors = dram_errors(func)
    if errors:
        raise DiagnosticError(errors)


def place_off_chip(func: FuncOp, ranges: Mapping[Value, tuple[int, int]], target: Target) -> None:
    """Gives every buffer that is stored its address off chip; those whose live ranges [start, end), in operations, do
    not overlap share bytes.

    With several DMA channels none do: what comes later in the text may move earlier, and nothing makes it wait.
    """
    if target.dma_channels > 1:
        ranges = dict.fromkeys(ranges, (0, len(func.ops) + 1))
    allocs = [op for op in func.ops if isinstance(op, AllocOp)]
    for op in allocs:
        op.dram = None
    ops = [op for op in allocs if op.result in ranges]
    sized: list[LiveRange] = []
    for op in ops:
        assert isinstance(op.result.type, TiledType)
        size = round_up(off_chip_bytes(op.result.type), target.alignment)
        sized.append(LiveRange(*ranges[op.result], size))
    for op, address in zip(ops, place_live_ranges(sized, sum(one.size for one in sized)) or (), strict=True):
        op.dram = address


def with_stats(func: FuncOp, target: Target) -> FuncOp:
    """The scheduled function with `sched.sram` and `sched.stats`, the latter from its text."""
    sram: Attributes = {"alignment": target.alignment, "total_bytes": target.sram_bytes}
    if target.reserved:
        sram["reserved"] = target.reserved
    func.attrs = func.attrs | {"sched.sram": sram}
    func.attrs = func.attrs | {"sched.stats": count_stats(func, target.alignment)}
    return func


def count_stats(func: FuncOp, alignment: int) -> dict[str, int]:
    """The statistics of a schedule taken to be valid, as `sched.stats` holds them (bytes, and counts of operations).

    The verifier's replay finds them out by itself, at the price of all its checks, and compares.
    """
    return _Counting(alignment, len(func.ops)).run(func.ops)


class _Counting:
    """What lies at each address: the operation that put it there (`there`), when it was last of use (`last`), and when
    an exec last wrote it (`written`)."""

    def __init__(self, alignment: int, count: int):
        self.alignment = alignment
        self.there: dict[int, Operation] = {}
        self.last: dict[int, int] = {}
        self.written: dict[int, int] = {}
        self.changes = [0] * (count + 1)
        self.loads = self.spills = self.reads = self.unread = 0

    def run(self, ops: list[Operation]) -> dict[str, int]:
        last, written = self.last, self.written
        at = reads = 0
        for op in ops:
            if type(op) is ExecOp:
                addrs, values = op.addrs, op.operands
                one = len(values) == 3 and values[1] is values[2] and op.coords[1] == op.coords[2]
                reads += 1 if one else len(values) - 1
                if len(values) > 3:
                    reads += len(set(zip(values[1:], op.coords[1:], strict=True))) - 3
                if not op.accumulate and not (addrs[0] in addrs[1:] and self.holds(op, addrs[0])):
                    self.put(op, addrs[0], at)
                for address in addrs:
                    last[address] = at
                written[addrs[0]] = at
            elif type(op) is LoadOp:
                self.loads += 1
                self.put(op, op.addrs[0], at)
            elif type(op) is StoreOp:
                self.store(op, at)
            else:
                continue
            at += 1
        self.reads = reads
        return self.stats(at)

    def store(self, op: StoreOp, at: int) -> None:
        (address,) = op.addrs
        self.last[address] = at
        if op.spill is UNIT:
            self.spills += 1
        if op.retain is not UNIT:
            self.end(address)

    def holds(self, op: ExecOp, address: int) -> bool:
        """Whether an exec's destination lies at an address already."""
        there: Any = self.there[address]
        return there.operands[0] is op.operands[0] and there.coords[0] == op.coords[0]

    def put(self, op: LoadOp | ExecOp, address: int, at: int) -> None:
        """A tile takes the place of what lies at its address."""
        if address in self.there:
            self.end(address)
        self.there[address] = op
        self.last[address] = at
        self.changes[at] += self.rounded(op)

    def end(self, address: int) -> None:
        """What lies at an address has been of use for the last time."""
        op, last = self.there.pop(address), self.last[address]
        self.changes[last + 1] -= self.rounded(op)
        if self.written.get(address) == last:
            self.unread += op.operands[0].type.tile_bytes  # type: ignore[attr-defined]

    def rounded(self, op: Operation) -> int:
        size = op.operands[0].type.tile_bytes  # type: ignore[attr-defined]
        return round_up(size, self.alignment)

    def stats(self, count: int) -> dict[str, int]:
        for address in list(self.there):
            self.end(address)
        stats = {
            "final_live_bytes": self.unread,
            "loads_eliminated": self.reads - self.loads,
            "loads_emitted": self.loads,
            "peak_sram_bytes": max(accumulate(self.changes)),
            "sched_ops": count,
        }
        return stats | {"spills": self.spills} if self.spills else stats
