"""What the proof compares of results, and what it refuses since it can't see it: each of these was accepted once."""

from __future__ import annotations

import re

import pytest

import tilewright
from tilewright import DiagnosticError
from tilewright.analysis.proof import prove_module
from tilewright.ir.builtin import ModuleOp

TILED = "!uop.tiled<tensor<4x4xf32>, [4, 4]>"


def proved(model: str, text: str) -> str:
    """The first line of the errors; nothing where the text is proved. The verifier is not asked."""
    modules = [tilewright.parse(t, filename="made.mir", allow_unregistered=True, verify=False) for t in (model, text)]
    try:
        prove_module(*modules)
    except DiagnosticError as error:
        return str(error).split("\n")[0]
    return ""


def function(args: str, results: str, *lines: str, name: str = "f") -> str:
    return "\n".join([f"func.func @{name}({args}) -> {results} {{", *lines, "}\n"])


@pytest.mark.parametrize(
    "type", ["i32", "memref<4xf32>", "tensor<4xf64>", "tensor<f32>", "tensor<2x1x1x1x1x2x2xf32>", "tensor<?xf32>"]
)
def test_arguments_that_are_no_tiles(type: str) -> None:
    model = function(f"%x: {type}, %y: {type}", type, f"return %x : {type}")
    other = model.replace("return %x", "return %y")
    assert proved(model, model) == ""
    assert proved(model, other) == (
        "made.mir:1:1: error: %y is not what the model computes: %y instead of %x; it should be the model's %x"
    )


@pytest.mark.parametrize("tiled", ["x", "y", ""])
def test_tensors_beside_tiles(tiled: str) -> None:
    """A tensor that a function in tiles takes and gives as it is, whatever the model has in its place."""
    model = function("%x: tensor<4x4xf32>, %y: tensor<4x4xf32>", "tensor<4x4xf32>", "return %x : tensor<4x4xf32>")
    text = model.replace("return", f"%h = uop.alloc : {TILED}\nreturn")
    if tiled:
        text = text.replace(f"%{tiled}: tensor<4x4xf32>", f"%{tiled}: {TILED}")
    if tiled == "x":
        text = text.replace("return %x : tensor<4x4xf32>", f"return %x : {TILED}").replace(
            "-> tensor<4x4xf32>", f"-> {TILED}"
        )
    assert proved(model, text) == ""
    assert proved(text, model) == ""
    wrong = model.replace("return %x", "return %y")
    assert "is not what the model computes" in proved(wrong, text)
    assert "is not what the model computes" in proved(text, wrong)


MADE = function(
    "%n: i32",
    "(i32, i32)",
    '%a = "t.a"(%n) : (i32) -> i32',
    '"t.b"(%a) ({',
    "^bb0(%i: i32):",
    '"t.c"(%i, %n) : (i32, i32) -> ()',
    "}) : (i32) -> ()",
    '%c:2 = "t.a"(%a) {t.d = 1} : (i32) -> (i32, i32)',
    "return %a, %c#1 : i32, i32",
)


def test_results_of_unknown_operations() -> None:
    assert proved(MADE, MADE.replace("%a", "%first")) == ""
    assert proved(MADE, MADE.replace("return %a, %c#1", "return %a, %c#0")).startswith(
        "made.mir:1:1: error: %c#0 is not what the model computes: %c#0 instead of %c#1"
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"t.b"(%a)', '"t.b"(%n)'), ("t.d = 1", "t.d = 2"), ('"t.a"(%n)', '"t.x"(%n)'), ("(%i, %n)", "(%n, %i)"),
        ("return", '"t.last"() : () -> ()\nreturn'),
    ],
)  # fmt: skip
def test_unknown_operations_behind_results_are_the_same(old: str, new: str) -> None:
    text = MADE.replace(old, new)
    message = "the operations that are none of this language are not the model's, and what they give is returned"
    assert message in proved(MADE, text)
    assert message in proved(text, MADE)


def test_unknown_operations_beside_results_may_differ() -> None:
    model = function("%x: tensor<4x4xf32>", "tensor<4x4xf32>", "return %x : tensor<4x4xf32>")
    assert proved(model, model.replace("return", '"t.note"() : () -> ()\nreturn')) == ""


def test_an_alloc_that_a_graph_returns() -> None:
    """Neither side of the proof knew of that result."""
    text = function(
        "%x: tensor<4x4xf32>",
        TILED,
        f"%y = uop.alloc : {TILED}",
        "%z = graph.relu %x : tensor<4x4xf32>",
        f"return %y : {TILED}",
    )
    with pytest.raises(DiagnosticError, match="mixes graph and uop operations"):
        tilewright.parse(text)


@pytest.mark.parametrize(
    "hidden",
    [
        f'"t.use"(%y) : ({TILED}) -> ()', f'"t.region"() ({{\n"t.use"(%y) : ({TILED}) -> ()\n}}) : () -> ()',
        '"t.region"() ({\nuop.exec exp %y[0, 0] = %x[0, 0]\n}) : () -> ()',
        f'"t.region"() ({{\n"t.region"() ({{\n%z = uop.alloc : {TILED}\n}}) : () -> ()\n}}) : () -> ()',
    ],
)  # fmt: skip
def test_what_is_out_of_sight(hidden: str) -> None:
    """The verifier refuses these, too."""
    model = function(f"%x: {TILED}", TILED, f"%y = uop.alloc : {TILED}", "uop.load %x[0, 0]",
                     "uop.exec relu %y[0, 0] = %x[0, 0]", "uop.store %y[0, 0]", f"return %y : {TILED}")  # fmt: skip
    text = model.replace("uop.store", f"{hidden}\nuop.store")
    assert proved(model, model) == ""
    assert re.search(r"nothing can be proved about t\.", proved(model, text))
    assert re.search(r"nothing can be proved about t\.", proved(text, model))
    with pytest.raises(DiagnosticError, match="no operation of this language"):
        tilewright.parse(text, allow_unregistered=True)


