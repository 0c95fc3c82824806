"""No table that outlives a text grows without end: all that the modules hold is looked through, whatever it is called.

The bounds are made small, many different texts are read, verified and printed, and no container that has grown may have
more entries than a bound.
"""

from __future__ import annotations

import gc
import re
import sys
from collections import deque
from collections.abc import Iterator
from functools import _lru_cache_wrapper
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest

import tilewright
import tilewright.dialects  # so that their tables are there
from tilewright.ir import printer
from tilewright.ir.core import Value
from tilewright.ir.reading import language
from tilewright.ir.reading.fast import forms, known_shapes, lines
from tilewright.ir.reading.fast import parser as fast_parser
from tilewright.ir.reading.fast.shape_compiler import Compiler
from tilewright.ir.reading.parser import parse_source
from tilewright.ir.source import Source
from tilewright.ir.types import ScalarType
from tilewright.ir.verifier import verify

from ..parser_mutants import outcome

SMALL = 30
TEXTS = 150
BOUND = re.compile(r"MOST_[A-Z]+|(?:[A-Z]+_)?SIZE")
"""How constants are called that bound a table."""

LETTERS = str.maketrans("0123456789", "abcdefghij")
"""Numbers make no new kind of statement, words do."""

Found = dict[int, tuple[str, Any]]
"""Objects by identity: how they are reached, and themselves, so that no other one gets the same identity."""


def our_modules() -> Iterator[ModuleType]:
    for name, module in list(sys.modules.items()):
        if name.startswith(("tilewright.ir", "tilewright.dialects")):
            yield module


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Tables may grow little. Nothing is known of the language."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(fast_parser, "SIGHTINGS", 1)
    monkeypatch.setattr(forms, "FEW", 0)
    monkeypatch.setattr(language._CURRENT, "language", None)
    bounds = 0
    for module in our_modules():
        for name, value in list(vars(module).items()):
            if BOUND.fullmatch(name) and type(value) is int and value > SMALL:
                monkeypatch.setattr(module, name, SMALL)
                bounds += 1
    assert bounds > 5


def varied(n: int, generic: bool) -> str:
    """A text that shares with no other: types, names, numbers, attributes, kinds of statements, indentation."""
    rows, dashes, at = 4 * n + 8, " " * (n + 2), f"{n + 1}, {n % 2}"
    buffer = f"!uop.tiled<tensor<{rows}x{rows}xf32>, [4, 4]>"
    value = f"%v{n}"
    word = f"k{n:03}".translate(LETTERS)
    note = f'{{a.{word} = "t{n}", a.f = {n}.5 : f32, a.l = [{n}, {n + 1}], a.t = tensor<{n + 1}xf32>}}'
    address = f"@0x{64 * n:04x}"
    pretty = [
        f"{dashes}uop.load {value}[{at}]",
        f"  uop.load {value}[{at}] {note}",
        f"  uop.exec relu {value}[{at}] = {value}[0, 0]",
        f"  uop.exec matmul {value}[{at}] += {value}[{n}, 0], {value}[0, {n}] {{a.n{n}}}",
        f"  uop.store {value}[{at}] {{retain}}",
        f"  sched.load {value}[{at}] {address} {{bytes = 64}}",
        f"  sched.store {value}[{at}] {address} {{bytes = 64}}",
    ]
    long = [
        f'{dashes}"uop.load"({value}) {{coords = [[{at}]]}} : ({buffer}) -> ()',
        f'  "uop.load"({value}) {{a.{word} = "t{n}", coords = [[{at}]]}} : ({buffer}) -> ()',
        f'  "uop.exec"({value}, {value}) {{accumulate = false, coords = [[{at}], [0, 0]], kernel = "relu"}}'
        f" : ({buffer}, {buffer}) -> ()",
        f'  "a.b{n}"({value}) {note} : ({buffer}) -> ()',
        f'  "a.{word}"() {{a.d = dense<0> : tensor<1xf32>}} : () -> ()',
    ]
    body = (long if generic else pretty) * 2
    return "\n".join([f"func.func @f{n}({value}: {buffer}) {{", *body, "  return", "}", ""])


def held() -> Found:
    """All that our modules hold, by however many steps; other modules and their functions are left alone."""
    found: Found = {}
    waiting = deque((module.__name__, vars(module)) for module in our_modules())
    while waiting:
        path, thing = waiting.popleft()
        if id(thing) in found or _is_foreign(thing):
            continue
        found[id(thing)] = (path, thing)
        if isinstance(thing, _lru_cache_wrapper):
            continue  # it says itself how large it is
        if isinstance(thing, dict):
            waiting += [(f"{path}[{str(key)[:20]!r}]", part) for key, part in list(thing.items())]
        waiting += [(f"{path}.{type(part).__name__}", part) for part in gc.get_referents(thing)]
    return found


def _is_foreign(thing: Any) -> bool:
    if isinstance(thing, ModuleType):
        return True
    if isinstance(thing, (FunctionType, type)):
        return not str(thing.__module__ or "tilewright").startswith(("tilewright", "builtins"))
    return thing is __builtins__ or isinstance(thing, (str, int, bytes))


def sizes(found: Found) -> dict[int, int]:
    """How many entries each container has, memos of functions included."""
    given = {
        key: thing.cache_info().currsize if isinstance(thing, _lru_cache_wrapper) else len(thing)
        for key, (_, thing) in found.items()
        if isinstance(thing, (dict, set, list, tuple, deque, _lru_cache_wrapper))
    }
    return given


