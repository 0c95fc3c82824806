"""What kernels make of tiles that are full of one number: of minus infinity, where a mask leaves nothing, and of zero,
where a softmax has been made of that.

A tile that is known to be full of what changes nothing of a sum, or of a maximum, need not be computed: `lower` leaves
it out (`lowering/masked_tiles.py`), and the proof knows that nothing is missing (`analysis/terms.py`).
"""

from __future__ import annotations

from math import inf

from ...ir.light_typing import NamedTuple


class Law(NamedTuple):
    """A kernel whose first source is full of a number, and so is its result, of the number `gives`; if it has a second
    source, that one is the result of a reduction that combines as `beside` says, of which not all is left out."""

    gives: float
    beside: str | None = None


LAWS: dict[tuple[str, float | None], Law] = {
    ("cast", -inf): Law(-inf),
    ("cast", 0.0): Law(0.0),
    ("sub", -inf): Law(-inf, "greatest"),
    ("exp", -inf): Law(0.0),
    ("div", 0.0): Law(0.0, "sum"),
}
"""By kernel and number: what softmax does with elements that are masked. The maximum of a row, and the sum of its
exponentials, can be infinite or NaN only together with all that is left of the row: its results then are NaN anyway."""

IDENTITY: dict[str, float] = {"greatest": -inf, "sum": 0.0}
"""The number that changes nothing, by how a kernel combines."""
