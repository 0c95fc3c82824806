"""Functions that are read by their heads: the same as Lark reads, and a bounded number of steps of the tables each."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

import tilewright
from tilewright.ir.builtin import FuncOp
from tilewright.ir.reading import language, parser
from tilewright.ir.reading.fast import parser as fast_parser
from tilewright.ir.reading.fast.tables import Tables
from tilewright.ir.reading.parser import parse_source
from tilewright.ir.source import Source

HEADS = [
    "func.func @%s() {",
    "func.func private @%s(%%x: i32, %%y: tensor<4x4xf32> {a.b = 1}) -> (i32 {c.d}, i32) {",
    "func.func @%s(%%x: i32)-> i32 attributes {a.b = {c = 1}}{ // {",
    'func.func @"q%s"() {',
    "func.func public @%s( // x {\n) {",
]
BODIES = [
    "\n  return\n}",
    "return }",
    '\n  "d.u"() : () -> ()\n  return\n}',
    ' return } loc("a")',
    '\n  "d.v"() ({\n "d.w"() : () -> ()\n}) : () -> ()\n return }\n"d.x"() : () -> ()\n',
    '\n %a = "d.u"() : () -> i32 \n return }',
    "\n func.func @z() { return }\n return }",
    ' func.func @z() { return } loc("u")\n return\n}',
    "\n return %y : i32 }",
    "\n %q",
]


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(fast_parser, "SIGHTINGS", 1)
    monkeypatch.setattr(language._CURRENT, "language", None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def read(text: str, only_lark: bool) -> tuple[object, ...]:
    """All that a reading says: the text in generic form, places, arguments; or the errors."""
    try:
        module = parse_source(Source("m", text), True, only_lark)
    except tilewright.DiagnosticError as error:
        return ("errors", str(error))
    args = [(v.name, v.loc, str(v.type)) for op in module.walk() for block in op.regions for v in block.args]
    return tilewright.print(module, generic=True), [op.loc for op in module.walk()], args


@pytest.mark.parametrize("seed", range(4))
def test_functions_are_read_as_lark_reads_them(seed: int) -> None:
    random = Random(seed)
    good = 0
    for _ in range(60):
        text = ""
        for i in range(random.randint(1, 6)):
            text += random.choice(HEADS) % f"f{i}" + random.choice(BODIES if random.random() < 0.1 else BODIES[:8])
            text += random.choice(["\n", " ", "\n// c\n"])
        text = f"module {{\n{text}}}\n" if random.random() < 0.3 else text
        found = read(text, False)
        assert found == read(text, True), text
        good += found[0] != "errors"
    assert good > 30


def test_a_known_head_brings_its_own_places_and_shares_no_arguments() -> None:
    text = "".join(f"func.func @f{i}(%x: i32 {{a.b}}) -> i32 {{\n  return %x : i32\n}}\n" for i in range(5))
    module = parse_source(Source("m", text))
    functions = [op for op in module.ops if isinstance(op, FuncOp)]
    assert [text[f.loc : f.loc + 13] for f in functions] == [f"func.func @f{i}"[:13] for i in range(5)]
    assert [text[f.args[0].loc :][:7] for f in functions] == ["%x: i32"] * 5
    assert len({id(f.args[0]) for f in functions}) == 5
    assert all(f.args[0].owner is f.body for f in functions)


def test_a_second_function_of_a_name_is_refused() -> None:
    text = "func.func @f() { return }\n" * 3
    assert read(text, False) == read(text, True)
    assert "redefinition of function @f" in str(read(text, False)[1])


@pytest.mark.parametrize("form", ["func.func @f%d() {\n  return\n}\n", "func.func @f%d(%%x: i32) { return }\n"])
def test_the_tables_take_a_bounded_number_of_steps_for_many_functions(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    real = Tables.reduce

    def reduce(self: Tables, states: list[int], values: list[object], action: int, how: object) -> str:
        steps.append("reduce")
        return real(self, states, values, action, how)  # type: ignore[arg-type]

    monkeypatch.setattr(Tables, "reduce", reduce)
    monkeypatch.setattr(parser, "_by_lark", None)
    parse_source(Source("m", "".join(form % i for i in range(100))))
    few = len(steps)
    parse_source(Source("m", "".join(form % i for i in range(2000))))
    assert len(steps) - few < few + 100


@pytest.mark.parametrize(
    "head",
    ["(%x: tensor<4x4xf2>)", "() -> tensor<4x4xf2>", "(%x: i32, %x: i32)", "(%x: i32 {a = 1, a = 2})",
     "(%x: i32) attributes {a = 99999999999999999999}", "() -> (i32, tensor<xf32>)"],
)  # fmt: skip
def test_a_head_with_an_error_is_not_known_afterwards(head: str) -> None:
    read("func.func @g() { return }\n", False)
    text = f"func.func @f{head} {{\n  return\n}}\n"
    found = [read(text, False) for _ in range(3)]
    assert found == [read(text, True)] * 3
    assert found[0][0] == "errors"
