"""What is true of a tile at each moment, and the check of uop functions: a replay on unlimited on-chip memory.

The same tile rules hold for schedules (`schedule_replay.py`), which add where the bytes are.
"""

from __future__ import annotations

from math import prod

from ...ir.attributes import UNIT
from ...ir.builtin import FuncOp
from ...ir.core import Operation, Value
from ...ir.diagnostics import Diagnostic, are_enough
from ..kernels.moves import elements_moved, placement_of
from ..opaque import OpaqueOp
from ..tile_ops import ExecBase, StoreBase
from ..tiles import Coord, TiledType, tile_text, tiled
from ..uop import ExecOp, LoadOp, StoreOp, is_alloc, is_on_chip


class Tile:
    """One tile's state. `version` counts its writes; a copy, on chip or off, is stale unless it has that version.

    `parts` has a bit for each element that moves have written, `whole` for each that it has; 0 for what is no moves'.
    `size` is its bytes. `off` is the version of the off-chip copy (-1 for none) and `chip` that of the on-chip copy at
    the uop level. `open` while an exec has started it and nobody has read or stored it; `activation` is the op that
    activated its present value; `unread` while no read or store has followed an exec's write.
    """

    __slots__ = (
        "activation",
        "chip",
        "coord",
        "ended",
        "finished",
        "off",
        "open",
        "parts",
        "size",
        "unread",
        "value",
        "version",
        "whole",
        "written",
    )

    def __init__(self, value: Value, coord: Coord, size: int, off: int):
        self.value = value
        self.coord = coord
        self.size = size
        self.version = 0
        self.off = off
        self.chip = -1
        self.open = False
        self.parts = self.whole = 0
        self.unread = False
        self.activation: Operation | None = None
        self.written: Operation | None = None
        self.finished: Operation | None = None
        self.ended: Operation | None = None

    def __str__(self) -> str:
        return tile_text(self.value, self.coord)


class BufferTiles(dict[Coord, Tile]):
    """The tiles of a buffer; those that nothing has named yet are as they are at the start."""

    __slots__ = ("off", "size", "value")

    def __init__(self, value: Value):
        super().__init__()
        self.value = value
        self.size = tiled(value).tile_bytes
        self.off = -1 if is_alloc(value) else 0

    def __missing__(self, coord: Coord) -> Tile:
        found = self[coord] = Tile(self.value, coord, self.size, self.off)
        return found


class Tiles(dict[Value, BufferTiles]):
    """The tiles of each buffer: two small look-ups take half the time of one with a pair as its key."""

    def __missing__(self, value: Value) -> BufferTiles:
        found = self[value] = BufferTiles(value)
        return found


