"""The sched dialect: uop's operations with the SRAM address of each tile that they touch."""

from __future__ import annotations

from ..ir.attributes import Attr, Attributes, Unit
from ..ir.fields import field
from ..ir.opdef import Dialect, OpError, are_integers, integer, integers, one_of, register_dialect, unit
from ..ir.printer import Names
from ..ir.reading.grammar import grammar_beside
from ..ir.texts import COORD, of_kind
from .target import check_target, is_alignment, is_positive, reserved_ranges
from .tile_ops import ExecBase, RightExecs, RightStores, RightTiles, StoreBase, TileOp
from .tiles import at_attribute, natural, pin_attribute, read_tile_token

SCHED = register_dialect(
    Dialect(
        "sched",
        grammar_beside(__file__),
        terminals={"PLACED": "a tile with its address such as %x[0, 0] @0x0000"},
        references={"PLACED": read_tile_token},
    )
)


def sram_attribute(value: Attr) -> str:
    wrong = "{alignment = A, total_bytes = B}, both positive, the alignment a power of two"
    if type(value) is not dict:
        return wrong
    good = (
        {"alignment", "total_bytes"} <= set(value) <= {"alignment", "reserved", "total_bytes", *PINGPONG}
        and is_positive(value["total_bytes"])
        and is_alignment(value["alignment"])
        and reserved_ranges(value.get("reserved", ()))
    )
    return halves_attribute(value) if good else wrong


def halves_attribute(sram: Attributes) -> str:
    """Whether what `sched.sram` says of ping/pong buffering makes sense."""
    if not sram.keys() & PINGPONG:
        return ""
    if sram.get("buffering") != "pingpong" or "halves" not in sram:
        return 'a dictionary with both of buffering = "pingpong" and halves = [[a, b], [c, d]], or neither'
    halves: Attr = sram["halves"]
    if not reserved_ranges(halves) or len(halves) != 2 or max(halves[0][1], halves[1][1]) > sram["total_bytes"]:
        return "a dictionary in which 'halves' is two ranges of bytes [start, end) within the SRAM"
    (start, end), (other_start, other_end) = halves
    return "" if end <= other_start or other_end <= start else "a dictionary in which 'halves' don't overlap"


def stats_attribute(value: Attr) -> str:
    good = type(value) is dict and all(type(v) is int for v in value.values())
    return "" if good else "a dictionary of integers"


PINGPONG = frozenset({"buffering", "halves"})
"""What `sched.sram` may say beside sizes: the halves of a ping/pong buffer (`halves.py`)."""

SCHED.function_attributes |= {
    "sched.sram": sram_attribute,
    "sched.stats": stats_attribute,
    "sched.target": check_target,
}
SCHED.argument_attributes |= {"sched.at": at_attribute, "sched.pin": pin_attribute}
SCHED.module_attributes["sched.target"] = check_target


def wait_pairs(value: Attr) -> str:
    good = type(value) is tuple and all(are_integers(w) and len(w) == 2 and w[0] >= 0 and w[1] > 0 for w in value)
    return "" if good and value else "a list of [queue, count] such as [[1, 3]]"


ADDRESS = of_kind(integer, " @0x{:04x}".format)
"""The texts of addresses behind tiles: ` @0x1000` for 4096."""


# Asked of each operation: found once, for these operations' types.
_right_tiles = RightTiles["PlacedOp"].knows
_right_stores = RightStores["StoreOp"].knows
_right_execs = RightExecs["ExecOp"].knows


class RightPlacedTiles(RightTiles["PlacedOp"]):
    def knows(self, op: PlacedOp) -> bool:
        return _right_tiles(self, op) and len(op.addrs) == 1 and op.addrs[0] >= 0


class RightPlacedStores(RightStores["StoreOp"]):
    def knows(self, op: StoreOp) -> bool:
        return _right_stores(self, op) and len(op.addrs) == 1 and op.addrs[0] >= 0


