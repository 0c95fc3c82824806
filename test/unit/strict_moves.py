"""What `strict_run.py` knows of moves, from the language's words."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def moved(op: Any, part: tuple[int, ...], own: tuple[int, ...], source: Array) -> Array:
    """The elements that lie in the source's tile, of which `own` is no padding, looked up one by one; NaN for all
    others."""
    dst, src = (v.type for v in op.operands)
    within = op.within or tuple((0, size) for size in dst.tensor.shape)
    made = np.full(part, np.nan)
    for inner in np.ndindex(*part):
        place = [c * t + x for c, t, x in zip(op.coords[0], dst.tile, inner, strict=True)]
        if not all(start <= x < end for x, (start, end) in zip(place, within, strict=True)):
            continue
        number = (op.first or 0) + sum(
            (x - start) * step for x, (start, _), step in zip(place, within, op.steps, strict=True)
        )
        found = [
            int(x) - c * t
            for x, c, t in zip(np.unravel_index(number, src.tensor.shape), op.coords[1], src.tile, strict=True)
        ]
        if all(0 <= x < size for x, size in zip(found, own, strict=True)):
            made[inner] = source[tuple(found)]
    return made


def parts_together(made: Array, before: Array) -> Array:
    """What is there and what comes to it; of both in one place, neither."""
    return np.where(np.isnan(made), before, np.where(np.isnan(before), made, np.nan))
