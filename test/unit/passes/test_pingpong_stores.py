"""Ping/pong buffers and tiles that are stored first: loaded in a later phase than the one that stores them."""

from __future__ import annotations

import pytest

import tilewright as tw
from tilewright.dialects.checks.halves import half_errors
from tilewright.dialects.checks.queues import placed_ops
from tilewright.dialects.sched import ExecOp, LoadOp, StoreOp
from tilewright.ir.builtin import FuncOp
from tilewright.planner.arena import SRAMConfig
from tilewright.planner.pingpong_phases import PhaseProblem, cut, place_results
from tilewright.planner.placement import LiveRange

ROUND_TRIP = """\
func.func @f(%x: !uop.tiled<tensor<4x8xf32>, [4, 4]>) -> !uop.tiled<tensor<4x8xf32>, [4, 4]> {
  %t = uop.alloc : !uop.tiled<tensor<4x8xf32>, [4, 4]>
  %y = uop.alloc : !uop.tiled<tensor<4x8xf32>, [4, 4]>
  uop.load %x[0, 0]
  uop.exec relu %t[0, 0] = %x[0, 0]
  uop.store %t[0, 0]
  uop.load %x[0, 1]
  uop.load %t[0, 0]
  uop.exec add %y[0, 0] = %x[0, 1], %t[0, 0]
  uop.store %y[0, 0]
  uop.load %x[0, 0]
  uop.load %t[0, 0]
  uop.exec add %y[0, 1] = %t[0, 0], %x[0, 0]
  uop.store %y[0, 1]
  return %y : !uop.tiled<tensor<4x8xf32>, [4, 4]>
}
"""


@pytest.mark.parametrize("order", [(0, 2), (2, 0)])
def test_one_stored_tile_among_those_read_begins_a_phase(order: tuple[int, int]) -> None:
    """Tile 2 is stored by item 1, in the phase that item 0 has begun."""
    made = PhaseProblem(SRAMConfig(1024, 64), [(0, 1), (), order], [64] * 3, [-1, -1, 1], [])
    phases = cut(made, 512)
    assert phases is not None
    assert [(p.first, {load.tile for load in p.loads}) for p in phases] == [(0, {0, 1}), (2, {0, 2})]


def test_a_tile_that_was_stored_before_the_phase_joins_it() -> None:
    made = PhaseProblem(SRAMConfig(1024, 64), [(0,), (), (1,), (0, 1)], [64] * 2, [-1, 1], [])
    phases = cut(made, 512)
    assert phases is not None
    assert [(p.first, [load.tile for load in p.loads]) for p in phases] == [(0, [0]), (2, [1, 0])]


@pytest.mark.parametrize("start", [64, 128, 192])
def test_what_is_reserved_beyond_the_bytes_given_counts_for_nothing(start: int) -> None:
    made = PhaseProblem(SRAMConfig(256, 64), [], [], [], [LiveRange(0, 1, 64)], [(start, 256)])
    assert place_results(made, 0, 128) == ([0], 64)
    assert place_results(made, 0, 64) == ([0], 64)


def scheduled() -> FuncOp:
    (func,) = tw.parse(tw.run_passes(ROUND_TRIP, "schedule{sram=1KiB},pingpong")).functions()
    return func


def test_a_stored_tile_is_loaded_after_its_store_into_the_other_half() -> None:
    func = scheduled()
    ops = placed_ops(func)
    assert half_errors(func) == []
    stored = next(i for i, op in enumerate(ops) if isinstance(op, StoreOp) and op.operands[0].name == "t")
    loads = [(i, op) for i, op in enumerate(ops) if isinstance(op, LoadOp) and op.operands[0].name == "t"]
    assert [(i > stored, op.half) for i, op in loads] == [(True, 1)]
    assert [op.half for op in ops if isinstance(op, ExecOp)] == [0, 1, 1]


BY_HAND = """\
func.func @f(%x: !uop.tiled<tensor<4x8xf32>, [4, 4]>) -> !uop.tiled<tensor<4x8xf32>, [4, 4]> attributes {sched.sram = {alignment = 64, buffering = "pingpong", halves = [[256, 384], [384, 512]], total_bytes = 512}} {
  %t = uop.alloc : !uop.tiled<tensor<4x8xf32>, [4, 4]>
  %y = uop.alloc : !uop.tiled<tensor<4x8xf32>, [4, 4]>
  sched.load %x[0, 0] @0x0100 {bytes = 64, half = 0}
  sched.exec relu %t[0, 0] @0x0000 = %x[0, 0] @0x0100 {half = 0}
  sched.store %t[0, 0] @0x0000 {bytes = 64}
  sched.load %t[0, 0] @0x0140 {bytes = 64, half = 0}
  sched.exec relu %y[0, 0] @0x0040 = %t[0, 0] @0x0140 {half = 0}
  sched.store %y[0, 0] @0x0040 {bytes = 64}
  sched.load %x[0, 1] @0x0180 {bytes = 64, half = 1}
  sched.exec relu %y[0, 1] @0x0040 = %x[0, 1] @0x0180 {half = 1}
  sched.store %y[0, 1] @0x0040 {bytes = 64}
  return %y : !uop.tiled<tensor<4x8xf32>, [4, 4]>
}
"""  # noqa: E501


def test_loading_a_stored_tile_within_the_phase_that_stores_it_is_refused() -> None:
    with pytest.raises(tw.DiagnosticError, match="loads into half 0 while execs are reading from it") as refused:
        tw.parse(BY_HAND, filename="f.mir")
    assert str(refused.value).startswith("f.mir:7:44: error: ")
    assert "f.mir:5:3: note: the last exec of that half is here" in str(refused.value)
    assert "f.mir:8:3: note: the next one is here" in str(refused.value)


def test_a_phase_of_the_other_half_between_them_makes_it_right() -> None:
    """The same, but that the stored tile is loaded after an exec of half 1."""
    lines = BY_HAND.splitlines(keepends=True)
    moved = "".join([*lines[:6], *lines[9:11], *lines[6:8], lines[11], lines[8], *lines[12:]])
    moved = moved.replace("%y[0, 1] @0x0040", "%y[0, 1] @0x0080")
    assert "half = 0" in moved
    assert tw.parse(moved)


def test_twenty_errors_are_enough() -> None:
    """Each of the loads lies below the halves."""
    loads = "".join(f"  sched.load %x[0, {i}] @0x{64 * i:04x} {{bytes = 64, half = 0}}\n" for i in range(25))
    text = (
        "func.func @f(%x: !uop.tiled<tensor<4x100xf32>, [4, 4]>) attributes {sched.sram = {alignment = 64, buffering = "
        f'"pingpong", halves = [[2048, 3072], [3072, 4096]], total_bytes = 4096}}}} {{\n{loads}  return\n}}\n'
    )
    with pytest.raises(tw.DiagnosticError) as refused:
        tw.parse(text)
    messages = [error.message for error in refused.value.diagnostics]
    assert len(messages) == 20
    assert messages[19] == "%x[0, 19] @0x04c0 is not within half 0, [0x0800, 0x0c00)"
    assert refused.value.diagnostics[19].notes[-1].message == "this check ends here, after 20 errors"
