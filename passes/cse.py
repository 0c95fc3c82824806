"""cse: what is computed twice is computed once.

%a = graph.add %x, %y : ...
%b = graph.add %y, %x : ...         ->    %a = graph.add %x, %y : ...
%c = graph.mul %a, %b : ...               %c = graph.mul %a, %a : ...
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import ClassVar

from ..dialects.graph import TOGETHER, GraphOp, has_choices
from ..dialects.kernels import KERNELS
from ..dialects.levels import level_of
from ..ir.attributes import attr_text
from ..ir.builtin import FuncOp, ModuleOp
from ..ir.core import Operation, Value
from ..lowering.dead_code import computes
from ..lowering.rewriting import ValueMap, clone, copy_value, map_functions, with_body
from .manager import register_pass


@register_pass
@dataclass(frozen=True)
class CsePass:
    """Computes once what a graph computes twice: operations of one kind with the same operands and attributes."""

    name: ClassVar[str] = "cse"
    needs: ClassVar[tuple[str, ...]] = ()

    def apply(self, module: ModuleOp) -> ModuleOp:
        return map_functions(module, merge_equal)


def merge_equal(func: FuncOp, module: ModuleOp) -> FuncOp:
    """A graph function in which the first of equal operations stands for all; any other, and one whose operations say
    with which others they are computed, as it is."""
    if level_of(func) != "graph" or has_choices(func, TOGETHER):
        return func
    values: ValueMap = {}
    args = [copy_value(a, values) for a in func.args]
    ops: list[Operation] = []
    first: dict[Hashable, Value] = {}
    for op in func.ops:
        if isinstance(op, GraphOp) and computes(op):
            known = first.setdefault(identity(op, values), op.result)
            if known is not op.result:
                values[op.result] = values[known]
                continue
        ops.append(clone(op, values))
    return with_body(func, args, ops) if len(ops) < len(func.ops) else func


def identity(op: GraphOp, values: ValueMap) -> Hashable:
    """Equal for two operations that compute the same: kind, operands, all attributes (those that say how it is tiled
    and in which order, too) and type. `values` says what stands for each operand."""
    operands = [values[v] for v in op.operands]
    if op.kernel in KERNELS and KERNELS[op.kernel].commutes:
        operands.sort(key=id)  # within this run equal operands come out in one order, whichever it is
    return op.name, tuple(operands), attr_text(op.attributes), op.result.type.text
