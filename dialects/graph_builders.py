"""Functions that build operations of the graph dialect."""

from __future__ import annotations

from collections.abc import Sequence

from ..ir.attributes import F32, UNIT, FloatAttr, round_float
from ..ir.core import Value
from ..ir.light_typing import Any
from ..ir.opdef import OpError
from ..ir.types import TensorType
from .graph import MAPPED, MappedOp, MatmulOp
from .result_types import result_of_elementwise, result_of_matmul


def matmul(a: Value, b: Value, bias: Value | None = None, *, activation: str | None = None, name: str = "",
           tile: tuple[int, int, int] | None = None, transpose_a: bool = False,
           transpose_b: bool = False) -> MatmulOp:  # fmt: skip
    """Builds a product; raises `OpError` if the operands don't fit."""
    operands = [a, b] if bias is None else [a, b, bias]
    if not isinstance(a.type, TensorType) or not isinstance(b.type, TensorType):
        raise OpError("graph.matmul: operands must be tensors")
    swapped = UNIT if transpose_a else None, UNIT if transpose_b else None
    return MatmulOp(
        operands, [Value(result_of_matmul(a.type, b.type, *swapped), name)], activation=activation, tile=tile,
        transpose_a=swapped[0], transpose_b=swapped[1],
    )  # fmt: skip


def elementwise(
    kernel: str, *operands: Value, params: Sequence[float] = (), name: str = "", **numbers: float
) -> MappedOp:
    """Builds an operation by a kernel of the table; `numbers` are `left` or `right`. Raises `KeyError` for an unknown
    kernel, `OpError` if the operands or the parameters don't fit."""
    given: dict[str, Any] = {side: _number(value) for side, value in numbers.items()}
    given["params"] = tuple([_number(value) for value in params]) or None
    types = [v.type for v in operands if isinstance(v.type, TensorType)]
    result = result_of_elementwise(f"graph.{kernel}", types) if types else operands[0].type
    made = MAPPED[kernel](operands, [Value(result, name)], **given)
    made.verify()
    return made


def _number(value: float) -> FloatAttr:
    return FloatAttr(round_float(value, "f32"), F32)


def add(a: Value, b: Value, *, name: str = "") -> MappedOp:
    return elementwise("add", a, b, name=name)


def relu(a: Value, *, name: str = "") -> MappedOp:
    return elementwise("relu", a, name=name)
