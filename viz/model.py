"""What the pictures show of a schedule, as plain data: operations in time, and the lives of the copies on chip."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np

from ..dialects.checks.schedule_replay import Copy, Replay
from ..dialects.kernels import KERNELS
from ..dialects.placement_limits import wishes_of
from ..dialects.sched import ExecOp, LoadOp, StoreOp
from ..dialects.target import schedule_target
from ..dialects.tiles import Coord, TiledType, TileRef, coord_text
from ..dialects.uop import is_alloc
from ..ir.attributes import UNIT
from ..ir.builtin import FuncOp, ModuleOp
from ..ir.core import Value
from ..ir.diagnostics import visible
from ..lowering.timed_ops import Placed, TimedOps, placed_ops
from ..planner.simulator import Timeline, simulate
from .figures import Figures, figures_of

OPERAND, ACCUMULATOR, INTERMEDIATE = range(3)
KINDS = ("operand", "accumulator", "intermediate")
"""What a copy holds: bytes of an argument, a sum in the making, or something computed that later operations read."""

KEPT, STORED, SPILLED, OVERWRITTEN = range(4)
ENDS = ("kept to the end", "stored", "spilled", "overwritten")
"""What becomes of a copy."""

NOBODY = -1
CAUSES = (
    "", "read after write", "write after read", "write after write",
    "off-chip read after write", "off-chip write after read", "off-chip write after write",
)  # fmt: skip
PLACE = "\x01"
"""Stands before the number of a tile in the texts of operations; no printed text has it."""


@dataclass(slots=True)
class Tensor:
    """A buffer: `tile_bytes` is the size of each of its tiles."""

    name: str
    tile_bytes: int
    computed: bool


@dataclass(slots=True)
class Ops:
    """The operations that take time, a column for each of their properties.

    `form` is the number of an operation's text in `Picture.forms`, `line` its line in the file (0: unknown). Times are
    in cycles; `cause` says what it waited for (a number in `CAUSES`) and `by` which operation that was. `lives` are the
    copies that it names: its destination's (or only) one, and those of its sources (NOBODY: it has fewer).
    """

    form: list[int] = field(default_factory=list)
    line: list[int] = field(default_factory=list)
    queue: list[int] = field(default_factory=list)
    start: list[int] = field(default_factory=list)
    end: list[int] = field(default_factory=list)
    cause: list[int] = field(default_factory=list)
    by: list[int] = field(default_factory=list)
    lives: tuple[list[int], list[int], list[int]] = field(default_factory=lambda: ([], [], []))


@dataclass(slots=True)
class Lives:
    """The copies of tiles on chip, a column for each of their properties.

    A copy is live over the operations [`start`, `end`) and the cycles [`begin`, `until`); `written` is the last
    operation that wrote it. `ended` is one of `ENDS`, by the operation `ender`. `reload` says that its tile had
    been on chip before and was brought in again.
    """

    tile: list[int] = field(default_factory=list)
    address: list[int] = field(default_factory=list)
    start: list[int] = field(default_factory=list)
    end: list[int] = field(default_factory=list)
    written: list[int] = field(default_factory=list)
    begin: list[int] = field(default_factory=list)
    until: list[int] = field(default_factory=list)
    kind: list[int] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)
    ender: list[int] = field(default_factory=list)
    reload: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.tile)


@dataclass(slots=True)
class Picture:
    """A scheduled function. `live` are the bytes live at each operation, in whole alignment units; `tiles` are pairs of
    a number in `tensors` and coordinates."""

    source: str
    function: str
    capacity: int
    alignment: int
    reserved: tuple[tuple[int, int], ...]
    queues: list[str]
    tensors: list[Tensor]
    tiles: list[tuple[int, Coord]]
    forms: list[str]
    ops: Ops
    lives: Lives
    live: list[int]
    timeline: Timeline
    figures: Figures

    @property
    def makespan(self) -> int:
        return self.timeline.makespan

    @property
    def peak(self) -> int:
        """As `peak_sram_bytes` in the schedule's statistics."""
        return max(self.live, default=0)

    @property
    def peak_op(self) -> int:
        """The first operation at which so many bytes are live."""
        return self.live.index(self.peak) if self.live else 0

    @property
    def high_water(self) -> int:
        """The largest address that a copy ends at."""
        lives = self.lives
        return max((a + self.size(t) for a, t in zip(lives.address, lives.tile, strict=True)), default=0)

    def size(self, tile: int) -> int:
        """Bytes of a tile."""
        return self.tensors[self.tiles[tile][0]].tile_bytes

    def tile_name(self, tile: int) -> str:
        """`%x[0, 1]`."""
        tensor, coord = self.tiles[tile]
        return f"%{self.tensors[tensor].name}{coord_text(coord)}"

    def text(self, op: int) -> str:
        """An operation as the printer writes it."""

        def tile(match: re.Match[str]) -> str:
            life = self.ops.lives[int(match[1])][op]
            return f"{self.tile_name(self.lives.tile[life])} @0x{self.lives.address[life]:04x}"

        return re.sub(f"{PLACE}([012])", tile, self.forms[self.ops.form[op]])


