"""The scheduler as a Python object: uops or a graph in, typed views of the scheduled operations and statistics out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .analysis.report import ScheduleStats
from .dialects import sched
from .dialects.checks.schedule_replay import schedule_stats
from .dialects.target import EVICTIONS
from .ir.attributes import UNIT
from .ir.builtin import FuncOp, ModuleOp
from .ir.core import Block, Operation
from .lowering.tile_program import schedule_ops
from .passes.manager import make_pass
from .passes.manager.running import run_passes_on
from .passes.manager.warnings import python_warning
from .planner.arena import SRAMConfig


@dataclass(frozen=True, slots=True)
class TileAt:
    """A tile of a tensor at an SRAM address in bytes."""

    tensor: str
    coord: tuple[int, ...]
    addr: int


@dataclass(frozen=True, slots=True)
class SchedLoad:
    """A tile's copy from off chip to `dst_addr`; `buffer` is 0 or 1 under double buffering, else None."""

    tensor: str
    coord: tuple[int, ...]
    dst_addr: int
    bytes: int
    buffer: int | None = None


@dataclass(frozen=True, slots=True)
class SchedExecute:
    """A kernel on tiles: it starts (`=`) or accumulates on (`+=`) the destination tile."""

    kernel: str
    dst: TileAt
    srcs: tuple[TileAt, ...]
    accumulate: bool
    activation: str | None = None
    buffer: int | None = None


@dataclass(frozen=True, slots=True)
class SchedStore:
    """A tile's copy from `src_addr` to off chip; `retain` keeps the on-chip copy, `spill` only makes room."""

    tensor: str
    coord: tuple[int, ...]
    src_addr: int
    bytes: int
    activation: str | None = None
    retain: bool = False
    spill: bool = False


@dataclass(frozen=True, slots=True)
class Schedule:
    """Scheduled operations in order, with their statistics."""

    ops: list[SchedLoad | SchedExecute | SchedStore]
    stats: ScheduleStats

    @property
    def loads(self) -> list[SchedLoad]:
        """The loads among the operations, in order."""
        return [op for op in self.ops if isinstance(op, SchedLoad)]

    @property
    def executes(self) -> list[SchedExecute]:
        """The execs among the operations, in order."""
        return [op for op in self.ops if isinstance(op, SchedExecute)]

    @property
    def stores(self) -> list[SchedStore]:
        """The stores among the operations, in order."""
        return [op for op in self.ops if isinstance(op, SchedStore)]


class Scheduler:
    """Plans for one SRAM, as the pass `schedule` does; `evict` is "min" (Belady), "cost" or "lru".

    Raises ValueError for another eviction policy.
    """

    def __init__(self, config: SRAMConfig | None = None, double_buffer: bool = False, evict: str = "min"):
        if evict not in EVICTIONS:
            raise ValueError(f"evict must be one of {', '.join(EVICTIONS)}, got {evict!r}")
        self.config = config or SRAMConfig()
        self.double_buffer = double_buffer
        self.evict = evict

    def run(self, uops: Iterable[Operation]) -> Schedule:
        """Schedules uop operations, for instance the `ops` of a lowered function.

        Raises `ScheduleError` if the SRAM is too small; its text names every live tile and a size that is enough.
        """
        ops = schedule_ops(list(uops), self.config, self.evict, self.double_buffer)
        sram = {"alignment": self.config.alignment, "total_bytes": self.config.total_bytes}
        func = FuncOp("schedule", Block(), attrs={"sched.sram": sram})
        func.body.ops = [op for op in ops if op.name.startswith("sched.")]
        return Schedule(views(ops), ScheduleStats(**schedule_stats(func, ModuleOp([]))))

    def run_on_graph(self, module: ModuleOp) -> Schedule:
        """Fuses, tiles, lowers and schedules a module with a single function at graph level; the module stays as it is.

        Raises ValueError for another number of functions, `DiagnosticError` for what the passes refuse, and
        `ScheduleError` as `run`. What `opt` warns of is a `DiagnosticWarning`.
        """
        with python_warning(module.source):
            module = run_passes_on(module, [make_pass("fuse"), make_pass("tile"), make_pass("lower")])
        functions = list(module.functions())
        if len(functions) != 1:
            raise ValueError(f"the module must hold exactly one function, it has {len(functions)}")
        return self.run(functions[0].ops)


def views(ops: Iterable[Operation]) -> list[SchedLoad | SchedExecute | SchedStore]:
    """Typed views of the sched operations among `ops`."""
    out: list[SchedLoad | SchedExecute | SchedStore] = []
    for op in ops:
        if isinstance(op, sched.LoadOp):
            out.append(SchedLoad(op.operands[0].name, op.coords[0], op.addrs[0], op.bytes, op.buffer))
        elif isinstance(op, sched.ExecOp):
            tiles = [TileAt(v.name, c, a) for v, c, a in zip(op.operands, op.coords, op.addrs, strict=True)]
            out.append(SchedExecute(op.kernel, tiles[0], tuple(tiles[1:]), op.accumulate, op.activation, op.buffer))
        elif isinstance(op, sched.StoreOp):
            name, retain, spill = op.operands[0].name, op.retain is UNIT, op.spill is UNIT
            out.append(SchedStore(name, op.coords[0], op.addrs[0], op.bytes, op.activation, retain, spill))
    return out
