"""What --compare takes for equal: no more than rounding in another order can bring about, element by element."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

import tilewright
from tilewright.ir.builtin import ModuleOp
from tilewright.runtime.compare import agree, first_difference, first_nan
from tilewright.runtime.execute import execute_function, random_inputs, rounding_slacks
from tilewright.runtime.numerics import Array, numpy_dtype

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
SIZES = {
    "mlp": ("16KiB", "64KiB", "256KiB"),
    "mlp_mnist": ("16KiB", "64KiB", "256KiB"),
    "transformer_ffn": ("256KiB", "1MiB"),
    "tiles_by_hand": ("32KiB", "256KiB"),
    "schedule_by_hand": ("", ),
}  # fmt: skip


@cache
def parsed(text: str) -> ModuleOp:
    return tilewright.parse(text)


def execute(module: ModuleOp, inputs: dict[str, Array]) -> list[Array]:
    (func,) = module.functions()
    return execute_function(func, module, dict(zip([a.name for a in func.args], inputs.values(), strict=True))).arrays


def slacks(module: ModuleOp, inputs: dict[str, Array]) -> list[Array | None]:
    (func,) = module.functions()
    return rounding_slacks(func, inputs)


def same(a: ModuleOp, b: ModuleOp, inputs: dict[str, Array]) -> bool:
    """Whether two modules compute the same on inputs, as --compare says."""
    return first_difference(execute(a, inputs), execute(b, inputs), slacks(a, inputs)) is None


def floats(module: ModuleOp, seed: int, scale: float = 1) -> dict[str, Array]:
    (func,) = module.functions()
    drawn = random_inputs(func, seed, integers=False)
    return {name: a * a.dtype.type(scale) if a.dtype.kind != "i" else a for name, a in drawn.items()}


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(("name", "sram"), [(n, s) for n, sizes in SIZES.items() for s in sizes])
def test_right_schedules_are_equal_on_floats(name: str, sram: str, seed: int) -> None:
    text = (EXAMPLES / f"{name}.mir").read_text(encoding="utf-8")
    module, made = parsed(text), parsed(tilewright.run_passes(text, f"schedule{{sram={sram}}}") if sram else text)
    inputs = floats(module, seed)
    assert same(module, made, inputs)
    assert same(made, module, inputs)


def layers(dtype: str) -> str:
    """Two layers with a residual addition, all in a type."""
    x, h = f"tensor<40x70x{dtype}>", "tensor<40x70xf32>"
    return f"""\
