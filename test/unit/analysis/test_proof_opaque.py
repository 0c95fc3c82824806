"""Opaque operations in proofs, runs and simulations: uninterpreted functions, of which nothing runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import tilewright as tw
from tilewright.analysis.proof import prove_module
from tilewright.analysis.report import Reporter
from tilewright.dialects.checks.dram import off_chip_ranges
from tilewright.passes.manager.pipelines import parse_pipeline
from tilewright.runtime.execute import execute_function
from tilewright.tools import sim

GRAPH = """func.func @f(%x: tensor<64x32xf32>, %v: tensor<64x32xf32>) -> (tensor<64x32xf32>, tensor<64x32xf32>) {
  %r = graph.relu %x : tensor<64x32xf32>
  %s = graph.tanh %r : tensor<64x32xf32>
  %c, %d = "graph.opaque"(%r, %v) {node = "n", op = "Conv"} : (TENSOR, TENSOR) -> (TENSOR, TENSOR)
  %e = graph.add %c, %s : (tensor<64x32xf32>, tensor<64x32xf32>) -> tensor<64x32xf32>
  return %e, %d : tensor<64x32xf32>, tensor<64x32xf32>
}
""".replace("TENSOR", "tensor<64x32xf32>")

LEVELS = ["tile", "tile,lower", "tile,lower,forward,schedule", "O0", "O1", "O1{sram=16KiB}", "O2{sram=16KiB}"]


def passed(pipeline: str) -> tw.ModuleOp:
    module = tw.parse(GRAPH)
    for one in parse_pipeline(pipeline):
        module = one.apply(module)
    tw.verify(module)
    return module


@pytest.mark.parametrize("pipeline", LEVELS)
def test_each_level_is_proved_against_the_graph(pipeline: str) -> None:
    prove_module(tw.parse(GRAPH), passed(pipeline))


@pytest.mark.parametrize("pipeline", LEVELS)
@pytest.mark.parametrize(
    ("pattern", "changed"),
    [
        ('node = "n"', 'node = "m"'),
        ('op = "Conv"', 'op = "Pool"'),
        (r'opaque"\(%r, %v\)', 'opaque"(%v, %r)'),
        ("%e = graph.add %c, %s", "%e = graph.add %d, %s"),
        ("%r = graph.relu", "%r = graph.sigmoid"),
    ],
)
def test_another_operator_node_operand_result_or_source_is_told(pipeline: str, pattern: str, changed: str) -> None:
    model, count = re.subn(pattern, changed, GRAPH)
    assert count == 1
    with pytest.raises(tw.DiagnosticError, match=r"is not what the model computes|fit the model"):
        prove_module(tw.parse(model), passed(pipeline))


@pytest.mark.parametrize("pipeline", ["tile", "tile,lower", "O1"])
def test_nothing_runs(pipeline: str) -> None:
    module = passed(pipeline)
    (func,) = module.functions()
    with pytest.raises(
        tw.DiagnosticError, match=r"cannot run (graph|uop).opaque: what Conv computes is not known here"
    ):
        execute_function(func, module, {})


def test_nothing_is_simulated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "s.mir"
    path.write_text(str(passed("O1")))
    assert sim.main([str(path)]) == 1
    assert re.search(r"s\.mir:\d+:\d+: error: mir-sim does not understand uop\.opaque", capsys.readouterr().err)


def test_its_bytes_count_in_traffic_and_bounds() -> None:
    reporter = Reporter()
    module = passed("O1")
    reporter.begin()("", module)
    report = reporter.report().function("f")
    size = 64 * 32 * 4
    assert report.cost is not None
    assert report.bounds is not None
    assert report.time is None
    assert (report.cost.opaque_ops, report.cost.opaque_read_bytes, report.cost.opaque_written_bytes) == (
        1, 2 * size, 2 * size,
    )  # fmt: skip
    # %x is read, %r stored, %c read, %e stored, beside what the operation moves by itself.
    assert report.bounds.compulsory_bytes == report.cost.traffic_bytes == 4 * size + 4 * size


def test_off_chip_bytes_are_kept_until_it_has_read_them() -> None:
    (func,) = passed("O1").functions()
    (at,) = [i for i, op in enumerate(func.ops) if op.name == "uop.opaque"]
    ranges = {value.name: live for value, live in off_chip_ranges(func).items()}
    assert ranges["r"][1] == at + 1
    assert ranges["e"][0] > at
