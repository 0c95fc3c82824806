"""Hypothesis strategies of views: for a shape, what a view says of it and which shape it has."""

from __future__ import annotations

from hypothesis import strategies as st

from tilewright.ir.types import MAX_RANK

Viewed = tuple[str, tuple[int, ...]]
"""A view's attributes as text, and its shape."""


def transposed(draw: st.DrawFn, shape: tuple[int, ...]) -> Viewed:
    order = draw(st.permutations(range(len(shape))))
    return f" {{permutation = {list(order)}}}", tuple([shape[axis] for axis in order])


def reshaped(draw: st.DrawFn, shape: tuple[int, ...]) -> Viewed:
    """One axis in two, or two axes in one."""
    at = draw(st.integers(0, len(shape) - 1))
    if draw(st.booleans()) and len(shape) < MAX_RANK:
        part = draw(st.sampled_from([n for n in range(1, shape[at] + 1) if shape[at] % n == 0]))
        return "", (*shape[:at], shape[at] // part, part, *shape[at + 1 :])
    return "", (*shape[: at - 1], shape[at - 1] * shape[at], *shape[at + 1 :]) if at else shape


def sliced(draw: st.DrawFn, shape: tuple[int, ...]) -> Viewed:
    """Some elements along one axis."""
    at = draw(st.integers(0, len(shape) - 1))
    start = draw(st.integers(0, shape[at] - 1))
    size = draw(st.integers(1, shape[at] - start))
    result = (*shape[:at], size, *shape[at + 1 :])
    starts = [start if axis == at else 0 for axis in range(len(shape))]
    return f" {{sizes = {list(result)}, starts = {starts}}}", result


def repeated(draw: st.DrawFn, shape: tuple[int, ...]) -> Viewed:
    return "", tuple([draw(st.integers(1, 3)) if size == 1 else size for size in shape])


VIEWS = {"transpose": transposed, "reshape": reshaped, "slice": sliced, "broadcast": repeated}
