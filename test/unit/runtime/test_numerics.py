"""What the operations compute on each element type, at the values where rounding, saturation and wrapping show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import tilewright
from tilewright.dialects.kernels import KERNELS, Call
from tilewright.runtime.execute import execute_function
from tilewright.runtime.numerics import Array, numpy_dtype

LEVELS = {
    "graph": "",
    "uop": "tile{sizes=2x2x2},lower",
    "sched": "tile{sizes=2x2x2},lower,schedule{sram=1KiB}",
    "fused": "fuse,tile{sizes=2x2x2},lower,schedule{sram=1KiB}",
}
I32_MAX, I32_MIN = 2**31 - 1, -(2**31)
INF = float("inf")


def by_kernel(name: str, *sources: Array, dtype: str = "f32", params: tuple[float, ...] = ()) -> Array:
    """A kernel on arrays; integers come out wide."""
    return KERNELS[name].meaning(np, Call(params, numpy_dtype(dtype)), *sources)


def run(text: str, level: str, **inputs: Array) -> list[Array]:
    """The results of a function that has been brought to a level."""
    module = tilewright.parse(tilewright.run_passes(text, LEVELS[level]))
    (func,) = module.functions()
    return execute_function(func, module, inputs, wrap=True).arrays


def bits(array: Array) -> list[int]:
    """The elements' bytes, so that -0.0 and 0.0 differ and NaN is equal to itself."""
    return array.view(f"u{array.dtype.itemsize}").ravel().tolist()


def cast_text(source: str, target: str, count: int, attributes: str = "") -> str:
    return (
        f"func.func @f(%x: tensor<1x{count}x{source}>) -> tensor<1x{count}x{target}> {{\n"
        f"  %y = graph.cast %x {attributes}: tensor<1x{count}x{source}> -> tensor<1x{count}x{target}>\n"
        f"  return %y : tensor<1x{count}x{target}>\n}}\n"
    )


def cast_at(level: str, values: Sequence[float], source: str, target: str, attributes: str = "") -> Array:
    x = np.array([values], numpy_dtype(source))
    (y,) = run(cast_text(source, target, len(values), attributes), level, x=x)
    assert y.dtype == numpy_dtype(target)
    return y[0]


# Casts between floats

HALF = {
    1 + 2**-11: 1.0,  # halfway between 1 and the next: to the even one
    1 + 3 * 2**-11: 1 + 2**-9,
    1 + 2**-11 + 2**-23: 1 + 2**-10,  # just beyond halfway
    -1 - 2**-11: -1.0,
    65504.0: 65504.0,
    65519.0: 65504.0,
    65520.0: INF,  # halfway to the first number that is too large
    -65520.0: -INF,
    2.0**-24: 2.0**-24,
    2.0**-25: 0.0,  # half of the least subnormal number
    3 * 2.0**-25: 2.0**-23,
    -0.0: -0.0,
    INF: INF,
}
BRAIN = {
    1 + 2**-8: 1.0,
    1 + 3 * 2**-8: 1 + 2**-6,
    1 + 2**-8 + 2**-23: 1 + 2**-7,
    -1 - 2**-8: -1.0,
    65504.0: 65536.0,
    float(np.finfo(np.float32).max): INF,
    -float(np.finfo(np.float32).max): -INF,
    1e-40: 2.0**-133,  # a subnormal number
    -0.0: -0.0,
    INF: INF,
}


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("target", "table"), [("f16", HALF), ("bf16", BRAIN)])
def test_narrowing_rounds_to_nearest_even(level: str, target: str, table: dict[float, float]) -> None:
    rounded = cast_at(level, list(table), "f32", target)
    assert bits(rounded.astype(np.float32)) == bits(np.array(list(table.values()), np.float32))


