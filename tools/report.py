"""`--report`: what each function was at each level and what its schedule costs, as text or JSON."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from ..analysis.cost import cost_of
from ..analysis.workload import workload_of
from ..dialects.checks.schedule_replay import schedule_stats
from ..dialects.graph import GraphOp
from ..dialects.levels import level_of
from ..dialects.target import target_of
from ..ir.builtin import FuncOp, ModuleOp
from ..ir.types import TensorType
from ..passes.manager.running import Observer
from ..planner.arena import count_of
from .report_cost import UNKNOWN, CostReport, cost_report
from .report_time import TimeReport, time_report


@dataclass(slots=True)
class FunctionReport:
    """The figures of one function; None for what the input doesn't hold. Sizes in bytes."""

    name: str
    graph_ops: int | None = None
    fused_ops: int | None = None
    tensors: int | None = None
    uops: Counter[str] | None = None
    uop_sources: int | None = None
    scheduled: Counter[str] | None = None
    stats: dict[str, int] = field(default_factory=dict)
    sources: int = 0
    sram: int = 0
    last: tuple[FuncOp, ModuleOp] | None = None

    def lines(self) -> list[str]:
        """The summary, a line each."""
        rows = [("graph ops", self._graph()), ("tensors", _number(self.tensors)), ("uOps", _moves(self.uops))]
        rows += [("scheduled ops", _moves(self.scheduled)), ("load reuse", self._reuse()), ("peak SRAM", self._peak())]
        rows += [("final live", f"{self.stats['final_live_bytes']:,} B" if self.stats else UNKNOWN)]
        out = [f"@{self.name}", *(f"  {label + ':':<15} {value}" for label, value in rows), "  invariants:"]
        out += [f"    {_verdict(holds):<8} {text}" for text, holds in self.invariants()]
        time = self.time()
        return out + self.cost().lines() + (time.lines() if time else [])

    def time(self) -> TimeReport | None:
        """The figures in time, of a schedule."""
        if self.last is None or level_of(self.last[0]) != "sched":
            return None
        return time_report(*self.last)

    def cost(self) -> CostReport:
        """The cost and the bounds of the function as the passes have left it."""
        if self.last is None:
            return CostReport()
        func, module = self.last
        level = level_of(func)
        target = target_of(func, module)
        sram = func.attrs.get("sched.sram", {"alignment": target.alignment, "total_bytes": target.sram_bytes})
        cost = cost_of(func, self.stats, sram["alignment"]) if level == "sched" else None
        return cost_report(cost, workload_of(func), sram["total_bytes"], level != "graph")

    def as_json(self) -> dict[str, Any]:
        """Everything that the text says, in a fixed order; None for unknown."""
        time = self.time()
        return {
            "function": self.name,
            "graph_ops": self.graph_ops,
            "fused_ops": self.fused_ops,
            "graph_tensors": self.tensors,
            "uops": _moves_json(self.uops),
            "scheduled_ops": _moves_json(self.scheduled),
            "sram_bytes": self.sram or None,
            "stats": dict(sorted(self.stats.items())) or None,
            "invariants": dict(self.invariants()),
            **self.cost().as_json(),
            "time": None if time is None else time.figures(),
        }

    def _graph(self) -> str:
        if self.graph_ops is None:
            return UNKNOWN
        return f"{self.graph_ops}" + (f" ({self.fused_ops} after fuse)" if self.fused_ops is not None else "")

    def _reuse(self) -> str:
        if not self.stats:
            return UNKNOWN
        total = self.stats["loads_emitted"] + self.stats["loads_eliminated"]
        share = 100 * self.stats["loads_eliminated"] / total if total else 0.0
        return f"{self.stats['loads_eliminated']:,}/{total:,} ({share:.1f}%)"

    def _peak(self) -> str:
        if not self.stats:
            return UNKNOWN
        peak = self.stats["peak_sram_bytes"]
        return f"{peak:,} of {self.sram:,} B ({peak / 1024:.1f} of {self.sram / 1024:.1f} KiB)"

    def invariants(self) -> list[tuple[str, bool | None]]:
        """The four that a schedule is held to, each with whether it holds (None where there is nothing to tell by)."""
        done, asked = self.scheduled, self.uops
        both = done is not None and asked is not None
        stats = self.stats
        moved = stats.get("loads_emitted", 0) + stats.get("loads_eliminated", 0)
        return [
            (
                "every exec and store of the uops is scheduled",
                (done["exec"], done["store"] - stats.get("spills", 0)) == (asked["exec"], asked["store"])  # type: ignore[index]
                if both
                else None,
            ),
            ("loads emitted and eliminated add up to the tiles that the execs read",
             moved == (self.sources if self.uop_sources is None else self.uop_sources) if stats else None),
            ("peak SRAM is within capacity", stats["peak_sram_bytes"] <= self.sram if stats else None),
            ("nothing computed is left on chip", stats["final_live_bytes"] == 0 if stats else None),
        ]  # fmt: skip


