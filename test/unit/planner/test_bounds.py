"""Lower bounds against figures worked out by hand, and against what schedules really move."""

from __future__ import annotations

import json
from math import ceil, sqrt

import pytest
from hypothesis import HealthCheck, given, settings

import tilewright
from tilewright.analysis.cost import Cost, cost_of
from tilewright.analysis.report import Report, Reporter
from tilewright.analysis.report_cost import cost_dict, cost_lines
from tilewright.analysis.workload import workload_of
from tilewright.dialects.sched import LoadOp, StoreOp
from tilewright.ir.attributes import UNIT
from tilewright.ir.builtin import FuncOp
from tilewright.planner.bounds import (
    Layer,
    LowerBounds,
    Product,
    Workload,
    bounds_of,
    compulsory_bytes,
    product_reads,
    published_figure,
)

from ..models import MIXED, REFERENCE, chain_text
from ..nest_choices import Choice
from ..programs import PROGRAMS, Sizes, compile_in_steps
from ..strategies import Machine

KIB = 1024
CUBE = Product(0, 1, 512**3, 512 * 512 * 4, (4, 4, 4))


def function(text: str, pipeline: str = "") -> FuncOp:
    (func,) = tilewright.parse(tilewright.run_passes(text, pipeline)).functions()
    return func


def workload(text: str, pipeline: str = "") -> Workload:
    found = workload_of(function(text, pipeline))
    assert found is not None
    return found


def measured(text: str, sram: int, options: str = "") -> tuple[Cost, LowerBounds]:
    """The cost of the baseline schedule and the bounds, at the given SRAM size."""
    func = function(text, f"fuse,tile,lower,schedule{{sram={sram} {options}}}")
    found = workload_of(func)
    assert found is not None
    return cost_of(func, func.attrs["sched.stats"], 64), bounds_of(found, sram)  # type: ignore[arg-type]


BY_HAND = """\
func.func @f(%x: !uop.tiled<tensor<4x4xf32>, [4, 4]>) -> !uop.tiled<tensor<4x4xf32>, [4, 4]> {
  %h = uop.alloc : !uop.tiled<tensor<4x4xf32>, [4, 4]>
  sched.load %x[0, 0] @0x0000 {bytes = 64}
  sched.exec relu %h[0, 0] @0x0100 = %x[0, 0] @0x0000
  sched.store %h[0, 0] @0x0100 {bytes = 64}
  return %h : !uop.tiled<tensor<4x4xf32>, [4, 4]>
}
"""


# --- compulsory ---


@pytest.mark.parametrize(
    ("text", "kib"),
    [
        (REFERENCE, 64 + 32 + 8 + 4 + 16),
        (chain_text([512, 512, 512]), 3 * 1024),
        # 784 takes 25 tiles of 32: 4*25 + 25*16 + 16*8 tiles of 4 KiB; 10 takes one of 10: 8*1 + 4*1 of 1.25 KiB.
        (chain_text([128, 784, 512, 256, 10], relu=True), 4 * (100 + 400 + 128) + 10 + 5),
        (chain_text([128, 768, 768, 768, 768, 768, 3072, 768]), 28416),
    ],
    ids=["reference", "cube", "mlp", "transformer"],
)
def test_compulsory_traffic_of_the_known_workloads(text: str, kib: int) -> None:
    assert compulsory_bytes(workload(text, "fuse,tile,lower")) == kib * KIB


@pytest.mark.parametrize("pipeline", ["fuse,tile,lower", "schedule{sram=20KiB evict=lru}"])
def test_a_workload_is_the_same_at_both_tile_levels(pipeline: str) -> None:
    expected = workload(REFERENCE, "fuse,tile,lower")
    found = workload(REFERENCE, pipeline)
    assert (found.reads, found.writes, found.layers) == (expected.reads, expected.writes, expected.layers)


def test_an_untiled_graph_counts_elements() -> None:
    assert compulsory_bytes(workload(REFERENCE)) == 124 * KIB
    text = chain_text([5, 7, 3])
    assert compulsory_bytes(workload(text)) == 4 * (5 * 7 + 7 * 3 + 5 * 3)
    assert compulsory_bytes(workload(text, "tile{sizes=4x4x4},lower")) == 64 * 2 * 2 + 48 * (2 * 1 + 2 * 1)


def test_a_returned_argument_needs_nothing() -> None:
    """%u is returned as it came; x, w, b and r are read, y and h are written."""
    found = workload(MIXED, "fuse,tile{sizes=4x4x4},lower")
    assert (found.reads, found.writes) == (
        {0: 4 * 64, 1: 4 * 64, 2: 2 * 16, 3: 4 * 64},
        {6: 4 * 64, 7: 4 * 32},
    )