@pytest.mark.parametrize("target", ["f16", "bf16"])
def test_nan_stays_nan(target: str) -> None:
    assert np.isnan(cast_at("sched", [float("nan")], "f32", target).astype(np.float32)).all()


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("source", ["f16", "bf16"])
def test_widening_is_exact(level: str, source: str) -> None:
    infinity = 0x7C00 if source == "f16" else 0x7F80
    positive = np.arange(0, infinity + 1, 31, dtype=np.uint16)
    numbers = np.concatenate([positive, positive | 0x8000]).view(numpy_dtype(source))[None]
    (wide,) = run(cast_text(source, "f32", numbers.shape[1]), level, x=numbers)
    assert wide.dtype == np.float32
    assert wide.tolist() == numbers.astype(np.float64).tolist()
    assert bits(wide.astype(numpy_dtype(source))) == bits(numbers)


def test_bf16_is_the_upper_half_of_f32() -> None:
    upper = np.arange(0x0080, 0x7F80, 5, dtype=np.uint32) << 16
    wide = upper.view(np.float32)
    assert np.array_equal(by_kernel("cast", wide, dtype="bf16", params=(0, 0)).view(np.uint16), upper >> 16)
    assert numpy_dtype("bf16") == np.dtype(ml_dtypes.bfloat16)


# Casts of integers


@pytest.mark.parametrize("level", LEVELS)
def test_i32_to_i8_saturates(level: str) -> None:
    values = [I32_MIN, -300, -129, -128, -127, -1, 0, 1, 126, 127, 128, 300, I32_MAX]
    narrow = cast_at(level, values, "i32", "i8")
    assert narrow.tolist() == [-128, -128, -128, -128, -127, -1, 0, 1, 126, 127, 127, 127, 127]


@pytest.mark.parametrize("level", LEVELS)
def test_requantising_rounds_half_to_even_adds_the_zero_point_and_saturates(level: str) -> None:
    values = [1, 3, 5, 7, -1, -3, -5, 2, 247, 249, 251, -261, -263, -265, I32_MAX, I32_MIN]
    narrow = cast_at(level, values, "i32", "i8", "{scale = 0.5 : f32, zero_point = 3} ")
    # The halves before the zero point: .5 1.5 2.5 3.5 -.5 -1.5 -2.5 1 123.5 124.5 125.5 -130.5 -131.5 -132.5
    assert narrow.tolist() == [3, 5, 5, 7, 3, 1, 1, 4, 127, 127, 127, -127, -128, -128, 127, -128]


def test_requantising_multiplies_by_the_scale_that_f32_holds() -> None:
    # 0.1 in f32 is a little more than a tenth: five of them are more than a half.
    assert cast_at("sched", [5, -5, 15, 25], "i32", "i8", "{scale = 0.1 : f32} ").tolist() == [1, -1, 2, 3]


def test_the_product_with_the_scale_is_not_rounded_to_f32() -> None:
    # 2**24 + 1 is no f32: times 2**-25 it lies just above a half.
    assert cast_at(
        "graph", [2**24, 2**24 + 1, 2**24 - 1], "i32", "i8", "{scale = 2.98023223876953125e-8 : f32} "
    ).tolist() == [0, 1, 0]


@pytest.mark.parametrize("zero_point", [-128, -1, 0, 127])
def test_the_zero_point_comes_before_saturation(zero_point: int) -> None:
    scaled = by_kernel("cast", np.array([0, 200, -200], np.int32), dtype="i8", params=(1.0, zero_point))
    assert scaled.tolist() == [max(-128, min(127, v + zero_point)) for v in (0, 200, -200)]


@pytest.mark.parametrize("level", LEVELS)
def test_i8_to_i32_is_exact(level: str) -> None:
    assert cast_at(level, [-128, -1, 0, 1, 127], "i8", "i32").tolist() == [-128, -1, 0, 1, 127]


# Relu


