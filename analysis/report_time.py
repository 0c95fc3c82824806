"""The part of a report about time: how long a schedule takes, and how busy its engines are. Cycles everywhere."""

from __future__ import annotations

from dataclasses import dataclass

from ..dialects.target import SPEEDS, Target
from ..ir.builtin import FuncOp, ModuleOp
from .naming import rounded
from .queue_timing import CAUSE as SIGNAL
from .simulation import Simulation, simulation_of

FROM_QUEUES = "from its queues, waits and signals"


@dataclass(frozen=True, slots=True)
class EngineTime:
    """An engine's cycles: how many it is busy, and how many it waits, by cause."""

    engine: str
    busy_cycles: int
    wait_cycles: dict[str, int]


@dataclass(frozen=True, slots=True)
class TimeReport:
    """A schedule's time on a machine. `bound_cycles` is max(DMA, compute), which no order of its operations goes
    below; `from_queues` says whether waits and signals alone were heeded."""

    machine: Target
    makespan_cycles: int
    bound_cycles: int
    one_at_a_time_cycles: int
    engines: tuple[EngineTime, ...]
    from_queues: bool = False

    @property
    def bound_ratio(self) -> float | None:
        """The makespan, in units of the bound; None where there is nothing to do."""
        return self.makespan_cycles / self.bound_cycles if self.bound_cycles else None

    def utilisation(self, engine: EngineTime) -> float | None:
        """The share of the makespan that an engine is busy, from 0 to 1; None where it is 0 cycles."""
        return engine.busy_cycles / self.makespan_cycles if self.makespan_cycles else None

    def lines(self) -> list[str]:
        """The rows of the text report."""
        ratio = "" if self.bound_ratio is None else f", ratio {self.bound_ratio:.2f}"
        shares = ", ".join(f"{e.engine} {self.share(e)}" for e in self.engines)
        waits = ", ".join(f"{e.engine} {_waits(e.wait_cycles)}" for e in self.engines if e.wait_cycles)
        rows = [("makespan", f"{self.makespan_cycles:,} cycles; max(DMA, compute) {self.bound_cycles:,}{ratio}")]
        rows += [("one at a time", f"{self.one_at_a_time_cycles:,} cycles")]
        rows += [("timed", FROM_QUEUES)] if self.from_queues else []
        rows += [("engines busy", shares), ("waits", waits or "none")]
        return [f"  {label + ':':<15} {value}" for label, value in rows]

    def share(self, engine: EngineTime) -> str:
        """How busy an engine is, as text."""
        return f"{100 * engine.busy_cycles / self.makespan_cycles:.1f}%" if self.makespan_cycles else "-"

    def to_dict(self) -> dict[str, object]:
        """The figures as JSON's data, in a fixed order."""
        engines = [
            {
                "engine": engine.engine,
                "busy_cycles": engine.busy_cycles,
                "utilisation": rounded(self.utilisation(engine)),
                "wait_cycles": engine.wait_cycles,
            }
            for engine in self.engines
        ]
        speeds: dict[str, object] = {key: getattr(self.machine, key) for key in SPEEDS}
        return {
            "machine": speeds | {"kernel_cycles": dict(self.machine.kernel_cycles)},
            "makespan_cycles": self.makespan_cycles,
            "bound_cycles": self.bound_cycles,
            "bound_ratio": rounded(self.bound_ratio),
            "one_at_a_time_cycles": self.one_at_a_time_cycles,
            "engines": engines,
        }


def time_report(func: FuncOp, module: ModuleOp) -> TimeReport:
    """The report on a scheduled function."""
    return time_of(simulation_of(func, module))


def time_of(sim: Simulation) -> TimeReport:
    """The figures of a simulation."""
    engines = zip(sim.engines(), sim.line.busy, sim.line.stalls, strict=True)
    return TimeReport(
        sim.target,
        sim.makespan,
        sim.bound,
        sim.one_at_a_time,
        tuple(EngineTime(name, busy, dict(sorted(stalls.items()))) for name, busy, stalls in engines),
        sim.from_queues,
    )


def _waits(cycles: dict[str, int]) -> str:
    return f"{sum(cycles.values()):,} ({', '.join(map(_initials, cycles))})"


def _initials(cause: str) -> str:
    """`read after write` as RAW, with what stands before it kept; waits for signals as such."""
    if cause == SIGNAL:
        return "signals"
    place, _, hazard = cause.rpartition("off-chip ")
    return ("off-chip " if place or cause != hazard else "") + "".join(word[0].upper() for word in hazard.split())
