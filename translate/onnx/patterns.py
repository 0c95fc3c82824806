"""What exporters write as several operations and means one here: gelu in both forms, silu, norms, and a normalisation
with constants behind a product."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import pi, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from ...dialects.graph import MAPPED, BinaryOp, GraphOp, MatmulOp
from ...ir.core import Operation, Value
from .build import Builder
from .norm_patterns import replace_norms
from .search import Search, is_number

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]


def simplify(build: Builder, results: Sequence[Value]) -> None:
    """Writes what has been built with fewer operations; the results keep their values."""
    search = _Search(build, Counter([*results, *(v for op in build.ops for v in op.operands)]))
    for pair in build.normalizations:
        search.fold(*pair)
    replace_norms(search)
    for op in list(build.ops):
        if op not in search.gone and isinstance(op, BinaryOp) and op.kernel == "mul":
            search.rewrite(op)
    build.ops[:] = [search.instead.get(op, op) for op in build.ops if op not in search.gone]


class _Search(Search):
    """What products of values and numbers mean."""

    # A product whose columns are scaled and shifted

    def fold(self, scaled: GraphOp, shifted: GraphOp) -> None:
        """Puts a factor and an addend for each column into the product that they are applied to, if it is one of
        constant weights that nothing else reads."""
        build, (product, factor), added = self.build, scaled.operands, shifted.operands[1]
        op = product.owner
        if not isinstance(op, MatmulOp) or self.uses[product] > 1 or self.uses[scaled.result] > 1:
            return
        weights, *bias = op.operands[1:]
        if op.transpose_b is not None or not all(v in build.weights for v in (weights.name, *(b.name for b in bias))):
            return
        numbers = [build.weights[v.name].astype(np.float64) for v in (factor, added, weights, *bias)]
        shift = numbers[1] + (numbers[3] * numbers[0] if bias else 0)
        operands = [op.operands[0], self.changed(weights, numbers[2] * numbers[0])]
        operands.append(self.changed(bias[0] if bias else added, shift))
        self.replace(shifted, [op, scaled], MatmulOp(operands, shifted.results, transpose_a=op.transpose_a))

    def changed(self, value: Value, numbers: Array) -> Value:
        """A parameter with other numbers: itself, if nothing else reads it."""
        data = numbers.astype(np.float32)
        if self.uses[value] > 1:
            return self.build.parameter(self.build.origin[value], data, "f32")
        self.build.weights[value.name] = data
        return value

    # Functions of one tensor

    def rewrite(self, op: BinaryOp) -> None:
        """gelu or silu in place of a product that ends one of them."""
        number, values, inner = self.factors(op)
        if len(values) != 2:
            return
        for x, other in (values, values[::-1]):
            kernel, chain = self.function(number, x, other)
            if kernel:
                self.replace(op, [*inner, *chain], MAPPED[kernel]([x], op.results))
                return

    def function(self, number: float, x: Value, other: Value) -> tuple[str, list[Operation]]:
        """Which function of x the product of a number, x and another value is, and the operations that make that."""
        sigmoid = self.made(other, "sigmoid")
        if sigmoid is not None and is_number(number, 1) and sigmoid.operands[0] is x:
            return "silu", [sigmoid]
        added = self.plus(other, 1)
        if added is None or not is_number(number, 0.5):
            return "", []
        for name, kernel, chain_of in (("erf", "gelu", self.over_root_two), ("tanh", "gelu_tanh", self.cubic)):
            inner = self.made(added.operands[0], name)
            chain = None if inner is None else chain_of(inner.operands[0], x)
            if inner is not None and chain is not None:
                return kernel, [added, inner, *chain]
        return "", []

    def over_root_two(self, value: Value, x: Value) -> list[Operation] | None:
        """The operation that makes x / sqrt(2)."""
        for name, number in (("div", sqrt(2)), ("mul", sqrt(0.5))):
            op = self.made(value, name)
            if isinstance(op, BinaryOp) and op.right is not None and is_number(op.right.value, number):
                return [op] if op.operands[0] is x else None
        return None

    def cubic(self, value: Value, x: Value) -> list[Operation] | None:
        """The operations that make sqrt(2 / pi) (x + 0.044715 x^3), or sqrt(2 / pi) x (1 + 0.044715 x^2)."""
        if self.made(value, "mul") is None:
            return None
        number, values, chain = self.factors(value.owner)
        if not is_number(number, sqrt(2 / pi)) or self.uses[value] > 1:
            return None
        whole = [v for v in values if v is not x]
        power = 4 - len(values)
        if len(whole) != 1 or power not in (2, 3):
            return None
        added = self.made(whole[0], "add") if power == 3 else self.plus(whole[0], 1)
        if added is None:
            return None
        term = next((v for v in added.operands if v is not x), None)
        made = None if term is None else self.power(term, x, power)
        return None if made is None else [value.owner, *chain, added, *made]  # type: ignore[list-item]

    def power(self, value: Value, x: Value, power: int) -> list[Operation] | None:
        """The operations that make 0.044715 x to a power."""
        if self.made(value, "mul") is None:
            return None
        number, values, chain = self.factors(value.owner)
        raised = [self.made(v, "pow") for v in values if v is not x]
        count = len(values) - len(raised)
        for op in raised:
            if not isinstance(op, BinaryOp) or op.right is None or op.operands[0] is not x:
                return None
            count += round(op.right.value)
        good = is_number(number, 0.044715) and count == power
        return [value.owner, *chain, *[op for op in raised if op is not None]] if good else None  # type: ignore