func.func @f(%x: {x}, %w: tensor<70x70x{dtype}>, %b: tensor<70xf32>, %v: tensor<70x70x{dtype}>) -> ({x}, {h}) {{
  %m = graph.matmul %x, %w, %b {{activation = "relu"}} : ({x}, tensor<70x70x{dtype}>, tensor<70xf32>) -> {h}
  %c = graph.cast %m : {h} -> {x}
  %s = graph.add %c, %x : ({x}, {x}) -> {x}
  %y = graph.matmul %s, %v : ({x}, tensor<70x70x{dtype}>) -> {h}
  return %s, %y : {x}, {h}
}}
"""


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e4])
@pytest.mark.parametrize("sizes", ["3x5x7", "16x16x16", "70x70x1"])
@pytest.mark.parametrize("dtype", ["f16", "bf16"])
def test_right_schedules_are_equal_in_short_floats(dtype: str, sizes: str, scale: float) -> None:
    text = layers(dtype)
    made = tilewright.run_passes(text, f"fuse,tile{{sizes={sizes}}},lower,schedule{{sram=64KiB}}")
    module = parsed(text)
    inputs = floats(module, 3, scale)
    wanted, given = execute(module, inputs), execute(parsed(made), inputs)
    bounds = slacks(module, inputs)
    finite = [np.isfinite(a.astype(np.float64)) for a in wanted]  # f16 overflows: infinite in one order, and in another
    assert all(agree(a, b, s)[f].all() for a, b, s, f in zip(wanted, given, bounds, finite, strict=True))


PRODUCT = """\
func.func @f(%x: tensor<32x256x{0}>, %w: tensor<256x32x{0}>) -> tensor<32x32x{0}> {{
  %h = graph.matmul %x, %w : (tensor<32x256x{0}>, tensor<256x32x{0}>) -> tensor<32x32xf32>
  %y = graph.cast %h : tensor<32x32xf32> -> tensor<32x32x{0}>
  return %y : tensor<32x32x{0}>
}}
"""


def without(text: str, line: str) -> str:
    lines = text.splitlines(keepends=True)
    (found,) = [i for i, other in enumerate(lines) if line in other]
    return "".join(lines[:found] + lines[found + 1 :])


@pytest.mark.parametrize("level", ["graph", "uop"])
@pytest.mark.parametrize("dtype", ["f16", "bf16"])
def test_a_product_left_out_is_seen_in_short_floats(dtype: str, level: str) -> None:
    text = PRODUCT.format(dtype)
    uops = tilewright.run_passes(text, "tile{sizes=32x32x32},lower")
    wrong = parsed(without(uops, "exec matmul %h[0, 0] += %x[0, 4]"))
    right = parsed(uops if level == "uop" else text)
    for seed in range(5):
        inputs = floats(right, seed)
        differing = ~agree(execute(right, inputs)[0], execute(wrong, inputs)[0], slacks(right, inputs)[0])
        assert differing.mean() > 0.95


X = "tensor<4x4xf32>"
RELU = f"func.func @f(%x: {X}) -> {X} {{\n  %y = graph.relu %x : {X}\n  return %y : {X}\n}}\n"
NOTHING = f"func.func @f(%x: {X}) -> {X} {{\n  return %x : {X}\n}}\n"


def test_a_large_element_hides_no_other() -> None:
    x = np.array([[1e9, -0.5, 0.25, 3]] * 4, np.float32)
    assert not same(parsed(RELU), parsed(NOTHING), {"x": x})
    assert same(parsed(RELU), parsed(NOTHING), {"x": np.abs(x)})


def test_what_has_no_sum_is_exact() -> None:
    inputs = floats(parsed(RELU), 0)
    assert slacks(parsed(RELU), inputs) == [None]
    half = f"func.func @f(%x: {X}) -> tensor<4x4xf16> {{\n  %y = graph.cast %x : {X} -> tensor<4x4xf16>\n" \
           "  return %y : tensor<4x4xf16>\n}\n"  # fmt: skip
    assert slacks(parsed(half), inputs) == [None]


MATMUL = f"""\
func.func @f(%x: {X}, %w: {X}) -> {X} {{
  %y = graph.matmul %x, %w : ({X}, {X}) -> {X}
  return %y : {X}
}}
"""


def test_whole_numbers_are_exact_while_their_sums_are() -> None:
    small = np.full((4, 4), 2**11 - 1, np.float32)
    assert slacks(parsed(MATMUL), {"x": small, "w": small}) == [None]
    large = np.full((4, 4), 2**12, np.float32)
    (bound,) = slacks(parsed(MATMUL), {"x": large, "w": large})
    assert bound is not None
    assert bound[0, 0] == pytest.approx(4 * 2**-23 * 4 * 2**24, rel=1e-5)


def test_the_bound_is_that_of_the_sum_of_magnitudes() -> None:
    x, w = np.array([[1e4, -1e4, 0.1, 0]] * 4, np.float32), np.full((4, 4), 0.7, np.float32)
    (bound,) = slacks(parsed(MATMUL), {"x": x, "w": w})
    assert bound is not None
    assert bound[0, 0] == pytest.approx(4 * 2**-23 * (2e4 + 0.1) * 0.7, rel=1e-4)


def test_infinities_are_equal_and_nan_is_equal_to_nothing() -> None:
    a = np.array([np.inf, -np.inf, np.inf, np.nan, 1], np.float32)
    b = np.array([np.inf, -np.inf, -np.inf, np.nan, np.nan], np.float32)
    for slack in (None, np.ones(5)):
        assert agree(a, b, slack).tolist() == [True, True, False, False, False]
    for name in ("f16", "bf16"):
        short = a.astype(numpy_dtype(name))
        found = first_nan([short], [short])
        assert found is not None
        assert (found.index, found.count) == ((3,), 1)
    assert first_nan([a[:3]], [b[:3]]) is None


def test_infinite_inputs_leave_the_rest_alone() -> None:
    x, w = floats(parsed(MATMUL), 0).values()
    x[0, 0] = np.inf
    made = parsed(tilewright.run_passes(MATMUL, "tile{sizes=2x2x2},lower"))
    assert same(parsed(MATMUL), made, {"x": x, "w": w})
    (bound,) = slacks(parsed(MATMUL), {"x": x, "w": w})
    assert bound is not None
    assert not bound[0].any()
    assert bound[1:].all()
