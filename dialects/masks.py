"""Masks: operations of the graph dialect that leave some elements of a tensor, by their coordinates."""

from __future__ import annotations

from ..ir.fields import field
from ..ir.opdef import OpError, expect_tensor, integer
from ..ir.types import MAX_RANK
from .graph import GRAPH, ElementwiseOp
from .kernels.elementwise import FLOATS
from .kernels.masks import CAUSAL_MASK
from .tiles import Coord


@GRAPH.op
class CausalMaskOp(ElementwiseOp):
    """Of each row i, along the last two axes, the elements up to column i + `diagonal`; minus infinity behind them."""

    name = "graph.causal_mask"
    kernel = CAUSAL_MASK.name
    diagonal: int | None = field(integer, default=None)

    def check(self) -> None:
        self.check_counts(1)
        tensor = expect_tensor(self, self.operands[0], "the operand")
        if not 2 <= tensor.rank <= MAX_RANK:
            raise OpError(f"{self.name}: tensors have ranks from 2 to {MAX_RANK}, got {tensor}")
        if tensor.dtype not in FLOATS:
            raise OpError(f"{self.name}: element type must be one of {', '.join(FLOATS)}, got {tensor}")
        if self.result.type != tensor:
            raise OpError(f"{self.name}: the result must be {tensor}, got {self.result.type}")

    def shown_type(self) -> str:
        return self.result.type.text


def diagonal_of(op: CausalMaskOp, coord: Coord, tile: Coord) -> int:
    """The `diagonal` of a mask's tile, counted from that tile's own first row and column; no further away than where
    nothing of it is left, or all."""
    found = (op.diagonal or 0) + coord[-2] * tile[-2] - coord[-1] * tile[-1]
    return min(max(found, -tile[-2]), tile[-1])
