"""A schedule's figures in time, as text and JSON, for `mir-sim` and `opt --report`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..analysis.naming import line_of, op_text
from ..analysis.queue_timing import CAUSE as SIGNAL
from ..analysis.simulation import Simulation, Stall, simulation_of
from ..dialects.target import SPEEDS
from ..ir.builtin import FuncOp, ModuleOp
from ..ir.source import Source
from ..planner.arena import count_of

FROM_QUEUES = "from its queues, waits and signals"

MOST_TEXT = 100
"""The longest piece of an operation's text that is shown."""


@dataclass(slots=True)
class TimeReport:
    """The figures of one scheduled function."""

    name: str
    sim: Simulation

    # opt --report

    def lines(self) -> list[str]:
        """The rows of `opt --report`."""
        sim = self.sim
        shares = ", ".join(f"{name} {_share(busy, sim)}" for name, busy in self._busy())
        waits = ", ".join(f"{name} {_waits(stalls)}" for name, stalls in self._stalls() if stalls)
        bound = f"max(DMA, compute) {sim.bound:,}" + (f", ratio {sim.makespan / sim.bound:.2f}" if sim.bound else "")
        rows = [("makespan", f"{sim.makespan:,} cycles; {bound}"), ("one at a time", f"{sim.one_at_a_time:,} cycles")]
        rows += [("timed", FROM_QUEUES)] if sim.from_queues else []
        rows += [("engines busy", shares), ("waits", waits or "none")]
        return [f"  {label + ':':<15} {value}" for label, value in rows]

    def figures(self) -> dict[str, Any]:
        """The same as JSON, in a fixed order. Cycles."""
        sim = self.sim
        engines = [
            {
                "engine": name,
                "busy_cycles": busy,
                "utilisation": round(busy / sim.makespan, 4) if sim.makespan else None,
                "wait_cycles": dict(sorted(stalls.items())),
            }
            for (name, busy), (_, stalls) in zip(self._busy(), self._stalls(), strict=True)
        ]
        target = sim.target
        return {
            "machine": {key: getattr(target, key) for key in SPEEDS} | {"kernel_cycles": dict(target.kernel_cycles)},
            "makespan_cycles": sim.makespan,
            "bound_cycles": sim.bound,
            "bound_ratio": round(sim.makespan / sim.bound, 4) if sim.bound else None,
            "one_at_a_time_cycles": sim.one_at_a_time,
            "engines": engines,
        }

    def _busy(self) -> list[tuple[str, int]]:
        return list(zip(self.sim.engines(), self.sim.line.busy, strict=True))

    def _stalls(self) -> list[tuple[str, Any]]:
        return list(zip(self.sim.engines(), self.sim.line.stalls, strict=True))

    # mir-sim

    def whole(self, source: Source | None, top: int, timeline: bool) -> list[str]:
        """Everything that `mir-sim` says of the function."""
        return [f"@{self.name}", *self._summary(), *self._engines(), *self._longest(source, top)] + (
            self._timeline(source) if timeline else []
        )

    def _summary(self) -> list[str]:
        sim = self.sim
        ratio = f"   makespan / bound: {sim.makespan / sim.bound:.3f}" if sim.bound else ""
        gain = f"   {sim.one_at_a_time / sim.makespan:.3f} times the makespan" if sim.makespan else ""
        target = sim.target
        speed = (
            f"{count_of(target.dma_channels, 'DMA channel')} of {target.dma_bytes_per_cycle} B/cycle after "
            f"{target.dma_latency} cycles; {target.macs_per_cycle:,} MACs or {target.elements_per_cycle} elements/cycle"
        )
        return [
            f"  machine:            {speed}",
            *([f"  timed:              {FROM_QUEUES}"] if sim.from_queues else []),
            f"  makespan:           {sim.makespan:>12,} cycles",
            f"  max(DMA, compute):  {sim.bound:>12,} cycles{ratio}",
            f"  one at a time:      {sim.one_at_a_time:>12,} cycles{gain}",
        ]

    def _engines(self) -> list[str]:
        out = [f"  {'engine, cycles:':<19} {'busy':>12} {'share':>6} {'waits':>12} {'at the end':>12}"]
        for (name, busy), (idle, stalls) in zip(self._busy(), self.sim.idle(), strict=True):
            waits = stalls.total()
            share = _share(busy, self.sim)
            out.append(f"    {name:<17} {busy:>12,} {share:>6} {waits:>12,} {idle - waits:>12,}")
            out += [f"      {cause:<28} {cycles:>16,}" for cause, cycles in sorted(stalls.items())]
        return out

    def _longest(self, source: Source | None, top: int) -> list[str]:
        stalls = self.sim.stalls()
        if not stalls or not top:
            return []
        shown = stalls[:top]
        out = [f"  longest of {count_of(len(stalls), 'wait')}:"]
        for stall in shown:
            out.append(f"    {stall.cycles:,} cycles, {stall.cause}: {self._where(stall.op, source)}")
            out.append(f"      until the end of {self._where(stall.by, source)}")
        return out

    def _timeline(self, source: Source | None) -> list[str]:
        sim, engines = self.sim, self.sim.engines()
        out = [f"  {'start':>12} {'end':>12} {'engine':<8} {'waited for':<25} operation"]
        for i, timed in enumerate(sim.timed):
            times = f"{sim.line.start[i]:>12,} {sim.line.end[i]:>12,}"
            out.append(f"  {times} {engines[timed.queue]:<8} {sim.line.cause[i] or '-':<25} {self._where(i, source)}")
        return out

    def _where(self, number: int, source: Source | None) -> str:
        op = self.sim.ops[number]
        line = line_of(op, source)
        text = op_text(op)
        text = text if len(text) <= MOST_TEXT else text[: MOST_TEXT - 3] + "..."
        return f"line {line}: {text}" if line else text

    def as_json(self, source: Source | None, top: int, timeline: bool) -> dict[str, Any]:
        """Everything that the text says."""
        out = {"function": self.name, **self.figures()}
        out["waits"] = [self._stall_json(stall, source) for stall in self.sim.stalls()[:top]]
        if timeline:
            out["timeline"] = [self._op_json(i, source) for i in range(len(self.sim.ops))]
        return out

    def _stall_json(self, stall: Stall, source: Source | None) -> dict[str, Any]:
        ops = self.sim.ops
        return {
            "cycles": stall.cycles,
            "cause": stall.cause,
            "engine": self.sim.engines()[self.sim.timed[stall.op].queue],
            "line": line_of(ops[stall.op], source),
            "op": op_text(ops[stall.op]),
            "by_line": line_of(ops[stall.by], source),
            "by_op": op_text(ops[stall.by]),
        }

    def _op_json(self, i: int, source: Source | None) -> dict[str, Any]:
        sim = self.sim
        return {
            "start": sim.line.start[i],
            "end": sim.line.end[i],
            "engine": sim.engines()[sim.timed[i].queue],
            "cause": sim.line.cause[i] or None,
            "by": sim.line.by[i] if sim.line.cause[i] else None,
            "line": line_of(sim.ops[i], source),
            "op": op_text(sim.ops[i]),
        }


def time_report(func: FuncOp, module: ModuleOp) -> TimeReport:
    """The report on a scheduled function."""
    return TimeReport(func.sym_name, simulation_of(func, module))


def _share(busy: int, sim: Simulation) -> str:
    return f"{100 * busy / sim.makespan:.1f}%" if sim.makespan else "-"


def _waits(stalls: Any) -> str:
    return f"{stalls.total():,} ({', '.join(map(_initials, sorted(stalls)))})"


def _initials(cause: str) -> str:
    """`read after write` as RAW, with what stands before it kept; waits for signals as such."""
    if cause == SIGNAL:
        return "signals"
    place, _, hazard = cause.rpartition("off-chip ")
    return ("off-chip " if place or cause != hazard else "") + "".join(word[0].upper() for word in hazard.split())
