"""The public face: what `import tilewright as tw` has, and its functions on texts and modules."""

from __future__ import annotations

import builtins
import collections.abc
import copy
import inspect
import io
import json
import pickle
import re
import subprocess
import sys
import tomllib
import typing
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr
from dataclasses import FrozenInstanceError, is_dataclass
from typing import Any

import numpy as np
import pytest

import tilewright as tw
from tilewright.tools import opt

from .models import MIXED, REFERENCE, ROOT, chain_text, levels

SMALL = """\
func.func @f(%x: tensor<2x3xf32>, %y: tensor<2x3xf32>) -> (tensor<2x3xf32>, tensor<2x3xf32>) {
  %s = graph.add %x, %y : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
  %r = graph.relu %s : tensor<2x3xf32>
  return %s, %r : tensor<2x3xf32>, tensor<2x3xf32>
}
"""
TWO = SMALL + SMALL.replace("@f", "@g").replace("graph.relu %s", "graph.relu %x")


# --- names ---


def test_all_is_what_dir_shows() -> None:
    assert tw.__dir__() == tw.__all__
    assert dir(tw) == sorted(tw.__all__)
    assert len(set(tw.__all__)) == len(tw.__all__)


@pytest.mark.parametrize("name", tw.__all__)
def test_every_name_is_there_and_described(name: str) -> None:
    part = getattr(tw, name)
    if inspect.isclass(part) or inspect.isfunction(part):
        assert inspect.getdoc(part), name
        assert not (inspect.getdoc(part) or "").startswith(f"{name}("), f"{name}: a dataclass without a docstring"


def test_another_name_is_an_error() -> None:
    with pytest.raises(AttributeError, match="module 'tilewright' has no attribute 'pars'"):
        _ = tw.pars  # type: ignore[attr-defined]


def test_the_version_stands_in_one_place() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert tw.__version__ == project["version"]
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## {project['version']}" in changes


def test_text_needs_no_numpy() -> None:
    script = (
        "import sys, tilewright as tw\n"
        f"text = {REFERENCE!r}\n"
        "module = tw.parse(text)\n"
        "tw.print(module), tw.print(module, generic=True), tw.verify(module)\n"
        "planned = tw.run_passes(module, 'O1')\n"
        "tw.run_passes(text, 'O2'), tw.report(text, 'O1'), tw.simulate(planned), tw.prove(module, planned)\n"
        "b = tw.FuncBuilder('f'); b.returns(b.relu(b.arg('x', (4, 4)))); b.module()\n"
        "print('numpy' in sys.modules)\n"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (found.stdout, found.stderr) == ("False\n", "")


def test_the_import_alone_loads_no_part() -> None:
    script = "import sys, tilewright\nprint([m for m in sys.modules if m.startswith('tilewright.')])"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "[]\n"


EXPLAINED = {"Array", "ArrayLike", "Inputs", "Attribute", "Attributes", "Placed"}
"""Aliases, which docs/api.md explains."""
FACE: Any = tw
"""The package, as scripts without types see it."""
INSIDE = {"OpT", "Printer"}
"""A type variable, and what only the printer calls methods with."""


def test_signatures_name_what_is_exported() -> None:
    known = {*tw.__all__, *EXPLAINED, *INSIDE, *dir(builtins), *dir(collections.abc), *dir(typing)}
    found = {
        (owner, word)
        for name in tw.__all__
        for owner, text in annotated(name, getattr(tw, name))
        for word in re.findall(r"[A-Za-z_]\w*", text)
    }
    assert len(found) > 200
    assert {(owner, word) for owner, word in found if word not in known} == set()


def annotated(name: str, part: Any) -> Iterator[tuple[str, str]]:
    """The annotations of a function, or of a class's public members."""
    if inspect.isclass(part):
        yield from (
            (f"{name}.{key}", str(kind)) for key, kind in inspect.get_annotations(part).items() if key[0] != "_"
        )
        made = () if issubclass(part, Exception) else ("__init__",)  # exceptions are caught, not made
        members = {key: value for key, value in vars(part).items() if key[0] != "_" or key in made}
        for key, member in members.items():
            function = getattr(member, "fget", None) or getattr(member, "__func__", member)
            if inspect.isfunction(function):
                yield from annotated(f"{name}.{key}", function)
    elif inspect.isfunction(part):
        yield from ((f"{name}({key})", str(kind)) for key, kind in inspect.get_annotations(part).items())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda func: FACE.parse(b"module {}"), "parse takes str, got bytes"),
        (lambda func: FACE.print("module {}"), "print takes ModuleOp or FuncOp, got str"),
        (lambda func: FACE.verify(func), r"verify takes ModuleOp, got FuncOp; ModuleOp\(\[func\]\) is a module of one"),
        (lambda func: FACE.verify("module {}"), "verify takes ModuleOp, got str"),
        (lambda func: FACE.run_passes(func, ""), "run_passes takes str or ModuleOp, got FuncOp; ModuleOp"),
        (lambda func: FACE.run_passes(SMALL, None), "run_passes takes str, got NoneType"),
        (lambda func: FACE.report(func), "report takes str or ModuleOp or Sequence, got FuncOp"),
        (lambda func: FACE.report([func]), "report takes str or ModuleOp, got FuncOp"),
        (lambda func: FACE.report(SMALL, 3), "report takes str, got int"),
        (lambda func: FACE.prove(SMALL, func), "prove takes str or ModuleOp, got FuncOp"),
        (lambda func: FACE.simulate(3), "simulate takes str or ModuleOp, got int"),
        (lambda func: FACE.run(None, []), "run takes str or ModuleOp, got NoneType"),
    ],
)
def test_arguments_of_another_type(call: Callable[[Any], object], message: str) -> None:
    func = next(tw.parse(SMALL).functions())
    with pytest.raises(TypeError, match=f"^{message}"):
        call(func)


