"""The check that a schedule's text doesn't lie: a replay byte range by byte range, and the statistics it implies."""

from __future__ import annotations

from bisect import bisect_left, insort
from itertools import accumulate

from ...ir.attributes import UNIT, Attributes
from ...ir.builtin import FuncOp, ModuleOp
from ...ir.core import Operation, Value
from ...ir.diagnostics import Diagnostic, are_enough
from ...planner.units import round_up
from ..opaque import OpaqueOp
from ..placement_limits import Wish, wishes_of
from ..sched import ExecOp, LoadOp, StoreOp
from ..target import target_of
from ..tiles import tiled
from .tile_rules import Tile, TileRules

STAT_KEYS = ("final_live_bytes", "loads_eliminated", "loads_emitted", "peak_sram_bytes", "sched_ops", "spills")
OPTIONAL_STATS = frozenset({"spills"})
"""Statistics that are absent where they are 0."""


EVICTED = "was overwritten"
"""What became of a copy that gave way to another one."""


class Copy:
    """A tile's bytes [address, end): of which version they are, who wrote them, and in which operations [since, until)
    they were of use."""

    __slots__ = ("address", "end", "op", "since", "tile", "until", "version")

    def __init__(self, tile: Tile, address: int, end: int, op: Operation, at: int):
        self.tile = tile
        self.address = address
        self.end = end
        self.version = tile.version
        self.op = op
        self.since = at
        self.until = at + 1