class _PictureRecorder(Replay):
    """Replays a valid schedule and notes every copy and who uses it."""

    def __init__(self, func: FuncOp, module: ModuleOp):
        target = schedule_target(func, module)
        sram = {"alignment": target.alignment, "total_bytes": target.sram_bytes, "reserved": target.reserved}
        super().__init__(func.attrs.get("sched.sram", sram), wishes_of(func))
        self.made: list[Copy] = []
        self.number: dict[Copy, int] = {}
        self.kinds: list[int] = []
        self.loaded: list[bool] = []
        self.written: list[int] = []
        self.ends: list[tuple[int, int]] = []
        self.uses: list[tuple[int, ...]] = []

    def place(self, op, tile, address, size):  # type: ignore[no-untyped-def]
        copy = super().place(op, tile, address, size)
        self.number[copy] = len(self.made)
        self.made.append(copy)
        if isinstance(op, ExecOp):
            self.kinds.append(ACCUMULATOR if _is_summed(op) else INTERMEDIATE)
        else:
            self.kinds.append(INTERMEDIATE if is_alloc(tile.value) else OPERAND)
        self.loaded.append(isinstance(op, LoadOp))
        self.written.append(self.at)
        self.ends.append((KEPT, NOBODY))
        return copy

    def retire(self, copy: Copy) -> None:
        super().retire(copy)
        self.ends[self.number[copy]] = (OVERWRITTEN, self.at)

    def load(self, op: LoadOp) -> None:
        super().load(op)
        self.uses.append((len(self.made) - 1,))

    def exec(self, op: ExecOp) -> None:
        sources = [self.number[self.copies[address]] for address in op.addrs[1:]]
        super().exec(op)
        dst = self.number[self.copies[op.addrs[0]]]
        self.written[dst] = self.at
        self.uses.append((dst, *sources))

    def store_op(self, op: StoreOp) -> None:
        life = self.number[self.copies[op.addrs[0]]]
        super().store_op(op)
        if op.retain is not UNIT:
            self.ends[life] = (SPILLED if op.spill is UNIT else STORED, self.at)
        self.uses.append((life,))

    def play(self, func: FuncOp) -> None:
        """Runs the function; what is on chip when it returns has been neither stored nor overwritten."""
        self.run(func)
        assert not self.errors, self.errors[0].message
        for copy in self.copies.values():
            self.ends[self.number[copy]] = (KEPT, NOBODY)


