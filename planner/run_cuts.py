"""Where to cut a run of layers into groups that are computed depth first, by closed form.

A group on r rows of tiles at a time reads its input and its layers' right operands, and writes its output. What of the
right operands finds no room beside the rows in flight is read again for each of the m / r stretches: of a cycle that is
longer than the memory the best eviction keeps as much as fits (Belady, 1966).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil


@dataclass(frozen=True, slots=True)
class Layer:
    """A product of a run, in bytes: its right operand with what its epilogues read as a whole, a row of tiles of its
    left operand, of its result, and of what its epilogues read besides; and what it moves by itself."""

    weights: int
    row_in: int
    row_out: int
    row_besides: int
    alone: int

    @property
    def in_flight(self) -> int:
        """Bytes of a row of tiles while the layer is computed on it."""
        return self.row_in + self.row_out + self.row_besides


@dataclass(frozen=True, slots=True)
class Cut:
    """Layers [start, end) as one group on so many rows of tiles; 0 for one that is by itself."""

    start: int
    end: int
    rows: int


def best_cuts(layers: Sequence[Layer], m: int, rows: Iterable[int], capacity: int) -> list[Cut]:
    """The cuts of a run of layers, of `m` rows of tiles each, that move fewest bytes; `rows` are those to try."""
    counts = list(rows)
    best: list[tuple[int, Cut | None]] = [(0, None)]
    for end in range(1, len(layers) + 1):
        moved = best[end - 1][0] + layers[end - 1].alone
        found = moved, Cut(end - 1, end, 0)
        for start, count, bytes_moved in _groups_before(layers, end, m, counts, capacity):
            moved = best[start][0] + bytes_moved
            if moved < found[0]:
                found = moved, Cut(start, end, count)
        best.append(found)
    cuts: list[Cut] = []
    at = len(layers)
    while at:
        cut = best[at][1]
        assert cut is not None
        cuts.append(cut)
        at = cut.start
    return cuts[::-1]


def _groups_before(
    layers: Sequence[Layer], end: int, m: int, counts: Sequence[int], capacity: int
) -> Iterable[tuple[int, int, int]]:
    """The groups of two layers or more that end before a layer: where they start, their rows, and what they move."""
    weights = besides = 0
    widest = 0
    for start in range(end - 1, -1, -1):
        layer = layers[start]
        weights += layer.weights
        besides += layer.row_besides
        widest = max(widest, layer.in_flight)
        if end - start < 2:
            continue
        moved = m * (layer.row_in + layers[end - 1].row_out + besides) + weights
        for count in counts:
            again = weights - (capacity - count * widest)
            if count * widest < capacity:
                yield start, count, moved + max(again, 0) * (ceil(m / count) - 1)
