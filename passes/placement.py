"""Addresses for tiles whose whole lifetimes are known (dynamic storage allocation). A pure solver.

Largest first at the lowest address that is free over all of the life, as is usual in static memory planning (Pisarchyk
and Lee, 2020, "Efficient Memory Management for Deep Neural Net Inference"). What finds no room goes to the front of the
order, and all is placed again ("squeaky wheel" optimisation, Joslin and Clements, 1999).
"""

from __future__ import annotations

from typing import NamedTuple

WORK = 2_000_000
"""How many placements may be tried in all."""


class Life(NamedTuple):
    """A tile needs `size` bytes from its first to its last step, both inclusive."""

    first: int
    last: int
    size: int


def place_lives(lives: list[Life], capacity: int) -> list[int] | None:
    """An address in bytes for each life, so that lives that overlap in time share no byte and all end within capacity.

    Sizes are multiples of the alignment. None if none was found, which is no proof that there is none.
    """
    order = sorted(range(len(lives)), key=lambda i: (-lives[i].size, lives[i], i))
    neighbours = _overlaps(lives)
    for _ in range(max(1, min(400, WORK // max(1, len(lives))))):
        addresses = [-1] * len(lives)
        failed = _place_in_order(order, lives, neighbours, capacity, addresses)
        if failed is None:
            return addresses
        if order[0] == failed:
            return None
        order.remove(failed)
        order.insert(0, failed)
    return None


def _place_in_order(
    order: list[int], lives: list[Life], neighbours: list[list[int]], capacity: int, addresses: list[int]
) -> int | None:
    """Fills in addresses one after the other; the first life without room, if any."""
    for i in order:
        size = lives[i].size
        taken = sorted((addresses[j], addresses[j] + lives[j].size) for j in neighbours[i] if addresses[j] >= 0)
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
