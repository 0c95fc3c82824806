"""What each function was at each level and what its schedule costs: the figures of `opt --report` as plain data."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..dialects.checks.schedule_replay import schedule_stats
from ..dialects.graph import GraphOp
from ..dialects.levels import level_of
from ..dialects.opaque import opaque_ops
from ..dialects.target import target_of
from ..dialects.tile_ops import ExecBase
from ..ir.attributes import symbol_text
from ..ir.builtin import FuncOp, ModuleOp
from ..ir.types import TensorType
from ..planner.arena import count_of
from .cost import cost_of
from .report_cost import UNKNOWN, Bounds, ScheduleCost, bounds_report, cost_dict, cost_lines, schedule_cost
from .report_time import TimeReport, time_report
from .workload import workload_of

Observer = Callable[[str, ModuleOp], None]
"""Told the name of each pass that has been run (empty for the input) with what came out."""


@dataclass(frozen=True, slots=True)
class Moves:
    """How many operations on tiles there are of each kind."""

    loads: int
    execs: int
    stores: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.loads + self.execs + self.stores

    def to_dict(self) -> dict[str, int]:
        """The counts, in the order of the report."""
        return {"loads": self.loads, "execs": self.execs, "stores": self.stores}

    def __str__(self) -> str:
        parts = (count_of(self.loads, "load"), count_of(self.execs, "exec"), count_of(self.stores, "store"))
        return f"{self.total:,} ({', '.join(parts)})"


@dataclass(frozen=True, slots=True)
class ScheduleStats:
    """A schedule's figures, as its text implies them; sizes in bytes."""

    sched_ops: int
    loads_emitted: int
    loads_eliminated: int
    peak_sram_bytes: int
    final_live_bytes: int
    spills: int = 0

    @property
    def tile_reads(self) -> int:
        """The tiles that the execs read: by a load each, or from what was on chip already."""
        return self.loads_emitted + self.loads_eliminated

    @property
    def reuse(self) -> float:
        """The share of tile reads that needed no load, from 0 to 1."""
        return self.loads_eliminated / self.tile_reads if self.tile_reads else 0.0

    def to_dict(self) -> dict[str, int]:
        """The figures as `sched.stats` has them: by name, `spills` only where there are some."""
        figures = {
            "final_live_bytes": self.final_live_bytes,
            "loads_eliminated": self.loads_eliminated,
            "loads_emitted": self.loads_emitted,
            "peak_sram_bytes": self.peak_sram_bytes,
            "sched_ops": self.sched_ops,
        }
        return figures | {"spills": self.spills} if self.spills else figures


@dataclass(frozen=True, slots=True)
class Invariant:
    """What a schedule is held to, and whether it holds; None where there is nothing to tell by."""

    text: str
    holds: bool | None


