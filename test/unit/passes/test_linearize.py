"""The order of a graph's text makes no difference to what is planned, and the order chosen is a good one."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tilewright
from tilewright.analysis.cost import cost_of
from tilewright.ir.builtin import FuncOp, ModuleOp
from tilewright.ir.diagnostics import DiagnosticError
from tilewright.lowering.tiling import infer

from ..strategies import graph_texts, tile_sizes

Line = tuple[str, str, tuple[str, ...]]
"""What a line makes, by which operation, of what."""

X, Y, Z = "matmul", "add", "relu"
GRAPHS: dict[str, tuple[list[Line], tuple[str, ...]]] = {
    "chains": ([("a", X, ("x", "u")), ("b", X, ("x", "v")), ("c", X, ("a", "w")), ("d", X, ("b", "w")),
                ("y", Y, ("c", "d"))], ("y",)),
    "attention": ([("q", X, ("x", "u")), ("k", X, ("x", "v")), ("v1", X, ("x", "w")), ("s", X, ("q", "k")),
                   ("y", X, ("s", "v1")), ("z", Y, ("y", "x"))], ("z",)),
    "heads": ([(f"{n}{h}", X, ab) for h in "01" for n, ab in
               (("q", ("x", "u")), ("k", ("x", "v")), ("s", (f"q{h}", f"k{h}")), ("o", (f"s{h}", "w")))]
              + [("y", Y, ("o0", "o1"))], ("y",)),
    "gate": ([("u1", X, ("x", "u")), ("g", X, ("x", "v")), ("h", "mul", ("u1", "g")), ("d", X, ("h", "w")),
              ("y", Y, ("d", "x"))], ("y",)),
    "diamond": ([("a", X, ("x", "u")), ("b", Z, ("a",)), ("c", X, ("a", "v")), ("d", Y, ("c", "a")),
                 ("y", X, ("d", "b"))], ("y",)),
    "residuals": ([("a", X, ("x", "u")), ("b", Y, ("a", "x")), ("c", X, ("b", "v")), ("d", Y, ("c", "b")),
                   ("e", X, ("x", "w")), ("y", Y, ("d", "e"))], ("y",)),
    "tree": ([(n, X, ("x", w)) for n, w in zip("abcd", "uvwu", strict=True)]
             + [("e", X, ("a", "b")), ("f", X, ("c", "d")), ("y", X, ("e", "f"))], ("y",)),
    "results": ([("a", X, ("x", "u")), ("b", X, ("a", "v")), ("c", X, ("a", "w")), ("d", X, ("x", "w")),
                 ("e", Y, ("d", "b"))], ("c", "a", "e")),
    "adapter": ([("p", X, ("x", "u")), ("s", X, ("x", "v")), ("t", X, ("s", "w")), ("r", Y, ("p", "t")),
                 ("y", X, ("r", "u"))], ("y",)),
    "dead": ([("a", X, ("x", "u")), ("b", X, ("a", "v")), ("lost", X, ("x", "w")), ("lost2", Z, ("lost",)),
              ("lost1", Y, ("b", "a")), ("y", X, ("b", "a"))], ("y",)),
}  # fmt: skip
"""Lines and results of graphs that have many orders; all tensors are square."""

TENSOR = "tensor<16x16xf32>"


def text_of(lines: Sequence[Line], results: tuple[str, ...]) -> str:
    arguments = ", ".join(f"%{name}: {TENSOR}" for name in "xuvw")
    types = ", ".join([TENSOR] * len(results))
    body = [
        f"  %{name} = graph.{kind} {', '.join('%' + s for s in sources)} : "
        + (TENSOR if len(sources) == 1 else f"({TENSOR}, {TENSOR}) -> {TENSOR}")
        for name, kind, sources in lines
    ]
    last = f"  return {', '.join('%' + name for name in results)} : {types}"
    return "\n".join([f"func.func @f({arguments}) -> ({types}) {{", *body, last, "}", ""])


def shuffled(lines: Sequence[Line], generator: random.Random) -> list[Line]:
    """The lines in some topological order."""
    order: list[Line] = []
    left = list(lines)
    while left:
        waiting = {name for name, _, _ in left}
        order.append(generator.choice([line for line in left if not waiting & {*line[2]}]))
        left.remove(order[-1])
    return order


@pytest.mark.parametrize("name", GRAPHS)
def test_every_order_of_a_graph_is_one_text(name: str) -> None:
    """What comes before `plan` in the named pipelines leaves nothing of the order, so that all is planned alike."""
    texts = orders_of(name)
    assert len(texts) >= 2
    assert len({tilewright.run_passes(text, "fuse,linearize,tile{sizes=4x4x4}") for text in texts}) == 1


@pytest.mark.parametrize("level", ["O1", "O2"])
@pytest.mark.parametrize("name", ["attention", "results"])
def test_the_first_and_the_last_order_are_one_schedule(name: str, level: str) -> None:
    texts = orders_of(name)
    some = {tilewright.run_passes(texts[i], f"{level}{{sram=4KiB tile=16x16x16}}") for i in (0, -1)}
    assert len(some) == 1


def orders_of(name: str) -> list[str]:
    """Up to fifty orders of a graph as texts."""
    lines, results = GRAPHS[name]
    generator = random.Random(13)
    return sorted({text_of(shuffled(lines, generator), results) for _ in range(50)})


@settings(max_examples=60)
@given(graph_texts(max_ops=9), st.randoms(use_true_random=False))
def test_any_graph_gives_the_same_text_in_any_order(text: str, generator: random.Random) -> None:
    module = tilewright.parse(text)
    (func,) = module.functions()
    shuffle(func, generator)
    tilewright.verify(module)
    passes = "linearize"
    assert tilewright.run_passes(tilewright.print(module), passes) == tilewright.run_passes(text, passes)
    assert tilewright.run_passes(text, "linearize,linearize") == tilewright.run_passes(text, "linearize")


@settings(max_examples=100)
@given(graph_texts(max_ops=9), tile_sizes(), st.randoms(use_true_random=False))
def test_tiles_do_not_depend_on_the_order(text: str, sizes: tuple[int, int, int], generator: random.Random) -> None:
    first, second = tilewright.parse(text), tilewright.parse(text)
    shuffle(next(second.functions()), generator)
    assert shapes_of(first, sizes) == shapes_of(second, sizes)


BACKWARDS = """func.func @f(
    %m: tensor<8x8xf32>, %x: tensor<8x8xf32>, %w: tensor<8x8xf32>, %v: tensor<8xf32>, %u: tensor<8xf32>
) -> (tensor<8x8xf32>, tensor<8x8xf32>, tensor<8x8xf32>) {
  %a = graph.add %m, %u : (tensor<8x8xf32>, tensor<8xf32>) -> tensor<8x8xf32>
  %c = graph.add %m, %v : (tensor<8x8xf32>, tensor<8xf32>) -> tensor<8x8xf32>
  %p = graph.matmul %x, %w {tile = [4, 4, 4]} : (tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<8x8xf32>
  %b = graph.sub %p, %v : (tensor<8x8xf32>, tensor<8xf32>) -> tensor<8x8xf32>
  return %a, %b, %c : tensor<8x8xf32>, tensor<8x8xf32>, tensor<8x8xf32>
}
"""


def test_tiles_follow_from_what_stands_further_down() -> None:
    """From %p to %v, to %m, to %u, each of whose operations stands before the one that it follows from."""
    shapes = shapes_of(tilewright.parse(BACKWARDS), (2, 2, 2))
    assert shapes == {name: (4,) if name in "uv" else (2, 4) if name in "mac" else (4, 4) for name in "mxwvuacpb"}


def shapes_of(module: ModuleOp, sizes: tuple[int, int, int]) -> dict[str, tuple[int, ...]] | None:
    """The tile of each tensor by its name; None where operations ask for different ones."""
    (func,) = module.functions()
    try:
        return {value.name: shape for value, shape in infer(func, sizes).tensors.items()}
    except DiagnosticError:
        return None


def shuffle(func: FuncOp, generator: random.Random) -> None:
    """Puts a function's operations into some topological order."""
    *left, last = func.ops
    order = []
    while left:
        waiting = {value for op in left for value in op.results}
        order.append(generator.choice([op for op in left if not waiting & {*op.operands}]))
        left.remove(order[-1])
    func.body.ops = [*order, last]


BREADTH_FIRST: list[Line] = [
    *[(f"a{i}", X, ("x", w)) for i, w in enumerate("uvw")],
    *[(f"b{i}", X, (f"a{i}", w)) for i, w in enumerate("uvw")],
    *[(f"c{i}", X, (f"b{i}", w)) for i, w in enumerate("uvw")],
    ("d", Y, ("c0", "c1")),
    ("y", Y, ("d", "c2")),
]


def test_breadth_first_text_costs_what_depth_first_text_does() -> None:
    text = text_of(BREADTH_FIRST, ("y",))
    planned = "tile{sizes=4x4x4},plan{sram=1152},lower,forward,schedule{sram=1152 evict=cost}"
    as_it_is, in_order = (traffic(text, f"fuse,{first}{planned}") for first in ("", "linearize,"))
    assert in_order < as_it_is * 0.9


def traffic(text: str, passes: str) -> int:
    (func,) = tilewright.parse(tilewright.run_passes(text, passes)).functions()
    return cost_of(func, func.attrs["sched.stats"], 64).traffic
