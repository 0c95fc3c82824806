"""Where a statement ends: a line that goes on in the next one is not taken for a whole statement, by any of the ways in
which lines are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tilewright
from tilewright.dialects.tiles import read_tile_token
from tilewright.ir.core import Operation
from tilewright.ir.fields import field
from tilewright.ir.opdef import Dialect, coordinates, register_dialect, string
from tilewright.ir.reading import language
from tilewright.ir.reading.fast import lines
from tilewright.ir.reading.fast import parser as fast_parser

from ..parser_mutants import outcome, same

TYPE = "!uop.tiled<tensor<8x12xf32>, [4, 4]>"


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(fast_parser, "SIGHTINGS", 1)
    monkeypatch.setattr(language._CURRENT, "language", None)


def function(body: list[str]) -> str:
    return "\n".join([f"func.func @g(%p: {TYPE}, %q: {TYPE}) {{", *body, "  return", "}", ""])


def is_right(text: str) -> bool:
    return not outcome(text, True).startswith("error")


def at(n: int) -> str:
    return f"{n % 2}, {n % 3}"


STORES = [f"  uop.store %p[{at(n)}]" for n in range(6)]
PLACED = [f"  sched.load %p[{at(n)}] @0x{64 * n:04x} {{bytes = 64}}" for n in range(6)]
EXECS = [f"  uop.exec relu %p[{at(n)}] = %q[{at(n)}]" for n in range(6)]
LONG = [f'  "uop.store"(%p) {{coords = [[{at(n)}]]}} : ({TYPE}) -> ()' for n in range(6)]
LONG_TAIL = [f'  "uop.load"(%p) {{a.n = {n}, coords = [[{at(n)}]]}} : ({TYPE})\n    -> ()' for n in range(6)]

GOING_ON = {
    "a mark": (STORES, "    {retain}"),
    "an activation": (STORES, '  {activation = "relu"}'),
    "behind a comment": (STORES, "  // kept\n\n  {retain}"),
    "discardable": (EXECS, '{note.why = "because"}'),
    "a location": (STORES, '  loc("here")'),
    "a location behind braces": (PLACED, "    loc(unknown)"),
    "generic": (LONG, '  loc("there")'),
}


@pytest.mark.parametrize("what", GOING_ON)
def test_a_statement_that_goes_on_is_no_line(what: str) -> None:
    """All go on but one, one goes on among others, or they take turns; the one that goes on comes first, or last."""
    body, more = GOING_ON[what]
    longer = [f"{line}\n{more}" for line in body]
    turns = [line for pair in zip(longer, body, strict=True) for line in pair]
    for mixed in (
        [*longer, body[0]], [*longer * 3, *body], [longer[0], *body * 2], [*body * 2, longer[0]],
        [*body, longer[0], *body], turns, turns[::-1], [*body * 2, *longer],
    ):  # fmt: skip
        text = function(mixed)
        assert is_right(text)
        assert same(text), text


@pytest.mark.parametrize("cut", [" {", " :", "(", ")", " = ", " %q", ", coords", " -> "])
def test_a_generic_statement_over_two_lines(cut: str) -> None:
    whole = [f'  "uop.exec"(%p, %q) {{accumulate = false, coords = [[{at(n)}], [{at(n)}]], kernel = "relu"}}'
             f" : ({TYPE}, {TYPE}) -> ()" for n in range(6)]  # fmt: skip
    broken = [line.replace(cut, f"\n    {cut}", 1) for line in whole]
    for mixed in ([*broken * 2, *whole], [*whole, broken[0], *whole], [*broken, whole[0]], [*whole * 2, *broken]):
        assert is_right(function(mixed))
        assert same(function(mixed))


def test_what_stands_behind_a_line_that_is_known() -> None:
    """A line end is not the end where the next line can't begin a statement: an error, at the same place."""
    for body in (STORES, PLACED, EXECS, LONG, LONG_TAIL):
        for odd in ("  , %p[0, 0]", "  {retain} {retain}", "  loc", "  ) -> ()", "  : i32", "  [0, 0]", "  = %q[0, 0]"):
            assert same(function([*body * 2, odd])), odd
            assert same(function([*body * 2, odd, *body])), odd


def test_a_text_that_ends_in_a_known_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for size in (8, 64, lines.CHUNK):
        monkeypatch.setattr(lines, "CHUNK", size)
        for body in (STORES, LONG):
            text = function(body * 3).removesuffix("  return\n}\n")
            for end in ("", "  {retain}", "\n  {retain}\n", "  loc(", "  return\n}", "  {retain}\n  return\n}\n"):
                assert same(text + end)
                assert same((text + end).rstrip("\n"))


# Where what goes on with a statement could begin one, too: a string may follow `toy.put`, and generic operations begin
# with one; so does the keyword of `fin.put`. Lark takes it for a part of the former.

GRAMMAR = r"""
%extend op: toy_put | fin_put
toy_put: TOY_PUT TILE (STRING | FIN_PUT)?
fin_put: FIN_PUT TILE
TOY_PUT: /toy\.put(?![\w.])/
FIN_PUT: /fin\.put(?![\w.])/
"""


class PutOp(Operation):
    __slots__ = ()
    name = "toy.put"
    references = ("coords",)
    coords: Any = field(coordinates)
    label: str | None = field(string, default=None)

    @classmethod
    def parse(cls, context: Any, parts: list[Any]) -> PutOp:
        keyword, tile, *label = parts
        name, coord, _ = read_tile_token(tile)
        return cls([context.value(tile, name)], coords=(coord,), label=str(label[0]) if label else None,
                   loc=keyword.start_pos)  # fmt: skip


class FinOp(PutOp):
    __slots__ = ()
    name = "fin.put"


PUTS = [f"  toy.put %p[{at(n)}]" for n in range(6)]
FINS = [f"  fin.put %p[{at(n)}]" for n in range(6)]


@pytest.mark.parametrize("after", [LONG, FINS, STORES], ids=["string", "keyword", "another"])
def test_a_line_that_would_go_on_with_the_one_before(after: list[str], registry: None) -> None:
    register_dialect(Dialect("toy", GRAMMAR)).op(PutOp)
    register_dialect(Dialect("fin", "")).op(FinOp)
    text = function([*after * 2, *STORES, *PUTS * 2, *after])
    for _ in range(3):
        assert is_right(text) == (after is STORES)
        assert same(text)
        assert same(function([*after * 2, *STORES, *PUTS * 2, *STORES]))


@pytest.mark.parametrize(
    "written",
    ["[1, // ]\n 0] @0x40", "[1, 0] // %q[0, 0] @0x80\n @0x40", "[1 // @5\n, 0]@64", " // [0]\n [1, // 7]\n0]\t@0x40"],
)  # fmt: skip
def test_comments_within_a_tile_hold_what_they_like(written: str) -> None:
    text = function([f"  sched.load %p{written} {{bytes = 64}}"])
    assert same(text)
    assert tilewright.parse(text) == tilewright.parse(function(["  sched.load %p[1, 0] @0x0040 {bytes = 64}"]))