class TileRules:
    """The rules on tiles that both levels share; a check reports at most one error and says whether all was well."""

    def __init__(self) -> None:
        self.tiles = Tiles()
        self.errors: list[Diagnostic] = []
        self.refused: set[Tile] = set()

    def error(self, op: Operation, tile: Tile, message: str, focus: str = "") -> Diagnostic:
        """Reports an error about a tile; kept quiet if the tile's place was refused before, as a mere consequence."""
        diagnostic = Diagnostic(message, op.loc, focus=focus)
        if tile not in self.refused:
            self.errors.append(diagnostic)
        return diagnostic

    def loadable(self, op: Operation, tile: Tile) -> bool:
        """Whether the tile's off-chip copy exists and is not stale."""
        if tile.off == tile.version and tile.off >= 0 and not (tile.off == 0 and is_alloc(tile.value)):
            return True
        if is_on_chip(tile.value):
            self.error(op, tile, f"{tile} has no off-chip bytes: %{tile.value.name} is marked on_chip").note(
                "marked here", tile.value.loc
            )
        elif tile.off < 0:
            error = self.error(op, tile, f"{tile} is loaded but was never stored")
            if tile.written is not None:
                error.note("it was written here", tile.written.loc)
        else:
            error = self.error(op, tile, f"{tile} is loaded, but its off-chip copy is stale")
            if tile.written is not None:
                error.note("it was written here since its last store", tile.written.loc)
        return False

    def writable(self, op: Operation, tile: Tile, verb: str) -> bool:
        """Whether the tile's buffer may be written at all."""
        if is_alloc(tile.value):
            return True
        self.error(op, tile, f"{tile} cannot be {verb}: %{tile.value.name} is no uop.alloc", str(tile)).note(
            "defined here", tile.value.loc
        )
        return False

    def startable(self, op: ExecBase, tile: Tile) -> bool:
        """Whether `=` may start the tile here."""
        if not self.writable(op, tile, "written"):
            return False
        if tile.open:
            self._note_written(
                self.error(op, tile, f"{tile} is started again before it was stored or read", str(tile)), tile
            )
            return False
        return True

    def accumulable(self, op: ExecBase, tile: Tile) -> bool:
        """Whether `+=` may go on with the tile here (that it is on chip is for the level to check)."""
        if tile.open and tile.activation is None:
            return True
        if not self.writable(op, tile, "written"):
            return False
        if tile.open:
            self._note_written(self.error(op, tile, f"{tile} is accumulated on after its activation", str(tile)), tile)
        elif tile.finished is not None and tile.written is not None:
            message = f"{tile} is accumulated on, but it was finished when it was read or stored"
            error = self.error(op, tile, message, str(tile))
            error.note("it was read or stored here", tile.finished.loc)
        else:
            message = f"{tile} is accumulated on, but it was not started; write = on its first exec"
            self.error(op, tile, message, str(tile)).note(f"%{tile.value.name} is defined here", tile.value.loc)
        return False

    def _note_written(self, error: Diagnostic, tile: Tile) -> None:
        if tile.written is not None:
            error.note("it was written here", tile.written.loc)

    def never_written(self, op: Operation, tile: Tile, verb: str) -> None:
        message = f"{tile} is {verb} but was never written"
        self.error(op, tile, message, str(tile)).note(f"%{tile.value.name} is defined here", tile.value.loc)

    def finish(self, op: Operation, tile: Tile) -> None:
        """The tile is read or stored: its sum is complete."""
        tile.unread = False
        if tile.open:
            tile.open = False
            tile.finished = op
            if tile.parts != tile.whole:
                self.check_complete(op, tile, "read or stored")

    def check_complete(self, op: Operation, tile: Tile, verb: str) -> None:
        """Reports a tile of which moves have not written all elements."""
        missing = (tile.whole ^ tile.parts).bit_count()
        if missing:
            message = f"{tile} is {verb}, but {missing} of its {tile.whole.bit_count()} elements were never moved there"
            self._note_written(self.error(op, tile, message, str(tile)), tile)

    def move(self, op: ExecBase, tile: Tile) -> None:
        """Books which elements of a tile a move writes, each of them once; any other exec wants or makes all."""
        if op.steps is None:
            if op.accumulate:
                self.check_complete(op, tile, "accumulated on")
            else:
                tile.parts = tile.whole = 0
            return
        types = [tiled(v) for v in op.operands]
        part = elements_moved(placement_of(op, types[0].tensor.shape), types, op.coords)
        if not part:
            source = tile_text(op.operands[1], op.coords[1])
            self.error(op, tile, f"no element of {source} belongs to {tile}", source)
        if not op.accumulate:
            tile.parts, tile.whole = 0, (1 << prod(types[0].valid(op.coords[0]))) - 1
        elif not tile.whole:
            message = f"{tile} was started by another kernel than move; write = on its first move"
            self._note_written(self.error(op, tile, message, str(tile)), tile)
        twice = (tile.parts & part).bit_count()
        if twice:
            message = f"{tile} has {twice} of these {part.bit_count()} elements already"
            self._note_written(self.error(op, tile, message, str(tile)), tile)
        tile.parts |= part
        if op.activation is not None:
            self.check_complete(op, tile, "activated")

    def write(self, op: ExecBase, tile: Tile) -> None:
        """The tile gets a new value; every other copy is stale from now on."""
        if tile.whole or op.steps is not None:
            self.move(op, tile)
        tile.version += 1
        tile.open = True
        tile.unread = True
        tile.activation = op if op.activation is not None else None
        tile.written = op
        if not op.accumulate:
            tile.finished = None

    def storable(self, op: StoreBase, tile: Tile) -> bool:
        """Whether the tile's buffer may be stored to."""
        if not self.writable(op, tile, "stored"):
            return False
        if is_on_chip(tile.value):
            self.error(op, tile, f"{tile} has no off-chip bytes: %{tile.value.name} is marked on_chip").note(
                "marked here", tile.value.loc
            )
            return False
        return True

    def activatable(self, op: StoreBase, tile: Tile) -> bool:
        """Whether the tile, which is on chip, may get the activation of its store, if that has one."""
        if op.activation is None:
            return True
        if tile.activation is not None:
            error = self.error(op, tile, f"{tile} gets a second activation", "activation")
            error.note("the first one is here", tile.activation.loc)
        elif op.retain is UNIT:
            message = "a retained tile gets its activation on its last exec, not on its store"
            self.error(op, tile, message, "activation")
        elif not tile.open:
            error = self.error(op, tile, f"{tile} was read or stored without this activation before", "activation")
            if tile.finished is not None:
                error.note("it was read or stored here", tile.finished.loc)
        else:
            return True
        return False

    def store(self, op: StoreBase, tile: Tile) -> None:
        self.finish(op, tile)
        if op.activation is not None:
            tile.version += 1
            tile.activation = op
        tile.off = tile.version

    def check_results(self, func: FuncOp) -> None:
        """Every tile of every returned buffer must have been stored as it is now."""
        for value in dict.fromkeys(func.returned()):
            self.check_stored(func.ops[-1], value)

    def opaque(self, op: OpaqueOp) -> None:
        """What it reads must have been stored as it is now; what it writes is off chip anyway."""
        for value in dict.fromkeys(op.operands):
            self.check_stored(op, value)

    def check_stored(self, op: Operation, value: Value) -> None:
        """Every tile of a buffer that is read off chip must have been stored as it is now."""
        if not is_alloc(value) or not isinstance(value.type, TiledType):
            return
        stored = sum(t.version > 0 and t.off == t.version for t in self.tiles[value].values())
        missing = prod(value.type.grid) - stored
        if missing:
            first = next(c for c in value.type.each_coord() if not self._is_stored(value, c))
            self._report_missing(op, value, first, missing)

    def _is_stored(self, value: Value, coord: Coord) -> bool:
        tile = self.tiles[value].get(coord)
        return tile is not None and tile.version > 0 and tile.off == tile.version

    def _report_missing(self, op: Operation, value: Value, first: Coord, missing: int) -> None:
        more = f" (and {missing - 1} more of its tiles)" if missing > 1 else ""
        tile = self.tiles[value][first]
        if is_on_chip(value):
            verb = f"read by {op.name}" if isinstance(op, OpaqueOp) else "returned"
            message = f"%{value.name} is {verb}, but it is marked on_chip and has no off-chip bytes"
            self.error(op, tile, message, f"%{value.name}").note("marked here", value.loc)
            return
        state = "is not stored" if tile.off < 0 else "was written since it was stored"
        if isinstance(op, OpaqueOp):
            message = f"{tile} {state} when {op.name} reads it{more}"
        else:
            message = f"result tile {tile} {state} when the function returns{more}"
        error = self.error(op, tile, message, f"%{value.name}")
        if tile.written is not None:
            error.note("its last write is here", tile.written.loc)