@dataclass(frozen=True, slots=True)
class FunctionReport:
    """The figures of one function; None for what the stages that were looked at don't tell. Sizes in bytes.

    `graph_ops`, `fused_ops` (after `fuse`) and `graph_tensors` are counts at graph level, `uops` and `scheduled_ops`
    counts at those levels. `stats`, `cost` and `time` are those of a schedule; `bounds` hold for any. `str()` is what
    `opt --report` prints, `to_dict()` what `opt --report=json` prints.
    """

    name: str
    graph_ops: int | None = None
    fused_ops: int | None = None
    graph_tensors: int | None = None
    uops: Moves | None = None
    scheduled_ops: Moves | None = None
    sram_bytes: int | None = None
    stats: ScheduleStats | None = None
    invariants: tuple[Invariant, ...] = ()
    cost: ScheduleCost | None = None
    bounds: Bounds | None = None
    time: TimeReport | None = None

    def __str__(self) -> str:
        return self.to_text()

    def to_text(self) -> str:
        """The summary for a person, without a line end."""
        rows = [("graph ops", self._graph()), ("tensors", _number(self.graph_tensors)), ("uOps", _known(self.uops))]
        rows += [("scheduled ops", _known(self.scheduled_ops)), ("load reuse", self._reuse())]
        rows += [("peak SRAM", self._peak()), ("final live", self._final())]
        lines = [symbol_text(self.name), *(f"  {label + ':':<15} {value}" for label, value in rows), "  invariants:"]
        lines += [f"    {_verdict(invariant.holds):<8} {invariant.text}" for invariant in self.invariants]
        lines += cost_lines(self.cost, self.bounds)
        return "\n".join(lines + (self.time.lines() if self.time else []))

    def to_dict(self) -> dict[str, object]:
        """Everything that the text says as JSON's data, in a fixed order; None for unknown."""
        return {
            "function": self.name,
            "graph_ops": self.graph_ops,
            "fused_ops": self.fused_ops,
            "graph_tensors": self.graph_tensors,
            "uops": self.uops and self.uops.to_dict(),
            "scheduled_ops": self.scheduled_ops and self.scheduled_ops.to_dict(),
            "sram_bytes": self.sram_bytes,
            "stats": self.stats and self.stats.to_dict(),
            "invariants": {invariant.text: invariant.holds for invariant in self.invariants},
            **cost_dict(self.cost, self.bounds),
            "time": self.time and self.time.to_dict(),
        }

    def _graph(self) -> str:
        if self.graph_ops is None:
            return UNKNOWN
        return f"{self.graph_ops}" + (f" ({self.fused_ops} after fuse)" if self.fused_ops is not None else "")

    def _reuse(self) -> str:
        stats = self.stats
        if stats is None:
            return UNKNOWN
        total = stats.tile_reads
        share = 100 * stats.loads_eliminated / total if total else 0.0
        return f"{stats.loads_eliminated:,}/{total:,} ({share:.1f}%)"

    def _peak(self) -> str:
        if self.stats is None or self.sram_bytes is None:
            return UNKNOWN
        peak, sram = self.stats.peak_sram_bytes, self.sram_bytes
        return f"{peak:,} of {sram:,} B ({peak / 1024:.1f} of {sram / 1024:.1f} KiB)"

    def _final(self) -> str:
        return UNKNOWN if self.stats is None else f"{self.stats.final_live_bytes:,} B"


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of a module's functions, in their order. `str()` is what `opt --report` prints."""

    functions: tuple[FunctionReport, ...]

    def function(self, name: str) -> FunctionReport:
        """The report on one function, `name` without `@`. Raises KeyError."""
        found = next((function for function in self.functions if function.name == name), None)
        if found is None:
            raise KeyError(
                f"no function {symbol_text(name)}; there are {', '.join(symbol_text(f.name) for f in self.functions)}"
            )
        return found

    def __str__(self) -> str:
        return self.to_text()

    def to_text(self) -> str:
        """The whole report for a person, without a line end at its end."""
        return "\n".join(map(str, self.functions))

    def to_dict(self) -> dict[str, object]:
        """The whole report as JSON's data; sizes in bytes, times in cycles."""
        return {"functions": [function.to_dict() for function in self.functions]}

    def to_json(self) -> str:
        """What `opt --report=json` prints."""
        import json

        return json.dumps(self.to_dict(), indent=2)


class Reporter:
    """Collects what is known of every function as the passes go; one `begin` for each module that they are run on."""

    def __init__(self) -> None:
        self.notes: list[_Notes] = []

    def begin(self) -> Observer:
        """An observer for one run of passes over one module."""
        found: dict[str, _Notes] = {}

        def observe(stage: str, module: ModuleOp) -> None:
            for name, func in module.qualified_functions():
                if name not in found:
                    found[name] = _Notes(func, module)
                    self.notes.append(found[name])
                found[name].note(stage, func, module)

        return observe

    def report(self) -> Report:
        """The report on all that has been observed."""
        return Report(tuple(notes.report() for notes in self.notes))


