"""reorder: dependences recovered from text, legal orders, and its promise: never worse, nothing lost, the same sums."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tilewright
from tilewright.analysis.proof import prove_module
from tilewright.dialects.target import Target
from tilewright.ir.builtin import FuncOp, ModuleOp
from tilewright.lowering.tile_program import TileProgram
from tilewright.passes.manager.pipelines import parse_pipeline
from tilewright.passes.manager.running import run_passes_on
from tilewright.passes.reorder import in_order, program_of, traffic
from tilewright.planner import local_search as list_order
from tilewright.planner.arena import SRAMConfig
from tilewright.planner.dependences import Chains, OrderState
from tilewright.planner.liveness import EXEC, LOAD

from ..models import MIXED, REFERENCE, chain_text
from ..tile_programs import random_uops

SEEDS = st.integers(0, 1 << 32)


@pytest.fixture(autouse=True)
def _short_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_order, "SEARCH_STEPS", 3_000)


def only(module: ModuleOp) -> FuncOp:
    (func,) = module.functions()
    return func


def execs(func: FuncOp) -> Counter[str]:
    """Every exec but for `=` or `+=` and the activation, which stand where the order wants them."""
    found = [op for op in func.ops if op.name == "uop.exec"]
    return Counter(f"{op.kernel} {[v.name for v in op.operands]} {op.coords}" for op in found)  # type: ignore[attr-defined]


def moved(func: FuncOp, sram: int) -> int:
    return traffic(program_of(func, Target(sram_bytes=sram)), SRAMConfig(sram, 64))


def check(text: str, sram: int) -> tuple[int, int]:
    """Bytes before and after; raises where something is lost, moves more bytes, or is not proved."""
    given = tilewright.parse(text)
    made = run_passes_on(given, parse_pipeline(f"reorder{{sram={sram}}}"), prove_each=True)
    before, after = moved(only(given), sram), moved(only(made), sram)
    assert after <= before
    assert execs(only(made)) == execs(only(given))
    assert tilewright.parse(tilewright.print(made)) == made
    return before, after


# --- dependences ---


def without_loads_and_second_stores(program: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Kinds and tiles, one store for each value."""
    stored: set[int] = set()
    kept = []
    for kind, tile in program:
        if kind == EXEC:
            stored.discard(tile)
        if kind == LOAD or tile in stored:
            continue
        if kind != EXEC:
            stored.add(tile)
        kept.append((kind, tile))
    return kept


@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_the_given_order_is_the_program(seed: int) -> None:
    program = TileProgram(only(tilewright.parse(random_uops(Random(seed), 50))).ops).program
    chains = Chains(program)
    emitted = chains.emit(chains.execs)
    assert emitted is not None
    steps = [program.steps[e.step] for e in emitted]
    assert [s for s in steps if s.kind == EXEC] == [s for s in program.steps if s.kind == EXEC]
    assert all(e.accumulate == program.steps[e.step].accumulate for e in emitted)
    given = without_loads_and_second_stores([(s.kind, s.tile) for s in program.steps])
    assert sorted(given) == sorted((s.kind, s.tile) for s in steps)


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.randoms(use_true_random=False))
def test_any_legal_order_computes_the_same(seed: int, random: Random) -> None:
    module = tilewright.parse(random_uops(Random(seed), 50))
    func = only(module)
    tiles = TileProgram(func.ops)
    chains = Chains(tiles.program)
    progress, waiting, order = OrderState(chains), chains.execs, []
    while waiting:
        i = random.choice([i for i in waiting if progress.ready(i)])
        progress.exec(i)
        waiting.remove(i)
        order.append(i)
    emitted = chains.emit(order)
    assert emitted is not None
    made = tilewright.parse(tilewright.print(ModuleOp([in_order(func, tiles, emitted)])))
    assert execs(only(made)) == execs(func)
    prove_module(module, made)


def test_illegal_and_incomplete_orders() -> None:
    text = tilewright.run_passes(chain_text((64, 32, 64, 32)), "fuse,tile,lower")
    chains = Chains(TileProgram(only(tilewright.parse(text)).ops).program)
    assert chains.emit(chains.execs) is not None
    assert chains.emit(chains.execs[::-1]) is None
    assert chains.emit(chains.execs[:-1]) is None
    assert chains.cost(chains.execs[:-1], SRAMConfig()) is None


