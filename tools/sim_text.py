"""What `mir-sim` says of a scheduled function, as text and JSON."""

from __future__ import annotations

from typing import Any

from ..analysis.naming import line_of, op_text
from ..analysis.report_time import FROM_QUEUES, time_of
from ..analysis.simulation import Stall, simulation_of
from ..ir.attributes import symbol_text
from ..ir.builtin import FuncOp, ModuleOp
from ..ir.source import Source
from ..planner.arena import count_of

MOST_TEXT = 100
"""The longest piece of an operation's text that is shown."""


class SimText:
    """One scheduled function, simulated; `source` is the text that it stands in."""

    def __init__(self, func: FuncOp, module: ModuleOp, source: Source | None):
        self.name = func.sym_name
        self.source = source
        self.sim = simulation_of(func, module)
        self.time = time_of(self.sim)

    def lines(self, top: int, timeline: bool) -> list[str]:
        """Everything, with the `top` longest waits."""
        lines = [symbol_text(self.name), *self._summary(), *self._engines(), *self._longest(top)]
        return lines + (self._timeline() if timeline else [])

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
        for engine, (idle, _) in zip(self.time.engines, self.sim.idle(), strict=True):
            waits = sum(engine.wait_cycles.values())
            share = self.time.share(engine)
            out.append(f"    {engine.engine:<17} {engine.busy_cycles:>12,} {share:>6} {waits:>12,} {idle - waits:>12,}")
            out += [f"      {cause:<28} {cycles:>16,}" for cause, cycles in engine.wait_cycles.items()]
        return out

    def _longest(self, top: int) -> list[str]:
        stalls = self.sim.stalls()
        if not stalls or not top:
            return []
        out = [f"  longest of {count_of(len(stalls), 'wait')}:"]
        for stall in stalls[:top]:
            out.append(f"    {stall.cycles:,} cycles, {stall.cause}: {self._where(stall.op)}")
            out.append(f"      until the end of {self._where(stall.by)}")
        return out

    def _timeline(self) -> list[str]:
        sim, engines = self.sim, self.sim.engines()
        out = [f"  {'start':>12} {'end':>12} {'engine':<8} {'waited for':<25} operation"]
        for i, timed in enumerate(sim.timed):
            times = f"{sim.line.start[i]:>12,} {sim.line.end[i]:>12,}"
            out.append(f"  {times} {engines[timed.queue]:<8} {sim.line.cause[i] or '-':<25} {self._where(i)}")
        return out

    def _where(self, number: int) -> str:
        op = self.sim.ops[number]
        line = line_of(op, self.source)
        text = op_text(op)
        text = text if len(text) <= MOST_TEXT else text[: MOST_TEXT - 3] + "..."
        return f"line {line}: {text}" if line else text

    def as_json(self, top: int, timeline: bool) -> dict[str, Any]:
        """Everything that the text says."""
        out = {"function": self.name, **self.time.to_dict()}
        out["waits"] = [self._stall_json(stall) for stall in self.sim.stalls()[:top]]
        if timeline:
            out["timeline"] = [self._op_json(i) for i in range(len(self.sim.ops))]
        return out

    def _stall_json(self, stall: Stall) -> dict[str, Any]:
        ops = self.sim.ops
        return {
            "cycles": stall.cycles,
            "cause": stall.cause,
            "engine": self.sim.engines()[self.sim.timed[stall.op].queue],
            "line": line_of(ops[stall.op], self.source),
            "op": op_text(ops[stall.op]),
            "by_line": line_of(ops[stall.by], self.source),
            "by_op": op_text(ops[stall.by]),
        }

    def _op_json(self, i: int) -> dict[str, Any]:
        sim = self.sim
        return {
            "start": sim.line.start[i],
            "end": sim.line.end[i],
            "engine": sim.engines()[sim.timed[i].queue],
            "cause": sim.line.cause[i] or None,
            "by": sim.line.by[i] if sim.line.cause[i] else None,
            "line": line_of(sim.ops[i], self.source),
            "op": op_text(sim.ops[i]),
        }
