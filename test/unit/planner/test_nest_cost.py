"""What `plan` judges is what is scheduled: the tile program of some nests against that of lower and forward, step by
step and byte by byte."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import tilewright
from tilewright import DiagnosticError
from tilewright.dialects.graph import GraphOp
from tilewright.dialects.sched import LoadOp, StoreOp
from tilewright.ir.builtin import FuncOp, ModuleOp
from tilewright.lowering.graph_nests import described, nests_of, tasks, traffic_model_of
from tilewright.lowering.tile_program import TileProgram
from tilewright.passes.manager.pipelines import parse_pipeline
from tilewright.passes.manager.running import run_passes_on
from tilewright.passes.plan import tiled_types
from tilewright.planner.arena import SRAMConfig
from tilewright.planner.liveness import LOAD, Program, Step, liveness_of
from tilewright.planner.makespan import MakespanModel
from tilewright.planner.memory_planner import plan
from tilewright.planner.nest_cost import INFEASIBLE, TrafficModel
from tilewright.planner.nest_search import Search
from tilewright.planner.nests import Nest
from tilewright.planner.residency import FirstFitPlanner, StepOutOfMemoryError

from ..nest_choices import Choice, choices, write_choices
from ..strategies import assume_tiled, graph_texts, tile_sizes

Sizes = tuple[int, int, int]


def tiled_module(text: str, sizes: Sizes, fuse: bool) -> tuple[ModuleOp, FuncOp]:
    passes = f"{'fuse,' if fuse else ''}tile{{sizes={'x'.join(map(str, sizes))}}}"
    try:
        module = run_passes_on(tilewright.parse(text), parse_pipeline(passes))
    except DiagnosticError as error:
        assume_tiled(error)
        raise
    return module, next(module.functions())


def graph_ops(func: FuncOp) -> list[GraphOp]:
    return [op for op in func.ops if isinstance(op, GraphOp)]


def accepted(func: FuncOp, module: ModuleOp) -> bool:
    ops, tiled = graph_ops(func), tiled_types(func, module)
    try:
        list(tasks(ops, nests_of(ops, tiled), tiled))
    except DiagnosticError:
        return False
    return True


def trials(func: FuncOp, module: ModuleOp, config: SRAMConfig) -> TrafficModel:
    tiled = tiled_types(func, module)
    return traffic_model_of([described(op, tiled) for op in graph_ops(func)], func.returned(), tiled, config)


def renumbered(program: Program) -> list[tuple[Step, list[int]]]:
    """The steps but for loads, each with its tiles' sizes, tiles numbered as they come up."""
    numbers: dict[int, int] = {}
    out = []
    for step in program.steps:
        if step.kind != LOAD:
            tiles = [numbers.setdefault(t, len(numbers)) for t in (step.tile, *step.sources)]
            sizes = [program.sizes[t] for t in (step.tile, *step.sources)]
            out.append((step._replace(tile=tiles[0], sources=tuple(tiles[1:])), sizes))
    return out


@settings(max_examples=400, deadline=None)
@given(graph_texts(), tile_sizes(), st.booleans(), choices())
def test_a_trial_is_the_program_that_lower_and_forward_make(
    text: str, sizes: Sizes, fuse: bool, chosen: list[Choice]
) -> None:
    module, func = tiled_module(text, sizes, fuse)
    write_choices(func, chosen, lambda: accepted(func, module))
    ops = graph_ops(func)
    judged = trials(func, module, SRAMConfig()).program(nests_of(ops, tiled_types(func, module)))
    made = run_passes_on(module, parse_pipeline("lower,forward"))
    assert judged is not None
    assert renumbered(judged) == renumbered(TileProgram(next(made.functions()).ops).program)


@settings(max_examples=200, deadline=None)
@given(graph_texts(), tile_sizes(), choices())
def test_what_lower_refuses_a_trial_refuses(text: str, sizes: Sizes, chosen: list[Choice]) -> None:
    module, func = tiled_module(text, sizes, True)
    write_choices(func, chosen)
    ops = graph_ops(func)
    try:
        nests = nests_of(ops, tiled_types(func, module))
    except DiagnosticError:
        assert not accepted(func, module)
        return
    judged = trials(func, module, SRAMConfig()).program(nests)
    assert (judged is not None) == accepted(func, module)


