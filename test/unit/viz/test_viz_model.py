"""What the pictures show is what the schedule says: lives, bytes, lines, texts and times."""

from __future__ import annotations

from dataclasses import fields

import pytest

import tilewright
from tilewright.dialects.checks.schedule_replay import schedule_stats
from tilewright.dialects.target import schedule_target
from tilewright.lowering.timed_ops import TimedOps
from tilewright.planner.simulator import simulate
from tilewright.viz import model
from tilewright.viz.model import ACCUMULATOR, INTERMEDIATE, NOBODY, OPERAND, OVERWRITTEN, SPILLED, STORED, Picture
from tilewright.viz.raster import FREE, live_steps, owners, window_of

from ..models import MIXED, REFERENCE, TILE, chain_text

SPILLS = """\
func.func @f(%x: !uop.tiled<tensor<8x8xf32>, [8, 8]>) attributes {sched.target = {sram_bytes = 1024}} {
  %b = uop.alloc : !uop.tiled<tensor<8x32xf32>, [8, 8]>
  uop.load %x[0, 0]
  uop.exec relu %b[0, 0] = %x[0, 0]
  uop.exec relu %b[0, 1] = %x[0, 0]
  uop.exec relu %b[0, 2] = %x[0, 0]
  uop.exec relu %b[0, 3] = %x[0, 0]
  uop.exec add %b[0, 0] = %b[0, 0], %b[0, 1]
  uop.exec add %b[0, 0] = %b[0, 0], %b[0, 2]
  uop.exec add %b[0, 0] = %b[0, 0], %b[0, 3]
  return
}
"""


def scheduled(text: str, pipeline: str) -> str:
    return tilewright.run_passes(text, pipeline)


def picture(text: str) -> Picture:
    module = tilewright.parse(text, filename="some/where/s.mir")
    return model.picture_of(next(module.functions()), module)


@pytest.fixture(scope="module")
def mlp() -> Picture:
    return picture(scheduled(REFERENCE, "schedule"))


def life_of(pic: Picture, name: str) -> list[int]:
    return [life for life, tile in enumerate(pic.lives.tile) if pic.tile_name(tile) == name]


def test_reference_workload(mlp: Picture) -> None:
    assert (mlp.source, mlp.function, mlp.capacity, mlp.alignment) == ("s.mir", "mlp", 262144, 64)
    assert (mlp.peak, mlp.peak_op, mlp.high_water, len(mlp.live)) == (53_248, 28, 53_248, 99)
    assert [t.name for t in mlp.tensors] == ["x", "w1", "h1", "w2", "h2", "w3", "y"]
    assert mlp.queues == ["DMA", "compute"]
    kinds = [mlp.lives.kind.count(k) for k in (OPERAND, ACCUMULATOR, INTERMEDIATE)]
    assert kinds == [27, 16, 12]  # 16 + 8 + 2 + 1 weights and inputs; 8 + 4 + 4 results; 8 + 4 of them read again


def test_lives_of_the_first_tiles(mlp: Picture) -> None:
    (x,) = life_of(mlp, "%x[0, 0]")
    lives = mlp.lives
    assert (lives.address[x], lives.start[x], lives.end[x], lives.ended[x], lives.ender[x]) == (
        0, 0, 15, OVERWRITTEN, 15,
    )  # fmt: skip
    h, again = life_of(mlp, "%h1[0, 0]")
    assert (lives.address[h], lives.start[h], lives.written[h], lives.end[h]) == (0x2000, 2, 11, 13)
    assert (lives.kind[h], lives.ended[h], lives.ender[h], lives.reload[h]) == (ACCUMULATOR, STORED, 12, 0)
    assert (lives.kind[again], lives.reload[again]) == (INTERMEDIATE, 1)
    assert mlp.size(lives.tile[h]) == TILE
    assert (lives.begin[x], lives.until[x]) == (0, mlp.ops.end[14])


