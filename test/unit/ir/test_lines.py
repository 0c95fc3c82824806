"""Lines whose parts are known: put together right, used nearly everywhere, and left alone where they go on or mean
something else."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tilewright
from tilewright.ir.reading import language, parser
from tilewright.ir.reading.fast import forms, lines
from tilewright.ir.reading.fast import parser as fast_parser
from tilewright.ir.source import Source

from ..parser_mutants import ROOT, same

TYPE = "!uop.tiled<tensor<8x8xf32>, [4, 4]>"
OTHER = "!uop.tiled<tensor<16x8xf32>, [4, 4]>"


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(fast_parser, "SIGHTINGS", 1)
    monkeypatch.setattr(forms, "FEW", 0)
    monkeypatch.setattr(language._CURRENT, "language", None)


def function(
    body: list[str], name: str = "f", arguments: str = f"%x: {TYPE}, %y: {TYPE}, %z: {OTHER}, %t: tensor<8x8xf32>"
) -> str:
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
        [f'  "uop.load"(%x) {{a.b = [{i}, 1], coords = [[ 0, 1]]}} : ({TYPE}) -> ()' for i in (0, 0, 1)],
        [f'  "uop.load"(%x) {{a.b = [{i}, 1], coords = [[-0, 1]]}} : ({TYPE}) -> ()' for i in (0, 0, 1)],
        [f'  "uop.load"(%t) {{coords = [[0, 1]]}}: (tensor<8x8xf32>) -> (){end}' for end in ("", "", "} : (")],
        [f'  "uop.load"(%x) {{a.n = "coords = [[1, {i}]]", coords = [[0, 1]]}} : ({TYPE}) -> ()' for i in (0, 0, 1)],
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


NUMBERS = st.sampled_from(["0", "1", "1", "0", "-1", "-0", "0x1", "007", "999999999999999999", "1000000000000000000"])
BLANKS = st.sampled_from([""] * 6 + [" ", "\t"])
LISTS = st.builds("[{}{}, {}{}]".format, BLANKS, NUMBERS, NUMBERS, BLANKS)
EXTRAS = st.sampled_from(
    [None, None, "a.b = [0, 1]", "a.b = [1, 1]", 'a.b = ")"', 'a.b = "} : ("', 'a.n = "%x[0, 0]"', "a.c"]
)
ENDS = st.sampled_from(
    [""] * 6 + [" // [0, 1]", " // %x[0, 0]", "\r", " loc(unknown)", ' // "} : ("', "} : (", " {retain}"]
)


@st.composite
def odd_lines(draw: st.DrawFn) -> str:
    """A load or an exec in either form, more or less right."""
    value = st.sampled_from(["%x", "%x", "%y", "%z", "%t", "%q"])
    count = draw(st.sampled_from([1, 1, 3]))
    operands, lists = [draw(value) for _ in range(count)], [draw(LISTS) for _ in range(count)]
    extra, end = draw(EXTRAS), draw(ENDS)
    if draw(st.booleans()):
        refs = [v + where for v, where in zip(operands, lists, strict=True)]
        line = f"uop.load {refs[0]}" if count == 1 else f"uop.exec matmul {refs[0]} = {refs[1]}, {refs[2]}"
        return f"  {line}" + (f" {{{extra}}}" if extra else "") + end
    attributes = [f"coords = [{', '.join(lists)}]", *([extra] if extra else [])]
    if count == 3:
        attributes = ["accumulate = false", *attributes, 'kernel = "matmul"']
    types = [draw(st.sampled_from([TYPE, TYPE, OTHER, "tensor<8x8xf32>"])) for _ in range(count)]
    close = draw(st.sampled_from(["} : ("] * 5 + ["}: (", "}  : ("]))
    name = "uop.load" if count == 1 else "uop.exec"
    return f'  "{name}"({", ".join(operands)}) {{{", ".join(attributes)}{close}{", ".join(types)}) -> (){end}'


@settings(max_examples=150)
@given(st.lists(odd_lines(), min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_odd_lines_come_again_in_parts(found: list[str], random: Random) -> None:
    """Right lines are read several times; then others come that are made of their parts, or differ in a number."""
    right = [line for line in found if is_right(function([line]))]
    body = right * 3
    for line in right:
        cut, other = random.choice("%[)} ,@"), random.choice(found)
        changed = re.sub(r"(?<=[\[ ])\d(?=[,\]])", lambda _: random.choice("0123"), line)
        joined = line.partition(cut)[0] + cut + other.partition(cut)[2]
        body += [text for text in (changed, joined) if random.random() < 0.3 or is_right(function([text]))]
    assert same(function(body))


def is_right(text: str) -> bool:
    try:
        parser.parse_source(Source("t", text), only_lark=True)
    except tilewright.DiagnosticError:
        return False
    return True


def test_numbers_that_never_come_again_are_known_by_their_form(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every address is another one; each statement still is put together from known parts."""
    body = [
        f'  "sched.load"(%x) {{addrs = [{64 * i}], bytes = 64, coords = [[{i % 2}, {i // 2 % 2}]]}} : ({TYPE}) -> ()'
        for i in range(400)
    ]
    assert same(function(body))
    assert known_share(function(body), monkeypatch) > 0.98


def test_lines_that_never_come_again_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then they come again after all."""
    monkeypatch.setattr(forms, "SAMPLE", 2000)
    monkeypatch.setattr(lines, "CHUNK", 1000)
    kept: list[int] = []
    begin = lines.Lines.begin

    def looked_through(self: lines.Lines) -> None:
        kept.extend(len(tails) for tails in vars(self).get("tails", {}).values())
        begin(self)

    monkeypatch.setattr(lines.Lines, "begin", looked_through)
    body = [
        f'  "sched.load"(%x) {{addrs = [{64 * i}], bytes = 64, coords = [[0, 1]]}} : ({TYPE}) -> ()' for i in range(99)
    ]
    assert same(function(body))
    assert max(kept) == 0
    kept.clear()
    assert same(function(body[:9] * 11))
    assert max(kept) == 9
    assert same(function([*body, *body]))


@pytest.mark.parametrize("few", [0, 32])
def test_few_expressions_are_made_of_forms_that_never_come_again(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forms, "FEW", few)
    made: list[str] = []
    real = forms._list_pattern
    monkeypatch.setattr(forms, "_list_pattern", lambda slot, value: made.append(slot) or real(slot, value))
    body = [f'  "uop.load"(%x) {{a.tag = "t{i}", coords = [[0, 1]]}} : ({TYPE}) -> ()' for i in range(1000)]
    assert same(function(body))
    assert 0 < len(made) < 4 * forms.MOST_FORMS  # it is read twice


@pytest.mark.parametrize("name", ["MOST_TEXTS", "MOST_TAILS", "MOST_FORMS"])
def test_tables_of_texts_are_bounded(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (forms, lines):
        monkeypatch.setattr(module, name, {"MOST_FORMS": 1}.get(name, 5), raising=module is forms)
    source = (ROOT / "examples" / "mlp.mir").read_text(encoding="utf-8")
    for generic in (False, True):
        assert same(tilewright.run_passes(source, "tile{sizes=16x16x16},lower,schedule", generic=generic))


def test_lines_longer_than_any_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "CHUNK", 64)
    monkeypatch.setattr(lines, "LONGEST", 20)
    assert same(function([*LOADS, *GENERIC, *LOADS]))
    assert same(function([" ".join(LOADS), *LOADS, " " * 100 + LOADS[0], *LOADS]))