@settings(max_examples=300, deadline=None)
@given(graph_texts(), st.sampled_from([1, 1, 2, 3]), choices(), st.integers(3, 40), st.sampled_from([1, 1, 16]))
def test_a_trial_costs_what_the_schedule_moves(
    text: str, side: int, chosen: list[Choice], tiles: int, align: int
) -> None:
    """Many small tiles in a small SRAM, so that there is much to evict, spills included."""
    module, func = tiled_module(text, (side, side, side), True)
    write_choices(func, chosen, lambda: accepted(func, module))
    ops = graph_ops(func)
    config = SRAMConfig(tiles * max(4 * side * side, align), align)
    cost = trials(func, module, config).cost(nests_of(ops, tiled_types(func, module)))
    assume(cost < INFEASIBLE)
    machine = f"sram={config.total_bytes} align={align}"
    made = run_passes_on(module, parse_pipeline(f"lower,forward,schedule{{{machine} evict=cost}}"))
    assert bytes_moved(made) == cost


@settings(max_examples=300, deadline=None)
@given(graph_texts(), st.sampled_from([(4, 2, 2), (2, 4, 1), (4, 1, 2)]), choices(), st.integers(3, 20))
def test_a_trial_of_tiles_of_several_sizes_costs_what_the_schedule_moves(
    text: str, sizes: Sizes, chosen: list[Choice], tiles: int
) -> None:
    """So that first fit finds no room now and then where the second attempt does."""
    module, func = tiled_module(text, sizes, True)
    write_choices(func, chosen, lambda: accepted(func, module))
    ops = graph_ops(func)
    config = SRAMConfig(tiles * 16, 4)
    cost = trials(func, module, config).cost(nests_of(ops, tiled_types(func, module)))
    assume(cost < INFEASIBLE)
    made = run_passes_on(
        module, parse_pipeline(f"lower,forward,schedule{{sram={config.total_bytes} align=4 evict=cost}}")
    )
    assert bytes_moved(made) == cost


def bytes_moved(module: ModuleOp) -> int:
    return sum(op.bytes for func in module.functions() for op in func.ops if isinstance(op, (LoadOp, StoreOp)))


CHAIN = """func.func @f(%x: tensor<20x8xf32>, %w: tensor<8x12xf32>, %v: tensor<12x16xf32>) -> tensor<20x16xf32> {
  %h = graph.matmul %x, %w : (tensor<20x8xf32>, tensor<8x12xf32>) -> tensor<20x12xf32>
  %r = graph.matmul %h, %v : (tensor<20x12xf32>, tensor<12x16xf32>) -> tensor<20x16xf32>
  return %r : tensor<20x16xf32>
}
"""


def test_a_vector_has_no_epilogue_on_a_matrix() -> None:
    text = (
        "func.func @f(%x: tensor<4x8xf32>, %b: tensor<8xf32>) -> tensor<4x8xf32> {\n"
        "  %v = graph.relu %b : tensor<8xf32>\n"
        "  %y = graph.add %x, %v : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>\n"
        "  return %y : tensor<4x8xf32>\n}\n"
    )
    planned = tilewright.run_passes(text, "fuse,tile,plan")
    assert "epilogue" not in planned
    assert tilewright.run_passes(planned, "lower,forward").count("uop.exec") == 2


def test_enough_is_what_each_tensor_from_outside_and_for_outside_takes() -> None:
    module, func = tiled_module(CHAIN, (4, 4, 8), fuse=True)
    model = trials(func, module, SRAMConfig(1 << 20))
    assert model.enough(0, 2) == 4 * (20 * 8 + 8 * 12 + 12 * 16 + 20 * 16)
    assert model.enough(0, 1) == 4 * (20 * 8 + 8 * 12 + 20 * 12)
    nests = nests_of(graph_ops(func), tiled_types(func, module))
    assert model.cost(nests) == model.enough(0, 2)
    assert model.steps > 5 * (3 * 2 + 2 * 3)  # its execs alone


