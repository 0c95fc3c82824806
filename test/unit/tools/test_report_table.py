"""The test table of the project's founding report, row by row, through the Python surface."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest

import tilewright
from tilewright import SchedExecute, SchedLoad, SchedStore, Schedule, ScheduleStats, SRAMConfig
from tilewright.ir.builtin import FuncOp

from ..models import REFERENCE, TILE

ONE_PRODUCT = """\
func.func @product(%x: tensor<64x96xf32>, %w: tensor<96x64xf32>) -> tensor<64x64xf32> {
  %y = graph.matmul %x, %w : (tensor<64x96xf32>, tensor<96x64xf32>) -> tensor<64x64xf32>
  return %y : tensor<64x64xf32>
}
"""


def schedule(text: str = REFERENCE, total_bytes: int = 256 * 1024, **options: object) -> Schedule:
    scheduler = tilewright.Scheduler(SRAMConfig(total_bytes, 64), **options)  # type: ignore[arg-type]
    return scheduler.run_on_graph(tilewright.parse(text))


def lowered(text: str = REFERENCE) -> FuncOp:
    (func,) = tilewright.parse(tilewright.run_passes(text, "fuse,tile,lower")).functions()
    return func


# --- arena ---


def test_arena_roundtrip() -> None:
    arena = tilewright.VirtualSRAMArena(SRAMConfig(1024, 64))
    first, second = arena.allocate(100, "a"), arena.allocate(64, "b")
    assert (first, second, arena.live_bytes) == (0, 128, 192)
    arena.free(first)
    arena.free(second)
    assert (arena.live_bytes, arena.free_blocks()) == (0, ((0, 1024),))


@pytest.mark.parametrize("alignment", [1, 16, 64, 256])
def test_arena_alignment(alignment: int) -> None:
    arena = tilewright.VirtualSRAMArena(SRAMConfig(4096, alignment))
    addresses = [arena.allocate(size) for size in (1, 65, 100, 3)]
    rounded = [-(-size // alignment) * alignment for size in (1, 65, 100)]
    assert addresses == [0, rounded[0], sum(rounded[:2]), sum(rounded)]


def test_arena_peak() -> None:
    arena = tilewright.VirtualSRAMArena(SRAMConfig(1024, 64))
    arena.free(arena.allocate(512))
    arena.allocate(64)
    assert (arena.peak_bytes, arena.live_bytes) == (512, 64)


def test_arena_reset() -> None:
    arena = tilewright.VirtualSRAMArena(SRAMConfig(256, 64))
    arena.allocate(256, "all")
    arena.reset()
    assert (arena.live_bytes, arena.peak_bytes, arena.live()) == (0, 0, ())
    assert arena.allocate(256) == 0


def test_arena_out_of_memory_names_capacity_live_bytes_and_tags() -> None:
    arena = tilewright.VirtualSRAMArena(SRAMConfig(256, 64))
    arena.allocate(128, "x[0, 0]")
    arena.allocate(64, "w[0, 0]")
    with pytest.raises(tilewright.OutOfMemoryError) as caught:
        arena.allocate(100, "h[0, 0]")
    error = caught.value
    assert (error.capacity, error.live_bytes, error.largest_free_block) == (256, 192, 64)
    assert (error.request_tag, error.request_bytes) == ("h[0, 0]", 100)
    assert [(item.tag, item.bytes) for item in error.live] == [("x[0, 0]", 128), ("w[0, 0]", 64)]


def test_schedule_out_of_memory_names_capacity_live_bytes_and_tags() -> None:
    with pytest.raises(tilewright.ScheduleError) as caught:
        schedule(total_bytes=2 * TILE)
    assert str(caught.value).splitlines() == [
        "out of SRAM: no room for %h1[0, 0], 4,096 bytes; needs at least 12,288 bytes (sram=12288)",
        "  capacity:           8,192 bytes",
        "  live:               8,192 bytes in 2 allocations",
        "  largest free block: 0 bytes",
        "  cause:              the tiles needed at once exceed the SRAM",
        "  live allocations:",
        "    @0x0000      4,096 bytes  %x[0, 0]",
        "    @0x1000      4,096 bytes  %w1[0, 0]",
    ]


# --- residency ---


def test_same_tile_is_loaded_once_and_its_reuse_is_counted() -> None:
    result = schedule(ONE_PRODUCT)
    assert Counter((op.tensor, op.coord) for op in result.loads) == Counter(
        {
            (tensor, (i, j)): 1
            for tensor, rows, columns in (("x", 2, 3), ("w", 3, 2))
            for i in range(rows)
            for j in range(columns)
        }
    )
    assert (result.stats.loads_emitted, result.stats.loads_eliminated) == (12, 12)
    assert result.stats.reuse == 0.5


def test_eviction_loads_again() -> None:
    result = schedule(ONE_PRODUCT, 3 * TILE)
    assert (result.stats.loads_emitted, result.stats.loads_eliminated) == (len(result.loads), 24 - len(result.loads))
    assert len(result.loads) > 12
    assert result.stats.peak_sram_bytes == 3 * TILE


def test_nothing_is_live_at_the_end() -> None:
    assert schedule().stats.final_live_bytes == 0
    assert schedule(evict="lru", total_bytes=3 * TILE).stats.final_live_bytes == 0


def test_peak_is_reasonable() -> None:
    """All tiles of x and w of one row of results, and a handful of others: far less than all tensors together."""
    stats = schedule().stats
    assert stats.peak_sram_bytes == 13 * TILE
    assert schedule(total_bytes=13 * TILE).stats == stats


# --- double buffering ---


def products(result: Schedule) -> dict[tuple[str, tuple[int, ...]], list[SchedExecute]]:
    """The matmul execs by destination tile, in order."""
    found: dict[tuple[str, tuple[int, ...]], list[SchedExecute]] = defaultdict(list)
    for op in result.executes:
        if op.kernel == "matmul":
            found[op.dst.tensor, op.dst.coord].append(op)
    return found


def test_buffers_alternate_and_start_anew_at_each_destination_tile() -> None:
    result = schedule(double_buffer=True)
    groups = products(result)
    assert len(groups) == 16
    assert sorted(map(len, groups.values())) == [1] * 4 + [2] * 4 + [4] * 8
    for execs in groups.values():
        assert [op.buffer for op in execs] == [k % 2 for k in range(len(execs))]


@pytest.mark.parametrize("total_bytes", [3 * TILE, 256 * 1024])
def test_a_loads_buffer_is_that_of_the_first_exec_that_reads_it(total_bytes: int) -> None:
    ops = schedule(double_buffer=True, total_bytes=total_bytes).ops
    for position, load in enumerate(ops):
        if isinstance(load, SchedLoad):
            reader = next(
                op
                for op in ops[position:]
                if isinstance(op, SchedExecute) and (load.tensor, load.coord) in [(s.tensor, s.coord) for s in op.srcs]
            )
            assert (load.buffer, load.dst_addr) == (
                reader.buffer,
                next(s.addr for s in reader.srcs if (s.tensor, s.coord) == (load.tensor, load.coord)),
            )


def test_only_products_and_their_loads_have_buffers() -> None:
    text = """\
