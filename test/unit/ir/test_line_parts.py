"""Lines whose every part is known, and that still are no copy of what is known: each text differs from its neighbours
in one thing that a condition in `lines.py` looks at."""

from __future__ import annotations

from pathlib import Path

import pytest

from tilewright.ir.reading import language
from tilewright.ir.reading.fast import forms
from tilewright.ir.reading.fast import parser as fast_parser

from ..parser_mutants import outcome, same

TYPE, OTHER = "!uop.tiled<tensor<8x12xf32>, [4, 4]>", "!uop.tiled<tensor<16x12xf32>, [4, 4]>"


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(fast_parser, "SIGHTINGS", 1)
    monkeypatch.setattr(forms, "FEW", 0)
    monkeypatch.setattr(language._CURRENT, "language", None)


def function(body: list[str], arguments: str = f"%p: {TYPE}, %q: {TYPE}, %o: {OTHER}", name: str = "g") -> str:
    return "\n".join([f"func.func @{name}({arguments}) {{", *body, "  return", "}", ""])


def load(attributes: str, value: str = "%p", type: str = TYPE, op: str = "load") -> str:
    return f'  "uop.{op}"({value}) {{{attributes}}} : ({type}) -> ()'


def check(known: list[str], odd: list[str]) -> None:
    """Odd lines behind known ones, alone and again."""
    for line in known:
        assert not outcome(function([line]), True).startswith("error"), line
    for line in odd:
        assert same(function([*known * 3, line])), line
        assert same(function([*known * 3, line, *known, line, line])), line


COORDS = [load(f"coords = [[{n}, {m}]]") for n in (0, 1) for m in (0, 1, 2)]


@pytest.mark.parametrize(
    "odd",
    ["[[0, 1, 2]]", "[[0]]", "[[0, 9999999999999999999]]", "[[0, -9999999999999999999]]", "[[007, 1]]", "[[-0, 1]]",
     "[[1, 0], [1, 0]]", "[1, 0]", "[[1,0]]", "[[0x1, 0]]", "[[1, 0],]", "[]", "[[]]"],
)  # fmt: skip
def test_numbers_that_are_none_of_a_tile(odd: str) -> None:
    check(COORDS, [load(f"coords = {odd}")])


@pytest.mark.parametrize("known", ["[[-1, 0]]", "[[0, 1], [2, 3]]", "[]", "[[0]]", "[0]"])
def test_what_is_read_once_and_refused_later_makes_no_form(known: str) -> None:
    for other in ("[[-2, 0]]", "[[1, 0]]", "[[1, 1], [2, 3]]", "[[1]]", "[1]", "[]"):
        assert same(function([load(f"coords = {known}")] * 3 + [load(f"coords = {other}")] * 2))


@pytest.mark.parametrize(
    ("attributes", "changed"),
    [
        ("a.b = [0, 1], coords = [[0, 1]]", "a.b = [1, 1], coords = [[0, 1]]"),
        ("a.b = [0, 1], coords = [[ 0, 1]]", "a.b = [1, 1], coords = [[ 0, 1]]"),
        ("a.coords = [[0, 1]], coords = [[ 0, 1]]", "a.coords = [[1, 1]], coords = [[ 0, 1]]"),
        ("a.coords = [[0, 1]], coords=[[ 0, 1]]", "a.coords = [[1, 1]], coords=[[ 0, 1]]"),
        ('a.n = "coords = [[0, 1]]", coords = [[ 0, 1]]', 'a.n = "coords = [[1, 1]]", coords = [[ 0, 1]]'),
        ('a.n = "coords = [[0, 1]]", coords=[[ 0, 1]]', 'a.n = "coords = [[1, 1]]", coords=[[ 0, 1]]'),
        ('a.n = "[0, 1]", coords = [[ 0, 1]]', 'a.n = "[1, 1]", coords = [[ 0, 1]]'),
        ('a.n = "coords = [[0, 1]]} : (", coords = [[0, 1]]', 'a.n = "coords = [[1, 1]]} : (", coords = [[0, 1]]'),
        ('a.n = "coords = [[0, 1]]}", coords = [[0, 1]]', 'a.n = "coords = [[1, 1]]}", coords = [[0, 1]]'),
        (
            r'a.n = "\"coords = [[0, 1]]} : (", coords = [[0, 1]]',
            r'a.n = "\"coords = [[1, 1]]} : (", coords = [[0, 1]]',
        ),
        (r'a.n = "\", coords = [[0, 1]]", coords=[[ 0, 1]]', r'a.n = "\", coords = [[1, 1]]", coords=[[ 0, 1]]'),
        ('a.n = "x coords = [[0, 1]]", coords=[[ 0, 1]]', 'a.n = "x coords = [[1, 1]]", coords=[[ 0, 1]]'),
        ('a.n = "x coords = [[0, 1]]} : (", coords = [[0, 1]]', 'a.n = "x coords = [[1, 1]]} : (", coords = [[0, 1]]'),
        (r'a.n = "\" coords = [[0, 1]] \"", coords=[[ 0, 1]]', r'a.n = "\" coords = [[1, 1]] \"", coords=[[ 0, 1]]'),
        ("coords = [[ 0, 1]], z.coords = [[0, 1]]", "coords = [[ 0, 1]], z.coords = [[1, 1]]"),
        ("coords = [[0, 1]], z.b = 1", "coords = [[0, 1]], z.b = 2"),
        ("coords = [[0, 1]], z.b = [1, x.y]", "coords = [[0, 1]], z.b = [2, x.y]"),
    ],
)
def test_numbers_beside_those_of_the_tile(attributes: str, changed: str) -> None:
    """What is taken out of a line is the operation's own list, wherever else such a list stands."""
    assert same(function([load(attributes)] * 3 + [load(changed)] * 2 + [load(attributes)]))
    assert same(function([*COORDS, *[load(attributes)] * 3, load(changed), *COORDS]))


