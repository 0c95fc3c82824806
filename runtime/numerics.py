"""Kernels on NumPy arrays: element types, activations, and how `+=` combines.

f32, f16, i8, ui8 and i32 are NumPy's own types, bf16 is `ml_dtypes.bfloat16`. What a kernel computes, it says itself
(`dialects/kernels/`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from ..dialects.kernels import KERNELS, Call, Kernel

Array = np.ndarray[Any, Any]


@cache
def numpy_dtype(name: str) -> np.dtype[Any]:
    """The NumPy type of an element type's name. Raises ImportError for bf16 without the package `ml_dtypes`."""
    if name == "bf16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype({"f32": np.float32, "f16": np.float16, "i8": np.int8, "ui8": np.uint8, "i32": np.int32}[name])


FLOAT32 = np.dtype(np.float32)
"""NumPy keeps one object for each of its own types, so that `is` tells them apart."""


def activate(values: Array, op: Any) -> Array:
    """The activation of an operation on an array, or the array itself where it has none."""
    if op.activation is None:
        return values
    kernel = KERNELS[op.activation]
    return kernel.meaning(np, Call(kernel.params_of(op, "activation_params"), values.dtype), values)


def combined(kernel: Kernel, before: Array, made: Array) -> Array:
    """What `+=` leaves: integers are added in the wider type of what has been made."""
    return COMBINE[kernel.combine](made, before)


COMBINE: dict[str | None, Callable[[Array, Array], Array]] = {
    "sum": np.add,
    "greatest": np.maximum,
    "least": np.minimum,
}
"""By the ways in which kernels combine onto a destination."""
