"""What a caught error tells of its place: the same as its message."""

from __future__ import annotations

import copy
import pickle

import pytest

import tilewright
from tilewright.ir.diagnostics import Diagnostic

from ..models import MIXED


def caught(text: str, pipeline: str = "") -> tilewright.DiagnosticError:
    with pytest.raises(tilewright.DiagnosticError) as error:
        tilewright.run_passes(text, pipeline, filename="mixed.mir")
    return error.value


@pytest.mark.parametrize(
    ("text", "pipeline"),
    [
        (MIXED.replace("%s, %b", "%s, %q").replace("graph.cast", "graph.cats"), ""),
        (MIXED.replace("%t, %r", "%t, %u"), ""),  # found by the verifier, under the operand
        (MIXED, "lower"),
    ],
)
def test_each_error_knows_its_place(text: str, pipeline: str) -> None:
    error = caught(text, pipeline)
    heads = [line for line in str(error).splitlines() if ": error: " in line]
    ordered = sorted(error.diagnostics, key=lambda d: d.loc)
    assert heads == [f"{d.filename}:{d.line}:{d.column}: error: {d.message}" for d in ordered]
    assert [d.text for d in ordered] == [text.splitlines()[(d.line or 0) - 1] for d in ordered]


def test_what_is_built_in_memory_has_no_place() -> None:
    found = Diagnostic("wrong")
    error = tilewright.DiagnosticError([found])
    assert (found.filename, found.line, found.column, found.text) == (None, None, None, None)
    assert str(error) == "<built in memory>: error: wrong"


def test_an_error_is_copied_and_pickled_with_its_place() -> None:
    error = caught(MIXED, "lower")
    for made in (copy.deepcopy(error), pickle.loads(pickle.dumps(error))):
        assert str(made) == str(error)
        assert made.diagnostics[0].line == error.diagnostics[0].line
    short = caught(MIXED, "schedule{sram=64}")
    assert str(pickle.loads(pickle.dumps(short))) == str(short)
