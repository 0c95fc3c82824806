"""split-softmax: a softmax before a product goes over its row block by block, each less the maximum so far.

%s = graph.matmul %q, %k {transpose_b}      %s_0 = graph.matmul %q, %k_0 {transpose_b}, of the first rows of %k
%w = graph.softmax %s {axes = [1]}          %m_0 = the maximum of %s_0, %p_0 = exp(%s_0 - %m_0), %l_0 = the sum of %p_0
%y = graph.matmul %w, %v                    %o_0 = graph.matmul %p_0, %v_0
                                      ->    and of each further block, the same with
                                            %m_1 = max(%m_0, the maximum of %s_1), %c_1 = exp(%m_0 - %m_1)
                                            %l_1 = %l_0 %c_1 + the sum of %p_1, %o_1 = %o_0 %c_1 + %p_1 %v_1
                                            %y = %o_1 / %l_1

No more than one block of scores has to be on chip at a time. Milakov and Gimelshein, Online normalizer calculation for
softmax, 2018; Dao, Fu, Ermon, Rudra and Ré, FlashAttention, 2022.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from ..dialects.composites import SoftmaxOp
from ..dialects.graph import GraphOp, MappedOp, MatmulOp, has_choices
from ..dialects.levels import level_of
from ..dialects.views import SliceOp
from ..ir.builtin import FuncOp, ModuleOp
from ..ir.core import Operation, Value
from ..ir.types import TensorType
from ..lowering.graph_parts import Parts, tensor_of
from ..lowering.rewriting import ValueMap, clone, clone_with, copy_value, map_functions, with_body
from .manager import option, read_count, register_pass

LEAST = -float.fromhex("0x1.fffffep+127")
"""The least finite number of f32: a maximum that is not below it makes 0 of a score that is -inf, and not NaN."""


@register_pass
@dataclass(frozen=True)
class SplitSoftmaxPass:
    """Has a softmax before a product go over its row block by block, each less the maximum so far; without `columns`
    nothing is split."""

    name: ClassVar[str] = "split-softmax"
    needs: ClassVar[tuple[str, ...]] = ()
    columns: int | None = option(read_count, "columns of scores in a block (none: leave them whole)", "N")

    def apply(self, module: ModuleOp) -> ModuleOp:
        return module if self.columns is None else map_functions(module, self.split_function)

    def split_function(self, func: FuncOp, module: ModuleOp) -> FuncOp:
        if level_of(func) != "graph" or self.columns is None or has_choices(func):
            return func
        found: dict[Operation, _Rows] = {r.product: r for r in _softmaxes(func) if r.length > self.columns}
        gone = {op for rows in found.values() for op in (rows.softmax, *rows.inner.values())}
        if not found:
            return func
        used = {v.name for v in (*func.args, *[result for op in func.ops for result in op.results])}
        values: ValueMap = {}
        args = [copy_value(a, values) for a in func.args]
        ops: list[Operation] = []
        for op in func.ops:
            if op in found:
                parts = Parts(op, used)
                last = _Split(found[op], parts, values).whole(self.columns)
                ops += parts.finished(last, values)
            elif op not in gone:
                ops.append(clone(op, values))
        return with_body(func, args, ops)


@dataclass(frozen=True)
class _Rows:
    """A softmax, the product that alone reads it, and what alone it is computed from: by result, elementwise operations
    and the products behind them."""

    softmax: SoftmaxOp
    product: MatmulOp
    inner: dict[Value, GraphOp]

    @property
    def length(self) -> int:
        """Scores in a row."""
        return tensor_of(self.softmax.result).shape[-1]


def _softmaxes(func: FuncOp) -> Iterator[_Rows]:
    """Those of a graph function that can be split: in f32, along the last axis."""
    uses = Counter(v for op in func.ops for v in op.operands)
    readers = {v: op for op in func.ops for v in op.operands}
    for op in func.ops:
        if not isinstance(op, SoftmaxOp) or not _is_plain(op) or uses[op.result] != 1:
            continue
        type, product = tensor_of(op.result), readers[op.result]
        if not isinstance(product, MatmulOp) or not _is_weighted_sum(product, op.result):
            continue
        inner = _computed_from(op.operands[0], uses)
        products = any(isinstance(made, MatmulOp) for made in inner.values())
        if products and type.dtype == "f32" and op.axes == (type.rank - 1,):
            yield _Rows(op, product, inner)


def _is_weighted_sum(op: MatmulOp, weights: Value) -> bool:
    """Whether a product does nothing but sum rows of its right operand by weights."""
    changed = op.bias, op.activation, op.transpose_a, op.zero_point_a, op.zero_point_b, op.tile
    return op.operands[0] is weights and all(what is None for what in changed)


def _is_plain(op: GraphOp) -> bool:
    """Whether an operation says nothing but what it computes."""
    return op.tile is None and not op.extra


def _computed_from(value: Value, uses: Counter[Value]) -> dict[Value, GraphOp]:
    """The operations that make a value's columns one by one and are read by nothing else."""
    op, found = value.owner, {}
    if isinstance(op, (MappedOp, MatmulOp)) and _is_plain(op) and uses[value] == 1:
        found[value] = op
        for operand in op.operands if isinstance(op, MappedOp) else ():
            if _columns(operand) == _columns(value):
                found |= _computed_from(operand, uses)
    return found


