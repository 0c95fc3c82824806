"""The statistics of a schedule are what docs/language.md says they are."""

from __future__ import annotations

import pytest

import tilewright
from tilewright.analysis.live_ranges import live_bytes, live_ranges
from tilewright.dialects.checks.schedule_replay import schedule_stats
from tilewright.lowering.finished_schedule import count_stats

TILED = "!uop.tiled<tensor<4x4xf32>, [4, 4]>"


def schedule(*lines: str) -> str:
    sram = "sched.sram = {alignment = 64, total_bytes = 512}"
    head = f"func.func @f(%x: {TILED}) -> {TILED} attributes {{{sram}}} {{"
    allocs = [f"%{name} = uop.alloc : {TILED}" for name in "hty"]
    return "\n".join([head, *allocs, *lines, f"return %y : {TILED}", "}\n"])


@pytest.mark.parametrize("written", ["@0x0040", "@0x0080", "@0x0140"])
def test_a_copy_that_is_written_again(written: str) -> None:
    """Over a stale copy that ended long ago, over the one that is read, and where nothing was: 192 bytes each time. The
    old copy does not come to life again between its last use and the new value."""
    text = schedule(
        "sched.load %x[0, 0] @0x0000 {bytes = 64}",
        "sched.exec relu %h[0, 0] @0x0040 = %x[0, 0] @0x0000",
        "sched.store %h[0, 0] @0x0040 {bytes = 64, retain}",
        "sched.load %h[0, 0] @0x0080 {bytes = 64}",
        "sched.exec relu %t[0, 0] @0x00c0 = %x[0, 0] @0x0000",
        "sched.exec relu %y[0, 0] @0x0100 = %t[0, 0] @0x00c0",
        f"sched.exec relu %h[0, 0] {written} = %h[0, 0] @0x0080",
        f"sched.store %h[0, 0] {written} {{bytes = 64}}",
        "sched.store %y[0, 0] @0x0100 {bytes = 64}",
    )
    module = tilewright.parse(text)
    (func,) = module.functions()
    stats = schedule_stats(func, module)
    assert stats["peak_sram_bytes"] == 192
    assert stats == count_stats(func, 64)
    assert max(live_bytes(live_ranges(func, module), stats["sched_ops"])) == 192
