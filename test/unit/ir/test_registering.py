"""A dialect, or an operation, that is registered when texts have been read: the next parse knows it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import tilewright
from tilewright.ir.core import Operation, Value
from tilewright.ir.fields import field
from tilewright.ir.opdef import OPERATIONS, Dialect, integer, read_fields, register_dialect
from tilewright.ir.reading import language
from tilewright.ir.reading.fast import parser as fast_parser
from tilewright.ir.reading.parser import parse_source
from tilewright.ir.source import Source

from ..parser_mutants import outcome

TYPE = "tensor<4x4xf32>"
BEFORE = f"func.func @f(%x: {TYPE}) {{\n  %y = graph.relu %x : {TYPE}\n  return\n}}\n"
GRAMMAR = r"""
%extend op: toy_mix | toy_rest
toy_mix: TOY_MIX VALUE "with" VALUE attr_dict? ":" plain_type
toy_rest: TOY_REST INT
TOY_MIX: /toy\.mix(?![\w.])/
TOY_REST: /toy\.rest(?![\w.])/
"""
COUNT = 12


def toy_text(generic: bool) -> str:
    """A function of the toy dialect's operations, as it is printed."""
    body = [
        f'  %{i} = "toy.mix"(%x, %x) {{times = {i}}} : ({TYPE}, {TYPE}) -> {TYPE}'
        if generic
        else f"  %{i} = toy.mix %x with %x {{times = {i}}} : {TYPE}"
        for i in range(COUNT)
    ]
    return "\n".join([f"func.func @f(%x: {TYPE}) {{", *body, "  return", "}", ""])


class MixOp(Operation):
    name = "toy.mix"
    times: int | None = field(integer, default=None)

    @classmethod
    def parse(cls, context: Any, parts: list[Any]) -> MixOp:
        keyword, a, b, *middle, type = parts
        attributes = read_fields(cls, middle[0] if middle else {})
        return cls([context.value(a), context.value(b)], [Value(type)], loc=keyword.start_pos, **attributes)

    def pretty(self, names: Any) -> str:
        a, b = (names[value] for value in self.operands)
        times = "" if self.times is None else f" {{times = {self.times}}}"
        return f"toy.mix {a} with {b}{times} : {self.result.type}"


class RestOp(Operation):
    name = "toy.rest"

    @classmethod
    def parse(cls, context: Any, parts: list[Any]) -> RestOp:
        return cls(loc=parts[0].start_pos)

    def pretty(self, names: Any) -> str:
        return "toy.rest 1"


@pytest.fixture(autouse=True)
def anew(registry: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(fast_parser, "SIGHTINGS", 2)


def register_toy() -> Dialect:
    toy = register_dialect(Dialect("toy", GRAMMAR, terminals={"TOY_MIX": "a mix"}))
    toy.op(MixOp)
    return toy


def check_toy(number: int = 0) -> None:
    """In either form, by either parser, several times: by the tables, by shapes, by lines."""
    for only_lark in (False, True):
        for generic in (False, True):
            text = toy_text(generic)
            for _ in range(3):
                assert outcome(text, only_lark) == outcome(text, True)
            module = tilewright.parse(text)
            assert [type(op) for op in next(module.functions()).ops[:-1]] == [OPERATIONS["toy.mix"]] * COUNT
            assert tilewright.print(module) == toy_text(False)


def test_a_dialect_registered_after_the_first_parse() -> None:
    for only_lark in (False, True):
        assert outcome(BEFORE, only_lark).startswith('"builtin.module"')
        assert "unknown operation 'toy.mix'" in outcome(toy_text(False), only_lark)
    register_toy()
    check_toy()
    assert outcome(BEFORE, False) == outcome(BEFORE, True)


def test_other_threads_know_it_too() -> None:
    """Also those that have read texts before."""
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda number: outcome(BEFORE, number % 2 == 0), range(16)):
            assert found.startswith('"builtin.module"')
        register_toy()
        list(pool.map(check_toy, range(8)))


def test_it_is_known_to_messages() -> None:
    assert "did you mean toy.mix?" not in outcome(toy_text(False).replace("mix", "mixx"), False)
    register_toy()
    for only_lark in (False, True):
        assert "did you mean toy.mix?" in outcome(toy_text(False).replace("mix", "mixx"), only_lark)


def test_an_operation_added_to_a_dialect_that_is_in_use() -> None:
    toy = register_toy()
    check_toy()
    text = f"func.func @f(%x: {TYPE}) {{\n" + "  toy.rest 1\n" * 9 + "  return\n}\n"
    toy.op(RestOp)
    for only_lark in (False, True):
        module = parse_source(Source("t", text), False, only_lark)
        assert tilewright.print(module) == text
    check_toy()


def test_nothing_is_made_anew_for_nothing() -> None:
    tilewright.parse(BEFORE)
    made = language.current_language()
    tilewright.parse(BEFORE)
    assert language.current_language() is made
    register_dialect(Dialect("toy", GRAMMAR))
    assert language.current_language() is not made
