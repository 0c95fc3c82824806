"""The sched dialect: uop's operations with the SRAM address of each tile that they touch."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..ir.attributes import Attr, FloatAttr
from ..ir.builtin import FuncOp, ModuleOp
from ..ir.core import Operation, Value
from ..ir.diagnostics import Diagnostic
from ..ir.opdef import (
    Dialect,
    Field,
    OpError,
    boolean,
    coordinates,
    float32,
    integer,
    integers,
    one_of,
    read_fields,
    register_dialect,
    unit,
)
from ..ir.source import UNKNOWN_LOC
from .levels import MixedLevelsError, level_of
from .target import check_target
from .tiles import TILES, Coord, ExecBase, Names, StoreBase, TileOp, activation_name, kernel_name, rare_attributes
from .uop import UOP, shown_attributes

SCHED = register_dialect(
    Dialect(
        "sched",
        Path(__file__).with_name("sched.lark").read_text(encoding="utf-8"),
        terminals={"PLACED": "a tile with its address such as %x[0, 0] @0x0000"},
    )
)

BUFFERS = one_of(0, 1)


def sram_attribute(value: Attr) -> str:
    good = (
        type(value) is dict
        and set(value) == {"alignment", "total_bytes"}
        and all(type(v) is int and v > 0 for v in value.values())
        and value["alignment"] & (value["alignment"] - 1) == 0
    )
    return "" if good else "{alignment = A, total_bytes = B}, both positive, the alignment a power of two"


def stats_attribute(value: Attr) -> str:
    good = type(value) is dict and all(type(v) is int for v in value.values())
    return "" if good else "a dictionary of integers"


SCHED.function_attributes |= {
    "sched.sram": sram_attribute,
    "sched.stats": stats_attribute,
    "sched.target": check_target,
}
SCHED.module_attributes["sched.target"] = check_target


class PlacedOp(Operation):
    """An operation on placed tiles: `addrs[i]` is the SRAM address of the tile `coords[i]` of `operands[i]`."""

    __slots__ = ()
    addrs: tuple[int, ...]

    def check_addrs(self) -> None:
        if len(self.addrs) != len(self.operands):
            raise OpError(f"{self.name}: 'addrs' must hold {len(self.operands)}, one for each operand", "addrs")
        if min(self.addrs) < 0:
            raise OpError(f"{self.name}: an address must not be negative")


def placed_text(name: str, coord: Coord, address: int) -> str:
    return f"{name}[{str(coord)[1:-1].rstrip(',')}] @0x{address:04x}"


@SCHED.op
class LoadOp(TileOp, PlacedOp):
    """`sched.load %x[0, 0] @0x0000 {bytes = 4096}`: copies a tile on chip."""

    __slots__ = ("addrs", "buffer", "bytes")
    name = "sched.load"
    fields = (
        Field("addrs", integers, required=True),
        Field("buffer", BUFFERS),
        Field("bytes", integer, required=True),
        Field("coords", coordinates, required=True),
    )

    def __init__(
        self,
        operands: Iterable[Value],
        results: Iterable[Value] = (),
        *,
        coords: tuple[Coord, ...],
        addrs: tuple[int, ...],
        bytes: int,
        buffer: int | None = None,
        extra: dict[str, Attr] | None = None,
        loc: int = UNKNOWN_LOC,
    ):
        self.operands = tuple(operands)
        self.results = tuple(results)
        self.coords = coords
        self.addrs = addrs
        self.bytes = bytes
        self.buffer = buffer
        self.extra = extra
        self.loc = loc

    @classmethod
    def parse(cls, context: Any, parts: list[Any]) -> LoadOp:
        token = parts[1]
        name, coord, address = TILES.read(token)
        rest = read_fields(cls, parts[2] if len(parts) > 2 else {}, ("coords", "addrs"))
        operands = (context.value(token, name),)
        return cls(operands, coords=(coord,), addrs=(address,), loc=parts[0].start_pos, **rest)

    def pretty(self, names: Names) -> str:
        text = f"sched.load {placed_text(names[self.operands[0]], self.coords[0], self.addrs[0])}"
        if self.buffer is None and not self.extra:
            return f"{text} {{bytes = {self.bytes}}}"
        return text + shown_attributes(rare_attributes(self, (("buffer", self.buffer), ("bytes", self.bytes))))

    def verify(self) -> None:
        TileOp.verify(self)
        self.check_addrs()


@SCHED.op
class ExecOp(ExecBase, PlacedOp):
    """`sched.exec KERNEL %d[..] @.. = %a[..] @.., %b[..] @..`."""

    __slots__ = ("addrs", "buffer")
    name = "sched.exec"
    fields = (
        Field("accumulate", boolean, required=True),
        Field("activation", activation_name),
        Field("addrs", integers, required=True),
        Field("buffer", BUFFERS),
        Field("coords", coordinates, required=True),
        Field("kernel", kernel_name, required=True),
        Field("scale", float32),
        Field("zero_point", integer),
    )

    def __init__(
        self,
        operands: Iterable[Value],
        results: Iterable[Value] = (),
        *,
        kernel: str,
        accumulate: bool,
        coords: tuple[Coord, ...],
        addrs: tuple[int, ...],
        activation: str | None = None,
        scale: FloatAttr | None = None,
        zero_point: int | None = None,
        buffer: int | None = None,
        extra: dict[str, Attr] | None = None,
        loc: int = UNKNOWN_LOC,
    ):
        self.operands = tuple(operands)
        self.results = tuple(results)
        self.kernel = kernel
        self.accumulate = accumulate
        self.coords = coords
        self.addrs = addrs
        self.activation = activation
        self.scale = scale
        self.zero_point = zero_point
        self.buffer = buffer
        self.extra = extra
        self.loc = loc

    @classmethod
    def parse(cls, context: Any, parts: list[Any]) -> ExecOp:
        given = ("kernel", "coords", "accumulate", "addrs")
        rest = read_fields(cls, parts.pop(), given) if type(parts[-1]) is dict else {}
        keyword, kernel, dst, assign, *sources = parts
        expected = kernel_name(kernel)
        if expected:
            context.error(f"unknown kernel '{kernel}'; expected {expected}", kernel.start_pos)
            kernel = "relu"
        tokens = (dst, *sources)
        tiles = [TILES.read(t) for t in tokens]
        operands = [context.value(t, tile[0]) for t, tile in zip(tokens, tiles, strict=True)]
        coords = tuple([tile[1] for tile in tiles])
        addrs = tuple([tile[2] for tile in tiles])
        return cls(
            operands, kernel=str(kernel), accumulate=assign == "+=", coords=coords, addrs=addrs,
            loc=keyword.start_pos, **rest,
        )  # fmt: skip

    def pretty(self, names: Names) -> str:
        shown = [placed_text(names[v], c, a) for v, c, a in zip(self.operands, self.coords, self.addrs, strict=True)]
        text = f"sched.exec {self.kernel} {shown[0]} {'+=' if self.accumulate else '='} {', '.join(shown[1:])}"
        if self.activation is self.buffer is self.scale is self.zero_point is self.extra is None:
            return text
        rare = (
            ("activation", self.activation),
            ("buffer", self.buffer),
            ("scale", self.scale),
            ("zero_point", self.zero_point),
        )
        return text + shown_attributes(rare_attributes(self, rare))

    def verify(self) -> None:
        ExecBase.verify(self)
        self.check_addrs()


@SCHED.op
class StoreOp(StoreBase, PlacedOp):
    """`sched.store %h[0, 0] @0x2000 {bytes = 4096}`: copies a tile off chip; its on-chip life ends unless `retain`."""

    __slots__ = ("addrs", "buffer", "bytes")
    name = "sched.store"
    fields = (
        Field("activation", activation_name),
        Field("addrs", integers, required=True),
        Field("buffer", BUFFERS),
        Field("bytes", integer, required=True),
        Field("coords", coordinates, required=True),
        Field("retain", unit),
    )

    def __init__(
        self,
        operands: Iterable[Value],
        results: Iterable[Value] = (),
        *,
        coords: tuple[Coord, ...],
        addrs: tuple[int, ...],
        bytes: int,
        activation: str | None = None,
        retain: Attr = None,
        buffer: int | None = None,
        extra: dict[str, Attr] | None = None,
        loc: int = UNKNOWN_LOC,
    ):
        self.operands = tuple(operands)
        self.results = tuple(results)
        self.coords = coords
        self.addrs = addrs
        self.bytes = bytes
        self.activation = activation
        self.retain = retain
        self.buffer = buffer
        self.extra = extra
        self.loc = loc

    @classmethod
    def parse(cls, context: Any, parts: list[Any]) -> StoreOp:
        token = parts[1]
        name, coord, address = TILES.read(token)
        rest = read_fields(cls, parts[2] if len(parts) > 2 else {}, ("coords", "addrs"))
        operands = (context.value(token, name),)
        return cls(operands, coords=(coord,), addrs=(address,), loc=parts[0].start_pos, **rest)

    def pretty(self, names: Names) -> str:
        text = f"sched.store {placed_text(names[self.operands[0]], self.coords[0], self.addrs[0])}"
        rare = (
            ("activation", self.activation),
            ("buffer", self.buffer),
            ("bytes", self.bytes),
            ("retain", self.retain),
        )
        return text + shown_attributes(rare_attributes(self, rare))

    def verify(self) -> None:
        TileOp.verify(self)
        self.check_addrs()


@UOP.check
def check_uop_function(func: FuncOp, module: ModuleOp) -> list[Diagnostic]:
    """Refuses a function that mixes levels; replays a uop function tile by tile."""
    from .replay import replay_uop

    try:
        level = level_of(func)
    except MixedLevelsError as error:
        return [error.error]
    return replay_uop(func) if level == "uop" else []


@SCHED.check
def check_sched_function(func: FuncOp, module: ModuleOp) -> list[Diagnostic]:
    """Replays a schedule byte range by byte range and holds its statistics against its text."""
    from .sched_replay import replay_schedule

    try:
        level = level_of(func)
    except MixedLevelsError:
        return []
    return replay_schedule(func, module) if level == "sched" else []
