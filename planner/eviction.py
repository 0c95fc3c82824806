"""Eviction policies: which resident tiles go when the SRAM is full.

Tiles are numbers, time is counted in steps, addresses and sizes in bytes. `make_eviction` gives the policy of a name.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush, merge
from math import inf
from typing import NamedTuple, Protocol

from .arena import VirtualSRAMArena


class Request(NamedTuple):
    """Room is wanted: `size` bytes at step `now`, without touching `protected`. `arena` is the SRAM, its tags being
    tiles."""

    size: int
    now: int
    protected: Collection[int]
    arena: VirtualSRAMArena


class Eviction(Protocol):
    """The evictable tiles, and the choice among them."""

    def use(self, tile: int, next_use: int, address: int, transfers: int = 1) -> None:
        """The tile at an address has just been used (or become evictable) and is needed again at step `next_use`.

        `transfers` is what it costs to have it back then: 1 for a tile that is also off chip, 2 for one that must be
        stored first.
        """
        ...

    def drop(self, tile: int) -> None:
        """The tile is no longer evictable."""
        ...

    def victims(self, request: Request) -> list[int]:
        """The next tiles to evict, none of the protected ones; they are dropped. Empty if there is no other."""
        ...

    def tiles(self) -> list[int]:
        """All evictable tiles."""
        ...


class LeastRecentlyUsed:
    """Evicts the tile whose last use is the longest ago; an exec reads its sources from left to right."""

    def __init__(self) -> None:
        self._order: OrderedDict[int, None] = OrderedDict()

    def use(self, tile: int, next_use: int, address: int, transfers: int = 1) -> None:
        self._order[tile] = None
        self._order.move_to_end(tile)

    def drop(self, tile: int) -> None:
        self._order.pop(tile, None)

    def victims(self, request: Request) -> list[int]:
        for tile in self._order:
            if tile not in request.protected:
                del self._order[tile]
                return [tile]
        return []

    def tiles(self) -> list[int]:
        return list(self._order)


class FarthestNextUse:
    """Evicts the tile that is needed again last (Belady's MIN, 1966); ties go to the lower address."""

    def __init__(self) -> None:
        self._next: dict[int, int] = {}
        self._heap: list[tuple[int, int, int]] = []

    def use(self, tile: int, next_use: int, address: int, transfers: int = 1) -> None:
        upcoming, heap = self._next, self._heap
        upcoming[tile] = next_use
        heappush(heap, (-next_use, address, tile))
        if len(heap) > 64 + 4 * len(upcoming):
            self._compact()

    def _compact(self) -> None:
        """Throws out entries that a later use has overtaken."""
        upcoming = self._next
        self._heap = list({entry[2]: entry for entry in self._heap if upcoming.get(entry[2]) == -entry[0]}.values())
        heapify(self._heap)

    def drop(self, tile: int) -> None:
        self._next.pop(tile, None)

    def best(self, protected: Collection[int]) -> tuple[int, int] | None:
        """The tile to evict and its next use; it stays evictable."""
        upcoming, heap = self._next, self._heap
        kept: list[tuple[int, int, int]] = []
        found = None
        while heap and found is None:
            after, _, tile = heap[0]
            if upcoming.get(tile) != -after:
                heappop(heap)
            elif tile in protected:
                kept.append(heappop(heap))
            else:
                found = tile, -after
        for entry in kept:
            heappush(heap, entry)
        return found

    def victims(self, request: Request) -> list[int]:
        found = self.best(request.protected)
        if found is None:
            return []
        self.drop(found[0])
        return [found[0]]

    def tiles(self) -> list[int]:
        return list(self._next)


class LeastCost:
    """Evicts what is cheapest for how long its room is of use: transfers to have it back, per step until it is needed.

    That is MIN with weights: a tile that must be stored first has to be needed twice as far ahead as one that need not.
    """

    def __init__(self) -> None:
        self._clean = FarthestNextUse()
        self._dirty = FarthestNextUse()
        self._latest: dict[int, tuple[int, int, int]] = {}

    def use(self, tile: int, next_use: int, address: int, transfers: int = 1) -> None:
        # Entered in a heap only when somebody asks: by then most have been used again, or dropped.
        self._latest.pop(tile, None)
        self._latest[tile] = next_use, address, transfers

    def _enter_latest(self) -> None:
        for tile, (next_use, address, transfers) in self._latest.items():
            self._clean.drop(tile)
            self._dirty.drop(tile)
            (self._clean if transfers == 1 else self._dirty).use(tile, next_use, address)
        self._latest.clear()

    def drop(self, tile: int) -> None:
        self._latest.pop(tile, None)
        self._clean.drop(tile)
        self._dirty.drop(tile)

    def victims(self, request: Request) -> list[int]:
        self._enter_latest()
        clean, dirty = self._clean.best(request.protected), self._dirty.best(request.protected)
        # A step that is twice as far away is as good for a tile that costs two transfers.
        wins = dirty and (not clean or dirty[1] - request.now > 2 * (clean[1] - request.now))
        found = [best[0]] if (best := dirty if wins else clean) else []
        for tile in found:
            self.drop(tile)
        return found

    def tiles(self) -> list[int]:
        self._enter_latest()
        return self._clean.tiles() + self._dirty.tiles()


class Stretch(NamedTuple):
    """Neighbours in the SRAM: what it costs to evict them, the last one's address, and which tiles they are."""

    cost: float
    address: int
    tiles: list[int]


class CheapestStretch:
    """`LeastCost` for tiles of several sizes: those of one stretch of the SRAM go together, the stretch being the
    cheapest that is long enough, by bytes moved.

    A tile that is large enough is a stretch by itself, and the cheapest of each size is found as by MIN. Only around
    smaller tiles are stretches summed up, from one that can't go to the next.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        """`sizes` are the bytes that each tile takes up, also of those that room is wanted for."""
        self._sizes = sizes
        self._largest = max(sizes, default=0)
        self._uses: dict[int, tuple[int, int, int]] = {}
        self._kinds: dict[tuple[int, int], FarthestNextUse] = {}
        self._places: dict[int, list[int]] = {}
        self._tile_at: dict[int, int] = {}
        self._latest: dict[int, tuple[int, int, int]] = {}

    def use(self, tile: int, next_use: int, address: int, transfers: int = 1) -> None:
        self._latest[tile] = next_use, address, transfers  # entered when somebody asks, as by `LeastCost`

    def _enter_latest(self) -> None:
        for tile, (next_use, address, transfers) in self._latest.items():
            self._enter(tile, next_use, address, transfers)
        self._latest.clear()

    def _enter(self, tile: int, next_use: int, address: int, transfers: int) -> None:
        size = self._sizes[tile]
        before = self._uses.get(tile)
        if before is not None and before[1] != transfers:
            self._kinds[size, before[1]].drop(tile)
        elif before is None:
            self._tile_at[address] = tile
            if size < self._largest:
                insort(self._places.setdefault(size, []), address)
        self._uses[tile] = next_use, transfers, address
        kind = self._kinds.get((size, transfers))
        if kind is None:
            kind = self._kinds[size, transfers] = FarthestNextUse()
        kind.use(tile, next_use, address)

    def drop(self, tile: int) -> None:
        self._latest.pop(tile, None)
        gone = self._uses.pop(tile, None)
        if gone is None:
            return
        size = self._sizes[tile]
        self._kinds[size, gone[1]].drop(tile)
        del self._tile_at[gone[2]]
        if size < self._largest:
            places = self._places[size]
            del places[bisect_left(places, gone[2])]

    def victims(self, request: Request) -> list[int]:
        self._enter_latest()
        found, swept = self._around_small(request)
        taken = {*request.protected, *swept} if swept else request.protected
        for (size, transfers), kind in self._kinds.items():
            best = kind.best(taken) if size >= request.size else None
            if best is not None:
                tile, next_use = best
                found.append(Stretch(transfers * size / (next_use - request.now + 1), self._uses[tile][2], [tile]))
        tiles = min(found).tiles if found else []
        for tile in tiles:
            self.drop(tile)
        return tiles

    def _around_small(self, request: Request) -> tuple[list[Stretch], list[int]]:
        """The cheapest stretches around tiles that are too small by themselves, and all tiles looked at for them."""
        small = [places for size, places in self._places.items() if size < request.size and places]
        if not small:
            return [], []
        gaps = request.arena.free_blocks()
        before = {start + size: start for start, size in gaps}
        sweep = _Sweep(request, self._sizes, self._uses, self._tile_at, dict(gaps), before)
        done = 0
        for address in merge(*small):
            if address >= done:
                done = sweep.run(address)
        return sweep.found, sweep.tiles

    def tiles(self) -> list[int]:
        self._enter_latest()
        return list(self._uses)


@dataclass(slots=True)
class _Sweep:
    """Sums up stretches of evictable tiles. `uses` has each tile's next use, transfers and address, `tile_at` the tiles
    by address, `gaps` the sizes of free blocks by start, `before` their starts by end."""

    request: Request
    sizes: Sequence[int]
    uses: Mapping[int, tuple[int, int, int]]
    tile_at: Mapping[int, int]
    gaps: Mapping[int, int]
    before: Mapping[int, int]
    found: list[Stretch] = field(default_factory=list[Stretch])
    tiles: list[int] = field(default_factory=list[int])

    def run(self, at: int) -> int:
        """Goes up from the tile at an address to what can't go, or to where no sum is left; returns that address. Adds
        the cheapest stretch on the way, the first of equal ones, to `found`."""
        wanted, now, protected, _ = self.request
        blocks: list[tuple[int, float, int]] = []  # ends, costs, tiles; the stretch from `start` is of those from first
        start, cost, first = self.before.get(at, at), 0.0, 0
        last, best = at, Stretch(inf, at, [])
        while True:
            while first < len(blocks) and at - start >= wanted:
                if cost < best.cost:
                    best = Stretch(cost, last, [block[2] for block in blocks[first:]])
                start, own, _ = blocks[first]
                cost -= own
                first += 1
            tile = self.tile_at.get(at)
            if tile is None or tile in protected:
                break
            if first == len(blocks) and blocks and not cost and self.sizes[tile] >= wanted:
                break
            next_use, transfers, _ = self.uses[tile]
            own = transfers * self.sizes[tile] / (next_use - now + 1)
            cost += own
            last, end = at, at + self.sizes[tile]
            blocks.append((end, own, tile))
            at = end + self.gaps.get(end, 0)
        self.tiles += [block[2] for block in blocks]
        if best.tiles:
            self.found.append(best)
        return at


def make_eviction(name: str, sizes: Sequence[int] = ()) -> Eviction:
    """The policy of a name: "lru", "cost", or "min" for any other; `sizes` are the bytes that each tile takes up."""
    if name == "cost":
        return LeastCost() if len(set(sizes)) <= 1 else CheapestStretch(sizes)
    return LeastRecentlyUsed() if name == "lru" else FarthestNextUse()
