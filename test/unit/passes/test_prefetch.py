"""prefetch on random programs: the schedule stays legal, computes the same, and is never slower in the simulator."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tilewright as tw
from tilewright.analysis.proof import prove_module
from tilewright.analysis.simulation import simulation_of
from tilewright.ir.builtin import FuncOp, ModuleOp
from tilewright.passes.manager.pipelines import parse_pipeline
from tilewright.passes.manager.running import run_passes_on
from tilewright.planner.arena import SRAMConfig
from tilewright.planner.list_schedule import Job, ScheduledJob, SchedulingProblem, list_schedule, makespan
from tilewright.planner.liveness import EXEC, LOAD, STORE
from tilewright.planner.simulator import TimedOp, simulate

from ..models import MIXED, REFERENCE, chain_text
from ..strategies import Machine, assume_tiled, graph_texts, machines, tile_sizes


def machine_text(target: dict[str, int], text: str) -> str:
    keys = ", ".join(f"{key} = {value}" for key, value in target.items())
    return f"module attributes {{sched.target = {{{keys}}}}} {{\n{text}}}\n"


def targets() -> st.SearchStrategy[dict[str, int]]:
    return st.fixed_dictionaries({
        "dma_bytes_per_cycle": st.sampled_from([1, 4, 16]),
        "dma_channels": st.integers(1, 3),
        "dma_latency": st.sampled_from([0, 0, 5]),
        "elements_per_cycle": st.sampled_from([1, 8]),
        "macs_per_cycle": st.sampled_from([1, 16]),
    })  # fmt: skip


def scheduled(text: str, sizes: tuple[int, int, int], machine: Machine, extra: str) -> ModuleOp:
    """A schedule of a graph; it gets the SRAM that it asks for."""
    for sram in (machine.sram, None):
        pipeline = f"fuse,tile{{sizes={'x'.join(map(str, sizes))}}},lower,forward,"
        try:
            return run(tw.parse(text), f"{pipeline}schedule{{{machine.options(sram)}{extra}}}")
        except tw.DiagnosticError as error:
            assume_tiled(error)
            needs = re.search(r"\(sram=([0-9]+)\)", str(error))
            if needs is None:
                raise
            return run(tw.parse(text), f"{pipeline}schedule{{{machine.options(int(needs[1]))}{extra}}}")
    raise AssertionError


def run(module: ModuleOp, pipeline: str) -> ModuleOp:
    return run_passes_on(module, parse_pipeline(pipeline))


def func_of(module: ModuleOp) -> FuncOp:
    return next(module.functions())


def cycles(module: ModuleOp) -> int:
    return simulation_of(func_of(module), module).makespan


@settings(max_examples=200)
@given(
    graph_texts(views=True), tile_sizes(), machines(), targets(), st.sampled_from(["", " dram"]),
    st.sampled_from(["", "distance=1", "distance=3", "reserve=64", "reserve=512"]),
)  # fmt: skip
def test_random_programs(
    text: str, sizes: tuple[int, int, int], machine: Machine, target: dict[str, int], dram: str, options: str
) -> None:
    before = scheduled(machine_text(target, text), sizes, machine, dram)
    after = run(before, f"prefetch{{{options}}}")
    prove_module(before, after)
    assert cycles(after) <= cycles(before)
    assert tw.parse(tw.print(after)) == after
    assert func_of(after).attrs["sched.sram"] == func_of(before).attrs["sched.sram"]


# The solver alone


def timed(problem: SchedulingProblem, scheduled: list[ScheduledJob]) -> list[TimedOp]:
    """A solution for the simulator, channels taken in turn."""
    ops: list[TimedOp] = []
    moves = 0
    for s in scheduled:
        job = problem.jobs[s.job]
        spans = [(a, a + problem.sizes[t]) for a, t in zip(s.addresses, (job.tile, *job.sources), strict=True)]
        if job.kind == EXEC:
            reads = spans if job.accumulate else spans[1:]
            ops.append(TimedOp(problem.channels, job.cycles, tuple(reads), (spans[0],)))
            continue
        queue, moves = moves % problem.channels, moves + 1
        if job.kind == LOAD:
            ops.append(TimedOp(queue, job.cycles, (), (spans[0],), job.tile))
        else:
            ops.append(TimedOp(queue, job.cycles, (spans[0],), (), -1, job.tile))
    return ops


@st.composite
def problems(draw: st.DrawFn) -> SchedulingProblem:
    """Elementwise chains and sums: each step loads what it lacks, computes a tile, and stores it."""
    jobs: list[Job] = []
    sizes = [draw(st.sampled_from([64, 64, 128])) for _ in range(6)]
    count = draw(st.integers(1, 8))
    for step in range(count):
        sources = tuple(draw(st.lists(st.integers(0, 5), min_size=1, max_size=2, unique=True)))
        jobs += [Job(LOAD, draw(st.integers(1, 6)), s) for s in sources]
        tile = 6 + step
        sizes.append(draw(st.sampled_from([64, 128])))
        jobs.append(Job(EXEC, draw(st.integers(1, 6)), tile, sources))
        if draw(st.booleans()):
            more = draw(st.integers(0, 5))
            jobs.append(Job(LOAD, draw(st.integers(1, 6)), more))
            jobs.append(Job(EXEC, draw(st.integers(1, 6)), tile, (more,), accumulate=True))
        jobs.append(Job(STORE, draw(st.integers(1, 6)), tile))
    config = SRAMConfig(draw(st.sampled_from([384, 512, 1024])), 64)
    return SchedulingProblem(jobs, sizes, config, draw(st.integers(1, 2)), draw(st.sampled_from([1, 2, 1 << 60])))


@settings(max_examples=300)
@given(problems())
def test_the_solver_keeps_orders_and_time(problem: SchedulingProblem) -> None:
    scheduled = list_schedule(problem)
    if scheduled is None:
        return
    assert sorted(s.job for s in scheduled) == list(range(len(problem.jobs)))
    for kind in (LOAD, EXEC, STORE):
        order = [s.job for s in scheduled if problem.jobs[s.job].kind == kind]
        assert order == sorted(order)
    starts = [s.start for s in scheduled]
    assert starts == sorted(starts)
    line = simulate(timed(problem, scheduled), problem.channels + 1)
    assert line.makespan <= makespan(problem, scheduled)
    for s in scheduled:
        job = problem.jobs[s.job]
        for address, tile in zip(s.addresses, (job.tile, *job.sources), strict=True):
            assert address % 64 == 0
            assert address + problem.sizes[tile] <= problem.config.total_bytes


# What the options do

SMALL = machine_text({"dma_bytes_per_cycle": 16}, chain_text((128, 128, 128)))


@pytest.mark.parametrize("text", [SMALL, machine_text({}, REFERENCE), machine_text({}, MIXED)])
def test_a_second_time_changes_nothing_for_the_worse(text: str) -> None:
    once = run(tw.parse(text), "schedule{sram=24KiB},prefetch")
    assert cycles(run(once, "prefetch")) <= cycles(once)


def test_the_distance_bounds_how_far_loads_run_ahead() -> None:
    text = machine_text({"dma_bytes_per_cycle": 32, "dma_latency": 100}, chain_text((128, 128, 128)))
    before = run(tw.parse(text), "schedule{sram=128KiB}")
    times = [cycles(run(before, f"prefetch{{distance={d}}}")) for d in (1, 2, 4, 64)]
    assert times == sorted(times, reverse=True)
    assert times[0] > times[-1]


def test_labels_stay_labels() -> None:
    before = run(tw.parse(SMALL), "schedule{sram=24KiB double-buffer}")
    after = run(before, "prefetch")
    assert cycles(after) < cycles(before)
    text = tw.print(after)
    assert "buffer = 0" in text
    assert "buffer = 1" in text


@pytest.mark.parametrize("options", ["", "reserve=4KiB", "reserve=1MiB"])
@pytest.mark.parametrize("wish", ["sched.at = [[0, 0, 20480]]", "sched.at = 12288", "sched.pin"])
def test_wishes_and_reserved_ranges_are_kept(wish: str, options: str) -> None:
    """The replay refuses schedules that don't keep them."""
    text = f"""\
module attributes {{sched.target = {{reserved = [[28672, 32768]], sram_bytes = 32768}}}} {{
  func.func @f(%x: tensor<64x64xf32>, %w: tensor<64x64xf32> {{{wish}}}) -> tensor<64x64xf32> {{
    %y = graph.matmul %x, %w : (tensor<64x64xf32>, tensor<64x64xf32>) -> tensor<64x64xf32>
    return %y : tensor<64x64xf32>
  }}
}}
"""
    before = run(tw.parse(text), "schedule")
    after = run(before, f"prefetch{{{options}}}")
    assert cycles(after) < cycles(before)
    prove_module(before, after)


def test_other_levels_are_refused_and_empty_schedules_stay() -> None:
    with pytest.raises(tw.DiagnosticError, match=r"@chain is at graph level; run --schedule \(or -O1\) first"):
        run(tw.parse(SMALL), "prefetch")
    type_ = "!uop.tiled<tensor<4x4xf32>, [4, 4]>"
    sram = "sched.sram = {alignment = 64, total_bytes = 512}"
    empty = f"func.func @f(%x: {type_}) -> {type_} attributes {{{sram}}} {{\n  return %x : {type_}\n}}\n"
    assert run(tw.parse(empty), "prefetch") == tw.parse(empty)