def grown(before: dict[int, int], after: Found, bound: int = SMALL) -> list[str]:
    """The containers that have grown past a bound; a function's memo may have one of its own."""
    return [
        f"{after[key][0]}: {size}"
        for key, size in sizes(after).items()
        if size > bound and size != before.get(key) and not _has_own_bound(after[key][1], size)
    ]


def _has_own_bound(thing: Any, size: int) -> bool:
    most = thing.cache_info().maxsize if isinstance(thing, _lru_cache_wrapper) else None
    return most is not None and size <= most


def use(n: int) -> None:
    for generic in (False, True):
        text = varied(n, generic)
        outcome(text, False)
        if n % 20 == 0:
            outcome(text, True)
        outcome(text.replace("return", "retrun"), False)
        module = parse_source(Source("t", text), True)
        for wanted in (False, True):
            tilewright.print(module, generic=wanted)
        try:
            verify(module)
        except tilewright.DiagnosticError:
            continue


def test_no_table_outgrows_its_bound() -> None:
    for n in range(4):
        use(n)
    kept = held()
    before = sizes(kept)
    for n in range(4, TEXTS):
        use(n)
    assert not grown(before, held())


def test_the_search_finds_tables() -> None:
    """It sees what is hidden in functions, readers and memos, and what grows."""
    for n in range(4):
        use(n)
    kept = held()
    paths = [path for path, _ in kept.values()]
    for where in (
        "tiles['TILES']",
        "tile_ops['_CHECKED']",
        "['TEXTS']",
        "Reader.Actions",
        "FastParser.Memos",
        "KnownShapes",
    ):
        assert any(where in path for path in paths), where
    before = sizes(kept)
    for n in range(4, 12):
        use(n)
    assert grown(before, held(), 5)


@pytest.mark.parametrize("generic", [False, True])
def test_nor_does_a_table_of_one_text(generic: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known of lines is looked through just before it is let go."""
    largest: list[tuple[int, str]] = []
    begin = lines.Lines.begin

    def looked_through(self: lines.Lines) -> None:
        tables: list[tuple[str, Any]] = [(name, table) for name, table in vars(self).items() if name != "values"]
        while tables:
            path, table = tables.pop()
            if isinstance(table, dict):
                largest.append((len(table), path))
                parts = [*table.values(), *vars(table).values()] if type(table) is not dict else table.values()
                tables += [(f"{path}.{type(part).__name__}", part) for part in parts if part is not self.values]
            elif isinstance(table, tuple):
                tables += [(path, part) for part in table if isinstance(part, dict)]
        begin(self)

    monkeypatch.setattr(lines.Lines, "begin", looked_through)
    buffer = "!uop.tiled<tensor<640x640xf32>, [4, 4]>"
    body = []
    for n in range(TEXTS):
        value, blanks = f"%v{n % 100}", " " * (n % 90 + 1)
        if generic:
            body.append(f'{blanks}"uop.load"({value}) {{coords = [[{n}, 0]]}} : ({buffer}) -> ()')
            body.append(f'  "uop.load"({value}) {{a.b = {n}, coords = [[0, {n}]]}} : ({buffer}) -> ()')
        else:
            body += [f"{blanks}uop.load {value}[{n}, 0]", f"  uop.exec relu {value}[{n}, 0] = {value}[0, {n}]"]
            body.append(f"  uop.exec relu {value}[0, 0] = {value}[0, 0] // {n}")
    if generic:
        body += [f'  "uop.load"(%v0) {{coords = [[{n}, 1]]}} : ({buffer}) -> ()' for n in range(TEXTS)]
    arguments = ", ".join(f"%v{n}: {buffer}" for n in range(100))
    text = "\n".join([f"func.func @f({arguments}) {{", *body, "  return", "}", ""])
    parse_source(Source("t", text))
    assert max(largest) >= (SMALL // 2, "")
    assert max(largest) <= (SMALL + 1, "")


def test_kinds_of_statements_are_bounded() -> None:
    """Those that are counted, those that shapes are made of, and those that come out of the cache."""
    made = known_shapes.KnownShapes("t")
    for n in range(TEXTS):
        assert made.sighted(("kind", n)) == 1
        assert len(made.seen) <= SMALL
    for n in range(20):
        made.add((f"pattern {n}", "", "u"))
    made.store()
    other = known_shapes.KnownShapes("t")
    assert len(other.all) == 20
    for n in range(TEXTS):
        other.add((f"other {n}", "", "u"))
    assert other.is_full()
    assert len(other.all) == len(other.patterns) == sum(map(len, other.starting.values())) == SMALL
    other.store()
    for n in range(20, 40):
        made.add((f"pattern {n}", "", "u"))
    made.store()
    assert len(made.all) == SMALL


def test_nothing_is_made_of_a_statement_when_there_are_shapes_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(TEXTS // 2):
        parse_source(Source("t", varied(n, True)), True)
    known = language.current_language().known
    assert known is not None
    assert known.is_full()
    seen = dict(known.seen)
    monkeypatch.setattr(Compiler, "compile", None)
    parse_source(Source("t", varied(TEXTS, True)), True)
    assert known.seen == seen


def test_texts_of_operands_are_bounded() -> None:
    values = [Value(ScalarType("f32"), f"v{n}") for n in range(TEXTS)]
    texts = printer._OperandTexts({value: f"%{value.name}" for value in values})
    for n, value in enumerate(values):
        assert texts[(value,)] == (f"%v{n}", "f32")
        assert len(texts) <= SMALL
