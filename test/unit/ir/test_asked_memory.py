"""What a text asks of memory: aliases are shared and weighed, long tokens cost what they are long."""

from __future__ import annotations

import re
import tracemalloc

import pytest

import tilewright
from tilewright.ir.attributes import Attr
from tilewright.ir.core import UnregisteredOp
from tilewright.ir.reading import attr_actions
from tilewright.ir.reading.attr_actions import MAX_DEPTH, AttributeActions
from tilewright.ir.reading.language import current_language
from tilewright.ir.reading.parser import parse_source
from tilewright.ir.source import Source

LEVELS = 60


def bomb(kind: str) -> str:
    """Aliases of which each holds the one before it twice."""
    first, more = {
        "list": ("#a0 = [1]", "#a{0} = [#a{1}, #a{1}]"),
        "dictionary": ("#a0 = {{x}}", "#a{0} = {{x = #a{1}, y = #a{1}}}"),
        "opaque": ("#a0 = #d.x<1>", "#a{0} = #d.x<#a{1}, #a{1}>"),
        "type": ("!a0 = i32", "!a{0} = tuple<!a{1}, !a{1}>"),
        "function": ("!a0 = i32", "!a{0} = (!a{1}, !a{1}) -> !a{1}"),
    }[kind]
    return "\n".join([first.format(), *[more.format(i, i - 1) for i in range(1, LEVELS)], ""])


def operation(text: str) -> UnregisteredOp:
    module = parse_source(
        Source("m", f'{text}func.func @f() {{\n  "d.u"() {{a = #a5, b = #a5}} : () -> ()\n  return\n}}\n'), True
    )
    op = next(module.functions()).ops[0]
    assert isinstance(op, UnregisteredOp)
    return op


@pytest.fixture
def weighed(monkeypatch: pytest.MonkeyPatch) -> list[Attr]:
    """The values that are weighed."""
    values: list[Attr] = []
    real = AttributeActions.weight
    monkeypatch.setattr(AttributeActions, "weight", lambda self, value: values.append(value) or real(self, value))
    return values


@pytest.mark.parametrize("kind", ["list", "dictionary"])
def test_unused_aliases_are_read_in_steps_by_their_number(kind: str, weighed: list[Attr]) -> None:
    module = tilewright.parse(bomb(kind) + "func.func @f() {\n  return\n}\n")
    assert str(module) == "func.func @f() {\n  return\n}\n"
    assert len(weighed) < 10 * LEVELS


def test_what_an_alias_stands_for_is_one_object() -> None:
    attributes = operation(bomb("list")).attributes
    assert attributes["a"] is attributes["b"]
    inner = attributes["a"]
    while len(inner) == 2:
        assert inner[0] is inner[1]
        inner = inner[0]
    assert inner == (1,)


@pytest.mark.parametrize("kind", ["list", "dictionary", "opaque", "type", "function"])
def test_aliases_that_come_to_far_more_than_their_text_are_refused_where_they_are_used(kind: str) -> None:
    sign = "!" if kind in ("type", "function") else "#"
    text = bomb(kind) + f'func.func @f() {{\n  "d.u"() {{a = {sign}a{LEVELS - 1}}} : () -> ()\n  return\n}}\n'
    with pytest.raises(
        tilewright.DiagnosticError, match=r"come to more than 10,[0-9,]* characters when spelled out"
    ) as error:
        parse_source(Source("m", text), True)
    assert error.value.diagnostics[0].line is not None


def test_many_uses_of_one_alias_are_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attr_actions, "SPELLED_OUT", 1000)
    monkeypatch.setattr(attr_actions, "TIMES_TEXT", 0)
    uses = "".join('  "d.u"() {a = #a0} : () -> ()\n' for _ in range(30))
    text = f"#a0 = [{', '.join('1' for _ in range(20))}]\nfunc.func @f() {{\n{uses}  return\n}}\n"
    with pytest.raises(tilewright.DiagnosticError, match="1,000 characters") as error:
        parse_source(Source("m", text), True)
    assert 10 < (error.value.diagnostics[0].line or 0) < 30


def nested(depth: int, opening: str, closing: str, inner: str = "1") -> str:
    return f'"d.u"() {{a = {opening * depth}{inner}{closing * depth}}} : () -> ()\n'


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ("{x = ", "}"), ("[{x = [", "]}]")])
def test_the_limit_of_nesting_is_named_where_it_is_passed(opening: str, closing: str) -> None:
    levels = opening.count("[") + opening.count("{")
    parse_source(Source("m", nested(MAX_DEPTH // levels - 1, opening, closing)), True)
    for depth in (MAX_DEPTH, 20_000):
        with pytest.raises(tilewright.DiagnosticError) as error:
            parse_source(Source("m", nested(depth, opening, closing)), True)
        assert f"nested too deeply (more than {MAX_DEPTH} levels)" in str(error.value)
        assert error.value.diagnostics[0].line == 1


def test_many_function_types_beside_each_other_are_not_deep() -> None:
    inner = f"({', '.join('(i32) -> i32' for _ in range(3 * MAX_DEPTH))}) -> ()"
    text = f'"d.u"() {{a = ({inner}) -> ()}} : () -> ()\n'
    assert tilewright.print(parse_source(Source("m", text), True)) == text


def test_aliases_can_not_make_a_value_deeper_than_the_limit() -> None:
    text = "#a0 = [1]\n" + "".join(f"#a{i} = [[#a{i - 1}]]\n" for i in range(1, MAX_DEPTH))
    with pytest.raises(tilewright.DiagnosticError, match="nested too deeply"):
        parse_source(Source("m", text))


TOKENS = {
    "STRING": '"' + "ab\\0A" * 60_000 + '"',
    "SYMBOL": '@"' + "ab\\0A" * 60_000 + '"',
    "FLAT_DICT": '{a = "' + "ab\\0A" * 30_000 + '", b = ["' + '", "'.join("x" * 30_000) + '"]}',
    "RAW": "0x1, -2 => 3 / " * 20_000,
    "BLANK": "  // c\n" * 40_000,
}


@pytest.mark.parametrize("terminal", TOKENS)
def test_a_long_token_is_matched_in_little_memory(terminal: str) -> None:
    tables = current_language().tables
    assert tables is not None
    pattern, text = re.compile(tables.patterns[terminal]), TOKENS[terminal]
    tracemalloc.start()
    try:
        match = pattern.match(text)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert match is not None
    assert match.end() == len(text)
    assert peak < len(text)
