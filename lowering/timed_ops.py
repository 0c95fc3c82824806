"""A scheduled function on a machine with given speeds: its operations as plain data for the simulator."""

from __future__ import annotations

from ..dialects.checks.queues import Placed, placed_ops
from ..dialects.kernels import KERNELS
from ..dialects.placement_limits import off_chip_bytes
from ..dialects.sched import ExecOp, LoadOp
from ..dialects.target import Target
from ..dialects.tiles import TiledType, TileRef
from ..dialects.uop import AllocOp
from ..ir.builtin import FuncOp
from ..ir.core import Value
from ..planner.simulator import NOBODY, TimedOp


def exec_cycles(kernel: str, shapes: tuple[tuple[int, ...], ...], target: Target) -> int:
    """Cycles of an exec; `shapes` are the tiles of its destination and sources."""
    if kernel in target.kernel_cycles:
        return target.kernel_cycles[kernel]
    declared = KERNELS[kernel]
    return -(-declared.work(shapes) // getattr(target, declared.rate))


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
        self.tiles: dict[TileRef, int] = {}
        self.exec_costs: dict[tuple[str, tuple[tuple[int, ...], ...]], int] = {}
        self.shared: dict[Value, tuple[int, tuple[int, ...]]] = {}

    def all(self, func: FuncOp) -> list[TimedOp]:
        self.shared = shared_buffers(func)
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
        shared = self.shared.get(op.operands[0], (NOBODY, ()))
        if isinstance(op, LoadOp):
            return TimedOp(queue, cycles, (), (ranges[0],), tile, NOBODY, *shared)
        return TimedOp(queue, cycles, (ranges[0],), (), NOBODY, tile, *shared)

    def cycles(self, op: ExecOp) -> int:
        key = (op.kernel, tuple([v.type.tile for v in op.operands]))  # type: ignore[attr-defined]
        if key not in self.exec_costs:
            self.exec_costs[key] = exec_cycles(*key, self.target)
        return self.exec_costs[key]


def shared_buffers(func: FuncOp) -> dict[Value, tuple[int, tuple[int, ...]]]:
    """Buffers whose off-chip bytes (`dram`) overlap those of others: the buffer's number, and those of the others."""
    ops = [op for op in func.ops if isinstance(op, AllocOp) and op.dram is not None]
    placed = [(op.dram or 0, (op.dram or 0) + off_chip_bytes(op.result.type), op.result) for op in ops]  # type: ignore[arg-type]
    found: dict[Value, tuple[int, tuple[int, ...]]] = {}
    for i, (start, end, value) in enumerate(placed):
        others = [j for j, (s, e, _) in enumerate(placed) if j != i and s < end and start < e]
        if others:
            found[value] = i, tuple(others)
    return found


def size_of(value: Value) -> int:
    """Bytes of a buffer's tile."""
    assert isinstance(value.type, TiledType)
    return value.type.tile_bytes
