"""Random chains of views: NumPy says what each is, whole arrays and schedules agree, and wrong tiles are found."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tilewright
from tilewright.ir.diagnostics import DiagnosticError

from ..programs import compared

Array = Any
Draw = st.DrawFn
PIPELINES = ("tile{sizes=SIZES},lower,schedule", "tile{sizes=SIZES},plan,lower,forward,schedule")


def tensor(shape: tuple[int, ...]) -> str:
    return f"tensor<{'x'.join(map(str, shape))}xf32>"


class Chain:
    """A function being written, with its result worked out by NumPy as it goes."""

    def __init__(self, array: Array):
        self.argument = array
        self.array = np.maximum(array, 0)
        type = tensor(array.shape)
        self.lines = [f"%v0 = graph.relu %x : {type}"]

    def add(self, name: str, attributes: str, array: Array, others: int = 0) -> None:
        before, now = f"%v{len(self.lines) - 1}", f"%v{len(self.lines)}"
        source, result = tensor(self.array.shape), tensor(array.shape)
        operands = ", ".join([before] * (1 + others))
        types = f"({', '.join([source] * (1 + others))}) -> {result}" if others else f"{source} -> {result}"
        self.lines.append(f"{now} = graph.{name} {operands} {attributes} : {types}".replace("  ", " "))
        self.array = array

    def text(self, last: bool) -> str:
        """The function; `last` has it compute something of the last view, which is returned else."""
        type, value = tensor(self.array.shape), f"%v{len(self.lines) - 1}"
        lines = [*self.lines, f"%y = graph.neg {value} : {type}"] if last else self.lines
        head = f"func.func @f(%x: {tensor(self.argument.shape)}) -> {type} {{"
        return "\n".join([head, *lines, f"return {'%y' if last else value} : {type}", "}"])


@st.composite
def chains(draw: Draw) -> Chain:
    shape = tuple(draw(st.lists(st.sampled_from([1, 2, 4, 6, 8]), min_size=1, max_size=3)))
    chain = Chain(np.arange(prod(shape), dtype=np.float32).reshape(shape) - 3)
    for _ in range(draw(st.integers(1, 4))):
        VIEWS[draw(st.sampled_from(sorted(VIEWS)))](draw, chain)
    return chain


def transpose(draw: Draw, chain: Chain) -> None:
    order = draw(st.permutations(range(chain.array.ndim)))
    chain.add("transpose", f"{{permutation = {list(order)}}}", chain.array.transpose(order))


def reshape(draw: Draw, chain: Chain) -> None:
    """One axis in two, or two axes in one."""
    shape = list(chain.array.shape)
    at = draw(st.integers(0, len(shape) - 1))
    if draw(st.booleans()) and len(shape) < 5:
        part = draw(st.sampled_from([n for n in range(1, shape[at] + 1) if shape[at] % n == 0]))
        shape[at : at + 1] = [shape[at] // part, part]
    elif at:
        shape[at - 1 : at + 1] = [shape[at - 1] * shape[at]]
    chain.add("reshape", "", chain.array.reshape(shape))


def cut(draw: Draw, chain: Chain) -> None:
    starts = [draw(st.integers(0, size - 1)) for size in chain.array.shape]
    sizes = [draw(st.integers(1, size - start)) for start, size in zip(starts, chain.array.shape, strict=True)]
    parts = tuple(slice(start, start + size) for start, size in zip(starts, sizes, strict=True))
    chain.add("slice", f"{{sizes = {sizes}, starts = {starts}}}", chain.array[parts])


def broadcast(draw: Draw, chain: Chain) -> None:
    shape = tuple(draw(st.integers(1, 3)) if size == 1 else size for size in chain.array.shape)
    chain.add("broadcast", "", np.broadcast_to(chain.array, shape))


def concat(draw: Draw, chain: Chain) -> None:
    axis = draw(st.integers(0, chain.array.ndim - 1))
    chain.add("concat", f"{{axis = {axis}}}", np.concatenate([chain.array] * 2, axis), 1)


VIEWS = {"transpose": transpose, "reshape": reshape, "slice": cut, "broadcast": broadcast, "concat": concat}


def result(text: str, chain: Chain) -> Array:
    (array,) = tilewright.run(text, {"x": chain.argument})
    return array


@given(chains(), st.booleans())
@settings(max_examples=150, deadline=None)
def test_whole_arrays_are_what_numpy_says(chain: Chain, last: bool) -> None:
    text = chain.text(last)
    assert np.array_equal(result(text, chain), -chain.array if last else chain.array), text
    printed = tilewright.print(tilewright.parse(text))
    assert tilewright.print(tilewright.parse(printed)) == printed


@given(chains(), st.booleans(), st.sampled_from(["1x1x1", "2x2x2", "4x4x4", "5x2x3"]), st.sampled_from(PIPELINES))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_schedule_is_what_numpy_says(chain: Chain, last: bool, sizes: str, pipeline: str) -> None:
    text = chain.text(last)
    made = tilewright.run_passes(text, pipeline.replace("SIZES", sizes), prove_each=True)
    assert np.array_equal(result(made, chain), -chain.array if last else chain.array), text


HEADS = """
func.func @f(%x: tensor<8x4xf32>, %w: tensor<4x8xf32>) -> tensor<2x8x4xf32> {
  %q2 = graph.matmul %x, %w : (tensor<8x4xf32>, tensor<4x8xf32>) -> tensor<8x8xf32>
  %q3 = graph.reshape %q2 : tensor<8x8xf32> -> tensor<8x2x4xf32>
  %q = graph.transpose %q3 {permutation = [1, 0, 2]} : tensor<8x2x4xf32> -> tensor<2x8x4xf32>
  %r = graph.relu %q : tensor<2x8x4xf32>
  return %r : tensor<2x8x4xf32>
}
"""


@pytest.mark.parametrize("wrong", ["%q2[0, 0]", "%q2[1, 1]"])
def test_the_proof_refuses_another_tile_of_the_buffer(wrong: str) -> None:
    made = tilewright.run_passes(HEADS, "tile{sizes=4x4x4},lower")
    tilewright.prove(HEADS, made)
    read = "uop.exec relu %r[1, 0, 0] = "
    assert f"{read}%q2[0, 1]" in made
    text = made.replace(f"{read}%q2[0, 1]", f"uop.load {wrong}\n{read}{wrong}")
    with pytest.raises(DiagnosticError, match="is not what the model computes"):
        tilewright.prove(HEADS, text)


OUTER = """
func.func @f(%x: tensor<4x1xf32>, %y: tensor<1x4xf32>, %w: tensor<4x1xf32>) -> tensor<4x1xf32> {
  %p = graph.matmul %x, %y : (tensor<4x1xf32>, tensor<1x4xf32>) -> tensor<4x4xf32>
  %q = graph.matmul %p, %w : (tensor<4x4xf32>, tensor<4x1xf32>) -> tensor<4x1xf32>
  return %q : tensor<4x1xf32>
}
"""

INNER = """
func.func @f(%x: tensor<4x1xf32>, %y: tensor<1x4xf32>, %w: tensor<4x1xf32>) -> tensor<4x1xf32> {
  %xt = graph.transpose %x {permutation = [1, 0]} : tensor<4x1xf32> -> tensor<1x4xf32>
  %yt = graph.transpose %y {permutation = [1, 0]} : tensor<1x4xf32> -> tensor<4x1xf32>
  %wt = graph.transpose %w {permutation = [1, 0]} : tensor<4x1xf32> -> tensor<1x4xf32>
  %d = graph.matmul %xt, %yt : (tensor<1x4xf32>, tensor<4x1xf32>) -> tensor<1x1xf32>
  %q = graph.matmul %d, %wt : (tensor<1x1xf32>, tensor<1x4xf32>) -> tensor<1x4xf32>
  %r = graph.transpose %q {permutation = [1, 0]} : tensor<1x4xf32> -> tensor<4x1xf32>
  return %r : tensor<4x1xf32>
}
"""

COLUMN = """
func.func @f(%x: tensor<4x1xf32>, %w: tensor<1x3xf32>) -> tensor<1x3xf32> {
  %r = graph.reduce %x {axes = [1], kind = "sum"} : tensor<4x1xf32> -> tensor<4x1xf32>
  %p = graph.matmul %r, %w : (tensor<4x1xf32>, tensor<1x3xf32>) -> tensor<4x3xf32>
  %y = graph.reduce %p {axes = [0], kind = "max"} : tensor<4x3xf32> -> tensor<1x3xf32>
  return %y : tensor<1x3xf32>
}
"""

ROW = """
func.func @f(%x: tensor<4x1xf32>, %w: tensor<1x3xf32>) -> tensor<1x3xf32> {
  %t = graph.reshape %x : tensor<4x1xf32> -> tensor<1x4xf32>
  %r = graph.reduce %t {axes = [1], kind = "sum"} : tensor<1x4xf32> -> tensor<1x1xf32>
  %p = graph.matmul %r, %w : (tensor<1x1xf32>, tensor<1x3xf32>) -> tensor<1x3xf32>
  %y = graph.reduce %p {axes = [0], kind = "max"} : tensor<1x3xf32> -> tensor<1x3xf32>
  return %y : tensor<1x3xf32>
}
"""


@pytest.mark.parametrize(("model", "other"), [(INNER, OUTER), (ROW, COLUMN)])
def test_the_proof_tells_a_column_from_the_row_that_is_a_view_of_it(model: str, other: str) -> None:
    """Of the same elements in the same order: the products and sums are others."""
    made = tilewright.run_passes(other, "tile{sizes=4x4x4},lower")
    tilewright.prove(other, made)
    with pytest.raises(DiagnosticError, match=r"as (4x1|1x4) elements"):
        tilewright.prove(model, made)


def test_the_proof_knows_a_view_of_a_view_that_is_what_there_was() -> None:
    text = """
    func.func @f(%x: tensor<4x1xf32>) -> tensor<4x1xf32> {
      %a = graph.transpose %x {permutation = [1, 0]} : tensor<4x1xf32> -> tensor<1x4xf32>
      %c = graph.reshape %a : tensor<1x4xf32> -> tensor<4x1xf32>
      %y = graph.relu %c : tensor<4x1xf32>
      return %y : tensor<4x1xf32>
    }
    """
    tilewright.prove(text, tilewright.run_passes(text, "tile{sizes=4x4x4},lower,schedule"))


READ_WITH_OTHER_RANKS = {
    "a sum is an axis less": ("4x6x3xf32", ['reduce {axes = [1], kind = "sum"} 4x1x3xf32', "reshape 4x3xf32"]),
    "a sum is an axis more": ("4x6xf32", ['reduce {axes = [1], kind = "sum"} 4x1xf32', "reshape 1x4x1xf32"]),
    "of an axis more": ("4x6xf32", ["reshape 1x4x6xf32", 'reduce {axes = [1], kind = "max"} 1x1x6xf32']),
    "of an axis less": ("1x4x6xf32", ["reshape 4x6xf32", 'reduce {axes = [0], kind = "sum"} 1x6xf32']),
    "of two axes more": ("4x6xf32", ["reshape 1x1x4x6xf32", 'reduce {axes = [3], kind = "min"} 1x1x4x1xf32']),
    "of a part": (
        "8x6xf32",
        ["slice {sizes = [4, 6], starts = [4, 0]} 4x6xf32", 'reduce {axes = [0], kind = "sum"} 1x6xf32'],
    ),
    "all of it is returned": ("4x6xf32", ["neg 4x6xf32", "slice {sizes = [4, 6], starts = [0, 0]} 4x6xf32"]),
    "not repeated, and returned": ("4x1xf32", ["neg 4x1xf32", "broadcast 4x1xf32"]),
    "a cast is an axis less": ("1x4x6xf32", ["cast 1x4x6xf16", "reshape 4x6xf16"]),
    "a cast of an axis more": ("4x6xf32", ["reshape 1x4x6xf32", "cast 1x4x6xbf16"]),
}
"""The shape of an argument, and operations one after the other, each with the shape of its result."""


def straight(given: str, steps: list[str]) -> str:
    """The function of some operations one after the other."""
    type, value, lines = f"tensor<{given}>", "%x", []
    for i, step in enumerate(steps):
        *words, shape = step.split(" ")
        name, attributes, result = words[0], " ".join(words[1:]), f"tensor<{shape}>"
        types = result if name == "neg" else f"{type} -> {result}"
        lines.append(f"  %v{i} = graph.{name} {value} {attributes} : {types}")
        type, value = result, f"%v{i}"
    return "\n".join([f"func.func @f(%x: tensor<{given}>) -> {type} {{", *lines, f"  return {value} : {type}", "}"])


@pytest.mark.parametrize("name", READ_WITH_OTHER_RANKS)
@pytest.mark.parametrize("pipeline", PIPELINES)
def test_kernels_read_and_write_buffers_of_more_axes_and_fewer(name: str, pipeline: str) -> None:
    text = straight(*READ_WITH_OTHER_RANKS[name])
    made = tilewright.run_passes(text, pipeline.replace("SIZES", "2x3x2"), prove_each=True)
    for integers in (True, False):
        assert compared(tilewright.parse(text), tilewright.parse(made), integers=integers)[0] is None


def test_a_reduction_along_an_axis_that_the_buffer_has_not_has_its_operand_moved() -> None:
    text = straight("4x6xf32", ["reshape 1x4x6xf32", 'reduce {axes = [0], kind = "sum"} 1x4x6xf32'])
    made = tilewright.run_passes(text, PIPELINES[0].replace("SIZES", "2x3x2"), prove_each=True)
    assert made.count("sched.exec move ") == 4
    assert compared(tilewright.parse(text), tilewright.parse(made), integers=True)[0] is None


STREAMED = """
func.func @f(%x: tensor<16x16xf32>, %w: tensor<16x256xf32>, %v: tensor<256x16xf32>) -> tensor<1x16x16xf32> {
  %h = graph.matmul %x, %w : (tensor<16x16xf32>, tensor<16x256xf32>) -> tensor<16x256xf32>
  %t = graph.reshape %h : tensor<16x256xf32> -> tensor<1x16x256xf32>
  %y = graph.matmul %t, %v : (tensor<1x16x256xf32>, tensor<256x16xf32>) -> tensor<1x16x16xf32>
  return %y : tensor<1x16x16xf32>
}
"""

SIBLINGS = """
func.func @f(%x: tensor<16x64xf32>, %w: tensor<64x32xf32>, %v: tensor<64x32xf32>)
    -> (tensor<1x16x32xf32>, tensor<1x16x32xf32>) {
  %a = graph.reshape %x : tensor<16x64xf32> -> tensor<1x16x64xf32>
  %b = graph.reshape %x : tensor<16x64xf32> -> tensor<1x16x64xf32>
  %y = graph.matmul %a, %w : (tensor<1x16x64xf32>, tensor<64x32xf32>) -> tensor<1x16x32xf32>
  %z = graph.matmul %b, %v : (tensor<1x16x64xf32>, tensor<64x32xf32>) -> tensor<1x16x32xf32>
  return %y, %z : tensor<1x16x32xf32>, tensor<1x16x32xf32>
}
"""


@pytest.mark.parametrize(("text", "word", "sram"), [(STREAMED, "group", 4096), (SIBLINGS, "beside", 1536)])
def test_what_plan_says_of_views_lower_takes(text: str, word: str, sram: int) -> None:
    """Products that read views of one buffer, or of what the product before them makes."""
    planned = tilewright.run_passes(text, f"tile{{sizes=8x8x8}},plan{{sram={sram}}}")
    assert word in planned
    made = tilewright.run_passes(planned, f"lower,forward,schedule{{sram={sram}}}", prove_each=True)
    tilewright.prove(text, made)


def test_a_product_is_streamed_into_one_that_reads_a_view_of_it() -> None:
    first, second = "{block = [2, 1], group = 0, rows = 2, stream = 2, tile = [8, 8, 8]}", "{group = 0, rows = 2}"
    text = STREAMED.replace("%x, %w :", f"%x, %w {first} :").replace("%t, %v :", f"%t, %v {second} :")
    made = tilewright.run_passes(text, "tile{sizes=8x8x8},lower,forward,schedule{sram=4KiB}", prove_each=True)
    tilewright.prove(STREAMED, made)
    assert made.index("exec matmul %y") < made.index("exec matmul %h[0, 2]")