class Replay(TileRules):
    """Replays one scheduled function. `sram` has the SRAM's `total_bytes`, `alignment` and, if any, `reserved` ranges;
    `wishes` are what is asked of buffers."""

    def __init__(self, sram: Attributes, wishes: dict[Value, Wish]):
        super().__init__()
        self.total: int = sram["total_bytes"]
        self.alignment: int = sram["alignment"]
        self.reserved: tuple[tuple[int, int], ...] = sram.get("reserved", ())
        self.wishes = wishes
        self.copies: dict[int, Copy] = {}
        self.starts: list[int] = []
        self.fates: dict[Tile, tuple[Copy, str, Operation]] = {}
        self.changes: list[int] = []
        self.at = 0
        self.loads = 0
        self.source_tiles = 0
        self.spills = 0
        self.spilled: dict[tuple[Tile, int], StoreOp] = {}

    def run(self, func: FuncOp) -> None:
        self.changes = [0] * (len(func.ops) + 2)
        count, errors = 0, self.errors
        for op in func.ops:
            self.at = count
            if type(op) is ExecOp:
                self.exec(op)
            elif type(op) is LoadOp:
                self.load(op)
            elif type(op) is StoreOp:
                self.store_op(op)
            else:
                if type(op) is OpaqueOp:
                    self.opaque(op)
                continue
            count += 1
            if errors and are_enough(errors, op.loc):
                return
        self.sched_ops = count
        for copy in self.copies.values():
            self.retire(copy)
        if not self.errors:
            self.check_spilled()
            self.check_results(func)

    # Memory

    def in_bounds(self, op: Operation, tile: Tile, address: int, size: int) -> bool:
        if address & (self.alignment - 1):
            self.error(
                op, tile, f"{tile} @0x{address:04x} is not aligned to {self.alignment} bytes", f"@0x{address:04x}"
            )
        elif address + size > self.total:
            where = f"@0x{address:04x}"
            message = f"{tile} {where} ends at byte {address + size:,}, beyond the SRAM's {self.total:,} bytes"
            self.error(op, tile, message, where)
        elif self.reserved and any(address < end and address + size > start for start, end in self.reserved):
            where = f"@0x{address:04x}"
            self.error(op, tile, f"{tile} {where} lies in a reserved range of the SRAM", where)
        else:
            return not self.wishes or self.as_wished(op, tile, address)
        return False

    def as_wished(self, op: Operation, tile: Tile, address: int) -> bool:
        """Whether a tile is put where it is asked to be."""
        wish = self.wishes.get(tile.value)
        if wish is None:
            return True
        wanted = wish.address(tiled(tile.value), tile.coord, self.alignment)
        if wanted is not None and wanted != address:
            message = f"{tile} is put at @0x{address:04x}, but it is asked to be at @0x{wanted:04x}"
            self.error(op, tile, message, f"@0x{address:04x}").note("asked for here", wish.loc)
            return False
        return True

    def check_pinned(self, op: LoadOp, tile: Tile) -> None:
        """A pinned tile is not loaded again because it gave way to another one."""
        wish, fate = self.wishes.get(tile.value), self.fates.get(tile)
        if wish is None or fate is None or not wish.pins(tile.coord):
            return
        copy, what, over = fate
        there = any(c.tile is tile and c.version == tile.version for c in self.copies.values())
        if what != EVICTED or copy.version != tile.version or there:
            return
        message = f"{tile} is pinned, but it is loaded again after it was overwritten"
        error = self.error(op, tile, message, str(tile))
        error.note("it was overwritten here", over.loc).note("pinned here", wish.loc)

    def overlapping(self, address: int, end: int) -> list[Copy]:
        """The copies that share bytes with a range, in address order."""
        index = bisect_left(self.starts, address)
        found: list[Copy] = []
        if index and self.copies[self.starts[index - 1]].end > address:
            found.append(self.copies[self.starts[index - 1]])
        while index < len(self.starts) and self.starts[index] < end:
            found.append(self.copies[self.starts[index]])
            index += 1
        return found

    def place(self, op: Operation, tile: Tile, address: int, size: int) -> Copy:
        """Writes a tile's bytes: whatever they overlap is gone."""
        end = address + size
        old = self.copies.get(address)
        if old is not None and old.end == end:
            self.retire(old)
            self.fates[old.tile] = (old, EVICTED, op)
        else:
            for gone in self.overlapping(address, end):
                self.remove(gone)
                self.fates[gone.tile] = (gone, EVICTED, op)
            insort(self.starts, address)
        copy = self.copies[address] = Copy(tile, address, end, op, self.at)
        return copy

    def remove(self, copy: Copy) -> None:
        self.retire(copy)
        del self.copies[copy.address]
        del self.starts[bisect_left(self.starts, copy.address)]

    def retire(self, copy: Copy) -> None:
        """Books the copy's live range."""
        size = round_up(copy.end - copy.address, self.alignment)
        self.changes[copy.since] += size
        self.changes[copy.until] -= size

    def held(self, op: Operation, tile: Tile, address: int, verb: str) -> Copy | None:
        """The valid copy of a tile that an op needs at an address; reports what is really there otherwise."""
        copy = self.copies.get(address)
        if copy is not None and copy.tile is tile and copy.version == tile.version:
            copy.until = self.at + 1
            return copy
        self.explain(op, tile, address, verb)
        return None

    def explain(self, op: Operation, tile: Tile, address: int, verb: str) -> None:
        where = f"{tile} @0x{address:04x}"
        if address & (self.alignment - 1):
            self.in_bounds(op, tile, address, 0)
            return
        there = self.overlapping(address, address + tile.size)
        elsewhere = [c for c in self.copies.values() if c.tile is tile and c.version == tile.version and c not in there]
        if not there:
            error = self.error(op, tile, f"{where} {verb}, but no tile is there", where)
            self.note_fate(error, tile)
        elif there[0].tile is tile and there[0].address == address:
            error = self.error(op, tile, f"{where} {verb}, but that copy is stale", where)
            error.note("it was copied here", there[0].op.loc)
            self._note_written(error, tile)
        else:
            copy = there[0]
            message = f"{where} {verb}, but {copy.tile} is there, at @0x{copy.address:04x}"
            error = self.error(op, tile, message, where).note(f"{copy.tile} was put there here", copy.op.loc)
            if not elsewhere:
                self.note_fate(error, tile)
        for copy in elsewhere[:1]:
            error.note(f"{tile} is at @0x{copy.address:04x}, put there here", copy.op.loc)

    def note_fate(self, error: Diagnostic, tile: Tile) -> None:
        """What has become of the tile's last copy."""
        fate = self.fates.get(tile)
        if fate is not None:
            copy, what, op = fate
            error.note(f"{tile} was put at @0x{copy.address:04x} here", copy.op.loc)
            error.note(f"it {what} here", op.loc)

    def check_bytes(self, op: LoadOp | StoreOp, tile: Tile) -> int:
        size = tile.size
        if op.bytes != size:
            self.error(op, tile, f"{tile} has {size} bytes, the text says {op.bytes}", "bytes")
        return size

    # Operations

    def load(self, op: LoadOp) -> None:
        self.loads += 1
        tile = self.tiles[op.operands[0]][op.coords[0]]
        size = self.check_bytes(op, tile)
        address = op.addrs[0]
        if self.in_bounds(op, tile, address, size) and (tile.off == tile.version or self.loadable(op, tile)):
            if self.wishes:
                self.check_pinned(op, tile)
            self.place(op, tile, address, size)
            if self.spilled:
                self.spilled.pop((tile, tile.version), None)
        else:
            self.refused.add(tile)

    def exec(self, op: ExecOp) -> None:
        tiles, copies = self.tiles, self.copies
        operands, coords, addrs = op.operands, op.coords, op.addrs
        dst, address = tiles[operands[0]][coords[0]], addrs[0]
        size = dst.size
        end = address + size
        until, in_place = self.at + 1, False
        last: Tile | None = None
        for i in range(1, len(operands)):
            source = tiles[operands[i]][coords[i]]
            copy = copies.get(addrs[i])
            if copy is None or copy.tile is not source or copy.version != source.version:
                copy = None
                self.explain(op, source, addrs[i], "is read")
            else:
                copy.until = until
            source.unread = False
            if source.open:
                self.finish(op, source)
            if copy is not None and copy.address < end and copy.end > address:
                self.check_overlap(op, dst, copy)
            if source is not last:
                self.source_tiles += 1
                last = source
            if source is dst and addrs[i] == address:
                in_place = True
        if len(operands) > 3:
            first, second, third = [tiles[v][c] for v, c in zip(operands[1:], coords[1:], strict=True)]
            self.source_tiles -= third is first is not second  # counted twice
        if op.accumulate:
            if (dst.open and dst.activation is None) or self.accumulable(op, dst):
                copy = self.held(op, dst, address, "is accumulated on")
                if copy is not None:
                    self.write(op, dst)
                    copy.version = dst.version
        elif self.in_bounds(op, dst, address, size) and self.startable(op, dst):
            self.start(op, dst, address, size, in_place)
        else:
            self.refused.add(dst)

    def check_overlap(self, op: ExecOp, dst: Tile, copy: Copy) -> None:
        """A destination may share bytes with a source only if it is that source, at the same address."""
        if copy.tile is dst and copy.address == op.addrs[0]:
            return
        where = f"{dst} @0x{op.addrs[0]:04x}"
        message = f"{where} is written over {copy.tile}, which the same exec reads"
        self.error(op, dst, message, where).note(f"{copy.tile} was put there here", copy.op.loc)

    def start(self, op: ExecOp, dst: Tile, address: int, size: int, in_place: bool) -> None:
        self.write(op, dst)
        copy = self.copies.get(address)
        if in_place and copy is not None and copy.tile is dst:
            copy.version = dst.version
            copy.until = self.at + 1
            copy.op = op
        else:
            self.place(op, dst, address, size)

    def store_op(self, op: StoreOp) -> None:
        tile = self.tiles[op.operands[0]][op.coords[0]]
        self.check_bytes(op, tile)
        if not self.storable(op, tile):
            return
        copy = self.held(op, tile, op.addrs[0], "is stored")
        if copy is None or not self.activatable(op, tile):
            return
        if op.spill is UNIT:
            self.check_spill(op, tile)
        self.store(op, tile)
        if op.retain is UNIT:
            copy.version = tile.version
        else:
            self.remove(copy)
            self.fates[tile] = (copy, "was stored, which ended its on-chip life,", op)

    def check_spill(self, op: StoreOp, tile: Tile) -> None:
        """A spill makes room and nothing else: it keeps no copy, changes nothing, and the tile is loaded again."""
        self.spills += 1
        self.spilled[tile, tile.version] = op
        if op.retain is UNIT or op.activation is not None:
            other = "retain" if op.retain is UNIT else "activation"
            self.error(op, tile, f"{tile} is spilled, which makes room, so it can't have '{other}'", other)
        wish = self.wishes.get(tile.value)
        if wish is not None and wish.pins(tile.coord):
            self.error(op, tile, f"{tile} is pinned, but it is spilled here", str(tile)).note("pinned here", wish.loc)

    def check_spilled(self) -> None:
        for (tile, _), op in self.spilled.items():
            self.error(op, tile, f"{tile} is marked as spilled, but it is not loaded again", "spill")

    # Statistics

    def stats(self) -> dict[str, int]:
        """`sched.stats` as the text implies them."""
        tiles = [tile for buffer in self.tiles.values() for tile in buffer.values()]
        unread = [t.size for t in tiles if t.unread]
        stats = {
            "final_live_bytes": sum(unread),
            "loads_eliminated": self.source_tiles - self.loads,
            "loads_emitted": self.loads,
            "peak_sram_bytes": max(accumulate(self.changes), default=0),
            "sched_ops": self.sched_ops,
        }
        return stats | {"spills": self.spills} if self.spills else stats


