"""bench/generate.py's transformer through -O2: proved pass by pass, also as a long function is planned."""

from __future__ import annotations

import importlib
from collections import Counter
from pathlib import Path

import pytest

import tilewright
from tilewright.analysis.proof import prove_module
from tilewright.analysis.simulation import simulation_of
from tilewright.ir.builtin import FuncOp, ModuleOp
from tilewright.passes import plan, prefetch
from tilewright.passes.manager.pipelines import parse_pipeline
from tilewright.passes.manager.running import run_passes_on
from tilewright.planner import makespan as in_time

BENCH = Path(__file__).resolve().parents[3] / "bench"


@pytest.fixture
def text(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.syspath_prepend(str(BENCH))
    generate = importlib.import_module("generate")
    made = generate.transformer_text(layers=2, width=64, ffn=256, tokens=64)
    assert made == generate.transformer_text(2, 64, 256, 64)
    return made


def planned(text: str) -> tuple[ModuleOp, FuncOp]:
    """The module by -O2, proved after each pass, against the graph, and as its text is read."""
    graph = tilewright.parse(text)
    made = run_passes_on(graph, parse_pipeline("O2{sram=72KiB}"), prove_each=True)
    again = tilewright.parse(tilewright.print(made))
    prove_module(graph, again)
    return again, next(again.functions())


def test_all_that_a_transformer_computes_is_used(text: str) -> None:
    (func,) = tilewright.parse(text).functions()
    uses = Counter(v for op in func.ops for v in op.operands)
    assert all(uses[v] for v in (*func.args, *[r for op in func.ops for r in op.results]))
    assert Counter(op.name for op in func.ops)["graph.matmul"] == 2 * 6


def test_a_transformer_planned_as_a_long_function_is_hardly_slower(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, func = planned(text)
    searched = simulation_of(func, module).makespan
    for where in (in_time, plan, prefetch):
        monkeypatch.setattr(where, "LONG", 0)
    module, func = planned(text)
    assert simulation_of(func, module).makespan <= 1.1 * searched
