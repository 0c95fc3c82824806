"""Modules of any size for the benchmarks: the same arguments give the same text.

python bench/generate.py --uops 10000 > big.mir
python bench/generate.py --uops 10000 --generic > big.generic.mir
python bench/generate.py --layers 12 > model.mir
python bench/generate.py --bert-base > bert.mir
python bench/generate.py --transformer --layers 2 --width 64 --ffn 256 --tokens 32 > small.mir

A transformer is its products, biases, relu and residual sums. Attention itself (Q K^T, softmax, times V) and layer
normalisation are not in the language: Q + K + V stands for the former, so that all three are computed and read, and
nothing for the latter; relu stands for GELU. All tensors are f32.
"""

from __future__ import annotations

import argparse

import tilewright

ROWS, WIDTH, TILE = 128, 256, 32
"""The network: a batch of ROWS through layers of WIDTH x WIDTH weights with bias and relu, in square tiles of TILE."""

UOPS_PER_LAYER = (ROWS // TILE) * (WIDTH // TILE) * (2 + 3 * (WIDTH // TILE) + 1)
"""What one layer lowers to: per result tile a bias (load, exec), the products (two loads, exec), and a store."""

BERT_BASE = {"layers": 12, "width": 768, "ffn": 3072, "tokens": 128}
"""BERT-base's sizes (Devlin et al., 2019) at 128 tokens, as `transformer_text` takes them."""


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


def transformer_text(layers: int, width: int, ffn: int, tokens: int) -> str:
    """An encoder's layers: six products with bias each, relu between the two of the feed-forward block, residual sums
    around the attention's output and the block. The module's docstring says what stands for the rest."""
    wide, narrow = f"tensor<{tokens}x{ffn}xf32>", f"tensor<{tokens}x{width}xf32>"
    args, body = [f"%x: {narrow}"], []

    def product(result: str, left: str, name: str, rows: int, columns: int) -> None:
        source, made = f"tensor<{tokens}x{rows}xf32>", f"tensor<{tokens}x{columns}xf32>"
        w, b = f"tensor<{rows}x{columns}xf32>", f"tensor<{columns}xf32>"
        args.extend((f"%w{name}: {w} {{graph.param}}", f"%b{name}: {b} {{graph.param}}"))
        body.append(f"  %{result}_ = graph.matmul %{left}, %w{name} : ({source}, {w}) -> {made}")
        body.append(f"  %{result} = graph.add %{result}_, %b{name} : ({made}, {b}) -> {made}")

    def total(result: str, a: str, b: str) -> None:
        body.append(f"  %{result} = graph.add %{a}, %{b} : ({narrow}, {narrow}) -> {narrow}")

    x = "x"
    for i in range(layers):
        for name in "qkv":
            product(f"{name}{i}", x, f"{name}{i}", width, width)
        total(f"qk{i}", f"q{i}", f"k{i}")
        total(f"c{i}", f"qk{i}", f"v{i}")
        product(f"o{i}", f"c{i}", f"o{i}", width, width)
        total(f"a{i}", f"o{i}", x)
        product(f"u{i}", f"a{i}", f"u{i}", width, ffn)
        body.append(f"  %h{i} = graph.relu %u{i} : {wide}")
        product(f"d{i}", f"h{i}", f"d{i}", ffn, width)
        total(f"y{i}", f"d{i}", f"a{i}")
        x = f"y{i}"
    head = f"func.func @transformer({', '.join(args)}) -> {narrow} {{"
    return "\n".join([head, *body, f"  return %{x} : {narrow}", "}", ""])


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
    shown = " ".join(f"--{name} {count}" for name, count in BERT_BASE.items())
    size.add_argument("--bert-base", action="store_true", help=f"--transformer {shown}")
    parser.add_argument("--transformer", action="store_true", help="with --layers: those of a transformer's encoder")
    meanings = {"width": "columns of a layer", "ffn": "columns between the FFN's products", "tokens": "rows"}
    for name, meaning in meanings.items():
        described = f"with --transformer: {meaning}, {BERT_BASE[name]}"
        parser.add_argument(f"--{name}", type=int, metavar="N", default=BERT_BASE[name], help=described)
    parser.add_argument("--generic", action="store_true", help="in MLIR's generic form")
    args = parser.parse_args()
    print(text_for(args), end="")


def text_for(args: argparse.Namespace) -> str:
    """The module that the command line asks for."""
    if args.uops is not None:
        return uop_text(args.uops, args.generic)
    if args.bert_base:
        text = transformer_text(**BERT_BASE)
    elif args.transformer:
        text = transformer_text(args.layers, args.width, args.ffn, args.tokens)
    else:
        text = graph_text(args.layers)
    return tilewright.print(tilewright.parse(text), generic=True) if args.generic else text


if __name__ == "__main__":
    main()