def replay_uop(func: FuncOp) -> list[Diagnostic]:
    """Runs a uop function tile by tile; returns every violation of the rules in `docs/language.md`."""
    rules = _UopRules()
    rules.run(func)
    if not rules.errors:
        rules.check_results(func)
    return rules.errors


class _UopRules(TileRules):
    def run(self, func: FuncOp) -> None:
        tiles, errors = self.tiles, self.errors
        for op in func.ops:
            if type(op) is LoadOp:
                tile = tiles[op.operands[0]][op.coords[0]]
                if tile.chip == tile.version:
                    continue
                self.load(op, tile)
            elif type(op) is ExecOp:
                self.exec(op)
            elif type(op) is StoreOp:
                self.store_op(op)
            elif type(op) is OpaqueOp:
                self.opaque(op)
            if errors and are_enough(errors, op.loc):
                return

    def load(self, op: LoadOp, tile: Tile) -> None:
        if self.loadable(op, tile):
            tile.chip = tile.version
        else:
            self.refused.add(tile)

    def exec(self, op: ExecOp) -> None:
        tiles = self.tiles
        operands, coords = op.operands, op.coords
        dst = tiles[operands[0]][coords[0]]
        good = True
        for i in range(1, len(operands)):
            source = tiles[operands[i]][coords[i]]
            if source.chip != source.version:
                good &= self.on_chip(op, source, "read")
            source.unread = False
            if source.open:
                self.finish(op, source)
        if not op.accumulate:
            good &= self.startable(op, dst)
        elif not dst.open or dst.activation is not None:
            good &= self.accumulable(op, dst)
        if good or is_alloc(dst.value):
            self.write(op, dst)
            dst.chip = dst.version

    def on_chip(self, op: Operation, tile: Tile, verb: str) -> bool:
        if tile.chip == tile.version:
            return True
        if is_alloc(tile.value) and tile.version == 0:
            self.never_written(op, tile, verb)
            return False
        error = self.error(op, tile, f"{tile} is {verb} but is not on chip; load it first", str(tile))
        if tile.ended is not None:
            error.note("its on-chip life ended with this store", tile.ended.loc)
        return False

    def store_op(self, op: StoreBase) -> None:
        tile = self.tiles[op.operands[0]][op.coords[0]]
        if not self.storable(op, tile) or not self.on_chip(op, tile, "stored") or not self.activatable(op, tile):
            return
        self.store(op, tile)
        tile.chip = tile.version if op.retain is UNIT else -1
        tile.ended = None if op.retain is UNIT else op
