"""Every kernel through all of its facets; that nothing outside the table tells kernels apart by name."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import tilewright
from tilewright.analysis.proof import prove_module
from tilewright.dialects.kernels import KERNELS, Call, Kernel
from tilewright.dialects.kernels.declaration import ALL, Parameter, coords_along
from tilewright.dialects.kernels.elementwise import ELEMENTWISE
from tilewright.dialects.tiles import TiledType
from tilewright.ir.attributes import F32, UNIT, FloatAttr, Unit
from tilewright.ir.opdef import OpError
from tilewright.ir.types import TensorType
from tilewright.runtime.numerics import FLOAT32, numpy_dtype
from tilewright.runtime.rounding import Figure, computed

from ..programs import compared

ROOT = Path(__file__).resolve().parents[3]
DTYPES = ("f32", "f16", "bf16", "i8", "ui8", "i32")
FLOATS = ("f32", "f16", "bf16")
PARAMS = (-0.6875, 1.25)

REQUIRED = Parameter("scale", "scale")
DEFAULTS = {REQUIRED: 0.7}

POSITIVE = frozenset({"div", "pow", "log", "sqrt", "rsqrt", "reciprocal"})
"""Kernels that are tried on positive numbers where a result must be finite, or close to its neighbours'."""


def power(a: float, b: float) -> float:
    """IEEE 754's, which raises nothing."""
    try:
        return math.pow(a, b)
    except OverflowError:
        return math.inf * (-1 if a < 0 and b % 2 == 1 else 1)
    except ValueError:
        return math.inf if a == 0 else math.nan


EXACT: dict[str, Callable[..., float]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b if b else math.nan,
    "pow": power,
    "max": max,
    "min": min,
    "less": lambda a, b: float(a < b),
    "less_equal": lambda a, b: float(a <= b),
    "greater": lambda a, b: float(a > b),
    "greater_equal": lambda a, b: float(a >= b),
    "equal": lambda a, b: float(a == b),
    "where": lambda condition, a, b: a if condition else b,
    "neg": lambda x: -x,
    "abs": math.fabs,
    "relu": lambda x: max(x, 0.0),
    "clip": lambda x, low, high: min(max(x, low), high),
    "leaky_relu": lambda x, alpha: x if x >= 0 else alpha * x,
    "exp": math.exp,
    "log": lambda x: math.log(x) if x > 0 else math.nan,
    "sqrt": lambda x: math.sqrt(x) if x >= 0 else math.nan,
    "rsqrt": lambda x: 1 / math.sqrt(x) if x > 0 else math.nan,
    "reciprocal": lambda x: 1 / x if x else math.nan,
    "erf": math.erf,
    "tanh": math.tanh,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)) if x > -700 else math.exp(x),
    "hard_sigmoid": lambda x, alpha, beta: min(max(alpha * x + beta, 0.0), 1.0),
    "silu": lambda x: x / (1 + math.exp(-x)),
    "hard_swish": lambda x: x * min(max(x + 3, 0.0), 6.0) / 6,
    "gelu": lambda x: x * 0.5 * math.erfc(-x / math.sqrt(2)),
    "gelu_tanh": lambda x: x / (1 + math.exp(min(-2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3), 709.0))),
    "elu": lambda x, alpha: x if x >= 0 else alpha * math.expm1(x),
    "softplus": lambda x: max(x, 0.0) + math.log1p(math.exp(-abs(x))),
}
"""Elementwise kernels in double precision, by Python's own functions."""


def params_of(kernel: Kernel) -> tuple[float, ...]:
    return PARAMS[: len([p for p in kernel.parameters if p.attribute == "params"])]


def works_on(kernel: Kernel, *dtypes: str, vector: bool = False) -> bool:
    """Whether a kernel takes square tiles of these element types, destination first; the last may be a vector's."""
    ranks = [2] * (len(dtypes) - vector) + [1] * vector
    types = [TiledType(TensorType((4,) * r, d), (2,) * r) for r, d in zip(ranks, dtypes, strict=True)]
    if is_reduction(kernel):
        types[0] = TiledType(TensorType((4, 1), dtypes[0]), (2, 1))
    try:
        scale = None if kernel.parameters[:1] != (REQUIRED,) else FloatAttr(0.5, F32)
        kernel.check(types, Product(scale=scale, steps=(4, 1)))
    except OpError:
        return False
    return True


def is_reduction(kernel: Kernel) -> bool:
    return kernel.combine not in (None, "part") and len(kernel.sources) == 1


