"""Small ONNX models, and the command that imports them, for the tests of mir-translate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import tilewright as tw
from tilewright.analysis.proof import prove_module
from tilewright.runtime.execute import execute_function
from tilewright.tools import translate

Array = np.ndarray[Any, Any]
F32 = TensorProto.FLOAT
RANDOM = np.random.default_rng(3)


def data(*shape: int) -> Array:
    return RANDOM.standard_normal(shape).astype(np.float32)


W, V, ROW = data(6, 5), data(5, 6), data(5)


def node(op: str, inputs: str, output: str = "y", **attributes: Any) -> onnx.NodeProto:
    """A node called as its output in capitals; inputs with blanks between them, `_` for one that is left out."""
    names = ["" if name == "_" else name for name in inputs.split()]
    return helper.make_node(op, names, output.split(), name=output.split()[0].upper(), **attributes)


def build(
    nodes: list[onnx.NodeProto],
    inputs: dict[str, Any],
    constants: dict[str, Array] | None = None,
    outputs: str = "y",
    *,
    type: int = F32,
    opset: int = 17,
    name: str = "f",
) -> onnx.ModelProto:
    """A model; inputs by name with their shapes, or a ready ValueInfoProto."""
    infos = [
        shape if isinstance(shape, onnx.ValueInfoProto) else helper.make_tensor_value_info(name, type, shape)
        for name, shape in inputs.items()
    ]
    results = [helper.make_tensor_value_info(name, type, None) for name in outputs.split()]
    tensors = [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()]
    graph = helper.make_graph(nodes, name, infos, results, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


class Imports:
    """Runs the command on models in a folder; `text`, `weights` and `notes` are those of the last run."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]):
        self.folder, self.capsys = folder, capsys

    def status(self, model: onnx.ModelProto | bytes, *words: str) -> int:
        path = self.folder / "model.onnx"
        path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
        files = ["-o", str(self.folder / "m.mir"), "--weights", str(self.folder / "m.npz")]
        status = translate.main(["--import-onnx", str(path), *files, *words])
        self.errors = self.capsys.readouterr().err.replace(f"{self.folder}/", "")
        return status

    def good(self, model: onnx.ModelProto, *words: str) -> None:
        assert self.status(model, *words) == 0, self.errors
        self.text = (self.folder / "m.mir").read_text(encoding="utf-8")
        self.weights = dict(np.load(self.folder / "m.npz"))
        self.notes = [line.removeprefix("mir-translate: note: ") for line in self.errors.splitlines()]
        (function,) = tw.parse(self.text).functions()
        assert [a.name for a, attrs in zip(function.args, function.arg_attrs, strict=True) if attrs] == list(
            self.weights
        )
        assert tw.print(tw.parse(self.text)) == self.text

    def body(self) -> list[str]:
        """The operations without their types."""
        return [line.strip().partition(" : ")[0] for line in self.text.splitlines()[1:-2]]

    def bad(self, model: onnx.ModelProto | bytes, *words: str) -> str:
        """The message; both files stay away."""
        assert self.status(model, *words) == 1
        assert sorted(p.name for p in self.folder.iterdir() if p.suffix in (".mir", ".npz")) == []
        return self.errors.removeprefix("mir-translate: error: model.onnx: ").rstrip("\n")

    def run(self, inputs: dict[str, Array]) -> list[Array]:
        """The results at the graph level, after those of a schedule were found to be the same."""
        graph = tw.parse(self.text)
        (function,) = graph.functions()
        shapes = {a.name: a.type.shape for a in function.args}  # type: ignore[attr-defined]
        given = {name: array.reshape(shapes[name]) for name, array in inputs.items() if name in shapes}
        results = execute_function(function, graph, given | self.weights).arrays
        scheduled = tw.parse(tw.run_passes(self.text, "decompose,tile{sizes=4x4x4},schedule{sram=16KiB}"))
        prove_module(graph, scheduled)
        (function,) = scheduled.functions()
        for a, b in zip(results, execute_function(function, scheduled, given | self.weights).arrays, strict=True):
            np.testing.assert_allclose(a.astype(np.float64), b.astype(np.float64), rtol=1e-5, atol=1e-5)
        return results


def shape_of(*sizes: int) -> Array:
    return np.array(sizes, np.int64)


X = {"x": [3, 6]}
