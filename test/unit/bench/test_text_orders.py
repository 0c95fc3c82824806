"""bench/text_orders.py: the orders are legal, and it tells where `plan` sees more than one text of them."""

from __future__ import annotations

import importlib
import random
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import tilewright
from tilewright.lowering.rewriting import map_functions

BENCH = Path(__file__).resolve().parents[3] / "bench"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCH))
    return importlib.import_module("text_orders")


def graph(bench: ModuleType, name: str) -> Any:
    return next(shape for shape in bench.BRANCHING if shape.name == name)


def test_orders_are_of_the_same_operations_and_legal(bench: ModuleType) -> None:
    given = tilewright.parse(graph(bench, "crossed branches of 64").text)
    texts = {tilewright.print(given)}
    for seed in range(5):
        made = map_functions(given, lambda func, _, seed=seed: bench.shuffled(func, random.Random(seed)))
        texts.add(tilewright.print(tilewright.parse(tilewright.print(made))))
    assert len(texts) > 2
    assert len({"\n".join(sorted(text.splitlines())) for text in texts}) == 1


def test_plan_sees_one_text_of_all_orders(bench: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    heads = graph(bench, "six heads of 192x128")
    assert bench.measured(heads, 10, plan=False) == ([heads.name, "11", "1"], True)
    monkeypatch.setattr(bench.Shape, "pipeline", lambda shape, level: f"fuse,tile{{sizes={shape.tile}}},plan")
    row, same = bench.measured(heads, 10, plan=False)
    assert (row, same) == ([heads.name, "11", "11"], False)


def test_a_chain_has_one_order(bench: ModuleType) -> None:
    assert bench.measured(graph(bench, "chain of 8x32, 256 rows"), 10, plan=False) is None
