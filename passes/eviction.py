"""Which resident tile goes when the SRAM is full. A pure solver: tiles, steps and addresses are integers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from heapq import heapify, heappop, heappush
from typing import Protocol


class Eviction(Protocol):
    """The evictable tiles, and the choice among them."""

    def use(self, tile: int, next_use: int, address: int) -> None:
        """The tile at an address has just been used (or become evictable) and is needed again at step `next_use`."""
        ...

    def drop(self, tile: int) -> None:
        """The tile is no longer evictable."""
        ...

    def victim(self, protected: Collection[int]) -> int | None:
        """The tile to evict, none of the protected ones; it is dropped. None if there is no other."""
        ...

    def tiles(self) -> list[int]:
        """All evictable tiles."""
        ...


class LeastRecentlyUsed:
    """Evicts the tile whose last use is the longest ago; an exec reads its sources from left to right."""

    def __init__(self) -> None:
        self._order: OrderedDict[int, None] = OrderedDict()

    def use(self, tile: int, next_use: int, address: int) -> None:
        self._order[tile] = None
        self._order.move_to_end(tile)

    def drop(self, tile: int) -> None:
        self._order.pop(tile, None)

    def victim(self, protected: Collection[int]) -> int | None:
        for tile in self._order:
            if tile not in protected:
                del self._order[tile]
                return tile
        return None

    def tiles(self) -> list[int]:
        return list(self._order)


class FarthestNextUse:
    """Evicts the tile that is needed again last (Belady's MIN, 1966); ties go to the lower address."""

    def __init__(self) -> None:
        self._next: dict[int, int] = {}
        self._heap: list[tuple[int, int, int]] = []

    def use(self, tile: int, next_use: int, address: int) -> None:
        self._next[tile] = next_use
        heappush(self._heap, (-next_use, address, tile))
        if len(self._heap) > 64 + 4 * len(self._next):
            self._compact()

    def _compact(self) -> None:
        """Throws out entries that a later use has overtaken."""
        self._heap = list({entry[2]: entry for entry in self._heap if self._next.get(entry[2]) == -entry[0]}.values())
        heapify(self._heap)

    def drop(self, tile: int) -> None:
        self._next.pop(tile, None)

    def victim(self, protected: Collection[int]) -> int | None:
        kept: list[tuple[int, int, int]] = []
        found = None
        while self._heap and found is None:
            entry = heappop(self._heap)
            if self._next.get(entry[2]) != -entry[0]:
                continue
            if entry[2] in protected:
                kept.append(entry)
            else:
                found = entry[2]
        for entry in kept:
            heappush(self._heap, entry)
        if found is not None:
            del self._next[found]
        return found

    def tiles(self) -> list[int]:
        return list(self._next)


EVICTIONS = {"min": FarthestNextUse, "lru": LeastRecentlyUsed}
