"""Named pipelines: their texts, how options reach their passes, what is printed of them and read back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest

import tilewright
from tilewright import UsageError
from tilewright.ir.builtin import ModuleOp
from tilewright.passes.manager import (
    PASSES,
    inherit,
    load_passes,
    make_pass,
    option,
    pass_text,
    pipelines,
    read_alignment,
    read_bytes,
    read_choice,
)
from tilewright.passes.manager.pipelines import (
    PIPELINES,
    Entry,
    is_pipeline,
    make_pipeline,
    parse_pipeline,
    pipeline_text,
    reasons,
)
from tilewright.passes.manager.running import needed_passes

from ..models import REFERENCE


@dataclass(frozen=True)
class PlanStub:
    """A pass that plans for a machine."""

    name: ClassVar[str] = "plan-stub"
    needs: ClassVar[tuple[str, ...]] = ()
    sram: int | None = option(read_bytes, "SRAM size", "BYTES")
    align: int | None = option(read_alignment, "alignment", "BYTES")
    goal: str | None = option(read_choice("traffic", "time"), "what for", "GOAL")

    def apply(self, module: ModuleOp) -> ModuleOp:
        return module


@dataclass(frozen=True)
class LastStub:
    """A pass that needs a planned module."""

    name: ClassVar[str] = "last-stub"
    needs: ClassVar[tuple[str, ...]] = ("fuse", "plan-stub")
    sram: int | None = option(read_bytes, "SRAM size", "BYTES")
    goal: str | None = option(read_choice("traffic", "time"), "what for", "GOAL")

    def apply(self, module: ModuleOp) -> ModuleOp:
        return module


@pytest.fixture
def stubs(monkeypatch: pytest.MonkeyPatch) -> None:
    load_passes()
    monkeypatch.setitem(PASSES, "plan-stub", PlanStub)
    monkeypatch.setitem(PASSES, "last-stub", LastStub)
    entries = (Entry("tile", ""), Entry("plan-stub{goal=time}", ""), Entry("schedule{evict=lru}", ""))
    monkeypatch.setitem(pipelines.PIPELINES, "O9", entries)


def text_of(options: str = "", *beside: str) -> str:
    """-O9 with options, and passes given beside it, as its text."""
    overrides = [p for text in beside for p in parse_pipeline(text)]
    return ",".join(map(pass_text, make_pipeline("-O9", options, overrides)))


def test_the_pipelines() -> None:
    assert {name: pipeline_text(name) for name in PIPELINES} == {
        "O0": "decompose,fuse,tile,lower,schedule",
        "O1": "decompose,canonicalize,cse,fuse,linearize,tile,plan,lower,forward,reorder,schedule{evict=cost dram}",
        "O2": "decompose,canonicalize,cse,fuse,linearize,tile,plan{objective=makespan},lower,forward,"
        "schedule{evict=cost dram},"
        "prefetch",
    }


@pytest.mark.parametrize("name", sorted(PIPELINES))
def test_each_pass_has_one_line_that_says_why(name: str) -> None:
    names = [entry.name for entry in PIPELINES[name]]
    assert [line.partition(": ")[0] for line in reasons(name)] == names
    for entry in PIPELINES[name]:
        assert 20 < len(entry.reason) < 110
        assert "\n" not in entry.reason


def test_a_pipeline_is_named_with_and_without_a_dash() -> None:
    assert [is_pipeline(word) for word in ("O1", "-O1", "O7", "fuse")] == [True, True, False, False]
    assert tilewright.run_passes(REFERENCE, "O0") == tilewright.run_passes(REFERENCE, "schedule")
    assert tilewright.run_passes(REFERENCE, "fuse, -O0{sram=16KiB}") == tilewright.run_passes(
        REFERENCE, "schedule{sram=16KiB}"
    )


@pytest.mark.usefixtures("stubs")
@pytest.mark.parametrize(
    ("options", "beside", "expected"),
    [
        ("", [], "tile,plan-stub{goal=time},schedule{evict=lru}"),
        ("sram=4KiB", [], "tile,plan-stub{sram=4096 goal=time},schedule{sram=4096 evict=lru}"),
        (
            "tile=8x8x8 align=32 goal=traffic evict=min double-buffer",
            [],
            "tile{sizes=8x8x8},plan-stub{align=32 goal=traffic},schedule{align=32 evict=min double-buffer}",
        ),
        ("", ["schedule{sram=4KiB}"], "tile,plan-stub{sram=4096 goal=time},schedule{sram=4096 evict=lru}"),
        ("", ["schedule{evict=min}"], "tile,plan-stub{goal=time},schedule{evict=min}"),
        (
            "sram=4KiB",
            ["schedule{sram=8KiB align=128}"],
            "tile,plan-stub{sram=4096 align=128 goal=time},schedule{sram=8192 align=128 evict=lru}",
        ),
        ("", ["tile{sizes=8x8x8},schedule"], "tile{sizes=8x8x8},plan-stub{goal=time},schedule{evict=lru}"),
    ],
)
def test_options_reach_every_pass_that_has_them(options: str, beside: list[str], expected: str) -> None:
    made = text_of(options, *beside)
    assert made == expected
    assert ",".join(map(pass_text, parse_pipeline(made))) == made


@pytest.mark.usefixtures("stubs")
@pytest.mark.parametrize(
    ("options", "beside", "message"),
    [
        (
            "gaol=time",
            [],
            r"unknown option 'gaol' of -O9 \(did you mean goal\?\); it has tile, sram, align, goal, evict",
        ),
        (
            "goal=tim",
            [],
            r"option 'goal' of -O9 must be traffic or time, got 'tim' \(did you mean time\?\)",
        ),
        ("sram=1KiB sram=1KiB", [], "option 'sram' of -O9 is given twice"),
        ("", ["lower"], "-O9 runs no pass 'lower'; it runs tile, plan-stub, schedule"),
    ],
)
def test_what_a_pipeline_does_not_take(options: str, beside: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        text_of(options, *beside)


def test_a_pass_that_does_not_exist_yet_is_named_when_the_pipeline_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(pipelines.PIPELINES, "O9", (Entry("no-such-pass", ""),))
    with pytest.raises(UsageError, match="unknown pass 'no-such-pass'"):
        make_pipeline("O9")


def test_comments_and_lines_in_a_pipelines_text() -> None:
    text = "// fuse: a {b}, c\nfuse,\n  tile{sizes=8x8x8  // small\n  } ,lower // the last, for now\n// end\n"
    assert ",".join(map(pass_text, parse_pipeline(text))) == "fuse,tile{sizes=8x8x8},lower"
    assert parse_pipeline("// nothing\n") == []


@pytest.mark.usefixtures("stubs")
def test_needed_passes_plan_for_the_same_machine() -> None:
    """What the wanted pass has been told goes to those that run before it, where they have been told nothing."""
    module = tilewright.parse(REFERENCE)
    wanted = make_pass("last-stub", "sram=4KiB goal=time")
    assert [pass_text(p) for p in needed_passes(wanted, module)] == ["fuse", "plan-stub{sram=4096 goal=time}"]
    assert [pass_text(p) for p in needed_passes(make_pass("last-stub"), module)] == ["fuse", "plan-stub"]
    assert pass_text(inherit(make_pass("plan-stub", "goal=traffic"), wanted)) == "plan-stub{sram=4096 goal=traffic}"
    assert needed_passes(wanted, tilewright.parse(tilewright.run_passes(REFERENCE, "fuse,tile,lower"))) == []
