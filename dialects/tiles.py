"""What uop and sched share: the tiled buffer's type, references to its tiles, checks of attributes on tiles."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from math import prod

from ..ir.attributes import UNIT, Attr, Unit, integer_of
from ..ir.core import Operation, Value
from ..ir.opdef import OpError, are_integers, coordinates
from ..ir.reading.attr_actions import read_tensor
from ..ir.texts import COORD
from ..ir.types import DTYPE_BYTES, EMPTY_DIMENSION, MAX_RANK, TensorType, Type, has_empty_dimension

Coord = tuple[int, ...]
TileRef = tuple[Value, Coord]
"""A tile: its buffer and its coordinates."""

Pin = Unit | tuple[Coord, ...] | None
"""What is asked to stay on chip: all tiles of a buffer, those of some coordinates, or none."""

At = int | tuple[tuple[int, ...], ...] | None
"""Where tiles are asked to be: the first one's address, some tiles' coordinates with an address each, or anywhere."""

MOST_TILES = 5_000_000
"""Most tiles, or operations on tiles, that a few lines may come to where each is looked at by itself: more would take
hours, and more memory than there is."""

MEMO_SIZE = 200_000
BLANK = r"(?:\s|//[^\n]*\n)"
TILED_TEXT = r"!uop\.tiled<\s*(tensor<[^<>]*>)\s*,\s*\[([^\]]*)\]\s*>"


class TiledType(Type):
    """`!uop.tiled<tensor<MxNxT>, [a, b]>`: an off-chip buffer in tiles of a x b elements, the last ones zero-padded;
    of ranks 1 to 6, with a size for each axis.

    `grid` is the number of tiles along each axis, `tile_bytes` what each tile moves and occupies, `is_padded` whether
    the last tiles are not full. Raises ValueError for a tile whose rank is not the tensor's, or sizes below 1.
    """

    __slots__ = ("grid", "is_padded", "tensor", "tile", "tile_bytes")

    def __init__(self, tensor: TensorType, tile: tuple[int, ...]):
        if not can_tile(tensor):
            raise ValueError(f"a tiled buffer has {TILEABLE}, got {tensor}")
        if len(tile) != tensor.rank or any(t < 1 for t in tile):
            raise ValueError(f"the tile of {tensor} must have {tensor.rank} positive sizes, got {list(tile)}")
        self.tensor = tensor
        self.tile = tuple(tile)
        self.grid = tuple(-(-d // t) for d, t in zip(tensor.shape, tile, strict=True))
        self.tile_bytes = prod(tile) * tensor.element_bytes
        self.is_padded = any(d % t for d, t in zip(tensor.shape, tile, strict=True))
        super().__init__(f"!uop.tiled<{tensor}, [{', '.join(map(str, tile))}]>")

    @property
    def dtype(self) -> str:
        return self.tensor.dtype

    @property
    def count(self) -> int:
        """The number of tiles."""
        return prod(self.grid)

    def valid(self, coord: Coord) -> tuple[int, ...]:
        """The sizes, in elements, of the part of a tile that is no padding: its valid extents."""
        if not self.is_padded:
            return self.tile
        return tuple([min(t, d - c * t) for t, d, c in zip(self.tile, self.tensor.shape, coord, strict=True)])

    def each_coord(self) -> Iterator[Coord]:
        """The tiles of the grid, row by row: the last coordinate runs fastest."""
        return coords_within(self.grid)

    def number(self, coord: Coord) -> int:
        """The place of a tile among those of the grid, row by row."""
        return number_within(self.grid, coord)

    def coords(self) -> list[Coord]:
        """All tiles of the grid, row by row."""
        return list(self.each_coord())


def coords_within(grid: Sequence[int]) -> Iterator[Coord]:
    """The coordinates of a grid, row by row, one at a time: a grid may be larger than what memory holds. An empty one
    has one place."""
    if len(grid) < 2:
        return ((j,) for j in range(grid[0])) if grid else iter([()])
    return ((*outer, j) for outer in coords_within(grid[:-1]) for j in range(grid[-1]))


def bare(sizes: Coord) -> Coord:
    """A tile's sizes without leading ones before the last two: a buffer that holds a view may have more or fewer."""
    first = next((i for i, size in enumerate(sizes[:-2]) if size > 1), max(len(sizes) - 2, 0))
    return sizes[first:]


def number_within(grid: Sequence[int], coord: Coord) -> int:
    """The place of coordinates in a grid, row by row."""
    number = 0
    for index, count in zip(coord, grid, strict=True):
        number = number * count + index
    return number


def can_tile(type: Type) -> bool:
    """Whether a type is a tensor that tiles can be cut of: of a rank and with elements of a type that there is here."""
    return isinstance(type, TensorType) and 1 <= type.rank <= MAX_RANK and type.dtype in DTYPE_BYTES


TILEABLE = f"a rank from 1 to {MAX_RANK} and element type {', '.join(DTYPE_BYTES)}"
"""What `can_tile` asks for, in words."""


def read_tiled(text: str) -> Type:
    """A tiled buffer's type from its text. Raises ValueError."""
    match = re.fullmatch(TILED_TEXT, text)
    tensor = read_tensor(match.group(1)) if match else None
    sizes = match.group(2).replace(",", " ").split() if match else []
    if tensor is not None and has_empty_dimension(tensor):
        raise ValueError(EMPTY_DIMENSION)
    if not isinstance(tensor, TensorType) or not all(re.fullmatch("-?[0-9]+", s) for s in sizes):
        raise ValueError("malformed !uop.tiled type; it is written !uop.tiled<tensor<128x64xf32>, [32, 32]>")
    tile = tuple(map(integer_of, sizes))
    if any(abs(size) >= 1 << 63 for size in tile):
        raise ValueError("tile size does not fit in 64 bits")
    return TiledType(tensor, tile)


