"""Opaque operations: what another tool's model has and this language has not, kept so that the rest can be planned.

    %y = "graph.opaque"(%x, %w) {node = "conv1", op = "Conv"} : (tensor<...>, tensor<...>) -> tensor<...>

What they compute is not known, so that nothing runs them. They read their operands off chip and write their results
there, whole, in a place of their own in the order: each is a barrier.
"""

from __future__ import annotations

from math import prod

from ..ir.builtin import FuncOp
from ..ir.core import Operation, Value
from ..ir.fields import field
from ..ir.opdef import OpError, string
from ..ir.types import TensorType
from .graph import GRAPH
from .tiles import TILEABLE, TiledType, can_tile
from .uop import UOP


class OpaqueBase(Operation):
    """An operation of which nothing is known but its operator `op`, the `node` that it was, and what it reads and
    writes."""

    __slots__ = ()
    node: str = field(string)
    op: str = field(string)

    @property
    def read_bytes(self) -> int:
        """Bytes that it reads off chip: each operand once, with padding where it is in tiles."""
        return sum(map(_bytes, dict.fromkeys(self.operands)))

    @property
    def written_bytes(self) -> int:
        """Bytes that it writes off chip."""
        return sum(map(_bytes, self.results))

    def check_data(self, kind: type[TensorType | TiledType], what: str) -> None:
        """Raises `OpError` for an operand or a result that is not of a kind, or of which nothing could be planned."""
        if not self.results:
            raise OpError(f"{self.name} has at least one result")
        for value in (*self.operands, *self.results):
            if not isinstance(value.type, kind):
                raise OpError(f"{self.name} works on {what}, got {value.type}", values=[value])


@GRAPH.op
class GraphOpaqueOp(OpaqueBase):
    """On whole tensors, of which it takes and gives any number."""

    name = "graph.opaque"

    def verify(self) -> None:
        self.check_data(TensorType, f"tensors of {TILEABLE}")
        other = next((v for v in (*self.operands, *self.results) if not can_tile(v.type)), None)
        if other is not None:
            raise OpError(f"{self.name} works on tensors of {TILEABLE}, got {other.type}", values=[other])


@UOP.op
class OpaqueOp(OpaqueBase):
    """On whole buffers, at uop level and in schedules alike. Every tile of its operands must be stored as it is, and
    its results are off chip from then on, as arguments are from the start."""

    name = "uop.opaque"

    def verify(self) -> None:
        self.check_data(TiledType, "tensors in tiles")


def opaque_ops(func: FuncOp) -> list[OpaqueBase]:
    """A function's opaque operations, in order."""
    return [op for op in func.ops if isinstance(op, OpaqueBase)]


def _bytes(value: Value) -> int:
    if isinstance(value.type, TiledType):
        return value.type.count * value.type.tile_bytes
    assert isinstance(value.type, TensorType)
    return prod(value.type.shape) * value.type.element_bytes
