"""What must hold of the operations that CONTRIBUTING's recipes add; test_recipes.py runs it in a copy that has them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import tilewright as tw
from tilewright.dialects.kernels import KERNELS
from tilewright.lowering.graph_nests import described, nests_of, traffic_model_of
from tilewright.lowering.tile_program import TileProgram
from tilewright.lowering.uop_nests import find_operations
from tilewright.passes.plan import tiled_types
from tilewright.planner.arena import SRAMConfig
from tilewright.planner.dependences import Chains

from . import faults
from .planner.test_nest_cost import renumbered
from .programs import PROGRAMS, check_program

BIN = Path(sys.executable).parent

ASINH = """\
func.func @f(%x: tensor<6x9xf32>, %w: tensor<9x7xf32>) -> (tensor<6x7xf32>, tensor<6x9xf32>) {
  %p = graph.matmul %x, %w : (tensor<6x9xf32>, tensor<9x7xf32>) -> tensor<6x7xf32>
  %y = graph.asinh %p : tensor<6x7xf32>
  %z = graph.asinh %x : tensor<6x9xf32>
  return %y, %z : tensor<6x7xf32>, tensor<6x9xf32>
}
"""
SCALED = """\
func.func @f(%x: tensor<6x9xf32>, %w: tensor<9x7xf32>, %s: tensor<6xf32>) -> tensor<6x7xf32> {
  %p = graph.matmul %x, %w : (tensor<6x9xf32>, tensor<9x7xf32>) -> tensor<6x7xf32>
  %y = graph.scale_rows %p, %s : (tensor<6x7xf32>, tensor<6xf32>) -> tensor<6x7xf32>
  %z = graph.relu %y : tensor<6x7xf32>
  return %z : tensor<6x7xf32>
}
"""
BY_HAND = """\
func.func @f(%x: !uop.tiled<tensor<3x4xf32>, [2, 4]>, %s: !uop.tiled<tensor<3xf32>, [2]>)
    -> !uop.tiled<tensor<3x4xf32>, [2, 4]> {
  %y = uop.alloc : !uop.tiled<tensor<3x4xf32>, [2, 4]>
  uop.load %x[0, 0]
  uop.load %s[0]
  uop.exec scale_rows %y[0, 0] = %x[0, 0], %s[0]
  uop.store %y[0, 0]
  uop.load %x[1, 0]
  uop.load %s[1]
  uop.exec scale_rows %y[1, 0] = %x[1, 0], %s[1]
  uop.store %y[1, 0]
  return %y : !uop.tiled<tensor<3x4xf32>, [2, 4]>
}
"""
TEXTS = {"asinh": ASINH, "scale_rows": SCALED}
SIZES = "4x2x4"
"""Tiles that don't divide the tensors, other ones along rows than along columns."""
IN_STEPS = {
    "O1": ["--fuse", f"--tile=sizes={SIZES}", "--plan=sram=1KiB", "--lower", "--forward", "--reorder=sram=1KiB",
           "--schedule=sram=1KiB evict=cost dram"],
    "O2": ["--fuse", f"--tile=sizes={SIZES}", "--plan=sram=1KiB objective=makespan", "--lower", "--forward",
           "--schedule=sram=1KiB evict=cost dram", "--prefetch"],
}  # fmt: skip


