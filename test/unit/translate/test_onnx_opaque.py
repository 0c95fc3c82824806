"""mir-translate --opaque: what has no counterpart is a barrier that is planned with and never run."""

from __future__ import annotations

from pathlib import Path

import pytest
from onnx import TensorProto, helper

import tilewright as tw
from tilewright.analysis.proof import prove_module
from tilewright.passes.manager.pipelines import parse_pipeline
from tilewright.tools import opt
from tilewright.tools import run as mir_run

from ..onnx_models import Imports, V, W, X, build, data, node, shape_of


@pytest.fixture
def onnx(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Imports:
    return Imports(tmp_path, capsys)


PICTURE = {"x": [1, 3, 8, 8]}
CONV = {"k": data(4, 3, 3, 3), "b": data(4), "w": data(256, 5)}


def planned(text: str) -> None:
    """The function goes through every pipeline, each proved."""
    for name in ("O0", "O1{sram=16KiB}", "O2{sram=16KiB}"):
        module = tw.parse(text)
        for one in parse_pipeline(name):
            module = one.apply(module)
        tw.verify(module)
        prove_module(tw.parse(text), module)


def test_nodes_without_a_counterpart_are_barriers(onnx: Imports, capsys: pytest.CaptureFixture[str]) -> None:
    model = build(
        [
            node("Conv", "x k b", "c", pads=[1, 1, 1, 1]),
            node("Relu", "c", "r"),
            node("Flatten", "r", "f"),
            node("MatMul", "f w", "y"),
        ],
        PICTURE,
        CONV,
    )
    assert "Conv" in onnx.bad(model)
    onnx.good(model, "--opaque")
    assert onnx.body() == [
        '%c = "graph.opaque"(%x, %k, %b) {node = "C", op = "Conv"}',
        "%r = graph.relu %c",
        '%f = "graph.opaque"(%r) {node = "F", op = "Flatten"}',
        "%y = graph.matmul %f, %w",
    ]
    (note,) = onnx.notes
    assert note.startswith("opaque, so that nothing runs the function: Conv 1 (84.4% of the multiply-accumulates)")
    assert note.endswith("; to move data Flatten 1")
    planned(onnx.text)
    path = onnx.folder / "m.mir"
    assert mir_run.main([str(path), "--random", "1"]) == 1
    errors = capsys.readouterr().err
    assert "m.mir:2:8: error: cannot run graph.opaque: what Conv computes is not known here" in errors


def test_what_it_gives_takes_the_form_of_its_first_use(onnx: Imports) -> None:
    onnx.good(
        build([node("GlobalAveragePool", "x", "p"), node("Flatten", "p", "f"), node("MatMul", "f w", "y")],
              {"x": [1, 256, 4, 4]}, {"w": CONV["w"]}), "--opaque",
    )  # fmt: skip
    assert onnx.body() == [
        '%p = "graph.opaque"(%x) {node = "P", op = "GlobalAveragePool"}',
        "%y = graph.matmul %p, %w",
    ]
    assert "-> tensor<1x256xf32>" in onnx.text


def test_several_results_are_one_operation(onnx: Imports) -> None:
    onnx.good(build([node("Split", "x", "a b", axis=1), node("Add", "a b")], X), "--opaque")
    assert onnx.body() == ['%a, %b = "graph.opaque"(%x) {node = "A", op = "Split"}', "%y = graph.add %a, %b"]
    planned(onnx.text)


def test_a_transposition_is_moved_once_for_all_that_read_it(onnx: Imports) -> None:
    nodes = [
        node("Relu", "x", "r"), node("Transpose", "r", "t"), node("Add", "t c", "a"), node("Mul", "t d", "m"),
        node("Add", "a m"),
    ]  # fmt: skip
    onnx.good(build(nodes, X, {"c": data(6, 3), "d": data(6, 3)}), "--opaque")
    assert [line for line in onnx.body() if "opaque" in line] == [
        '%t = "graph.opaque"(%r) {node = "T", op = "Transpose"}'
    ]
    assert onnx.notes == ["opaque, so that nothing runs the function: to move data Transpose 1"]
    planned(onnx.text)


def test_a_transposed_output_is_moved(onnx: Imports) -> None:
    onnx.good(build([node("Relu", "x", "r"), node("Transpose", "r")], X), "--opaque")
    assert onnx.body()[-1] == '%y = "graph.opaque"(%r) {node = "Y", op = "Transpose"}'


def test_nothing_is_opaque_that_need_not_be(onnx: Imports) -> None:
    model = build([node("MatMul", "x w", "h"), node("Relu", "h", "r"), node("MatMul", "r v")], X, {"w": W, "v": V})
    onnx.good(model, "--opaque")
    assert "opaque" not in onnx.text
    assert onnx.notes == []
    text = onnx.text
    onnx.good(model)
    assert onnx.text == text


def test_other_constants_are_part_of_the_operation(onnx: Imports) -> None:
    constants = {"s": shape_of(1), "e": shape_of(3), "a": shape_of(1)}
    onnx.good(build([node("Slice", "x s e a", "p"), node("Relu", "p")], X, constants), "--opaque")
    assert onnx.body() == ['%p = "graph.opaque"(%x) {node = "P", op = "Slice"}', "%y = graph.relu %p"]
    assert onnx.weights == {}


def test_indices_are_left_to_the_host(onnx: Imports) -> None:
    ids = helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "sequence"])
    nodes = [
        node("Unsqueeze", "ids axis", "u"),
        node("Squeeze", "u axis", "i"),
        node("Gather", "table i", "g"),
        node("Relu", "g"),
    ]
    model = build(nodes, {"ids": ids}, {"table": data(9, 4), "axis": shape_of(0)})
    onnx.good(model, "--opaque", "--dim", "sequence=7")
    assert onnx.body() == ['%g = "graph.opaque"(%table) {node = "G", op = "Gather"}', "%y = graph.relu %g"]
    assert "-> tensor<1x7x4xf32>" in onnx.text
    assert onnx.notes[0] == "input 'ids' is left to the host: its elements are int64"


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([node("ArgMax", "x", "i", axis=0, keepdims=0), node("Gather", "t i")],
         "'i' has elements of type int64, which are the host's, and is made of 'x', which is on the chip"),
        ([node("Odd", "x", domain="other.tools")],
         "it needs the type and the shape of 'y', and neither the model nor ONNX says them"),
        ([node("Relu", "x w")], "it has 2 inputs, and takes 1"),
    ],
)  # fmt: skip
def test_what_stops_the_import_is_named(nodes: list[object], message: str, onnx: Imports) -> None:
    assert message in onnx.bad(build(nodes, X, {"t": data(9, 4), "w": W}), "--opaque")  # type: ignore[arg-type]


def test_a_result_of_the_host_is_none(onnx: Imports) -> None:
    ids = helper.make_tensor_value_info("ids", TensorProto.INT64, [3])
    message = onnx.bad(build([node("Relu", "x"), node("Neg", "ids", "z")], X | {"ids": ids}, outputs="y z"), "--opaque")
    assert "output 'z': its elements are of a type that only the host has" in message


def test_it_is_for_imports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tilewright.tools import translate

    assert translate.main(["--to-dot", "--opaque", str(tmp_path / "m.mir")]) == 2
    assert "--opaque doesn't go together with --to-dot" in capsys.readouterr().err


def test_a_mean_without_its_axis_is_moved(onnx: Imports) -> None:
    """An axis of one element in front may fall away in place; behind the last rows of a tile it may not."""
    nodes = [node("ReduceMean", "x", "m", axes=[2], keepdims=0), node("MatMul", "m w")]
    onnx.good(build(nodes, {"x": [1, 6, 8]}, {"w": data(6, 4)}), "--opaque")
    assert 'op = "ReduceMean"' in onnx.text
    path = str(onnx.folder / "m.mir")
    assert opt.main(["-O1", "--prove-each", path, "-o", path]) == 0
