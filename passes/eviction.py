"""Which resident tiles go when the SRAM is full. A pure solver: tiles, steps, addresses and sizes are integers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from heapq import heapify, heappop, heappush
from typing import NamedTuple, Protocol

NO_TILE = -1


class Request(NamedTuple):
    """Room is wanted: `size` bytes at step `now`, without touching `protected`. `live` are all blocks in the SRAM, in
    address order, as (address, size, tile), and `capacity` is its size in bytes."""

    size: int
    now: int
    protected: Collection[int]
    live: list[tuple[int, int, int]]
    capacity: int


class Eviction(Protocol):
    """The evictable tiles, and the choice among them."""

    looks_around: bool
    """Whether `victims` wants to know all that is in the SRAM."""

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

    looks_around = False

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

    looks_around = False

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

    With tiles of one size that is MIN with weights: a tile that must be stored first has to be needed twice as far
    ahead as one that need not. With several sizes the tiles of one stretch of the SRAM go together, the stretch being
    the cheapest that is long enough, by bytes moved.
    """

    def __init__(self, one_size: bool = True) -> None:
        self.looks_around = not one_size
        self._clean = FarthestNextUse()
        self._dirty = FarthestNextUse()
        self._costs: dict[int, tuple[int, int]] = {}

    def use(self, tile: int, next_use: int, address: int, transfers: int = 1) -> None:
        if self.looks_around:
            self._costs[tile] = (next_use, transfers)
            return
        self._clean.drop(tile)
        self._dirty.drop(tile)
        (self._clean if transfers == 1 else self._dirty).use(tile, next_use, address)

    def drop(self, tile: int) -> None:
        self._costs.pop(tile, None)
        self._clean.drop(tile)
        self._dirty.drop(tile)

    def victims(self, request: Request) -> list[int]:
        if self.looks_around:
            found = self._stretch(request)
        else:
            clean, dirty = self._clean.best(request.protected), self._dirty.best(request.protected)
            # A step that is twice as far away is as good for a tile that costs two transfers.
            wins = dirty and (not clean or dirty[1] - request.now > 2 * (clean[1] - request.now))
            found = [best[0]] if (best := dirty if wins else clean) else []
        for tile in found:
            self.drop(tile)
        return found

    def _stretch(self, request: Request) -> list[int]:
        """The tiles of the cheapest stretch of at least the size wanted, whatever free room it holds included."""
        wanted, now, protected, live, capacity = request
        known = self._costs
        costs: list[float] = []
        best: tuple[float, int, int] | None = None
        first, cost, start = 0, 0.0, 0  # a stretch from byte `start` holds the blocks live[first:i]
        for i, (address, size, tile) in enumerate([*live, (capacity, 0, NO_TILE)]):
            while address - start >= wanted and first < i:
                if best is None or cost < best[0]:
                    best = cost, first, i
                cost -= costs[first]
                start = live[first][0] + live[first][1]
                first += 1
            if tile in known and tile not in protected:
                next_use, transfers = known[tile]
                costs.append(transfers * size / (next_use - now + 1))
                cost += costs[i]
            else:
                costs.append(0.0)
                first, cost, start = i + 1, 0.0, address + size
        return [block[2] for block in live[best[1] : best[2]]] if best else []

    def tiles(self) -> list[int]:
        return list(self._costs) if self.looks_around else self._clean.tiles() + self._dirty.tiles()


def make_eviction(name: str, one_size: bool = True) -> Eviction:
    """The policy of a name; `one_size` says that all tiles have the same size."""
    if name == "cost":
        return LeastCost(one_size)
    return LeastRecentlyUsed() if name == "lru" else FarthestNextUse()
