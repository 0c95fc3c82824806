"""Composites at every level: their numbers against NumPy's in double precision, the proof, bugs planted in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tilewright
from tilewright.dialects.composites import LayerNormOp, RmsNormOp, SoftmaxOp
from tilewright.dialects.graph import ReduceOp
from tilewright.dialects.views import SliceOp
from tilewright.ir.core import Operation, Value
from tilewright.ir.types import TensorType
from tilewright.passes import decompose
from tilewright.runtime.numerics import numpy_dtype

from ..programs import compared

PIPELINES = (
    "",
    "decompose",
    "O0{sram=2KiB tile=4x4x4}",
    "O0{sram=600 tile=5x3x2}",
    "O1{sram=1KiB tile=4x4x4}",
    "O2{sram=4KiB tile=8x8x8}",
)
KINDS = ("softmax", "layer_norm", "rms_norm", "mean", "sum", "max")
EPSILON = 0.01
NEAR = {"f32": 2e-6, "f16": 2e-3, "bf16": 1.6e-2}


def text(kind: str, shape: Sequence[int], axes: Sequence[int], dtype: str = "f32") -> str:
    """A composite of arguments; a norm's scale lies along its axes, its bias along the last axis."""
    of = {name: f"tensor<{'x'.join(map(str, s))}x{dtype}>" for name, s in shapes(shape, axes).items()}
    if kind in ("mean", "sum", "max"):
        left = f"tensor<{'x'.join('1' if i in axes else str(n) for i, n in enumerate(shape))}"
        result = f"{left}x{dtype if kind == 'max' else 'f32'}>"
        line = f'graph.reduce %x {{axes = {list(axes)}, kind = "{kind}"}} : {of["x"]} -> {result}'
    elif kind == "softmax":
        result, line = of["x"], f"graph.softmax %x {{axes = {list(axes)}}} : {of['x']}"
    else:
        names = ["x", "s", "b"] if kind == "layer_norm" else ["x", "s"]
        operands = ", ".join(f"%{name}" for name in names)
        types = ", ".join(of[name] for name in names)
        result = of["x"]
        line = f"graph.{kind} {operands} {{axes = {list(axes)}, epsilon = {EPSILON} : f32}} : ({types}) -> {result}"
    args = ", ".join(f"%{name}: {type}" for name, type in of.items())
    return f"func.func @f({args}) -> {result} {{\n  %y = {line}\n  return %y : {result}\n}}\n"


def shapes(shape: Sequence[int], axes: Sequence[int]) -> dict[str, tuple[int, ...]]:
    scale = tuple(size if i in axes else 1 for i, size in enumerate(shape))
    return {"x": tuple(shape), "s": scale, "b": (shape[-1],)}


def arrays(shape: Sequence[int], axes: Sequence[int], dtype: str, seed: int = 1) -> dict[str, np.ndarray[Any, Any]]:
    """Numbers far from zero, all of one sign, so that a zero of the padding would be a row's maximum, and seen in its
    sum."""
    rng = np.random.default_rng(seed)
    sign = (-1) ** seed
    return {n: (sign * rng.uniform(3, 9, s)).astype(numpy_dtype(dtype)) for n, s in shapes(shape, axes).items()}


