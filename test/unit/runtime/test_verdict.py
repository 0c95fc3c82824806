"""What --compare finds in long chains, whatever their lengths and types, and when it says that it can't tell."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import tilewright
from tilewright.ir.builtin import FuncOp, ModuleOp
from tilewright.runtime import end_to_end
from tilewright.runtime.compare import Finding
from tilewright.runtime.execute import Run, execute_function
from tilewright.runtime.numerics import Array, numpy_dtype
from tilewright.runtime.verdict import judge

DTYPES = ("f32", "bf16", "f16")
LENGTHS = (2, 3, 5, 9, 17, 24, 33, 48)
ROWS, WIDTH = 4, 24


def chain(length: int, dtype: str, planted: tuple[int, int] | None = None, names: str = "ps", growth: float = 1) -> str:
    """Products with residual sums. `planted` has one layer take its residual from another one; `names` are those of
    products and sums."""
    product, total = names
    x, w, h = f"tensor<{ROWS}x{WIDTH}x{dtype}>", f"tensor<{WIDTH}x{WIDTH}x{dtype}>", f"tensor<{ROWS}x{WIDTH}xf32>"
    lines, sums = [], ["%x"]
    for k in range(length):
        made = f"%{product}{k}"
        lines.append(f"  {made} = graph.matmul {sums[-1]}, %w{k} : ({x}, {w}) -> {h}")
        if dtype != "f32":
            lines.append(f"  {made}c = graph.cast {made} : {h} -> {x}")
            made += "c"
        residual = sums[planted[1]] if planted and planted[0] == k else sums[-1]
        sums.append(f"%{total}{k}")
        lines.append(f"  {sums[-1]} = graph.add {made}, {residual} : ({x}, {x}) -> {x}")
    args = ", ".join([f"%x: {x}", *[f"%w{k}: {w}" for k in range(length)]])
    body = "\n".join(lines)
    return f"func.func @f({args}) -> {x} {{\n{body}\n  return {sums[-1]} : {x}\n}}\n"


def inputs_of(module: ModuleOp, variance: float = 0.2) -> list[Array]:
    """Normally distributed inputs, and weights of a variance over their rows; f16 holds what 48 layers make of them."""
    (func,) = module.functions()
    rng = np.random.default_rng(len(func.args))
    scales = [1.0, *[(variance / WIDTH) ** 0.5] * (len(func.args) - 1)]
    return [
        (rng.standard_normal(arg.type.shape) * scale).astype(numpy_dtype(arg.type.dtype))  # type: ignore[attr-defined]
        for arg, scale in zip(func.args, scales, strict=True)
    ]


def run(module: ModuleOp, inputs: list[Array]) -> tuple[FuncOp, Run]:
    (func,) = module.functions()
    named = {arg.name: array for arg, array in zip(func.args, inputs, strict=True)}
    return func, execute_function(func, module, named, record=True, verified=True)


@cache
def reference(length: int, dtype: str) -> tuple[ModuleOp, list[Array], FuncOp, Run]:
    module = tilewright.parse(chain(length, dtype))
    inputs = inputs_of(module)
    return module, inputs, *run(module, inputs)


def found(length: int, dtype: str, other: str | ModuleOp) -> Finding | None:
    """What is found between a right chain and another text."""
    _, inputs, func, first = reference(length, dtype)
    return judge(func, inputs, first, *run(tilewright.parse(other) if isinstance(other, str) else other, inputs))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("length", LENGTHS)
def test_a_wrong_residual_is_found_where_it_is_planted(length: int, dtype: str) -> None:
    for layer in {1, 2, length // 2, length - 2, length - 1} & set(range(1, length)):
        for wrong in {0, layer // 2, layer - 1}:
            difference = found(length, dtype, chain(length, dtype, (layer, wrong)))
            assert difference is not None
            assert (difference.kind, difference.value.name) == ("different", f"s{layer}")


@pytest.mark.parametrize("level", ["plain", "planned", "the schedule first"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("length", [3, 24, 48])
def test_a_wrong_residual_is_found_at_other_levels(length: int, dtype: str, level: str) -> None:
    pipeline = "O1{sram=4KiB tile=4x8x8}" if level == "planned" else "O0{sram=4KiB tile=4x8x8}"
    wrong = tilewright.run_passes(tilewright.parse(chain(length, dtype, (length - 2, 0))), pipeline)
    module, inputs, func, first = reference(length, dtype)
    right = tilewright.run_passes(module, pipeline)
    differences = []
    for made in (right, wrong):
        other, second = run(made, inputs)
        if level == "the schedule first":
            differences.append(judge(other, inputs, second, func, first))
        else:
            differences.append(judge(func, inputs, first, other, second))
    nothing, difference = differences
    assert nothing is None
    assert difference is not None
    assert (difference.kind, difference.value.name) == ("different", f"s{length - 2}")


@pytest.mark.parametrize("dtype", DTYPES)
def test_without_names_a_long_chain_is_undecided_or_different_but_never_equal(dtype: str) -> None:
    right = tilewright.parse(chain(24, dtype, names="qr"))
    moved = tilewright.run_passes(right, "O0{sram=4KiB tile=4x8x4}")
    undecided = found(24, dtype, moved)
    if dtype == "f32":  # the results of the others are the same to the last bit
        assert undecided is not None
        assert undecided.kind == "undecided"
        assert "rounding may reach" in undecided.text
    wrong = found(24, dtype, chain(24, dtype, (12, 3), names="qr"))
    assert wrong is not None
    if dtype == "f32":
        assert wrong.kind == "different"
        assert "off the exact result by" in wrong.text


def test_a_short_chain_is_decided_without_names() -> None:
    right = tilewright.run_passes(tilewright.parse(chain(2, "f32", names="qr")), "O0{sram=4KiB tile=4x8x4}")
    assert found(2, "f32", right) is None
    wrong = found(2, "f32", chain(2, "f32", (1, 0), names="qr"))
    assert wrong is not None
    assert (wrong.kind, wrong.value.name) == ("different", "s1")


def test_names_of_other_values_are_no_difference_but_hide_none() -> None:
    """The sums are called like the products of the next layer."""
    renamed = chain(3, "f32").replace("%s", "%t").replace("%p", "%s").replace("%t", "%p")
    right = tilewright.run_passes(tilewright.parse(renamed), "O0{sram=4KiB tile=4x8x4}")
    assert found(3, "f32", right) is None
    planted = chain(3, "f32", (1, 0)).replace("%s", "%t").replace("%p", "%s").replace("%t", "%p")
    wrong = found(3, "f32", planted)
    assert wrong is not None
    assert wrong.kind == "different"


BORDER = """\
func.func @f(%x: tensor<1x7xf16>, %w: tensor<7x1xf16>) -> tensor<1x1xf16> {{
  %p = graph.matmul %x, %w {{{attributes}tile = [1, 1, 1]}} : (tensor<1x7xf16>, tensor<7x1xf16>) -> tensor<1x1xf32>
  %y = graph.cast %p : tensor<1x1xf32> -> tensor<1x1xf16>
  return %y : tensor<1x1xf16>
}}
"""


def test_an_overflow_in_one_order_alone_is_no_difference() -> None:
    """The sum is half-way between the largest number of f16 and what would follow it."""
    inputs = [np.array([[65504, 15.9921875, *[0.0018] * 5]], np.float16), np.ones((7, 1), np.float16)]
    texts = [BORDER.format(attributes=a) for a in ("", "reverse, ")]
    runs = [run(tilewright.run_passes(tilewright.parse(text), "lower"), inputs) for text in texts]
    assert sorted(float(done.arrays[0][0, 0]) for _, done in runs) == [65504, np.inf]
    for (func, first), (other, second) in (runs, runs[::-1]):
        assert judge(func, inputs, first, other, second) is None
    (func, first), (other, second) = runs
    for wrong in (-np.inf, 65472.0):
        second.arrays[0] = np.array([[wrong]], np.float16)
        difference = judge(func, inputs, first, other, second)
        assert difference is not None
        assert difference.kind == "different"


def test_a_sum_that_may_overflow_on_its_way() -> None:
    text = BORDER.replace("f16", "f32").replace("  %y = graph.cast %p : tensor<1x1xf32> -> tensor<1x1xf32>\n", "")
    texts = [text.replace("return %y", "return %p").format(attributes=a) for a in ("", "reverse, ")]
    inputs = [np.array([[3e38, 3e38, -3e38, 1, 1, 1, 1]], np.float32), np.ones((7, 1), np.float32)]
    runs = [run(tilewright.run_passes(tilewright.parse(text), "lower"), inputs) for text in texts]
    assert sorted(float(done.arrays[0][0, 0]) for _, done in runs) == [pytest.approx(3e38), np.inf]
    for (func, first), (other, second) in (runs, runs[::-1]):
        assert judge(func, inputs, first, other, second) is None


def test_a_reference_that_is_right_by_luck(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        "func.func @f(%x: tensor<1x8xf32>, %w: tensor<8x1xf32>) -> tensor<1x1xf32> {\n"
        "  %y = graph.matmul %x, %w : (tensor<1x8xf32>, tensor<8x1xf32>) -> tensor<1x1xf32>\n"
        "  return %y : tensor<1x1xf32>\n}\n"
    )
    terms = [1.5, -1.25, 1.5, -1.25, 1.5, -1.25, 0.125, 0.125]
    inputs = [np.array([terms], np.float32), np.ones((8, 1), np.float32)]
    func, first = run(tilewright.parse(text), inputs)
    assert first.arrays[0].tolist() == [[1.0]]
    second = Run([np.array([[1 + 3 * 2**-23]], np.float32)])
    assert judge(func, inputs, first, func, second) is None
    monkeypatch.setattr(end_to_end, "SAMPLES", 0)
    difference = judge(func, inputs, first, func, second)
    assert difference is not None
    assert difference.text.startswith("element [0, 0]: 1.0 against 1.0000")


def test_what_drifts_within_all_bounds_is_found_in_the_end() -> None:
    """A run whose roundings all go one way, as those of a kernel that cuts off would."""
    module, inputs, func, first = reference(24, "f32")
    other, second = run(module, inputs)
    (wrong,) = second.arrays
    second.held.clear()
    second.arrays[0] = wrong * np.float32(1 + 1e-4)
    difference = judge(func, inputs, first, other, second)
    assert difference is not None
    assert difference.kind == "different"
    assert "off the exact result by" in difference.text


@pytest.mark.parametrize("terms", ["alike", "positive", "normal"])
def test_the_order_of_a_long_sum_is_free(terms: str) -> None:
    """One term after the other, where roundings add up, against what NumPy does."""
    rng = np.random.default_rng(0)
    drawn = {
        "alike": np.full((2, 4096), 0.1),
        "positive": rng.uniform(0, 1, (2, 4096)),
        "normal": rng.standard_normal((2, 4096)),
    }[terms].astype(np.float32)
    text = (
        "func.func @f(%x: tensor<2x4096xf32>, %w: tensor<4096x2xf32>) -> tensor<2x2xf32> {\n"
        "  %y = graph.matmul %x, %w : (tensor<2x4096xf32>, tensor<4096x2xf32>) -> tensor<2x2xf32>\n"
        "  return %y : tensor<2x2xf32>\n}\n"
    )
    inputs = [drawn, np.ascontiguousarray(drawn[::-1].T)]
    module = tilewright.parse(text)
    runs = [run(m, inputs) for m in (module, tilewright.run_passes(module, "tile{sizes=2x2x1},lower"))]
    for (func, first), (other, second) in (runs, runs[::-1]):
        assert first.arrays[0].tolist() != second.arrays[0].tolist()
        assert judge(func, inputs, first, other, second) is None


QUANTISED = """
func.func @f(%x: tensor<1x3xf32>, %w: tensor<3x1xf32>) -> (tensor<1x1xi8>, tensor<1x1xf32>) {
  %s = graph.matmul %x, %w {REVERSE tile = [1, 1, 1]} : (tensor<1x3xf32>, tensor<3x1xf32>) -> tensor<1x1xf32>
  %q = graph.quantize %s {scale = 1.0 : f32, zero_point = 7} : tensor<1x1xf32> -> tensor<1x1xi8>
  %y = graph.dequantize %q {scale = 0.5 : f32, zero_point = 7} : tensor<1x1xi8> -> tensor<1x1xf32>
  return %q, %y : tensor<1x1xi8>, tensor<1x1xf32>
}
"""


def test_another_order_of_a_sum_may_end_at_another_integer() -> None:
    """1 + 2**25 - 2**25 is 0 in f32 from the left, and 1 from the right: neither order is wrong, so that a difference
    in what is quantised decides nothing. A wrong zero point is found for all that."""
    texts = [QUANTISED.replace("REVERSE", word) for word in ("", "reverse,")]
    inputs = [np.array([[1, 2.0**25, -(2.0**25)]], np.float32), np.ones((3, 1), np.float32)]
    first, second = (tilewright.parse(tilewright.run_passes(text, "lower")) for text in texts)
    wrong = tilewright.parse(tilewright.run_passes(texts[1].replace("zero_point = 7", "zero_point = 9", 1), "lower"))
    (func, own), (other, theirs), (last, its) = (run(module, inputs) for module in (first, second, wrong))
    assert [r.arrays[0].item() for r in (own, theirs, its)] == [7, 8, 10]
    found = judge(func, inputs, own, other, theirs)
    assert found is not None
    assert found.kind == "undecided"
    found = judge(func, inputs, own, last, its)
    assert found is not None
    assert (found.kind, found.value.name) == ("different", "q")
