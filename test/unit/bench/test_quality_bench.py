"""bench/quality.py on a few small rows, and the lists of workloads."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType

import pytest

import tilewright

BENCH = Path(__file__).resolve().parents[3] / "bench"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCH))
    return importlib.import_module("quality")


@pytest.fixture
def shapes(bench: ModuleType) -> ModuleType:
    return importlib.import_module("shapes")


def test_forty_workloads(shapes: ModuleType) -> None:
    known = {(shape.text, shape.sram) for shape in shapes.TABLE}
    unseen = {(shape.text, shape.sram) for shape in shapes.UNSEEN}
    assert len(shapes.UNSEEN) == len({shape.text for shape in shapes.UNSEEN}) == 40
    assert not known & unseen
    names = [shape.name for shape in (*shapes.TABLE, *shapes.UNSEEN)]
    assert len(names) == len(set(names))


def test_every_workload_lowers(shapes: ModuleType) -> None:
    for shape in (*shapes.TABLE, *shapes.UNSEEN):
        assert tilewright.run_passes(shape.text, f"fuse,tile{{sizes={shape.tile}}}").startswith("func.func @f("), shape


def test_rows(bench: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "now.json"
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- quality: table; reference MLP, 52 KiB -->\nold\n<!-- end -->\nb\n", encoding="utf-8")
    arguments = ["table", "--rows", "reference MLP, 5", "--json", str(out)]
    assert bench.main([*arguments, "--markdown", str(page)]) == 0
    printed = capsys.readouterr().out
    assert "At most 1.02x the best known: 1 of 1 rows; less than it: none." in printed
    assert "Moves more than MIN in baseline order: no row." in printed
    expected = {
        "sram": 53248, "lru": 225280, "min": 225280, "o1": 126976, "best": 126976, "bound": 126976,
        "ratio_to_best": 1.0, "ratio_to_bound": 1.0,
    }  # fmt: skip
    assert json.loads(out.read_text(encoding="utf-8"))["bytes"] == {"table": {"reference MLP, 52 KiB": expected}}
    assert page.read_text(encoding="utf-8").split("\n\n") == [
        "a\n<!-- quality: table; reference MLP, 52 KiB -->",
        "| workload | LRU | MIN | -O1 | best known | bound | -O1 / best | -O1 / bound |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
        "| reference MLP, 52 KiB | 220 | 220 | 124 | 124 | 124 | 1.00 | 1.00 |",
        "<!-- end -->\nb\n",
    ]


def test_against(bench: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    then = tmp_path / "then.json"
    arguments = ["unseen", "--no-prove", "--rows", "edges 100"]
    assert bench.main([*arguments, "--json", str(then)]) == 0
    assert bench.main([*arguments, "--against", str(then)]) == 0
    record = json.loads(then.read_text(encoding="utf-8"))
    figures = record["bytes"]["unseen"]["edges 100x300x70"]
    figures["o1"] -= 1024
    figures["min"] += 1024
    then.write_text(json.dumps(record), encoding="utf-8")
    capsys.readouterr()
    assert bench.main([*arguments, "--against", str(then)]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == "edges 100x300x70: o1 moves 328 KiB, was 327"


def test_too_small(bench: ModuleType) -> None:
    notation = importlib.import_module("notation")
    row = bench.measure(notation.Shape("tiny", 1024, notation.chain(32, 32, 32)), True)
    assert (row.lru, row.min, row.o1, row.beats_min) == (None, None, None, True)
    assert bench.cells(row, False) == ["tiny", "1", "fails", "fails", "fails", "", "inf"]


def test_unknown_list(bench: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bench.main(["tables"])
    assert "no list 'tables'; there are table, unseen, hand, planning" in capsys.readouterr().err


def test_siblings_are_not_streamed(bench: ModuleType, shapes: ModuleType) -> None:
    """Two products of one input that don't read each other: `plan` once streamed the first, which `lower` refuses."""
    (shape,) = (shape for shape in shapes.UNSEEN if shape.name == "two branches 256-128")
    row = bench.measure(shape, True)
    assert row.o1 is not None
    assert row.beats_min


def test_hand(bench: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """A row of the hand's list is held against both of its figures, and `--within` decides."""
    assert bench.main(["hand", "--rows", "12 layers", "--no-prove", "--within", "100"]) == 0
    assert "176" in capsys.readouterr().out
    assert bench.main(["hand", "--rows", "12 layers", "--no-prove", "--within", "0.5"]) == 1
    case = bench.HandCase(bench.Shape("a", 1024, "", best=100), 50)
    assert bench.HandRow(case, 103, None).ratios == [1.03, float("inf")]
    assert bench.HandRow(case, 103, 50).within(1.03)
    assert not bench.HandRow(case, 104, 50).within(1.03)
    assert not bench.HandRow(case, 100, 60).within(1.03)
    assert bench.HandRow(bench.HandCase(case.shape), 100, 60).within(1.03)
