"""Buffers that share bytes off chip: never chosen with several DMA channels, and by hand only with waits."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

import tilewright as tw
from tilewright.analysis.simulation import simulation_of
from tilewright.dialects.checks.queues import placed_ops, queue_errors
from tilewright.dialects.placement_limits import off_chip_bytes
from tilewright.dialects.uop import AllocOp
from tilewright.ir.builtin import FuncOp, ModuleOp

from ..sync_programs import check_cycles, check_minimal, check_synchronised

CHAIN = """\
func.func @chain(%x: tensor<8x8xf32>, %w: tensor<8x8xf32>) -> tensor<8x8xf32> attributes {sched.target = {dma_channels = CHANNELS}} {
  %a = graph.matmul %x, %w {tile = [8, 8, 8]} : (tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<8x8xf32>
  %b = graph.matmul %a, %w {tile = [8, 8, 8]} : (tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<8x8xf32>
  %c = graph.matmul %b, %w {tile = [8, 8, 8]} : (tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<8x8xf32>
  %d = graph.matmul %c, %w {tile = [8, 8, 8]} : (tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<8x8xf32>
  return %d : tensor<8x8xf32>
}
"""  # noqa: E501

TILED = "!uop.tiled<tensor<4x4xf32>, [4, 4]>"
SHARED = f"""\
func.func @f(%x: {TILED}) -> {TILED} attributes {{sched.target = {{dma_channels = CHANNELS, dma_latency = LATENCY}}}} {{
  %a = uop.alloc {{dram = 0}} : {TILED}
  %b = uop.alloc {{dram = 32}} : {TILED}
  %y = uop.alloc {{dram = 96}} : {TILED}
  sched.load %x[0, 0] @0x0000 {{bytes = 64}}
  sched.exec relu %a[0, 0] @0x0040 = %x[0, 0] @0x0000
  sched.exec relu %b[0, 0] @0x0080 = %x[0, 0] @0x0000
  sched.store %a[0, 0] @0x0040 {{bytes = 64}}
  sched.load %a[0, 0] @0x00c0 {{bytes = 64}}
  sched.store %b[0, 0] @0x0080 {{bytes = 64}}
  sched.load %b[0, 0] @0x0100 {{bytes = 64}}
  sched.exec add %y[0, 0] @0x0140 = %a[0, 0] @0x00c0, %b[0, 0] @0x0100
  sched.store %y[0, 0] @0x0140 {{bytes = 64}}
  return %y : {TILED}
}}
"""


def function(text: str) -> tuple[FuncOp, ModuleOp]:
    module = tw.parse(text)
    (func,) = module.functions()
    return func, module


@pytest.mark.parametrize(("channels", "shares"), [(1, True), (2, False), (3, False)])
@pytest.mark.parametrize("last", ["", ",prefetch", ",pingpong"])
def test_addresses_are_shared_with_one_channel_only(channels: int, shares: bool, last: str) -> None:
    text = CHAIN.replace("CHANNELS", str(channels))
    func, _ = function(tw.run_passes(text, f"lower,schedule{{sram=4KiB dram}}{last}"))
    allocs = [op for op in func.ops if isinstance(op, AllocOp)]
    spans = sorted((op.dram, op.dram + off_chip_bytes(op.result.type)) for op in allocs if op.dram is not None)  # type: ignore[arg-type]
    assert len(spans) == 4
    assert any(end > start for (_, end), (start, _) in pairwise(spans)) == shares


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("latency", [0, 7])
def test_shared_bytes_are_waited_for_by_queues_and_in_the_simulator(channels: int, latency: int) -> None:
    text = SHARED.replace("CHANNELS", str(channels)).replace("LATENCY", str(latency))
    func, module = function(tw.run_passes(text, "sync"))
    check_cycles(func, module)
    check_minimal(func, random.Random(1), 1_000)
    check_synchronised(*graph_and(module), 1)


def graph_and(module: ModuleOp) -> tuple[ModuleOp, ModuleOp]:
    """A model that computes the same, and the schedule."""
    model = tw.parse(
        "func.func @f(%x: tensor<4x4xf32>) -> tensor<4x4xf32> {\n"
        "  %a = graph.relu %x : tensor<4x4xf32>\n"
        "  %y = graph.add %a, %a : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>\n"
        "  return %y : tensor<4x4xf32>\n}\n"
    )
    return model, module


@pytest.mark.parametrize("address", ["0", "32", "63"])
def test_a_store_over_bytes_that_another_channel_still_loads_is_a_race(address: str) -> None:
    """%b's store and %a's load are in different queues; where the bytes are apart, nothing has to wait."""
    text = SHARED.replace("CHANNELS", "2").replace("LATENCY", "0")
    text = text.replace("dram = 32", f"dram = {address}").replace("dram = 96", "dram = 128")
    func, module = function(tw.run_passes(text, "sync"))
    load, store = placed_ops(func)[4], placed_ops(func)[5]
    assert load.queue != store.queue
    assert store.wait is not None
    assert load.queue in [queue for queue, _ in store.wait]
    kept, store.wait = store.wait, tuple(wait for wait in store.wait if wait[0] != load.queue) or None
    errors = [error.message for error in queue_errors(func)]
    assert errors[0].startswith(f"race: nothing makes this wait for queue {load.queue}'s operation")
    store.wait = kept
    apart, _ = function(tw.run_passes(text.replace(f"dram = {address}", "dram = 64", 1), "sync"))
    waits = placed_ops(apart)[5].wait or ()
    assert load.queue not in [queue for queue, _ in waits]
    assert simulation_of(func, module).makespan > 0
