"""The uop dialect: tile loads, execs and stores on a machine with unlimited on-chip memory."""

from __future__ import annotations

from ..ir.attributes import UNIT, Attributes, Unit, dict_text
from ..ir.core import Operation, Value
from ..ir.fields import field
from ..ir.light_typing import Any
from ..ir.opdef import Dialect, OpError, read_fields, register_dialect, unit
from ..ir.parsing import ParseContext
from ..ir.printer import Names
from ..ir.reading.grammar import grammar_beside
from ..ir.types import Type
from .tile_ops import ExecBase, StoreBase, TileOp
from .tiles import At, Pin, TiledType, at_attribute, natural, pin_attribute, read_tile_token, read_tiled

UOP = register_dialect(
    Dialect(
        "uop",
        grammar_beside(__file__),
        terminals={
            "TILE": "a tile such as %x[0, 0]",
            "TILED": "a type such as !uop.tiled<tensor<128x64xf32>, [32, 32]>",
            "KERNEL": "a kernel such as matmul",
            "ASSIGN": "'=' or '+='",
        },
        references={"TILE": lambda text: read_tile_token(text)[:2]},
    )
)


@UOP.action("tiled_type")
def _tiled_type(context: ParseContext, parts: list[Any]) -> Type:
    return context.memo_type(parts[0], read_tiled)


@UOP.op
class AllocOp(Operation):
    """`%h = uop.alloc : type`: an off-chip buffer; `on_chip` marks one that has no off-chip bytes.

    `pin` and `at` are asked of the scheduler (`placement_limits.py`); `dram` is the buffer's off-chip address.
    """

    name = "uop.alloc"
    at: At = field(at_attribute, default=None)
    dram: int | None = field(natural, default=None)
    on_chip: Unit | None = field(unit, default=None)
    pin: Pin = field(pin_attribute, default=None)

    @classmethod
    def parse(cls, context: ParseContext, parts: list[Any]) -> AllocOp:
        attributes: Attributes = parts[1] if len(parts) > 2 else {}
        return cls((), [Value(parts[-1])], loc=parts[0].start_pos, **read_fields(cls, attributes))

    def pretty(self, names: Names) -> str:
        attributes = self.attributes
        return f"uop.alloc{' ' + dict_text(attributes) if attributes else ''} : {self.results[0].type}"

    def verify(self) -> None:
        if self.operands or len(self.results) != 1:
            raise OpError("uop.alloc has no operands and one result")
        if not isinstance(self.results[0].type, TiledType):
            raise OpError(f"uop.alloc needs a !uop.tiled type, got {self.results[0].type}")


@UOP.op
class LoadOp(TileOp):
    """`uop.load %x[0, 0]`: asks for a tile; nothing moves if it is on chip."""

    name = "uop.load"


@UOP.op
class ExecOp(ExecBase):
    """`uop.exec KERNEL %d[..] = %a[..], %b[..]`."""

    name = "uop.exec"


@UOP.op
class StoreOp(StoreBase):
    """`uop.store %h[0, 0]`: copies a tile off chip and ends its on-chip life, unless `retain` keeps it."""

    name = "uop.store"


def is_alloc(value: Value) -> bool:
    """Whether a buffer comes from `uop.alloc` (and may be written)."""
    return isinstance(value.owner, AllocOp)


def is_on_chip(value: Value) -> bool:
    """Whether a buffer is marked as having no off-chip bytes."""
    return isinstance(value.owner, AllocOp) and value.owner.on_chip is UNIT