def exact(kind: str, axes: Sequence[int], given: dict[str, np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    x, scale, bias = (a.astype(np.float64) for a in given.values())
    along = tuple(axes)
    if kind in ("mean", "sum", "max"):
        return getattr(np, kind)(x, axis=along, keepdims=True)
    if kind == "softmax":
        powers = np.exp(x - x.max(axis=along, keepdims=True))
        return powers / powers.sum(axis=along, keepdims=True)
    if kind == "rms_norm":
        return x / np.sqrt(np.square(x).mean(axis=along, keepdims=True) + float(np.float32(EPSILON))) * scale
    deviation = np.sqrt(x.var(axis=along, keepdims=True) + float(np.float32(EPSILON)))
    return (x - x.mean(axis=along, keepdims=True)) / deviation * scale + bias


def check(kind: str, shape: Sequence[int], axes: Sequence[int], dtype: str, pipeline: str, seed: int = 1) -> None:
    model, data = text(kind, shape, axes, dtype), arrays(shape, axes, dtype, seed)
    (y,) = tilewright.run(tilewright.run_passes(model, pipeline, prove_each=True), data)
    wanted = exact(kind, axes, data)
    size = max(1.0, float(np.abs(wanted).max())) * (20 if kind == "layer_norm" else 1)  # what is subtracted cancels
    near = NEAR["f32" if y.dtype == np.float32 else dtype]
    assert np.abs(y.astype(np.float64) - wanted).max() <= near * size


@pytest.mark.parametrize("pipeline", PIPELINES)
@pytest.mark.parametrize(("shape", "axes"), [((3, 161), [1]), ((7, 9), [0]), ((2, 3, 9, 5), [3, 1])])
@pytest.mark.parametrize("kind", KINDS)
def test_numbers_are_those_of_numpy(kind: str, shape: tuple[int, ...], axes: list[int], pipeline: str) -> None:
    """A row of 40 tiles and one element, an SRAM of a few tiles, several axes."""
    check(kind, shape, axes, "f32", pipeline)


@pytest.mark.parametrize("dtype", ["f16", "bf16"])
@pytest.mark.parametrize("kind", KINDS[:4])
def test_what_is_narrower_is_rounded_once(kind: str, dtype: str) -> None:
    """Long rows, of which sums in f16 would be far off."""
    for pipeline in (PIPELINES[0], "O0{tile=32x32x32}", "O1{tile=32x32x32}"):
        check(kind, (2, 3000), [1], dtype, pipeline)


@given(st.data())
def test_any_shape_axes_and_tiles(data: st.DataObject) -> None:
    shape = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    axes = data.draw(st.lists(st.integers(0, len(shape) - 1), min_size=1, max_size=3, unique=True))
    tile = "x".join(str(data.draw(st.integers(1, 5))) for _ in range(3))
    pipeline = f"O{data.draw(st.integers(0, 2))}{{sram=4KiB tile={tile}}}"
    dtype = data.draw(st.sampled_from(["f32", "f32", "f16", "bf16"]))
    check(data.draw(st.sampled_from(KINDS)), shape, axes, dtype, pipeline, data.draw(st.integers(0, 1)))


@pytest.mark.parametrize("kind", KINDS)
def test_it_compares(kind: str) -> None:
    """`mir-run --compare` knows how exact a composite is."""
    model = text(kind, (5, 40), [1])
    made = tilewright.run_passes(model, "O1{tile=4x4x4}")
    finding, _, _ = compared(tilewright.parse(model), tilewright.parse(made), integers=False)
    assert finding is None, str(finding)


def test_ieee_values() -> None:
    x = np.array([[1, -np.inf, 2], [-np.inf] * 3, [0, np.inf, 0], [np.nan, 0, 0], [200, 0, -200]], np.float32)
    model = text("softmax", x.shape, [1])
    for pipeline in PIPELINES[:4]:
        (y,) = tilewright.run(tilewright.run_passes(model, pipeline), {"x": x, "s": x[:1], "b": x[0]})
        assert np.isnan(y).all(axis=1).tolist() == [False, True, True, True, False]
        assert np.allclose(y[[0, 4]], [[1 / (1 + np.e), 0, np.e / (1 + np.e)], [1, 0, 0]])


# Bugs planted in `decompose`

Parts = Any


def softmax_of(parts: Parts, x: Value, shift: Value | None, total: Callable[[Value], Value]) -> Value:
    powers = parts.mapped("exp", "exp", x if shift is None else parts.mapped("shifted", "sub", x, shift))
    return parts.mapped("quotient", "div", powers, total(powers))


def half(parts: Parts, x: Value) -> Value:
    assert isinstance(x.type, TensorType)
    rows, columns = x.type.shape
    made = Value(TensorType((rows, columns // 2), "f32"))
    return parts.add(SliceOp([x], [made], starts=(0, 0), sizes=(rows, columns // 2)), "half")


SOFTMAXES: dict[str, Callable[[Parts, Value], Value]] = {
    "no maximum": lambda p, x: softmax_of(p, x, None, lambda e: p.reduced(e, "sum", [1])),
    "maximum along another axis": lambda p, x: softmax_of(
        p, x, p.reduced(x, "max", [0]), lambda e: p.reduced(e, "sum", [1])
    ),
    "maximum of half the row": lambda p, x: softmax_of(
        p, x, p.reduced(half(p, x), "max", [1]), lambda e: p.reduced(e, "sum", [1])
    ),
    "maximum of more than the row": lambda p, x: softmax_of(
        p, x, p.reduced(x, "max", [0, 1]), lambda e: p.reduced(e, "sum", [1])
    ),
    "minimum": lambda p, x: softmax_of(p, x, p.reduced(x, "min", [1]), lambda e: p.reduced(e, "sum", [1])),
    "sum along another axis": lambda p, x: softmax_of(
        p, x, p.reduced(x, "max", [1]), lambda e: p.reduced(e, "sum", [0])
    ),
    "sum of half the row": lambda p, x: softmax_of(
        p, x, p.reduced(x, "max", [1]), lambda e: p.reduced(half(p, e), "sum", [1])
    ),
    "mean": lambda p, x: softmax_of(p, x, p.reduced(x, "max", [1]), lambda e: p.mean("mean", e, [1])),
}


def norm_of(
    parts: Parts, x: Value, others: Sequence[Value], *, center: bool, epsilon: float = EPSILON, kind: str = "mean"
) -> Value:
    if center:
        x = parts.mapped("centered", "sub", x, parts.mean("mean", x, [1]))
    squares = parts.mapped("square", "mul", x, x)
    made = parts.mean("mean", squares, [1]) if kind == "mean" else parts.reduced(squares, kind, [1])
    made = parts.mapped("epsilon", "add", made, right=epsilon) if epsilon else made
    made = parts.mapped("unit", "mul", x, parts.mapped("inverse", "rsqrt", made))
    for kernel, value in zip(("mul", "add"), others, strict=False):
        made = parts.mapped(kernel, kernel, made, value)
    return made


NORMS: dict[str, Callable[..., Value]] = {
    "no epsilon": lambda p, x, *others, center: norm_of(p, x, others, center=center, epsilon=0),
    "another epsilon": lambda p, x, *others, center: norm_of(p, x, others, center=center, epsilon=0.5),
    "sum": lambda p, x, *others, center: norm_of(p, x, others, center=center, kind="sum"),
    "unscaled": lambda p, x, *others, center: norm_of(p, x, (), center=center),
    "other centre": lambda p, x, *others, center: norm_of(p, x, others, center=not center),
}


def refused(kind: str, cls: type[Operation], wrong: Callable[..., Value], monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong decomposition is blamed where it is proved at once, and found in the schedule that it ends in."""
    model = text(kind, (8, 8), [1])
    monkeypatch.setitem(decompose.DECOMPOSITIONS, cls, wrong)
    with pytest.raises(tilewright.DiagnosticError, match="pass 'decompose' changed what is computed"):
        tilewright.run_passes(model, "decompose", prove_each=True)
    for pipeline in ("O0{tile=4x4x4}", "O1{tile=4x4x4}"):
        made = tilewright.run_passes(model, pipeline)
        with pytest.raises(tilewright.DiagnosticError, match="is not what the model computes"):
            tilewright.prove(model, made)
    monkeypatch.undo()
    tilewright.prove(model, tilewright.run_passes(model, "O0{tile=4x4x4}"))


@pytest.mark.parametrize("bug", SOFTMAXES)
def test_a_wrong_softmax_is_refused(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    refused("softmax", SoftmaxOp, lambda parts, op, x: SOFTMAXES[bug](parts, x), monkeypatch)


@pytest.mark.parametrize("bug", NORMS)
@pytest.mark.parametrize(("kind", "cls"), [("layer_norm", LayerNormOp), ("rms_norm", RmsNormOp)])
def test_a_wrong_norm_is_refused(kind: str, cls: type[Operation], bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    center = cls is LayerNormOp
    refused(kind, cls, lambda parts, op, *values: NORMS[bug](parts, *values, center=center), monkeypatch)


@pytest.mark.parametrize(("kind", "made"), [("mean", "sum"), ("mean", "max")])
def test_a_wrong_mean_is_refused(kind: str, made: str, monkeypatch: pytest.MonkeyPatch) -> None:
    refused(kind, ReduceOp, lambda parts, op, x: parts.reduced(x, made, op.axes), monkeypatch)


def test_the_element_types_inside_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A softmax of f16 that is computed in f16."""
    model = text("softmax", (8, 8), [1], "f16")
    good = tilewright.run_passes(model, "decompose")
    tilewright.prove(model, good)

    def narrow(parts: Parts, op: Operation, x: Value) -> Value:
        wide = parts.cast(x, "f32", "wide")
        powers = parts.mapped("exp", "exp", parts.mapped("sub", "sub", wide, parts.reduced(wide, "max", [1])))
        rounded = parts.cast(parts.cast(powers, "f16", "rounded"), "f32", "again")
        return parts.cast(parts.mapped("div", "div", rounded, parts.reduced(powers, "sum", [1])), "f16", "last")

    monkeypatch.setitem(decompose.DECOMPOSITIONS, SoftmaxOp, narrow)
    with pytest.raises(tilewright.DiagnosticError):
        tilewright.prove(model, tilewright.run_passes(model, "decompose"))