func.func @f(%x: tensor<64x64xf32>, %w: tensor<64x64xf32>, %b: tensor<64xf32>,
             %r: tensor<64x64xf32>) -> tensor<64x64xf16> {
  %a = graph.matmul %x, %w, %b : (tensor<64x64xf32>, tensor<64x64xf32>, tensor<64xf32>) -> tensor<64x64xf32>
  %s = graph.add %a, %r : (tensor<64x64xf32>, tensor<64x64xf32>) -> tensor<64x64xf32>
  %t = graph.relu %s : tensor<64x64xf32>
  %y = graph.cast %t : tensor<64x64xf32> -> tensor<64x64xf16>
  return %y : tensor<64x64xf16>
}
"""
    result = schedule(text, double_buffer=True)
    with_buffer = {op.kernel for op in result.executes if op.buffer is not None}
    without = {op.kernel for op in result.executes if op.buffer is None}
    assert (with_buffer, without) == ({"matmul"}, {"bias", "add", "relu", "cast"})
    for execs in products(result).values():
        assert [op.buffer for op in execs] == [0, 1]
    assert {op.tensor for op in result.loads if op.buffer is not None} == {"x", "w"}
    assert {op.tensor for op in result.loads if op.buffer is None} == {"b", "a", "r", "s", "t"}


def test_buffers_are_labels_only() -> None:
    def plain(op: SchedLoad | SchedExecute | SchedStore) -> object:
        fields = {name: getattr(op, name) for name in op.__slots__ if name != "buffer"}
        return type(op), tuple(fields.items())

    single, double = schedule(), schedule(double_buffer=True)
    assert [plain(op) for op in single.ops] == [plain(op) for op in double.ops]
    assert single.stats == double.stats
    assert {getattr(op, "buffer", None) for op in single.ops} == {None}


# --- end to end ---


def test_reference_graph_and_uops() -> None:
    (graph,) = tilewright.parse(REFERENCE).functions()
    (fused,) = tilewright.parse(tilewright.run_passes(REFERENCE, "fuse")).functions()
    assert len(graph.ops) - 1 == 5
    assert len(graph.args) + len(graph.ops) - 1 == 9
    assert [op.name for op in fused.ops] == ["graph.matmul"] * 3 + ["func.return"]
    kinds = Counter(op.name for op in lowered().ops)
    assert kinds == {"uop.alloc": 3, "uop.load": 88, "uop.exec": 44, "uop.store": 16, "func.return": 1}


@pytest.mark.parametrize("double_buffer", [False, True])
def test_reference_schedule(double_buffer: bool) -> None:
    scheduler = tilewright.Scheduler(SRAMConfig(), double_buffer=double_buffer)
    result = scheduler.run_on_graph(tilewright.parse(REFERENCE))
    assert (len(result.ops), len(result.loads), len(result.executes), len(result.stores)) == (99, 39, 44, 16)
    assert result.stats == ScheduleStats(
        sched_ops=99, loads_emitted=39, loads_eliminated=49, peak_sram_bytes=53248, final_live_bytes=0
    )
    assert f"{result.stats.reuse:.1%}" == "55.7%"
    first = [op for op in result.ops if isinstance(op, SchedLoad)][:4]
    assert [(op.tensor, op.coord, op.dst_addr, op.bytes) for op in first] == [
        ("x", (0, 0), 0x0000, 4096),
        ("w1", (0, 0), 0x1000, 4096),
        ("x", (0, 1), 0x3000, 4096),
        ("w1", (1, 0), 0x4000, 4096),
    ]
    assert (result.executes[0].dst.addr, result.executes[0].accumulate) == (0x2000, False)
    assert scheduler.run(lowered().ops) == result


def test_reference_schedule_text_has_the_same_figures() -> None:
    (func,) = tilewright.parse(tilewright.run_passes(REFERENCE, "schedule")).functions()
    assert func.attrs["sched.sram"] == {"alignment": 64, "total_bytes": 262144}
    assert func.attrs["sched.stats"] == {
        "final_live_bytes": 0,
        "loads_eliminated": 49,
        "loads_emitted": 39,
        "peak_sram_bytes": 53248,
        "sched_ops": 99,
    }


@pytest.mark.parametrize("evict", ["lru", "min"])
def test_reference_schedules_from_three_tiles_up(evict: str) -> None:
    for tiles in range(3, 17):
        result = schedule(total_bytes=tiles * TILE, evict=evict)
        assert (len(result.executes), len(result.stores), result.stats.final_live_bytes) == (44, 16, 0)
        assert result.stats.peak_sram_bytes <= tiles * TILE
        assert result.stats.loads_emitted + result.stats.loads_eliminated == 88


def test_unknown_eviction() -> None:
    with pytest.raises(ValueError, match="evict must be one of min, lru, cost, got 'fifo'"):
        tilewright.Scheduler(SRAMConfig(), evict="fifo")


def test_run_on_graph_needs_one_function() -> None:
    empty = tilewright.parse("")
    with pytest.raises(ValueError, match="exactly one function, it has 0"):
        tilewright.Scheduler().run_on_graph(empty)