def _columns(value: Value) -> int:
    return tensor_of(value).shape[-1]


class _Split:
    """Writes the blocks of a softmax and of its product; `values` says what stands for each value of the text."""

    def __init__(self, rows: _Rows, parts: Parts, values: ValueMap):
        self.rows = rows
        self.parts = parts
        self.values = values

    def whole(self, columns: int) -> Value:
        """All blocks of so many columns, one after the other."""
        most, total, mixed = self.first(columns)
        for start in range(columns, self.rows.length, columns):
            scores, weighed = self.block(start, min(columns, self.rows.length - start))
            newer = self.parts.mapped("max", "max", most, self.parts.reduced(scores, "max", self.rows.softmax.axes))
            change = self.parts.mapped("change", "exp", self.parts.mapped("less", "sub", most, newer))
            added, more = self.summed(scores, weighed, newer)
            most = newer
            total = self.parts.mapped("sum", "add", self.parts.mapped("sum", "mul", total, change), added)
            mixed = self.parts.mapped("mixed", "add", self.parts.mapped("mixed", "mul", mixed, change), more)
        return self.parts.mapped("quotient", "div", mixed, total)

    def first(self, columns: int) -> tuple[Value, Value, Value]:
        """The maximum, the sum of the powers, and their product, of the first block."""
        scores, weighed = self.block(0, columns)
        most = self.parts.reduced(scores, "max", self.rows.softmax.axes)
        if any(len(op.operands) > 1 for op in self.rows.inner.values() if isinstance(op, MappedOp)):
            most = self.parts.mapped("bounded", "max", most, right=LEAST)  # a mask may leave nothing in a block
        return most, *self.summed(scores, weighed, most)

    def summed(self, scores: Value, weighed: Value, most: Value) -> tuple[Value, Value]:
        """The sum of a block's powers, and their product with what they weigh."""
        powers = self.parts.mapped("exp", "exp", self.parts.mapped("shifted", "sub", scores, most))
        product, axes = self.rows.product, self.rows.softmax.axes
        made = clone_with(product, [powers, weighed], [Value(product.result.type)], extra={})
        return self.parts.reduced(powers, "sum", axes), self.parts.add(made, "part")

    def block(self, start: int, size: int) -> tuple[Value, Value]:
        """A block's scores, and the rows of what they weigh."""
        product = self.rows.product
        axis = -2 if product.transpose_b is None else -1
        scores = self.columns(self.rows.softmax.operands[0], start, size)
        return scores, self.sliced(product.operands[1], axis, start, size)

    def columns(self, value: Value, start: int, size: int) -> Value:
        """Some columns of a value that the scores are computed from."""
        op = self.rows.inner.get(value)
        if op is None:
            return self.sliced(value, -1, start, size)
        if isinstance(op, MatmulOp):
            axis = -1 if op.transpose_b is None else -2
            bias = [self.sliced(v, -1, start, size) for v in op.operands[2:]]
            operands = [self.values[op.operands[0]], self.sliced(op.operands[1], axis, start, size), *bias]
        else:
            operands = [self.columns(v, start, size) for v in op.operands]
        type = tensor_of(value)
        made = clone_with(op, operands, [Value(TensorType((*type.shape[:-1], size), type.dtype))])
        return self.parts.add(made, value.name)

    def sliced(self, value: Value, axis: int, start: int, size: int) -> Value:
        """A part of a value along an axis; all of one that counts for every column."""
        type = tensor_of(value)
        if type.shape[axis] != self.rows.length:
            return self.values[value]
        at, shape = axis % type.rank, list(type.shape)
        shape[at] = size
        starts = tuple([start if i == at else 0 for i in range(type.rank)])
        result = Value(TensorType(tuple(shape), type.dtype))
        return self.parts.add(SliceOp([self.values[value]], [result], starts=starts, sizes=tuple(shape)), value.name)
