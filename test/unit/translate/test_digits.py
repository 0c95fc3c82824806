"""The example in examples/digits: a trained network, scheduled for three SRAM sizes, predicts as ONNX Runtime."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "digits" / "run.py"


@pytest.fixture
def digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The example, writing to a folder of its own."""
    spec: Any = importlib.util.spec_from_file_location("digits_example", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "digits_example", module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "BUILD", tmp_path / "digits")
    return module


def test_labels_equal_those_of_onnx_runtime(digits: ModuleType) -> None:
    images, truth, logits, source = digits.test_split()
    assert (source, images.shape, truth.shape) == ("ONNX Runtime", (450, 64), (450,))
    model, weights = digits.import_model()
    assert sorted(weights) == [
        "coefficient",
        "coefficient1",
        "coefficient2",
        "intercepts",
        "intercepts1",
        "intercepts2",
    ]
    for size, loads in {"16KiB": 33, "64KiB": 21, "256KiB": 21}.items():
        outcome = digits.outcome(model, weights, size, images, logits)
        np.testing.assert_array_equal(outcome.labels, logits.argmax(axis=1))
        np.testing.assert_allclose(outcome.logits, logits, rtol=1e-5, atol=2e-5)
        assert np.sum(outcome.labels == truth) == 440
        assert (outcome.stats["loads_emitted"], outcome.stores) == (loads, 8)


def test_saved_logits_are_those_of_onnx_runtime(digits: ModuleType) -> None:
    with np.load(EXAMPLE.with_name("digits_test.npz")) as data:
        saved = dict(data)
    np.testing.assert_allclose(digits.test_split()[2], saved["onnxruntime_logits"], rtol=1e-5, atol=2e-5)
    np.testing.assert_array_equal(saved["onnxruntime_logits"].argmax(axis=1), saved["onnxruntime_labels"])


@pytest.mark.parametrize("installed", [True, False])
def test_the_example_ends_in_a_table(
    installed: bool, digits: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if not installed:
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert digits.main() == 0
    out = capsys.readouterr().out
    source = "ONNX Runtime" if installed else "the logits that ONNX Runtime gave when the model was made"
    assert f"[4] result    against {source}\n" in out
    rows = [line.split()[:-1] for line in out.splitlines()[-5:-2]]
    assert [row[0] for row in rows] == ["16KiB", "64KiB", "256KiB"]
    assert {" ".join(row[6:]) for row in rows} == {"97.78% 450 of 450 (100%)"}