def _number(value: int | None) -> str:
    return UNKNOWN if value is None else f"{value:,}"


def _verdict(holds: bool | None) -> str:
    return UNKNOWN if holds is None else "PASS" if holds else "FAIL"


def _moves(counts: Counter[str] | None) -> str:
    if counts is None:
        return UNKNOWN
    return f"{counts.total():,} ({', '.join(count_of(counts[kind], kind) for kind in ('load', 'exec', 'store'))})"


def _moves_json(counts: Counter[str] | None) -> dict[str, int] | None:
    return None if counts is None else {f"{kind}s": counts[kind] for kind in ("load", "exec", "store")}


class Report:
    """Collects the figures of every function as the passes go; one `begin` for each part of the input."""

    def __init__(self) -> None:
        self.functions: list[FunctionReport] = []

    def begin(self) -> Observer:
        """An observer for one run of passes over one module."""
        found: dict[str, FunctionReport] = {}

        def observe(stage: str, module: ModuleOp) -> None:
            for func in module.functions():
                if func.sym_name not in found:
                    found[func.sym_name] = FunctionReport(func.sym_name)
                    self.functions.append(found[func.sym_name])
                _note(found[func.sym_name], stage, func, module)

        return observe

    def text(self) -> str:
        """The whole report, for a person."""
        return "\n".join(line for function in self.functions for line in function.lines())

    def json(self) -> str:
        """The whole report as one JSON document; sizes in bytes."""
        return json.dumps({"functions": [function.as_json() for function in self.functions]}, indent=2)


def _note(report: FunctionReport, stage: str, func: FuncOp, module: ModuleOp) -> None:
    report.last = func, module
    level = level_of(func)
    if level == "graph":
        _note_graph(report, stage, func)
    elif level == "uop":
        report.uops, report.uop_sources = _counts(func, "uop")
    else:
        report.scheduled, report.sources = _counts(func, "sched")
        report.stats = func.attrs.get("sched.stats") or schedule_stats(func, module)
        sram = func.attrs.get("sched.sram")
        report.sram = sram["total_bytes"] if sram else target_of(func, module).sram_bytes


def _note_graph(report: FunctionReport, stage: str, func: FuncOp) -> None:
    ops = [op for op in func.ops if isinstance(op, GraphOp)]
    if report.graph_ops is None:
        report.graph_ops = len(ops)
        values = {*func.args, *(op.result for op in ops)}
        report.tensors = sum(isinstance(v.type, TensorType) for v in values)
    elif stage == "fuse":
        report.fused_ops = len(ops)


def _counts(func: FuncOp, dialect: str) -> tuple[Counter[str], int]:
    """Operations by kind, and the distinct source tiles of each exec, summed."""
    counts: Counter[str] = Counter()
    sources = 0
    for op in func.ops:
        prefix, _, kind = op.name.partition(".")
        if prefix == dialect and kind in ("load", "exec", "store"):
            counts[kind] += 1
        if prefix == dialect and kind == "exec":
            sources += len(set(zip(op.operands[1:], op.coords[1:], strict=True)))  # type: ignore[attr-defined]
    return counts, sources
