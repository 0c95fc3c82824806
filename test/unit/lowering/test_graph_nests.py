"""The order that low-rank products are put in before they are planned."""

from __future__ import annotations

from time import process_time

import tilewright
from tilewright.dialects.graph import GraphOp
from tilewright.ir.builtin import FuncOp
from tilewright.lowering.graph_nests import adapters_last

X, A, B = "tensor<8x8xf32>", "tensor<8x4xf32>", "tensor<4x8xf32>"


def adapted(count: int) -> FuncOp:
    """So many products with a low-rank one each, which stands before what it is added to."""
    lines: list[str] = []
    x = "%x"
    for i in range(count):
        lines.append(f"  %a{i} = graph.matmul {x}, %a : ({X}, {A}) -> {A}")
        lines.append(f"  %b{i} = graph.matmul %a{i}, %b : ({A}, {B}) -> {X}")
        lines.append(f"  %w{i} = graph.matmul {x}, %w : ({X}, {X}) -> {X}")
        lines.append(f"  %s{i} = graph.add %w{i}, %b{i} : ({X}, {X}) -> {X}")
        x = f"%s{i}"
    head = f"func.func @f(%x: {X}, %a: {A}, %b: {B}, %w: {X}) -> {X} {{"
    (func,) = tilewright.parse("\n".join([head, *lines, f"  return {x} : {X}", "}"])).functions()
    return func


def test_the_second_half_comes_behind_what_it_is_added_to() -> None:
    names = [op.result.name for op in adapters_last(adapted(2).ops) if isinstance(op, GraphOp)]
    assert names == ["a0", "w0", "b0", "s0", "a1", "w1", "b1", "s1"]


def seconds(func: FuncOp) -> float:
    """The least CPU time of three runs."""
    found: list[float] = []
    for _ in range(3):
        start = process_time()
        adapters_last(func.ops)
        found.append(process_time() - start)
    return min(found)


def test_time_grows_with_the_number_of_operations() -> None:
    assert seconds(adapted(4000)) < 24 * seconds(adapted(500))