@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16", "i8", "i32"])
@pytest.mark.parametrize("level", LEVELS)
def test_relu_keeps_the_type(level: str, dtype: str) -> None:
    type = f"tensor<2x3x{dtype}>"
    text = f"func.func @f(%x: {type}) -> {type} {{\n  %y = graph.relu %x : {type}\n  return %y : {type}\n}}\n"
    x = np.array([[-128, -1, 0], [1, 2, 127]]).astype(numpy_dtype(dtype))
    (y,) = run(text, level, x=x)
    assert y.dtype == x.dtype
    assert y.astype(np.float64).tolist() == [[0, 0, 0], [1, 2, 127]]


def test_relu_of_special_floats() -> None:
    made = by_kernel("relu", np.array([-INF, INF, -1e-45, 1e-45], np.float32))
    assert made.tolist() == [0, INF, 0, float(np.float32(1e-45))]
    assert np.isnan(by_kernel("relu", np.array([np.nan], np.float32)))[0]


# Sums of products


def matmul_text(rows: int, inner: int, columns: int, dtype: str, result: str, bias: bool = False) -> str:
    a, b, c = (
        f"tensor<{rows}x{inner}x{dtype}>",
        f"tensor<{inner}x{columns}x{dtype}>",
        f"tensor<{rows}x{columns}x{result}>",
    )
    vector = f"tensor<{columns}x{result}>"
    types, names = (f"{a}, {b}, {vector}", "%a, %b, %c") if bias else (f"{a}, {b}", "%a, %b")
    args = ", ".join(f"{n}: {t}" for n, t in zip(names.split(", "), types.split(", "), strict=True))
    return f"func.func @f({args}) -> {c} {{\n  %y = graph.matmul {names} : ({types}) -> {c}\n  return %y : {c}\n}}\n"


@pytest.mark.parametrize(
    ("a", "b", "inner"),
    [(-128, -128, 2**17), (127, 127, 140_000), (-128, 127, 2**18 + 1), (127, 127, 3)],
)
def test_i8_products_wrap_to_i32(a: int, b: int, inner: int) -> None:
    left, right = f"tensor<1x{inner}xi8>", f"tensor<{inner}x1xi8>"
    text = (
        f"func.func @f(%x: {left}, %w: {right}) -> tensor<1x1xi32> {{\n"
        f"  %y = graph.matmul %x, %w : ({left}, {right}) -> tensor<1x1xi32>\n"
        "  return %y : tensor<1x1xi32>\n}\n"
    )
    (made,) = run(text, "graph", x=np.full((1, inner), a, np.int8), w=np.full((inner, 1), b, np.int8))
    wrapped = (a * b * inner + 2**31) % 2**32 - 2**31
    assert made.dtype == np.int32
    assert made.tolist() == [[wrapped]]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    ("start", "wrapped"), [(I32_MAX, I32_MIN + 63), (I32_MIN, I32_MIN + 64), (I32_MAX - 64, I32_MAX)]
)
def test_a_bias_wraps_with_the_products(level: str, start: int, wrapped: int) -> None:
    text = matmul_text(2, 4, 2, "i8", "i32", bias=True)
    inputs = {"a": np.full((2, 4), 4, np.int8), "b": np.full((4, 2), 4, np.int8), "c": np.full(2, start, np.int32)}
    (y,) = run(text, level, **inputs)
    assert y.tolist() == [[wrapped, wrapped], [wrapped, wrapped]]


