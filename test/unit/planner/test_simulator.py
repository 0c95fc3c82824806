"""The simulator against a naive one, on random operations; buffers that share bytes off chip."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

import tilewright as tw
from tilewright.analysis.simulation import simulation_of
from tilewright.dialects.target import Target
from tilewright.lowering.timed_ops import TimedOps
from tilewright.planner.simulator import NOBODY, TimedOp, makespan_bound, one_at_a_time, simulate

QUEUES = 3


def ranges(most: int) -> st.SearchStrategy[tuple[tuple[int, int], ...]]:
    """Some byte ranges of a small SRAM, which overlap in every way."""
    one = st.tuples(st.integers(0, 20), st.integers(1, 8)).map(lambda pair: (pair[0], pair[0] + pair[1]))
    return st.lists(one, max_size=most).map(tuple)


@st.composite
def timed_ops(draw: st.DrawFn) -> TimedOp:
    """An exec, load or store as plain data; tiles 2b and 2b + 1 belong to buffer b, and buffers 0 and 1 share bytes."""
    cycles = draw(st.integers(1, 9))
    kind = draw(st.sampled_from(["exec", "load", "store"]))
    if kind == "exec":
        return TimedOp(QUEUES - 1, cycles, draw(ranges(2)), draw(ranges(1)))
    queue, tile = draw(st.integers(0, QUEUES - 2)), draw(st.integers(0, 5))
    shared = (tile // 2, (1 - tile // 2,)) if tile < 4 else (NOBODY, ())
    if kind == "load":
        return TimedOp(queue, cycles, (), draw(ranges(1)), tile, NOBODY, *shared)
    return TimedOp(queue, cycles, draw(ranges(1)), (), NOBODY, tile, *shared)


def overlap(a: tuple[tuple[int, int], ...], b: tuple[tuple[int, int], ...]) -> bool:
    return any(s < v and u < e for s, e in a for u, v in b)


def same_off_chip(a: TimedOp, b: TimedOp, one: int, other: int) -> bool:
    """Whether tile `one` of `a` and tile `other` of `b` may share bytes off chip."""
    return NOBODY not in (one, other) and (one == other or b.buffer in a.aliases)


def conflict(a: TimedOp, b: TimedOp) -> bool:
    """Whether `b` has to wait for the earlier `a`."""
    return (
        overlap(a.writes, b.reads)
        or overlap(a.reads, b.writes)
        or overlap(a.writes, b.writes)
        or same_off_chip(a, b, a.tile_written, b.tile_read)
        or same_off_chip(a, b, a.tile_read, b.tile_written)
        or same_off_chip(a, b, a.tile_written, b.tile_written)
    )


def naive(ops: list[TimedOp]) -> list[tuple[int, int]]:
    """Start and end of each, from every pair of operations."""
    times: list[tuple[int, int]] = []
    for i, op in enumerate(ops):
        before = [times[j][1] for j in range(i) if ops[j].queue == op.queue or conflict(ops[j], op)]
        start = max(before, default=0)
        times.append((start, start + op.cycles))
    return times


@settings(max_examples=500)
@given(st.lists(timed_ops(), max_size=40))
def test_times_are_those_of_a_naive_simulator(ops: list[TimedOp]) -> None:
    line = simulate(ops, QUEUES)
    assert list(zip(line.start, line.end, strict=True)) == naive(ops)
    assert line.makespan <= one_at_a_time(ops)
    assert line.makespan >= makespan_bound(ops, QUEUES)


@given(st.lists(timed_ops(), max_size=40))
def test_every_idle_cycle_before_an_operation_has_a_cause(ops: list[TimedOp]) -> None:
    line = simulate(ops, QUEUES)
    for queue in range(QUEUES):
        own = [i for i, op in enumerate(ops) if op.queue == queue]
        free = [0, *(line.end[i] for i in own)]
        waits = [line.start[i] - before for i, before in zip(own, free, strict=False)]
        assert line.stalls[queue].total() == sum(waits)
        assert line.busy[queue] == sum(ops[i].cycles for i in own)
        for i, wait in zip(own, waits, strict=True):
            assert bool(wait) == bool(line.cause[i]) == (line.by[i] != NOBODY)
            if wait:
                assert line.end[line.by[i]] == line.start[i]
                assert conflict(ops[line.by[i]], ops[i])


def test_nothing_takes_no_time() -> None:
    assert simulate([], 2).makespan == one_at_a_time([]) == makespan_bound([], 2) == 0


SHARING = """\
module attributes {sched.target = {dma_bytes_per_cycle = 1, dma_channels = 2, elements_per_cycle = 1}} {
  func.func @f(%x: !uop.tiled<tensor<4x4xf32>, [4, 4]>) -> !uop.tiled<tensor<4x4xf32>, [4, 4]>
      attributes {sched.sram = {alignment = 64, total_bytes = 512}} {
    %a = uop.alloc {dram = 0} : !uop.tiled<tensor<4x4xf32>, [4, 4]>
    %b = uop.alloc {dram = DRAM} : !uop.tiled<tensor<4x4xf32>, [4, 4]>
    %y = uop.alloc : !uop.tiled<tensor<4x4xf32>, [4, 4]>
    sched.load %x[0, 0] @0x0000 {bytes = 64}
    sched.exec relu %a[0, 0] @0x0040 = %x[0, 0] @0x0000
    sched.exec relu %b[0, 0] @0x0080 = %x[0, 0] @0x0000
    sched.store %a[0, 0] @0x0040 {bytes = 64}
    sched.load %a[0, 0] @0x00c0 {bytes = 64}
    sched.store %b[0, 0] @0x0080 {bytes = 64}
    sched.load %b[0, 0] @0x0100 {bytes = 64}
    sched.exec add %y[0, 0] @0x0140 = %a[0, 0] @0x00c0, %b[0, 0] @0x0100
    sched.store %y[0, 0] @0x0140 {bytes = 64}
    return %y : !uop.tiled<tensor<4x4xf32>, [4, 4]>
  }
}
"""
"""Two channels: the store of %b comes on the one while %a is loaded on the other."""


def times_of(dram: int) -> dict[str, tuple[int, str]]:
    module = tw.parse(SHARING.replace("DRAM", str(dram)))
    sim = simulation_of(next(module.functions()), module)
    found = zip(sim.ops, sim.line.start, sim.line.cause, strict=True)
    return {f"{op.name[6:]} %{op.operands[0].name}": (start, cause) for op, start, cause in found}


def test_buffers_that_share_bytes_off_chip_wait_for_each_other() -> None:
    apart, together = times_of(64), times_of(32)
    assert apart["load %a"] == together["load %a"] == (144, "off-chip read after write")
    assert apart["store %b"] == (144, "")
    assert together["store %b"] == (208, "off-chip write after read")


def test_buffers_apart_are_not_numbered() -> None:
    for dram, shared in ((64, False), (63, True)):
        (func,) = tw.parse(SHARING.replace("DRAM", str(dram))).functions()
        ops = TimedOps(Target(dma_channels=2)).all(func)
        assert any(op.aliases for op in ops) == shared


def test_channels_are_taken_in_turn() -> None:
    (func,) = tw.parse(SHARING.replace("DRAM", "64")).functions()
    ops = TimedOps(Target(dma_channels=3)).all(func)
    moves = [op.queue for op in ops if op.queue != 3]
    assert all((b - a) % 3 == 1 for a, b in pairwise(moves))
    assert [op.queue for op in ops].count(3) == 3
