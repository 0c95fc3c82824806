"""Which tiles go together: equally much of each is no padding, along each axis that they share."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

import tilewright
from tilewright import DiagnosticError
from tilewright.analysis.proof import prove_module
from tilewright.runtime.execute import execute_function

from ..models import ROOT

MLP = (ROOT / "examples" / "mlp.mir").read_text(encoding="utf-8")


def refusal(text: str) -> str:
    with pytest.raises(DiagnosticError) as caught:
        tilewright.parse(text)
    return str(caught.value)


@pytest.mark.parametrize("passes", ["fuse,tile,lower", "schedule"])
@pytest.mark.parametrize(("old", "new"), [("128x64", "128x63"), ("128x64", "127x64"), ("128x64", "97x33")])
def test_an_alloc_of_another_extent(passes: str, old: str, new: str) -> None:
    """As many tiles of one shape; accepted once by verifier and proof."""
    text = tilewright.run_passes(MLP, passes)
    alloc = f"%h1 = uop.alloc : !uop.tiled<tensor<{old}xf32>"
    assert alloc in text
    assert "the parts of its tiles that are no padding don't fit" in refusal(
        text.replace(alloc, alloc.replace(old, new))
    )


CHAIN = """func.func @f(%x: tensor<3x4xf32>, %w: tensor<4x3xf32>, %v: tensor<3x4xf32>) -> tensor<3x4xf32> {
  %h = graph.matmul %x, %w : (tensor<3x4xf32>, tensor<4x3xf32>) -> tensor<3x3xf32>
  %g = graph.relu %h : tensor<3x3xf32>
  %y = graph.matmul %g, %v : (tensor<3x3xf32>, tensor<3x4xf32>) -> tensor<3x4xf32>
  return %y : tensor<3x4xf32>
}
"""


def chain_in_tiles() -> str:
    """The chain in tiles of 4x4, larger than its axes: what `tile` cuts, a hand may write."""
    text = tilewright.run_passes(CHAIN, "tile{sizes=4x4x4},lower")
    return re.sub(r"\[[34], [34]\]>", "[4, 4]>", text)


@pytest.mark.parametrize("shape", [s for s in itertools.product((1, 2, 3, 4), (1, 2, 3, 4)) if s != (3, 3)])
@pytest.mark.parametrize("name", ["h", "g"])
def test_every_other_extent_of_an_intermediate(name: str, shape: tuple[int, int]) -> None:
    """Too small, data are cut off; too large, an infinity times the padding's zeros is NaN. The proof, which does not
    rely on the verifier, refuses what computes something else."""
    text = chain_in_tiles()
    old = f"%{name} = uop.alloc : !uop.tiled<tensor<3x3xf32>"
    assert old in text
    changed = text.replace(old, old.replace("3x3", "x".join(map(str, shape))))
    assert "the parts of its tiles that are no padding don't fit" in refusal(changed)
    module = tilewright.parse(changed, verify=False)
    with pytest.raises(DiagnosticError, match="is not what the model computes"):
        prove_module(tilewright.parse(CHAIN), module)


def test_too_large_an_extent_meets_infinities() -> None:
    """What the refusal is for: these texts compute different things."""
    text = chain_in_tiles()
    inputs = {
        "x": np.full((3, 4), -np.inf, np.float32), "w": np.ones((4, 3), np.float32), "v": np.ones((3, 4), np.float32),
    }  # fmt: skip
    results = []
    alloc = "uop.alloc : !uop.tiled<tensor<3x3xf32>"
    for shape in ("3x3", "3x4"):
        module = tilewright.parse(text.replace(alloc, alloc.replace("3x3", shape)), verify=False)
        (func,) = module.functions()
        results.append(execute_function(func, module, inputs, verified=True).arrays[0])
    assert not np.array_equal(*results)


MERGED = """func.func @f(%x: !uop.tiled<tensor<4x4xf32>, [4, 4]>, %z: !uop.tiled<tensor<4x3xf32>, [4, 4]>)
    -> (!uop.tiled<tensor<4x4xf32>, [4, 4]>, !uop.tiled<tensor<4x3xf32>, [4, 4]>) {
  %a = uop.alloc : !uop.tiled<tensor<4x4xf32>, [4, 4]>
  %b = uop.alloc : !uop.tiled<tensor<4x3xf32>, [4, 4]>
  %y = uop.alloc : !uop.tiled<tensor<4x4xf32>, [4, 4]>
  %u = uop.alloc : !uop.tiled<tensor<4x3xf32>, [4, 4]>
  uop.load %x[0, 0]
  uop.load %z[0, 0]
  uop.exec exp %a[0, 0] = %x[0, 0]
  uop.exec relu %y[0, 0] = %a[0, 0]
  uop.exec exp %b[0, 0] = %z[0, 0]
  uop.exec relu %u[0, 0] = %b[0, 0]
  uop.store %y[0, 0]
  uop.store %u[0, 0]
  return %y, %u : !uop.tiled<tensor<4x4xf32>, [4, 4]>, !uop.tiled<tensor<4x3xf32>, [4, 4]>
}
"""


@pytest.mark.parametrize(("old", "new"), [("%a", "%b"), ("%b", "%a")])
def test_two_allocs_of_one_tile_shape_merged(old: str, new: str) -> None:
    tilewright.parse(MERGED)
    head, tail = MERGED.split("  uop.load", 1)
    assert "no padding don't fit" in refusal(f"{head}  uop.load{tail.replace(old + '[', new + '[')}")


def test_what_is_known_of_full_tiles_says_nothing_of_the_last_ones() -> None:
    """The verifier's memory of execs that were right."""
    text = """func.func @f(%x: !uop.tiled<tensor<8x6xf32>, [4, 4]>) {
  %y = uop.alloc : !uop.tiled<tensor<6x8xf32>, [4, 4]>
  uop.exec relu %y[0, 0] = %x[0, 0]
  uop.exec relu %y[0, 0] = %x[1, 0]
  uop.exec relu %y[0, 1] = %x[0, 0]
  uop.exec relu %y[1, 0] = %x[0, 0]
  uop.exec relu %y[0, 0] = %x[0, 1]
  uop.exec relu %y[1, 0] = %x[0, 1]
  uop.exec relu %y[1, 1] = %x[1, 1]
  uop.exec relu %y[1, 0] = %x[0, 0]
  return
}
"""
    module = tilewright.parse(text, verify=False)
    with pytest.raises(DiagnosticError) as caught:
        tilewright.verify(module)
    lines = [error.loc for error in caught.value.diagnostics]
    wrong = [i for i, line in enumerate(text.split("\n")) if line.startswith("  uop.exec")][3:]
    starts = [sum(len(line) + 1 for line in text.split("\n")[:i]) + 2 for i in wrong]
    assert lines == starts
