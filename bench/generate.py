"""Modules of any size for the benchmarks: the same arguments give the same text.

python bench/generate.py --uops 10000 > big.mir
python bench/generate.py --uops 10000 --generic > big.generic.mir
python bench/generate.py --layers 12 > model.mir
"""

from __future__ import annotations

import argparse

import tilewright

ROWS, WIDTH, TILE = 128, 256, 32
"""The network: a batch of ROWS through layers of WIDTH x WIDTH weights with bias and relu, in square tiles of TILE."""

UOPS_PER_LAYER = (ROWS // TILE) * (WIDTH // TILE) * (2 + 3 * (WIDTH // TILE) + 1)
"""What one layer lowers to: per result tile a bias (load, exec), the products (two loads, exec), and a store."""


def graph_text(layers: int) -> str:
    """A chain of `layers` products, each with bias and relu: three graph operations a layer."""
    x, w, b = f"tensor<{ROWS}x{WIDTH}xf32>", f"tensor<{WIDTH}x{WIDTH}xf32>", f"tensor<{WIDTH}xf32>"
    args = [f"%x: {x}"]
    body: list[str] = []
    last = "x"
    for i in range(layers):
        args += [f"%w{i}: {w} {{graph.param}}", f"%b{i}: {b} {{graph.param}}"]
        body += [
            f"  %a{i} = graph.matmul %{last}, %w{i} : ({x}, {w}) -> {x}",
            f"  %s{i} = graph.add %a{i}, %b{i} : ({x}, {b}) -> {x}",
            f"  %h{i} = graph.relu %s{i} : {x}",
        ]
        last = f"h{i}"
    head = f"func.func @chain({', '.join(args)}) -> {x} {{"
    return "\n".join([head, *body, f"  return %{last} : {x}", "}", ""])


def uop_text(uops: int, generic: bool = False) -> str:
    """About `uops` tile operations (whole layers, at least one), by the real fuse, tile and lower passes."""
    layers = max(1, round(uops / UOPS_PER_LAYER))
    pipeline = f"fuse,tile{{sizes={TILE}x{TILE}x{TILE}}},lower"
    return tilewright.run_passes(graph_text(layers), pipeline, generic=generic)


def main() -> None:
    parser = argparse.ArgumentParser(description="Prints a generated module.")
    size = parser.add_mutually_exclusive_group(required=True)
    size.add_argument("--uops", type=int, metavar="N", help="about N tile operations, at uop level")
    size.add_argument("--layers", type=int, metavar="N", help="N layers, at graph level")
    parser.add_argument("--generic", action="store_true", help="in MLIR's generic form")
    args = parser.parse_args()
    if args.uops is not None:
        text = uop_text(args.uops, args.generic)
    else:
        text = graph_text(args.layers)
        if args.generic:
            text = tilewright.print(tilewright.parse(text), generic=True)
    print(text, end="")


if __name__ == "__main__":
    main()
