"""fuse: a bias and a relu become part of the product that only they read.

%a = graph.matmul %x, %w : ...
%s = graph.add %a, %b : ...                    ->    %r = graph.matmul %x, %w, %b {activation = "relu"} : ...
%r = graph.relu %s : ...
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from ..dialects.graph import CHOICES, TOGETHER, ElementwiseOp, GraphOp, MappedOp, MatmulOp, has_choices
from ..dialects.kernels import KERNELS
from ..dialects.kernels.products import TRANSPOSED, ZERO_POINTS
from ..dialects.levels import level_of
from ..ir.attributes import FloatAttr
from ..ir.builtin import FuncOp, ModuleOp
from ..ir.core import Operation, Value
from ..ir.types import TensorType
from ..lowering.rewriting import ValueMap, clone, copy_value, map_functions, with_body
from .manager import register_pass


@register_pass
@dataclass(frozen=True)
class FusePass:
    """Makes rank-1 bias and functions such as relu part of the matmul before them, where nothing else reads the value
    in between."""

    name: ClassVar[str] = "fuse"
    needs: ClassVar[tuple[str, ...]] = ()

    def apply(self, module: ModuleOp) -> ModuleOp:
        return map_functions(module, fuse_function)


class Fused(NamedTuple):
    """A product with what has been fused into it, and the operation that stands where it is computed."""

    product: MatmulOp
    bias: Value | None
    activation: GraphOp | None
    tile: tuple[int, ...] | None
    holder: GraphOp


def fuse_function(func: FuncOp, module: ModuleOp) -> FuncOp:
    """A graph function with its products fused; any other, and one whose operations say with which others they are
    computed, as it is."""
    if level_of(func) != "graph" or has_choices(func, TOGETHER):
        return func
    fused = find_fusions(func)
    if not fused:
        return func
    gone = {f.holder for f in fused.values()}
    values: ValueMap = {}
    args = [copy_value(a, values) for a in func.args]
    ops = [_emit(op, fused, values) for op in func.ops if op not in gone]
    return with_body(func, args, ops)


def find_fusions(func: FuncOp) -> dict[Operation, Fused]:
    """By operation: the product that takes its place. A product's `holder` is the operation that goes."""
    uses = Counter(v for op in func.ops for inner in op.walk() for v in inner.operands)
    products: dict[Value, Fused] = {}
    fused: dict[Operation, Fused] = {}
    for op in func.ops:
        if isinstance(op, MatmulOp):
            products[op.result] = Fused(op, op.bias, None, op.tile, op)
            continue
        if not isinstance(op, ElementwiseOp):
            continue
        before = products.get(op.operands[0])
        if before is None or uses[op.operands[0]] != 1 or _is_activated(before) or not _same_tile(before, op):
            continue
        tile = before.tile or op.tile
        if KERNELS[op.kernel].is_activation:
            fused[op] = before._replace(activation=op, tile=tile)
        elif before.bias is None and _is_bias(op):
            fused[op] = before._replace(bias=op.operands[1], tile=tile)
        else:
            continue
        products[op.result] = fused[op]._replace(holder=op)
    return fused


def _is_activated(fused: Fused) -> bool:
    return fused.activation is not None or fused.product.activation is not None


def _is_bias(op: ElementwiseOp) -> bool:
    """Whether an operation adds a vector along the last axis of what a product gives."""
    added = op.operands[1].type if KERNELS[op.kernel].is_sum and len(op.operands) == 2 else None
    result = op.result.type
    if not isinstance(result, TensorType) or result != op.operands[0].type:
        return False
    return added == TensorType(result.shape[-1:], result.dtype)


def _same_tile(before: Fused, op: GraphOp) -> bool:
    """Two operations that ask for different tiles stay apart, and where only the later one asks, and doesn't say how a
    product sums."""
    if op.tile is None or before.tile is None:
        return op.tile is None or op.tile != op.result_tile()
    return before.tile[:2] == op.tile[-2:] if op.tile == op.result_tile() else before.tile == op.tile


def _emit(op: Operation, fused: dict[Operation, Fused], values: ValueMap) -> Operation:
    """A copy of the operation, or the product that takes its place, under the name of the value it stands for."""
    if op not in fused:
        return clone(op, values)
    product, bias, activation, tile, _ = fused[op]
    operands = [*product.operands[:2], *([bias] if bias is not None else [])]
    extra = {**(product.extra or {}), **(op.extra or {})}
    name, params = (product.activation, product.activation_params) if activation is None else of_kernel(activation)
    return MatmulOp(
        [values.get(v, v) for v in operands], [copy_value(op.results[0], values)],
        activation=name, activation_params=params, tile=tile, extra=extra, loc=product.loc,
        **{choice: getattr(product, choice) for choice in (*CHOICES, *TRANSPOSED, *ZERO_POINTS)},
    )  # fmt: skip


def of_kernel(op: GraphOp) -> tuple[str, tuple[FloatAttr, ...] | None]:
    """An elementwise operation as an activation: its kernel and its parameters."""
    return op.kernel, op.params if isinstance(op, MappedOp) else None