def test_a_report_on_nothing() -> None:
    with pytest.raises(ValueError, match="report takes a program, or several of one program; got none"):
        tw.report([])


# --- passes, proof ---

NESTED = f"""\
module attributes {{a.b = {{c = 1}}, sched.target = {{alignment = 64}}}} {{
{SMALL.replace("%y: tensor<2x3xf32>", "%y: tensor<2x3xf32> {a.b = {c = 2}}")}
module @in {{
{SMALL.replace("%y : tensor<2x3xf32>", "{d.e = {f = 3}} %y : tensor<2x3xf32>")}
func.func private @d(tensor<2xf32> {{a.b = 1}})
}}
"t.t"() <{{p = {{q = 1}}}}> ({{
}}) : () -> ()
}}
"""


@pytest.mark.parametrize("pipeline", ["", "forward", "reorder", "fuse,tile", "tile,lower"])
def test_what_passes_make_shares_nothing_that_can_be_changed(pipeline: str) -> None:
    module = tw.parse(NESTED, allow_unregistered=True)
    before = tw.print(module)
    made = tw.run_passes(module, pipeline)
    assert made is not module
    for op in list(made.walk()):
        for attributes in (op.extra, getattr(op, "props", None), *getattr(op, "arg_attrs", ())):
            for value in (attributes or {}).values():
                if isinstance(value, dict):
                    value["changed"] = 1
            if attributes is not None:
                attributes["x.changed"] = 1
        for block in op.regions:
            block.ops.clear()
    assert tw.print(module) == before


def test_passes_make_a_text_of_a_text_and_a_module_of_a_module() -> None:
    for pipeline in ("fuse,tile", "O1{sram=64KiB}", ""):
        module = tw.parse(REFERENCE)
        made = tw.run_passes(module, pipeline)
        assert tw.print(made) == tw.run_passes(REFERENCE, pipeline)
        assert module == tw.parse(REFERENCE)


def test_a_module_is_verified_before_passes_run() -> None:
    module = tw.parse(SMALL)
    next(module.functions()).ops.reverse()
    for check in (tw.verify, lambda m: tw.run_passes(m, "tile"), tw.report, lambda m: tw.prove(SMALL, m)):
        with pytest.raises(tw.DiagnosticError, match="return must be the last operation"):
            check(module)


def test_each_pass_is_proved_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    from tilewright.analysis import proof

    seen: list[str] = []
    monkeypatch.setattr(proof, "prove_module", lambda before, after: seen.append(str(after)))
    tw.run_passes(REFERENCE, "fuse,tile", prove_each=True)
    tw.run_passes(tw.parse(REFERENCE), "fuse", prove_each=True)
    assert len(seen) == 3
    tw.run_passes(REFERENCE, "fuse")
    assert len(seen) == 3


def test_proof_of_equal_and_of_different_programs() -> None:
    for text in levels().values():
        tw.prove(text, tw.parse(text))
    tw.prove(REFERENCE, tw.run_passes(tw.parse(REFERENCE), "O2"))
    wrong = SMALL.replace("graph.add %x, %y", "graph.add %x, %x")
    with pytest.raises(tw.DiagnosticError) as error:
        tw.prove(SMALL, tw.parse(wrong, filename="wrong.mir"))
    assert (error.value.diagnostics[0].filename, error.value.diagnostics[0].line) == ("wrong.mir", 2)


