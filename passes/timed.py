"""A scheduled function on a machine with given speeds: its operations as plain data for the simulator."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from ..dialects.sched import ExecOp, LoadOp, StoreOp
from ..dialects.target import Target, target_of
from ..dialects.tiles import Coord, TiledType
from ..ir.builtin import FuncOp, ModuleOp
from ..ir.core import Operation, Value
from .timing import NOBODY, TimedOp

Placed = LoadOp | ExecOp | StoreOp


def placed_ops(func: FuncOp) -> list[Placed]:
    """The operations that take time, in order."""
    return [op for op in func.ops if isinstance(op, (LoadOp, ExecOp, StoreOp))]


def schedule_target(func: FuncOp, module: ModuleOp) -> Target:
    """The machine of a scheduled function: its SRAM is that of `sched.sram`, if it has that."""
    target = target_of(func, module)
    sram = func.attrs.get("sched.sram")
    if sram is None:
        return target
    return replace(
        target, sram_bytes=sram["total_bytes"], alignment=sram["alignment"], reserved=sram.get("reserved", ())
    )


def exec_cycles(kernel: str, shapes: tuple[tuple[int, ...], ...], target: Target) -> int:
    """Cycles of an exec; `shapes` are the tiles of its destination and sources."""
    if kernel in target.kernel_cycles:
        return target.kernel_cycles[kernel]
    if kernel == "matmul":
        return -(-prod(shapes[0]) * shapes[1][1] // target.macs_per_cycle)
    return -(-prod(shapes[0]) // target.elements_per_cycle)


def move_cycles(size: int, target: Target) -> int:
    """Cycles of a load or store of so many bytes."""
    return target.dma_latency + -(-size // target.dma_bytes_per_cycle)


class TimedOps:
    """Makes the simulator's operations. Transfers are dealt to the DMA channels in turn, channel 0 first; the compute
    engine's queue comes after the channels'."""

    def __init__(self, target: Target):
        self.target = target
        self.queues = target.dma_channels + 1
        self.transfers = 0
        self.tiles: dict[tuple[Value, Coord], int] = {}
        self.exec_costs: dict[tuple[str, tuple[tuple[int, ...], ...]], int] = {}

    def all(self, func: FuncOp) -> list[TimedOp]:
        return [self.one(op) for op in placed_ops(func)]

    def one(self, op: Placed) -> TimedOp:
        ranges = [(a, a + size_of(v)) for v, a in zip(op.operands, op.addrs, strict=True)]
        if isinstance(op, ExecOp):
            reads = tuple(ranges) if op.accumulate else tuple(ranges[1:])
            return TimedOp(self.queues - 1, self.cycles(op), reads, (ranges[0],))
        queue = self.transfers % self.target.dma_channels
        self.transfers += 1
        tile = self.tiles.setdefault((op.operands[0], op.coords[0]), len(self.tiles))
        cycles = move_cycles(op.bytes, self.target)
        if isinstance(op, LoadOp):
            return TimedOp(queue, cycles, (), (ranges[0],), tile, NOBODY)
        return TimedOp(queue, cycles, (ranges[0],), (), NOBODY, tile)

    def cycles(self, op: ExecOp) -> int:
        key = (op.kernel, tuple([v.type.tile for v in op.operands]))  # type: ignore[attr-defined]
        if key not in self.exec_costs:
            self.exec_costs[key] = exec_cycles(*key, self.target)
        return self.exec_costs[key]


def size_of(value: Value) -> int:
    """Bytes of a buffer's tile."""
    assert isinstance(value.type, TiledType)
    return value.type.tile_bytes


def is_transfer(op: Operation) -> bool:
    return isinstance(op, (LoadOp, StoreOp))
