"""Random programs, compiled to synchronised schedules: what must hold for each of them."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

import tilewright
from tilewright import DiagnosticError
from tilewright.analysis.queue_timing import queued_ops, simulate_queues
from tilewright.analysis.simulation import Simulation, simulation_of
from tilewright.dialects.checks.queues import placed_ops, queue_errors
from tilewright.dialects.target import schedule_target
from tilewright.ir.builtin import FuncOp, ModuleOp
from tilewright.lowering.timed_ops import TimedOps
from tilewright.passes.manager.pipelines import parse_pipeline
from tilewright.passes.manager.running import run_passes_on
from tilewright.planner.simulator import simulate
from tilewright.runtime.queues import Engines

from .programs import compared
from .strategies import Machine, assume_tiled, graph_texts, machines, tile_sizes

Sizes = tuple[int, int, int]


@dataclass(frozen=True)
class Speed:
    """What `sched.target` says of the machine's engines."""

    attribute: tuple[tuple[str, int], ...]
    evict: str
    prefetch: str

    def pipeline(self, machine: Machine, sram: int | None = None) -> str:
        options = re.sub("evict=[a-z]+", f"evict={self.evict}", machine.options(sram))
        return f"schedule{{{options}}}{self.prefetch}"


def speeds() -> st.SearchStrategy[Speed]:
    """One to three DMA channels, with latency or without, slow or quick beside the compute engine."""
    return st.builds(
        lambda channels, latency, bandwidth, macs, evict, prefetch: Speed(
            (("dma_channels", channels), ("dma_latency", latency), ("dma_bytes_per_cycle", bandwidth),
             ("macs_per_cycle", macs)), evict, prefetch,
        ),
        st.sampled_from([1, 2, 3]), st.sampled_from([0, 5, 64]), st.sampled_from([1, 16, 64]),
        st.sampled_from([1, 8, 256]), st.sampled_from(["min", "lru", "cost"]), st.sampled_from([",prefetch", ""]),
    )  # fmt: skip


PROGRAMS = (graph_texts(views=True), tile_sizes(), machines(), speeds())


def scheduled(text: str, sizes: Sizes, machine: Machine, speed: Speed, last: str) -> tuple[ModuleOp, ModuleOp]:
    """A graph and its schedule, by `last` in the end; a schedule gets the SRAM that it asks for."""
    graph = tilewright.parse(text)
    (func,) = graph.functions()
    func.attrs = func.attrs | {"sched.target": dict(speed.attribute)}
    try:
        lowered = run_passes_on(graph, parse_pipeline(f"fuse,tile{{sizes={'x'.join(map(str, sizes))}}},lower,forward"))
    except DiagnosticError as error:
        assume_tiled(error)
        raise
    try:
        return graph, run_passes_on(lowered, parse_pipeline(speed.pipeline(machine) + last))
    except DiagnosticError as error:
        needs = re.search(r"\(sram=([0-9]+)\)", str(error))
        if needs is None:
            raise
        return graph, run_passes_on(lowered, parse_pipeline(speed.pipeline(machine, int(needs[1])) + last))


def check_synchronised(graph: ModuleOp, module: ModuleOp, number: int) -> None:
    """The queues alone give the model's results, by threads and by turns, and the cycles that the hazards give."""
    (func,) = module.functions()
    check_cycles(func, module)
    queues = sorted({op.queue for op in placed_ops(func)} - {None})  # type: ignore[type-var]
    ways = [Engines(), Engines(seed=number), *[Engines(favourite=queue) for queue in queues]]
    for engines in ways if queues else ways[:2]:
        found, *_ = compared(graph, module, integers=True, engines=engines)
        assert found is None, engines


def check_cycles(func: FuncOp, module: ModuleOp) -> None:
    target = schedule_target(func, module)
    timed = TimedOps(target)
    ops = timed.all(func)
    by_hazard = simulate(ops, timed.queues)
    by_queue = simulate_queues(queued_ops(func, target))
    assert (by_queue.start, by_queue.end) == (by_hazard.start, by_hazard.end)
    assert by_queue.makespan == by_hazard.makespan
    check_simulation(simulation_of(func, module), Simulation(target, placed_ops(func), ops, by_hazard))


def check_simulation(shown: Simulation, by_hazard: Simulation) -> None:
    """What is shown of a synchronised schedule is told by its queues, and no figure differs, but for the causes."""
    assert shown.from_queues == has_queues_of(shown)
    assert shown.engines() == by_hazard.engines()
    for one in ("start", "end", "busy"):
        assert getattr(shown.line, one) == getattr(by_hazard.line, one)
    assert [s.total() for s in shown.line.stalls] == [s.total() for s in by_hazard.line.stalls]
    assert (shown.bound, shown.one_at_a_time) == (by_hazard.bound, by_hazard.one_at_a_time)
    assert [(s.op, s.cycles) for s in shown.stalls()] == [(s.op, s.cycles) for s in by_hazard.stalls()]


def has_queues_of(shown: Simulation) -> bool:
    return any(op.queue is not None for op in shown.ops)


def check_minimal(func: FuncOp, rng: random.Random, count: int) -> None:
    """Without any one wait, or signal, the verifier refuses it; so many of each are tried."""
    ops = placed_ops(func)
    changes: list[tuple[Any, str, Any]] = [
        (op, "wait", tuple(w for w in op.wait or () if w is not one) or None) for op in ops for one in op.wait or ()
    ]
    changes = rng.sample(changes, min(count, len(changes)))
    signals: list[tuple[Any, str, Any]] = [(op, "signal", None) for op in ops if op.signal is not None]
    for op, name, value in changes + rng.sample(signals, min(count, len(signals))):
        kept = getattr(op, name)
        setattr(op, name, value)
        assert queue_errors(func), (op, name, value)
        setattr(op, name, kept)