def command(name: str, *words: str | Path, given: str | None = None) -> str:
    """What a command prints; nothing on standard error, exit status 0."""
    done = subprocess.run([BIN / name, *words], input=given, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def expected(name: str, arrays: dict[str, Any]) -> list[Any]:
    """The results by NumPy, in double precision."""
    a = {key: value.astype(np.float64) for key, value in arrays.items()}
    product = a["x"] @ a["w"]
    if name == "asinh":
        return [np.arcsinh(v) for v in (product, a["x"])]
    return [np.maximum(product * a["s"][:, np.newaxis], 0)]


def random_arrays(text: str) -> dict[str, Any]:
    (func,) = tw.parse(text).functions()
    rng = np.random.default_rng(1)
    return {v.name: rng.standard_normal(v.type.shape).astype(np.float32) for v in func.args}  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", TEXTS)
def test_read_and_printed_in_each_form(name: str, tmp_path: Path) -> None:
    source = tmp_path / "in.mir"
    source.write_text(TEXTS[name], encoding="utf-8")
    pretty = command("opt", source)
    assert pretty == TEXTS[name]
    generic = command("opt", "--print-op-generic", "--parser=lark", source)
    assert f'"graph.{name}"' in generic
    assert command("opt", given=generic) == command("opt", "--parser=lark", given=generic) == pretty
    bad = subprocess.run([BIN / "opt"], input=pretty.replace(name, f"{name}z"), capture_output=True, text=True)
    assert (bad.returncode, f"graph.{name}z" in bad.stderr, "Traceback" in bad.stderr) == (1, True, False)


@pytest.mark.parametrize("level", IN_STEPS)
@pytest.mark.parametrize("name", TEXTS)
def test_pipes_and_one_process(name: str, level: str, tmp_path: Path) -> None:
    piped = TEXTS[name]
    for flag in IN_STEPS[level]:
        piped = command("opt", flag, given=piped)
    model, made = tmp_path / "model.mir", tmp_path / "made.mir"
    model.write_text(TEXTS[name], encoding="utf-8")
    command("opt", f"-{level}=sram=1KiB tile={SIZES}", "--prove-each", model, "-o", made)
    assert made.read_text(encoding="utf-8") == piped
    assert f"sched.exec {name}" in piped or f'activation = "{name}"' in piped
    assert command("opt", "--verify-against", model, made) == piped
    command("mir-run", "--compare", "--random", "1", "--floats", model, made)
    assert "cycles" in command("mir-sim", made)


@pytest.mark.parametrize("pipeline", ["", f"fuse,tile{{sizes={SIZES}}},lower", f"O0{{sram=1KiB tile={SIZES}}}",
                                      f"O1{{sram=1KiB tile={SIZES}}}", f"O2{{sram=1KiB tile={SIZES}}}"])  # fmt: skip
@pytest.mark.parametrize("name", TEXTS)
def test_every_level_computes_what_numpy_does(name: str, pipeline: str) -> None:
    arrays = random_arrays(TEXTS[name])
    made = tw.run(tw.run_passes(TEXTS[name], pipeline, generic=True), arrays)
    for one, other in zip(made, expected(name, arrays), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_the_onnx_operator_of_that_name(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from .onnx_models import X, build, node
    from .translate.test_onnx import runtime

    model = build([node("Asinh", "x")], X)
    onnx.save(model, tmp_path / "model.onnx")
    text = command("mir-translate", "--import-onnx", tmp_path / "model.onnx", "--weights", tmp_path / "weights.npz")
    assert "%y = graph.asinh %x" in text
    arrays = random_arrays(text)
    np.testing.assert_allclose(tw.run(text, arrays)[0], runtime(model, arrays)[0], rtol=1e-5)


def test_a_kernel_on_tiles_alone() -> None:
    arrays = {"x": np.arange(12, dtype=np.float32).reshape(3, 4), "s": np.array([1, -2, 3], np.float32)}
    wanted = arrays["x"] * arrays["s"][:, np.newaxis]
    for pipeline in ("", "schedule{sram=1KiB}", "schedule{sram=1KiB},prefetch", "schedule{sram=1KiB},sync"):
        made = tw.run_passes(BY_HAND, pipeline)
        tw.prove(BY_HAND, made)
        assert np.array_equal(tw.run(made, arrays)[0], wanted)
    for wrong in ("%x[0, 0], %s[1]", "%x[1, 0], %s[0]"):
        with pytest.raises(tw.DiagnosticError):
            tw.prove(BY_HAND, BY_HAND.replace("%y[0, 0] = %x[0, 0], %s[0]", f"%y[0, 0] = {wrong}"))
    with pytest.raises(tw.DiagnosticError, match="kernel scale_rows: tiles don't fit"):
        tw.parse(BY_HAND.replace("tensor<3xf32>, [2]", "tensor<3xf32>, [3]"))


def test_what_a_plan_costs_is_what_is_lowered() -> None:
    """The tiles that the planner takes a kernel to read are those that `lower` has it read, and `reorder` finds."""
    module = tw.run_passes(tw.parse(SCALED), f"fuse,tile{{sizes={SIZES}}}")
    (func,) = module.functions()
    ops, tiled = list(func.ops[:-1]), tiled_types(func, module)
    model = traffic_model_of([described(op, tiled) for op in ops], func.returned(), tiled, SRAMConfig())  # type: ignore[arg-type]
    judged = model.program(nests_of(ops, tiled))  # type: ignore[arg-type]
    (low,) = tw.run_passes(module, "lower,forward").functions()
    tiles = TileProgram(low.ops)
    assert judged is not None
    assert renumbered(judged) == renumbered(tiles.program)
    found = find_operations(tiles, Chains(tiles.program))
    assert [o.axes for o in found][1:] == [((0, 1), (0,)), ((0, 1),)]


@settings(max_examples=8, database=None, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(PROGRAMS[0].filter(lambda text: "asinh" in text), *PROGRAMS[1:])
def test_random_programs_draw_it(text: str, sizes: Any, machine: Any, who: str, chosen: Any) -> None:
    check_program(text, sizes, machine, who, chosen)


def test_no_fault_gets_through() -> None:
    assert KERNELS["asinh"].is_activation
    tallies = faults.run_catalogue(300, 1)
    assert not [t.missed for t in tallies.values() if t.missed]


def test_a_pass_takes_its_marks_off() -> None:
    text = "func.func @f(%w: tensor<4x4xf32> {graph.param}) {\n  return\n}\n"
    assert tw.run_passes(text, "strip-params") == text.replace(" {graph.param}", "")
    assert tw.run_passes(text, "strip-params{private-only}") == text
