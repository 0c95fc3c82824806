"""docs/api.md has every public name, is what docs/make_api.py writes now, and its examples are true."""

from __future__ import annotations

import doctest
import importlib.util
import inspect
from types import ModuleType

import pytest

import tilewright as tw

from .models import ROOT
from .test_docs import refreshed

PAGE = ROOT / "docs" / "api.md"


def load_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_api", ROOT / "docs" / "make_api.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SCRIPT = load_script()


def test_every_public_name_is_in_the_reference_once() -> None:
    names = [name for section in SCRIPT.SECTIONS.values() for name in section]
    assert sorted(names) == sorted(tw.__all__)


def test_the_reference_is_up_to_date() -> None:
    text = PAGE.read_text(encoding="utf-8")
    hint = "write it anew with: python docs/make_api.py && python test/unit/test_docs.py"
    assert text == refreshed(SCRIPT.page()), hint


@pytest.mark.parametrize("name", tw.__all__)
def test_every_member_is_described(name: str) -> None:
    part = getattr(tw, name)
    members = SCRIPT.public(part) if inspect.isclass(part) else {}
    assert [member for member, value in members.items() if not inspect.getdoc(value)] == []


@pytest.mark.parametrize("name", ["parse", "run_passes", "run", "report", "FuncBuilder"])
def test_examples_in_docstrings_are_true(name: str) -> None:
    found = doctest.DocTestFinder(recurse=False).find(getattr(tw, name), name, globs={"tw": tw})
    runner = doctest.DocTestRunner()
    tried = sum(runner.run(test).attempted for test in found)
    assert tried > 1
    assert runner.summarize().failed == 0
