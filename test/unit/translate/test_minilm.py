"""The example in examples/minilm: small, with random weights, its embeddings are ONNX Runtime's."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import tilewright as tw

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "minilm"
WORDS = 50
LENGTHS = (3, 9, 16)
SIZES = {"layers": 2, "tokens": 16, "heads": 2, "width": 16, "inner": 32}


@pytest.fixture
def minilm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The example with a small encoder, imported to a folder of its own; `batch` are three sentences."""
    monkeypatch.syspath_prepend(str(EXAMPLE))
    for name in ("model", "run"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    run: Any = importlib.import_module("run")
    config = run.Config(**SIZES)
    weights = sys.modules["model"].random_weights(config, words=WORDS)
    monkeypatch.setattr(run, "BUILD", tmp_path)
    monkeypatch.setattr(run, "CONFIG", config)
    onnx.save(run.encoder(config, weights), tmp_path / "minilm.onnx")
    run.import_model()
    run.batch = sentences(run, weights)
    yield run
    for name in ("model", "run"):
        sys.modules.pop(name, None)


def sentences(run: Any, weights: Any) -> Any:
    ids = np.random.default_rng(1).integers(0, WORDS, (len(LENGTHS), SIZES["tokens"]))
    shown = (np.arange(SIZES["tokens"]) < np.array(LENGTHS)[:, None]).astype(np.int64)
    words, places, kind = run.embedding_rows(run.CONFIG, weights)
    return run.Batch([f"sentence {n}" for n in LENGTHS], ids, shown, words[ids] + places + kind)


def graph(run: Any) -> str:
    return (run.BUILD / "minilm.mir").read_text(encoding="utf-8")


def test_all_layers_are_one_function(minilm: Any) -> None:
    text = graph(minilm)
    assert "opaque" not in text
    (function,) = tw.parse(text).functions()
    assert [a.name for a, attrs in zip(function.args, function.arg_attrs, strict=True) if not attrs] == [
        "embeddings", "mask"
    ]  # fmt: skip
    names = [op.name for op in function.ops]
    assert {name: names.count(f"graph.{name}") for name in ("matmul", "softmax", "layer_norm", "gelu")} == {
        "matmul": 16, "softmax": 2, "layer_norm": 5, "gelu": 2
    }  # fmt: skip


@pytest.mark.parametrize("level", ["O0", "O1", "O2"])
def test_its_schedules_prove_and_run(level: str, minilm: Any) -> None:
    text = tw.run_passes(graph(minilm), f"{level}{{sram=8KiB tile=8x8x8}}")
    assert "exec move" not in text  # heads, taken apart and put side by side, are whole tiles
    scheduled = tw.parse(text)
    tw.prove(graph(minilm), scheduled)
    run = minilm.Runner(scheduled)
    for index, expected in enumerate(minilm.onnx_runtime(minilm.batch)):
        np.testing.assert_allclose(run(minilm.batch.inputs(index)), expected, rtol=1e-5, atol=1e-5)


def test_what_fills_up_a_sentence_counts_for_nothing(minilm: Any) -> None:
    run = minilm.Runner(tw.parse(graph(minilm)))
    inputs = minilm.batch.inputs(0)
    first = minilm.batch.pooled(0, run(inputs))
    other = {**inputs, "embeddings": np.where(minilm.batch.shown[0][:, None] == 1, inputs["embeddings"], 3)}
    np.testing.assert_allclose(minilm.batch.pooled(0, run(other)), first, rtol=1e-5, atol=1e-6)
    unmasked = {**other, "mask": np.zeros_like(inputs["mask"])}
    assert not np.allclose(minilm.batch.pooled(0, run(unmasked)), first, rtol=1e-3)


def test_the_example_ends_in_its_tables(minilm: Any, capsys: pytest.CaptureFixture[str]) -> None:
    batch = minilm.batch
    outcome = minilm.schedule("64KiB", "O1", batch.inputs(0))
    expected = [batch.pooled(i, hidden) for i, hidden in enumerate(minilm.onnx_runtime(batch))]
    found = np.stack(minilm.computed(batch, outcome.path, expected))
    capsys.readouterr()
    assert minilm.report(batch, [outcome], found, np.stack(expected)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:5] == ["64KiB", "-O1", "20", "KiB", "1.000"]
    assert lines[-2:] == [
        "cosines with ONNX Runtime's embeddings: 1.0000000 at least",
        "nearest neighbours that are ONNX Runtime's: 3 of 3",
    ]
    assert minilm.report(batch, [outcome], np.roll(found, 1, axis=0), np.stack(expected)) == 1
    other = found[0] + 0.1 * found[1]
    assert (
        minilm.report(batch, [outcome], np.stack([other / np.linalg.norm(other), *found[1:]]), np.stack(expected)) == 1
    )


def test_sentences_come_in_pairs() -> None:
    lines = (EXAMPLE / "sentences.txt").read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(set(lines)) == 20


def test_without_weights_it_says_where_they_come_from(
    minilm: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(minilm, "PACKAGE", minilm.BUILD / "package")
    capsys.readouterr()
    assert minilm.main() == 1
    assert capsys.readouterr().err == "error: the weights are not there; make demo-minilm gets them\n"