# --- running ---


def test_arrays_go_in_by_name_or_in_order() -> None:
    x, y = np.arange(6, dtype=np.float32).reshape(2, 3) - 4, np.ones((2, 3), np.float32)
    for inputs in ({"y": y, "x": x}, [x, y], (x.tolist(), y.tolist()), {"x": x.astype(np.float64), "y": y}):
        for text in (SMALL, tw.run_passes(SMALL, "schedule"), tw.parse(SMALL)):
            total, positive = tw.run(text, inputs)
            assert total.dtype == positive.dtype == np.float32
            np.testing.assert_array_equal(total, x + y)
            np.testing.assert_array_equal(positive, np.maximum(x + y, 0))


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"x": 1, "z": 2}, r"^@f has no argument %z; it has %x, %y$"),
        ([1], r"^@f takes 2 arrays, got 1$"),
    ],
)
def test_inputs_that_are_nobodys(inputs: dict[str, int] | list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tw.run(SMALL, inputs)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"x": np.zeros((2, 3))}, "no input is given for %y"),
        ({"x": np.zeros((2, 3)), "y": np.zeros((3, 2))}, "input %y has shape 3x2, the function needs 2x3"),
        ({"x": np.zeros((2, 3)), "y": [["a"] * 3] * 2}, "input %y has element type <U1, the function needs f32"),
    ],
)
def test_inputs_that_do_not_fit_are_located(inputs: dict[str, object], message: str) -> None:
    with pytest.raises(tw.DiagnosticError, match=rf"<string>:1:.*{message}"):
        tw.run(SMALL, inputs)  # type: ignore[arg-type]


def test_options_of_a_run() -> None:
    sums = "func.func @f(%x: tensor<1xi32>) -> tensor<1xi32> {\n"
    sums += (
        "  %y = graph.add %x, %x : (tensor<1xi32>, tensor<1xi32>) -> tensor<1xi32>\n  return %y : tensor<1xi32>\n}\n"
    )
    with pytest.raises(tw.DiagnosticError, match="i32"):
        tw.run(sums, [[2**31 - 1]])
    assert tw.run(sums, [[2**31 - 1]], wrap=True)[0].tolist() == [-2]


def test_one_of_several_functions() -> None:
    zeros = [np.zeros((2, 3)) - 1] * 2
    assert tw.run(TWO, zeros, function="g")[0].tolist() == [[-2.0] * 3] * 2
    scheduled = tw.parse(tw.run_passes(TWO, "schedule"))
    assert tw.simulate(scheduled, function="g").makespan > 0
    for name, message in ((None, "name a function; there are: @f, @g"), ("h", "no function @h; there are: @f, @g")):
        with pytest.raises(ValueError, match=f"^{message}$"):
            tw.run(TWO, zeros, function=name)
        with pytest.raises(ValueError, match=f"^{message}$"):
            tw.simulate(scheduled, function=name)


# --- figures ---


@pytest.mark.parametrize("pipeline", ["schedule", "schedule,sync"])
def test_figures_are_pickled_and_copied(pipeline: str) -> None:
    text = tw.run_passes(REFERENCE, pipeline)
    report, sim = tw.report(text), tw.simulate(text)
    for copied in (pickle.loads(pickle.dumps(report)), copy.deepcopy(report), copy.copy(report)):
        assert copied == report
        assert str(copied) == str(report)
    for again in (pickle.loads(pickle.dumps(sim)), copy.deepcopy(sim)):
        assert (again.makespan, again.target, again.line) == (sim.makespan, sim.target, sim.line)
        assert again.stalls() == sim.stalls()
    assert pickle.loads(pickle.dumps(tw.Target())) == tw.Target() == copy.deepcopy(tw.Target())


def test_errors_are_pickled() -> None:
    with pytest.raises(tw.DiagnosticError) as located:
        tw.parse(SMALL.replace("graph.relu", "graph.rellu"), filename="f.mir")
    with pytest.raises(tw.DiagnosticError) as full:
        tw.run_passes(REFERENCE, "schedule{sram=4KiB}")
    for error in (located.value, full.value, tw.OpError("m", "f"), tw.UsageError("u"), tw.PluginError("p")):
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again)) == (type(error), str(error))


