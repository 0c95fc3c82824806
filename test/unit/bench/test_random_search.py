"""bench/random_search.py: what it finds is legal, better where something better is planted, and the same every time."""

from __future__ import annotations

import importlib
import json
import random
from itertools import permutations
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import tilewright
from tilewright.lowering.allocs import config_of
from tilewright.passes.manager.pipelines import parse_pipeline
from tilewright.passes.manager.running import run_passes_on

BENCH = Path(__file__).resolve().parents[3] / "bench"
KIB = 1024


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCH))
    return importlib.import_module("random_search")


def baseline(bench: ModuleType, shape: Any, budget: int, seed: int = 0) -> tuple[Any, ...]:
    """A search that begins with the baseline's order, intermediates on chip; the graph, the uops and their tiles."""
    graph = tilewright.parse(shape.text)
    uops = run_passes_on(graph, parse_pipeline(f"fuse,tile{{sizes={shape.tile}}},lower,forward"))
    (func,) = uops.functions()
    target = bench.target_of(func, uops, sram_bytes=shape.sram)
    tiles = bench.program_of(func, target)
    chains = bench.Chains(tiles.program)
    judge = bench.Judge(chains, config_of(func, target), 0, budget)
    cost = judge.cost(chains.execs)
    assert cost is not None
    judge.spent = 0
    found = bench.Found(chains.execs, cost)
    return bench.Annealing(bench.layers_of(tiles, chains), judge, found, seed), graph, uops, tiles


def chain_of_four(bench: ModuleType) -> Any:
    return bench.Shape("chain", 24 * KIB, bench_chain(256, *[32] * 5))


def bench_chain(*sizes: int) -> str:
    return importlib.import_module("notation").chain(*sizes)


def test_a_planted_order_is_found(bench: ModuleType) -> None:
    """Depth first, a row of tiles at a time, each tile of the arguments and the result moves once."""
    shape = chain_of_four(bench)
    search, graph, uops, tiles = baseline(bench, shape, 60_000)
    least = (8 + 4 + 8) * 4 * KIB
    assert search.best.cost > least
    search.judge.bound = least
    found = search.run()
    assert found.cost == least
    assert bench.checked(graph, uops, tiles, found, shape) == least


def test_moving_execs_finds_the_least_of_all_orders(bench: ModuleType) -> None:
    """An outer product of 2x3 tiles on an SRAM of three: back and forth."""
    shape = bench.Shape("outer", 12 * KIB, bench_chain(64, 32, 96))
    search, graph, uops, tiles = baseline(bench, shape, 20_000)
    costs = [search.judge.cost(order) for order in permutations(search.best.order)]
    least = min(cost for cost in costs if cost is not None)
    assert search.best.cost > least
    search.judge.spent = 0
    search.move_execs()
    assert search.best.cost == least
    assert search.best.stage.endswith("execs moved")
    assert bench.checked(graph, uops, tiles, search.best, shape) == least


def test_runs_are_cut_where_it_pays(bench: ModuleType) -> None:
    """Two wide layers that don't fit together behind two that do: from a run each to those of the least sum."""
    shape = bench.Shape("taper", 40 * KIB, bench_chain(128, 32, 32, 32, 128, 128))
    search, *_ = baseline(bench, shape, 10_000_000)
    order = tuple(range(4))
    alone = recipe_of(order)
    cost = search.take(alone, "alone")
    better, recipe = search.with_best_runs((cost, alone))
    assert better < cost
    assert recipe.cuts[0]
    assert 0 in recipe.cuts


def recipe_of(order: tuple[int, ...]) -> Any:
    recipes = importlib.import_module("loop_recipes")
    return recipes.Recipe(order, (1,) * len(order), (recipes.Loop(),) * len(order), order)


def test_the_same_every_time(bench: ModuleType) -> None:
    shape = bench.Shape("gate", 24 * KIB, "x: 64x64; u = x @ 96; g = x @ 96; s = u * g; y = s @ 64; return y")
    runs = [baseline(bench, shape, 40_000, seed)[0] for seed in (5, 5)]
    first, second = (search.run() for search in runs)
    assert first == second
    assert [search.judge.spent for search in runs] == [runs[0].judge.spent] * 2


@pytest.mark.parametrize("name", ["gate with residual", "adapters of rank 8", "attention and gate", "four experts"])
def test_recipes_are_legal(bench: ModuleType, name: str) -> None:
    """Whatever a recipe says, each exec comes once, and after what it reads."""
    (shape,) = (shape for shape in bench.BRANCHING if name in shape.name)
    search, *_ = baseline(bench, shape, 0)
    search.random = random.Random(3)
    recipe = recipe_of(tuple(range(len(search.layers))))
    write_out = importlib.import_module("loop_recipes").write_out
    orders = set()
    for _ in range(60):
        recipe = search.changed(recipe)
        order = write_out(search.layers, recipe)
        assert search.judge.chains.emit(order) is not None, recipe
        orders.add(tuple(order))
    assert len(orders) > 10


def test_illegal_orders_are_refused(bench: ModuleType) -> None:
    shape = chain_of_four(bench)
    search, graph, uops, tiles = baseline(bench, shape, 0)
    order = search.best.order
    with pytest.raises(ValueError, match="the order found is not legal"):
        bench.checked(graph, uops, tiles, bench.Found(order[::-1], 1), shape)
    with pytest.raises(ValueError, match="the order found is not legal"):
        bench.checked(graph, uops, tiles, bench.Found(order[1:], 1), shape)
    with pytest.raises(ValueError, match=f"moves {search.best.cost} bytes, the search believed {4 * KIB}"):
        bench.checked(graph, uops, tiles, bench.Found(order, 4 * KIB), shape)


def test_forty_workloads(bench: ModuleType) -> None:
    shapes = importlib.import_module("shapes")
    others = {shape.text for shape in (*shapes.TABLE, *shapes.UNSEEN)}
    assert len(bench.BRANCHING) == len({shape.name for shape in bench.BRANCHING}) == 40
    assert len({shape.text for shape in bench.BRANCHING} - others) == 40
    for shape in bench.BRANCHING:
        assert tilewright.run_passes(shape.text, f"fuse,tile{{sizes={shape.tile}}}").startswith("func.func @f("), shape


def test_rows(bench: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "now.json"
    arguments = ["--rows", "least SRAM", "--budget", "2000", "--json", str(out), "--within", "100"]
    assert bench.main(arguments) == 0
    assert "At most 100.0x of what was found: 1 of 1 rows." in capsys.readouterr().out
    (row,) = json.loads(out.read_text(encoding="utf-8")).values()
    assert row["bound"] <= row["found"] <= row["o1"]
    assert bench.main([*arguments, "--within", "0.5"]) == 1
    with pytest.raises(SystemExit):
        bench.main(["--rows", "no such row"])