def test_what_no_result_depends_on_is_not_compulsory() -> None:
    text = REFERENCE.replace("return %y : tensor<128x32xf32>", "return %h1 : tensor<128x64xf32>").replace(
        "-> tensor<128x32xf32> {", "-> tensor<128x64xf32> {", 1
    )
    for pipeline in ("", "fuse,tile,lower", "schedule"):
        assert compulsory_bytes(workload(text, pipeline)) == (64 + 32 + 32) * KIB


def test_an_earlier_value_of_a_tile_is_not_needed() -> None:
    text = """\
func.func @f(%x: !uop.tiled<tensor<4x4xf32>, [4, 4]>, %y: !uop.tiled<tensor<4x4xf32>, [4, 4]>)
    -> !uop.tiled<tensor<4x4xf32>, [4, 4]> {
  %h = uop.alloc : !uop.tiled<tensor<4x4xf32>, [4, 4]>
  uop.load %x[0, 0]
  uop.exec relu %h[0, 0] = %x[0, 0]
  uop.store %h[0, 0]
  uop.load %y[0, 0]
  uop.exec relu %h[0, 0] = %y[0, 0]
  uop.store %h[0, 0]
  return %h : !uop.tiled<tensor<4x4xf32>, [4, 4]>
}
"""
    assert workload(text).reads == {1: 64}


def test_an_unknown_operation_on_a_tensor_leaves_no_bound() -> None:
    text = """\
func.func @f(%x: tensor<4x4xf32>) -> tensor<4x4xf32> {
  %y = "other.op"(%x) : (tensor<4x4xf32>) -> tensor<4x4xf32>
  return %y : tensor<4x4xf32>
}
"""
    (func,) = tilewright.parse(text, allow_unregistered=True).functions()
    assert workload_of(func) is None


# --- one product ---


@pytest.mark.parametrize(("sram", "figure", "reads"), [(64, 9216, 7168), (256, 5120, 3072), (1024, 3072, 1024)])
def test_a_cube_of_512(sram: int, figure: int, reads: int) -> None:
    """2 * 512^3 / sqrt(S) elements of 4 bytes, S = 16,384, 65,536 and 262,144: 8, 4 and 2 MiB; C has 1 MiB."""
    assert published_figure(CUBE, sram * KIB) == figure * KIB
    assert product_reads(CUBE, sram * KIB) == reads * KIB
    found = bounds_of(workload(chain_text([512, 512, 512])), sram * KIB)
    assert found.program == max(reads + 1024, 3072) * KIB
    assert found.kind == ("I/O of one product" if reads > 2048 else "compulsory")


def test_both_cases_meet_where_a_block_is_as_deep_as_it_is_wide() -> None:
    """At k = sqrt(S) both give mn; below it mn k^2/S, which holding a panel of A comes near to."""
    sram = 64 * 64 * 4
    for k, expected in ((64, 1024 * 1024), (32, 1024 * 1024 / 4), (128, 3 * 1024 * 1024)):
        product = Product(0, 1, 1024 * 1024 * k, 1024 * 1024 * 4, (4, 4, 4))
        assert product_reads(product, sram) == 4 * expected


def test_element_widths() -> None:
    """i8 operands, i32 sums: 2mnk sqrt(1*1*4) / sqrt(S) - 4mn bytes."""
    product = Product(0, 1, 512**3, 512 * 512 * 4, (1, 1, 4))
    assert product_reads(product, 64 * KIB) == int(2 * 512**3 * 2 / 256 - 512 * 512 * 4)
    assert product_reads(product, 64 * KIB) < product_reads(CUBE, 64 * KIB)
    wide = Product(0, 1, 512**3, 512 * 512 * 4, (2, 2, 4))
    assert product_reads(wide, 64 * KIB) == int(2 * 512**3 * sqrt(16) / 256 - 512 * 512 * 4)


@pytest.mark.parametrize("sram", [8, 20, 64, 200, 1000])
def test_no_known_order_reads_less_than_the_bound(sram: int) -> None:
    """Elements of one byte, `sram` of them. Blocks of C with k outermost, and panels of A that stay while B passes."""
    for m, n, k in [(64, 64, 64), (64, 64, 4), (200, 300, 1), (200, 300, 10), (16, 500, 30), (90, 90, 300)]:
        bound = product_reads(Product(0, 1, m * n * k, m * n, (1, 1, 1)), sram)
        for rows in range(1, m + 1):
            columns = (sram - 1 - rows) // rows
            if columns > 0:
                assert k * (m * ceil(n / columns) + n * ceil(m / rows)) >= bound
            if rows * k + 2 <= sram:
                assert m * k + n * k * ceil(m / rows) >= bound


