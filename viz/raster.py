"""What both the SVG and the terminal need to draw many lives on few cells, and to cut axes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..planner.units import round_up
from .model import ACCUMULATOR, NOBODY, SPILLED, Picture

FREE = -1


@dataclass(frozen=True, slots=True)
class Window:
    """What a picture shows: operations or cycles from 0 to `right`, addresses from 0 to `top`."""

    axis: str
    right: int
    top: int

    def span(self, picture: Picture, life: int) -> tuple[int, int]:
        """From where to where a life lasts."""
        lives = picture.lives
        if self.axis == "op":
            return lives.start[life], lives.end[life]
        return lives.begin[life], lives.until[life]

    def op_span(self, picture: Picture, op: int) -> tuple[int, int]:
        return (op, op + 1) if self.axis == "op" else (picture.ops.start[op], picture.ops.end[op])


def window_of(pictures: Sequence[Picture], axis: str) -> Window:
    """All of the pictures, with common axes; of the SRAM what is in use if that is much less than all."""
    right = max(len(p.live) if axis == "op" else p.makespan for p in pictures)
    used, capacity = max(p.high_water for p in pictures), max(p.capacity for p in pictures)
    return Window(axis, max(1, right), capacity if used > 0.75 * capacity or not used else used)


def owners(picture: Picture, window: Window, columns: int, rows: int) -> np.ndarray:
    """For each cell, row 0 at address 0, which tensor fills most of what is filled of it, doubled; odd for a sum in the
    making; FREE where less than a tenth is filled. By Boyer and Moore's majority vote."""
    owner = np.full((columns, rows), FREE, dtype=np.int64)
    weight = np.zeros((columns, rows))
    cover = np.zeros((columns, rows))
    lives = picture.lives
    for life in range(len(lives)):
        start, end = window.span(picture, life)
        address, size = lives.address[life], picture.size(lives.tile[life])
        wide = _shares(start * columns / window.right, end * columns / window.right, columns)
        tall = _shares(address * rows / window.top, (address + size) * rows / window.top, rows)
        tensor = picture.tiles[lives.tile[life]][0]
        _vote(owner, weight, cover, wide, tall, 2 * tensor + (lives.kind[life] == ACCUMULATOR))
    owner[cover < 0.1] = FREE
    return owner


def _shares(start: float, end: float, cells: int) -> tuple[slice, np.ndarray]:
    """The cells that a range touches, and how much of each it covers."""
    first = min(int(start), cells - 1)
    last = min(cells, max(first + 1, -int(-end // 1)))
    edges = np.arange(first, last)
    return slice(first, last), np.clip(np.minimum(edges + 1, end) - np.maximum(edges, start), 0, 1)


def _vote(
    owner: np.ndarray, weight: np.ndarray, cover: np.ndarray,
    wide: tuple[slice, np.ndarray], tall: tuple[slice, np.ndarray], mine: int,
) -> None:  # fmt: skip
    share = wide[1][:, None] * tall[1][None, :]
    place = wide[0], tall[0]
    cover[place] += share
    same = owner[place] == mine
    weight[place] += np.where(same, share, -share)
    lost = weight[place] < 0
    owner[place] = np.where(lost, mine, owner[place])
    weight[place] = np.abs(weight[place])


def live_columns(picture: Picture, window: Window, columns: int) -> list[int]:
    """The most bytes live within each column."""
    most = [0] * columns
    for start, end, size in live_steps(picture, window.axis):
        first = start * columns // window.right
        for column in range(first, max(first + 1, -(-end * columns // window.right))):
            most[column] = max(most[column], size)
    return most


def live_steps(picture: Picture, axis: str) -> Iterator[tuple[int, int, int]]:
    """The bytes live as steps: from, to, bytes."""
    if axis == "op":
        yield from ((op, op + 1, size) for op, size in enumerate(picture.live))
        return
    changes: dict[int, int] = {}
    lives = picture.lives
    for begin, until, tile in zip(lives.begin, lives.until, lives.tile, strict=True):
        size = round_up(picture.size(tile), picture.alignment)
        changes[begin] = changes.get(begin, 0) + size
        changes[until] = changes.get(until, 0) - size
    times = sorted(changes)
    live = 0
    for start, end in pairwise(times):
        live += changes[start]
        yield start, end, live


def busy_columns(picture: Picture, window: Window, queue: int, columns: int) -> np.ndarray:
    """How much of each column an engine works, 0 to 1; on the axis of operations, its share of them."""
    busy = np.zeros(columns)
    for op, number in enumerate(picture.ops.queue):
        if number == queue:
            start, end = window.op_span(picture, op)
            place, share = _shares(start * columns / window.right, end * columns / window.right, columns)
            busy[place] += share
    return np.minimum(busy, 1)


def stall_columns(picture: Picture, window: Window, queue: int, columns: int) -> dict[int, np.ndarray]:
    """How much of each column an engine waits, by cause (a number in `CAUSES`), on the axis of cycles."""
    found: dict[int, np.ndarray] = {}
    for op, waited in enumerate(stall_of(picture)):
        if waited and picture.ops.queue[op] == queue:
            start = picture.ops.start[op]
            place, share = _shares((start - waited) * columns / window.right, start * columns / window.right, columns)
            found.setdefault(picture.ops.cause[op], np.zeros(columns))[place] += share
    return found


def stall_of(picture: Picture) -> list[int]:
    """The cycles that each operation waited beyond its queue."""
    free = [0] * len(picture.queues)
    waited = []
    ops = picture.ops
    for queue, start, end, cause in zip(ops.queue, ops.start, ops.end, ops.cause, strict=True):
        waited.append(start - free[queue] if cause else 0)
        free[queue] = end
    return waited


def moves_of(picture: Picture, what: str) -> list[int]:
    """The operations that reload or spill a tile."""
    lives = picture.lives
    if what == "reloads":
        return [start for start, reload in zip(lives.start, lives.reload, strict=True) if reload]
    return [by for how, by in zip(lives.ended, lives.ender, strict=True) if how == SPILLED and by != NOBODY]