def picture_of(func: FuncOp, module: ModuleOp) -> Picture:
    """What there is to see of a valid scheduled function."""
    replay = _PictureRecorder(func, module)
    replay.play(func)
    placed = placed_ops(func)
    timed = TimedOps(schedule_target(func, module))
    timed_ops = timed.all(func)
    line = simulate(timed_ops, timed.queues)
    tensors: dict[Value, int] = {}
    tiles: dict[TileRef, int] = {}
    for copy in replay.made:
        tensors.setdefault(copy.tile.value, len(tensors))
        tiles.setdefault((copy.tile.value, copy.tile.coord), len(tiles))
    forms: dict[str, int] = {}
    ops = _columns(placed, module, line, replay, forms)
    channels = timed.queues - 1
    names = [f"DMA {i}" if channels > 1 else "DMA" for i in range(channels)] + ["compute"]
    return Picture(
        visible(os.path.basename(module.source.name)) if module.source else "", func.symbol[1:],
        replay.total, replay.alignment, tuple(replay.reserved), names,
        [Tensor(v.name, v.type.tile_bytes, is_alloc(v)) for v in tensors if isinstance(v.type, TiledType)],
        [(tensors[value], coord) for value, coord in tiles],
        list(forms), ops, _lives(replay, tiles, line), list(accumulate(replay.changes))[: len(placed)], line,
        figures_of(func, replay.stats(), replay.total, replay.alignment, timed_ops, line, names),
    )  # fmt: skip


def _columns(
    placed: list[Placed], module: ModuleOp, line: Timeline, replay: _PictureRecorder, forms: dict[str, int]
) -> Ops:
    ops = Ops(start=line.start, end=line.end, by=line.by, cause=[CAUSES.index(c) for c in line.cause])
    known: dict[object, int] = {}
    transfers = 0
    for op in placed:
        key = _form_key(op)
        if key not in known:
            known[key] = forms.setdefault(_form(op), len(forms))
        ops.form.append(known[key])
        computes = isinstance(op, ExecOp)
        ops.queue.append(line.queues - 1 if computes else transfers % (line.queues - 1))
        transfers += not computes
    ops.line = _lines([op.loc for op in placed], module)
    for uses in replay.uses:
        for place, column in enumerate(ops.lives):
            column.append(uses[place] if place < len(uses) else NOBODY)
    return ops


def _lines(offsets: list[int], module: ModuleOp) -> list[int]:
    """The lines of offsets in the source; 0 for unknown ones."""
    if module.source is None:
        return [0] * len(offsets)
    lines = np.searchsorted(module.source.line_starts, offsets, side="right") + module.source.first_line - 1
    return np.where(np.asarray(offsets) < 0, 0, lines).tolist()


def _form_key(op: Placed) -> object:
    """What the text of an operation depends on besides its tiles; the operation itself where that is unusual."""
    if op.extra:
        return op
    kernel = (op.kernel, op.accumulate) if isinstance(op, ExecOp) else ()
    return (type(op), *kernel, *[getattr(op, field.slot) for field in op.braces])


def _is_summed(op: ExecOp) -> bool:
    """Whether an exec makes a sum, or starts one."""
    kernel = KERNELS[op.kernel]
    return kernel.combine is not None or kernel.starts


def _form(op: Placed) -> str:
    """The text of an operation with `PLACE` and a digit for each of its tiles."""
    head = op.head([f"{PLACE}{i}" for i in range(len(op.operands))])
    names = {value: f"%{value.name}" for value in op.operands}
    return head + op.pretty(names).removeprefix(op.head(op.shown_tiles(names)))


def _lives(replay: _PictureRecorder, tiles: dict[TileRef, int], line: Timeline) -> Lives:
    lives = Lives(kind=replay.kinds, written=replay.written)
    until = [0] * len(replay.made)
    for end, uses in zip(line.end, replay.uses, strict=True):
        for life in uses:
            until[life] = max(until[life], end)
    seen: set[int] = set()
    for copy, loaded in zip(replay.made, replay.loaded, strict=True):
        tile = tiles[copy.tile.value, copy.tile.coord]
        lives.tile.append(tile)
        lives.address.append(copy.address)
        lives.start.append(copy.since)
        lives.end.append(copy.until)
        lives.begin.append(line.start[copy.since])
        lives.reload.append(int(loaded and tile in seen))
        seen.add(tile)
    lives.until = until
    lives.ended = [how for how, _ in replay.ends]
    lives.ender = [by for _, by in replay.ends]
    return lives