def takes_a_vector(kernel: Kernel) -> bool:
    """Whether the last source has to be one."""
    types = list(product(DTYPES, repeat=1 + len(kernel.sources)))
    return not any(works_on(kernel, *dtypes) for dtypes in types)


def apply(kernel: Kernel, dtype: str, *values: Any) -> np.ndarray[Any, Any]:
    call = Call(params_of(kernel), numpy_dtype(dtype))
    with np.errstate(all="ignore"):
        return kernel.meaning(np, call, *[np.asarray(v).astype(numpy_dtype(dtype)) for v in values])


def samples(dtype: str) -> np.ndarray[Any, Any]:
    """Values over the whole range of a type in which nothing overflows, small ones, and both zeros."""
    rng = np.random.default_rng(1)
    wide = rng.uniform(-60, 60, 4000) if dtype == "f32" else rng.uniform(-9, 9, 4000)
    tiny = rng.standard_normal(1000) * 10.0 ** rng.uniform(-30 if dtype != "f16" else -6, 0, 1000)
    return np.concatenate([wide, tiny, [0.0, -0.0, 1.0, -1.0]]).astype(numpy_dtype(dtype))


@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_works_on_some_types_and_says_no_to_others(name: str) -> None:
    kernel = KERNELS[name]
    types = list(product(DTYPES, repeat=1 + len(kernel.sources)))
    tried = [works_on(kernel, *dtypes, vector=vector) for dtypes in types for vector in (False, True)]
    assert any(tried)
    assert not all(tried)


@pytest.mark.parametrize("name", KERNELS)
def test_work_and_summary(name: str) -> None:
    kernel = KERNELS[name]
    tiles = [(4, 6), (4, 8), (8, 6)][: 1 + len(kernel.sources)]
    assert kernel.work(tiles) > 0
    assert kernel.summary
    assert f" {name} " in kernel.example
    assert kernel.combine in (None, "sum", "greatest", "least", "part")
    assert kernel.in_place <= set(range(len(kernel.sources)))


@pytest.mark.parametrize("name", KERNELS)
def test_reads_a_tile_of_each_source(name: str) -> None:
    kernel = KERNELS[name]
    count = len(kernel.sources)
    found = kernel.reads(Product(), [(8, 8)] * (1 + count))
    assert len(found) == count
    assert all(set(axes) <= {0, 1, 2} or kernel.combine == "part" for axes in found)
    if name in ELEMENTWISE:
        assert found == ((0, 1),) * count
        assert kernel.reads(Product(), [(8, 8), *[(8,)] * count]) == ((1,),) * count
        assert kernel.reads(Product(), [(2, 3, 4, 5)] * (1 + count)) == ((0, 1, 2, 3),) * count


class Product(NamedTuple):
    """An operation that says how a product reads its operands, along which axis a reduction goes, in which steps it
    quantises, or how far apart the elements are that it moves."""

    transpose_a: Unit | None = None
    transpose_b: Unit | None = None
    axis: int = 1
    scale: FloatAttr | None = None
    steps: tuple[int, ...] | None = None


def test_axes() -> None:
    reads = KERNELS["matmul"].reads
    assert reads(Product(), [(8, 8)] * 3) == ((0, 2), (2, 1))
    assert reads(Product(UNIT), [(8, 8)] * 3) == ((2, 0), (2, 1))
    assert reads(Product(None, UNIT), [(8, 8)] * 3) == ((0, 2), (1, 2))
    assert KERNELS["add"].reads(Product(), [(8, 8), (8, 8), (8,)]) == ((0, 1), (1,))
    assert KERNELS["add"].reads(Product(), [(8,), (8,), (8,)]) == ((0,), (0,))


def test_axes_of_batches() -> None:
    """One that is missing, one of 1, and one that both have."""
    found = KERNELS["matmul"].reads(Product(None, UNIT), [(5, 3, 8, 7), (5, 1, 8, 9), (3, 7, 9)])
    assert found == ((0, ALL, 2, 4), (1, 3, 4))
    assert [coords_along(axes)((4, 2, 6, 1, 9, 0)) for axes in found] == [(4, 0, 6, 9), (2, 1, 9)]
    assert KERNELS["matmul"].reads(Product(), [(1, 8, 7), (1, 8, 9), (1, 9, 7)]) == ((0, 1, 3), (0, 3, 2))