class RightPlacedExecs(RightExecs["ExecOp"]):
    def knows(self, op: ExecOp) -> bool:
        return _right_execs(self, op) and len(op.addrs) == len(op.operands) and min(op.addrs) >= 0


class PlacedOp(TileOp):
    """An operation on placed tiles: `addrs[i]` is the SRAM address of the tile `coords[i]` of `operands[i]`.

    `queue` is the engine's queue that it stands in; it starts when the queues in `wait` have signalled that often, and
    `signal`s when it has ended (`queues.py`). A load and an exec may name the `half` of a ping/pong buffer.
    """

    __slots__ = ()
    references = ("coords", "addrs")
    verifier_memory = RightPlacedTiles
    addrs: tuple[int, ...] = field(integers, in_braces=False)
    buffer: int | None = field(one_of(0, 1), default=None)
    queue: int | None = field(natural, default=None)
    signal: Unit | None = field(unit, default=None)
    wait: tuple[tuple[int, int], ...] | None = field(wait_pairs, default=None)

    def pretty(self, names: Names) -> str:
        if self.extra or not len(self.operands) == len(self.coords) == len(self.addrs) == 1:
            return self.any_pretty(names)
        tile = f"{names[self.operands[0]]}{COORD[self.coords[0]]}{ADDRESS[self.addrs[0]]}"
        return f"{self.name} {tile}{self.tail()}"

    def shown_tiles(self, names: Names) -> list[str]:
        tiles = zip(self.operands, self.coords, self.addrs, strict=True)
        return [names[v] + COORD[c] + ADDRESS[a] for v, c, a in tiles]

    def verify(self) -> None:
        super().verify()
        if len(self.addrs) != len(self.operands):
            raise OpError(f"{self.name}: 'addrs' must hold {len(self.operands)}, one for each operand", "addrs")
        if min(self.addrs) < 0:
            raise OpError(f"{self.name}: an address must not be negative")


@SCHED.op
class LoadOp(PlacedOp):
    """`sched.load %x[0, 0] @0x0000 {bytes = 4096}`: copies a tile on chip."""

    name = "sched.load"
    bytes: int = field(integer)
    half: int | None = field(one_of(0, 1), default=None)


@SCHED.op
class ExecOp(PlacedOp, ExecBase):
    """`sched.exec KERNEL %d[..] @.. = %a[..] @.., %b[..] @..`."""

    verifier_memory = RightPlacedExecs
    name = "sched.exec"
    half: int | None = field(one_of(0, 1), default=None)

    def pretty(self, names: Names) -> str:
        operands, coords, addrs = self.operands, self.coords, self.addrs
        count = len(operands)
        if self.extra or not 2 <= count <= 4 or not len(coords) == len(addrs) == count:
            return self.any_pretty(names)
        head, assign, tail = self.words()
        dst = f"{head}{names[operands[0]]}{COORD[coords[0]]}{ADDRESS[addrs[0]]}{assign}"
        tiles = f"{dst}{names[operands[1]]}{COORD[coords[1]]}{ADDRESS[addrs[1]]}"
        if count == 2:
            return tiles + tail
        last = f", {names[operands[3]]}{COORD[coords[3]]}{ADDRESS[addrs[3]]}{tail}" if count > 3 else tail
        return f"{tiles}, {names[operands[2]]}{COORD[coords[2]]}{ADDRESS[addrs[2]]}{last}"


@SCHED.op
class StoreOp(PlacedOp, StoreBase):
    """`sched.store %h[0, 0] @0x2000 {bytes = 4096}`: copies a tile off chip; its on-chip life ends unless `retain`.

    `spill` says that it only makes room: the tile is loaded again later.
    """

    verifier_memory = RightPlacedStores
    name = "sched.store"
    bytes: int = field(integer)
    spill: Unit | None = field(unit, default=None)
