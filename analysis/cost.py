"""What a schedule costs: bytes moved by tensor, multiplications, and how much SRAM is live and used."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..dialects.opaque import opaque_ops
from ..dialects.placement_limits import off_chip_bytes
from ..dialects.sched import ExecOp, LoadOp, StoreOp
from ..dialects.tiles import TileRef
from ..dialects.uop import AllocOp
from ..ir.attributes import UNIT
from ..ir.builtin import FuncOp
from ..ir.core import Value
from ..planner.units import round_up
from .workload import buffers_of, macs_of, workload_of


@dataclass(slots=True)
class TensorCost:
    """One tensor's bytes: moved, moved because of spills (part of those), and the least that any schedule moves.

    `loads` counts the loads of its tiles, `tiles` how many different tiles they load.
    """

    name: str
    loaded: int = 0
    stored: int = 0
    spilled: int = 0
    least_loaded: int = 0
    least_stored: int = 0
    loads: int = 0
    tiles: int = 0

    @property
    def excess(self) -> int:
        """Bytes beyond the compulsory ones."""
        return self.loaded + self.stored - self.least_loaded - self.least_stored


@dataclass(slots=True)
class Cost:
    """A schedule's cost. Bytes; `macs` counts multiply-accumulates of whole tiles, their padding included.

    `peak` is the largest sum of bytes that are live at once (`sched.stats`), `high_water` the largest address that a
    tile ends at, both in whole alignment units. `off_chip` are the bytes of the buffers that have a `dram` address, and
    `dram` those of the address range that they share.
    """

    tensors: list[TensorCost] = field(default_factory=list)
    macs: int = 0
    peak: int = 0
    high_water: int = 0
    off_chip: int = 0
    dram: int = 0
    opaque: tuple[int, int, int] = (0, 0, 0)
    """How many opaque operations there are, the bytes that they read, and those that they write."""

    @property
    def loaded(self) -> int:
        return sum(t.loaded for t in self.tensors)

    @property
    def stored(self) -> int:
        return sum(t.stored for t in self.tensors)

    @property
    def spilled(self) -> int:
        """Bytes of the stores marked `spill` and of the loads that bring those tiles back; part of the traffic."""
        return sum(t.spilled for t in self.tensors)

    @property
    def traffic(self) -> int:
        return self.loaded + self.stored + sum(self.opaque[1:])

    @property
    def intensity(self) -> float | None:
        """Arithmetic intensity: multiply-accumulates per byte moved; None where nothing moves."""
        return self.macs / self.traffic if self.traffic else None

    @property
    def fragmentation(self) -> float:
        """The share of the SRAM's used address range, from 0 to `high_water`, that was not live at the peak: 0 means
        that the addresses could not be packed into fewer bytes. MiniMalloc's measure, over one function."""
        return 1 - self.peak / self.high_water if self.high_water else 0.0


def cost_of(func: FuncOp, stats: dict[str, int], alignment: int) -> Cost:
    """Measures a valid scheduled function; `stats` are its statistics, `alignment` is in bytes."""
    by_value: dict[Value, TensorCost] = {value: TensorCost(value.name) for value in buffers_of(func)}
    cost = Cost(list(by_value.values()), peak=stats["peak_sram_bytes"])
    spilled: set[TileRef] = set()
    loaded: set[TileRef] = set()
    end = 0
    for op in func.ops:
        if isinstance(op, LoadOp):
            _count_load(by_value[op.operands[0]], op, loaded, spilled)
            end = max(end, op.addrs[0] + op.bytes)
        elif isinstance(op, StoreOp):
            _count_store(by_value[op.operands[0]], op, spilled)
        elif isinstance(op, ExecOp):
            cost.macs += macs_of(op)
            end = max(end, op.addrs[0] + op.operands[0].type.tile_bytes)  # type: ignore[attr-defined]
        elif isinstance(op, AllocOp) and op.dram is not None:
            size = off_chip_bytes(op.result.type)  # type: ignore[arg-type]
            cost.off_chip += size
            cost.dram = max(cost.dram, op.dram + size)
    opaque = opaque_ops(func)
    cost.opaque = len(opaque), sum(op.read_bytes for op in opaque), sum(op.written_bytes for op in opaque)
    cost.high_water = round_up(end, alignment)
    workload = workload_of(func)
    for index, tensor in enumerate(cost.tensors):
        tensor.least_loaded = workload.reads.get(index, 0) if workload else 0
        tensor.least_stored = workload.writes.get(index, 0) if workload else 0
    return cost


def _count_load(tensor: TensorCost, op: LoadOp, loaded: set[TileRef], spilled: set[TileRef]) -> None:
    tile = (op.operands[0], op.coords[0])
    tensor.loaded += op.bytes
    tensor.loads += 1
    tensor.tiles += tile not in loaded
    tensor.spilled += op.bytes if tile in spilled else 0
    loaded.add(tile)


def _count_store(tensor: TensorCost, op: StoreOp, spilled: set[TileRef]) -> None:
    tile = (op.operands[0], op.coords[0])
    tensor.stored += op.bytes
    if op.spill is UNIT:
        tensor.spilled += op.bytes
        spilled.add(tile)
    else:
        spilled.discard(tile)
