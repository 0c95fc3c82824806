"""What --compare takes for equal: no more than rounding in another order can bring about, element by element."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

import tilewright
from tilewright.ir.builtin import ModuleOp
from tilewright.runtime.compare import Finding, first_difference, first_nan
from tilewright.runtime.execute import Run, execute_function, random_inputs
from tilewright.runtime.numerics import Array, numpy_dtype
from tilewright.runtime.verdict import judge

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


def execute(module: ModuleOp, inputs: dict[str, Array]) -> Run:
    (func,) = module.functions()
    named = dict(zip([a.name for a in func.args], inputs.values(), strict=True))
    return execute_function(func, module, named, record=True)


def found(a: ModuleOp, b: ModuleOp, inputs: dict[str, Array], second: Run | None = None) -> Finding | None:
    """What --compare finds between two modules on inputs, where the second one ran as it did or as is said."""
    (func,), (other,) = a.functions(), b.functions()
    return judge(func, list(inputs.values()), execute(a, inputs), other, second or execute(b, inputs))


def same(a: ModuleOp, b: ModuleOp, inputs: dict[str, Array]) -> bool:
    """Whether two modules compute the same on inputs, as --compare says."""
    return found(a, b, inputs) is None


def off_by(module: ModuleOp, inputs: dict[str, Array], units: int) -> Finding | None:
    """What --compare finds where the first element of the first result is so many units in the last place off."""
    run = execute(module, inputs)
    moved = run.arrays[0].copy()
    bits = moved.view(f"i{moved.dtype.itemsize}")
    bits.flat[0] += units
    return found(module, module, inputs, Run([moved, *run.arrays[1:]], run.tiles, run.stored, run.held))


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
    made = parsed(tilewright.run_passes(text, f"fuse,tile{{sizes={sizes}}},lower,schedule{{sram=64KiB}}"))
    module = parsed(text)
    inputs = floats(module, 3, scale)  # f16 overflows: infinite in one order, and in another
    assert same(module, made, inputs)
    assert same(made, module, inputs)


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
        difference = found(right, wrong, floats(right, seed))
        assert difference is not None
        assert (difference.kind, difference.value.name) == ("different", "h")
        count = int(difference.text.rpartition("; ")[2].split()[0].replace(",", ""))
        assert count > 0.95 * 32 * 32


X = "tensor<4x4xf32>"
RELU = f"func.func @f(%x: {X}) -> {X} {{\n  %y = graph.relu %x : {X}\n  return %y : {X}\n}}\n"
NOTHING = f"func.func @f(%x: {X}) -> {X} {{\n  return %x : {X}\n}}\n"


def test_a_large_element_hides_no_other() -> None:
    x = np.array([[1e9, -0.5, 0.25, 3]] * 4, np.float32)
    assert not same(parsed(RELU), parsed(NOTHING), {"x": x})
    assert same(parsed(RELU), parsed(NOTHING), {"x": np.abs(x)})


@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16"])
def test_what_has_no_sum_is_exact(dtype: str) -> None:
    x = f"tensor<4x4x{dtype}>"
    texts = [f"  %y = graph.{name} %x : {x}\n" for name in ("relu", "clip {params = [-0.5 : f32, 1.0 : f32]}")]
    texts[1] = f"  %y = graph.clip %x {{params = [-0.5 : f32, 1.0 : f32]}} : {x}\n"
    texts.append(f"  %y = graph.mul %x, %x : ({x}, {x}) -> {x}\n")
    for text in texts:
        module = parsed(f"func.func @f(%x: {x}) -> {x} {{\n{text}  return %y : {x}\n}}\n")
        inputs = {"x": np.full((4, 4), 0.7).astype(numpy_dtype(dtype))}
        assert off_by(module, inputs, 0) is None
        for units in (1, -1):
            assert off_by(module, inputs, units) is not None


def test_a_cast_is_exact() -> None:
    half = parsed(
        f"func.func @f(%x: {X}) -> tensor<4x4xf16> {{\n  %y = graph.cast %x : {X} -> tensor<4x4xf16>\n"
        "  return %y : tensor<4x4xf16>\n}\n"
    )
    inputs = {"x": np.full((4, 4), 0.7, np.float32)}
    assert off_by(half, inputs, 0) is None
    assert off_by(half, inputs, 1) is not None


MATMUL = f"""\
func.func @f(%x: {X}, %w: {X}) -> {X} {{
  %y = graph.matmul %x, %w : ({X}, {X}) -> {X}
  return %y : {X}
}}
"""


def test_whole_numbers_are_exact_while_their_sums_are() -> None:
    small = np.full((4, 4), 2**11 - 1, np.float32)
    assert off_by(parsed(MATMUL), {"x": small, "w": small}, 1) is not None
    large = np.full((4, 4), 2**12, np.float32)
    assert off_by(parsed(MATMUL), {"x": large, "w": large}, 1) is None


def test_integers_are_exact() -> None:
    text = MATMUL.replace("f32", "i8").replace(f"{X} {{".replace("f32", "i8"), "tensor<4x4xi32> {")
    text = text.replace(") -> tensor<4x4xi8>", ") -> tensor<4x4xi32>").replace(
        "return %y : tensor<4x4xi8>", "return %y : tensor<4x4xi32>"
    )
    module = parsed(text)
    (func,) = module.functions()
    difference = off_by(module, random_inputs(func, 1), 1)
    assert difference is not None
    assert difference.text.endswith("; 1 element differs")


def test_nan_is_found_before_anything_is_compared() -> None:
    a = np.array([np.inf, -np.inf, np.inf, np.nan, 1], np.float32)
    for name in ("f32", "f16", "bf16"):
        short = a.astype(numpy_dtype(name))
        nan = first_nan([short], [short])
        assert nan is not None
        assert (nan.index, nan.count) == ((3,), 1)
    assert first_nan([a[:3]], [a[1:4]]) is not None
    assert first_nan([a[:3]], [a[:3]]) is None
    assert first_difference([a[:3]], [a[:3]]) is None


def test_infinite_inputs_leave_the_rest_alone() -> None:
    x, w = floats(parsed(MATMUL), 0).values()
    x[0, 0] = np.inf
    made = parsed(tilewright.run_passes(MATMUL, "tile{sizes=2x2x2},lower"))
    assert same(parsed(MATMUL), made, {"x": x, "w": w})
    run = execute(parsed(MATMUL), {"x": x, "w": w})
    for index, right in (((0, 0), -run.arrays[0][0, 0]), ((2, 1), np.float32(1.5))):
        wrong = run.arrays[0].copy()
        wrong[index] = right
        difference = found(parsed(MATMUL), parsed(MATMUL), {"x": x, "w": w}, Run([wrong]))
        assert difference is not None
        assert difference.index == index