@pytest.mark.parametrize("level", LEVELS)
def test_an_i32_sum_wraps(level: str) -> None:
    text = (
        "func.func @f(%a: tensor<1x3xi32>, %b: tensor<3xi32>) -> tensor<1x3xi32> {\n"
        "  %y = graph.add %a, %b : (tensor<1x3xi32>, tensor<3xi32>) -> tensor<1x3xi32>\n"
        "  return %y : tensor<1x3xi32>\n}\n"
    )
    (y,) = run(text, level, a=np.array([[I32_MAX, I32_MIN, 5]], np.int32), b=np.array([1, -1, -7], np.int32))
    assert y.tolist() == [[I32_MIN, I32_MAX, -2]]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    ("dtype", "a", "b", "exact"),
    [
        ("f16", [256, 2048, 1, 0], [256, 1, 1, 7], 65536 + 2048 + 1),  # neither the product nor the sum is an f16
        ("f16", [2.0**-14, 0, 0, 0], [2.0**-14, 0, 0, 0], 2.0**-28),
        ("bf16", [256, 1, 1.0078125, 0], [256, 1, 1, 0], 65536 + 1 + 1.0078125),
        ("bf16", [2.0**100, 0, 0, 0], [2.0**20, 0, 0, 0], 2.0**120),
    ],
)
def test_products_of_short_floats_sum_in_f32(
    level: str, dtype: str, a: list[float], b: list[float], exact: float
) -> None:
    short = numpy_dtype(dtype)
    (y,) = run(matmul_text(1, 4, 1, dtype, "f32"), level, a=np.array([a], short), b=np.array([b], short).T)
    assert y.dtype == np.float32
    assert y.tolist() == [[exact]]


@pytest.mark.parametrize("dtype", ["f16", "bf16"])
@pytest.mark.parametrize("level", LEVELS)
def test_a_sum_of_short_floats_rounds_once(level: str, dtype: str) -> None:
    text = (
        f"func.func @f(%a: tensor<1x2x{dtype}>, %b: tensor<1x2x{dtype}>) -> tensor<1x2x{dtype}> {{\n"
        f"  %y = graph.add %a, %b : (tensor<1x2x{dtype}>, tensor<1x2x{dtype}>) -> tensor<1x2x{dtype}>\n"
        f"  return %y : tensor<1x2x{dtype}>\n}}\n"
    )
    step = 2.0**-10 if dtype == "f16" else 2.0**-7
    short = numpy_dtype(dtype)
    (y,) = run(text, level, a=np.array([[1, 1 + step]], short), b=np.array([[step / 2, step / 2]], short))
    assert y.astype(np.float32).tolist() == [[1, 1 + 2 * step]]


@pytest.mark.parametrize("level", LEVELS)
def test_overflow_gives_infinity_and_no_warning(level: str) -> None:
    text = (
        "func.func @f(%a: tensor<1x2xf16>, %b: tensor<1x2xf16>) -> tensor<1x2xf16> {\n"
        "  %y = graph.add %a, %b : (tensor<1x2xf16>, tensor<1x2xf16>) -> tensor<1x2xf16>\n"
        "  return %y : tensor<1x2xf16>\n}\n"
    )
    (y,) = run(text, level, a=np.array([[60000, -60000]], np.float16), b=np.array([[60000, -60000]], np.float16))
    assert y.tolist() == [[INF, -INF]]
    big = np.full((2, 4), 1e30, np.float32)
    (y,) = run(matmul_text(2, 4, 2, "f32", "f32"), level, a=big, b=big.T.copy())
    assert y.tolist() == [[INF, INF], [INF, INF]]


# Quantised numbers


def converted_at(
    level: str, name: str, values: Sequence[float], source: str, target: str, attributes: str
) -> list[Any]:
    text = cast_text(source, target, len(values), attributes).replace("graph.cast", f"graph.{name}")
    (y,) = run(text, level, x=np.array([values], numpy_dtype(source)))
    assert y.dtype == numpy_dtype(target)
    return y[0].tolist()


@pytest.mark.parametrize("level", LEVELS)
def test_quantize_rounds_half_to_even_adds_the_zero_point_and_saturates(level: str) -> None:
    values = [0.25, 0.75, 1.25, -0.25, -0.75, 60.0, 63.5, -66.0, 1e30, -1e30, math.inf, -math.inf, math.nan]
    made = converted_at(level, "quantize", values, "f32", "i8", "{scale = 0.5 : f32, zero_point = 3} ")
    assert made == [3, 5, 5, 3, 1, 123, 127, -128, 127, -128, 127, -128, -128]
    made = converted_at(level, "quantize", values, "f32", "ui8", "{scale = 0.5 : f32, zero_point = 3} ")
    assert made == [3, 5, 5, 3, 1, 123, 130, 0, 255, 0, 255, 0, 0]


