"""Graphs whose plans `bench/random_search.py` tries to beat: chains, siblings, gates, residuals, diamonds, adapters.

They were chosen before any result was known, with SRAMs from the least that the baseline's order needs (12 KiB for
three tiles of 32x32 in f32) to one where all weights have room.
"""

from __future__ import annotations

from notation import KIB, Shape, chain

LOW_RANK = "tile=32x{rank}x32", "tile=32x32x{rank}"


def narrow_chain(rows: int, layers: int, width: int, dtype: str) -> str:
    """Layers whose operands have an element type of fewer bits than the sums: a relu and a cast after each."""
    steps, value = [f"x: {rows}x{width}x{dtype}"], "x"
    for i in range(1, layers + 1):
        steps += [f"s{i} = {value} @ {width} relu", f"h{i} = cast s{i} {dtype}"]
        value = f"h{i}"
    return "; ".join([*steps, f"return {value}"])


def siblings(argument: str, *widths: int, layer: str = "") -> str:
    """Products of one input, all of them returned."""
    names = [f"s{i}" for i in range(len(widths))]
    made = [f"{name} = x @ {width} {layer}".strip() for name, width in zip(names, widths, strict=True)]
    return "; ".join([f"x: {argument}", *made, f"return {', '.join(names)}"])


def gate(source: str, inner: int, outer: int, name: str, activation: str = "") -> str:
    """`name` is `outer` columns of the product of two others of `source`, one of them activated."""
    activated = f"{name}a = {activation} {name}g; " if activation else ""
    gated = f"{name}a" if activation else f"{name}g"
    return (
        f"{name}u = {source} @ {inner}; {name}g = {source} @ {inner}; {activated}"
        f"{name}m = {name}u * {gated}; {name} = {name}m @ {outer}"
    )


def residuals(argument: str, blocks: int, *widths: int) -> str:
    """Blocks of products of these widths, whose input is added to their result."""
    steps, value = [f"x: {argument}"], "x"
    for i in range(1, blocks + 1):
        inner = value
        for j, width in enumerate(widths):
            steps.append(f"h{i}{j} = {inner} @ {width} bias relu")
            inner = f"h{i}{j}"
        steps.append(f"r{i} = {inner} + {value}")
        value = f"r{i}"
    return "; ".join([*steps, f"return {value}"])


def adapted(source: str, width: int, rank: int, name: str) -> str:
    """A product of `source`, and a low-rank one added to it."""
    down, up = (tile.format(rank=rank) for tile in LOW_RANK)
    return (
        f"{name}w = {source} @ {width}; {name}d = {source} @ {rank} {down}; {name}b = {name}d @ {width} {up}; "
        f"{name} = {name}w + {name}b"
    )


def experts(argument: str, count: int, inner: int, outer: int) -> str:
    """Perceptrons side by side on one input, their results summed."""
    steps = [f"x: {argument}"]
    for i in range(count):
        steps += [f"u{i} = x @ {inner} relu", f"e{i} = u{i} @ {outer}"]
    steps.append("y1 = e0 + e1")
    steps += [f"y{i} = y{i - 1} + e{i}" for i in range(2, count)]
    return "; ".join([*steps, f"return y{count - 1}"])


def diamonds(argument: str, count: int, width: int) -> str:
    """Two products of one value, summed, several times in a row."""
    steps, value = [f"x: {argument}"], "x"
    for i in range(1, count + 1):
        steps += [f"a{i} = {value} @ {width} relu", f"b{i} = {value} @ {width}", f"d{i} = a{i} + b{i}"]
        value = f"d{i}"
    return "; ".join([*steps, f"y = {value} @ {width}; return y"])


