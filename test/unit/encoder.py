"""An encoder's layers as a graph's text: attention by heads, which are views, and a normalisation, written out."""

from __future__ import annotations


def encoder_text(layers: int, tokens: int, heads: int, size: int) -> str:
    """Layers of an attention with so many heads of `size` columns, added to its input and normalised."""
    width = heads * size
    lines: list[str] = []
    arguments = [f"%x: {_type(tokens, width)}"]
    x = "%x"
    for layer in range(layers):
        arguments += [f"%w{name}{layer}: {_type(width, width)}" for name in "qkvo"]
        lines += _layer(x, str(layer), tokens, heads, size)
        x = f"%y{layer}"
    text = "\n  ".join(lines)
    matrix = _type(tokens, width)
    return f"func.func @encoder({', '.join(arguments)}) -> {matrix} {{\n  {text}\n  return {x} : {matrix}\n}}\n"


def _type(*shape: int) -> str:
    return f"tensor<{'x'.join(map(str, shape))}xf32>"


def _layer(x: str, n: str, tokens: int, heads: int, size: int) -> list[str]:
    matrix, column, row = _type(tokens, heads * size), _type(tokens, 1), _type(heads * size, heads * size)
    split, turned = _type(tokens, heads, size), _type(heads, tokens, size)
    scores, ends = _type(heads, tokens, tokens), _type(heads, tokens, 1)
    lines: list[str] = []
    for name in "qkv":
        lines += [
            f"%{name}2{n} = graph.matmul {x}, %w{name}{n} : ({matrix}, {row}) -> {matrix}",
            f"%{name}3{n} = graph.reshape %{name}2{n} : {matrix} -> {split}",
            f"%{name}{n} = graph.transpose %{name}3{n} {{permutation = [1, 0, 2]}} : {split} -> {turned}",
        ]
    return [
        *lines,
        f"%s{n} = graph.matmul %q{n}, %k{n} {{transpose_b}} : ({turned}, {turned}) -> {scores}",
        f'%m{n} = graph.reduce %s{n} {{axes = [2], kind = "max"}} : {scores} -> {ends}',
        f"%d{n} = graph.sub %s{n}, %m{n} : ({scores}, {ends}) -> {scores}",
        f"%e{n} = graph.exp %d{n} : {scores}",
        f'%t{n} = graph.reduce %e{n} {{axes = [2], kind = "sum"}} : {scores} -> {ends}',
        f"%p{n} = graph.div %e{n}, %t{n} : ({scores}, {ends}) -> {scores}",
        f"%o{n} = graph.matmul %p{n}, %v{n} : ({scores}, {turned}) -> {turned}",
        f"%o3{n} = graph.transpose %o{n} {{permutation = [1, 0, 2]}} : {turned} -> {split}",
        f"%o2{n} = graph.reshape %o3{n} : {split} -> {matrix}",
        f"%z{n} = graph.matmul %o2{n}, %wo{n} : ({matrix}, {row}) -> {matrix}",
        f"%a{n} = graph.add %z{n}, {x} : {matrix}",
        f'%b{n} = graph.reduce %a{n} {{axes = [1], kind = "sum"}} : {matrix} -> {column}',
        f"%c{n} = graph.sub %a{n}, %b{n} : ({matrix}, {column}) -> {matrix}",
        f"%f{n} = graph.mul %c{n}, %c{n} : {matrix}",
        f'%g{n} = graph.reduce %f{n} {{axes = [1], kind = "sum"}} : {matrix} -> {column}',
        f"%h{n} = graph.rsqrt %g{n} : {column}",
        f"%y{n} = graph.mul %c{n}, %h{n} : ({matrix}, {column}) -> {matrix}",
    ]
