"""What the graph operations' attributes can be: checks of fields, which return what is expected instead."""

from __future__ import annotations

from ..ir.attributes import UNIT, Attr
from ..ir.opdef import are_integers
from ..ir.types import MAX_RANK


def product_sizes(value: Attr) -> str:
    good = are_integers(value) and len(value) == 3 and all(x > 0 for x in value)
    return "" if good else "three positive tile sizes [tm, tn, tk]"


def tile_sizes(value: Attr) -> str:
    good = are_integers(value) and 1 <= len(value) <= MAX_RANK and all(x > 0 for x in value)
    return "" if good else "a positive tile size for each axis of the result"


def tile_counts(value: Attr) -> str:
    good = are_integers(value) and len(value) == 2 and all(x > 0 for x in value)
    return "" if good else "two positive counts of tiles [bm, bn]"


def tile_count(value: Attr) -> str:
    return "" if type(value) is int and value > 0 else "a positive count of tiles"


def stream_sizes(value: Attr) -> str:
    good = type(value) is int and value > 0
    return "" if good or not tile_counts(value) else "a positive count of columns, or [rows, columns]"


def group_number(value: Attr) -> str:
    return "" if type(value) is int and value >= 0 else "a group's number, 0 or more"


def unit_or_true(value: Attr) -> str:
    return "" if value is UNIT else "no value (the key alone)"


def argument_tile(value: Attr) -> str:
    good = are_integers(value) and 1 <= len(value) <= MAX_RANK and all(x > 0 for x in value)
    return "" if good else "the tile's positive sizes, one for each axis"


def axis_numbers(value: Attr) -> str:
    good = are_integers(value) and 1 <= len(value) <= MAX_RANK and len(set(value)) == len(value)
    return "" if good else "a list of axes, one or more, each once"
