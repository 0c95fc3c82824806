"""The uop dialect: tile loads, execs and stores on a machine with unlimited on-chip memory."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..ir.attributes import UNIT, Attr, FloatAttr, dict_text
from ..ir.core import Operation, Value
from ..ir.opdef import (
    Dialect,
    Field,
    OpError,
    boolean,
    coordinates,
    float32,
    integer,
    read_fields,
    register_dialect,
    unit,
)
from ..ir.source import UNKNOWN_LOC
from .tiles import (
    TILES,
    Coord,
    ExecBase,
    Names,
    StoreBase,
    TiledType,
    TileOp,
    activation_name,
    kernel_name,
    rare_attributes,
    read_tiled,
)

UOP = register_dialect(
    Dialect(
        "uop",
        Path(__file__).with_name("uop.lark").read_text(encoding="utf-8"),
        terminals={
            "TILE": "a tile such as %x[0, 0]",
            "TILED": "a type such as !uop.tiled<tensor<128x64xf32>, [32, 32]>",
            "KERNEL": "a kernel such as matmul",
            "ASSIGN": "'=' or '+='",
        },
    )
)


@UOP.action("tiled_type")
def _tiled_type(context: Any, parts: list[Any]) -> TiledType:
    return context.memo_type(parts[0], read_tiled)


def shown_attributes(attributes: dict[str, Attr]) -> str:
    return " " + dict_text(attributes) if attributes else ""


@UOP.op
class AllocOp(Operation):
    """`%h = uop.alloc : type`: an off-chip buffer; `on_chip` marks one that has no off-chip bytes."""

    __slots__ = ("on_chip",)
    name = "uop.alloc"
    fields = (Field("on_chip", unit),)

    def __init__(
        self,
        operands: Iterable[Value],
        results: Iterable[Value],
        *,
        on_chip: Attr = None,
        extra: dict[str, Attr] | None = None,
        loc: int = UNKNOWN_LOC,
    ):
        super().__init__(operands, results, extra=extra, loc=loc)
        self.on_chip = on_chip

    @classmethod
    def parse(cls, context: Any, parts: list[Any]) -> AllocOp:
        attributes = parts[1] if len(parts) > 2 else {}
        return cls((), [Value(parts[-1])], loc=parts[0].start_pos, **read_fields(cls, attributes))

    def pretty(self, names: Names) -> str:
        return f"uop.alloc{shown_attributes(self.attributes)} : {self.results[0].type}"

    def verify(self) -> None:
        if self.operands or len(self.results) != 1:
            raise OpError("uop.alloc has no operands and one result")
        if not isinstance(self.results[0].type, TiledType):
            raise OpError(f"uop.alloc needs a !uop.tiled type, got {self.results[0].type}")


@UOP.op
class LoadOp(TileOp):
    """`uop.load %x[0, 0]`: asks for a tile; nothing moves if it is on chip."""

    __slots__ = ()
    name = "uop.load"
    fields = (Field("coords", coordinates, required=True),)

    def __init__(
        self,
        operands: Iterable[Value],
        results: Iterable[Value] = (),
        *,
        coords: tuple[Coord, ...],
        extra: dict[str, Attr] | None = None,
        loc: int = UNKNOWN_LOC,
    ):
        self.operands = tuple(operands)
        self.results = tuple(results)
        self.coords = coords
        self.extra = extra
        self.loc = loc

    @classmethod
    def parse(cls, context: Any, parts: list[Any]) -> LoadOp:
        token = parts[1]
        name, coord, _ = TILES.read(token)
        rest = read_fields(cls, parts[2], ("coords",)) if len(parts) > 2 else {}
        return cls((context.value(token, name),), coords=(coord,), loc=parts[0].start_pos, **rest)

    def pretty(self, names: Names) -> str:
        text = f"uop.load {names[self.operands[0]]}[{str(self.coords[0])[1:-1].rstrip(',')}]"
        return text + shown_attributes(self.extra) if self.extra else text


@UOP.op
class ExecOp(ExecBase):
    """`uop.exec KERNEL %d[..] = %a[..], %b[..]`."""

    __slots__ = ()
    name = "uop.exec"
    fields = (
        Field("accumulate", boolean, required=True),
        Field("activation", activation_name),
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
        activation: str | None = None,
        scale: FloatAttr | None = None,
        zero_point: int | None = None,
        extra: dict[str, Attr] | None = None,
        loc: int = UNKNOWN_LOC,
    ):
        self.operands = tuple(operands)
        self.results = tuple(results)
        self.kernel = kernel
        self.accumulate = accumulate
        self.coords = coords
        self.activation = activation
        self.scale = scale
        self.zero_point = zero_point
        self.extra = extra
        self.loc = loc

    @classmethod
    def parse(cls, context: Any, parts: list[Any]) -> ExecOp:
        rest = read_fields(cls, parts.pop(), ("kernel", "coords", "accumulate")) if type(parts[-1]) is dict else {}
        keyword, kernel, dst, assign, *sources = parts
        expected = kernel_name(kernel)
        if expected:
            context.error(f"unknown kernel '{kernel}'; expected {expected}", kernel.start_pos)
            kernel = "relu"
        tokens = (dst, *sources)
        tiles = [TILES.read(t) for t in tokens]
        operands = [context.value(t, tile[0]) for t, tile in zip(tokens, tiles, strict=True)]
        coords = tuple([tile[1] for tile in tiles])
        return cls(
            operands, kernel=str(kernel), accumulate=assign == "+=", coords=coords, loc=keyword.start_pos, **rest
        )

    def pretty(self, names: Names) -> str:
        shown = [f"{names[v]}[{str(c)[1:-1].rstrip(',')}]" for v, c in zip(self.operands, self.coords, strict=True)]
        text = f"uop.exec {self.kernel} {shown[0]} {'+=' if self.accumulate else '='} {', '.join(shown[1:])}"
        if self.activation is None and self.scale is None and self.zero_point is None and not self.extra:
            return text
        rare = (("activation", self.activation), ("scale", self.scale), ("zero_point", self.zero_point))
        return text + shown_attributes(rare_attributes(self, rare))


@UOP.op
class StoreOp(StoreBase):
    """`uop.store %h[0, 0]`: copies a tile off chip and ends its on-chip life, unless `retain` keeps it."""

    __slots__ = ()
    name = "uop.store"
    fields = (Field("activation", activation_name), Field("coords", coordinates, required=True), Field("retain", unit))

    def __init__(
        self,
        operands: Iterable[Value],
        results: Iterable[Value] = (),
        *,
        coords: tuple[Coord, ...],
        activation: str | None = None,
        retain: Attr = None,
        extra: dict[str, Attr] | None = None,
        loc: int = UNKNOWN_LOC,
    ):
        self.operands = tuple(operands)
        self.results = tuple(results)
        self.coords = coords
        self.activation = activation
        self.retain = retain
        self.extra = extra
        self.loc = loc

    @classmethod
    def parse(cls, context: Any, parts: list[Any]) -> StoreOp:
        token = parts[1]
        name, coord, _ = TILES.read(token)
        rest = read_fields(cls, parts[2], ("coords",)) if len(parts) > 2 else {}
        return cls((context.value(token, name),), coords=(coord,), loc=parts[0].start_pos, **rest)

    def pretty(self, names: Names) -> str:
        text = f"uop.store {names[self.operands[0]]}[{str(self.coords[0])[1:-1].rstrip(',')}]"
        if self.activation is None and self.retain is None and not self.extra:
            return text
        rare = rare_attributes(self, (("activation", self.activation), ("retain", self.retain)))
        return text + shown_attributes(rare)


def is_alloc(value: Value) -> bool:
    """Whether a buffer comes from `uop.alloc` (and may be written)."""
    return isinstance(value.owner, AllocOp)


def is_on_chip(value: Value) -> bool:
    """Whether a buffer is marked as having no off-chip bytes."""
    return isinstance(value.owner, AllocOp) and value.owner.on_chip is UNIT
