"""--prove-each from within: every pass proves on every example, and a pass that changes what is computed is blamed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest

import tilewright
from tilewright import DiagnosticError
from tilewright.analysis.proof import prove_module
from tilewright.ir.builtin import ModuleOp
from tilewright.passes.manager import PASSES, load_passes, make_pass
from tilewright.passes.manager.pipelines import parse_pipeline
from tilewright.passes.manager.running import run_passes_on

from ..models import ROOT

GRAPHS = ("mlp", "mlp_mnist", "quantized", "transformer_ffn")

LAYER = """\
func.func @layer(%x: tensor<4x4xf32>, %w: tensor<4x4xf32>, %b: tensor<4xf32>) -> tensor<4x4xf32> {
  %m = graph.matmul %x, %w : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %s = graph.add %m, %b : (tensor<4x4xf32>, tensor<4xf32>) -> tensor<4x4xf32>
  %y = graph.relu %s : tensor<4x4xf32>
  return %y : tensor<4x4xf32>
}
"""


def parse(text: str) -> ModuleOp:
    return tilewright.parse(text, filename="made.mir")


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize(
    ("machine", "how"), [("", ""), ("sram=64KiB", "evict=lru double-buffer"), ("sram=1MiB align=4096", "evict=cost")]
)
def test_every_pass_proves_on_an_example(name: str, machine: str, how: str) -> None:
    module = parse((ROOT / "examples" / f"{name}.mir").read_text(encoding="utf-8"))
    first = "split-softmax,decompose,canonicalize,cse,dce,fuse,linearize,tile"
    planned = f"{first},plan{{{machine}}},lower,forward,reorder{{{machine}}},schedule{{{machine} {how}}}"
    passes = parse_pipeline(f"{planned},prefetch,pingpong,sync")
    assert {p.name for p in passes} == set(load_passes()), "prove the new pass here, too"
    if machine == "sram=64KiB":  # whose halves are too small for what is computed
        passes = [p for p in passes if p.name != "pingpong"]
    if name == "transformer_ffn":  # these take 20 seconds or more
        passes = [p for p in passes if p.name not in ("plan", "reorder", "prefetch", "pingpong")]
    made = run_passes_on(module, passes, prove_each=True)
    prove_module(module, made)


@dataclass(frozen=True)
class DropRelu:
    """Leaves out the last relu."""

    name: ClassVar[str] = "drop-relu"
    needs: ClassVar[tuple[str, ...]] = ()

    def apply(self, module: ModuleOp) -> ModuleOp:
        return tilewright.parse(tilewright.print(module).replace("return %y", "return %s"), filename="made.mir")


@dataclass(frozen=True)
class DropFunction:
    """Leaves out all functions but the first."""

    name: ClassVar[str] = "drop-function"
    needs: ClassVar[tuple[str, ...]] = ()

    def apply(self, module: ModuleOp) -> ModuleOp:
        return ModuleOp(module.ops[:1], attrs=module.attrs, source=module.source)


def test_a_wrong_pass_is_blamed() -> None:
    module = parse(LAYER)
    passes = [DropRelu(), make_pass("fuse")]
    run_passes_on(module, passes)
    with pytest.raises(DiagnosticError) as caught:
        run_passes_on(module, passes, prove_each=True)
    assert str(caught.value) == (
        f"made.mir:3:8: error: pass 'drop-relu' changed what is computed (a bug in {__name__}): %s[0, 0] is not what "
        "the model computes: the relu is missing\n"
        "  %s = graph.add %m, %b : (tensor<4x4xf32>, tensor<4xf32>) -> tensor<4x4xf32>\n       ^"
    )


def test_a_pass_that_loses_a_function_is_blamed() -> None:
    module = parse(LAYER + LAYER.replace("@layer", "@second"))
    blame = r"pass 'drop-function' changed what is computed .*: the model's function @second is missing"
    with pytest.raises(DiagnosticError, match=blame):
        run_passes_on(module, [DropFunction()], prove_each=True)


def test_the_wrong_passes_are_known_to_this_test_only() -> None:
    load_passes()
    assert not {"drop-relu", "drop-function"} & set(PASSES)
