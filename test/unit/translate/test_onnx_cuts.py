"""mir-translate --import-onnx: where a model is cut in front and at its end, sizes that it leaves open, and what is
said of a model that is not understood."""

from __future__ import annotations

import shlex

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from ..onnx_models import F32, Imports, W, X, build, data, node, shape_of

IDS = helper.make_tensor_value_info("ids", TensorProto.INT64, ["B", "S"])
EMBEDDED = build(
    [
        node("Gather", "table ids", "words", axis=0), node("Add", "words places", "sum"),
        node("MatMul", "sum w", "h"), node("Relu", "h"),
    ],
    {"ids": IDS}, {"table": data(50, 6), "places": data(1, 1, 6), "w": W},
)  # fmt: skip


def test_the_front_is_cut(imports: Imports) -> None:
    imports.good(EMBEDDED, "--inputs", "words", "--dim", "B=1", "--dim", "S=7")
    assert imports.body() == ["%sum = graph.add %words, %places", "%h = graph.matmul %sum, %w", "%y = graph.relu %h"]
    assert "%words: tensor<1x7x6xf32>" in imports.text
    assert imports.notes == ["input 'ids' is left out: the outputs don't depend on it"]


def test_front_and_end(imports: Imports) -> None:
    imports.good(EMBEDDED, "--inputs", "sum", "--outputs", "h", "--batch", "2", "--dim", "S=3")
    assert imports.body() == ["%h = graph.matmul %sum, %w"]
    assert "%sum: tensor<2x3x6xf32>" in imports.text


def test_the_shape_of_a_cut_input_can_be_said(imports: Imports) -> None:
    imports.good(EMBEDDED, "--inputs", "words", "--shape", "words=2x4x6")
    assert "%words: tensor<2x4x6xf32>" in imports.text


def test_axes_without_a_name(imports: Imports) -> None:
    model = build([node("MatMul", "x w", "m"), node("Relu", "m")], {"x": [None, None, 6]}, {"w": W})
    assert imports.bad(model) == (
        "it can't be imported:\n  input 'x': axis 1 has no size ('?'); --shape x=NxNx6 sets it"
    )
    imports.good(model, "--shape", "x=2x4x6")
    assert "%x: tensor<2x4x6xf32>" in imports.text


SAID: dict[str, tuple[list[str], str]] = {
    "no such tensor": (["--inputs", "word"], "no tensor is called 'word' (did you mean words?)"),
    "a constant": (["--inputs", "table"], "--inputs: 'table' is a constant"),
    "no such input": (["--shape", "idz=2x4"], "--shape: no input is called 'idz' (did you mean ids?)"),
    "no such axis": (["--dim", "T=4"], "--dim: no axis of an input is called 'T'; there are B, S"),
}


@pytest.mark.parametrize("name", SAID)
def test_what_is_said_of_what_there_is_not(name: str, imports: Imports) -> None:
    words, message = SAID[name]
    assert imports.bad(EMBEDDED, *words) == message


def test_a_shape_that_the_model_contradicts(imports: Imports) -> None:
    model = build([node("Relu", "x")], X)
    message = "it can't be imported:\n  input 'x': the model says 3x6, --shape 3x7"
    assert imports.bad(model, "--shape", "x=3x7") == message
    assert imports.bad(model, "--shape", "x=18") == message.replace("3x7", "18")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--dim", "B"], "argument --dim: takes NAME=N, such as batch=4, got 'B'"),
        (["--dim", "B=0"], "argument --dim: takes NAME=N, such as batch=4, got 'B=0'"),
        (["--shape", "x=3,6"], "argument --shape: takes NAME=1x3x48, positive sizes with x between them, got 'x=3,6'"),
        (["--inputs", "a,,b"], "argument --inputs: takes names with commas between them"),
    ],
)
def test_malformed_options(words: list[str], message: str, imports: Imports) -> None:
    assert imports.status(build([node("Relu", "x")], X), *words) == 2
    assert message in imports.errors


# The end


def test_a_value_that_is_asked_for_is_that_value(imports: Imports) -> None:
    nodes = [node("MatMul", "x w", "h"), node("Softmax", "h", "p"), node("ArgMax", "p", axis=1)]
    model = build(nodes, X, {"w": W})
    assert imports.bad(model, "--outputs", "y").startswith("it can't be imported:\n  node 'Y' (ArgMax)")
    imports.good(model, "--outputs", "p")
    assert imports.body() == ["%h = graph.matmul %x, %w", "%p = graph.softmax %h {axes = [1]}"]
    imports.good(model)
    assert imports.notes == ["output 'y': ArgMax falls away, the result is 'p'"]