def test_an_exec_of_another_kernel() -> None:
    """All texts between the numbers count, not those before and behind them alone."""
    known = [
        f'  "uop.exec"(%p, %q) {{accumulate = false, coords = [[{n}, 0], [{n}, 1]], kernel = "relu"}}'
        f" : ({TYPE}, {TYPE}) -> ()"
        for n in (0, 1)
    ]
    odd = [known[0].replace('"relu"', f'"{other}"').replace("[0, 0]", "[1, 2]") for other in ("cast", "bias", "rely")]
    check(known, [*odd, known[0].replace("false", "true"), known[0].replace("[[0", "[[5").replace("relu", "cast")])


def test_a_type_that_is_known_of_other_operands() -> None:
    others = [load(f"coords = [[{n}, 0]]", "%o", OTHER) for n in (0, 1, 2, 3)]
    check([*COORDS, *others], [load("coords = [[0, 0]]", "%p", OTHER), load("coords = [[3, 0]]", "%o", TYPE)])


def test_another_operation_with_the_same_operands_and_attributes() -> None:
    loads, stores = ([load(f"coords = [[{n}, {n}]]", op=op) for n in (0, 1)] for op in ("load", "store"))
    known = [line for pair in zip(loads, stores, strict=True) for line in pair]
    check(known, [load(f"coords = [[{n}, 2]]", op=op) for n in (0, 1) for op in ("load", "store")])
    check([*loads, *stores], known)
    check([*stores, *loads], known)


def test_values_of_another_region() -> None:
    """What is known of lines is forgotten where other values are in scope; those from outside are looked up anew."""
    body = [f"  uop.load %p[{n}, 0]" for n in (0, 1)] * 3
    swapped = f"%o: {TYPE}, %p: {OTHER}"
    assert same(function(body) + function(body, swapped, "h") + function(body, name="i"))
    for lines in (body, COORDS * 2):
        for odd in ("  uop.load %none[0, 0]", load("coords = [[0, 0]]", "%none"), body[0], COORDS[0]):
            inner = ['  "a.b"() ({', *lines, odd, odd, "  }) : () -> ()"]
            assert same(function([*lines, *inner, *lines]))
            assert same(function([*inner, *lines, *inner]))


def test_a_statement_behind_the_end_of_another() -> None:
    """The line that it begins on is not its own."""
    store, end = "  uop.store %p[0, 0]", "    {retain} uop.load %p[0, 0]"
    plain = [f"  uop.store %p[{n}, 1]" for n in (0, 1)]
    for body in ([f"{store}\n{end}"] * 4 + plain * 2 + [f"{store}\n{end}"] * 2, [*plain * 2, store, end, store, end]):
        assert same(function(body))
        assert same(function([*body, *plain, store, end]))
