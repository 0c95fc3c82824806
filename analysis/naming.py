"""How reports and traces show an operation (its line, its text, its tile) and a ratio."""

from __future__ import annotations

from typing import Any

from ..dialects.tiles import tile_text
from ..ir.core import Operation
from ..ir.source import Source


def line_of(op: Operation, source: Source | None) -> int | None:
    """The line that an operation stands in; None for one that no text has."""
    return source.position(op.loc)[0] if source is not None and op.loc >= 0 else None


def op_text(op: Any) -> str:
    """An operation as its text has it."""
    return op.pretty({value: f"%{value.name}" for value in op.operands})


def tile_name(op: Any) -> str:
    """The tile that an operation writes, or the one that it moves."""
    return tile_text(op.operands[0], op.coords[0])


def rounded(value: float | None) -> float | None:
    """A ratio as reports in JSON show it."""
    return None if value is None else round(value, 4)