def test_names_of_classes_fall_away(imports: Imports) -> None:
    nodes = [
        node("MatMul", "x w", "h"), node("Softmax", "h", "p"), node("Identity", "p", "probabilities"),
        node("ArgMax", "probabilities", "n", axis=1),
        helper.make_node("ArrayFeatureExtractor", ["classes", "n"], ["c"], domain="ai.onnx.ml"),
        node("Reshape", "c s", "r"), node("Cast", "r", "label", to=TensorProto.INT64),
        helper.make_node("ZipMap", ["probabilities"], ["named"], domain="ai.onnx.ml", classlabels_int64s=[0, 1]),
    ]  # fmt: skip
    constants = {"w": W, "classes": np.arange(5, dtype=np.int32), "s": shape_of(-1)}
    model = build(nodes, X, constants, "label probabilities named")
    imports.good(model)
    assert imports.body() == ["%h = graph.matmul %x, %w", "%probabilities = graph.softmax %h {axes = [1]}"]
    assert imports.notes == [
        "output 'label': ArrayFeatureExtractor and ArgMax fall away, the result is 'probabilities'",
        "output 'named': ZipMap falls away, the result is 'probabilities'",
    ]


def declared(shape: list[int] | None, type: int = F32) -> onnx.ModelProto:
    model = build([node("MatMul", "x w")], X, {"w": W})
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", type, shape))
    return model


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (declared([3, 4]), "output 'y': the model says that it is 3x4, and it is 3x5"),
        (declared([15]), "output 'y': the model says that it is 15, and it is 3x5"),
        (
            declared([3, 5], TensorProto.FLOAT16),
            "output 'y': the model says that its elements are float16, and they are f32",
        ),
    ],
)  # fmt: skip
def test_an_output_is_what_the_model_says(model: onnx.ModelProto, message: str, imports: Imports) -> None:
    assert imports.bad(model).splitlines()[1] == f"  {message}"


def test_an_output_of_open_sizes(imports: Imports) -> None:
    imports.good(declared(["N", 5]))  # type: ignore[list-item]
    imports.good(declared(None))


# What is not understood


def test_it_is_summed_up_by_operator(imports: Imports) -> None:
    nodes = [
        node("Conv", "x k", "a"), node("Conv", "a k2", "b"), node("GlobalAveragePool", "b", "c"),
        node("Flatten", "c", "d"), node("MatMul", "d w", "e"), node("Softsign", "e"),
    ]  # fmt: skip
    constants = {"k": data(4, 1, 3, 3), "k2": data(6, 4, 1, 1), "w": W}
    lines = imports.bad(build(nodes, {"x": [1, 1, 8, 8]}, constants)).splitlines()
    multiplied = {"Conv": 36 * 4 * 9 + 36 * 6 * 4, "MatMul": 30}
    share = multiplied["Conv"] / sum(multiplied.values())
    conv = f"Conv 2 ({share:.1%} of the multiply-accumulates)"
    assert lines[1] == f"  without a counterpart here: {conv}, GlobalAveragePool 1, Softsign 1"
    assert [line.split("'")[1] for line in lines[2:]] == ["A", "B", "C", "Y"]


@pytest.mark.parametrize("name", ["a b", "$HOME", "it's", "a,b", "x;y"])
def test_a_hint_can_be_pasted_into_a_shell(name: str, imports: Imports) -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], [name], name="M"), helper.make_node("Relu", [name], ["r"], name="R"),
        helper.make_node("Softsign", [name], ["s"], name="S"), helper.make_node("Add", ["r", "s"], ["y"], name="Y"),
    ]  # fmt: skip
    model = build(nodes, X, {"w": W})
    hint = imports.bad(model).splitlines()[-1]
    words = shlex.split(hint.removeprefix("hint: ").removesuffix(" imports what comes before"))
    imports.good(model, *words)
    assert len(imports.body()) >= 1


