"""How a tensor lies in another one: evenly along each of its axes, as arrays do in memory."""

from __future__ import annotations

from ..dialects.kernels.moves import row_major
from ..dialects.tiles import Coord

Strides = tuple[tuple[int, ...], int]
"""How much further in another tensor, row by row, the next element along each axis lies, and where the first one is."""


def composed(inner: Strides, shape: Coord, middle: Coord, outer: Strides) -> Strides | None:
    """How a tensor of a shape lies in a third one, if it lies in one of shape `middle` as `inner` says, and that in the
    third one as `outer` does; None where that is not even along each axis."""
    axes = _merged(middle, outer[0])
    digits: list[int] = []
    rest = inner[1]
    for _, unit, _ in axes:
        at, rest = divmod(rest, unit)
        digits.append(at)
    first = outer[1] + sum(at * step for at, (_, _, step) in zip(digits, axes, strict=True))
    steps: list[int] = []
    for size, step in zip(shape, inner[0], strict=True):
        along = next((i for i, (_, unit, _) in enumerate(axes) if step and not step % unit), None)
        if along is None or size == 1:
            steps.append(0)
            continue
        _, unit, further = axes[along]
        steps.append(step // unit * further)
        digits[along] += step // unit * (size - 1)
    within = all(at < size for at, (size, _, _) in zip(digits, axes, strict=True))
    return (tuple(steps), first) if within else None


def _merged(shape: Coord, steps: Coord) -> list[tuple[int, int, int]]:
    """A tensor's axes, those in one that lie in another tensor as one would: elements, how far they are apart in the
    tensor itself, and there."""
    found: list[tuple[int, int, int]] = []
    for size, unit, step in zip(shape, row_major(shape), steps, strict=True):
        if size == 1:
            continue
        if found and found[-1][2] == step * size:
            found[-1] = found[-1][0] * size, unit, step
        else:
            found.append((size, unit, step))
    return found
