"""Cycles against the figures that an independent simulator measured: the baseline as emitted and with loads hoisted,
and -O2 against the best known schedules. `pytest -s` prints the ratios."""

from __future__ import annotations

import pytest

import tilewright as tw
from tilewright.analysis.simulation import simulation_of
from tilewright.dialects.target import MACHINES
from tilewright.ir.builtin import FuncOp, ModuleOp
from tilewright.passes.prefetch import GivenSchedule
from tilewright.planner import residency
from tilewright.planner.eviction import LeastRecentlyUsed
from tilewright.planner.makespan import makespan_in_order, schedule_transfers

from ..models import REFERENCE, chain_text

TEXTS = {"reference": REFERENCE, "cube": chain_text((512, 512, 512))}
HOISTED = 1.02
BEST = 1.03


class FirstInFirstOut(LeastRecentlyUsed):
    """Evicts the tile that has been on chip longest."""

    def use(self, tile: int, next_use: int, address: int, transfers: int = 1) -> None:
        if tile not in self._order:
            super().use(tile, next_use, address, transfers)


def first(text: str) -> tuple[FuncOp, ModuleOp]:
    module = tw.parse(text)
    return next(module.functions()), module


def on(machine: str, text: str) -> str:
    """A module for a machine by name."""
    speed = MACHINES[machine]["dma_bytes_per_cycle"]
    return f"module attributes {{sched.target = {{dma_bytes_per_cycle = {speed}}}}} {{\n{text}}}\n"


# workload, SRAM in KiB, machine, eviction: one at a time, as emitted, loads hoisted
BASELINES = [
    ("reference", 256, "dma16", "lru", 19_712, 18_304, 14_080),
    ("reference", 256, "dma64", "lru", 9_152, 8_320, 5_824),
    ("cube", 64, "dma16", "lru", 2_683_648, 2_251_648, 2_159_872),
    ("cube", 64, "dma64", "lru", 1_064_128, 632_128, 541_184),
    ("cube", 256, "dma16", "fifo", 1_945_600, 1_513_088, 1_451_648),
]
"""The last row is another system's; its figures, and its 22,208 KiB of traffic, are those of first-in first-out. With
LRU it is 1,692,160 and 1,259,648, with MIN 1,519,616 and 1,502,080."""


@pytest.mark.parametrize(("workload", "sram", "machine", "evict", "alone", "emitted", "hoisted"), BASELINES)
def test_baselines(
    workload: str, sram: int, machine: str, evict: str, alone: int, emitted: int, hoisted: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    if evict == "fifo":
        monkeypatch.setattr(residency, "make_eviction", lambda *_: FirstInFirstOut())
    func, module = first(tw.run_passes(on(machine, TEXTS[workload]), f"schedule{{sram={sram}KiB evict=lru}}"))
    sim = simulation_of(func, module)
    assert (sim.one_at_a_time, sim.makespan) == (alone, emitted)
    given = GivenSchedule(func, sim.target)
    assert makespan_in_order(given.tiles.program, given.events, given.speeds) == emitted
    timed = schedule_transfers(given.tiles.program, given.events, given.speeds, given.config)
    assert timed is not None
    print(f"\n{workload} {sram} KiB {machine}: {timed.makespan:,} = {timed.makespan / hoisted:.4f} of {hoisted:,}")
    assert timed.makespan <= HOISTED * hoisted


EVICTIONS = [
    ("lru", 1_692_160, 1_259_648),
    ("min", 1_519_616, 1_502_080),
]


@pytest.mark.parametrize(("evict", "alone", "emitted"), EVICTIONS)
def test_the_large_cube_by_eviction(evict: str, alone: int, emitted: int) -> None:
    sim = simulation_of(*first(tw.run_passes(on("dma16", TEXTS["cube"]), f"schedule{{sram=256KiB evict={evict}}}")))
    assert (sim.one_at_a_time, sim.makespan) == (alone, emitted)


# workload, SRAM in KiB, machine: best known; one at a time and as emitted of the baseline
BEST_KNOWN = [
    ("reference", 256, "dma16", 8_192, 19_712, 18_304),
    ("reference", 256, "dma64", 5_824, 9_152, 8_320),
    ("cube", 64, "dma16", 744_960, 2_683_648, 2_251_648),
    ("cube", 64, "dma64", 524_480, 1_064_128, 632_128),
    ("cube", 256, "dma16", 528_000, 1_945_600, 1_513_088),
]


@pytest.mark.parametrize(("workload", "sram", "machine", "best", "alone", "emitted"), BEST_KNOWN)
def test_best_known(workload: str, sram: int, machine: str, best: int, alone: int, emitted: int) -> None:
    text = on(machine, TEXTS[workload])
    sim = simulation_of(*first(tw.run_passes(text, f"O2{{sram={sram}KiB}}")))
    print(f"\n{workload} {sram} KiB {machine}: -O2 {sim.makespan:,} = {sim.makespan / best:.4f} of {best:,}")
    assert sim.makespan <= BEST * best
    assert sim.makespan < emitted < alone
