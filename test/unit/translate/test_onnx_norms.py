"""mir-translate --import-onnx: norms that are written out are one operation, each against ONNX Runtime."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from ..onnx_models import Array, Imports, build, data, node
from .test_onnx_functions import check, number

SHAPE = [2, 3, 8]
CONSTANTS = {"two": number(2), "one": number(1), "eps": number(1e-5), "w": data(8), "b": data(8), "v": data(3, 1)}


def last(op: str, inputs: str, output: str) -> onnx.NodeProto:
    return node(op, inputs, output, axes=[-1])


def centred(square: str = "Pow d two") -> list[onnx.NodeProto]:
    return [last("ReduceMean", "x", "m"), node("Sub", "x m", "d"), *rooted(square)]


def rooted(square: str) -> list[onnx.NodeProto]:
    op, _, inputs = square.partition(" ")
    return [
        node(op, inputs, "q"), last("ReduceMean", "q", "var"), node("Add", "var eps", "e"), node("Sqrt", "e", "s"),
    ]  # fmt: skip


LAYER = "%y = graph.layer_norm %x, %w, %b {axes = [2], epsilon = 1.0e-05"
RMS = "%y = graph.rms_norm %x, %w {axes = [2], epsilon = 1.0e-05"
DIVIDED = [node("Div", "d s", "n")]
SCALED = [node("Mul", "n w", "p"), node("Add", "p b")]
NORMS: dict[str, tuple[list[onnx.NodeProto], str]] = {
    "PyTorch, before operator set 17": ([*centred(), *DIVIDED, *SCALED], LAYER),
    "a square that is a product": ([*centred("Mul d d"), *DIVIDED, *SCALED], LAYER),
    "a reciprocal": ([*centred(), node("Reciprocal", "s", "r"), node("Mul", "d r", "n"), *SCALED], LAYER),
    "the scale goes to the root": (
        [*centred(), node("Div", "one s", "r"), node("Mul", "r w", "k"), node("Mul", "d k", "p"), node("Add", "b p")],
        LAYER,
    ),
    "without a bias": ([*centred(), *DIVIDED, node("Mul", "w n")], LAYER.replace(", %b", "")),
    "root mean square": ([*rooted("Pow x two"), node("Div", "x s", "n"), node("Mul", "n w")], RMS),
    "root mean square, by a reciprocal": (
        [*rooted("Mul x x"), node("Reciprocal", "s", "r"), node("Mul", "x r", "n"), node("Mul", "w n")],
        RMS,
    ),
    "root mean square, 1 over the root": (
        [*rooted("Pow x two"), node("Div", "one s", "r"), node("Mul", "x r", "n"), node("Mul", "w n")],
        RMS,
    ),
}


def model(nodes: list[onnx.NodeProto], outputs: str = "y", **more: Array) -> onnx.ModelProto:
    return build(nodes, {"x": SHAPE}, CONSTANTS | more, outputs)


@pytest.mark.parametrize("name", NORMS)
def test_a_norm_that_is_written_out(name: str, imports: Imports) -> None:
    nodes, body = NORMS[name]
    assert check(imports, model(nodes)) == [body]


def test_what_goes_in_may_be_read_by_others(imports: Imports) -> None:
    nodes = [*rooted("Pow x two"), node("Div", "x s", "n"), node("Mul", "n w", "p"), node("Add", "p x")]
    assert check(imports, model(nodes)) == [RMS.replace("%y", "%p"), "%y = graph.add %p, %x"]


def test_what_is_added_to_a_norm_is_no_bias_where_it_is_computed(imports: Imports) -> None:
    nodes = [*centred(), *DIVIDED, node("Mul", "n w", "p"), node("Add", "p x")]
    body = check(imports, model(nodes))
    assert body == [LAYER.replace("%y", "%p").replace(", %b", ""), "%y = graph.add %p, %x"]


def test_the_mean_along_another_axis_is_not_that_of_the_norm(imports: Imports) -> None:
    nodes = [node("ReduceMean", "x", "m", axes=[1]), *centred()[1:], *DIVIDED, *SCALED]
    assert check(imports, model(nodes))[-2:] == [
        RMS.replace("%y", "%p").replace("%x", "%d"), "%y = graph.add %p, %b",
    ]  # fmt: skip


NO_NORMS: dict[str, tuple[list[onnx.NodeProto], str]] = {
    "another reads the difference": ([*centred(), *DIVIDED, *SCALED], "y d"),
    "another reads the root": ([*rooted("Pow x two"), node("Div", "x s", "n"), node("Mul", "n w")], "y s"),
    "another power": ([*rooted("Pow x three"), node("Div", "x s", "n"), node("Mul", "n w")], "y"),
    "the square of another tensor": ([*centred("Pow x two"), *DIVIDED, *SCALED], "y"),
    "a scale along another axis": ([*rooted("Pow x two"), node("Div", "x s", "n"), node("Mul", "n v")], "y"),
    "half of it": ([*rooted("Mul x x"), node("Div", "half s", "r"), node("Mul", "x r", "n"), node("Mul", "w n")], "y"),
    "upside down": ([*rooted("Pow x two"), node("Div", "s x", "n"), node("Mul", "n w")], "y"),
}  # fmt: skip


@pytest.mark.parametrize("name", NO_NORMS)
def test_what_is_no_norm_stays_as_it_is_written(name: str, imports: Imports) -> None:
    nodes, outputs = NO_NORMS[name]
    x = np.abs(data(*SHAPE)) + 0.5
    body = check(imports, model(nodes, outputs, half=number(0.5), three=number(3)), {"x": x})
    assert not [line for line in body if "_norm" in line]
    assert len(body) > 5
