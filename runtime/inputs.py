"""The array of each argument: of its shape, and in its element type where that holds every element."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..dialects.tiles import TiledType
from ..ir.core import Value
from ..ir.diagnostics import fail
from ..ir.types import DTYPE_BYTES, TensorType
from .numerics import Array, numpy_dtype


def tensor_of(value: Value) -> TensorType:
    """The tensor type of an argument or result at any level. Raises `DiagnosticError` for another type."""
    type = value.type.tensor if isinstance(value.type, TiledType) else value.type
    if not isinstance(type, TensorType) or type.dtype not in DTYPE_BYTES:
        fail(f"%{value.name} of type {value.type} has no values to run on", value.loc)
    return type


def checked_input(arg: Value, inputs: Mapping[str, Array], files: Mapping[str, str] | None = None) -> Array:
    """The array for an argument, of its shape and element type; `files` says where one is from.

    Floats are rounded to a shorter type. Raises `DiagnosticError` for an array that is missing, of another shape or
    kind, or has an element that the type can't hold: an integer that is none of its numbers, a float beyond its range.
    """
    tensor = tensor_of(arg)
    if arg.name not in inputs:
        fail(f"no input is given for %{arg.name}, {tensor}", arg.loc)
    array = np.asarray(inputs[arg.name])
    file = (files or {}).get(arg.name)
    what = _named(arg, file)
    wanted = numpy_dtype(tensor.dtype)
    if tensor.dtype == "bf16" and array.dtype == np.dtype("V2"):
        array = array.view(wanted)  # NumPy's files know bf16 only as two bytes
    check_shape(arg, array.shape, file)
    if array.dtype == wanted:
        return array
    if array.dtype.kind == "b" or not np.can_cast(array.dtype, wanted, "same_kind"):
        fail(f"{what} has element type {array.dtype}, the function needs {tensor.dtype}", arg.loc)
    with np.errstate(all="ignore"):
        made = array.astype(wanted)
    lost = not_held(array, made)
    if lost is not None:
        fail(f"{what} has the value {lost}, which {tensor.dtype} can't hold", arg.loc)
    return made


def check_shape(arg: Value, shape: tuple[int, ...], file: str | None = None) -> None:
    """Raises `DiagnosticError` for an array of another shape than the argument's."""
    wanted = tensor_of(arg).shape
    if shape != wanted:
        fail(f"{_named(arg, file)} has shape {_shape(shape)}, the function needs {_shape(wanted)}", arg.loc)


def _named(arg: Value, file: str | None) -> str:
    return f"input %{arg.name}" + (f" of {file}" if file else "")


def not_held(array: Array, made: Array) -> Any:
    """An element that was lost when an array was converted: an integer changed, or a float become infinite; or None."""
    if array.dtype.kind not in "iu":
        lost = np.isfinite(array) & ~np.isfinite(made)
    else:
        wide = made.astype(np.float64)
        inside = np.abs(wide) < 2.0**63
        lost = ~inside | (np.where(inside, wide, 0).astype(np.int64) != array)
    return array[np.unravel_index(int(lost.argmax()), lost.shape)] if lost.any() else None


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "()"
