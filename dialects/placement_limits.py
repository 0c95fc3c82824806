"""What a user asks of where tiles lie: pinned tiles, fixed addresses (on arguments and allocs), reserved SRAM."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from ..ir.attributes import UNIT
from ..ir.builtin import FuncOp
from ..ir.core import Value
from ..ir.diagnostics import Diagnostic
from ..ir.light_typing import NamedTuple
from ..ir.types import TensorType
from ..planner.units import round_up
from .tiles import At, Coord, Pin, TiledType, coord_text
from .uop import AllocOp


class Wish(NamedTuple):
    """What is asked of a buffer; None for nothing."""

    pin: Pin
    at: At
    loc: int

    def pins(self, coord: Coord) -> bool:
        return self.pin is UNIT or (isinstance(self.pin, tuple) and coord in self.pin)

    def count(self, type_: TiledType) -> int:
        """How many tiles of a buffer are pinned, or have an address that is asked for."""
        if self.pin is UNIT or isinstance(self.at, int):
            return type_.count
        named: set[tuple[int, ...]] = set(self.pin) if isinstance(self.pin, tuple) else set()
        named |= {v[:-1] for v in self.at or ()}
        return sum(len(c) == len(type_.grid) and all(map(_inside, c, type_.grid)) for c in named)

    def address(self, type_: TiledType, coord: Coord, alignment: int) -> int | None:
        """The address that a tile must have: of the whole buffer's tiles row by row, each aligned; or its own."""
        if isinstance(self.at, int):
            step = round_up(type_.tile_bytes, alignment)
            return self.at + type_.number(coord) * step
        return next((v[-1] for v in self.at or () if v[:-1] == coord), None)


def _inside(index: int, count: int) -> bool:
    return 0 <= index < count


def wishes_of(func: FuncOp) -> dict[Value, Wish]:
    """What a function asks, by buffer."""
    found: dict[Value, Wish] = {}
    for arg, attrs in zip(func.args, func.arg_attrs, strict=True):
        if "sched.pin" in attrs or "sched.at" in attrs:
            found[arg] = Wish(attrs.get("sched.pin"), attrs.get("sched.at"), arg.loc)
    for op in func.ops:
        if type(op) is AllocOp and (op.pin is not None or op.at is not None):
            found[op.result] = Wish(op.pin, op.at, op.loc)
    return found


def wish_errors(func: FuncOp, level: str) -> Iterator[Diagnostic]:
    """What is asked of a value that is no buffer, and coordinates outside the grid of one."""
    for value, wish in wishes_of(func).items():
        if not isinstance(value.type, TiledType):
            if level == "graph" and isinstance(value.type, TensorType):
                continue
            message = f"%{value.name} is no tiled buffer, so that nothing can be asked of where its tiles lie"
            yield Diagnostic(message, wish.loc)
            continue
        named = [*(wish.pin if isinstance(wish.pin, tuple) else ())]
        named += [v[:-1] for v in (wish.at if isinstance(wish.at, tuple) else ())]
        for coord in named:
            inside = len(coord) == len(value.type.grid) and all(map(_inside, coord, value.type.grid))
            if not inside:
                message = (
                    f"%{value.name} has no tile {coord_text(coord)}; its grid is {'x'.join(map(str, value.type.grid))}"
                )
                yield Diagnostic(message, wish.loc)


def off_chip_bytes(type_: TiledType) -> int:
    """Bytes of a buffer off chip, padding included."""
    return prod(type_.grid) * type_.tile_bytes
