"""The version of the language, which texts may name."""

from __future__ import annotations

import pytest

import tilewright as tw
from tilewright.ir.builtin import ModuleOp
from tilewright.ir.reading.parser import parse_source
from tilewright.ir.source import Source

from ..models import ROOT

MAJOR = int(tw.LANGUAGE_VERSION.partition(".")[0])
NEXT = f"{MAJOR + 1}.0"


def text(version: str, body: str = "") -> str:
    return f"module attributes {{tilewright.language = {version}}} {{\n{body}}}\n"


@pytest.mark.parametrize("version", [tw.LANGUAGE_VERSION, f"{MAJOR}.999", "0.1"])
def test_a_text_may_name_its_version(version: str) -> None:
    named = text(f'"{version}"')
    module = tw.parse(named)
    assert str(module) == named
    assert str(tw.run_passes(module, "fuse")) == named
    assert tw.parse(tw.print(module, generic=True)) == module


@pytest.mark.parametrize("only_lark", [False, True])
@pytest.mark.parametrize("body", ["", "  graph.of_the_future %x\n", "  ?\n"])
def test_a_newer_text_is_refused_at_once(body: str, only_lark: bool) -> None:
    with pytest.raises(tw.DiagnosticError) as error:
        parse_source(Source("new.mir", text(f'"{NEXT}"', body)), only_lark=only_lark)
    line = text(f'"{NEXT}"').splitlines()[0]
    message = f"the text is written in version {MAJOR + 1} of the language; {MAJOR}.x is understood here"
    assert str(error.value).splitlines() == [
        f"new.mir:1:20: error: {message}",
        line,
        " " * line.index("tilewright") + "^",
    ]


@pytest.mark.parametrize("only_lark", [False, True])
def test_what_is_wrong_in_a_newer_minor_version_may_be_new(only_lark: bool) -> None:
    newer = text(f'"{MAJOR}.999"', "  func.func @f() {\n    graph.rellu\n    return\n  }\n")
    with pytest.raises(tw.DiagnosticError) as error:
        parse_source(Source("new.mir", newer), only_lark=only_lark)
    heads = [line for line in str(error.value).splitlines() if line.startswith("new.mir")]
    assert heads[0].startswith("new.mir:3:5: error: ")
    message = f"the text is written in version {MAJOR}.999 of the language; here is {tw.LANGUAGE_VERSION}"
    assert heads[1:] == [f"new.mir:1:20: note: {message}"]


def test_the_generic_form_names_it_too() -> None:
    generic = tw.print(tw.parse(text(f'"{tw.LANGUAGE_VERSION}"')), generic=True)
    with pytest.raises(tw.DiagnosticError, match="the text is written in version"):
        tw.parse(generic.replace(tw.LANGUAGE_VERSION, NEXT))


@pytest.mark.parametrize("version", ["1", "true", '"1"', '"one"', '"1.0.0"', '""', '"-1.0"'])
def test_what_is_no_version(version: str) -> None:
    with pytest.raises(tw.DiagnosticError) as error:
        tw.parse(text(version))
    head = f"<string>:1:20: error: 'tilewright.language' of module must be a version such as \"{tw.LANGUAGE_VERSION}\""
    assert str(error.value).splitlines()[0].startswith(head)


def test_a_built_module_is_checked() -> None:
    with pytest.raises(tw.DiagnosticError, match=f"must be at most {MAJOR}.x"):
        tw.verify(ModuleOp([], attrs={"tilewright.language": NEXT}))


@pytest.mark.parametrize(
    "line", ['// tilewright.language = "9.0"', 'module attributes {a.b = "tilewright.language = "} {}']
)
def test_comments_and_strings_name_no_version(line: str) -> None:
    tw.parse(f"{line}\n")


def test_the_reference_says_which_version_it_describes() -> None:
    reference = (ROOT / "docs" / "language.md").read_text(encoding="utf-8")
    assert f"This is version {tw.LANGUAGE_VERSION} of the language" in reference
