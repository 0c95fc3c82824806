"""What bench/run.py makes of measured samples: figures against bounds, and what is said where there are none."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCH = Path(__file__).resolve().parents[3] / "bench"
TIMING = """\
  ----Wall Time----  ----Name----
    0.2000 ( 80.0%)  Parser
    0.0500 ( 20.0%)  Output
"""


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCH))
    return importlib.import_module("figures")


@pytest.fixture
def measured(figures: ModuleType) -> Any:
    """Three turns at 100,000 operations, one of them disturbed for everybody; no xdsl-opt, nothing else."""
    sample = importlib.import_module("timing").Sample
    stages = {"ops": 50_000, "stages": {"parse": [0.1, 0.1], "verify": [0.02, 0.02]}}
    runs = {
        "opt, generic text": [sample(wall, 0.5, 1 << 20, "") for wall in (0.6, 0.6, 6.0)],
        "mlir-opt": [sample(wall, 0.4, 1 << 20, "") for wall in (0.5, 0.5, 5.0)],
        "mlir-opt, timed": [sample(0.5, 0.4, 1 << 20, TIMING)] * 3,
        "stages, pretty": [sample(1.0, 1.0, 1 << 20, json.dumps(stages))] * 3,
        "memory, pretty": [sample(1.0, 1.0, 1 << 20, json.dumps({"ops": 100, "module": 30_000, "memos": 5_000}))],
    }
    missing = {"xdsl-opt": "xdsl-opt is not installed", "opt --schedule": "took more than 300 s"}
    return importlib.import_module("speed").Measured({100_000: runs}, missing, ops={100_000: 50_000})


def test_figures_and_reasons(figures: ModuleType, measured: Any) -> None:
    rows = [figures.rate(measured, "parse", form, "Parser", figures.Bound(1.3, 2.0)) for form in ("pretty", "generic")]
    rows += [
        figures.against(measured, "a", 100_000, "opt, generic text", "mlir-opt", figures.Bound(1, 0.7, most=True)),
        figures.against(measured, "b", 10_000, "xdsl-opt", "opt, generic text", figures.Bound(30, 80)),
        figures.memory(measured, "pretty"),
        figures.growth(measured),
        figures.start_up(measured),
    ]
    assert [(row.value and round(row.value, 3), row.verdict) for row in rows] == [
        (2.0, "goal met; by CPU time met"),
        (None, "not measured"),
        (1.2, "NOT MET"),
        (None, "xdsl-opt is not installed"),
        (350.0, "goal met"),
        (None, "took more than 300 s"),
        (None, "not measured"),
    ]


def test_tables(figures: ModuleType, measured: Any) -> None:
    assert figures.process_lines(measured) == [
        ["seconds", "100,000", "MiB"],
        ["opt, generic text", "0.60", "1"],
        ["mlir-opt", "0.50", "1"],
    ]
    assert figures.share_lines(measured) == [["`opt --schedule`, 100,000 operations", "s", "share"]]
    assert figures.per_op(measured, 100_000, "stages, pretty", lambda s: figures.stage(s, "parse")) == "2.00"


def test_marks(figures: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- speed: one -->\nold\n<!-- end -->\n<!-- quality: one -->\nkept\n<!-- end -->\n")
    refresh = importlib.import_module("tables").refresh
    refresh(page, "speed", {"one": "| new |"}.get)
    refresh(page, "speed", {}.get)
    assert page.read_text() == (
        "a\n<!-- speed: one -->\n\n| new |\n\n<!-- end -->\n<!-- quality: one -->\nkept\n<!-- end -->\n"
    )


def test_a_process_that_fails(figures: ModuleType) -> None:
    timing = importlib.import_module("timing")
    with pytest.raises(timing.ProcessError, match="false ended with 1"):
        timing.run_process(["false"])
    with pytest.raises(timing.ProcessError, match="took more than 0 s"):
        timing.run_process(["sleep", "5"], limit=0.1)
