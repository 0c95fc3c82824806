"""Texts that several tests work on: the reference workload, chains of products, and one sample per level."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import tilewright

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = (ROOT / "examples" / "mlp.mir").read_text(encoding="utf-8")
TILE = 32 * 32 * 4
"""Bytes of one tile of the reference workload."""

MIXED = """\
func.func @mixed(%x: tensor<5x7xf32>, %w: tensor<7x6xf32> {graph.param}, %b: tensor<6xf32>,
                 %r: tensor<5x6xf32>, %u: tensor<3x3xi8>) -> (tensor<5x6xf32>, tensor<5x6xf16>, tensor<3x3xi8>) {
  %a = graph.matmul %x, %w : (tensor<5x7xf32>, tensor<7x6xf32>) -> tensor<5x6xf32>
  %s = graph.add %a, %b : (tensor<5x6xf32>, tensor<6xf32>) -> tensor<5x6xf32>
  %t = graph.relu %s : tensor<5x6xf32>
  %y = graph.add %t, %r : (tensor<5x6xf32>, tensor<5x6xf32>) -> tensor<5x6xf32>
  %h = graph.cast %y : tensor<5x6xf32> -> tensor<5x6xf16>
  return %y, %h, %u : tensor<5x6xf32>, tensor<5x6xf16>, tensor<3x3xi8>
}
"""
"""Every graph operation, odd sizes, a residual, several results, an argument returned."""

REDUNDANT = """\
func.func @redundant(%x: tensor<5x7xf32>, %w: tensor<7x6xf32> {graph.param}) -> tensor<5x6xf32> {
  %a = graph.matmul %x, %w : (tensor<5x7xf32>, tensor<7x6xf32>) -> tensor<5x6xf32>
  %b = graph.matmul %x, %w : (tensor<5x7xf32>, tensor<7x6xf32>) -> tensor<5x6xf32>
  %r = graph.relu %b : tensor<5x6xf32>
  %s = graph.relu %r : tensor<5x6xf32>
  %d = graph.add %s, %a : (tensor<5x6xf32>, tensor<5x6xf32>) -> tensor<5x6xf32>
  %y = graph.sub %a, %s : (tensor<5x6xf32>, tensor<5x6xf32>) -> tensor<5x6xf32>
  return %y : tensor<5x6xf32>
}
"""
"""Something that is dead, something computed twice, and something cut twice."""


def chain_text(sizes: Sequence[int], relu: bool = False) -> str:
    """Products in a row, `sizes` = (batch, inputs, outputs of the first, of the second, ...), f32."""
    batch, width, *outputs = sizes
    args = [f"%x: tensor<{batch}x{width}xf32>"]
    body: list[str] = []
    value = "x"
    for i, out in enumerate(outputs):
        args.append(f"%w{i}: tensor<{width}x{out}xf32>")
        types = f"(tensor<{batch}x{width}xf32>, tensor<{width}x{out}xf32>) -> tensor<{batch}x{out}xf32>"
        body.append(f"  %a{i} = graph.matmul %{value}, %w{i} : {types}")
        value, width = f"a{i}", out
        if relu and i < len(outputs) - 1:
            body.append(f"  %h{i} = graph.relu %a{i} : tensor<{batch}x{out}xf32>")
            value = f"h{i}"
    result = f"tensor<{batch}x{width}xf32>"
    body.append(f"  return %{value} : {result}")
    return f"func.func @chain({', '.join(args)}) -> {result} {{\n" + "\n".join(body) + "\n}\n"


def levels() -> dict[str, str]:
    """The reference workload and the mixed function at each level, as text."""
    samples: dict[str, str] = {}
    for name, text, sizes in (("mlp", REFERENCE, "32x32x32"), ("mixed", MIXED, "4x4x4")):
        tiled = f"fuse,tile{{sizes={sizes}}}"
        samples |= {
            f"{name}-graph": tilewright.run_passes(text, ""),
            f"{name}-tiled": tilewright.run_passes(text, tiled),
            f"{name}-uop": tilewright.run_passes(text, f"{tiled},lower"),
            f"{name}-sched": tilewright.run_passes(text, f"{tiled},lower,schedule{{double-buffer}}"),
        }
    return samples