@pytest.mark.parametrize(("name", "dtype"), [(n, d) for n in ELEMENTWISE for d in FLOATS])
def test_results_are_within_the_ulps_that_are_promised(name: str, dtype: str) -> None:
    kernel = KERNELS[name]
    count = len(kernel.sources)
    x = samples(dtype)
    others = [np.roll(x, 17 * i) for i in range(1, count)]
    made = apply(kernel, dtype, x, *others).astype(np.float64)
    given = [a.astype(np.float64) for a in (x, *others)]
    exact = np.array([EXACT[name](*map(float, row), *params_of(kernel)) for row in zip(*given, strict=True)])
    info = {"f32": (2.0**-23, 2.0**-149), "f16": (2.0**-10, 2.0**-24), "bf16": (2.0**-7, 2.0**-133)}[dtype]
    exponent = np.floor(np.log2(np.maximum(np.abs(exact), 1e-300)))
    ulp = np.maximum(info[0] * 2.0**exponent, info[1])
    units = kernel.ulps if dtype == "f32" else (0.5 + kernel.ulps * 2.0**-13 if kernel.ulps else 0)
    within = np.abs(exact) < (6e4 if dtype == "f16" else 3e38)
    fits = np.isfinite(made) & np.isfinite(exact)
    assert fits.mean() > 0.9 * within.mean() > 0.2
    most = np.maximum(units, 0.5 * (kernel.ulps > 0)) * ulp[fits] * (1 + 1e-9)
    assert np.all(np.abs(made[fits] - exact[fits]) <= most)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_a_bound_on_the_operands_becomes_one_on_the_result(name: str) -> None:
    kernel = KERNELS[name]
    rng = np.random.default_rng(2)
    sources = [rng.uniform(0.5 if name in POSITIVE else -5, 5, 3000) for _ in kernel.sources]
    slacks = [rng.choice([0.0, 1e-6, 1e-3, 0.1], 3000) for _ in kernel.sources]
    figures = [Figure(s, FLOAT32, d) for s, d in zip(sources, slacks, strict=True)]
    bound = computed(kernel, Call(params_of(kernel), FLOAT32), *figures).slack()
    assert bound is not None
    wide = Call(params_of(kernel), np.dtype(np.float64))
    here = kernel.meaning(np, wide, *sources)
    assert here.dtype == np.float64
    for signs in product((-1.0, -0.3, 0.0, 0.7, 1.0), repeat=len(sources)):
        moved = [s + sign * d for s, sign, d in zip(sources, signs, slacks, strict=True)]
        assert np.all(np.abs(kernel.meaning(np, wide, *moved) - here) <= bound * (1 + 1e-6) + 1e-12)
    up = kernel.meaning(np, wide, *[s + d for s, d in zip(sources, slacks, strict=True)])
    assert bound.max() <= 4 * np.abs(up - here).max() or name in ("equal", "where")


@pytest.mark.parametrize(
    ("name", "values"),
    [("div", (1.0, 0.05)), ("reciprocal", (-0.05,)), ("log", (0.05,)), ("rsqrt", (0.05,)), ("pow", (0.05, -1.0))],
)
def test_a_pole_within_the_bound_on_an_operand_leaves_no_bound_on_the_result(
    name: str, values: tuple[float, ...]
) -> None:
    figures = [Figure(np.array([v, 9.0]), FLOAT32, np.array([0.1, 0.1])) for v in values]
    with np.errstate(all="ignore"):
        bound = computed(KERNELS[name], Call((), FLOAT32), *figures).slack()
    assert bound is not None
    assert bound[0] == np.inf
    assert name == "pow" or bound[1] < 0.1


@pytest.mark.parametrize("name", [n for n, k in KERNELS.items() if k.combine != "part"])
def test_a_meaning_is_exact_in_double_precision(name: str) -> None:
    kernel = KERNELS[name]
    wide = np.dtype(np.float64)
    rng = np.random.default_rng(3)
    ranks = [2] * (len(kernel.sources) - takes_a_vector(kernel)) + [1] * takes_a_vector(kernel)
    least = 0.5 if name in POSITIVE else -2
    shorts = [rng.uniform(least, 2, (4,) * rank).astype(np.float32) for rank in ranks]
    given = params_of(kernel) or tuple(
        DEFAULTS.get(p, 1.0) if p.default is None else p.default for p in kernel.parameters
    )
    made = kernel.meaning(np, Call(given, wide), *[a.astype(wide) for a in shorts])
    short = kernel.meaning(np, Call(given, FLOAT32), *shorts)
    assert (made.dtype, short.dtype) == (wide, FLOAT32)
    assert np.allclose(made, short, rtol=0, atol=1e-5)
    assert np.any(made != short) or kernel.ulps == 0 or name == "cast"


