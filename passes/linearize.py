"""linearize: puts the operations of a graph in an order that keeps few bytes live, whatever their order was.

%a = graph.matmul %x, %u : ...              %a = graph.matmul %x, %u : ...
%b = graph.matmul %x, %v : ...        ->    %c = graph.matmul %a, %w : ...
%c = graph.matmul %a, %w : ...              %b = graph.matmul %x, %v : ...
%d = graph.matmul %b, %w : ...              %d = graph.matmul %b, %w : ...

Any order of the same operations gives the same text. Operations of other dialects, which touch no tensor, may have
effects: they stay in their order, and come first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import ClassVar

from ..dialects.graph import GraphOp, MatmulOp, ViewOp, has_choices
from ..dialects.levels import level_of
from ..dialects.opaque import opaque_ops
from ..ir.builtin import FuncOp, ModuleOp
from ..ir.core import Operation, Value
from ..ir.types import TensorType
from ..lowering.rewriting import ValueMap, clone, copy_value, map_functions, with_body
from ..lowering.tiling import check_tensors
from ..planner.linearize import depth_first, linearize
from ..planner.live_bytes import Dataflow
from .manager import register_pass


@register_pass
@dataclass(frozen=True)
class LinearizePass:
    """Orders the operations of a graph so that few bytes are live at once, and none longer than needed; an order of
    tiles that is written on them keeps them where they are."""

    name: ClassVar[str] = "linearize"
    needs: ClassVar[tuple[str, ...]] = ()

    def apply(self, module: ModuleOp) -> ModuleOp:
        return map_functions(module, linearize_function)


def linearize_function(func: FuncOp, module: ModuleOp) -> FuncOp:
    """A graph function in its new order; any other, one with opaque operations, which nothing passes, and one for whose
    tiles an order has been chosen, as it is."""
    if level_of(func) != "graph":
        return func
    check_tensors(func, "linearize")
    if has_choices(func) or opaque_ops(func):
        return func
    ops = [op for op in func.ops if isinstance(op, GraphOp) and not isinstance(op, ViewOp)]
    order = linearize(dataflow_of(func, ops), [op.result.name for op in ops])
    *others, last = [op for op in func.ops if not isinstance(op, GraphOp)]
    ordered: list[Operation] = [*others, *_with_views([ops[i] for i in order], func), last]
    if ordered == func.ops:
        return func
    values: ValueMap = {}
    args = [copy_value(a, values) for a in func.args]
    return with_body(func, args, [clone(op, values) for op in ordered])


def _with_views(ops: Sequence[GraphOp], func: FuncOp) -> list[GraphOp]:
    """The operations in their order with each view right before its first reader; those that nothing reads come last,
    by name."""
    views = sorted([op for op in func.ops if isinstance(op, ViewOp)], key=lambda op: op.result.name)
    number: dict[Value, int] = {op.result: i for i, op in enumerate((*ops, *views))}
    reads = [[number[v] for v in op.operands if v in number] for op in (*ops, *views)]
    returned = [number[v] for v in func.returned() if v in number]
    order = depth_first(reads, (*range(len(ops)), *returned, *range(len(ops), len(reads))))
    return [(*ops, *views)[i] for i in order]


def dataflow_of(func: FuncOp, ops: Sequence[GraphOp]) -> Dataflow:
    """The operations of a graph function that compute something as a graph of values, in bytes. A view is what it is a
    view of."""
    number = {op.result: [i] for i, op in enumerate(ops)} | {arg: [~i] for i, arg in enumerate(func.args)}
    for op in func.ops:
        if isinstance(op, ViewOp):
            number[op.result] = list(dict.fromkeys(i for v in op.operands for i in number[v]))
    returned = dict.fromkeys(i for v in func.returned() for i in number.get(v, ()) if i >= 0)
    return Dataflow(
        [[i for v in op.operands for i in number[v]] for op in ops],
        [_bytes(op.result) for op in ops],
        [_bytes(arg) for arg in func.args],
        list(returned),
        {i for i, op in enumerate(ops) if isinstance(op, MatmulOp)},
        [_batches(op.result) for op in ops],
    )


def _batches(value: Value) -> tuple[int, ...]:
    """The sizes of a tensor's axes but the last, if it has batches."""
    shape = value.type.shape  # type: ignore[attr-defined]
    return shape[:-1] if prod(shape[:-2]) > 1 else ()


def _bytes(value: Value) -> int:
    return prod(value.type.shape) * value.type.element_bytes if isinstance(value.type, TensorType) else 0
