"""Graphs of which a person made better plans than -O1 and -O2 once did, with what those plans cost."""

from __future__ import annotations

from dataclasses import dataclass

from notation import KIB, Shape, chain


@dataclass(frozen=True)
class HandCase:
    """A workload whose `best` was reached by hand, and the simulated cycles of such a plan, if they were counted."""

    shape: Shape
    cycles: int | None = None


def _chain(rows: int, layers: int, width: int, sram: int, best: int) -> Shape:
    steps = chain(rows, *[width] * (layers + 1), layer="relu")
    return Shape(f"{layers} layers of {width}, {rows} rows", sram * KIB, steps, best=best * KIB)


HAND = [
    # All layers depth first, a row of tiles (or two) at a time: nothing in between is stored.
    HandCase(_chain(512, 5, 32, 28, 148)),
    HandCase(_chain(512, 12, 32, 64, 176), 25_856),
    HandCase(_chain(1024, 8, 64, 160, 640)),
    # For a block of rows, column by column: both inner products, their sum, one step of the outer product. The cycles
    # are of a plan that moves 824 KiB.
    HandCase(
        Shape(
            "two products summed, 64-256-64",
            64 * KIB,
            "x: 256x64; u = x @ 256; g = x @ 256; s = u + g; y = s @ 64; return y",
            best=800 * KIB,
        ),
        54_464,
    ),
    # Blocks of 1x3, back and forth, where first fit finds no room and the second attempt does.
    HandCase(Shape("384x384x384, 64x32 tiles", 40 * KIB, chain(384, 384, 384), "64x32x32", 6_172 * KIB)),
]
