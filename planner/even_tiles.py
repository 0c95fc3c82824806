"""What a plan of a tile program moves where all tiles are of one size, without the plan.

First fit needs no arena then: the SRAM is a row of equal slots, and a tile gets the lowest free one. `plan` tries
thousands of programs for each one that is planned, and most graphs have such tiles only: here that takes a fraction of
the time of `FirstFitPlanner` with eviction by cost, whose choices these are, to the byte (tests hold one against the
other).
"""

from __future__ import annotations

from collections.abc import Collection
from heapq import heapify, heappop, heappush

from .arena import SRAMConfig
from .liveness import EXEC, NEVER, STORE, Liveness, Program
from .residency import FirstFitPlanner, NoRoomError, TrafficLimitError
from .units import UNLIMITED


def first_fit_traffic(program: Program, liveness: Liveness, config: SRAMConfig, limit: int = UNLIMITED) -> int:
    """Bytes that all loads and stores of first fit's plan move, with eviction by cost. Raises `NoRoomError`, and
    `TrafficLimitError` where it is not less than the limit. A program with tiles of one size must not ask for loads."""
    if len(set(program.sizes)) == 1 and not program.limits:
        slots = config.capacity // config.rounded(program.sizes[0])
        return EvenTiles(program, liveness, slots, limit - 1).traffic()
    stored = sum([program.sizes[step[1]] for step in program.steps if step[0] == STORE])
    return FirstFitPlanner(program, liveness, config, "cost", limit - stored - 1).run().traffic(program)


class EvenTiles:
    """The plan of a program on so many slots; an instance is run once. The program asks for no loads and no places."""

    def __init__(self, program: Program, liveness: Liveness, slots: int, limit: int = UNLIMITED):
        """`limit` is in bytes."""
        count = len(program.sizes)
        self.steps = program.steps
        self.size = program.sizes[0] if count else 1
        self.uses, self.finishing, self.outside = liveness
        self.free = list(range(slots))
        self.slot = [-1] * count
        self.pinned = bytearray(count)
        self.dirty = bytearray(count)
        self.next_use = [NEVER] * count
        self.entered = [NEVER] * count
        self.used: list[int] = []
        self.clean: list[tuple[int, int, int]] = []
        self.unsaved: list[tuple[int, int, int]] = []
        self.moved = 0
        self.most = limit // self.size
        # What has to be loaded at least once counts from the beginning. Of several sizes that would be wrong,
        # since where first fit finds no room later on, a second attempt may move less than the limit.
        self.unread = bytearray(count)
        for tile in self.outside:
            self.unread[tile] = 1

    def traffic(self) -> int:
        """Bytes that all loads and stores move. Raises `NoRoomError`, and `TrafficLimitError` once it is plain that
        they are more than the limit."""
        self.moved = len(self.outside)
        for step in self.steps:
            self.moved += step[0] == STORE
        self.run()
        return self.moved * self.size

    def run(self) -> None:
        """Goes through all steps, as `FirstFitPlanner.exec` and `store` do."""
        slot, pinned, dirty, next_use, finishing = self.slot, self.pinned, self.dirty, self.next_use, self.finishing
        used = self.used
        note = used.append
        if self.moved > self.most:
            raise TrafficLimitError
        i = -1
        for (kind, dst, sources, _, _, _), uses in zip(self.steps, self.uses, strict=True):
            i += 1
            if kind != EXEC:
                self.store(i, dst, uses[0])
                continue
            for s in sources:
                if slot[s] < 0:
                    self.load(i, s, sources)
            if not pinned[dst]:
                if slot[dst] < 0:
                    self.place(i, dst, sources)
                pinned[dst] = 1
            dirty[dst] = 0
            at = 0
            for s in sources:
                at += 1
                if s == dst:
                    continue
                after = uses[at]
                if after == NEVER:
                    pinned[s] = dirty[s] = 0
                    heappush(self.free, slot[s])
                    slot[s] = -1
                elif not pinned[s]:
                    next_use[s] = after
                    note(s)
            after = uses[0]
            if after == NEVER:
                self.release(dst)
            elif finishing[i]:
                pinned[dst] = 0
                dirty[dst] = 1
                next_use[dst] = after
                note(dst)

    def store(self, i: int, tile: int, after: int) -> None:
        """A store: of a tile that was spilled, it is loaded again."""
        if self.slot[tile] < 0:
            self.load(i, tile, ())
        if after == NEVER or not self.steps[i].retain:
            self.release(tile)
            return
        self.pinned[tile] = self.dirty[tile] = 0
        self.next_use[tile] = after
        self.used.append(tile)

    def release(self, tile: int) -> None:
        """Gives back a tile's slot."""
        self.pinned[tile] = self.dirty[tile] = 0
        heappush(self.free, self.slot[tile])
        self.slot[tile] = -1

    def load(self, i: int, tile: int, protected: Collection[int]) -> None:
        """Brings a tile; one that has been counted costs nothing more."""
        self.place(i, tile, protected)
        if self.unread[tile]:
            self.unread[tile] = 0
        else:
            self.spend()
        self.next_use[tile] = i
        self.used.append(tile)

    def spend(self) -> None:
        """Counts a transfer."""
        self.moved += 1
        if self.moved > self.most:
            raise TrafficLimitError

    def place(self, i: int, tile: int, protected: Collection[int]) -> None:
        """Gives a tile the lowest free slot, or that of the tile that is cheapest to evict."""
        if self.free:
            self.slot[tile] = heappop(self.free)
            return
        self.enter_used()
        clean, unsaved = self.last(self.clean, 0, protected), self.last(self.unsaved, 1, protected)
        if clean < 0 and unsaved < 0:
            raise NoRoomError
        next_use = self.next_use
        victim = clean
        if clean < 0 or (unsaved >= 0 and next_use[unsaved] - i > 2 * (next_use[clean] - i)):
            victim = unsaved
            self.dirty[victim] = 0
            self.spend()
        self.slot[tile], self.slot[victim] = self.slot[victim], -1

    def enter_used(self) -> None:
        """Enters what has been used since the last eviction in the heaps, the farthest next use and then the lowest
        slot first."""
        slot, pinned, next_use, entered = self.slot, self.pinned, self.next_use, self.entered
        for tile in self.used:
            after = next_use[tile]
            if slot[tile] >= 0 and not pinned[tile] and entered[tile] != after:
                entered[tile] = after
                heappush(self.unsaved if self.dirty[tile] else self.clean, (-after, slot[tile], tile))
        self.used.clear()

    def last(self, heap: list[tuple[int, int, int]], dirty: int, protected: Collection[int]) -> int:
        """The tile of a heap that is needed last, none of the protected ones; -1 for none."""
        slot, next_use = self.slot, self.next_use
        if len(heap) > 64 + 4 * len(slot):
            heap[:] = [entry for entry in heap if next_use[entry[2]] == -entry[0]]
            heapify(heap)
        kept: list[tuple[int, int, int]] = []
        found = -1
        while heap and found < 0:
            after, _, tile = heap[0]
            if slot[tile] < 0 or next_use[tile] != -after or self.pinned[tile] or self.dirty[tile] != dirty:
                heappop(heap)
            elif tile in protected:
                kept.append(heappop(heap))
            else:
                found = tile
        for entry in kept:
            heappush(heap, entry)
        return found