@pytest.mark.parametrize("name", [n for n, k in ELEMENTWISE.items() if len(k.sources) == 2])
def test_what_commutes_does(name: str) -> None:
    kernel = KERNELS[name]
    a, b = samples("f32"), np.roll(samples("f32"), 5)
    same = apply(kernel, "f32", a, b) == apply(kernel, "f32", b, a)
    assert bool(np.all(same)) is kernel.commutes


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_zeros_stay_zero_where_that_is_said(name: str) -> None:
    kernel = KERNELS[name]
    zeros = [np.zeros(3, np.float32)] * len(kernel.sources)
    calls = [Call(params, numpy_dtype("f32")) for params in (params_of(kernel), (1.5,) * len(params_of(kernel)))]
    with np.errstate(all="ignore"):
        made = np.array([kernel.meaning(np, call, *zeros) for call in calls])
    assert bool(np.all(made == 0)) is kernel.keeps_zeros


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_a_nan_stays_one(name: str) -> None:
    kernel = KERNELS[name]
    made = apply(kernel, "f32", *[np.full(3, np.nan)] * len(kernel.sources))
    assert np.all(made == 0 if name.startswith(("less", "greater", "equal")) else np.isnan(made))


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("exp", [0, np.inf, 0, np.inf]),
        ("tanh", [-1, 1, -1, 1]),
        ("erf", [-1, 1, -1, 1]),
        ("sigmoid", [0, 1, 0, 1]),
        ("gelu", [0, np.inf, 0, 200]),
        ("gelu_tanh", [0, np.inf, 0, 200]),
        ("silu", [0, np.inf, 0, 200]),
        ("hard_swish", [0, np.inf, 0, 200]),
        ("softplus", [0, np.inf, 0, 200]),
        ("elu", [0.6875, np.inf, 0.6875, 200]),
        ("leaky_relu", [np.inf, np.inf, 137.5, 200]),
        ("hard_sigmoid", [1, 0, 1, 0]),
        ("neg", [np.inf, -np.inf, 200, -200]),
        ("abs", [np.inf, np.inf, 200, 200]),
    ],
)
def test_functions_at_the_ends_of_their_range(name: str, wanted: list[float]) -> None:
    made = apply(KERNELS[name], "f32", np.array([-np.inf, np.inf, -200.0, 200.0]))
    assert made.tolist() == wanted


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(
    ("name", "operands", "wanted"),
    [
        ("div", ([1.0, -1.0, 0.0, 1.0], [0.0, 0.0, 0.0, -0.0]), [np.inf, -np.inf, np.nan, -np.inf]),
        ("reciprocal", ([0.0, -0.0, np.inf, -np.inf],), [np.inf, -np.inf, 0.0, -0.0]),
        ("log", ([0.0, -1.0, np.inf, 1.0],), [-np.inf, np.nan, np.inf, 0.0]),
        ("sqrt", ([-1.0, -0.0, np.inf, 4.0],), [np.nan, -0.0, np.inf, 2.0]),
        ("rsqrt", ([-1.0, 0.0, np.inf, 4.0],), [np.nan, np.inf, 0.0, 0.5]),
        ("pow", ([0.0, -8.0, -2.0, 2.0], [-1.0, 0.5, 3.0, 1000.0]), [np.inf, np.nan, -8.0, np.inf]),
        ("exp", ([1000.0, -1000.0, 0.0, -0.0],), [np.inf, 0.0, 1.0, 1.0]),
    ],
)
def test_what_has_no_finite_result_has_the_one_of_ieee(
    name: str, operands: tuple[list[float], ...], wanted: list[float], dtype: str
) -> None:
    made = apply(KERNELS[name], dtype, *operands).astype(np.float64)
    assert np.array_equal(made, wanted, equal_nan=True)
    assert np.array_equal(np.signbit(made)[~np.isnan(made)], np.signbit(wanted)[~np.isnan(wanted)])


