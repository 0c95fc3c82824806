"""What passes warn of: printed by `opt`, a Python warning from Python, and nothing where there is nothing to say."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import tilewright as tw
from tilewright.ir.diagnostics import MAX_OF_KIND

from ..models import MIXED, REDUNDANT, REFERENCE

OPT = Path(sys.executable).with_name("opt")
TENSOR = "tensor<4x4xf32>"


def dead(count: int, name: str = "f") -> str:
    """A function with so many dead operations, the first one in line 2."""
    lines = [f"  %d{i} = graph.{'relu' if i % 2 else 'tanh'} %x : {TENSOR}" for i in range(count)]
    return "\n".join([f"func.func @{name}(%x: {TENSOR}) -> {TENSOR} {{", *lines, f"  return %x : {TENSOR}", "}", ""])


def warned(text: str, pipeline: str) -> list[str]:
    """The messages, each with the line that it stands at."""
    with pytest.warns(tw.DiagnosticWarning) as caught:
        tw.run_passes(text, pipeline, filename="dead.mir")
    (found,) = caught
    assert found.filename == __file__
    assert isinstance(found.message, tw.DiagnosticWarning)
    return [f"{d.line}: {d.message}" for d in found.message.diagnostics]


def test_each_dead_operation_is_named_at_its_place() -> None:
    message = "is computed and stored, but no result depends on it; --dce removes it"
    assert warned(dead(2), "schedule") == [f"2: %d0 {message}", f"3: %d1 {message}"]
    assert warned(dead(1), "tile,lower") == [f"2: %d0 {message}"]
    assert warned(dead(1) + dead(1, "g"), "O0") == [f"2: %d0 {message}", f"6: %d0 {message}"]


def test_dce_is_no_remedy_where_it_leaves_everything_as_it_is() -> None:
    text = dead(2).replace(f"relu %x : {TENSOR}", f"relu %d0 {{epilogue}} : {TENSOR}")
    message = "is computed and stored, but no result depends on it"
    assert warned(text, "dce,schedule") == [f"2: %d0 {message}", f"3: %d1 {message}"]


def test_an_operation_that_another_has_taken_in_is_named_by_what_is_stored() -> None:
    product = f"  %p = graph.matmul %x, %x : ({TENSOR}, {TENSOR}) -> {TENSOR}\n  %d0 = graph.relu %p"
    (found,) = warned(dead(1).replace("  %d0 = graph.tanh %x", product), "schedule")
    assert found.startswith("3: %d0 is computed")


@pytest.mark.parametrize(
    ("text", "pipeline"),
    [
        (dead(2), "dce,schedule"),
        (dead(2), "canonicalize,tile,lower"),
        (dead(2), "O1"),
        (dead(2), "O2"),
        (dead(2), "fuse,tile"),
        (REFERENCE, "schedule"),
        (MIXED, "schedule"),
        (REDUNDANT, "O1"),
    ],
)
def test_nothing_is_said_where_nothing_is_computed_for_nothing(text: str, pipeline: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tw.run_passes(text, pipeline)


def test_uops_are_not_looked_at() -> None:
    uops = tw.run_passes(dead(2), "tile,lower")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tw.run_passes(uops, "schedule")


def test_all_that_runs_passes_from_python_warns() -> None:
    module = tw.parse(dead(1), filename="dead.mir")
    for run in (
        lambda: tw.run_passes(module, "schedule"),
        lambda: tw.report(module, "schedule"),
        lambda: tw.Scheduler().run_on_graph(module),
    ):
        with pytest.warns(tw.DiagnosticWarning, match=r"^dead\.mir:2:3: warning: %d0 is computed and stored") as caught:
            run()
        assert [w.filename for w in caught] == [__file__]


def opt(*words: str, text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([OPT, *words], input=text, capture_output=True, text=True, check=False)


def test_opt_prints_warnings_like_errors_and_goes_on() -> None:
    done = opt("--schedule", text=dead(MAX_OF_KIND + 3))
    assert done.returncode == 0
    assert done.stdout == opt("--schedule", text=tw.run_passes(dead(MAX_OF_KIND + 3), "fuse")).stdout
    lines = done.stderr.splitlines()
    assert lines[0] == (
        "<stdin>:2:3: warning: %d0 is computed and stored, but no result depends on it; --dce removes it"
    )
    assert lines[1:3] == [f"  %d0 = graph.tanh %x : {TENSOR}", "  ^"]
    assert len(lines) == 3 * MAX_OF_KIND + 1
    assert lines[-1] == "3 more warnings not shown"


def test_a_run_that_fails_says_why_and_no_more() -> None:
    done = opt("--schedule=sram=64", text=dead(1))
    assert (done.returncode, done.stdout) == (1, "")
    assert "warning" not in done.stderr


def test_each_part_of_a_file_has_its_own() -> None:
    done = opt("--schedule", "--split-input-file", text=f"{dead(1)}// -----\n{dead(1)}")
    assert [line.split(": ")[0] for line in done.stderr.splitlines() if "warning" in line] == [
        "<stdin>:2:3",
        "<stdin>:7:3",
    ]