class _Notes:
    """What is known of a function so far, and the function as the last stage has left it."""

    def __init__(self, func: FuncOp, module: ModuleOp):
        self.func, self.module = func, module
        self.graph_ops: int | None = None
        self.fused_ops: int | None = None
        self.tensors: int | None = None
        self.uops: Moves | None = None
        self.scheduled: Moves | None = None
        self.tile_reads = 0
        """The distinct source tiles of each exec, summed: of the uops, or of a schedule that no uops were seen of."""

    def note(self, stage: str, func: FuncOp, module: ModuleOp) -> None:
        """The function after a stage."""
        self.func, self.module = func, module
        level = level_of(func)
        if level == "graph":
            self._note_graph(stage, func)
        elif level == "uop":
            self.uops, self.tile_reads = moves_of(func, level), tile_reads(func)
        else:
            self.scheduled = moves_of(func, level)
            self.tile_reads = tile_reads(func) if self.uops is None else self.tile_reads

    def _note_graph(self, stage: str, func: FuncOp) -> None:
        ops = [op for op in func.ops if isinstance(op, GraphOp)]
        if self.graph_ops is None:
            self.graph_ops = len(ops)
            values = {*func.args, *(op.result for op in ops)}
            self.tensors = sum(isinstance(v.type, TensorType) for v in values)
        elif stage == "fuse":
            self.fused_ops = len(ops)

    def report(self) -> FunctionReport:
        """The figures; those of cost and time are worked out now."""
        func, module = self.func, self.module
        level = level_of(func)
        target = target_of(func, module)
        sram = func.attrs.get("sched.sram", {"alignment": target.alignment, "total_bytes": target.sram_bytes})
        size: int = sram["total_bytes"]
        scheduled = level == "sched"
        figures: dict[str, int] = (func.attrs.get("sched.stats") or schedule_stats(func, module)) if scheduled else {}
        stats = ScheduleStats(**figures) if scheduled else None
        cost = schedule_cost(cost_of(func, figures, sram["alignment"])) if scheduled else None
        return FunctionReport(
            func.sym_name,
            self.graph_ops,
            self.fused_ops,
            self.tensors,
            self.uops,
            self.scheduled,
            size if scheduled else None,
            stats,
            tuple(self._invariants(stats, size)),
            cost,
            bounds_report(workload_of(func), size, level != "graph", cost),
            time_report(func, module) if scheduled and not opaque_ops(func) else None,
        )

    def _invariants(self, stats: ScheduleStats | None, sram: int) -> Iterable[Invariant]:
        """The four that a schedule is held to."""
        done, asked = self.scheduled, self.uops
        same = None
        if done is not None and asked is not None:
            spills = stats.spills if stats else 0
            same = (done.execs, done.stores - spills) == (asked.execs, asked.stores)
        yield Invariant("every exec and store of the uops is scheduled", same)
        yield Invariant(
            "loads emitted and eliminated add up to the tiles that the execs read",
            stats and stats.tile_reads == self.tile_reads,
        )
        yield Invariant("peak SRAM is within capacity", stats and stats.peak_sram_bytes <= sram)
        yield Invariant("nothing computed is left on chip", stats and stats.final_live_bytes == 0)


def moves_of(func: FuncOp, level: str) -> Moves:
    """The operations on tiles of a function at uop or sched level."""
    names = [op.name for op in func.ops]
    return Moves(names.count(f"{level}.load"), names.count(f"{level}.exec"), names.count(f"{level}.store"))


def tile_reads(func: FuncOp) -> int:
    """The distinct source tiles of each exec, summed."""
    execs = (op for op in func.ops if isinstance(op, ExecBase))
    return sum(len(set(zip(op.operands[1:], op.coords[1:], strict=True))) for op in execs)


def _number(value: int | None) -> str:
    return UNKNOWN if value is None else f"{value:,}"


def _known(moves: Moves | None) -> str:
    return UNKNOWN if moves is None else str(moves)


def _verdict(holds: bool | None) -> str:
    return UNKNOWN if holds is None else "PASS" if holds else "FAIL"
