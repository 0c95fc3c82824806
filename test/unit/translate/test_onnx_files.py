"""mir-translate --import-onnx: data beside the model, and the files it writes: both or none, and never the model."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from ..onnx_models import ROW, Imports, W, X, build, node

GEMM = build([node("Gemm", "x w b")], X, {"w": W, "b": ROW})


@pytest.mark.parametrize("link", [False, True])
@pytest.mark.parametrize("option", ["-o", "--weights"])
def test_the_model_is_not_overwritten(option: str, link: bool, imports: Imports) -> None:
    path = imports.folder / "model.onnx"
    if link:
        (imports.folder / "link").symlink_to(path)
        path = imports.folder / "link"
    assert imports.status(GEMM, option, str(path)) == 2
    assert imports.errors.splitlines()[0] == (
        f"mir-translate: error: {option} names the model, which would be overwritten"
    )
    assert (imports.folder / "model.onnx").read_bytes() == GEMM.SerializeToString()


def test_wrong_data_of_an_initializer(imports: Imports) -> None:
    model = build([node("MatMul", "x w")], X, {"w": W})
    model.graph.initializer[0].raw_data = b"\0" * 12
    assert imports.bad(model).startswith("initializer 'w' is malformed: ")


def external(location: str, **entries: int) -> onnx.ModelProto:
    model = build([node("MatMul", "x w")], X, {"w": W})
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **entries}.items():
        tensor.external_data.add(key=key, value=str(value))
    return model


def test_external_data(imports: Imports) -> None:
    (imports.folder / "w.bin").write_bytes(b"12345678" + W.tobytes() + b"rest")
    imports.good(external("w.bin", offset=8, length=W.nbytes))
    np.testing.assert_array_equal(imports.weights["w"], W)


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("none.bin", "the data of initializer 'w' can't be read from 'none.bin': No such file or directory"),
        ("../w.bin", "the data of initializer 'w' are in '../w.bin', which is not a file in the model's folder"),
        ("/etc/passwd", "the data of initializer 'w' are in '/etc/passwd', which is not a file in the model's folder"),
        ("", "the data of initializer 'w' are in '', which is not a file in the model's folder"),
        ("short.bin", "the data of initializer 'w' are cut short: 'short.bin' has no 120 bytes at 8"),
        ("link.bin", "the data of initializer 'w' are in 'link.bin', which is not a file in the model's folder"),
    ],
)
def test_external_data_that_is_not_there(location: str, message: str, imports: Imports) -> None:
    (imports.folder / "short.bin").write_bytes(W.tobytes())
    (imports.folder / "link.bin").symlink_to("/etc/passwd")
    assert imports.bad(external(location, offset=8, length=W.nbytes)) == message


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"length": 10**15}, "cut short: 'w.bin' has no 1000000000000000 bytes at 0"),
        ({"offset": 10**30, "length": 120}, f"cut short: 'w.bin' has no 120 bytes at {10**30}"),
        ({"offset": -5, "length": 120}, "cut short: 'w.bin' has no 120 bytes at -5"),
        ({"offset": 0, "length": -7}, "cut short: 'w.bin' has no -7 bytes at 0"),
        ({"offset": 200}, "cut short: 'w.bin' has no 0 bytes at 200"),
    ],
)
def test_external_data_beyond_the_file(entries: dict[str, int], message: str, imports: Imports) -> None:
    (imports.folder / "w.bin").write_bytes(W.tobytes())
    assert imports.bad(external("w.bin", **entries)) == f"the data of initializer 'w' are {message}"


def test_both_files_or_none(imports: Imports) -> None:
    (imports.folder / "m.npz").write_bytes(b"old")
    model = GEMM
    assert imports.status(model, "-o", str(imports.folder / "none" / "m.mir")) == 1
    assert imports.errors == "mir-translate: error: cannot write 'none/m.mir': No such file or directory\n"
    assert (imports.folder / "m.npz").read_bytes() == b"old"
    (imports.folder / "m.npz").unlink()
    assert imports.status(model, "-o", str(imports.folder / "none" / "m.mir")) == 1
    assert sorted(p.name for p in imports.folder.iterdir()) == ["model.onnx"]
