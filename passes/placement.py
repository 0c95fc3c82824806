"""Addresses for tiles whose whole lifetimes are known (dynamic storage allocation). A pure solver.

Greedy by size and by start, the better of the two, as is usual for static memory planning (Pisarchyk and Lee, 2020,
"Efficient Memory Management for Deep Neural Net Inference"); ends are inclusive here.
"""

from __future__ import annotations

from .arena import SRAMConfig


def place_lives(lives: list[tuple[int, int, int]], sizes: list[int], config: SRAMConfig) -> dict[int, int]:
    """Addresses in bytes by first step, for lives (first step, last step, tile) of tiles with the given sizes.

    Tiles whose lives overlap share no bytes; the lowest addresses are taken, so that what remains is one block where
    possible. The addresses may exceed the SRAM: that shows when they are used.
    """
    rounded = {life: -(-sizes[life[2]] // config.alignment) * config.alignment for life in lives}
    by_size = sorted(lives, key=lambda life: (-rounded[life], life))
    return min((_greedy(order, rounded) for order in (by_size, lives)), key=lambda homes: homes[1])[0]


def _greedy(order: list[tuple[int, int, int]], rounded: dict[tuple[int, int, int], int]) -> tuple[dict[int, int], int]:
    """Places lives one after the other at the lowest address free over all of their life; with the peak."""
    homes: dict[int, int] = {}
    by_time = _TimeIndex(order)
    peak = 0
    for life in order:
        taken = sorted((homes[o[0]], homes[o[0]] + rounded[o]) for o in by_time.overlapping(life) if o[0] in homes)
        address = 0
        for start, end in taken:
            if start - address >= rounded[life]:
                break
            address = max(address, end)
        homes[life[0]] = address
        peak = max(peak, address + rounded[life])
    return homes, peak


class _TimeIndex:
    """Lives by stretches of time, so that only those near a life are looked at."""

    def __init__(self, lives: list[tuple[int, int, int]]):
        spans = [last - first + 1 for first, last, _ in lives]
        self.width = max(1, sum(spans) // max(1, len(spans)))
        self.stretches: dict[int, list[tuple[int, int, int]]] = {}
        for life in lives:
            for stretch in range(life[0] // self.width, life[1] // self.width + 1):
                self.stretches.setdefault(stretch, []).append(life)

    def overlapping(self, life: tuple[int, int, int]) -> set[tuple[int, int, int]]:
        first, last, _ = life
        stretches = range(first // self.width, last // self.width + 1)
        near = {o for stretch in stretches for o in self.stretches[stretch]}
        return {o for o in near if o[0] <= last and o[1] >= first and o != life}
