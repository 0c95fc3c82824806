"""The search for operations that mean one together: what makes a value, as far as nothing else reads it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import isclose

from ...dialects.graph import BinaryOp, GraphOp, MappedOp
from ...ir.core import Operation, Value
from .build import Builder

CLOSE = 1e-3
"""How far a written constant may lie from what it stands for, in parts of it: exporters round them, f16 more so."""
DEEPEST = 4
"""Most products within each other that are taken for one."""


class Search:
    """The operations that fall away, and what stands instead of others; `uses` counts the readers of values."""

    def __init__(self, build: Builder, uses: Counter[Value]):
        self.build = build
        self.uses = uses
        self.gone: set[Operation] = set()
        self.instead: dict[Operation, GraphOp] = {}

    def made(self, value: Value, kernel: str) -> MappedOp | None:
        """The operation that makes a value by a kernel, if nothing else reads it."""
        op = value.owner
        good = isinstance(op, MappedOp) and op.kernel == kernel and self.uses[value] == 1 and op not in self.instead
        return op if good and isinstance(op, MappedOp) else None

    def plus(self, value: Value, number: float) -> MappedOp | None:
        """The operation that adds a number, if nothing else reads the value that it makes."""
        op = self.made(value, "add")
        return op if isinstance(op, BinaryOp) and op.right is not None and is_number(op.right.value, number) else None

    def factors(self, op: object, depth: int = DEEPEST) -> tuple[float, list[Value], list[Operation]]:
        """A product as a number times values, and the products within that make it, which nothing else reads."""
        number, values, inner = 1.0, [], []
        if not isinstance(op, BinaryOp):
            return number, values, inner
        for side in (op.left, op.right):
            number *= 1.0 if side is None else side.value
        for value in op.operands:
            within = self.made(value, "mul") if depth else None
            if within is None or within.result.type != op.result.type:
                values.append(value)
                continue
            own, more, deeper = self.factors(within, depth - 1)
            number, values, inner = number * own, values + more, [*inner, within, *deeper]
        return number, values, inner

    def replace(self, op: GraphOp, others: Sequence[Operation], made: GraphOp) -> None:
        self.instead[op] = made
        self.gone.update(others)


def is_number(number: float, wanted: float) -> bool:
    """Whether a written constant stands for a number."""
    return isclose(number, wanted, rel_tol=CLOSE)
