"""What is no regular file where one is expected, and files that hold more than they look: no command waits without end
or takes memory for what nobody asked for."""

from __future__ import annotations

import os
import stat
import threading
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

import tilewright
from tilewright.runtime import room
from tilewright.tools import arrays, export, files, opt, run, sim, translate, viz

MODEL = """func.func @f(%x: tensor<4x4xf32>) -> tensor<4x4xf32> {
  %y = graph.relu %x : tensor<4x4xf32>
  return %y : tensor<4x4xf32>
}
"""

Main = Callable[[list[str]], int]
READERS: list[tuple[Main, list[str]]] = [
    (opt.main, []), (opt.main, ["/dev/null", "--verify-against"]), (sim.main, []), (viz.main, ["--ascii"]),
    (run.main, []), (translate.main, ["--to-csv"]),
]  # fmt: skip


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "BETWEEN", 0.001)


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    return path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.mir"
    path.write_text(MODEL, encoding="utf-8")
    return path


@pytest.mark.parametrize(("main", "words"), READERS)
def test_nobody_waits_for_a_pipe_without_a_writer(
    main: Main, words: list[str], fifo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, str(fifo)]) == 1
    assert f"cannot read '{fifo}': it is a pipe that nobody writes to\n" in capsys.readouterr().err


@pytest.mark.parametrize(("main", "words"), READERS)
def test_a_device_is_no_text(main: Main, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words, "/dev/zero"]) == 1
    assert "cannot read '/dev/zero': it is a device\n" in capsys.readouterr().err


def test_what_is_written_to_a_pipe_is_read(fifo: Path) -> None:
    writer = threading.Thread(target=lambda: fifo.write_text(MODEL, encoding="utf-8"), daemon=True)
    writer.start()
    assert files.read_text(str(fifo)) == MODEL
    writer.join(timeout=30)


def test_a_longer_text_than_the_limit_is_refused(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_TEXT", len(MODEL) - 1)
    with pytest.raises(files.InputError, match=f"it is longer than {len(MODEL) - 1} bytes"):
        files.read_text(str(model))


def test_a_pipe_that_nobody_reads_is_not_written_to(
    model: Path, fifo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert opt.main([str(model), "-o", str(fifo)]) == 1
    assert capsys.readouterr().err == f"opt: error: cannot write '{fifo}': it is a pipe that nobody reads\n"
    assert stat.S_ISFIFO(fifo.stat().st_mode)


@pytest.mark.parametrize("option", ["--inputs", "--weights", "--input"])
@pytest.mark.parametrize("device", [False, True])
def test_arrays_are_in_regular_files(
    option: str, device: bool, model: Path, fifo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = "/dev/zero" if device else str(fifo)
    assert run.main([option, f"x={path}" if option == "--input" else path, str(model)]) == 1
    assert capsys.readouterr().err == f"mir-run: error: cannot read '{path}': it is no regular file\n"


def test_models_are_in_regular_files(fifo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnx")
    assert translate.main(["--import-onnx", str(fifo)]) == 1
    assert capsys.readouterr().err == f"mir-translate: error: cannot read '{fifo}': it is no regular file\n"


# --- arrays ---


def archive(path: Path, **members: bytes) -> str:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in members.items():
            made.writestr(f"{name}.npy", data)
    return str(path)


def header(shape: tuple[int, ...], descr: str = "<f4") -> bytes:
    out = BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": descr, "fortran_order": False, "shape": shape})
    return out.getvalue()


@pytest.fixture
def nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(stored: arrays.StoredArray) -> None:
        raise AssertionError(f"the data of {stored} are read")

    monkeypatch.setattr(arrays.StoredArray, "read", read)


@pytest.mark.usefixtures("nothing_is_read")
@pytest.mark.parametrize(
    ("name", "shape", "error"),
    [
        ("x", (1 << 40, 1 << 20), "has shape 1099511627776x1048576, the function needs 4x4"),
        ("other", (4, 4), "@f has no argument %other; it has %x"),
    ],
)
def test_of_arrays_that_dont_fit_only_the_headers_are_read(
    name: str, shape: tuple[int, ...], error: str, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = archive(tmp_path / "bomb.npz", **{name: header(shape)})
    assert run.main(["--inputs", path, str(model)]) == 1
    assert error in capsys.readouterr().err


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + b" " * 100_000, "its header is malformed"),
        (b"\x93NUMPY\x01\x00\x04\x00{{{{", "its header is malformed"),
        (header((4, 4)).replace(b"(4, 4)", b"(9" + b"9" * 5000 + b",)")[:10] + b"{" * 100, "its header is malformed"),
        (header((4, 4), "|O"), "it holds Python objects, which are refused"),
        (header((4, 4)) + bytes(60), "damaged: 'x.npy' is cut short"),
        (b"text", "'x' is no array"),
    ],
)
def test_a_malformed_member_is_one_line(
    data: bytes, error: str, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = archive(tmp_path / "x.npz", x=data)
    assert run.main(["--inputs", path, str(model)]) == 1
    assert error in capsys.readouterr().err


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<i2"])
def test_arrays_are_what_numpy_has_written(order: str, dtype: str, tmp_path: Path) -> None:
    array = np.asarray(np.arange(24).reshape(2, 3, 4), dtype, order)  # type: ignore[call-overload]
    np.savez_compressed(tmp_path / "a.npz", a=array, scalar=np.float32(3), none=np.zeros((0, 4)))
    np.save(tmp_path / "a.npy", array)
    loaded = arrays.load_arrays(str(tmp_path / "a.npz"))
    assert {name: stored.shape for name, stored in loaded.items()} == {"a": (2, 3, 4), "scalar": (), "none": (0, 4)}
    for made in (loaded["a"].read(), arrays.load_array(str(tmp_path / "a.npy")).read()):
        assert made.dtype == array.dtype
        assert np.array_equal(made, array)
    assert loaded["scalar"].read() == 3


def test_tensors_that_the_machine_has_no_room_for_are_refused(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(room, "memory", lambda: 100)
    assert run.main([str(model)]) == 1
    err = capsys.readouterr().err
    assert "model.mir:1:14: error: %x takes 64 bytes, all tensors 128: there are 100 of memory\n" in err


def test_an_sram_that_the_machine_has_no_room_for_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "sched.mir"
    path.write_text(tilewright.run_passes(MODEL, "schedule").replace("@0x0000", f"@{1 << 50}"), encoding="utf-8")
    assert run.main(["--no-verify", str(path)]) == 1
    assert "reach" not in capsys.readouterr().err  # beyond what the text says the SRAM has
    path.write_text(path.read_text(encoding="utf-8").replace("262144", str(1 << 60)), encoding="utf-8")
    assert run.main(["--no-verify", str(path)]) == 1
    assert "the schedule's tiles reach byte 1,125,899,906," in capsys.readouterr().err


def test_exports_read_the_same_way(fifo: Path) -> None:
    with pytest.raises(files.InputError, match="nobody writes"):
        export.export("dot", None, str(fifo), None)