# --- the promise ---


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.sampled_from([256, 320, 448, 640, 1024, 4096]))
def test_random_programs_get_no_worse(seed: int, sram: int) -> None:
    check(random_uops(Random(seed), 40), sram)


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.sampled_from([640, 1024, 2048]))
def test_with_limits_too(seed: int, sram: int) -> None:
    text = random_uops(Random(seed), 30, attributes=True)
    made = run_passes_on(tilewright.parse(text), parse_pipeline(f"reorder{{sram={sram}}}"), prove_each=True)
    given_func, made_func = only(tilewright.parse(text)), only(made)
    target = Target(sram_bytes=sram, reserved=tuple(given_func.attrs.get("sched.target", {}).get("reserved", ())))
    config = SRAMConfig(sram, 64)
    assert traffic(program_of(made_func, target), config) <= traffic(program_of(given_func, target), config)


TILED = "!uop.tiled<tensor<{0}x{1}xf32>, [32, 32]>"


def function(grids: dict[str, tuple[int, int]], allocs: dict[str, tuple[int, int]], lines: list[str], out: str) -> str:
    types = {name: TILED.format(32 * m, 32 * n) for name, (m, n) in (grids | allocs).items()}
    args = [f"%{name}: {types[name]}" for name in grids] + ["%b: !uop.tiled<tensor<256xf32>, [32]>"]
    body = [f"%{name} = uop.alloc : {types[name]}" for name in allocs] + lines
    head = f"func.func @f({', '.join(args)}) -> {types[out]} {{"
    return "\n".join([head, *[f"  {line}" for line in body], f"  return %{out} : {types[out]}", "}", ""])


def triangular() -> str:
    """L times X for a lower triangular L: tile i, j sums over k <= i."""
    lines = []
    for i in range(6):
        for j in range(6):
            for k in range(i + 1):
                lines += [f"uop.load %l[{i}, {k}]", f"uop.load %x[{k}, {j}]"]
                lines.append(f"uop.exec matmul %y[{i}, {j}] {'+=' if k else '='} %l[{i}, {k}], %x[{k}, {j}]")
            lines.append(f"uop.store %y[{i}, {j}]")
    return function({"l": (6, 6), "x": (6, 6)}, {"y": (6, 6)}, lines, "y")


def some_biases() -> str:
    """A product with a bias in every other tile, in column order, and with an activation on some of its stores."""
    lines = []
    for j in range(4):
        for i in range(4):
            if (i + j) % 2:
                lines += [f"uop.load %b[{j}]", f"uop.exec bias %y[{i}, {j}] = %b[{j}]"]
            for k in range(4):
                sign = "+=" if k or (i + j) % 2 else "="
                lines += [f"uop.load %l[{i}, {k}]", f"uop.load %x[{k}, {j}]"]
                lines.append(f"uop.exec matmul %y[{i}, {j}] {sign} %l[{i}, {k}], %x[{k}, {j}]")
            lines.append(f"uop.store %y[{i}, {j}]" + (' {activation = "relu"}' if i % 2 else ""))
    return function({"l": (4, 4), "x": (4, 4)}, {"y": (4, 4)}, lines, "y")


def in_place() -> str:
    """A product whose tiles get a relu and a residual in place, are stored with `retain`, and are read by the next."""
    lines = []
    for i in range(4):
        for j in range(4):
            for k in range(4):
                lines += [f"uop.load %l[{i}, {k}]", f"uop.load %x[{k}, {j}]"]
                lines.append(f"uop.exec matmul %h[{i}, {j}] {'+=' if k else '='} %l[{i}, {k}], %x[{k}, {j}]")
            lines += [f"uop.exec relu %h[{i}, {j}] = %h[{i}, {j}]", f"uop.load %x[{i}, {j}]"]
            lines.append(f"uop.exec add %h[{i}, {j}] = %h[{i}, {j}], %x[{i}, {j}]")
            lines.append(f"uop.store %h[{i}, {j}] {{retain}}")
    for i in range(4):
        for j in range(4):
            for k in range(4):
                lines.append(f"uop.load %l[{k}, {j}]")
                lines.append(f"uop.exec matmul %y[{i}, {j}] {'+=' if k else '='} %h[{i}, {k}], %l[{k}, {j}]")
            lines.append(f"uop.store %y[{i}, {j}]")
    return function({"l": (4, 4), "x": (4, 4)}, {"h": (4, 4), "y": (4, 4)}, lines, "y")


def written_twice() -> str:
    """A scratch tile that holds one sum after the other, each added to a result."""
    lines = []
    for i in range(3):
        for j in range(3):
            for k in range(3):
                lines += [f"uop.load %l[{i}, {k}]", f"uop.load %x[{k}, {j}]"]
                lines.append(f"uop.exec matmul %t[0, 0] = %l[{i}, {k}], %x[{k}, {j}]")
                first = f"uop.exec relu %y[{i}, {j}] = %t[0, 0]"
                lines.append(f"uop.exec add %y[{i}, {j}] = %y[{i}, {j}], %t[0, 0]" if k else first)
            lines.append(f"uop.store %y[{i}, {j}]")
    return function({"l": (3, 3), "x": (3, 3)}, {"t": (1, 1), "y": (3, 3)}, lines, "y")


