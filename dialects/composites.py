"""Composites: operations that are made of others, each of them one to read and to write.

`decompose` says what of, `runtime/composites.py` what they come to, and the proof has definitions of its own
(`analysis/composite_terms.py`). What is narrower than f32 is computed in f32 and rounded once.
"""

from __future__ import annotations

from math import isfinite

from ..ir.attributes import FloatAttr
from ..ir.core import Value
from ..ir.fields import field
from ..ir.opdef import OpError, expect_tensor, float32
from ..ir.types import MAX_RANK, TensorType
from .graph import GRAPH, GraphOp, check_axes
from .graph_fields import axis_numbers
from .kernels.elementwise import FLOATS
from .result_types import result_of_elementwise


class CompositeOp(GraphOp):
    """Something along `axes` of its first operand, of which it has the type."""

    __slots__ = ()
    is_composite = True

    axes: tuple[int, ...] = field(axis_numbers)

    def check(self) -> None:
        self.check_operands()
        tensor = expect_tensor(self, self.operands[0], "the first operand" if self.operands[1:] else "the operand")
        if not 1 <= tensor.rank <= MAX_RANK:
            raise OpError(f"{self.name}: tensors have ranks from 1 to {MAX_RANK}, got {tensor}")
        if tensor.dtype not in FLOATS:
            raise OpError(f"{self.name}: element type must be one of {', '.join(FLOATS)}, got {tensor}")
        check_axes(self.name, self.axes, tensor)
        if self.result.type != tensor:
            raise OpError(f"{self.name}: the result must be {tensor}, got {self.result.type}")
        self.check_others(tensor)

    def check_operands(self) -> None:
        """Raises `OpError` for more or fewer operands than it takes."""
        self.check_counts(1)

    def check_others(self, tensor: TensorType) -> None:
        """Raises `OpError` for what doesn't go with the first operand."""

    def check_tile(self) -> None:
        self.check_untiled("is made of other operations")


@GRAPH.op
class SoftmaxOp(CompositeOp):
    """exp(x - m) / sum(exp(x - m)) along the axes, where m is the maximum along them."""

    name = "graph.softmax"

    def shown_type(self) -> str:
        return self.result.type.text


class NormOp(CompositeOp):
    """A norm along axes, times a scale that is broadcast; `epsilon` is added to what the root is taken of."""

    __slots__ = ()
    epsilon: FloatAttr = field(float32)

    @property
    def scale(self) -> Value:
        """What the normalised elements are multiplied by."""
        return self.operands[1]

    @property
    def bias(self) -> Value | None:
        """What is added in the end."""
        return self.operands[2] if len(self.operands) > 2 else None

    def check_operands(self) -> None:
        self.check_counts(2)

    def check_others(self, tensor: TensorType) -> None:
        for name, value in zip(("scale", "bias"), self.operands[1:], strict=False):
            other = expect_tensor(self, value, f"the {name}")
            if result_of_elementwise(self.name, [tensor, other]) != tensor:
                raise OpError(f"{self.name}: the {name} {other} can't be broadcast to {tensor}")
        if not (isfinite(self.epsilon.value) and self.epsilon.value >= 0):
            raise OpError(f"{self.name}: epsilon must be 0 or more, and finite, got {self.epsilon.value}", "epsilon")


@GRAPH.op
class LayerNormOp(NormOp):
    """(x - m) / sqrt(mean((x - m)^2) + epsilon) along the axes, where m is the mean along them, times the scale, plus
    the bias if there is one."""

    name = "graph.layer_norm"

    def check_operands(self) -> None:
        self.check_counts(2, 3)


@GRAPH.op
class RmsNormOp(NormOp):
    """x / sqrt(mean(x^2) + epsilon) along the axes, times the scale."""

    name = "graph.rms_norm"
