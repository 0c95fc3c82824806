"""The live ranges of a schedule: which tile's bytes lie where, from which operation to which."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..dialects.checks.schedule_replay import Copy, Replay
from ..dialects.placement_limits import wishes_of
from ..dialects.target import schedule_target
from ..dialects.tiles import Coord
from ..ir.builtin import FuncOp, ModuleOp
from ..ir.core import Operation, Value


class PlacedRange(NamedTuple):
    """A copy of a tile: `size` bytes from `address` on, live over the operations [start, end), as numbers of
    `queues.placed_ops`, from the one that writes it to the last that reads it. `op` is the one that put it there."""

    value: Value
    coord: Coord
    address: int
    size: int
    start: int
    end: int
    op: Operation


class _RangeRecorder(Replay):
    """The verifier's own replay, whose copies are kept."""

    def __init__(self, sram: dict[str, Any], func: FuncOp):
        super().__init__(sram, wishes_of(func))
        self.found: list[PlacedRange] = []

    def retire(self, copy: Copy) -> None:
        super().retire(copy)
        tile, size = copy.tile, copy.end - copy.address
        found = PlacedRange(tile.value, tile.coord, copy.address, size, copy.since, copy.until, copy.op)
        self.found.append(found)


def live_ranges(func: FuncOp, module: ModuleOp) -> list[PlacedRange]:
    """Every live range of a valid schedule, by its start and address. Raises ValueError if it is not valid."""
    target = schedule_target(func, module)
    sram = {"alignment": target.alignment, "reserved": target.reserved, "total_bytes": target.sram_bytes}
    replay = _RangeRecorder(sram, func)
    replay.run(func)
    if replay.errors:
        raise ValueError(replay.errors[0].message)
    return sorted(replay.found, key=lambda one: (one.start, one.address))


def live_bytes(ranges: list[PlacedRange], count: int) -> list[int]:
    """How many bytes are live at each of `count` operations."""
    changes = [0] * (count + 1)
    for one in ranges:
        changes[one.start] += one.size
        changes[one.end] -= one.size
    total = 0
    return [total := total + change for change in changes[:count]]
