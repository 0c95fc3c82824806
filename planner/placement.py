"""Addresses for what is needed over known live ranges (dynamic storage allocation).

Largest first at the lowest address that is free over all of the live range, as is usual in static memory planning
(Pisarchyk and Lee, 2020, "Efficient Memory Management for Deep Neural Net Inference"). What finds no room goes to the
front of the order, and all is placed again ("squeaky wheel" optimisation, Joslin and Clements, 1999). Where that leads
nowhere, it begins again from other orders.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

WORK = 2_000_000
"""How many placements may be tried in all, unless fewer are asked for."""

TRIES = 100
"""How often all is placed from one order and what comes of it."""

RANDOM_ORDERS = 20
SEED = 2024


class LiveRange(NamedTuple):
    """`size` bytes are needed over the steps [start, end)."""

    start: int
    end: int
    size: int


def place_live_ranges(
    ranges: Sequence[LiveRange], capacity: int, taken: Sequence[tuple[int, int]] = (), work: int = WORK
) -> list[int] | None:
    """An address in bytes for each live range, so that those that overlap in time share no byte and all end within
    `capacity` bytes. None gets bytes of the address ranges [start, end) that are `taken`.

    Sizes are multiples of the alignment, and so are the addresses then. None if none was found, which is no proof that
    there is none. Deterministic; at most about `work` placements are tried, all ranges once at least. What is found
    with less work is found with more.
    """
    if any(one.size > capacity for one in ranges):
        return None
    neighbours = _overlaps(ranges)
    left = max(1, work // max(1, len(ranges)))
    for order in _orders(ranges):
        for _ in range(min(TRIES, left)):
            addresses = [-1] * len(ranges)
            failed = _place_in_order(order, ranges, neighbours, (capacity, taken), addresses)
            if failed is None:
                return addresses
            order.remove(failed)
            order.insert(0, failed)
            left -= 1
    return None


def _orders(ranges: Sequence[LiveRange]) -> Iterator[list[int]]:
    """Orders to begin with: by size, by size times length, by length, by start; then random weights."""
    numbers = range(len(ranges))

    def area(i: int) -> int:
        return ranges[i].size * (ranges[i].end - ranges[i].start)

    yield sorted(numbers, key=lambda i: (-ranges[i].size, ranges[i], i))
    yield sorted(numbers, key=lambda i: (-area(i), ranges[i], i))
    yield sorted(numbers, key=lambda i: (ranges[i].start - ranges[i].end, -ranges[i].size, ranges[i], i))
    yield sorted(numbers, key=lambda i: (ranges[i], i))
    generator = random.Random(SEED)
    for _ in range(RANDOM_ORDERS):
        weights = [area(i) * generator.random() for i in numbers]
        yield sorted(numbers, key=lambda i: (-weights[i], i))


def _place_in_order(
    order: list[int],
    ranges: Sequence[LiveRange],
    neighbours: list[list[int]],
    room: tuple[int, Sequence[tuple[int, int]]],
    addresses: list[int],
) -> int | None:
    """Fills in addresses one after the other; the first range without room, if any."""
    capacity, always = room
    for i in order:
        size = ranges[i].size
        taken = [(addresses[j], addresses[j] + ranges[j].size) for j in neighbours[i] if addresses[j] >= 0]
        taken += always
        taken.sort()
        address = 0
        for start, end in taken:
            if start - address >= size:
                break
            address = max(address, end)
        if address + size > capacity:
            return i
        addresses[i] = address
    return None


def _overlaps(ranges: Sequence[LiveRange]) -> list[list[int]]:
    """For each live range the others that overlap it in time."""
    neighbours: list[list[int]] = [[] for _ in ranges]
    live: list[int] = []
    for i in sorted(range(len(ranges)), key=lambda i: ranges[i]):
        live = [j for j in live if ranges[j].end > ranges[i].start]
        for j in live:
            neighbours[i].append(j)
            neighbours[j].append(i)
        live.append(i)
    return neighbours
