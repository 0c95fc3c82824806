"""Synchronised schedules: 600 random programs run by threads and by turns; simulated from their queues; minimal."""

from __future__ import annotations

import random
import warnings
import zlib

import numpy as np
import pytest

import tilewright
from tilewright import DiagnosticError
from tilewright.analysis.queue_timing import CAUSE, QueuedOp, has_queues, queued_ops, simulate_queues
from tilewright.analysis.simulation import simulation_of
from tilewright.dialects.checks.queues import History, placed_ops, queue_errors
from tilewright.dialects.target import Target
from tilewright.runtime.execute import execute_function
from tilewright.runtime.queues import Engines

from ..chunks import run_chunk
from ..models import REFERENCE
from ..strategies import Machine
from ..sync_programs import PROGRAMS, Sizes, Speed, check_cycles, check_minimal, check_synchronised, scheduled

CHUNKS = 8


def check_program(text: str, sizes: Sizes, machine: Machine, speed: Speed) -> None:
    graph, module = scheduled(text, sizes, machine, speed, ",sync")
    number = zlib.crc32(text.encode())
    check_synchronised(graph, module, number)
    (func,) = module.functions()
    check_minimal(func, random.Random(number), 2)


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_random_programs_run_from_their_queues(chunk: int) -> None:
    run_chunk(check_program, PROGRAMS, 600 // CHUNKS, chunk)


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("latency", [0, 100])
def test_every_wait_and_signal_of_the_reference_is_needed(channels: int, latency: int) -> None:
    text = REFERENCE.replace("{\n", f" attributes {{sched.target = {{dma_channels = {channels}, dma_latency = "
                             f"{latency}}}}} {{\n", 1)  # fmt: skip
    pipeline = "fuse,tile,lower,forward,schedule{sram=32KiB evict=cost},prefetch,sync"
    module = tilewright.parse(tilewright.run_passes(text, pipeline))
    (func,) = module.functions()
    assert has_queues(func)
    check_cycles(func, module)
    check_minimal(func, random.Random(1), 10_000)


def test_a_wait_for_what_comes_later_in_the_text_is_simulated() -> None:
    ops = [QueuedOp(1, 5, (1,)), QueuedOp(0, 10), QueuedOp(0, 1, (0,))]
    line = simulate_queues(ops, 4)
    assert (line.start, line.end, line.makespan) == ([10, 0, 15], [15, 10, 16], 16)
    assert (line.busy, line.queues, line.by) == ([11, 5, 0, 0], 4, [1, -1, 0])
    assert [sum(stalls.values()) for stalls in line.stalls] == [5, 10, 0, 0]
    assert simulate_queues([]).makespan == 0
    with pytest.raises(ValueError, match="deadlock"):
        simulate_queues([QueuedOp(0, 1, (1,)), QueuedOp(1, 1, (0,))])


BY_HAND = """\
func.func @f(%x: !uop.tiled<tensor<4x4xf32>, [4, 4]>) -> !uop.tiled<tensor<4x4xf32>, [4, 4]> {
  %y = uop.alloc : !uop.tiled<tensor<4x4xf32>, [4, 4]>
  sched.load %x[0, 0] @0x0000 {bytes = 64, queue = 9, signal}
  sched.exec relu %y[0, 0] @0x0040 = %x[0, 0] @0x0000 {queue = 2, signal, wait = [[9, 1]]}
  sched.store %y[0, 0] @0x0040 {bytes = 64, queue = 4, wait = [[2, 1]]}
  return %y : !uop.tiled<tensor<4x4xf32>, [4, 4]>
}
"""


def test_queues_are_numbered_anew_with_the_engine_that_computes_last() -> None:
    (func,) = tilewright.parse(BY_HAND).functions()
    ops = queued_ops(func, Target(dma_latency=3))
    assert ops == [QueuedOp(1, 7), QueuedOp(2, 1, (0,)), QueuedOp(0, 7, (1,))]
    assert simulate_queues(ops).makespan == 15


def test_queues_are_the_engines_that_are_shown() -> None:
    module = tilewright.parse(BY_HAND)
    (func,) = module.functions()
    sim = simulation_of(func, module)
    assert (sim.from_queues, sim.engines(), sim.line.busy) == (True, ["dma0", "dma1", "compute"], [4, 4, 1])
    assert (sim.makespan, sim.bound, sim.one_at_a_time) == (9, 4, 9)
    assert [(s.op, s.cycles, s.cause, s.by) for s in sim.stalls()] == [(2, 5, CAUSE, 1), (1, 4, CAUSE, 0)]


def test_more_channels_than_queues_stand_idle_and_execs_may_have_several_queues() -> None:
    exec_ = "  sched.exec relu %y[0, 0] @0x0040 = %x[0, 0] @0x0000 {queue = 2, signal, wait = [[9, 1]]}\n"
    second = exec_.replace("queue = 2", "queue = 3").replace("9, 1", "2, 1")
    second = second.replace("relu", "add").replace(" = %x", " = %y[0, 0] @0x0040, %x")
    text = BY_HAND.replace("= 4, wait = [[2, 1]]", "= 9, wait = [[3, 1]]").replace(exec_, exec_ + second)
    text = text.replace(" {\n", " attributes {sched.target = {dma_channels = 3}} {\n", 1)
    module = tilewright.parse(text)
    (func,) = module.functions()
    sim = simulation_of(func, module)
    assert sim.engines() == ["dma0", "dma1", "dma2", "compute0", "compute1"]
    assert (sim.line.busy, [op.queue for op in sim.timed]) == ([8, 0, 0, 1, 1], [0, 3, 4, 0])
    assert (sim.makespan, sim.bound) == (10, 3)


def test_reads_of_parts_do_not_count_for_the_rest() -> None:
    history = History()
    assert list(history.write(0, 128, 0)) == []
    assert list(history.read(64, 192, queue=1, number=1)) == [0]
    assert list(history.write(0, 64, 2)) == [0]
    assert list(history.write(160, 256, 3)) == [1]
    assert sorted(history.write(0, 256, 4)) == [0, 1, 1, 2, 3]
    assert [(s.start, s.end, s.writer) for s in history.stretches.values()] == [(0, 256, 4)]


def test_any_two_operations_are_seen_as_a_map_of_bytes_sees_them() -> None:
    rng = random.Random(1)
    for _ in range(300):
        history = History()
        writers, readers = [-1] * 24, [dict[int, int]() for _ in range(24)]
        for number in range(12):
            start = rng.randrange(20)
            end, queue = rng.randrange(start + 1, 25), rng.randrange(3)
            covered = range(start, end)
            wanted = {writers[b] for b in covered} - {-1}
            if rng.random() < 0.5:
                assert set(history.read(start, end, queue, number)) == wanted
                for b in covered:
                    readers[b][queue] = number
                continue
            wanted |= {n for b in covered for n in readers[b].values()}
            assert set(history.write(start, end, number)) == wanted
            for b in covered:
                writers[b], readers[b] = number, {}


def test_a_run_meets_the_race_that_the_verifier_refuses() -> None:
    module = tilewright.parse(BY_HAND)
    (func,) = module.functions()
    placed_ops(func)[1].wait = None
    assert [e.message for e in queue_errors(func)] == ["race: nothing makes this wait for queue 9's operation 1"]
    for engines, meets in ((Engines(favourite=2), True), (Engines(favourite=9), False)):
        inputs = {"x": np.ones((4, 4), np.float32)}
        if not meets:
            execute_function(func, module, inputs, verified=True, engines=engines)
            continue
        with pytest.raises(DiagnosticError, match=r"race: .* is read before it is there"):
            execute_function(func, module, inputs, verified=True, engines=engines)


@pytest.mark.parametrize("engines", [Engines(), Engines(seed=1), Engines(favourite=2)])
def test_a_deadlock_ends_with_an_error(engines: Engines) -> None:
    module = tilewright.parse(BY_HAND)
    (func,) = module.functions()
    placed_ops(func)[0].wait = ((4, 1),)
    with pytest.raises(DiagnosticError, match="deadlock: queue 9 waits here for ever"):
        execute_function(func, module, {"x": np.ones((4, 4), np.float32)}, verified=True, engines=engines)


def test_threads_are_as_quiet_about_infinities_as_other_runs() -> None:
    text = tilewright.run_passes(
        "func.func @f(%x: tensor<8x8xf32>) -> tensor<8x8xf32> {\n"
        "  %y = graph.matmul %x, %x : (tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<8x8xf32>\n"
        "  return %y : tensor<8x8xf32>\n}\n",
        "tile{sizes=4x4x4},lower,schedule{sram=1KiB},sync",
    )
    module = tilewright.parse(text)
    (func,) = module.functions()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        inputs = {"x": np.full((8, 8), 3e38, np.float32)}
        (y,) = execute_function(func, module, inputs, verified=True, engines=Engines()).arrays
    assert np.isinf(y).all()
