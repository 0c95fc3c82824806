"""The operations on tiles that uop and sched share: their attributes, reading, printing and checks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from operator import contains
from typing import Any, ClassVar

from ..ir.attributes import Attr, FloatAttr, dict_text
from ..ir.core import Operation, Value
from ..ir.opdef import Field, OpError, boolean, coordinates, float32, integer, read_fields, unit
from ..ir.source import UNKNOWN_LOC
from ..ir.texts import COORD, Made, by_values, declared, entries
from .tiles import (
    KERNELS,
    Coord,
    Kernel,
    TiledType,
    activation_name,
    check_tile,
    kernel_name,
    read_tile_token,
    tile_text,
)

Names = dict[Value, str]

MOST_CHECKED = 10_000
"""Most combinations of kernel and types that are remembered as right."""

COORDS = Field("coords", coordinates, required=True)
IN_SYNTAX = frozenset({"coords", "addrs", "kernel", "accumulate"})
"""The fields that the pretty form has in its own syntax; the others stand in braces."""


class RightCoords(dict[Value, set[Coord]]):
    """Coordinates within the grids of buffers that are known; buffers of one type share them."""

    def __init__(self) -> None:
        super().__init__()
        self.by_type: dict[tuple[type, str], set[Coord]] = {}

    def __missing__(self, value: Value) -> set[Coord]:
        return set()

    def learn(self, op: TileOp) -> None:
        for value, coord in zip(op.operands, op.coords, strict=True):
            if value not in self:
                self[value] = self.by_type.setdefault((type(value.type), value.type.text), set())
            self[value].add(coord)


class RightTiles:
    """What has been found right of operations on one tile."""

    def __init__(self) -> None:
        self.coords = RightCoords()

    def knows(self, op: TileOp) -> bool:
        return len(op.operands) == 1 == len(op.coords) and op.coords[0] in self.coords[op.operands[0]]

    def learn(self, op: TileOp) -> None:
        self.coords.learn(op)


class RightExecs:
    """What has been found right of execs: kernels with buffers that go with them, whatever their tiles."""

    def __init__(self) -> None:
        self.coords = RightCoords()
        self.kernels: dict[tuple, list[set[Coord]]] = {}

    def knows(self, op: ExecBase) -> bool:
        coords = op.coords
        inside = self.kernels.get((op.kernel, op.accumulate, op.operands))
        if inside is None or len(inside) != len(coords) or op.scale is not None or op.zero_point is not None:
            return False
        if len(coords) != 3:
            return all(map(contains, inside, coords))
        (a, b, c), (p, q, r) = inside, coords
        return p in a and q in b and r in c

    def learn(self, op: ExecBase) -> None:
        self.coords.learn(op)
        if op.scale is not None or op.zero_point is not None:
            return
        if op.operands[0] not in op.operands[1:] or KERNELS[op.kernel].in_place:
            self.kernels[op.kernel, op.accumulate, op.operands] = [self.coords[value] for value in op.operands]


class TileOp(Operation):
    """An operation on tiles: `coords[i]` is the tile of `operands[i]` that it names; it has no results."""

    __slots__ = ("coords",)
    references = ("coords",)
    verifier_memory: ClassVar[type] = RightTiles
    coords: tuple[Coord, ...]
    braces: ClassVar[tuple[Field, ...]] = ()
    needs_braces: ClassVar[bool] = False
    tail: ClassVar[Callable[[Any], str]]
    """The braces with a blank before them, or nothing; discardable attributes aside."""

    def __init_subclass__(cls) -> None:
        cls.braces = tuple(f for f in cls.fields if f.name not in IN_SYNTAX)
        cls.needs_braces = any(f.required for f in cls.braces)
        cls.tail = by_values(cls.braces, partial(_tail, cls))

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
    def parse(cls, context: Any, parts: list[Any]) -> TileOp:
        """Reads `KEYWORD tile {...}`; subclasses take their own parts out of the middle."""
        attributes = parts.pop() if type(parts[-1]) is dict else {}
        return cls.build(context, parts[0], parts[1:], attributes)

    @classmethod
    def build(cls, context: Any, keyword: Any, tokens: list[Any], attributes: dict[str, Attr], **fields: Any) -> TileOp:
        """The operation on the tiles that the tokens name."""
        tiles = [read_tile_token(token) for token in tokens]
        if attributes or cls.needs_braces:
            fields |= read_fields(cls, attributes, IN_SYNTAX)
        if tiles[0][2] >= 0:
            fields["addrs"] = tuple([tile[2] for tile in tiles])
        values = context.values
        try:
            operands = [values[tile[0]] for tile in tiles]
        except KeyError:
            operands = [context.value(token, tile[0]) for token, tile in zip(tokens, tiles, strict=True)]
        return cls(operands, coords=tuple([tile[1] for tile in tiles]), loc=keyword.start_pos, **fields)

    def pretty(self, names: Names) -> str:
        if self.extra or not len(self.operands) == 1 == len(self.coords):
            return self.any_pretty(names)
        return f"{self.name} {names[self.operands[0]]}{COORD[self.coords[0]]}{self.tail()}"

    def any_pretty(self, names: Names) -> str:
        """The pretty form, also with discardable attributes and a number of tiles that is not right."""
        text = self.head(self.shown_tiles(names))
        return f"{text} {dict_text(self.braced() | self.extra)}" if self.extra else text + self.tail()

    def shown_tiles(self, names: Names) -> list[str]:
        """The tile references as the pretty form writes them."""
        return [names[v] + COORD[c] for v, c in zip(self.operands, self.coords, strict=True)]

    def braced(self) -> dict[str, Attr]:
        """The attributes that the pretty form prints in braces."""
        present = {f: value for f in self.braces if (value := getattr(self, f.slot)) is not None}
        return {f.name: declared(f.kind, value)[0] for f, value in present.items()}

    def head(self, tiles: list[str]) -> str:
        """The pretty form up to the braces."""
        return f"{self.name} {tiles[0]}"

    def check_shape(self, least: int, most: int) -> None:
        if self.results:
            raise OpError(f"{self.name} has no results")
        if not least <= len(self.operands) <= most:
            wanted = "one tile" if most == 1 else "two or three tiles"
            raise OpError(f"{self.name} names {wanted}, got {len(self.operands)}")
        if len(self.coords) != len(self.operands):
            raise OpError(f"{self.name}: 'coords' must hold {len(self.operands)}, one for each operand", "coords")

    def verify(self) -> None:
        self.check_shape(1, 1)
        check_tile(self, self.operands[0], self.coords[0])


def _tail(cls: type[TileOp], values: tuple[Attr, ...]) -> Made:
    shown, keep = entries(cls.braces, values)
    return f" {{{', '.join(shown)}}}" if shown else "", keep


ACTIVATION = Field("activation", activation_name)
RETAIN = Field("retain", unit)


class StoreBase(TileOp):
    """Copies a finished tile off chip, with an optional activation on the way; `retain` keeps the on-chip copy."""

    __slots__ = ("activation", "retain")

    def __init__(
        self, operands: Iterable[Value], results: Iterable[Value] = (), *,
        coords: tuple[Coord, ...], activation: str | None = None, retain: Attr = None,
        extra: dict[str, Attr] | None = None, loc: int = UNKNOWN_LOC,
    ):  # fmt: skip
        self.operands = tuple(operands)
        self.results = tuple(results)
        self.coords = coords
        self.extra = extra
        self.loc = loc
        self.activation = activation
        self.retain = retain


ACCUMULATE = Field("accumulate", boolean, required=True)
KERNEL = Field("kernel", kernel_name, required=True)
EXEC_FIELDS = (
    ACCUMULATE,
    ACTIVATION,
    COORDS,
    KERNEL,
    Field("scale", float32),
    Field("zero_point", integer),
)


class ExecBase(TileOp):
    """`KERNEL dst = srcs` or `dst += srcs`; `coords[0]` is the destination's tile."""

    __slots__ = ("accumulate", "activation", "kernel", "scale", "zero_point")
    verifier_memory = RightExecs
    words: ClassVar[Callable[[Any], tuple[str, str, str]]]
    """What stands before the destination, before the sources, and behind them; discardable attributes aside."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.words = by_values((ACCUMULATE, KERNEL, *cls.braces), partial(_words, cls))

    def __init__(
        self,
        operands: Iterable[Value],
        results: Iterable[Value] = (),
        *,
        coords: tuple[Coord, ...],
        kernel: str,
        accumulate: bool,
        activation: str | None = None,
        scale: FloatAttr | None = None,
        zero_point: int | None = None,
        extra: dict[str, Attr] | None = None,
        loc: int = UNKNOWN_LOC,
    ):
        self.operands = tuple(operands)
        self.results = tuple(results)
        self.coords = coords
        self.extra = extra
        self.loc = loc
        self.kernel = kernel
        self.accumulate = accumulate
        self.activation = activation
        self.scale = scale
        self.zero_point = zero_point

    @classmethod
    def parse(cls, context: Any, parts: list[Any]) -> TileOp:
        attributes = parts.pop() if type(parts[-1]) is dict else {}
        keyword, kernel, dst, assign, *sources = parts
        expected = kernel_name(kernel)
        if expected:
            context.error(f"unknown kernel '{kernel}'; expected {expected}", kernel.start_pos)
            kernel = "relu"
        fields = {"kernel": str(kernel), "accumulate": assign == "+="}
        return cls.build(context, keyword, [dst, *sources], attributes, **fields)

    def pretty(self, names: Names) -> str:
        operands, coords = self.operands, self.coords
        count = len(operands)
        if self.extra or not 2 <= count <= 3 or len(coords) != count:
            return self.any_pretty(names)
        head, assign, tail = self.words()
        tiles = f"{head}{names[operands[0]]}{COORD[coords[0]]}{assign}{names[operands[1]]}{COORD[coords[1]]}"
        return tiles + tail if count == 2 else f"{tiles}, {names[operands[2]]}{COORD[coords[2]]}{tail}"

    def head(self, tiles: list[str]) -> str:
        return f"{self.name} {self.kernel} {tiles[0]} {'+=' if self.accumulate else '='} {', '.join(tiles[1:])}"

    def verify(self) -> None:
        kernel = KERNELS[self.kernel]
        if len(self.operands) != kernel.sources + 1:
            noun = "source" if kernel.sources == 1 else "sources"
            raise OpError(f"kernel {kernel.name} takes {kernel.sources} {noun}, got {max(0, len(self.operands) - 1)}")
        self.check_shape(2, 3)
        types = [check_tile(self, v, c) for v, c in zip(self.operands, self.coords, strict=True)]
        key = (self.kernel, self.accumulate, self.scale, self.zero_point, *[t.text for t in types])
        if key not in _CHECKED:
            self._verify_kernel(kernel, types)
            if len(_CHECKED) >= MOST_CHECKED:
                _CHECKED.clear()
            _CHECKED.add(key)
        if not kernel.in_place and len(set(zip(self.operands, self.coords, strict=True))) < len(self.operands):
            self._verify_in_place(kernel)

    def _verify_kernel(self, kernel: Kernel, types: list[TiledType]) -> None:
        if self.accumulate and not kernel.accumulates:
            raise OpError(f"kernel {kernel.name} cannot accumulate; write = instead of +=")
        if kernel.name != "cast" and (self.scale is not None or self.zero_point is not None):
            raise OpError(f"scale and zero_point go with kernel cast, not {kernel.name}")
        try:
            kernel.check(types, self)
        except OpError as error:
            error.values = error.values or self.operands
            raise

    def _verify_in_place(self, kernel: Kernel) -> None:
        dst = (self.operands[0], self.coords[0])
        if dst in zip(self.operands[1:], self.coords[1:], strict=True):
            raise OpError(f"kernel {kernel.name} cannot work in place: {tile_text(*dst)} is its source and destination")


def _words(cls: type[ExecBase], values: tuple[Attr, ...]) -> Made:
    accumulate, kernel, *braces = values
    tail, keep = _tail(cls, tuple(braces))
    return (f"{cls.name} {kernel} ", " += " if accumulate else " = ", tail), keep and isinstance(kernel, str)


_CHECKED: set[tuple] = set()
"""Kernels with types of buffers that have been found right."""