def test_a_schedule_is_held_to_its_machine() -> None:
    made = tw.run_passes(REFERENCE, "schedule{sram=16KiB}")
    small = f"module attributes {{sched.target = {{sram_bytes = 8192}}}} {{\n{made}}}\n"
    for programs in (small, [REFERENCE, small]):
        with pytest.raises(tw.DiagnosticError, match=r"byte 12,288, beyond the 8,192 bytes of the machine's SRAM"):
            tw.report(programs)
    assert tw.report(small, speeds_only=True).function("mlp").sram_bytes == 16384
    roomy = tw.run_passes(REFERENCE, "schedule")
    tight = f"module attributes {{sched.target = {{sram_bytes = 53248}}}} {{\n{roomy}}}\n"
    assert tw.report(tight).function("mlp").sram_bytes == 256 * 1024
    with pytest.raises(tw.DiagnosticError, match=r"after the passes .* ends at byte .*, beyond the 53,248 bytes"):
        tw.report(tight, "prefetch")


def test_a_schedule_is_simulated_as_text_module_or_function() -> None:
    text = tw.run_passes(REFERENCE, "schedule")
    module = tw.parse(text)
    (func,) = module.functions()
    runs = [tw.simulate(program) for program in (text, module, func)]
    assert [sim.makespan for sim in runs] == [18_304] * 3
    assert is_dataclass(runs[0])
    with pytest.raises(tw.DiagnosticError, match=r"^<string>:\d+:\d+: error: function @mlp stands at graph level"):
        tw.simulate(REFERENCE)


def test_a_modules_machine_counts() -> None:
    text = tw.run_passes(REFERENCE, "schedule")
    slow = f"module attributes {{sched.target = {{dma_bytes_per_cycle = 1}}}} {{\n{text}}}\n"
    assert tw.simulate(slow).makespan > tw.simulate(text).makespan
    nested = f"module @outer {{\n{slow}}}\n"
    assert tw.simulate(nested).makespan == tw.simulate(slow).makespan


def opt_prints(text: str, *words: str) -> str:
    """What `opt` writes on standard error."""
    errors = io.StringIO()
    with redirect_stderr(errors), pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        assert opt.main([*words, "-o", "/dev/null"]) == 0
    return errors.getvalue()


@pytest.mark.parametrize("pipeline", ["", "fuse", "fuse,tile,lower", "O1{sram=16KiB}", "schedule,sync", "O2"])
@pytest.mark.parametrize(
    "text", [REFERENCE, MIXED, TWO, chain_text([32, *[64] * 16])], ids=["mlp", "mixed", "two", "long"]
)
def test_the_report_is_what_opt_prints(text: str, pipeline: str) -> None:
    report = tw.report(text, pipeline)
    words = [f"--pass-pipeline={pipeline}"] if pipeline else []
    assert f"{report}\n" == opt_prints(text, "--report", *words)
    printed = opt_prints(text, "--report=json", *words)
    assert f"{report.to_json()}\n" == printed
    assert json.loads(printed) == json.loads(json.dumps(report.to_dict()))


def test_a_report_is_plain_data() -> None:
    report = tw.report(REFERENCE, "schedule")
    function = report.function("mlp")
    assert function.cost is not None
    assert function.bounds is not None
    assert function.time is not None
    assert function.stats is not None
    assert (function.graph_ops, function.fused_ops) == (5, 3)
    assert function.uops == tw.Moves(88, 44, 16)
    assert (function.cost.traffic_bytes, function.bounds.program_bytes) == (220 * 1024, 124 * 1024)
    assert function.stats.reuse == 49 / 88
    assert [invariant.holds for invariant in function.invariants] == [True] * 4
    assert [engine.engine for engine in function.time.engines] == ["dma", "compute"]
    with pytest.raises(FrozenInstanceError):
        function.name = "other"  # type: ignore[misc]
    with pytest.raises(KeyError, match="no function @f; there are @mlp"):
        report.function("f")


def test_a_report_on_several_stages() -> None:
    stages = [tw.parse(REFERENCE), tw.run_passes(REFERENCE, "fuse,tile,lower")]
    whole = tw.report(REFERENCE, "fuse,tile,lower,schedule").function("mlp")
    staged = tw.report(stages, "schedule").function("mlp")
    assert (staged.graph_ops, staged.uops, staged.cost, staged.invariants) == (
        (whole.graph_ops, whole.uops, whole.cost, whole.invariants)
    )
    alone = tw.report(tw.run_passes(REFERENCE, "schedule")).function("mlp")
    assert (alone.graph_ops, alone.uops, alone.scheduled_ops) == (None, None, whole.scheduled_ops)
    assert [invariant.holds for invariant in alone.invariants] == [None, True, True, True]
