"""Addresses for tiles whose whole lifetimes are known (dynamic storage allocation). A pure solver.

Largest first at the lowest address that is free over all of the life, as is usual in static memory planning (Pisarchyk
and Lee, 2020, "Efficient Memory Management for Deep Neural Net Inference"). What finds no room goes to the front of the
order, and all is placed again ("squeaky wheel" optimisation, Joslin and Clements, 1999). Where that leads nowhere, it
begins again from other orders.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

WORK = 2_000_000
"""How many placements may be tried in all."""

TRIES = 100
"""How often all is placed from one order and what comes of it."""

RANDOM_ORDERS = 20
SEED = 2024


class Life(NamedTuple):
    """A tile needs `size` bytes from its first to its last step, both inclusive."""

    first: int
    last: int
    size: int


def place_lives(lives: list[Life], capacity: int, taken: Sequence[tuple[int, int]] = ()) -> list[int] | None:
    """An address in bytes for each life, so that lives that overlap in time share no byte and all end within capacity.
    No life gets bytes of the ranges [start, end) that are `taken`.

    Sizes are multiples of the alignment. None if none was found, which is no proof that there is none.
    """
    if any(life.size > capacity for life in lives):
        return None
    neighbours = _overlaps(lives)
    left = max(1, WORK // max(1, len(lives)))
    for order in _orders(lives):
        for _ in range(min(TRIES, left)):
            addresses = [-1] * len(lives)
            failed = _place_in_order(order, lives, neighbours, (capacity, taken), addresses)
            if failed is None:
                return addresses
            order.remove(failed)
            order.insert(0, failed)
            left -= 1
    return None


def _orders(lives: list[Life]) -> Iterator[list[int]]:
    """Orders to begin with: by size, by size times length of life, by length, by start; then random weights."""
    numbers = range(len(lives))

    def area(i: int) -> int:
        return lives[i].size * (lives[i].last - lives[i].first + 1)

    yield sorted(numbers, key=lambda i: (-lives[i].size, lives[i], i))
    yield sorted(numbers, key=lambda i: (-area(i), lives[i], i))
    yield sorted(numbers, key=lambda i: (lives[i].first - lives[i].last, -lives[i].size, lives[i], i))
    yield sorted(numbers, key=lambda i: (lives[i], i))
    generator = random.Random(SEED)
    for _ in range(RANDOM_ORDERS):
        weights = [area(i) * generator.random() for i in numbers]
        yield sorted(numbers, key=lambda i: (-weights[i], i))


def _place_in_order(
    order: list[int],
    lives: list[Life],
    neighbours: list[list[int]],
    room: tuple[int, Sequence[tuple[int, int]]],
    addresses: list[int],
) -> int | None:
    """Fills in addresses one after the other; the first life without room, if any."""
    capacity, always = room
    for i in order:
        size = lives[i].size
        taken = [(addresses[j], addresses[j] + lives[j].size) for j in neighbours[i] if addresses[j] >= 0]
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


def _overlaps(lives: list[Life]) -> list[list[int]]:
    """For each life the others that overlap it in time."""
    neighbours: list[list[int]] = [[] for _ in lives]
    live: list[int] = []
    for i in sorted(range(len(lives)), key=lambda i: lives[i]):
        live = [j for j in live if lives[j].last >= lives[i].first]
        for j in live:
            neighbours[i].append(j)
            neighbours[j].append(i)
        live.append(i)
    return neighbours
