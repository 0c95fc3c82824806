"""1,000 mutants of synchronised schedules: none that a run fails on may pass the verifier."""

from __future__ import annotations

from pathlib import Path

import pytest

from tilewright.dialects.checks import queues

from . import sync_faults

pytestmark = pytest.mark.xdist_group("sync_faults")
DOCS = Path(__file__).resolve().parents[2] / "docs" / "queues.md"
COUNT, SEED = 1_000, 1


@pytest.fixture(scope="module")
def tallies() -> dict[str, sync_faults.Tally]:
    return sync_faults.run_catalogue(COUNT, SEED)


def test_no_mutant_is_missed(tallies: dict[str, sync_faults.Tally]) -> None:
    assert {kind: t.missed[0] for kind, t in tallies.items() if t.missed} == {}


def test_every_kind_is_tried_and_most_are_no_false_alarms(tallies: dict[str, sync_faults.Tally]) -> None:
    assert sum(t.tried for t in tallies.values()) == COUNT
    assert all(t.tried >= 50 for t in tallies.values())
    assert all(t.refused + t.harmless + len(t.missed) == t.tried for t in tallies.values())
    assert sum(t.harmless for t in tallies.values()) > 0
    assert sum(t.shown for t in tallies.values()) >= 0.8 * sum(t.refused for t in tallies.values())


def test_the_documented_counts_are_these(tallies: dict[str, sync_faults.Tally]) -> None:
    text = DOCS.read_text(encoding="utf-8")
    assert sync_faults.table(tallies) in text, "python test/unit/sync_faults.py prints the new table"


def test_without_the_check_of_races_hundreds_get_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues, "_races", lambda *_: [])
    missed = sum(len(t.missed) for t in sync_faults.run_catalogue(COUNT, SEED).values())
    assert missed >= 300
    assert f"Without the check of races, {missed} of them are missed" in DOCS.read_text(encoding="utf-8")
