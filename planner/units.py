"""Bytes in whole blocks: the one place where sizes and addresses are rounded to the alignment of an SRAM."""

from __future__ import annotations

UNLIMITED = 1 << 256
"""More bytes, or cycles, than any program moves or takes: sizes of tiles are products of 64-bit numbers."""


def round_up(size: int, alignment: int) -> int:
    """The smallest multiple of `alignment` that is at least `size`, both in bytes. `alignment` is a power of two."""
    return (size + alignment - 1) & -alignment


def round_down(size: int, alignment: int) -> int:
    """The largest multiple of `alignment` that is at most `size`, both in bytes. `alignment` is a power of two."""
    return size & -alignment


def is_power_of_two(number: int) -> bool:
    """Whether a number may be an alignment: 1, 2, 4, ..."""
    return number > 0 and not number & (number - 1)


def ceil_div(amount: int, unit: int) -> int:
    """How many units it takes to hold an amount: the quotient, rounded up."""
    return -(-amount // unit)
