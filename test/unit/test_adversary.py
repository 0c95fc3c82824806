"""A sample of the adversary's mutants, of which none may be missed, and of edits that mean the same: none refused."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import tilewright
from tilewright.dialects.sched import SCHED
from tilewright.dialects.uop import UOP

from . import adversary
from .strict_claims import tensor
from .text_same import SAME

pytestmark = pytest.mark.xdist_group("adversary")
DOCS = Path(__file__).resolve().parents[2] / "docs" / "faults.md"
COUNT, EDITS, SEED = 600, 500, 1


@pytest.fixture(scope="module")
def made() -> list[adversary.Base]:
    return adversary.bases()


@pytest.fixture(scope="module")
def tallies(made: list[adversary.Base]) -> dict[str, adversary.Tally]:
    return adversary.run_catalogue(made, COUNT, SEED)


def test_the_judge_computes_what_a_run_does(made: list[adversary.Base]) -> None:
    for of in made:
        module = tilewright.parse(of.text)
        assert next(adversary.differences(of, module), "") == ""
        for func in of.funcs.values():
            if any(tensor(arg) is None for arg in func.args):
                continue  # no inputs can be given for it
            given = of.inputs[func.sym_name][0]
            arrays = [np.asarray(a, np.int8) for a in given]
            wanted = tilewright.run(module, arrays, function=func.sym_name)
            for a, b in zip(of.wanted[func.sym_name][0], wanted, strict=True):
                assert adversary.agree(a, b.astype(np.float64), 0 if of.exact else 1e-5)


@pytest.mark.parametrize(
    ("name", "old", "new", "why"),
    [
        ("placed", "%h = uop.alloc : !uop.tiled<tensor<5x6x", "%h = uop.alloc : !uop.tiled<tensor<5x5x", "(NaN)"),
        ("placed", "%h = uop.alloc : !uop.tiled<tensor<5x6x", "%h = uop.alloc : !uop.tiled<tensor<5x7x", "(NaN)"),
        ("placed", "%x[0, 0] @0x0080", "%x[1, 0] @0x0080", "differs"),
        ("queues", "signal, wait = [[1, 1]]}", "signal}", "race"),
        ("queues", "wait = [[0, 2]]", "wait = [[0, 99]]", "deadlock"),
        ("ping/pong", "@0x0080 {bytes = 64, half = 0}", "@0x0080 {bytes = 64, half = 1}", "half"),
        ("exact", "sched_ops = ", "sched_ops = 1", "sched_ops"),
        ("by hand", "return %y, %n", "return %y, %m", "result 1"),
    ],
)
def test_the_judge_finds_what_is_wrong(made: list[adversary.Base], name: str, old: str, new: str, why: str) -> None:
    (of,) = [of for of in made if of.name == name]
    module = tilewright.parse(of.text.replace(old, new, 1), verify=False)
    assert module != tilewright.parse(of.text)
    assert any(why in found for found in adversary.differences(of, module))


def test_no_fault_of_the_sample_is_missed(tallies: dict[str, adversary.Tally]) -> None:
    assert {kind: t.missed[0] for kind, t in tallies.items() if t.missed} == {}


def test_no_fault_of_the_sample_ends_in_a_traceback(tallies: dict[str, adversary.Tally]) -> None:
    assert {kind: t.crashed[0] for kind, t in tallies.items() if t.crashed} == {}


def test_every_kind_is_tried_and_at_most_half_mean_the_same(tallies: dict[str, adversary.Tally]) -> None:
    assert sum(t.tried for t in tallies.values()) == COUNT
    assert all(t.tried for t in tallies.values())
    assert sum(t.same for t in tallies.values()) <= COUNT / 2


def test_no_edit_that_keeps_the_meaning_is_refused(made: list[adversary.Base]) -> None:
    found = adversary.keep_meaning(made, EDITS, SEED)
    assert all(t.tried == t.same > 0 for t in found.values())


def test_without_the_replay_hundreds_get_through(made: list[adversary.Base], monkeypatch: pytest.MonkeyPatch) -> None:
    for dialect in (SCHED, UOP):
        monkeypatch.setattr(dialect, "function_checks", [])
    assert missed(made, "address", "order", "operations dropped", "tile", "statistic", "queue, wait, signal") >= 200


def test_without_the_proof_hundreds_get_through(made: list[adversary.Base], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adversary, "prove_module", lambda *_: None)
    assert missed(made, "results", "sources", "kernel", "parameter", "activation", "extent of an argument") >= 200


def missed(made: list[adversary.Base], *kinds: str) -> int:
    """How many mutants of some kinds are missed."""
    return sum(len(t.missed) for t in adversary.run_catalogue(made, COUNT, SEED, kinds).values())


def test_the_documented_tables_are_of_these_kinds() -> None:
    """The whole run takes minutes; what is written down must be of today's kinds, and of enough texts."""
    text = DOCS.read_text(encoding="utf-8").partition("## A second adversary")[2]
    rows = re.findall(r"^\| (.+?) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \| (\d+) \|$", text, re.M)
    counts = [[int(n.replace(",", "")) for n in row[1:]] for row in rows]
    assert [row[0] for row in rows] == [*adversary.KINDS, "**all**", *SAME, "**all**"]
    assert all(tried == refused + same and missed == 0 for tried, refused, same, missed in counts)
    edits = counts[len(adversary.KINDS) + 1 :]
    assert all(refused == 0 for _, refused, _, _ in edits)
    assert (counts[len(adversary.KINDS)][0], edits[-1][0]) == (30_000, 2_000)