def partial() -> str:
    """A product that lacks every third step of its sums."""
    lines = []
    for i in range(5):
        for j in range(5):
            ks = [k for k in range(5) if (i + j + k) % 3]
            for at, k in enumerate(ks):
                lines += [f"uop.load %l[{i}, {k}]", f"uop.load %x[{k}, {j}]"]
                lines.append(f"uop.exec matmul %y[{i}, {j}] {'+=' if at else '='} %l[{i}, {k}], %x[{k}, {j}]")
            lines.append(f"uop.store %y[{i}, {j}]")
    return function({"l": (5, 5), "x": (5, 5)}, {"y": (5, 5)}, lines, "y")


IRREGULAR = {
    "triangular": (triangular(), 32, 0.95),
    "some biases": (some_biases(), 32, 0.85),
    "in place": (in_place(), 32, 0.95),
    "written twice": (written_twice(), 20, 1.0),
    "partial": (partial(), 32, 0.95),
    "reference": (tilewright.run_passes(REFERENCE, "fuse,tile,lower"), 24, 0.95),
    "mixed": (tilewright.run_passes(MIXED, "tile{sizes=4x4x4},lower"), 1, 1.0),
}
"""By name: text, SRAM in KiB, and how much of the given traffic must be left at most."""


@pytest.mark.parametrize("name", list(IRREGULAR))
def test_irregular_programs_get_better(name: str) -> None:
    text, sram, most = IRREGULAR[name]
    before, after = check(text, sram * 1024)
    print(f"{name}: {before} -> {after} ({after / before:.2f})")
    assert after <= most * before


@pytest.mark.parametrize("sram", [12, 13, 16, 17, 100])
def test_sizes_that_just_hold_an_exec(sram: int) -> None:
    for text in (triangular(), partial()):
        check(text, sram * 1024)


# --- what it leaves as it is ---

EDGE_CASES = {
    "no execs": "func.func @f(%x: !uop.tiled<tensor<4x4xf32>, [4, 4]>) {\n  uop.load %x[0, 0]\n  return\n}\n",
    "nothing": "func.func @f(%x: !uop.tiled<tensor<4x4xf32>, [4, 4]>) {\n  return\n}\n",
    "dead tile": """func.func @f(%x: !uop.tiled<tensor<4x8xf32>, [4, 4]>) {
  %d = uop.alloc : !uop.tiled<tensor<4x4xf32>, [4, 4]>
  %e = uop.alloc {on_chip} : !uop.tiled<tensor<4x8xf32>, [4, 4]>
  uop.load %x[0, 1]
  uop.load %x[0, 0]
  uop.exec relu %d[0, 0] = %x[0, 0]
  uop.exec add %e[0, 1] = %d[0, 0], %x[0, 1]
  return
}
""",
    "returned argument": """func.func @f(%x: !uop.tiled<tensor<4x4xf32>, [4, 4]>)
    -> !uop.tiled<tensor<4x4xf32>, [4, 4]> {
  return %x : !uop.tiled<tensor<4x4xf32>, [4, 4]>
}
""",
    "empty": "func.func @f() {\n  return\n}\n",
}


@pytest.mark.parametrize("name", list(EDGE_CASES))
def test_edge_cases(name: str) -> None:
    check(EDGE_CASES[name], 64)
    check(EDGE_CASES[name], 4096)


def test_unknown_operations_keep_their_order() -> None:
    lines = written_twice().replace(
        "  uop.load %l[2, 2]", '  %n = "t.a"() : () -> i32\n  "t.b"(%n) : (i32) -> ()\n  uop.load %l[2, 2]', 1
    )
    module = tilewright.parse(lines, allow_unregistered=True)
    made = run_passes_on(module, parse_pipeline("reorder{sram=20480}"))
    assert [op.name for op in only(made).ops if op.name.startswith("t.")] == ["t.a", "t.b"]
    assert execs(only(made)) == execs(only(module))


def test_each_function_by_itself() -> None:
    """Also those that have nothing to reorder, and other levels."""
    text = triangular() + EDGE_CASES["empty"].replace("@f", "@g") + REFERENCE
    given = tilewright.parse(text)
    made = run_passes_on(given, parse_pipeline("reorder{sram=32KiB}"))
    (first, *rest), (old, *old_rest) = made.functions(), given.functions()
    assert moved(first, 32 << 10) < moved(old, 32 << 10)
    assert ModuleOp(rest) == ModuleOp(old_rest)
