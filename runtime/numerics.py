"""What the operations compute, on NumPy arrays: the one meaning that all levels share.

f32, f16, i8 and i32 are NumPy's own types, bf16 is `ml_dtypes.bfloat16`. Sums of products are f32, or i32 that wraps.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from ..ir.attributes import FloatAttr

Array = np.ndarray[Any, Any]


@cache
def numpy_dtype(name: str) -> np.dtype[Any]:
    """The NumPy type of an element type's name. Raises ImportError for bf16 without the package `ml_dtypes`."""
    if name == "bf16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype({"f32": np.float32, "f16": np.float16, "i8": np.int8, "i32": np.int32}[name])


FLOAT32 = np.dtype(np.float32)
"""NumPy keeps one object for each of its own types, so that `is` tells them apart."""


def product(a: Array, b: Array, scratch: Array | None = None) -> Array:
    """A x B in the accumulator's type: f32 for floats, i32 (wrapping) for i8.

    f32 products are written to `scratch`, an f32 array of the result's shape, if one is given. (`dot` is the same
    product as `@`, without the cost of a universal function, which counts for small tiles.)
    """
    if a.dtype is FLOAT32:
        return a.dot(b, scratch)
    if a.dtype == np.int8:
        return wide_product(a, b).astype(np.int32)
    return a.astype(np.float32) @ b.astype(np.float32)


def wide_product(a: Array, b: Array) -> Array:
    """A x B of i8 in i64, exact: in double precision a sum of 2**39 products of two bytes still fits in 53 bits."""
    return (a.astype(np.float64) @ b.astype(np.float64)).astype(np.int64)


def activate(values: Array, activation: str | None) -> Array:
    """The activation of an array, or the array itself without one."""
    return relu(values) if activation == "relu" else values


def relu(values: Array) -> Array:
    """max(x, 0), element by element, in the array's type."""
    return np.maximum(values, values.dtype.type(0))


def cast(values: Array, dtype: np.dtype[Any], scale: FloatAttr | None = None, zero_point: int | None = None) -> Array:
    """Another element type: floats round to nearest even; i32 to i8 saturates, after scaling and rounding half to even
    where a scale is given, and adding the zero point."""
    if not (values.dtype == np.int32 and dtype == np.int8):
        with np.errstate(over="ignore"):
            return values.astype(dtype)
    wide = values.astype(np.float64)
    if scale is not None:
        wide = np.rint(wide * scale.value)
    return np.clip(wide + (zero_point or 0), -128, 127).astype(np.int8)
