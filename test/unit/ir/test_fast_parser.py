"""Statement shapes read what Lark alone reads: corpus, random programs, mutations; and they are used at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings

import tilewright
from tilewright import DiagnosticError
from tilewright.ir.reading import language
from tilewright.ir.reading.fast import parser as fast_parser

from ..parser_mutants import ROOT, corpus, mutants, same
from ..strategies import assume_tiled, graph_texts

EXAMPLES = sorted((ROOT / "examples").glob("*.mir"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """A new parser, whose shapes are made at the first sighting; those of the tests before it are in the cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    monkeypatch.setattr(fast_parser, "SIGHTINGS", 1)
    monkeypatch.setattr(language._CURRENT, "language", None)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_at_every_level_and_in_both_forms(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert same(text)
    if "transformer" in path.name:
        return
    for pipeline in ("", "O1{sram=128KiB}"):
        for generic in (False, True):
            try:
                made = tilewright.run_passes(text, pipeline, generic=generic)
            except DiagnosticError:
                continue
            assert same(made)


def test_the_lit_corpus() -> None:
    for text in corpus():
        assert same(text), text


def test_mutated_texts() -> None:
    """More by `python test/unit/parser_mutants.py --count 100000`."""
    for text in mutants(1, 3_000):
        assert same(text), text


@settings(max_examples=60)
@given(graph_texts(views=True))
def test_random_programs(text: str) -> None:
    for generic in (False, True):
        try:
            made = tilewright.run_passes(text, "fuse,tile{sizes=4x4x4},lower", generic=generic)
        except DiagnosticError as error:
            assume_tiled(error)
            raise
        assert same(made)


def fast() -> fast_parser.FastParser:
    (reader,) = language.current_language().idle
    assert reader.fast is not None
    return reader.fast


def test_shapes_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a schedule in both forms, nearly all statements are read without Lark; the second time all but a few."""
    read: list[int] = []
    run = fast_parser.FastParser._run

    def counted(self: fast_parser.FastParser, text: str, at: int) -> int:
        end = run(self, text, at)
        read.append(text.count("\n", at, end))
        return end

    monkeypatch.setattr(fast_parser.FastParser, "_run", counted)
    source = (ROOT / "examples" / "mlp.mir").read_text(encoding="utf-8")
    for generic in (False, True):
        text = tilewright.run_passes(source, "schedule", generic=generic)
        for _ in range(2):
            read.clear()
            tilewright.parse(text)
        assert sum(read) > 95
    assert fast().shapes


def test_a_wrong_shape_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison is no empty one: an integer read as another is seen."""
    tilewright.parse("func.func @f() {\n  return\n}\n")
    memos = fast().memos
    text = tilewright.run_passes((ROOT / "examples" / "mlp.mir").read_text(encoding="utf-8"), "schedule", generic=True)
    assert same(text)
    monkeypatch.setitem(memos.tables["M_integers"], "[0, 0]", (0, 1))
    assert not same(text)


@pytest.mark.parametrize(("count", "names"), [("03", 3), ("0x2", 2), ("1", 1)])
def test_counts_of_results_as_they_may_be_written(count: str, names: int) -> None:
    types = ", ".join(["i32"] * names)
    text = f'func.func @f() {{\n  %a:{count} = "t.op"() : () -> ({types})\n  return\n}}\n'
    assert same(text)
    module = tilewright.parse(text, allow_unregistered=True)
    assert len(next(module.functions()).ops[0].results) == names


@pytest.mark.parametrize("count", ["0", "-1", "1001", "9" * 5000])
def test_counts_of_results_that_can_not_be(count: str) -> None:
    text = f'func.func @f() {{\n  %a:{count} = "t.op"() : () -> i32\n  return\n}}\n'
    assert same(text)
    with pytest.raises(DiagnosticError, match="a result count must be between 1 and 1000"):
        tilewright.parse(text, allow_unregistered=True)
