"""Lines whose parts are known: put together right, used nearly everywhere, and left alone where they go on or mean
something else."""

from __future__ import annotations

from pathlib import Path

import pytest

import tilewright
from tilewright.ir import fast_parser, lines, parser
from tilewright.ir.source import Source

from .parser_mutants import ROOT, same

TYPE = "!uop.tiled<tensor<8x8xf32>, [4, 4]>"
OTHER = "!uop.tiled<tensor<16x8xf32>, [4, 4]>"


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(fast_parser, "SIGHTINGS", 1)
    monkeypatch.setattr(parser, "_frontend", None)


def function(body: list[str], name: str = "f", arguments: str = f"%x: {TYPE}, %y: {TYPE}, %z: {OTHER}") -> str:
    return "\n".join([f"func.func @{name}({arguments}) {{", *body, "  return", "}", ""])


LOADS = [f"  uop.load %x[{i % 2}, {i // 2 % 2}]" for i in range(12)]
GENERIC = [f'  "uop.load"(%x) {{coords = [[{i % 2}, {i // 2 % 2}]]}} : ({TYPE}) -> ()' for i in range(12)]


def known_share(text: str, monkeypatch: pytest.MonkeyPatch) -> float:
    """How many of a text's lines are put together from known parts."""
    read: list[int] = []
    learn = lines.Lines.learn

    def counted(self: lines.Lines, *rest: object) -> None:
        read.append(1)
        learn(self, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(lines.Lines, "learn", counted)
    parser.parse_source(Source("t", text))
    return 1 - len(read) / text.count("\n")


@pytest.mark.parametrize("generic", [False, True])
def test_nearly_all_lines_of_a_schedule_are_known(generic: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    source = (ROOT / "examples" / "mlp_mnist.mir").read_text(encoding="utf-8")
    text = tilewright.run_passes(source, "fuse,tile{sizes=16x16x16},lower", generic=generic)
    assert text.count("\n") > 5_000
    assert known_share(text, monkeypatch) > 0.99


@pytest.mark.parametrize("lines_before", [LOADS, GENERIC], ids=["pretty", "generic"])
@pytest.mark.parametrize(
    "odd",
    [
        ["    {retain}"],
        ["  loc(unknown)"],
        ['  loc("here")', "  uop.load %y[0, 0]"],
        [", %x[0, 0]"],
        ["  uop.load %x[0, 0] uop.load %x[0, 0]", "  uop.load %x[0, 0]"],
        ["uop.load %x[0, 0]"],
        ["\tuop.load %x[0, 0]\r"],
        ["  uop.load", "    %x[0, 0]"],
        ["  uop.load %x[0, 0] // %x[0, 0]"],
        ["  // uop.load %x[0, 0]", "", "  uop.load %x[0, 0]"],
        ['  uop.load %x[0, 0] {a.note = "%x[1, 1]"}', "  uop.load %x[0, 0]"],
        ['  "uop.load"(%x) {a.note = ")", coords = [[0, 0]]} : (' + TYPE + ") -> ()"] * 2,
        ['  "uop.load"(%z) {coords = [[0, 0]]} : (' + TYPE + ") -> ()"],
        ['  "uop.load"(%z) {coords = [[0, 0]]} : (' + OTHER + ") -> ()"],
        ['  "uop.store"(%x) {coords = [[0, 0]]} : (' + TYPE + ") -> ()"],
        ["  uop.load %w[0, 0]"],
        ["  uop.load %z[3, 1]", "  uop.load %z[ 3,1 ]", "  uop.load %z[99999999999999999999, 1]"],
        [f"  %x = uop.alloc : {TYPE}"],
    ],
)
def test_lines_that_mean_something_else(lines_before: list[str], odd: list[str]) -> None:
    """Among lines that are known, at their end, and where they come again."""
    assert same(function([*lines_before, *odd, *lines_before]))
    assert same(function([*lines_before, *odd]))
    assert same(function([*lines_before, *odd, *odd, *lines_before]))


def test_a_name_is_another_value_in_another_function_and_region() -> None:
    other = f"%y: {TYPE}, %x: {OTHER}"
    assert same(function(LOADS) + function(LOADS, "g", other) + function(GENERIC, "h") + function(GENERIC, "i", other))
    inner = ['  "a.b"() ({', f"  ^bb0(%v: {OTHER}):", *[line.replace("%x", "%v") for line in LOADS], "  }) : () -> ()"]
    assert same(function([*LOADS, *inner, *LOADS, *[line.replace("%x", "%v") for line in LOADS]]))
    assert same(function([*LOADS, *inner, *inner, *LOADS]))


def test_an_operation_is_a_new_one_each_time() -> None:
    """Nothing but attribute values is shared: each knows its own place."""
    module = tilewright.parse(function(LOADS + LOADS), verify=False)
    (func,) = module.functions()
    ops = func.ops[:-1]
    assert len({id(op) for op in ops}) == 24
    assert [op.loc for op in ops] == sorted({op.loc for op in ops})
    assert module.source is not None
    assert {module.source.line_at(op.loc)[2:10] for op in ops} == {"uop.load"}


def test_tables_of_texts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MOST_TEXTS", 5)
    source = (ROOT / "examples" / "mlp.mir").read_text(encoding="utf-8")
    for generic in (False, True):
        assert same(tilewright.run_passes(source, "tile{sizes=16x16x16},lower,schedule", generic=generic))


def test_lines_longer_than_any_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "CHUNK", 64)
    monkeypatch.setattr(lines, "LONGEST", 20)
    assert same(function([*LOADS, *GENERIC, *LOADS]))
    assert same(function([" ".join(LOADS), *LOADS, " " * 100 + LOADS[0], *LOADS]))
