"""dce, cse and canonicalize: nothing that a result shows changes, in whatever order they come, and nothing is left to
do; each rewrite on all numbers of a type."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tilewright
from tilewright import DiagnosticError
from tilewright.analysis.proof import prove_module
from tilewright.ir.builtin import ModuleOp
from tilewright.passes import canonicalize

from ..dialects.test_laws import BITS, hard
from ..programs import compared
from ..strategies import graph_texts

SIMPLIFYING = ("dce", "cse", "canonicalize")
ORDERS = st.lists(st.sampled_from(SIMPLIFYING), min_size=1, max_size=4)
SIZE = st.sampled_from([1, 2, 4]).map(lambda size: f"tile{{sizes={size}x{size}x{size}}}")


def parsed(text: str, pipeline: str) -> ModuleOp:
    return tilewright.parse(tilewright.run_passes(text, pipeline, prove_each=True))


def count(text: str) -> int:
    return text.count("graph.")


@settings(max_examples=150)
@given(graph_texts(max_ops=12), ORDERS)
def test_what_is_computed_stays(text: str, passes: list[str]) -> None:
    """Also through the text, pretty and generic, and all of it is proved."""
    graph = tilewright.parse(text)
    made = tilewright.run_passes(text, ",".join(passes), prove_each=True)
    for generic in (False, True):
        through_text = text
        for i, name in enumerate(passes):
            through_text = tilewright.run_passes(through_text, name, generic=generic and i < len(passes) - 1)
        assert through_text == made
    module = tilewright.parse(made)
    for model, other in ((graph, module), (module, graph)):
        prove_module(model, other)
        assert compared(model, other, integers=False)[0] is None


@settings(max_examples=150)
@given(graph_texts(max_ops=12))
def test_done_once_there_is_nothing_left(text: str) -> None:
    for name in SIMPLIFYING:
        once = tilewright.run_passes(text, name)
        assert tilewright.run_passes(once, name) == once
        assert count(once) <= count(text)
    assert count(tilewright.run_passes(text, "canonicalize")) <= count(tilewright.run_passes(text, "dce"))


@settings(max_examples=100)
@given(graph_texts(max_ops=8, own_tiles=False), SIZE)
def test_a_simplified_graph_is_scheduled_as_its_model_says(text: str, tile: str) -> None:
    made = parsed(text, f"canonicalize,cse,fuse,{tile},lower,forward,schedule{{sram=64KiB}}")
    prove_module(tilewright.parse(text), made)
    assert compared(tilewright.parse(text), made, integers=False)[0] is None


@settings(max_examples=100)
@given(graph_texts(max_ops=8, own_tiles=False), SIZE)
def test_dead_tiles_are_those_of_dead_operations(text: str, tile: str) -> None:
    """To remove what is dead before it is lowered or after comes to the same text; after `forward`, which keeps on chip
    what dead operations read too, to as many uops."""
    early = tilewright.run_passes(text, f"dce,{tile},lower")
    assert tilewright.run_passes(text, f"{tile},lower,dce", prove_each=True) == early
    late = tilewright.run_passes(text, f"{tile},lower,forward,dce")
    assert tilewright.run_passes(late, "dce") == late
    assert late.count("\n") == tilewright.run_passes(early, "forward").count("\n")


# Tiles by hand


BUFFER = "!uop.tiled<tensor<2x2xf32>, [2, 2]>"
KINDS = st.sampled_from(["load", "exec", "exec", "store", "retain"])
UOPS = st.lists(st.tuples(KINDS, *[st.integers(0, 2)] * 2, st.integers(0, 3)), min_size=4, max_size=30)


def in_tiles(lines: list[str], results: list[str]) -> str:
    types = ", ".join([BUFFER] * len(results))
    last = f"  return {', '.join(results)}{' : ' if results else ''}{types}"
    return "\n".join([f"func.func @f(%x: {BUFFER}) -> ({types}) {{", *lines, last, "}", ""])


def is_valid(lines: list[str], *results: str) -> bool:
    try:
        tilewright.parse(in_tiles(lines, list(results)))
    except DiagnosticError:
        return False
    return True


def by_hand(ops: list[tuple[str, int, int, int]]) -> str:
    """A function on an argument and three buffers: those of the loads, execs and stores that are valid where they
    stand; two of the buffers are returned at most, if they can be in the end."""
    names = [*(f"%t{i}" for i in range(3)), "%x"]
    lines = [f"  {name} = uop.alloc : {BUFFER}" for name in names[:3]] + ["  uop.load %x[0, 0]"]
    for kind, *places in ops:
        dst, left, right = (f"{names[i]}[0, 0]" for i in places)
        line = {"exec": f"exec sub {dst} = {left}, {right}", "retain": f"store {dst} {{retain}}"}.get(
            kind, f"{kind} {dst}"
        )
        if is_valid([*lines, f"  uop.{line}"]):
            lines.append(f"  uop.{line}")
    return in_tiles(lines, [name for name in names[:3] if is_valid(lines, name)][:2])


@settings(max_examples=150)
@given(UOPS)
def test_tiles_that_are_written_again_and_again(ops: list[tuple[str, int, int, int]]) -> None:
    text = by_hand(ops)
    made = tilewright.run_passes(text, "dce", prove_each=True)
    assert tilewright.run_passes(made, "dce") == made
    lines = text.splitlines()
    left = [lines.count(line) - made.count(f"{line}\n") for line in set(lines) if "alloc" not in line]
    assert min(left) >= 0
    assert compared(tilewright.parse(text), tilewright.parse(made), integers=False)[0] is None


# Each rewrite, in numbers


LONE = r"(?<!\w)_(?!\w)"


def function(dtype: str, *lines: str) -> str:
    """A function of %x, all numbers of a type in one vector, of which %y is the result."""
    tensor = f"tensor<{len(hard(dtype))}x{dtype}>"
    body = "".join(f"  {re.sub(LONE, tensor, line)}\n" for line in lines)
    return f"func.func @f(%x: {tensor}) -> {tensor} {{\n{body}  return %y : {tensor}\n}}\n"


def wider(dtype: str, wide: str) -> tuple[str, str]:
    tensor = f"tensor<{len(hard(dtype))}x{wide}>"
    return f"%w = graph.cast %x : _ -> {tensor}", f"%y = graph.cast %w : {tensor} -> _"


def dequantized(dtype: str, params: str) -> tuple[str, str]:
    tensor = f"tensor<{len(hard(dtype))}xf32>"
    return f"%w = graph.dequantize %x {params} : _ -> {tensor}", f"%y = graph.quantize %w {params} : {tensor} -> _"


def quantized(cut: str, dtype: str, params: str) -> tuple[str, ...]:
    """Cut and quantised, and dequantised, to have the type that there was."""
    tensor = f"tensor<{len(hard('f32'))}x{dtype}>"
    made = f"%q = graph.quantize %r {params} : _ -> {tensor}"
    return cut, made, f"%y = graph.dequantize %q {params} : {tensor} -> _"


FLOATS, ALL = ("f32", "f16", "bf16"), tuple(BITS)
RELU, AGAIN = "%r = graph.relu %x : _", "%y = graph.relu %r : _"
SIX = "params = [0.0 : f32, 6.0 : f32]"
EXAMPLES: dict[str, list[tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "cut_before": [
        (ALL, (RELU, AGAIN)),
        (FLOATS, (f"%r = graph.clip %x {{{SIX}}} : _", AGAIN)),
        (FLOATS, (f"%r = graph.clip %x {{{SIX}}} : _", "%y = graph.clip %r {params = [-1.0 : f32, 6.0 : f32]} : _")),
    ],
    "cut_anyway": [
        (FLOATS, (RELU, f"%y = graph.clip %r {{{SIX}}} : _")),
        (FLOATS, ("%r = graph.clip %x {params = [0.0 : f32, 7.0e4 : f32]} : _", f"%y = graph.clip %r {{{SIX}}} : _")),
    ],
    "one_of_equals": [(ALL, ("%y = graph.max %x, %x : (_, _) -> _",))],
    "there_and_back": [
        (("f16",), wider("f16", "f32")),
        (("bf16",), wider("bf16", "f32")),
        (("i8",), wider("i8", "i32")),
        (("ui8",), wider("ui8", "i32")),
    ],
    "dequantized_and_back": [
        (("i8",), dequantized("i8", "{scale = 0.1 : f32}")),
        (("i8",), dequantized("i8", "{scale = 3.0e-30 : f32, zero_point = -128}")),
        (("ui8",), dequantized("ui8", "{scale = 7.0e+29 : f32, zero_point = 255}")),
    ],
    "cut_by_type": [
        (("f32",), quantized(RELU, "i8", "{scale = 0.1 : f32, zero_point = -128}")),
        (("f32",), quantized(RELU, "ui8", "{scale = 0.7 : f32}")),
        (("f32",), quantized(f"%r = graph.clip %x {{{SIX}}} : _", "ui8", "{scale = 0.0235 : f32}")),
    ],
}  # fmt: skip
"""By rewrite: texts in which it applies once, with the element types to try."""


def test_every_rewrite_has_examples() -> None:
    assert [rewrite.__name__ for rewrite in canonicalize.REWRITES] == list(EXAMPLES)
    assert all("->" in (rewrite.__doc__ or "") for rewrite in canonicalize.REWRITES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_rewrite_keeps_every_bit(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All other rewrites are out of the way. Which NaN comes out of a cast of bf16 is the one thing that may differ."""
    monkeypatch.setattr(canonicalize, "REWRITES", (getattr(canonicalize, name),))
    for dtypes, lines in EXAMPLES[name]:
        for dtype in dtypes:
            text = function(dtype, *lines)
            made = tilewright.run_passes(text, "canonicalize", prove_each=True)
            assert count(made) < count(text)
            one, two = (tilewright.run(t, [hard(dtype)])[0].view(BITS[dtype]) for t in (text, made))
            differ = one != two
            if (name, dtype) == ("there_and_back", "bf16"):
                assert differ.sum() == 252
                differ &= ~np.isnan(hard(dtype).astype(np.float32))
            assert not differ.any(), (name, dtype)
