"""Colours that people with any colour vision tell apart: P. Tol, "Colour schemes", SRON/EPS/TN/09-002, 2021.

Tensors have his "light" scheme, made for areas with dark text on them; causes of stalls his "bright" one.
"""

from __future__ import annotations

from .model import CAUSES

TENSOR_COLOURS = (
    "#77aadd", "#ee8866", "#44bb99", "#ffaabb", "#99ddff", "#eedd88", "#bbcc33", "#aaaa00", "#c3a5dd",
)  # fmt: skip
"""In the order in which tensors get them; from the tenth tensor on they start again."""

INK = "#16202c"
"""Text and lines on those colours."""

SPILL = "#b3261e"

CAUSE_COLOURS = ("#8a94a0", "#cc3311", "#aa3377", "#009988", "#bb8800", "#bb8800", "#bb8800")
CAUSE_NAMES = (
    "", "its data is not there yet", "the bytes are still being read", "the bytes are still being written",
    "its tile is still being stored", "the tile off chip is still being read", "the tile is still being stored",
)  # fmt: skip
assert len(CAUSES) == len(CAUSE_COLOURS) == len(CAUSE_NAMES)


def tensor_colour(number: int) -> str:
    return TENSOR_COLOURS[number % len(TENSOR_COLOURS)]
