"""split-softmax: the blocks of a row come to the same as the whole, also where a mask leaves nothing of some."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tilewright
from tilewright import DiagnosticError
from tilewright.analysis.proof import prove_module
from tilewright.lowering.graph_parts import Parts
from tilewright.passes import split_softmax

from ..programs import compared

HEADS = """\
func.func @heads(%q: tensor<2x6x4xf32>, %k: tensor<2x20x4xf32>, %v: tensor<2x20x8xf32>, %m: tensor<6x20xf32>) -> tensor<2x6x8xf32> {
  %s = graph.matmul %q, %k {transpose_b} : (tensor<2x6x4xf32>, tensor<2x20x4xf32>) -> tensor<2x6x20xf32>
  %r = graph.div %s {right = 2.0 : f32} : tensor<2x6x20xf32>
  %c = graph.add %m, %r : (tensor<6x20xf32>, tensor<2x6x20xf32>) -> tensor<2x6x20xf32>
  %w = graph.softmax %c {axes = [2]} : tensor<2x6x20xf32>
  %y = graph.matmul %w, %v : (tensor<2x6x20xf32>, tensor<2x20x8xf32>) -> tensor<2x6x8xf32>
  return %y : tensor<2x6x8xf32>
}
"""  # noqa: E501
PIPELINES = [
    "split-softmax{columns=4}",
    "split-softmax{columns=8},decompose,fuse,tile{sizes=4x4x4},lower,schedule",
    "split-softmax{columns=10},O1{tile=2x2x2 sram=4KiB}",
    "split-softmax{columns=7},O2{tile=4x4x4}",
]


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_it_proves_and_runs_equal(pipeline: str) -> None:
    made = tilewright.run_passes(HEADS, pipeline)
    model, other = tilewright.parse(HEADS), tilewright.parse(made)
    prove_module(model, other)
    finding, _, _ = compared(model, other, integers=False)
    assert finding is None, str(finding)


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_blocks_of_which_a_mask_leaves_nothing(pipeline: str) -> None:
    """A row without any score left is NaN, as the whole softmax has it; others are what is left makes them."""
    random = np.random.default_rng(1)
    inputs = {name: random.standard_normal(shape).astype(np.float32) for name, shape in SHAPES.items()}
    mask = np.zeros((6, 20), np.float32)
    mask[0], mask[1, :19], mask[2, 1:], mask[3, 4:12], mask[4, :10] = (-np.inf,) * 5
    inputs["m"] = mask
    (wanted,) = tilewright.run(HEADS, inputs)
    (given,) = tilewright.run(tilewright.run_passes(HEADS, pipeline), inputs)
    assert np.isnan(wanted[:, 0]).all()
    assert np.isfinite(wanted[:, 1:]).all()
    assert np.allclose(given, wanted, rtol=1e-5, atol=1e-6, equal_nan=True)


SHAPES = {"q": (2, 6, 4), "k": (2, 20, 4), "v": (2, 20, 8)}


@pytest.mark.parametrize("options", ["", "{columns=20}", "{columns=100}"])
def test_a_row_of_one_block_is_left_alone(options: str) -> None:
    assert tilewright.run_passes(HEADS, f"split-softmax{options}") == HEADS


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("transpose_b}", "tile = [2, 2, 2], transpose_b}"),
        ("%c {axes", "%c {my.note = 1, axes"),
        ("%w, %v :", '%w, %v {activation = "relu"} :'),
        ("%w, %v :", "%w, %v {block = [1, 1]} :"),
    ],
)
def test_what_says_more_than_what_it_computes_is_left_alone(old: str, new: str) -> None:
    text = HEADS.replace(old, new, 1)
    before = tilewright.run_passes(text, "")
    made = tilewright.run_passes(text, "split-softmax{columns=4}")
    if "tile" in new:  # the products stay as they are, and only their columns are taken apart
        assert "tile = [2, 2, 2]" in made
    else:
        assert made == before


def other_kernel(old: str, new: str) -> Any:
    def mapped(self: Parts, suffix: str, kernel: str, *operands: Any, **numbers: float) -> Any:
        return MAPPED(self, suffix, new if kernel == old else kernel, *operands, **numbers)

    return mapped


MAPPED = Parts.mapped


@pytest.mark.parametrize(
    ("old", "new"), [("max", "min"), ("sub", "add"), ("mul", "add"), ("add", "sub"), ("div", "mul")]
)
def test_another_kernel_is_refused(old: str, new: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Parts, "mapped", other_kernel(old, new))
    refused()


@pytest.mark.parametrize("shift", [-4, 4])
def test_another_part_of_the_values_is_refused(shift: int, monkeypatch: pytest.MonkeyPatch) -> None:
    sliced = split_softmax._Split.sliced

    def wrong(self: Any, value: Any, axis: int, start: int, size: int) -> Any:
        at = start + shift if value.name == "v" and 0 <= start + shift <= 20 - size else start
        return sliced(self, value, axis, at, size)

    monkeypatch.setattr(split_softmax._Split, "sliced", wrong)
    refused()


def test_a_bound_above_the_least_number_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(split_softmax, "LEAST", -1.0)
    refused()


def refused() -> None:
    made = tilewright.parse(tilewright.run_passes(HEADS, "split-softmax{columns=4}"))
    with pytest.raises(DiagnosticError, match="is not what the model computes"):
        prove_module(tilewright.parse(HEADS), made)