def _replay(func: FuncOp, module: ModuleOp) -> Replay:
    target = target_of(func, module)
    default = {"alignment": target.alignment, "reserved": target.reserved, "total_bytes": target.sram_bytes}
    replay = Replay(func.attrs.get("sched.sram", default), wishes_of(func))
    replay.run(func)
    return replay


def replay_schedule(func: FuncOp, module: ModuleOp) -> list[Diagnostic]:
    """Every violation in a scheduled function, its `sched.stats` included if it has them."""
    replay = _replay(func, module)
    stated = func.attrs.get("sched.stats")
    if replay.errors or stated is None:
        return replay.errors
    stats = replay.stats()
    errors: list[Diagnostic] = []
    for key in sorted(stats.keys() | stated.keys()):
        if key not in stats and key in OPTIONAL_STATS:
            message, focus = f"sched.stats says {key} = {stated[key]}, by the text there are none", f"{key} ="
        elif key not in stats:
            message, focus = f"unknown statistic '{key}' in sched.stats; it has {', '.join(STAT_KEYS)}", f"{key} ="
        elif key not in stated:
            message, focus = f"sched.stats lacks '{key}', which is {stats[key]} by the text", "sched.stats"
        else:
            message, focus = f"sched.stats says {key} = {stated[key]}, by the text it is {stats[key]}", f"{key} ="
        if stats.get(key) != stated.get(key):
            errors.append(Diagnostic(message, func.loc, focus=focus))
    return errors


def schedule_stats(func: FuncOp, module: ModuleOp) -> dict[str, int]:
    """The statistics of a valid schedule, as `sched.stats` holds them (bytes, and counts of operations).

    Raises ValueError if the schedule is not valid.
    """
    replay = _replay(func, module)
    if replay.errors:
        raise ValueError(replay.errors[0].message)
    return replay.stats()
