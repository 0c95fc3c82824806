"""A few lines that ask for more tiles, execs or channels than anybody has: an error with its place, before any is
made."""

from __future__ import annotations

from functools import partial
from math import prod

import pytest

import tilewright
from tilewright.dialects.target import MOST_CHANNELS
from tilewright.dialects.tiles import MOST_TILES, Coord, TiledType
from tilewright.ir.diagnostics import DiagnosticError
from tilewright.passes.plan import MOST_PLANNED
from tilewright.planner import nest_cost

HUGE = 10**9


@pytest.fixture(autouse=True)
def counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles that are gone through must be few."""
    real = TiledType.each_coord

    def each_coord(self: TiledType) -> object:
        assert prod(self.grid) <= MOST_TILES, f"the {prod(self.grid):,} tiles of {self} are gone through"
        return real(self)

    monkeypatch.setattr(TiledType, "each_coord", each_coord)


def refused(text: str, pipeline: str, model: str = "") -> str:
    work = partial(tilewright.prove, model, text) if model else partial(tilewright.run_passes, text, pipeline)
    with pytest.raises(DiagnosticError) as error:
        work()
    assert all(d.loc >= 0 for d in error.value.diagnostics)
    return str(error.value)


def product(size: int, calls: int = 1) -> str:
    type = f"tensor<{size}x{size}xf32>"
    lines = [f"  %y{i} = graph.matmul %x, %w : ({type}, {type}) -> {type}" for i in range(calls)]
    return "\n".join([f"func.func @f(%x: {type}, %w: {type}) -> {type} {{", *lines, f"  return %y0 : {type}", "}", ""])


def test_execs_are_counted_before_they_are_planned() -> None:
    found = refused(product(6912), "tile,plan")
    assert f"graph.matmul %y0 would become {216**3:,} execs, more than {MOST_PLANNED:,}; use larger tiles" in found


def test_execs_of_all_operations_count_together() -> None:
    size = 32 * 150
    assert 150**3 < MOST_TILES < 2 * 150**3
    found = refused(product(size, 2), "tile,lower")
    assert f"would become {150**3:,} execs, the function {2 * 150**3:,}, more than {MOST_TILES:,}" in found


def identity(type: str) -> str:
    return f"func.func @f(%x: {type}) -> {type} {{\n  return %x : {type}\n}}\n"


@pytest.mark.parametrize("tile", [1, 2])
def test_tiles_are_counted_before_they_are_proved(tile: int) -> None:
    model = identity(f"tensor<{HUGE}x{HUGE}xf32>")
    text = identity(f"!uop.tiled<tensor<{HUGE}x{HUGE}xf32>, [{tile}, {tile}]>")
    found = refused(text, "", model)
    assert f"1:14: error: %x has {(HUGE // tile) ** 2:,} tiles, more than {MOST_TILES:,}" in found
    assert "1:14: error: %x has" in refused(text, "", text)


def test_products_of_tiles_are_counted_before_they_are_proved() -> None:
    size = 4 * 200
    types = [f"!uop.tiled<tensor<{size}x{size}xf32>, [4, 4]>"] * 3
    text = f"func.func @f(%x: {types[0]}, %w: {types[1]}) -> {types[2]} {{\n  return %x : {types[2]}\n}}\n"
    found = refused(text, "", product(size))
    assert f"%y0 is a sum of {200**3:,} products of tiles, more than {MOST_TILES:,}" in found


@pytest.mark.parametrize("pinned", ["sched.pin", "sched.at = 0"])
def test_pinned_tiles_are_counted_and_not_gone_through(pinned: str) -> None:
    type, small = f"tensor<{HUGE}x{HUGE}xf32>", "tensor<32xf32>"
    text = f"""func.func @f(%x: {type} {{{pinned}}}, %b: {small}) -> {small} {{
  %y = graph.relu %b : {small}
  return %y : {small}
}}
"""
    tilewright.run_passes(text, "tile,plan")
    if pinned == "sched.pin":
        tilewright.run_passes(text, "tile,lower,schedule")
    else:
        assert "tiles, more than" in refused(text, "tile,lower,schedule")


def test_listed_tiles_count_once_each_and_only_within_the_grid() -> None:
    from tilewright.dialects.placement_limits import Wish
    from tilewright.ir.attributes import UNIT
    from tilewright.ir.types import TensorType

    type = TiledType(TensorType((8, 8), "f32"), (4, 4))
    pins: tuple[Coord, ...] = ((0, 0), (1, 1), (5, 0), (0,))
    assert Wish(pins, ((1, 1, 64), (0, 1, 128)), 0).count(type) == 3
    assert Wish(UNIT, None, 0).count(type) == Wish(None, 0, 0).count(type) == 4
    assert Wish(None, None, 0).count(type) == 0


@pytest.mark.parametrize("count", [0, MOST_CHANNELS + 1, 100_000_000])
def test_a_machine_has_a_bounded_number_of_channels(count: int) -> None:
    text = f"module attributes {{sched.target = {{dma_channels = {count}}}}} {{\n}}\n"
    assert "'dma_channels' is a number of channels from 1 to 1,024" in refused(text, "")
    tilewright.run_passes(text.replace(f"= {count}", f"= {MOST_CHANNELS}"), "")


# --- chains ---


def chain(length: int) -> str:
    type = "tensor<64x64xf32>"
    lines = [f"  %r{i + 1} = graph.relu %r{i} : {type}" for i in range(length)]
    return "\n".join([f"func.func @f(%r0: {type}) -> {type} {{", *lines, f"  return %r{length} : {type}", "}", ""])


def test_planning_a_chain_takes_steps_by_its_length(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []
    real = nest_cost.TrafficModel.program

    def program(self: nest_cost.TrafficModel, *words: object) -> object:
        made = real(self, *words)  # type: ignore[arg-type]
        steps.append(len(made.steps) if made is not None else 0)
        return made

    monkeypatch.setattr(nest_cost.TrafficModel, "program", program)
    tilewright.run_passes(chain(20), "tile,plan")
    few = sum(steps)
    steps.clear()
    tilewright.run_passes(chain(80), "tile,plan")
    assert sum(steps) <= 5 * few


def test_each_reader_of_one_computed_tile_goes_into_its_epilogue() -> None:
    both = "%r4 = graph.add %r3, %r1 : (tensor<64x64xf32>, tensor<64x64xf32>) -> tensor<64x64xf32>"
    text = chain(6).replace("%r4 = graph.relu %r3 : tensor<64x64xf32>", both)
    assert tilewright.run_passes(text, "tile,plan").count("epilogue") == 5
