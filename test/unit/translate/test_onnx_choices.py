"""mir-translate --import-onnx: comparisons, logic and Where, each against ONNX Runtime; masks as inputs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from ..onnx_models import Imports, build, data, node
from .test_onnx_functions import check, number, runtime

BOOL = TensorProto.BOOL
BOTH = {"x": [3, 6], "z": [3, 6]}
ALIKE = np.round(data(3, 6))
KEPT = np.tril(np.ones((5, 5), bool))

CHOICES: dict[str, tuple[Callable[[], onnx.ModelProto], list[str]]] = {
    "a comparison of two": (
        lambda: build([node("Less", "x z", "l"), node("Where", "l x z")], BOTH),
        ["%l = graph.less %x, %z", "%y = graph.where %l, %x, %z"],
    ),
    "with a number": (
        lambda: build([node("GreaterOrEqual", "x c", "g"), node("Where", "g x c")], {"x": [3, 6]}, {"c": number(0.5)}),
        ["%g = graph.greater_equal %x {right = 0.5", "%y = graph.where %g, %x {right = 0.5"],
    ),
    "a number with a tensor": (
        lambda: build([node("Greater", "c x", "g"), node("Where", "g c x")], {"x": [3, 6]}, {"c": number(0.5)}),
        ["%g = graph.greater %x {left = 0.5", "%y = graph.where %g, %x {left = 0.5"],
    ),
    "logic": (
        lambda: build(
            [node("Less", "x c", "l"), node("Greater", "z c", "g"), node("Or", "l g", "o"), node("And", "o l", "a"),
             node("Not", "a", "n"), node("Where", "n x z")], BOTH, {"c": number(0)},
        ),
        ["%l = graph.less %x {right = 0.0", "%g = graph.greater %z {right = 0.0", "%o = graph.max %l, %g",
         "%a = graph.min %o, %l", "%n = graph.sub %a {left = 1.0", "%y = graph.where %n, %x, %z"],
    ),
    "logic with a constant": (
        lambda: build(
            [node("LessOrEqual", "x z", "l"), node("And", "k l", "a"), node("Cast", "a", to=TensorProto.FLOAT)],
            BOTH, {"k": np.array([True, False, True, True, False, True])},
        ),
        ["%l = graph.less_equal %x, %z", "%y = graph.min %l, %k"],
    ),
    "a constant condition": (
        lambda: build(
            [node("MatMul", "x z", "s"), node("Where", "k s c")], {"x": [2, 5, 4], "z": [2, 4, 5]},
            {"k": KEPT, "c": number(-np.inf)},
        ),
        ["%s = graph.matmul %x, %z", "%y = graph.where %k, %s {right = 0xFF800000"],
    ),
    "truth of a tensor": (
        lambda: build(
            [node("Relu", "x", "r"), node("Cast", "r", "b", to=BOOL), node("Cast", "b", to=TensorProto.FLOAT)],
            {"x": [3, 6]},
        ),
        ["%r = graph.relu %x", "%y = graph.where %r {left = 1.0"],
    ),
    "truth of what is true or false": (
        lambda: build(
            [node("Equal", "x z", "e"), node("Cast", "e", "b", to=BOOL), node("Cast", "b", "f", to=TensorProto.FLOAT),
             node("Mul", "f x")], BOTH,
        ),
        ["%e = graph.equal %x, %z", "%y = graph.mul %e, %x"],
    ),
    "a row and a column": (
        lambda: build([node("Less", "v u", "l"), node("Where", "l v c")], {"v": [6], "u": [3, 1]}, {"c": number(2)}),
        ["%l = graph.less %v, %u", "%y = graph.where %l, %v {right = 2.0"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CHOICES)
def test_as_in_onnx_runtime(name: str, imports: Imports) -> None:
    make, body = CHOICES[name]
    model = make()
    names = [i.name for i in model.graph.input]
    inputs = {"x": ALIKE, "z": np.maximum(ALIKE, 0)} if names == ["x", "z"] and "constant" not in name else None
    assert check(imports, model, inputs) == body


def test_a_mask_that_is_an_input_is_1_or_0(imports: Imports) -> None:
    mask = helper.make_tensor_value_info("m", BOOL, [3, 6])
    model = build([node("Where", "m x c")], {"x": [3, 6], "m": mask}, {"c": number(-1)})
    imports.good(model)
    assert imports.notes == ["input 'm' is true or false in the model, here 1 or 0 in f32"]
    x, m = data(3, 6), data(3, 6) > 0
    (found,) = imports.run({"x": x, "m": m.astype(np.float32)})
    assert found.tolist() == runtime(model, {"x": x, "m": m})[0].tolist()


def test_a_mask_that_the_host_makes_is_cut_where_it_meets_what_is_computed(imports: Imports) -> None:
    ids = helper.make_tensor_value_info("ids", TensorProto.INT64, [6])
    nodes = [node("Equal", "ids pad", "p"), node("Not", "p", "kept"), node("Tanh", "x", "t"), node("Where", "kept t c")]
    model = build(nodes, {"ids": ids, "x": [3, 6]}, {"pad": np.array(0, np.int64), "c": number(0)})
    assert imports.bad(model).splitlines()[-1].startswith("hint: --inputs kept imports what comes after")
    imports.good(model, "--inputs", "kept")
    assert imports.body() == ["%t = graph.tanh %x", "%y = graph.where %kept, %t {right = 0.0"]
    assert "%kept: tensor<6xf32>" in imports.text


def test_what_can_not_be_broadcast(imports: Imports) -> None:
    model = build([node("Less", "x z", "l"), node("Where", "l x u")], BOTH | {"u": [4]})
    assert imports.bad(model).splitlines()[1] == (
        "  node 'Y' (Where): 3x6 and 3x6 and 4 can't be broadcast to one shape"
    )
