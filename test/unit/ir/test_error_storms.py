"""Many errors at once: how many are shown, at what cost, in which order; and that no message shows anything raw."""

from __future__ import annotations

import difflib
import re

import pytest

import tilewright
from tilewright import dialects
from tilewright.ir import diagnostics
from tilewright.ir.diagnostics import MAX_MESSAGE, MAX_OF_KIND, MAX_SHOWN, Diagnostic, DiagnosticError, did_you_mean
from tilewright.ir.reading import actions, by_lark
from tilewright.ir.reading.parser import parse_source
from tilewright.ir.source import Source
from tilewright.ir.verifier import verify

dialects.load_all()


def errors_of(text: str, allow: bool = True) -> DiagnosticError:
    with pytest.raises(DiagnosticError) as error:
        verify(parse_source(Source("m.mir", text), allow))
    return error.value


def heads(error: DiagnosticError) -> list[str]:
    return re.findall(r"^m\.mir:(\d+:\d+: error: .*)$", str(error), re.MULTILINE)


def function(*lines: str) -> str:
    return "\n".join(["func.func @f() {", *lines, "  return", "}", ""])


# --- how many, and at what cost ---


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many names are compared with a word, for each word."""
    counts: list[int] = []
    real = difflib.get_close_matches

    def close(word: str, choices: list[str], **options: float) -> list[str]:
        counts.append(len(choices))
        return real(word, choices, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(difflib, "get_close_matches", close)
    return counts


@pytest.mark.parametrize("allow", [True, False], ids=["kept", "unknown"])
def test_names_are_looked_for_a_bounded_number_of_times(allow: bool, compared: list[int]) -> None:
    count = 3000
    error = errors_of(function(*[f'  "d.u"(%nmae_{i}) : (i32) -> ()' for i in range(count)]), allow)
    kinds = 1 if allow else 2
    assert len(error.diagnostics) == kinds * count
    assert len(heads(error)) == kinds * MAX_OF_KIND
    assert str(error).endswith(f"\n{kinds * (count - MAX_OF_KIND)} more errors not shown")
    assert len(compared) < 2 * actions.MOST_SUGGESTIONS  # in both readings
    assert max(compared) <= diagnostics.MAX_CHOICES


def test_few_of_many_names_are_compared(compared: list[int]) -> None:
    assert did_you_mean("name", (f"{'n' * (i % 9)}ame{i}" for i in range(50_000))) != ""
    assert did_you_mean("x" * 10_000, ["x" * 9_999]) == ""
    assert compared == [diagnostics.MAX_CHOICES]


def test_kinds_don_t_hide_each_other() -> None:
    uses = [f'  "d.u"(%a{i}) : (i32) -> ()' for i in range(500)]
    error = errors_of(function(*uses, '  "d.v"( : () -> ()', '  %x = "d.w"() : () -> ()'))
    shown = heads(error)
    assert sum("use of undefined value" in head for head in shown) == MAX_OF_KIND
    assert "502:10: error: unexpected ':'; expected ')' or a value such as %x" in shown
    assert "503:3: error: d.w has 0 results, 1 are named" in shown
    assert str(error).endswith("480 more errors not shown")


def test_not_more_than_some_are_shown_of_any_number_of_kinds() -> None:
    error = DiagnosticError(
        [Diagnostic("wrong " + "abc"[i % 3] * (i % 7 + 1), i) for i in range(600)], Source("m", " " * 600)
    )
    assert str(error).count(": error: ") == MAX_SHOWN
    assert str(error).endswith("\n550 more errors not shown")
    one = DiagnosticError([Diagnostic("wrong %x", i) for i in range(MAX_OF_KIND + 1)])
    assert str(one).endswith("\n1 more error not shown")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("use of undefined value %a (did you mean %b?)", "use of undefined value %c2"),
        ("unknown operation 'd.u'; it has none", "unknown operation 'e.v'"),
        ("%x has 3 tiles", "%y has 14 tiles"),
    ],
)
def test_what_makes_a_kind(one: str, other: str) -> None:
    assert Diagnostic(one).kind == Diagnostic(other).kind != Diagnostic("redefinition of value %x").kind


def test_syntax_errors_are_described_up_to_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    described: list[object] = []
    real = by_lark._Recovery._expected
    monkeypatch.setattr(
        by_lark._Recovery, "_expected", lambda self, error: described.append(error) or real(self, error)
    )
    error = errors_of(function(*['  "d.u"( : () -> ()'] * 300, '  "d.v"(%q) : (i32) -> ()'))
    assert len(error.diagnostics) == 301
    assert len(described) <= by_lark.MAX_DESCRIBED
    assert "302:9: error: use of undefined value %q" in heads(error)
    assert str(error).endswith("280 more errors not shown")


# --- the first cause first ---


def test_an_error_behind_a_syntax_error_does_not_replace_it() -> None:
    text = function('  "d.o"( : () -> ()', '  "d.v"() {a = 256 : i8} : () -> ()')
    assert heads(errors_of(text)) == [
        "2:10: error: unexpected ':'; expected ')' or a value such as %x",
        "3:16: error: integer does not fit in i8",
    ]


def test_a_label_without_its_colon_is_what_is_named() -> None:
    text = '"d.r"() ({\n^a(%x: i32)\n  "d.y"() : () -> ()\n  "d.z"(%x) : (i32) -> ()\n}) : () -> ()\n'
    assert heads(errors_of(text)) == ["3:3: error: unexpected '\"d.y\"'; expected ':'"]


def test_a_string_that_is_not_closed_is_told_from_one_that_is() -> None:
    assert heads(errors_of(function('  "d.u'))) == ["2:3: error: string literal is not closed on its line"]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (function('  "d.r"() ({', '    "d.u"(%q) : (i32) -> ()', "  }) : () -> ()"), [3, 2, 4]),
        (function('  %a, %b = "graph.matmul"() ({', '    "graph.r"() : () -> ()', "  }) : () -> i32"), [3, 2]),
        ('"func.func"() ({\n  "d.u"(%q) : (i32) -> ()\n}) : () -> ()\n', [2, 1]),
    ],
)
def test_what_is_inside_comes_before_what_is_around_it(text: str, lines: list[int]) -> None:
    error = errors_of(text, False)
    found = [int(head.partition(":")[0]) for head in heads(error)]
    inside, around = lines[:2]
    assert found.index(inside) < found.index(around)


def test_the_verifier_looks_inside_first() -> None:
    inner = '    %t = "d.t"() : () -> tensor<4x4xf32>\n    %y = graph.cast %t : tensor<4x4xf32> -> tensor<4x8xf32>'
    text = function('  "d.r"() ({', *inner.split("\n"), "  }) {graph.odd} : () -> ()")
    error = errors_of(text)
    assert [d.order for d in error.diagnostics] == sorted(d.order for d in error.diagnostics)
    assert heads(error)[0].startswith("4:")


# --- nothing raw, nothing of Python's, nothing without end ---


@pytest.mark.parametrize(
    "text",
    [
        f"func.func @f(%x: tensor<{'9' * 5000}x4xf32>) {{\n  return\n}}\n",
        f"func.func @f(%x: !uop.tiled<tensor<4x4xf32>, [{'9' * 5000}, 4]>) {{\n  return\n}}\n",
        function(f'  "d.u"() {{a = 3 : i{"9" * 5000}}} : () -> ()'),
        function(f'  "d.u"() {{a = {"9" * 5000}}} : () -> ()'),
        function(f'  %a:{"9" * 5000} = "d.u"() : () -> ()'),
        function(f"  uop.load %x[{'9' * 5000}, 0]"),
        function(f"  sched.load %x[0, 0] @{'9' * 5000} {{bytes = 4}}"),
    ],
    ids=["tensor", "tile", "type", "attribute", "results", "coordinate", "address"],
)
def test_thousands_of_digits_are_too_many_in_our_words(text: str) -> None:
    shown = str(errors_of(text))
    assert "integer string conversion" not in shown
    assert "fit" in shown or "supported" in shown or "must be between" in shown
    assert max(map(len, shown.splitlines())) <= MAX_MESSAGE + 100


def test_zeros_before_a_number_do_not_count() -> None:
    module = parse_source(Source("m", f"func.func private @f(tensor<{'0' * 5000}4x4xf32>)\n"))
    assert str(module) == "func.func private @f(tensor<4x4xf32>)\n"


ESCAPE = "\x1b[31m"


@pytest.mark.parametrize(
    "text",
    [
        'func.func @"a\\1B[31m"() {\n}\n',
        'func.func private @"a\\1B[31m\\0A"()\nfunc.func private @"a\\1B[31m\\0A"()\n',
        function('  "d.\\1B[31m"() : () -> ()'),
        function(f'  "d.{ESCAPE}"( : () -> ()'),
        function(f"  {ESCAPE}"),
    ],
)
def test_no_control_character_reaches_the_terminal(text: str) -> None:
    error = errors_of(text, False)
    error.source = Source(f"m{ESCAPE}\n.mir", text)
    assert all(line.isprintable() for line in str(error).splitlines())
    assert "\\x1b" in str(error)


def test_names_are_printed_with_their_control_characters_escaped() -> None:
    text = 'func.func @"a\\1B\\C2\\9B"() {\n  "d.\\1B\\22"() {"k\\07" = "\\7F\\C2\\85"} : () -> ()\n  return\n}\n'
    module = parse_source(Source("m", text), True)
    assert str(module) == text
    assert tilewright.parse(str(module), allow_unregistered=True) == module


def test_what_is_behind_an_error_at_each_use_is_not_noted_each_time() -> None:
    found = [Diagnostic(f"wrong {i}", i).note("defined here", 0) for i in range(20)]
    shown = str(tilewright.DiagnosticError(found, Source("m", "x" * 30)))
    assert shown.count("error: wrong") == 20
    assert shown.count("note: defined here") == diagnostics.MAX_OF_NOTE


def test_a_long_message_loses_its_middle() -> None:
    found = Diagnostic(f"start {'x' * 100_000} end\ndetail").render(None)
    head, detail = found.split("\n")
    assert len(head) < MAX_MESSAGE + 100
    assert head.startswith("<built in memory>: error: start xxx")
    assert head.endswith("xxx end")
    assert detail == "detail"


def test_a_long_line_is_cut_around_the_caret() -> None:
    text = "x" * 5_000_000
    found = Diagnostic("here", 4_000_000).render(Source("m", text)).split("\n")
    assert len(found[1]) == diagnostics.MAX_LINE
    assert found[2].index("^") == diagnostics.MAX_LINE // 2


def test_no_undefined_name_is_suggested_for_another() -> None:
    text = 'func.func @f() {\n  "x.y"(%name0) : (f32) -> ()\n  "x.y"(%name1) : (f32) -> ()\n  return\n}\n'
    with pytest.raises(tilewright.DiagnosticError) as error:
        tilewright.parse(text, allow_unregistered=True)
    assert [d.message for d in error.value.diagnostics] == [f"use of undefined value %name{i}" for i in (0, 1)]