@pytest.mark.parametrize("level", LEVELS)
def test_quantize_divides_in_f32(level: str) -> None:
    # 0.75 / 0.1 is 7.5 in f32, and a little less than that between the numbers that f32 has for them.
    assert np.float32(0.75) / np.float32(0.1) == 7.5 > 0.75 / float(np.float32(0.1))
    assert converted_at(level, "quantize", [0.75], "f32", "i8", "{scale = 0.1 : f32} ") == [8]


@pytest.mark.parametrize("level", LEVELS)
def test_requantize_multiplies_in_f32(level: str) -> None:
    # What `cast` does with the exact product: 1, -1, 2, 3 and 1.
    made = converted_at(level, "requantize", [5, -5, 15, 25], "i32", "i8", "{scale = 0.1 : f32} ")
    assert made == [0, 0, 2, 2]
    scale = "{scale = 2.98023223876953125e-8 : f32} "
    assert converted_at(level, "requantize", [2**24 + 1], "i32", "i8", scale) == [0]
    made = converted_at(
        level, "requantize", [I32_MIN, -3, 3, I32_MAX], "i32", "ui8", "{scale = 0.5 : f32, zero_point = 9} "
    )
    assert made == [0, 7, 11, 255]


@pytest.mark.parametrize("level", LEVELS)
def test_dequantize(level: str) -> None:
    made = converted_at(level, "dequantize", [-128, 0, 3, 127], "i8", "f32", "{scale = 0.5 : f32, zero_point = 3} ")
    assert made == [-65.5, -1.5, 0.0, 62.0]
    made = converted_at(level, "dequantize", [0, 255], "ui8", "f32", "{scale = 0.1 : f32, zero_point = 255} ")
    assert made == [float(np.float32(-255) * np.float32(0.1)), 0.0]
    made = converted_at(level, "dequantize", [2**24 + 1, I32_MIN], "i32", "f32", "{scale = 1.0 : f32} ")
    assert made == [2.0**24, -(2.0**31)]


@pytest.mark.parametrize("swap", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize(("left", "right"), [("i8", "i8"), ("ui8", "i8"), ("i8", "ui8"), ("ui8", "ui8")])
def test_a_product_is_less_its_zero_points_and_padding_counts_for_nothing(
    left: str, right: str, swap: tuple[bool, bool]
) -> None:
    """7 in tiles of 4 along each axis: what pads the last ones would be as much as the zero points' product."""
    ends = [np.iinfo(numpy_dtype(dtype)) for dtype in (left, right)]
    rng = np.random.default_rng(4)
    arrays = [rng.integers(end.min, end.max + 1, (7, 7)).astype(end.dtype) for end in ends]
    words = "".join(f"{name}, " for name, turn in zip(("transpose_a", "transpose_b"), swap, strict=True) if turn)
    zero_points = int(ends[0].max), int(ends[1].min) or 200
    text = f"""
func.func @f(%x: tensor<7x7x{left}>, %w: tensor<7x7x{right}>) -> tensor<7x7xi32> {{
  %y = graph.matmul %x, %w {{{words}zero_point_a = {zero_points[0]}, zero_point_b = {zero_points[1]}}}
      : (tensor<7x7x{left}>, tensor<7x7x{right}>) -> tensor<7x7xi32>
  return %y : tensor<7x7xi32>
}}
"""
    wide = [a.astype(np.int64) - zero for a, zero in zip(arrays, zero_points, strict=True)]
    a, b = (array.T if turn else array for array, turn in zip(wide, swap, strict=True))
    for level in LEVELS:
        (y,) = run(text, level, x=arrays[0], w=arrays[1])
        assert np.array_equal(y, a @ b), level