def test_the_published_figure_is_no_bound_for_a_shallow_product() -> None:
    """512x32 by 32x512 at 18 tiles: B stays, A and C pass; 128 KiB are read, where 2mnk/sqrt(S) - 2S says 338 KiB."""
    sram = 18 * 4 * KIB
    cost, bounds = measured(chain_text([512, 32, 512]), sram)
    assert cost.loaded == 128 * KIB
    assert 2 * 512 * 512 * 32 / sqrt(sram / 4) * 4 - 2 * sram > 338 * KIB
    assert bounds.program == bounds.compulsory == cost.traffic


def test_only_products_of_arguments_bound_the_program() -> None:
    """The second product's left operand is computed: that layer alone would read more than it has to."""
    product = Product(2, 1, 512**3, 2**20, (4, 4, 4))
    layers = (Layer({0: 100, 1: 100}, 100), Layer({2: 2**20, 1: 2**20}, 2**20, (product,)))
    found = bounds_of(Workload({0: 100, 1: 2**20}, {3: 2**20}, layers), 64 * KIB)
    assert found.program == found.compulsory == 100 + 2**21
    assert found.layered == 300 + 7 * 2**20 + 2**20


@pytest.mark.parametrize("side", ["left", "right"])
def test_siblings_have_the_bound_of_one_product_with_concatenated_operands(side: str) -> None:
    one, kept = (512, 512, 1536) if side == "left" else (1536, 512, 512), "tensor<512x512xf32>"
    args = f"%x: {kept}, %a: {kept}, %b: {kept}, %c: {kept}"
    operands = ["%x, %a", "%x, %b", "%x, %c"] if side == "left" else ["%a, %x", "%b, %x", "%c, %x"]
    lines = [f"  %{i} = graph.matmul {both} : ({kept}, {kept}) -> {kept}" for i, both in enumerate(operands)]
    text = "\n".join([
        f"func.func @f({args}) -> ({kept}, {kept}, {kept}) {{", *lines, f"  return %0, %1, %2 : {kept}, {kept}, {kept}",
        "}", "",
    ])  # fmt: skip
    whole = bounds_of(workload(chain_text(list(one))), 64 * KIB)
    assert bounds_of(workload(text), 64 * KIB).program == whole.program > whole.compulsory


def test_two_products_that_are_summed_are_no_siblings() -> None:
    """They share the elements of their result, of which a block then serves both."""
    products = (Product(0, 1, 512**3, 2**20, (4, 4, 4)), Product(0, 2, 512**3, 2**20, (4, 4, 4)))
    reads = {0: 2**20, 1: 2**20, 2: 2**20}
    together = Workload(reads, {3: 2**20}, (Layer(reads, 2**20, products),))
    apart = Workload(reads, {3: 2**21}, tuple(Layer(reads, 2**20, (p,)) for p in products))
    assert bounds_of(together, 64 * KIB).program == 3 * 2**20 + 2**20 + 7 * 2**20 - 2 * 2**20
    assert bounds_of(apart, 64 * KIB).program == 3 * 2**20 + 2**21 + 14 * 2**20 - 3 * 2**20


def test_a_square_of_one_matrix_has_no_io_bound() -> None:
    """Each element of %x may serve as one of A and one of B."""
    text = """\
func.func @f(%x: tensor<512x512xf32>) -> tensor<512x512xf32> {
  %y = graph.matmul %x, %x : (tensor<512x512xf32>, tensor<512x512xf32>) -> tensor<512x512xf32>
  return %y : tensor<512x512xf32>
}
"""
    assert bounds_of(workload(text), 64 * KIB) == LowerBounds(2 * 2**20, 2 * 2**20, 2 * 2**20)


# --- schedules ---


@pytest.mark.parametrize("tiles", [3, 4, 5, 7, 10, 13, 18, 64])
@pytest.mark.parametrize("sizes", [[128, 128, 128], [256, 32, 256], [32, 256, 64], [96, 160, 64, 32]], ids=str)
def test_no_schedule_moves_less_than_its_bounds(sizes: list[int], tiles: int) -> None:
    for evict in ("min", "lru"):
        cost, bounds = measured(chain_text(sizes, relu=True), tiles * 4096, f"evict={evict}")
        assert cost.traffic >= bounds.program >= bounds.compulsory
        assert cost.traffic >= bounds.layered


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(*PROGRAMS)
def test_random_schedules_respect_their_bounds(
    text: str, sizes: Sizes, machine: Machine, who: str, chosen: list[Choice]
) -> None:
    module = compile_in_steps(tilewright.parse(text), sizes, machine, who, chosen)[-1][1]
    (func,) = module.functions()
    sram: dict[str, int] = func.attrs["sched.sram"]  # type: ignore[assignment]
    cost = cost_of(func, func.attrs["sched.stats"], sram["alignment"])  # type: ignore[arg-type]
    found = workload_of(func)
    assert found is not None
    bounds = bounds_of(found, sram["total_bytes"])
    assert cost.traffic >= bounds.program >= bounds.compulsory
    assert all(t.loaded >= t.least_loaded and t.stored >= t.least_stored for t in cost.tensors)
    assert cost.peak <= cost.high_water <= sram["total_bytes"]


