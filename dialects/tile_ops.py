"""The operations on tiles that uop and sched share: their attributes, reading, printing and checks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from operator import contains

from ..ir.attributes import Attr, Attributes, FloatAttr, Unit, dict_text
from ..ir.constructors import made_when_called
from ..ir.core import Operation, Value
from ..ir.fields import Field, field
from ..ir.light_typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar
from ..ir.opdef import OpError, boolean, coordinates, float32, integer, integers, numbers, read_fields, unit
from ..ir.parsing import ParseContext, Token
from ..ir.printer import Names
from ..ir.texts import COORD, Made, by_values, declared, entries
from .kernels import KERNELS, Kernel, activation_name, check_activation, find_kernel, kernel_name
from .tiles import Coord, TiledType, check_tile, read_tile_token, tile_text, tiled

if TYPE_CHECKING:
    from typing import ClassVar

TileOpT = TypeVar("TileOpT", bound="TileOp")
ExecT = TypeVar("ExecT", bound="ExecBase")
StoreT = TypeVar("StoreT", bound="StoreBase")

MOST_CHECKED = 10_000
"""Most combinations of kernel and types that are remembered as right."""


class RightCoords(dict[Value, dict[Coord, Coord]]):
    """Coordinates within the grids of buffers that are known, with the valid extents of the tiles there; `full` are
    those of tiles without padding. Buffers of one type share them."""

    def __init__(self) -> None:
        super().__init__()
        self.full: dict[Value, set[Coord]] = {}
        self.by_type: dict[tuple[type, str], tuple[dict[Coord, Coord], set[Coord]]] = {}

    def __missing__(self, value: Value) -> dict[Coord, Coord]:
        return {}

    def learn(self, op: TileOp) -> None:
        for value, coord in zip(op.operands, op.coords, strict=True):
            type_ = tiled(value)
            if value not in self:
                self[value], self.full[value] = self.by_type.setdefault((type(type_), type_.text), ({}, set()))
            extent = self[value][coord] = type_.valid(coord)
            if extent == type_.tile:
                self.full[value].add(coord)


class RightTiles(Generic[TileOpT]):
    """What has been found right of operations on one tile."""

    def __init__(self) -> None:
        self.coords = RightCoords()

    def knows(self, op: TileOpT) -> bool:
        return len(op.operands) == 1 == len(op.coords) and op.coords[0] in self.coords[op.operands[0]]

    def learn(self, op: TileOpT) -> None:
        self.coords.learn(op)


class _RightTogether(NamedTuple):
    """Of buffers that go with a kernel: the coordinates of full tiles, the extents of all, and those that fit."""

    full: list[set[Coord]]
    extents: list[dict[Coord, Coord]]
    fitting: set[tuple[Coord | None, ...]]


class RightExecs(Generic[ExecT]):
    """What has been found right of execs: kernels with buffers that go with them, whatever their tiles as long as these
    are full; of others, with the valid extents that go together."""

    def __init__(self) -> None:
        self.coords = RightCoords()
        self.kernels: dict[tuple[object, ...], _RightTogether] = {}

    def knows(self, op: ExecT) -> bool:
        coords = op.coords
        found = self.kernels.get((op.kernel, op.accumulate, op.activation, op.transpose_a, op.transpose_b, op.operands))
        if found is None:
            return False
        if has_parameters(op):
            return False
        full, extents, fitting = found
        if len(coords) != len(full):
            return False
        if len(coords) != 3:
            if all(map(contains, full, coords)):
                return True
            return tuple([known.get(c) for known, c in zip(extents, coords, strict=True)]) in fitting
        (a, b, c), (p, q, r) = full, coords
        if p in a and q in b and r in c:
            return True
        d, e, f = extents
        return (d.get(p), e.get(q), f.get(r)) in fitting

    def learn(self, op: ExecT) -> None:
        self.coords.learn(op)
        if has_parameters(op) or (op.operands[0] in op.operands[1:] and not in_place(KERNELS[op.kernel])):
            return
        key = op.kernel, op.accumulate, op.activation, op.transpose_a, op.transpose_b, op.operands
        found = self.kernels.get(key)
        if found is None:
            known = [self.coords[value] for value in op.operands]
            found = self.kernels[key] = _RightTogether([set() for _ in known], known, set())
        extents = [known[coord] for known, coord in zip(found.extents, op.coords, strict=True)]
        if extents == [tiled(value).tile for value in op.operands]:
            found.full[:] = [self.coords.full[value] for value in op.operands]
        else:
            found.fitting.add(tuple(extents))


def has_parameters(op: ExecBase) -> bool:
    """Whether an exec has any attribute that says with which numbers its kernel or its activation works."""
    return not (
        op.params is None
        and op.axis is None
        and op.steps is None
        and op.diagonal is None
        and op.left is None
        and op.right is None
        and op.scale is None
        and op.zero_point is None
        and op.zero_point_a is None
        and op.zero_point_b is None
        and op.activation_params is None
    )


def in_place(kernel: Kernel) -> bool:
    """Whether a kernel may be written over any of its sources."""
    return len(kernel.in_place) == len(kernel.sources)


class RightStores(RightTiles[StoreT]):
    """What has been found right of stores: tiles, and activations of buffers; those with parameters are looked at each
    time."""

    def __init__(self) -> None:
        super().__init__()
        self.activations: set[tuple[Value, str | None]] = set()

    def knows(self, op: StoreT) -> bool:
        operands, coords = op.operands, op.coords
        if len(operands) != 1 or len(coords) != 1 or op.activation_params is not None:
            return False
        return coords[0] in self.coords[operands[0]] and (operands[0], op.activation) in self.activations

    def learn(self, op: StoreT) -> None:
        super().learn(op)
        self.activations.add((op.operands[0], op.activation))


class TileOp(Operation):
    """An operation on tiles: `coords[i]` is the tile of `operands[i]` that it names; it has no results."""

    __slots__ = ()
    references = ("coords",)
    verifier_memory: ClassVar[type] = RightTiles
    in_syntax: ClassVar[frozenset[str]] = frozenset()
    """The fields that the pretty form has in its own syntax; the others, `braces`, stand in braces."""
    braces: ClassVar[tuple[Field, ...]] = ()
    needs_braces: ClassVar[bool] = False

    coords: tuple[Coord, ...] = field(coordinates, in_braces=False)

    def __init_subclass__(cls) -> None:
        cls.in_syntax = frozenset(f.name for f in cls.fields if not f.in_braces)
        cls.braces = tuple(f for f in cls.fields if f.in_braces)
        cls.needs_braces = any(f.required for f in cls.braces)
        made_when_called(cls, "tail", lambda: by_values(cls.braces, partial(_tail, cls)))

    @classmethod
    def parse(cls, context: ParseContext, parts: list[Any]) -> TileOp:
        """Reads `KEYWORD tile {...}`; subclasses take their own parts out of the middle."""
        attributes: Attributes = parts.pop() if type(parts[-1]) is dict else {}
        return cls.build(context, parts[0], parts[1:], attributes)

    @classmethod
    def build(
        cls, context: ParseContext, keyword: Token, tokens: list[Token], attributes: Attributes, **fields: Any
    ) -> TileOp:
        """The operation on the tiles that the tokens name."""
        tiles = [read_tile_token(token) for token in tokens]
        if attributes or cls.needs_braces:
            fields |= read_fields(cls, attributes, cls.in_syntax)
        if tiles[0][2] >= 0:
            fields["addrs"] = tuple([tile[2] for tile in tiles])
        values = context.values
        try:
            operands = [values[tile[0]] for tile in tiles]
        except KeyError:
            operands = [context.value(token, tile[0]) for token, tile in zip(tokens, tiles, strict=True)]
        return cls(operands, coords=tuple([tile[1] for tile in tiles]), loc=keyword.start_pos, **fields)

    def tail(self) -> str:
        """The braces with a blank before them, or nothing; discardable attributes aside. Made for each class."""
        raise NotImplementedError

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

    def braced(self) -> Attributes:
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
            wanted = "one tile" if most == 1 else "two to four tiles"
            raise OpError(f"{self.name} names {wanted}, got {len(self.operands)}")
        if len(self.coords) != len(self.operands):
            raise OpError(f"{self.name}: 'coords' must hold {len(self.operands)}, one for each operand", "coords")

    def verify(self) -> None:
        self.check_shape(1, 1)
        check_tile(self, self.operands[0], self.coords[0])


def _tail(cls: type[TileOp], values: tuple[Attr, ...]) -> Made:
    shown, keep = entries(cls.braces, values)
    return f" {{{', '.join(shown)}}}" if shown else "", keep


class StoreBase(TileOp):
    """Copies a finished tile off chip, with an optional activation on the way; `retain` keeps the on-chip copy."""

    __slots__ = ()
    verifier_memory = RightStores

    activation: str | None = field(activation_name, default=None)
    activation_params: tuple[FloatAttr, ...] | None = field(numbers, default=None)
    retain: Unit | None = field(unit, default=None)

    def verify(self) -> None:
        super().verify()
        type = self.operands[0].type
        assert isinstance(type, TiledType)
        check_activation(self.name, self, type.dtype)
        if self.activation is not None and not KERNELS[self.activation].keeps_zeros:
            message = f"{self.name} can't apply {self.activation}, which makes other values of the padding's zeros"
            raise OpError(f"{message}; the tile's last exec can", "activation")


PARAMETERS = (
    "axis", "diagonal", "first", "left", "params", "right", "scale", "steps", "transpose_a", "transpose_b", "within",
    "zero_point", "zero_point_a", "zero_point_b",
)  # fmt: skip
"""The fields of an exec with which numbers its kernel works; those of a graph operation are called alike."""


def activation_of(op: object) -> dict[str, Any]:
    """The fields that say which activation an operation has; of one that has none, or None, that there is none."""
    return {name: getattr(op, name, None) for name in ("activation", "activation_params")}


class ExecBase(TileOp):
    """`KERNEL dst = srcs` or `dst += srcs`; `coords[0]` is the destination's tile."""

    __slots__ = ()
    verifier_memory = RightExecs

    accumulate: bool = field(boolean, in_braces=False)
    activation: str | None = field(activation_name, default=None)
    activation_params: tuple[FloatAttr, ...] | None = field(numbers, default=None)
    axis: int | None = field(integer, default=None)
    diagonal: int | None = field(integer, default=None)
    first: int | None = field(integer, default=None)
    kernel: str = field(kernel_name, in_braces=False)
    left: FloatAttr | None = field(float32, default=None)
    params: tuple[FloatAttr, ...] | None = field(numbers, default=None)
    right: FloatAttr | None = field(float32, default=None)
    scale: FloatAttr | None = field(float32, default=None)
    steps: tuple[int, ...] | None = field(integers, default=None)
    transpose_a: Unit | None = field(unit, default=None)
    transpose_b: Unit | None = field(unit, default=None)
    within: tuple[Coord, ...] | None = field(coordinates, default=None)
    zero_point: int | None = field(integer, default=None)
    zero_point_a: int | None = field(integer, default=None)
    zero_point_b: int | None = field(integer, default=None)

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        made_when_called(cls, "words", partial(_words_by_values, cls))

    @classmethod
    def parse(cls, context: ParseContext, parts: list[Any]) -> TileOp:
        attributes: Attributes = parts.pop() if type(parts[-1]) is dict else {}
        keyword, kernel, dst, assign, *sources = parts
        expected = kernel_name(kernel)
        if expected:
            context.error(f"unknown kernel '{kernel}'; expected {expected}", kernel.start_pos)
            kernel = next(iter(KERNELS))
        fields = {"kernel": str(kernel), "accumulate": assign == "+="}
        return cls.build(context, keyword, [dst, *sources], attributes, **fields)

    def words(self) -> tuple[str, str, str]:
        """What stands before the destination, before the sources, and behind them; discardable attributes aside. Made
        for each class."""
        raise NotImplementedError

    def pretty(self, names: Names) -> str:
        operands, coords = self.operands, self.coords
        count = len(operands)
        if self.extra or not 2 <= count <= 4 or len(coords) != count:
            return self.any_pretty(names)
        head, assign, tail = self.words()
        tiles = f"{head}{names[operands[0]]}{COORD[coords[0]]}{assign}{names[operands[1]]}{COORD[coords[1]]}"
        if count == 2:
            return tiles + tail
        last = f", {names[operands[3]]}{COORD[coords[3]]}{tail}" if count > 3 else tail
        return f"{tiles}, {names[operands[2]]}{COORD[coords[2]]}{last}"

    def head(self, tiles: list[str]) -> str:
        return f"{self.name} {self.kernel} {tiles[0]} {'+=' if self.accumulate else '='} {', '.join(tiles[1:])}"

    def verify(self) -> None:
        kernel = find_kernel(self.kernel)
        if kernel is None:
            raise OpError(f"unknown kernel '{self.kernel}'")
        count = kernel.count_of(self)
        if len(self.operands) != count + 1:
            noun = "source" if count == 1 else "sources"
            raise OpError(f"kernel {kernel.name} takes {count} {noun}, got {max(0, len(self.operands) - 1)}")
        self.check_shape(2, 4)
        types = [check_tile(self, v, c) for v, c in zip(self.operands, self.coords, strict=True)]
        given = (*[getattr(self, name) for name in PARAMETERS], self.activation, self.activation_params)
        key = (self.kernel, self.accumulate, *given, *[t.text for t in types])
        if key not in _CHECKED:
            self._verify_kernel(kernel, types)
            if len(_CHECKED) >= MOST_CHECKED:
                _CHECKED.clear()
            _CHECKED.add(key)
        if any(t.is_padded for t in types):
            self._verify_extents(kernel, types)
        if not in_place(kernel) and len(set(zip(self.operands, self.coords, strict=True))) < len(self.operands):
            self._verify_in_place(kernel)

    def _verify_kernel(self, kernel: Kernel, types: list[TiledType]) -> None:
        if self.accumulate and kernel.combine is None:
            raise OpError(f"kernel {kernel.name} cannot accumulate; write = instead of +=")
        self._verify_parameters(kernel)
        try:
            kernel.check(types, self)
            check_activation(f"kernel {kernel.name}", self, types[0].dtype)
        except OpError as error:
            error.values = error.values or self.operands
            raise

    def _verify_extents(self, kernel: Kernel, types: list[TiledType]) -> None:
        """Refuses tiles of which not equally much is data: padding would be taken for it, or data for padding."""
        extents = [t.valid(c) for t, c in zip(types, self.coords, strict=True)]
        if kernel.fits(self, types, extents):
            return
        tiles = zip(self.operands, self.coords, extents, strict=True)
        shown = [f"{tile_text(v, c)} has {'x'.join(map(str, extent))}" for v, c, extent in tiles]
        message = f"kernel {kernel.name}: the parts of its tiles that are no padding don't fit: {', '.join(shown)}"
        raise OpError(message, values=self.operands)

    def _verify_parameters(self, kernel: Kernel) -> None:
        """Refuses parameters that another kernel has, and another number of them."""
        own = [p.attribute for p in kernel.parameters]
        for name in PARAMETERS:
            if name in ("params", *own) or getattr(self, name) is None:
                continue
            others = [k for k in KERNELS.values() if name in [p.attribute for p in k.parameters]]
            named = [p.attribute for p in others[0].parameters if p.attribute not in ("params", *own)]
            which = f"kernel {others[0].name}" if len(others) == 1 else f"kernels such as {others[0].name}"
            verb = "go" if named[1:] else "goes"
            *first, last = named
            shown = f"{', '.join(first)} and {last}" if first else last
            raise OpError(f"{shown} {verb} with {which}, not {kernel.name}", name if others[1:] else "")
        kernel.check_params(f"kernel {kernel.name}", self.params, "params")

    def _verify_in_place(self, kernel: Kernel) -> None:
        dst = (self.operands[0], self.coords[0])
        sources = zip(self.operands[1:], self.coords[1:], strict=True)
        if dst in [source for i, source in enumerate(sources) if i not in kernel.in_place]:
            raise OpError(f"kernel {kernel.name} cannot work in place: {tile_text(*dst)} is its source and destination")


def _words_by_values(cls: type[ExecBase]) -> Callable[[Any], tuple[str, str, str]]:
    fields = {f.slot: f for f in cls.fields}
    return by_values((fields["accumulate"], fields["kernel"], *cls.braces), partial(_words, cls))


def _words(cls: type[ExecBase], values: tuple[Attr, ...]) -> Made:
    accumulate, kernel, *braces = values
    tail, keep = _tail(cls, tuple(braces))
    return (f"{cls.name} {kernel} ", " += " if accumulate else " = ", tail), keep and isinstance(kernel, str)


_CHECKED: set[tuple[object, ...]] = set()
"""Kernels with types of buffers that have been found right."""
