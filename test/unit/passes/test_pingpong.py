"""Ping/pong buffers: random programs keep the claim and compute the same; what breaks the claim is refused."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import HealthCheck, given, settings

import tilewright
from tilewright import DiagnosticError
from tilewright.dialects.checks.halves import half_errors
from tilewright.dialects.checks.queues import placed_ops
from tilewright.dialects.sched import ExecOp, LoadOp
from tilewright.ir.builtin import FuncOp
from tilewright.passes.manager.pipelines import parse_pipeline
from tilewright.passes.manager.running import run_passes_on
from tilewright.planner.arena import SRAMConfig
from tilewright.planner.pingpong_phases import PhaseProblem, cut, halves_above, place_results
from tilewright.planner.placement import LiveRange
from tilewright.runtime.compare import first_difference

from ..faults import copied
from ..models import REFERENCE
from ..programs import compared, is_integral
from ..strategies import Machine
from ..sync_programs import PROGRAMS, Sizes, Speed, check_synchronised, scheduled


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(*PROGRAMS)
def test_random_programs(text: str, sizes: Sizes, machine: Machine, speed: Speed) -> None:
    graph, module = scheduled(text, sizes, machine, speed, "")
    refused = ""
    try:
        made = run_passes_on(module, parse_pipeline("pingpong"), prove_each=True)
    except DiagnosticError as error:
        refused = str(error)
        graph, module = scheduled(text, sizes, Machine(1 << 20, machine.align, "min", False), speed, "")
        made = run_passes_on(module, parse_pipeline("pingpong"), prove_each=True)
    check_figures(refused)
    (func,) = made.functions()
    if not placed_ops(func):
        return
    assert func.attrs["sched.sram"]["buffering"] == "pingpong"  # type: ignore[index,call-overload]
    found, wanted, run = compared(graph, made, integers=True)
    assert found is None
    assert not is_integral(graph) or first_difference(wanted.arrays, run.arrays) is None
    assert tilewright.parse(tilewright.print(made)) == made
    check_synchronised(graph, run_passes_on(made, parse_pipeline("sync")), 1)
    run_passes_on(made, parse_pipeline("prefetch"))


def check_figures(refused: str) -> None:
    """What is refused says why: two halves and what is computed are more than there is."""
    if not refused:
        return
    figures = re.search(r"2 x ([\d,]+) \+ ([\d,]+) = ([\d,]+) of ([\d,]+) bytes", refused)
    assert figures is not None, refused
    read, computed, needs, has = (int(n.replace(",", "")) for n in figures.groups())
    assert 2 * read + computed == needs > has


def reference() -> FuncOp:
    pipeline = "fuse,tile,lower,forward,schedule{sram=64KiB},pingpong"
    (func,) = tilewright.parse(tilewright.run_passes(REFERENCE, pipeline)).functions()
    return func


def test_the_next_phase_is_loaded_during_the_one_before_it() -> None:
    """Between a load and the first exec of its half there is one of the other half; but for the first phase."""
    ops = placed_ops(reference())
    started = next(i for i, op in enumerate(ops) if isinstance(op, ExecOp))
    loads = [(i, op) for i, op in enumerate(ops) if isinstance(op, LoadOp) and i > started]
    assert len(loads) > 20
    for i, load in loads:
        following = next(op for op in ops[i:] if isinstance(op, ExecOp) and op.half is not None)
        assert following.half != load.half


@pytest.mark.parametrize("field", ["half", "addrs"])
def test_whatever_half_is_changed_is_refused(field: str) -> None:
    func = reference()
    assert half_errors(func) == []
    for i, op in enumerate(placed_ops(func)):
        if not isinstance(op, (LoadOp, ExecOp)) or op.half is None:
            continue
        changed = copied(func)
        other = placed_ops(changed)[i]
        assert isinstance(other, (LoadOp, ExecOp))
        if field == "half":
            other.half = None if random.Random(i).random() < 0.5 else 1 - op.half
        else:
            (start, _), _ = func.attrs["sched.sram"]["halves"]  # type: ignore[index,call-overload]
            other.addrs = (start, *op.addrs[1:]) if isinstance(op, ExecOp) else (start - 4096,)
        assert half_errors(changed), op


def test_halves_lie_around_what_is_reserved() -> None:
    def problem(total: int, *reserved: tuple[int, int]) -> PhaseProblem:
        return PhaseProblem(SRAMConfig(total, 64), [], [], [], [], reserved)

    assert halves_above(problem(512), 128) == ((128, 320), (320, 512))
    assert halves_above(problem(600), 64) == ((64, 320), (320, 576))
    assert halves_above(problem(1024, (384, 640)), 0) == ((640, 1024), (0, 384))
    assert halves_above(problem(1024, (64, 128)), 0) == ((128, 576), (576, 1024))
    assert halves_above(problem(128, (64, 128)), 0) is None
    assert halves_above(problem(128), 128) is None


def test_addresses_are_used_again_only_after_a_while() -> None:
    results = [LiveRange(i, i + 1, 64) for i in range(4)]
    made = PhaseProblem(SRAMConfig(256, 64), [], [], [], results)
    assert [place_results(made, lag, 256) for lag in (0, 1, 9)] == [
        ([0, 0, 0, 0], 64), ([0, 64, 0, 64], 128), ([0, 64, 128, 192], 256),
    ]  # fmt: skip
    assert place_results(made, 9, 128) is None


def test_phases_wait_for_stores_and_keep_what_is_read_again() -> None:
    reads = [(0, 1), (), (2,), (0, 3), (0, 4)]
    made = PhaseProblem(SRAMConfig(256, 64), reads, [64] * 5, [-1, -1, 1, -1, -1], [])
    phases = cut(made, 128)
    assert phases is not None
    assert [(p.first, [load.tile for load in p.loads]) for p in phases] == [
        (0, [0, 1]), (2, [2]), (3, [3]), (4, [0, 4]),
    ]  # fmt: skip
    assert cut(made, 64) is None
    assert cut(made, 32) is None
