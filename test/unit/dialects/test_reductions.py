"""Reductions: their numbers at every level against NumPy's in double precision, padding, what combines, the proof."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import tilewright
from tilewright.runtime.numerics import numpy_dtype

from ..programs import compared

RESULT = {
    "sum": {"f32": "f32", "f16": "f32", "bf16": "f32", "i8": "i32", "i32": "i32"},
    "max": {name: name for name in ("f32", "f16", "bf16", "i8", "i32")},
}
PIPELINES = (
    "",
    "tile{sizes=4x4x4},lower",
    "tile{sizes=4x4x4},lower,schedule{sram=512}",
    "tile{sizes=5x3x2},lower,reorder{sram=512},forward,schedule{sram=512},prefetch",
    "tile{sizes=8x8x8},lower,forward,schedule{sram=2KiB},pingpong,sync",
    "fuse,tile{sizes=4x4x4},plan{sram=512},lower,forward,schedule{sram=512}",
    "fuse,tile{sizes=4x4x4},plan{sram=1KiB objective=makespan},lower,forward,schedule{sram=1KiB}",
)


def text(shape: Sequence[int], axis: int, kind: str, dtype: str) -> str:
    """A reduction of an argument."""
    left = [*shape[:axis], 1, *shape[axis + 1 :]]
    names = [f"tensor<{'x'.join(map(str, s))}x{d}>" for s, d in ((shape, dtype), (left, result_of(kind, dtype)))]
    op = f'graph.reduce %x {{axes = [{axis}], kind = "{kind}"}} : {names[0]} -> {names[1]}'
    return f"func.func @f(%x: {names[0]}) -> {names[1]} {{\n  %y = {op}\n  return %y : {names[1]}\n}}\n"


def result_of(kind: str, dtype: str) -> str:
    return RESULT["sum" if kind == "sum" else "max"][dtype]


def given(shape: Sequence[int], dtype: str) -> np.ndarray[Any, Any]:
    """Numbers of one sign, the wrong one for padding of zeros to go unseen."""
    data = np.random.default_rng(1).uniform(1, 9, shape)
    return (data if dtype[0] == "f" or dtype == "bf16" else np.rint(data)).astype(numpy_dtype(dtype))


@pytest.mark.parametrize("pipeline", PIPELINES)
@pytest.mark.parametrize(("shape", "axis"), [((11,), 0), ((7, 161), 1), ((13, 6), 0), ((3, 1), 1), ((2, 3, 9, 5), 1)])
@pytest.mark.parametrize("kind", ["sum", "max", "min"])
def test_numbers_are_those_of_numpy(kind: str, shape: tuple[int, ...], axis: int, pipeline: str) -> None:
    model = text(shape, axis, kind, "f32")
    for sign in (1, -1):
        x = sign * given(shape, "f32")
        (y,) = tilewright.run(tilewright.run_passes(model, pipeline, prove_each=True), {"x": x})
        exact = getattr(np, kind)(x.astype(np.float64), axis=axis, keepdims=True)
        assert np.allclose(y, exact, rtol=1e-6 if kind == "sum" else 0, atol=0)


@pytest.mark.parametrize("dtype", ["f16", "bf16", "i8", "i32"])
@pytest.mark.parametrize("kind", ["sum", "max", "min"])
def test_element_types(kind: str, dtype: str) -> None:
    """A sum of the shorter floats is in f32, one of i8 in i32."""
    x = given((6, 50), dtype)
    for pipeline in PIPELINES[:3]:
        (y,) = tilewright.run(tilewright.run_passes(text((6, 50), 1, kind, dtype), pipeline), {"x": x})
        assert y.dtype == numpy_dtype(result_of(kind, dtype))
        exact = getattr(np, kind)(x.astype(np.float64), axis=1, keepdims=True)
        assert np.allclose(y.astype(np.float64), exact, rtol=1e-6, atol=0)


def test_a_nan_stays_one() -> None:
    x = np.ones((3, 9), np.float32)
    x[1, 7] = np.nan
    for kind in ("sum", "max", "min"):
        for pipeline in PIPELINES[:3]:
            (y,) = tilewright.run(tilewright.run_passes(text((3, 9), 1, kind, "f32"), pipeline), {"x": x})
            assert np.isnan(y[:, 0]).tolist() == [False, True, False]


@pytest.mark.parametrize("kind", ["sum", "max", "min"])
def test_another_order_compares(kind: str) -> None:
    """`mir-run --compare` knows how exact a reduction is."""
    model = text((5, 90), 1, kind, "f32")
    made = tilewright.run_passes(model, PIPELINES[3])
    finding, _, _ = compared(tilewright.parse(model), tilewright.parse(made), integers=False)
    assert finding is None, str(finding)


LOWERED = tilewright.run_passes(text((4, 12), 1, "max", "f32"), "tile{sizes=4x4x4},lower")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("+= %x[0, 2]", "+= %x[0, 1]"),  # one tile twice, another one not at all
        ("  uop.exec reduce_max %y[0, 0] += %x[0, 2] {axis = 1}\n", ""),
        ("reduce_max %y[0, 0] += %x[0, 2]", "reduce_min %y[0, 0] += %x[0, 2]"),
        ("reduce_max %y[0, 0] += %x[0, 2]", "reduce_sum %y[0, 0] += %x[0, 2]"),
        ("reduce_max", "reduce_min"),
        ("reduce_max %y[0, 0] += %x[0, 1]", "reduce_max %y[0, 0] = %x[0, 1]"),
    ],
)
def test_the_proof_wants_each_tile_once(before: str, after: str) -> None:
    model = text((4, 12), 1, "max", "f32")
    tilewright.prove(model, LOWERED)
    assert before in LOWERED
    changed = LOWERED.replace(before, after)
    with pytest.raises(tilewright.DiagnosticError):
        tilewright.prove(model, changed)


def test_the_proof_tells_axes_apart() -> None:
    """Tiles of one size are reduced along either axis to what has one element."""
    text_of = "func.func @f(%x: tensor<4x4xf32>) -> tensor<1x1xf32> {{\n{}  return %z : tensor<1x1xf32>\n}}\n"
    op = '  %{} = graph.reduce %{} {{axes = [{}], kind = "sum"}} : tensor<{}xf32> -> tensor<{}xf32>\n'
    one = text_of.format(op.format("y", "x", 0, "4x4", "1x4") + op.format("z", "y", 1, "1x4", "1x1"))
    other = text_of.format(op.format("y", "x", 1, "4x4", "4x1") + op.format("z", "y", 0, "4x1", "1x1"))
    tilewright.prove(one, one)
    with pytest.raises(tilewright.DiagnosticError, match="along axis"):
        tilewright.prove(one, other)