BRANCHING = [
    # Chains, uniform and tapering.
    Shape("chain of 5x64, 256 rows", 12 * KIB, chain(256, *[64] * 6)),
    Shape("chain of 8x32, 256 rows", 16 * KIB, chain(256, *[32] * 9, layer="relu")),
    Shape("chain of 10x64, 192 rows", 48 * KIB, chain(192, *[64] * 11, layer="relu")),
    Shape("chain of 16x32, 384 rows", 80 * KIB, chain(384, *[32] * 17, layer="bias relu")),
    Shape("chain of 20x48, 200 rows", 40 * KIB, chain(200, *[48] * 21, layer="relu")),
    Shape("chain of 24x32, 256 rows", 24 * KIB, chain(256, *[32] * 25, layer="relu")),
    Shape("chain of 32x32, 256 rows", 160 * KIB, chain(256, *[32] * 33)),
    Shape("chain of 32x32, 16x16 tiles", 10 * KIB, chain(128, *[32] * 33, layer="relu"), "16x16x16"),
    Shape("taper 256-192-128-96-64-32", 64 * KIB, chain(128, 256, 192, 128, 96, 64, 32, layer="relu")),
    Shape("taper 128-96-64-48-32-16-8", 6 * KIB, chain(100, 128, 96, 64, 48, 32, 16, 8, layer="relu"), "16x16x16"),
    Shape("hourglass 128-64-32-64-128", 30 * KIB, chain(160, 128, 64, 32, 64, 128, layer="bias relu")),
    Shape("chain f16 of 12x64", 32 * KIB, narrow_chain(256, 12, 64, "f16")),
    Shape("chain i8 of 6x64", 20 * KIB, narrow_chain(256, 6, 64, "i8")),
    # Siblings: products of one input.
    Shape("Q, K, V of 256x96", 20 * KIB, siblings("256x96", 96, 96, 96)),
    Shape("Q, K, V f16 of 256x128", 24 * KIB, siblings("256x128xf16", 128, 128, 128)),
    Shape("six heads of 192x128", 36 * KIB, siblings("192x128", *[32] * 6)),
    Shape("four experts of 64", 48 * KIB, experts("128x64", 4, 64, 64)),
    Shape("eight narrow siblings", 12 * KIB, siblings("128x64", *[32] * 8)),
    Shape("Q, K, V i8 of 192x128", 16 * KIB, siblings("192x128xi8", 128, 128, 128)),
    Shape("two wide siblings, 16x16 tiles", 12 * KIB, siblings("96x96", 192, 192, layer="relu"), "16x16x16"),
    # Gates: up and gate into down.
    Shape("gate 96-256-96", 64 * KIB, f"x: 128x96; {gate('x', 256, 96, 'y', 'sigmoid')}; return y"),
    Shape("gate 64-192-64, plain", 32 * KIB, f"x: 192x64; {gate('x', 192, 64, 'y')}; return y"),
    Shape(
        "gate f16 128-256-128",
        48 * KIB,
        "x: 128x128xf16; u = x @ 256; g = x @ 256; a = gelu g; m = u * a; h = cast m f16; y = h @ 128; return y",
    ),
    Shape(
        "gate with residual 64-160-64", 40 * KIB, f"x: 128x64; {gate('x', 160, 64, 'h', 'gelu')}; y = h + x; return y"
    ),
    Shape(
        "two gates 64-128-64",
        44 * KIB,
        f"x: 96x64; {gate('x', 128, 64, 'h', 'sigmoid')}; {gate('h', 128, 64, 'y', 'sigmoid')}; return y",
    ),
    Shape("gate 64-128-64, least SRAM", 12 * KIB, f"x: 64x64; {gate('x', 128, 64, 'y', 'sigmoid')}; return y"),
    Shape("gate 48-112-48, 16x16 tiles", 8 * KIB, f"x: 80x48; {gate('x', 112, 48, 'y')}; return y", "16x16x16"),
    # Residual chains.
    Shape("residual, 8 blocks of 32", 40 * KIB, residuals("256x32", 8, 32)),
    Shape("residual, 5 blocks of 64-64", 56 * KIB, residuals("128x64", 5, 64, 64)),
    Shape("residual, 4 blocks of 64, 64x32 tiles", 72 * KIB, residuals("256x64", 4, 64), "64x32x32"),
    Shape("bottlenecks 128-32-128", 36 * KIB, residuals("96x128", 3, 32, 128)),
    # Diamonds.
    Shape("diamond of 64", 40 * KIB, diamonds("192x64", 1, 64)),
    Shape("three diamonds of 64", 52 * KIB, diamonds("160x64", 3, 64)),
    Shape(
        "uneven diamond of 64",
        30 * KIB,
        "x: 128x64; a = x @ 64 relu; b = a @ 64 relu; c = b @ 64; s = x @ 64; d = c + s; y = d @ 64; return y",
    ),
    Shape(
        "crossed branches of 64",
        28 * KIB,
        "x: 128x64; a = x @ 64; b = x @ 64; c = a @ 64; d = b @ 64; y = c + d; z = c * d; return y, z",
    ),
    # Low-rank adapters.
    Shape("adapter 128-16-128", 48 * KIB, f"x: 192x128; {adapted('x', 128, 16, 'y')}; return y"),
    Shape(
        "Q, K, V with adapters of rank 8",
        36 * KIB,
        f"x: 128x64; {adapted('x', 64, 8, 'q')}; {adapted('x', 64, 8, 'k')}; {adapted('x', 64, 8, 'v')}; "
        "return q, k, v",
    ),
    Shape(
        "three adapted layers of 64",
        40 * KIB,
        f"x: 128x64; {adapted('x', 64, 16, 'a')}; {adapted('a', 64, 16, 'b')}; {adapted('b', 64, 16, 'c')}; return c",
    ),
    # Mixed.
    Shape(
        "attention and gate of 64",
        60 * KIB,
        "x: 96x64; kt: 64x96; v: 96x64; q = x @ 64; s = q @ kt; o = s @ v; p = o @ 64; r = p + x; "
        f"{gate('r', 128, 64, 'h', 'sigmoid')}; y = h + r; return y",
    ),
    Shape(
        "trunk with heads and a residual",
        26 * KIB,
        "x: 160x64; a = x @ 64 bias relu; b = a @ 64 bias; t = b + x; p = t @ 32; q = t @ 64 relu; r = q @ 10 bias; "
        "return p, r",
    ),
]
"""Forty workloads on which plans are held against a random search."""
