"""Names are shown as a terminal can show them, whatever characters are in them: of functions, operations, files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import tilewright
from tilewright.tools import opt, run, sim, translate, viz

MODEL = """func.func @"a\\1B[31m\\0A\\C2\\9B"(%x: tensor<4x4xf32>) -> tensor<4x4xf32> {
  %y = graph.relu %x : tensor<4x4xf32>
  return %y : tensor<4x4xf32>
}
"""
FILE = "m\x1b[31m\n\x9b.mir"

Main = Callable[[list[str]], int]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """A model and its schedule in files with such a name."""
    texts = {"graph": MODEL, "sched": tilewright.run_passes(MODEL, "schedule")}
    found: dict[str, str] = {}
    for level, text in texts.items():
        (tmp_path / level).mkdir()
        (tmp_path / level / FILE).write_text(text, encoding="utf-8")
        found[level] = str(tmp_path / level / FILE)
    return found


@pytest.mark.parametrize(
    ("main", "words"),
    [
        (opt.main, ["sched"]),
        (opt.main, ["--print-op-generic", "sched"]),
        (opt.main, ["--report", "sched"]),
        (opt.main, ["--report=json", "sched"]),
        (opt.main, ["--schedule", "sched"]),
        (opt.main, ["--verify-against", "graph", "sched"]),
        (opt.main, ["sched/none"]),
        (opt.main, ["--none\x1b[31m"]),
        (opt.main, ["--target", "none\x1b[31m", "sched"]),
        (sim.main, ["sched"]),
        (sim.main, ["graph"]),
        (viz.main, ["--ascii", "sched"]),
        (viz.main, ["--ascii", "--function", "b", "sched"]),
        (viz.main, ["--ascii", "graph"]),
        (run.main, ["--function", "b", "graph"]),
        (run.main, ["--compare", "graph", "sched"]),
        (translate.main, ["--to-csv", "sched"]),
        (translate.main, ["--to-csv=lives", "sched"]),
        (translate.main, ["--to-dot", "sched"]),
        (translate.main, ["--to-perfetto", "sched"]),
        (translate.main, ["--to-perfetto", "graph"]),
    ],
)
def test_no_control_character_is_printed(
    main: Main, words: list[str], files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    main([files.get(word, word.replace("sched/", files["sched"])) for word in words])
    shown = capsys.readouterr()
    text = shown.out + shown.err
    assert text
    raw = {c for c in text if not c.isprintable() and c != "\n"}
    assert not raw, text
