"""Tile operations that need not be made, among those of whole loop nests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from ..dialects.tiles import Coord


class LeftOut:
    """The execs that are left out of some operations, by the operation's number, the coordinates of its result's tile,
    and k. `counts` has, for each tile of a sum that lacks some, how many are left; `done` how many there have been."""

    def __init__(self, execs: set[tuple[int, Coord, int]], counts: Mapping[tuple[int, Coord], int]):
        self.execs = execs
        self.counts = counts
        self.done: Counter[tuple[int, Coord]] = Counter()

    def turn(self, op: int, coord: Coord, k: int, starts: bool, ends: bool) -> tuple[bool, bool] | None:
        """Whether an exec starts its tile, and whether it ends it; None for one that is left out."""
        if (op, coord, k) in self.execs:
            return None
        place = op, coord
        if place not in self.counts:
            return starts, ends
        self.done[place] += 1
        return self.done[place] == 1, self.done[place] == self.counts[place]
