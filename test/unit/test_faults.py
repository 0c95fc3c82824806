"""The fault catalogue: 10,000 mutants of valid schedules, none of which may compute something else unnoticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tilewright.dialects.uop import UOP

from . import faults

pytestmark = pytest.mark.xdist_group("faults")
DOCS = Path(__file__).resolve().parents[2] / "docs" / "faults.md"
COUNT, SEED = 10_000, 1


@pytest.fixture(scope="module")
def tallies() -> dict[str, faults.Tally]:
    return faults.run_catalogue(COUNT, SEED)


def test_no_fault_is_missed(tallies: dict[str, faults.Tally]) -> None:
    missed = {kind: t.missed[0] for kind, t in tallies.items() if t.missed}
    assert not missed


def test_every_kind_is_tried_and_at_most_half_of_all_are_harmless(tallies: dict[str, faults.Tally]) -> None:
    tried = sum(t.tried for t in tallies.values())
    assert tried == COUNT
    assert all(t.tried >= 50 for t in tallies.values())
    assert sum(t.refused + t.harmless + len(t.missed) for t in tallies.values()) == tried
    assert sum(t.harmless for t in tallies.values()) <= tried / 2


def test_the_documented_counts_are_these(tallies: dict[str, faults.Tally]) -> None:
    assert faults.table(tallies) in DOCS.read_text(encoding="utf-8"), "python test/unit/faults.py prints the new table"


def test_without_the_replay_faults_get_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(UOP, "function_checks", [])
    assert any(t.missed for t in faults.run_catalogue(1_000, SEED).values())


def test_without_the_proof_faults_get_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "prove", lambda *_: [])
    assert any(t.missed for t in faults.run_catalogue(1_000, SEED).values())