def graph_text(kernel: Kernel, dtype: str) -> str:
    """The kernel on a computed matrix, with a vector as the second operand of a second one where it takes several."""
    params = params_of(kernel)
    shown = f" {{params = [{', '.join(f'{p} : f32' for p in params)}]}}" if params else ""
    matrix, vector = f"tensor<5x7x{dtype}>", f"tensor<7x{dtype}>"
    args = f"%x: {matrix}, %z: {matrix}, %b: {vector}"
    if len(kernel.sources) == 1:
        body = f"  %h = graph.{kernel.name} %x{shown} : {matrix}\n  %y = graph.{kernel.name} %h{shown} : {matrix}\n"
    else:
        more, type = (", %z", f", {matrix}") if len(kernel.sources) == 3 else ("", "")
        body = (
            f"  %h = graph.{kernel.name} %x, %z{more}{shown} : ({matrix}, {matrix}{type}) -> {matrix}\n"
            f"  %y = graph.{kernel.name} %h, %b{more}{shown} : ({matrix}, {vector}{type}) -> {matrix}\n"
        )
    return f"func.func @f({args}) -> {matrix} {{\n{body}  return %y : {matrix}\n}}\n"


@pytest.mark.parametrize(("name", "dtype"), [(n, d) for n in ELEMENTWISE for d in ("f32", "bf16", "i32")])
def test_a_kernel_computes_the_same_at_every_level(name: str, dtype: str) -> None:
    kernel = KERNELS[name]
    if not works_on(kernel, *[dtype] * (1 + len(kernel.sources))):
        return
    text = graph_text(kernel, dtype)
    graph = tilewright.parse(text)
    for pipeline in ("tile{sizes=4x4x4},lower", "O0{sram=1KiB tile=4x4x4}", "O2{sram=2KiB tile=2x4x4}"):
        made = tilewright.parse(tilewright.run_passes(text, pipeline, generic=True))
        prove_module(graph, made)
        assert compared(graph, made, integers=False)[0] is None


@pytest.mark.parametrize("name", [n for n, k in KERNELS.items() if k.is_activation])
def test_an_activation_is_the_operation_after_a_product(name: str) -> None:
    kernel = KERNELS[name]
    params = params_of(kernel)
    shown = f" {{params = [{', '.join(f'{p} : f32' for p in params)}]}}" if params else ""
    text = (
        "func.func @f(%x: tensor<5x6xf32>, %w: tensor<6x7xf32>, %b: tensor<7xf32>) -> tensor<5x7xf32> {\n"
        "  %p = graph.matmul %x, %w : (tensor<5x6xf32>, tensor<6x7xf32>) -> tensor<5x7xf32>\n"
        "  %s = graph.add %p, %b : (tensor<5x7xf32>, tensor<7xf32>) -> tensor<5x7xf32>\n"
        f"  %y = graph.{name} %s{shown} : tensor<5x7xf32>\n"
        "  return %y : tensor<5x7xf32>\n}\n"
    )
    graph = tilewright.parse(text)
    fused = tilewright.run_passes(text, "fuse")
    assert f'activation = "{name}"' in fused
    assert f"graph.{name}" not in fused
    for pipeline in ("fuse", "fuse,tile{sizes=4x4x4},lower", "O1{sram=1KiB tile=4x4x4}", "O2{sram=1KiB tile=4x4x4}"):
        made = tilewright.parse(tilewright.run_passes(text, pipeline))
        prove_module(graph, made)
        assert compared(graph, made, integers=False)[0] is None


def test_another_product_is_not_taken_for_the_matrix_product(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that sums up something else proves against itself alone."""
    matmul = KERNELS["matmul"]
    twice = matmul._replace(name="twice", meaning=lambda np, call, a, b: 2 * matmul.meaning(np, call, a, b))
    monkeypatch.setitem(KERNELS, "twice", twice)
    buffer = "!uop.tiled<tensor<4x4xf32>, [2, 2]>"
    one, other = (
        tilewright.parse(
            f"func.func @f(%x: {buffer}) -> {buffer} {{\n  %y = uop.alloc : {buffer}\n"
            + "".join(f"  uop.load %x[{i}, {j}]\n" for i in range(2) for j in range(2))
            + "".join(
                f"  uop.exec {name} %y[{i}, {j}] {'+=' if k else '='} %x[{i}, {k}], %x[{k}, {j}]\n"
                for i, j, k in product(range(2), repeat=3)
            )
            + "".join(f"  uop.store %y[{i}, {j}]\n" for i in range(2) for j in range(2))
            + f"  return %y : {buffer}\n}}\n"
        )
        for name in ("matmul", "twice")
    )
    prove_module(one, one)
    prove_module(other, other)
    for model, module in ((one, other), (other, one)):
        with pytest.raises(tilewright.DiagnosticError, match="is not what the model computes"):
            prove_module(model, module)
