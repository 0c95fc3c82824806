"""The live ranges of a schedule: which tile's bytes lie where, from which operation to which."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..dialects.checks.schedule_replay import Copy, Replay
from ..dialects.placement_limits import wishes_of
from ..dialects.target import schedule_target
from ..dialects.tiles import Coord
from ..ir.builtin import FuncOp, ModuleOp
from ..ir.core import Operation, Value


class LiveRange(NamedTuple):
    """A copy of a tile: its bytes [start, end), and the operations [first, last], as numbers of `timed.placed_ops`,
    from the one that writes it to the last that reads it. `op` is the one that put it there."""

    value: Value
    coord: Coord
    start: int
    end: int
    first: int
    last: int
    op: Operation


class _RangeRecorder(Replay):
    """The verifier's own replay, whose copies are kept."""

    def __init__(self, sram: dict[str, Any], func: FuncOp):
        super().__init__(sram, wishes_of(func))
        self.found: list[LiveRange] = []

    def retire(self, copy: Copy) -> None:
        super().retire(copy)
        tile = copy.tile
        self.found.append(LiveRange(tile.value, tile.coord, copy.address, copy.end, copy.first, copy.last, copy.op))


def live_ranges(func: FuncOp, module: ModuleOp) -> list[LiveRange]:
    """Every live range of a valid schedule, by first operation and address. Raises ValueError if it is not valid."""
    target = schedule_target(func, module)
    sram = {"alignment": target.alignment, "reserved": target.reserved, "total_bytes": target.sram_bytes}
    replay = _RangeRecorder(sram, func)
    replay.run(func)
    if replay.errors:
        raise ValueError(replay.errors[0].message)
    return sorted(replay.found, key=lambda life: (life.first, life.start))


def live_bytes(lives: list[LiveRange], count: int) -> list[int]:
    """How many bytes are live at each of `count` operations."""
    changes = [0] * (count + 1)
    for life in lives:
        changes[life.first] += life.end - life.start
        changes[life.last + 1] -= life.end - life.start
    total = 0
    return [total := total + change for change in changes[:count]]