@pytest.mark.parametrize(
    ("text", "pipeline"),
    [
        (REFERENCE, "schedule{sram=16KiB}"),
        (REFERENCE, "schedule{double-buffer},prefetch"),
        (MIXED, "fuse,tile{sizes=4x4x4},lower,schedule"),
        (SPILLS, "schedule"),
        (chain_text((64, 96, 96)), "schedule{sram=16KiB}"),
    ],
)
def test_lines_texts_bytes_and_times_are_the_schedules(text: str, pipeline: str) -> None:
    source = scheduled(text, pipeline)
    module = tilewright.parse(source)
    func = next(module.functions())
    pic = model.picture_of(func, module)
    lines = source.splitlines()
    assert [lines[pic.ops.line[op] - 1].strip() for op in range(len(pic.live))] == [
        pic.text(op) for op in range(len(pic.live))
    ]
    stats = schedule_stats(func, module)
    assert pic.peak == stats["peak_sram_bytes"]
    assert pic.lives.ended.count(SPILLED) == stats.get("spills", 0)
    loads = sum(form.startswith("sched.load") for form in (pic.forms[f] for f in pic.ops.form))
    assert loads == stats["loads_emitted"]
    timed = TimedOps(schedule_target(func, module))
    line = simulate(timed.all(func), timed.queues)
    assert (pic.ops.start, pic.ops.end, pic.makespan) == (line.start, line.end, line.makespan)


@pytest.mark.parametrize("axis", ["op", "cycle"])
@pytest.mark.parametrize("pipeline", ["schedule{sram=16KiB}", "schedule,prefetch"])
def test_lives_never_share_bytes_and_add_up(axis: str, pipeline: str) -> None:
    pic = picture(scheduled(REFERENCE, pipeline))
    window = window_of([pic], axis)
    lives = pic.lives
    spans = [
        (*window.span(pic, i), lives.address[i], lives.address[i] + pic.size(lives.tile[i])) for i in range(len(lives))
    ]
    for i, (start, end, low, high) in enumerate(spans):
        assert 0 <= start < end <= window.right
        assert not any(s < end and start < e and a < high and low < b for s, e, a, b in spans[:i])
    for start, end, size in live_steps(pic, axis):
        assert size == sum(high - low for s, e, low, high in spans if s <= start and e >= end)


def test_every_use_names_the_life_that_is_there(mlp: Picture) -> None:
    for column in mlp.ops.lives:
        for op, life in enumerate(column):
            assert life == NOBODY or mlp.lives.start[life] <= op < mlp.lives.end[life]


def test_cells_belong_to_the_tensor_that_fills_them(mlp: Picture) -> None:
    window = window_of([mlp], "op")
    cells = owners(mlp, window, len(mlp.live), window.top // TILE)
    for life in range(len(mlp.lives)):
        row = mlp.lives.address[life] // TILE
        mine = 2 * mlp.tiles[mlp.lives.tile[life]][0] + (mlp.lives.kind[life] == ACCUMULATOR)
        assert set(cells[mlp.lives.start[life] : mlp.lives.end[life], row].tolist()) == {mine}
    assert (cells != FREE).sum() * TILE == sum(mlp.live)


def test_texts_hold_whatever_names_and_attributes_hold() -> None:
    source = scheduled(REFERENCE, "schedule").replace("%w1", "%x$1")
    source = source.replace("@0x0000 {bytes = 4096}", '@0x0000 {bytes = 4096, my.note = "$1"}', 1)
    pic = picture(source)
    assert pic.text(0) == 'sched.load %x[0, 0] @0x0000 {bytes = 4096, my.note = "$1"}'
    assert pic.text(2) == "sched.exec matmul %h1[0, 0] @0x2000 = %x[0, 0] @0x0000, %x$1[0, 0] @0x1000"


def test_a_schedule_without_operations() -> None:
    pic = picture("func.func @f() attributes {sched.sram = {alignment = 64, total_bytes = 1024}} {\n  return\n}\n")
    assert (len(pic.lives), pic.live, pic.peak, pic.makespan, pic.high_water) == (0, [], 0, 0, 0)
    assert all(not getattr(pic.lives, f.name) for f in fields(pic.lives))


def test_figures(mlp: Picture) -> None:
    rows = {(title, label): shown for title, group in mlp.figures.groups for label, shown, _ in group}
    assert rows["SRAM", "peak live"] == "53,248 B (20.3%)"
    assert rows["Traffic", "moved"] == "220 KiB"
    assert rows["Traffic", "lower bound"] == "124 KiB"
    assert rows["Operations", "loads saved"] == "55.7%"
    assert rows["Time", "makespan"] == f"{mlp.makespan:,} cycles"
    assert mlp.figures.tensors[0] == ("%x", 65536, 65536, 0, 0, "1.00")
