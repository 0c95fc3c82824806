"""Quantised numbers: whole ones of a byte, of which one, the zero point, stands for zero."""

from __future__ import annotations

from ...ir.opdef import OpError
from .declaration import Range

QUANTISED: dict[str, Range] = {"i8": (-128, 127), "ui8": (0, 255)}
"""The element types of quantised numbers, each with its least and its greatest number."""


def check_zero_point(name: str, attribute: str, zero_point: int | None, dtype: str) -> None:
    """Raises `OpError` for a zero point that is no number of the quantised type."""
    if zero_point is None:
        return
    if dtype not in QUANTISED:
        raise OpError(f"{name}: {attribute} goes with elements of {' or '.join(QUANTISED)}, got {dtype}", attribute)
    low, high = QUANTISED[dtype]
    if not low <= zero_point <= high:
        raise OpError(f"{name}: {attribute} must lie in {low}..{high}, got {zero_point}", attribute)
