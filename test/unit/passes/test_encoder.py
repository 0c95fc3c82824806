"""Attention by heads: scores never leave the chip, whatever the text's order; what makes a head waits for it."""

from __future__ import annotations

import random
from math import prod

import pytest

import tilewright
from tilewright.analysis.cost import cost_of
from tilewright.ir.builtin import ModuleOp
from tilewright.passes.manager.pipelines import parse_pipeline
from tilewright.passes.manager.running import run_passes_on

from ..encoder import encoder_text
from .test_linearize import shuffle

TWO_LAYERS = encoder_text(2, tokens=32, heads=4, size=8)


def planned(text: str, pipeline: str) -> ModuleOp:
    return run_passes_on(tilewright.parse(text), parse_pipeline(pipeline), prove_each=True)


@pytest.mark.parametrize(("layers", "sram", "most"), [(2, "24KiB", 1.0), (1, "8KiB", 1.3)])
def test_scores_stay_on_chip(layers: int, sram: str, most: float) -> None:
    """Of each layer the scores alone are 16 KiB, queries, keys and values 12 KiB."""
    module = planned(encoder_text(layers, tokens=32, heads=4, size=8), f"O1{{sram={sram} tile=8x8x8}}")
    (func,) = module.functions()
    needed = sum(prod(v.type.tensor.shape) * 4 for v in (*func.args, *func.returned()))  # type: ignore[attr-defined]
    assert cost_of(func, func.attrs["sched.stats"], 64).traffic <= most * needed
    text = tilewright.print(module)
    assert all(f"sched.store %{name}{layer}" not in text for name in "sdepmt" for layer in "01")


def test_a_head_asks_for_its_columns() -> None:
    text = tilewright.print(planned(TWO_LAYERS, "canonicalize,cse,fuse,linearize,tile{sizes=8x8x8},plan{sram=8KiB}"))
    (query,) = [line for line in text.splitlines() if "%q20 = " in line]
    assert "lazy" in query


def test_any_order_of_an_encoder_is_one_text() -> None:
    generator = random.Random(5)
    expected = tilewright.run_passes(TWO_LAYERS, "linearize")
    for _ in range(10):
        module = tilewright.parse(TWO_LAYERS)
        shuffle(next(module.functions()), generator)
        assert tilewright.run_passes(tilewright.print(module), "linearize") == expected


def test_what_batches_do_not_need_stands_before_them() -> None:
    lines = [line.split(" = ")[0].strip() for line in tilewright.run_passes(TWO_LAYERS, "linearize").splitlines()]
    run = [lines.index(f"%{name}0") for name in "smdetpo"]
    assert lines.index("%v20") < run[0]
    assert run == sorted(run)
    assert [line for line in lines[run[0] : run[-1] + 1] if line[1] not in "smdetpov"] == []
