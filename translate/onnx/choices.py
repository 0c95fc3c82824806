"""How ONNX's comparisons, logic and Where are imported: what is true or false there is 1 or 0 here, in the element type
of what is compared."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...dialects.graph import MappedOp
from ...dialects.kernels import KERNELS
from .build import Builder, binary, cast, number_of, of_several, unary
from .model import Node
from .tensors import Const, Tensor, View, broadcast, text

Inputs = list[Any]
COMPARISONS = {
    "Equal": "equal", "Greater": "greater", "GreaterOrEqual": "greater_equal", "Less": "less",
    "LessOrEqual": "less_equal",
}  # fmt: skip
LOGIC = {"And": "min", "Or": "max"}
WHERE = KERNELS["where"]


def import_compare(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    return binary(build, node.outputs[0], KERNELS[COMPARISONS[node.op]], *inputs)


def import_logic(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    """The lesser or the greater of two that are 1 or 0 each."""
    view = next(t for t in inputs if isinstance(t, View))
    a, b = (_truth(build, t, view.held.dtype, node) for t in inputs)
    return binary(build, node.outputs[0], KERNELS[LOGIC[node.op]], a, b)


def import_not(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    return unary(build, node.outputs[0], KERNELS["sub"], inputs[0], left=1.0)


def import_where(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    """Either of two, by a condition that is 1 or 0; a constant that is one number goes into the operation."""
    condition, *sides = inputs
    shape = broadcast(broadcast(condition.shape, sides[0].shape) or (), sides[1].shape)
    if shape is None or broadcast(shape, condition.shape) != shape:
        raise ValueError(f"{' and '.join(text(t.shape) for t in inputs)} can't be broadcast to one shape")
    dtype = next((t.held.dtype for t in sides if isinstance(t, View)), None) or build.dtype(sides[0])
    tensors: list[Tensor] = [_truth(build, condition, dtype, node)]
    numbers: dict[str, float] = {}
    for i, name in enumerate(("left", "right")):
        number = number_of(build, sides[i], dtype)
        others = broadcast(condition.shape, sides[1 - i].shape if i == 0 or "left" not in numbers else ())
        if number is not None and others == shape:
            numbers[name] = number
        else:
            tensors.append(sides[i])
    return of_several(build, node.outputs[0], WHERE, tensors, shape, dtype, **numbers)


def truth_of(build: Builder, view: View, name: str) -> View:
    """1 where an element is not 0, else 0."""
    op = view.held.value.owner if view.held.value is not None else None
    if isinstance(op, MappedOp) and op.kernel in COMPARISONS.values():
        return view
    return unary(build, name, WHERE, view, left=1.0, right=0.0)


def _truth(build: Builder, tensor: Tensor, dtype: str, node: Node) -> Tensor:
    """A condition in an element type."""
    if isinstance(tensor, Const):
        return Const(tensor.name, tensor.array.astype(np.float32))
    return tensor if tensor.held.dtype == dtype else cast(build, tensor, dtype, f"{node.outputs[0]}_condition")


HANDLERS: dict[str, tuple[Any, tuple[int, int]]] = {
    **dict.fromkeys(COMPARISONS, (import_compare, (2, 2))),
    **dict.fromkeys(LOGIC, (import_logic, (2, 2))),
    "Not": (import_not, (1, 1)),
    "Where": (import_where, (3, 3)),
}
"""With how many inputs a node has, at least and at most."""