MASKED = [
    node("Gather", "table ids", "words"), node("Cast", "mask", "kept", to=TensorProto.BOOL),
    node("Where", "kept zero least", "/mask,added"), node("MatMul", "words w", "h"), node("Softmax", "h", "p"),
]  # fmt: skip
MASK = helper.make_tensor_value_info("mask", TensorProto.INT64, ["B", "S", 1])


def masked(last: onnx.NodeProto, output: str = "y") -> onnx.ModelProto:
    constants = {"table": data(50, 6), "w": W, "zero": np.float32(0), "least": np.float32(-1e9)}
    nodes = [*MASKED, helper.make_node("Add", ["h", "/mask,added"], ["sum"], name="SUM"), last]
    return build(nodes, {"ids": IDS, "mask": MASK}, constants, output)  # type: ignore[arg-type]


def test_a_hint_says_where_to_cut_off_what_the_host_makes_of_integers(imports: Imports) -> None:
    after = " imports what comes after, and leaves these to the host"
    model = masked(node("Relu", "sum"))
    hint = imports.bad(model, "--dim", "S=4").splitlines()[-1].removesuffix(after)
    open_sizes = imports.bad(model).splitlines()[-1]
    assert open_sizes == f"{hint} --dim S=128{after}, for sizes such as this"
    words = shlex.split(hint.removeprefix("hint: "))
    assert words == ["--inputs", "/mask,added", "--inputs", "words"]
    imports.good(model, *words, "--dim", "S=4")
    assert "%mask_added: tensor<4x1xf32>, %words: tensor<1x4x6xf32>" in imports.text
    imports.good(model, *words, "--dim", "S=128")


def test_no_hint_where_what_comes_after_integers_is_not_understood_either(imports: Imports) -> None:
    lines = imports.bad(masked(node("Softsign", "sum")), "--dim", "S=4").splitlines()
    assert not [line for line in lines if line.startswith("hint")]


def test_the_shape_of_what_the_host_has_is_known(imports: Imports) -> None:
    nodes = [
        node("Shape", "ids", "s"), node("Gather", "table ids", "words"), node("Shape", "words", "t"),
        node("Reshape", "x s", "r"), node("Expand", "r s", "e"), node("Relu", "e"),
    ]  # fmt: skip
    imports.good(build(nodes, {"ids": IDS, "x": [8]}, {"table": data(50, 6)}), "--dim", "S=4", "--batch", "2")
    assert imports.body() == ["%y = graph.relu %x"]
    assert "%x: tensor<2x4xf32>" in imports.text
    assert imports.notes == ["input 'ids' is left out: only its shape is read"]


def test_a_mask_is_read_twice_in_one_form(imports: Imports) -> None:
    nodes = [
        node("MatMul", "x z", "s"), node("Add", "s m", "a"), node("Add", "m s", "b"), node("Sub", "a b", "d"),
        node("Mul", "d m"),
    ]  # fmt: skip
    imports.good(build(nodes, {"x": [2, 3, 4, 6], "z": [2, 3, 6, 5], "m": [1, 1, 1, 5]}))
    assert not [line for line in imports.body() if "reshape" in line]
    imports.run({"x": data(2, 3, 4, 6), "z": data(2, 3, 6, 5), "m": data(5)})


def test_a_hint_leaves_an_operation(imports: Imports) -> None:
    model = build([node("Reshape", "x s", "f"), node("Softsign", "f")], X, {"s": shape_of(6, 3)})
    assert "hint" not in imports.bad(model)


def sparse(places: list[list[int]]) -> onnx.ModelProto:
    """A model whose weights are sparse: 2 and 3 at these places."""
    model = build([node("MatMul", "x w")], X)
    values = numpy_helper.from_array(np.array([2, 3], np.float32), "w")
    at = numpy_helper.from_array(np.array(places, np.int64), "at")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, at, [6, 5]))
    return model


def test_a_sparse_initializer(imports: Imports) -> None:
    wanted = np.zeros((6, 5), np.float32)
    wanted[0, 1], wanted[5, 4] = 2, 3
    for model in (sparse([[0, 1], [5, 4]]), sparse([1, 29])):  # type: ignore[list-item]
        imports.good(model)
        np.testing.assert_array_equal(imports.weights["w"], wanted)


def test_a_sparse_initializer_with_places_outside(imports: Imports) -> None:
    model = sparse([1, 99])  # type: ignore[list-item]
    assert imports.bad(model).startswith("sparse initializer 'w' is malformed: ")