def mapped(op: str) -> str:
    """A function of one elementwise operation."""
    type = "tensor<4xf32>"
    return function(f"%x: {type}", type, f"%y = graph.{op} %x : {type}", f"return %y : {type}")


NESTED = f"module @a {{\n{mapped('relu')}}}\n{mapped('exp')}"


def test_functions_of_one_name_in_several_modules() -> None:
    assert proved(NESTED, NESTED) == ""
    assert "exp of %x[0] instead of relu of %x[0]" in proved(NESTED, NESTED.replace("relu", "exp"))
    assert "tanh of %x[0] instead of exp of %x[0]" in proved(NESTED, NESTED.replace("exp", "tanh"))
    swapped = NESTED.replace("relu", "tanh").replace("exp", "relu").replace("tanh", "exp")
    assert "is not what the model computes" in proved(NESTED, swapped)
    assert proved(NESTED, NESTED.replace("@a", "@c")).endswith("error: the model's function @a::@f is missing")


def test_modules_of_one_name() -> None:
    """A text can't have two functions of one name in one place, a module that is built can."""
    (func,) = tilewright.parse(mapped("relu")).functions()
    one = ModuleOp([ModuleOp([func.clone()], sym_name="a"), ModuleOp([func.clone()], sym_name="b")])
    two = ModuleOp([ModuleOp([func.clone()], sym_name="a"), ModuleOp([func.clone()], sym_name="a")])
    prove_module(one, one)
    for model, module in ((one, two), (two, one), (two, two)):
        with pytest.raises(DiagnosticError, match="2 functions called @a::@f"):
            prove_module(model, module)


def test_functions_in_regions_of_unknown_operations() -> None:
    text = f'"t.library"() ({{\n{mapped("relu")}}}) : () -> ()\n{mapped("relu")}'
    assert proved(text, text) == ""
    assert "exp of %x[0] instead of relu of %x[0]" in proved(text, text.replace("relu", "exp", 1))


def test_tiles_of_another_shape_of_a_result() -> None:
    """Of 4x3 elements 2x3 and 3x3 make two tiles each, and a bias has as many rows as its tile."""
    text = function(
        "%b: !uop.tiled<tensor<3xf32>, [3]>", "!uop.tiled<tensor<4x3xf32>, [2, 3]>",
        "%y = uop.alloc : !uop.tiled<tensor<4x3xf32>, [2, 3]>", "uop.load %b[0]", "uop.exec bias %y[0, 0] = %b[0]",
        "uop.exec bias %y[1, 0] = %b[0]", "uop.store %y[0, 0]", "uop.store %y[1, 0]",
        "return %y : !uop.tiled<tensor<4x3xf32>, [2, 3]>",
    )  # fmt: skip
    assert proved(text, text) == ""
    assert proved(text, text.replace("[2, 3]", "[3, 3]")) == (
        "made.mir:1:1: error: a result has tiles of 3x3 elements, the model's tiles make ones of 2x3"
    )


def test_a_bias_on_a_tile_of_fewer_rows() -> None:
    """Its rows beyond the scratch tile's are zero."""
    full = function(
        "%b: !uop.tiled<tensor<3xf32>, [3]>", "!uop.tiled<tensor<2x3xf32>, [2, 3]>",
        "%t = uop.alloc : !uop.tiled<tensor<2x3xf32>, [2, 3]>", "%y = uop.alloc : !uop.tiled<tensor<2x3xf32>, [2, 3]>",
        "uop.load %b[0]", "uop.exec bias %t[0, 0] = %b[0]", "uop.exec relu %y[0, 0] = %t[0, 0]", "uop.store %y[0, 0]",
        "return %y : !uop.tiled<tensor<2x3xf32>, [2, 3]>",
    )  # fmt: skip
    text = full.replace("%t = uop.alloc : !uop.tiled<tensor<2x3xf32>", "%t = uop.alloc : !uop.tiled<tensor<1x3xf32>")
    assert proved(full, full) == ""
    assert "is not what the model computes" in proved(full, text)


def test_what_is_never_written_equals_nothing() -> None:
    text = function("%x: i32", TILED, f"%y = uop.alloc : {TILED}", f"return %y : {TILED}")
    assert "which was never written" in proved(text, text)


def test_graph_operations_on_what_has_no_tiles() -> None:
    type = "tensor<2x1x1x1x1x2x2xf32>"
    text = function(f"%x: {type}", type, f"%y = graph.relu %x : {type}", f"return %y : {type}")
    assert f"graph.relu %y can't be computed on tiles: %x is {type}" in proved(text, text)


def test_what_no_result_depends_on_need_not_fit_the_tiles() -> None:
    """In the model %d ties the tiles of %x and of %z to each other; the other text's differ."""
    tensor = "tensor<4x4xf32>"
    binary = f"({tensor}, {tensor}) -> {tensor}"
    lines = (f"%d = graph.add %x, %z : {binary}", f"%y = graph.matmul %x, %z : {binary}")
    model = function(f"%x: {tensor}, %z: {tensor}", tensor, *lines, f"return %y : {tensor}")
    tiles = tilewright.run_passes(model, "dce,tile{sizes=1x4x2},lower")
    assert proved(model, tiles) == ""
    assert "%d can't be computed on tiles" in proved(model.replace("return %y", "return %d"), tiles)
