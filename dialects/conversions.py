"""Operations of the graph dialect that make elements of another type: casts, and to and from quantised numbers."""

from __future__ import annotations

from ..ir.attributes import FloatAttr
from ..ir.fields import field
from ..ir.light_typing import TYPE_CHECKING
from ..ir.opdef import OpError, expect_tensor, float32, integer
from ..ir.types import DTYPE_BYTES, MAX_RANK, TensorType
from .graph import GRAPH, ElementwiseOp
from .kernels.conversions import (
    CAST,
    DEQUANTIZE,
    QUANTIZE,
    REQUANTIZE,
    CheckTypes,
    check_cast,
    check_dequantize,
    check_quantize,
    check_requantize,
)

if TYPE_CHECKING:
    from typing import ClassVar


class ConversionOp(ElementwiseOp):
    """An operation that makes an element of another type of each."""

    __slots__ = ()
    check_types: ClassVar[CheckTypes]
    scale: FloatAttr | None = field(float32, default=None)
    zero_point: int | None = field(integer, default=None)

    def check(self) -> None:
        self.check_counts(1)
        a = expect_tensor(self, self.operands[0], "the operand")
        result = expect_tensor(self, self.result, "the result")
        if a.dtype not in DTYPE_BYTES:
            raise OpError(f"{self.name}: element type must be one of {', '.join(DTYPE_BYTES)}, got {a}")
        if not 1 <= a.rank <= MAX_RANK:
            raise OpError(f"{self.name}: tensors have ranks from 1 to {MAX_RANK}, got {a}")
        wanted = TensorType(a.shape, result.dtype)
        if result != wanted:
            raise OpError(f"{self.name}: the result must be {wanted}, got {result}")
        type(self).check_types(self.name, a.dtype, result.dtype, self)

    def shown_type(self) -> str:
        return f"{self.operands[0].type} -> {self.result.type}"


@GRAPH.op
class CastOp(ConversionOp):
    """Another element type; i32 to i8 or ui8 with `scale` and `zero_point` requantises: round half to even, then
    saturate."""

    name = "graph.cast"
    kernel = CAST.name
    check_types = staticmethod(check_cast)


@GRAPH.op
class QuantizeOp(ConversionOp):
    """f32 in steps of `scale`, from `zero_point` on, as i8 or ui8: round half to even, then saturate."""

    name = "graph.quantize"
    kernel = QUANTIZE.name
    check_types = staticmethod(check_quantize)


@GRAPH.op
class RequantizeOp(ConversionOp):
    """i32 times `scale`, computed in f32, from `zero_point` on, as i8 or ui8: round half to even, then saturate."""

    name = "graph.requantize"
    kernel = REQUANTIZE.name
    check_types = staticmethod(check_requantize)


@GRAPH.op
class DequantizeOp(ConversionOp):
    """What i8, ui8 or i32 stands for in f32: steps of `scale`, from `zero_point` on."""

    name = "graph.dequantize"
    kernel = DEQUANTIZE.name
    check_types = staticmethod(check_dequantize)