class TileTexts(dict[str, tuple[str, Coord]]):
    """The tiles of texts such as `%x[0, 0]`: name without `%` and coordinates, each distinct text read once."""

    def __missing__(self, text: str) -> tuple[str, Coord]:
        if len(self) >= MEMO_SIZE:
            self.clear()
        name, coord, _ = read_tile(text)
        found = self[text] = (name, coord)
        return found


class AddressTexts(dict[str, int]):
    """The addresses of texts such as `0x1000`, each distinct text read once."""

    def __missing__(self, text: str) -> int:
        if len(self) >= MEMO_SIZE:
            self.clear()
        if len(text) > 20:
            raise OpError("address does not fit in 64 bits")
        found = self[text] = _address(text)
        return found


def read_tile_token(token: str) -> tuple[str, Coord, int]:
    """Name without `%`, coordinates, address (-1 if none) of a tile-reference token. Raises `OpError`."""
    text, at, address = token.partition(" @")
    try:
        if not at:
            return (*TILES[text], -1) if "@" not in token else read_tile(token)
        return (*TILES[text], ADDRESSES[address]) if "@" not in address else read_tile(token)
    except OpError as error:
        if "//" in token:  # a comment may hold what a tile is written with
            return read_tile_token(re.sub(r"//[^\n]*\n", " ", token))
        raise OpError(str(error), token) from None


@lru_cache(maxsize=100_000)
def shared_coord(text: str) -> Coord:
    """The coordinates of `0, 1`; equal ones are one object. Raises `OpError`."""
    parts = [p.strip() for p in re.sub(r"//[^\n]*\n", " ", text).split(",")]
    if not 1 <= len(parts) <= MAX_RANK or not all(re.fullmatch("-?[0-9]+", p) for p in parts):
        raise OpError(
            f"malformed tile coordinates [{text.strip()}]; a tile is written %x[0, 1], or %b[0] at rank 1, "
            f"up to rank {MAX_RANK}"
        )
    if any(len(p) > 19 for p in parts):
        raise OpError("tile coordinate does not fit in 64 bits")
    return tuple(map(int, parts))


@cache
def _tile_pattern() -> re.Pattern[str]:
    return re.compile(rf"(%[^\s\[/]+){BLANK}*\[([^\]]*)\]{BLANK}*(?:@(.+))?", re.DOTALL)


def read_tile(text: str) -> tuple[str, Coord, int]:
    match = _tile_pattern().fullmatch(text)
    if match is None:
        raise OpError(f"malformed tile reference {text}")
    name, coord, address = match.groups()
    if address and len(address) > 20:
        raise OpError("address does not fit in 64 bits")
    return name[1:], shared_coord(coord), _address(address) if address else -1


def _address(text: str) -> int:
    return int(text, 16) if text.startswith("0x") else int(text)


TILES, ADDRESSES = TileTexts(), AddressTexts()


def tiled(value: Value) -> TiledType:
    """The type of a buffer that is known to be one: its operations have been found right."""
    type = value.type
    assert isinstance(type, TiledType)
    return type


def coord_text(coord: Coord) -> str:
    return COORD[coord]


def tile_text(value: Value, coord: Coord) -> str:
    """`%x[0, 1]`, for messages."""
    return f"%{value.name}{coord_text(coord)}"


def positive(value: Attr) -> str:
    return "" if type(value) is int and value > 0 else "a positive integer"


def natural(value: Attr) -> str:
    return "" if type(value) is int and value >= 0 else "an integer, 0 or more"


def pin_attribute(value: Attr) -> str:
    """A field's check for `pin`: all tiles, or those of some coordinates."""
    return "" if value is UNIT or not coordinates(value) else "the key alone, or a list of tile coordinates"


def at_attribute(value: Attr) -> str:
    """A field's check for `at`: the first tile's address, or an address for each of some tiles."""
    if type(value) is int and value >= 0:
        return ""
    good = type(value) is tuple and all(are_integers(v) and 2 <= len(v) <= MAX_RANK + 1 and v[-1] >= 0 for v in value)
    return "" if good and value else "an address, or a list such as [[0, 1, 4096]] of coordinates and address"


def check_tile(op: Operation, value: Value, coord: Coord) -> TiledType:
    """The type of a tile's buffer. Raises `OpError` for another type, a wrong rank or a tile outside the grid."""
    type = value.type
    if isinstance(type, TiledType) and len(coord) == len(type.grid):
        for index, count in zip(coord, type.grid, strict=True):
            if not 0 <= index < count:
                break
        else:
            return type
    raise OpError(f"{op.name}: {_tile_fault(value, coord)}", f"%{value.name}", [value])


def _tile_fault(value: Value, coord: Coord) -> str:
    name, type = tile_text(value, coord), value.type
    if not isinstance(type, TiledType):
        return f"{name} needs a !uop.tiled buffer, got {type}"
    if len(coord) != len(type.grid):
        noun = "coordinate" if len(coord) == 1 else "coordinates"
        return f"{name} has {len(coord)} {noun}, the buffer has rank {len(type.grid)}"
    return f"tile {name} lies outside the grid of {'x'.join(map(str, type.grid))} tiles"
