"""Hypothesis strategies: operations that choose between tensors, or leave a part of one."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

QUANTISED = ("i8", "ui8")


def add_where(draw: st.DrawFn, graph: Any, own_tiles: bool) -> None:
    """One of two tensors, or of a tensor and a number on either side, or of two numbers, as an argument says."""
    choices = [n for n, (_, dtype) in graph.tensors.items() if dtype not in QUANTISED]
    if not choices:
        return
    shape, dtype = graph.tensors[draw(st.sampled_from(choices))]
    sides = draw(st.sampled_from([(), ("left",), ("right",), ("left", "right")]))
    first = 0 if len(sides) == 2 else draw(st.integers(0, len(shape) - 1))
    fitting = [n for n, found in graph.tensors.items() if found == (shape, dtype)]
    operands = [graph.argument(shape[first:], dtype), *[draw(st.sampled_from(fitting)) for _ in range(2 - len(sides))]]
    numbers = [float(draw(st.integers(-3, 6))) for _ in sides]
    given = [f"{side} = {number} : f32" for side, number in zip(sides, numbers, strict=True)]
    shown = f" {{{', '.join(given)}}}" if given else ""
    types = [graph.type_of(n) for n in operands]
    signature = f"({', '.join(types)}) -> {graph.type_of(fitting[0])}" if len(types) > 1 else types[0]
    most = max(6.0, *[graph.most[n] for n in operands])
    graph.op(f"graph.where {', '.join(operands)}{shown}", signature, shape, dtype, most)
