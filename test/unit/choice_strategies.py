"""Hypothesis strategies: operations that choose between tensors, or leave a part of one."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

FLOATS = ("f32", "f16", "bf16")
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


def add_mask(draw: st.DrawFn, graph: Any, own_tiles: bool) -> None:
    """A causal mask, and what a softmax makes of it: elements that are not infinite."""
    choices = [n for n, (shape, dtype) in graph.tensors.items() if dtype in FLOATS and len(shape) > 1]
    if not choices:
        return
    a = draw(st.sampled_from(choices))
    shape, dtype = graph.tensors[a]
    diagonal = draw(st.integers(0, shape[-1]))
    masked, type = f"%v{len(graph.lines)}", graph.type_of(a)
    graph.op(f"graph.causal_mask {a} {{diagonal = {diagonal}}}", type, shape, dtype, graph.most[a])
    del graph.tensors[masked]
    graph.op(
        f"graph.max {masked} {{right = {float(draw(st.integers(-3, 6)))} : f32}}",
        type,
        shape,
        dtype,
        max(graph.most[a], 6.0),
    )