def test_a_cost_that_is_known_obeys_the_limit() -> None:
    module, func = tiled_module(CHAIN, (4, 4, 8), fuse=True)
    nests = nests_of(graph_ops(func), tiled_types(func, module))
    judged = trials(func, module, SRAMConfig(1024))
    cost = judged.cost(nests)
    assert 0 < cost < INFEASIBLE
    assert judged.cost(nests, limit=cost) == INFEASIBLE
    assert judged.cost(nests, limit=cost + 1) == cost


SQUARE = """func.func @f(%x: tensor<32x48xf32>, %w: tensor<48x24xf32>) -> tensor<32x24xf32> {
  %y = graph.matmul %x, %w : (tensor<32x48xf32>, tensor<48x24xf32>) -> tensor<32x24xf32>
  return %y : tensor<32x24xf32>
}
"""
"""In tiles of 8x4x4 and five times the largest of them, three sums leave first fit holes that are too small for A's."""


def test_what_only_the_second_attempt_finds_room_for_has_a_cost() -> None:
    module, func = tiled_module(SQUARE, (8, 4, 4), True)
    judged = trials(func, module, SRAMConfig(640))
    nests = [Nest(4, 6, 12, block=(1, 3), snake=True)]
    program = judged.program(nests)
    assert program is not None
    with pytest.raises(StepOutOfMemoryError):
        FirstFitPlanner(program, liveness_of(program), judged.config, "cost").run()
    cost = judged.cost(nests)
    assert judged.steps == len(program.steps) * 2
    assert cost == judged.scheduled_cost(nests) == plan(program, judged.config, "cost").traffic(program)
    assert judged.cost(nests, limit=cost + 1) == cost
    assert trials(func, module, SRAMConfig(640)).cost(nests, limit=cost) == INFEASIBLE
    found = Search(judged, [Nest(4, 6, 12)]).run()
    assert judged.cost(found) <= cost
    planned = "plan{sram=640},lower,forward,schedule{sram=640 evict=cost}"
    assert bytes_moved(run_passes_on(module, parse_pipeline(planned))) == judged.cost(found)


def test_the_time_of_what_only_the_second_attempt_finds_room_for() -> None:
    """In cycles, where it once was in bytes: those of the schedule."""
    module, func = tiled_module(SQUARE, (8, 4, 4), True)
    traffic = trials(func, module, SRAMConfig(640))
    timed = MakespanModel(
        traffic.tensors, traffic.operators, traffic.config, exec_cycles=[(3, 1)], move_cycles=lambda size: size // 4
    )
    nests = [Nest(4, 6, 12, block=(1, 3), snake=True)]
    program = timed.program(nests)
    assert program is not None
    moved = plan(program, timed.config, "cost").traffic(program)
    cost = timed.cost(nests)
    assert moved // 4 <= cost <= moved // 4 + 3 * 4 * 6 * 12
    assert timed.scheduled_cost(nests) == cost
    assert timed.cost(nests, limit=cost) == INFEASIBLE


@settings(max_examples=40, deadline=None)
@given(graph_texts(), tile_sizes(), st.sampled_from([512, 1024, 4096]))
def test_what_is_found_is_not_worse_than_what_was_given(text: str, sizes: Sizes, sram: int) -> None:
    """As a whole and as it is scheduled, whatever the search has tried of it before."""
    module, func = tiled_module(text, sizes, True)
    assume(accepted(func, module))
    given = nests_of(graph_ops(func), tiled_types(func, module))
    judged = trials(func, module, SRAMConfig(sram))
    before = judged.scheduled_cost(given)
    assert judged.scheduled_cost(Search(judged, given).run()) <= before


def test_the_search_is_over_when_nothing_can_be_better() -> None:
    """Unless it looks for variety: then the ways of choosing are all tried."""
    module, func = tiled_module(CHAIN.replace("20x", "40x"), (4, 4, 8), fuse=True)
    given = nests_of(graph_ops(func), tiled_types(func, module))
    found: list[tuple[list[Nest], int]] = []
    for for_variety in (False, True):
        judged = trials(func, module, SRAMConfig(1536))
        assert judged.cost(given) > judged.enough(0, 2)
        nests = Search(judged, given).run(for_variety=for_variety)
        assert judged.cost(nests) == judged.enough(0, 2)
        found.append((nests, judged.steps))
    assert found[0][0] == found[1][0]
    assert found[0][1] < found[1][1]