class SpillStore(StoreOp):
    """A store that may be marked as a spill."""

    __slots__ = ("spill",)


def test_a_spill_counts_with_the_loads_that_bring_the_tile_back() -> None:
    """A spill, a reload, a store, and a load that no spill made necessary."""
    func = function(BY_HAND)
    load, exec_op, store = (op for op in func.ops if op.name.startswith("sched."))
    (h, _) = exec_op.operands
    spill = SpillStore((h,), addrs=(256,), coords=((0, 0),), bytes=64)
    spill.spill = UNIT
    reload = LoadOp((h,), addrs=(0,), coords=((0, 0),), bytes=64)
    func.body.ops[1:-1] = [load, exec_op, spill, reload, store, reload]
    cost = cost_of(func, {"peak_sram_bytes": 128}, 64)
    assert [(t.name, t.loaded, t.stored, t.spilled) for t in cost.tensors] == [("x", 64, 0, 0), ("h", 128, 128, 128)]
    assert (cost.traffic, cost.spilled) == (320, 128)


def test_the_reference_workload() -> None:
    cost, bounds = measured(REFERENCE, 256 * KIB)
    assert (cost.loaded, cost.stored, cost.spilled) == (156 * KIB, 64 * KIB, 0)
    assert bounds == LowerBounds(124 * KIB, 124 * KIB, 220 * KIB)
    assert (cost.macs, cost.intensity) == (44 * 32**3, 6.4)
    assert (cost.peak, cost.high_water, cost.fragmentation) == (53248, 53248, 0.0)
    assert [(t.name, t.loads, t.tiles, t.excess) for t in cost.tensors if t.excess] == [
        ("h1", 8, 8, 64 * KIB),
        ("h2", 4, 4, 32 * KIB),
    ]


def test_fragmentation_is_what_the_peak_leaves_of_the_addresses_used() -> None:
    """128 bytes are live at once, the addresses reach to 320; no multiplications: an intensity of 0."""
    func = function(BY_HAND)
    cost = cost_of(func, {"peak_sram_bytes": 128}, 64)
    assert (cost.peak, cost.high_water, cost.fragmentation, cost.intensity) == (128, 320, 0.6, 0)


def test_nothing_moves() -> None:
    cost = Cost()
    assert (cost.traffic, cost.intensity, cost.fragmentation) == (0, None, 0)


# --- the report ---


def report(text: str, pipeline: str) -> Report:
    from tilewright.passes.manager.pipelines import parse_pipeline
    from tilewright.passes.manager.running import run_passes_on

    made = Reporter()
    run_passes_on(tilewright.parse(text), parse_pipeline(pipeline), observe=made.begin())
    return made.report()


def test_many_tensors_and_long_names_stay_within_80_columns() -> None:
    text = chain_text([32, *[64] * 20]).replace("%w7", "%" + "weights_" * 6)
    lines = report(text, "schedule{sram=16KiB}").to_text().splitlines()
    table = lines[next(i for i, line in enumerate(lines) if line.startswith("  tensors, KiB:")) :]
    assert table[13] == "    and 27 more, closer to their least"
    assert max(map(len, lines[13:])) <= 80
    text = report(chain_text([512, 512, 512]), "schedule{sram=64KiB}").to_text()
    assert max(map(len, text.splitlines()[13:])) <= 80


def test_json_says_what_the_text_says() -> None:
    made = report(REFERENCE, "schedule")
    (figures,) = json.loads(made.to_json())["functions"]
    assert figures["traffic"]["total_bytes"] == 220 * KIB
    assert figures["bounds"]["program_ratio"] == 1.7742
    assert [t["name"] for t in figures["tensors"]] == ["x", "w1", "w2", "w3", "h1", "h2", "y"]
    assert made.to_json() == report(REFERENCE, "schedule").to_json()


def test_without_a_function_everything_is_unknown() -> None:
    assert cost_lines(None, None)[0] == "  traffic:        unknown"
    assert set(cost_dict(None, None).values()) == {None}
