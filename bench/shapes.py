"""The workloads of `bench/quality.py`: the table of known results, 40 that are not on it, and those that are timed."""

from __future__ import annotations

from notation import KIB, Shape, chain

REFERENCE = chain(128, 128, 64, 32, 32, layer="relu")
CUBE = chain(512, 512, 512)
MLP = chain(128, 784, 512, 256, 10)
TRANSFORMER = chain(128, 768, 768, 768, 768, 768, 3072, 768)


def _known(name: str, steps: str, *rows: tuple[int, int]) -> list[Shape]:
    return [Shape(f"{name}, {sram} KiB", sram * KIB, steps, best=best * KIB) for sram, best in rows]


TABLE = [
    *_known("reference MLP", REFERENCE, (12, 336), (16, 256), (28, 164), (40, 144), (52, 124), (256, 124)),
    *_known("512x512x512", CUBE, (64, 10_740), (256, 5_668), (1024, 3_360)),
    *_known("MLP 784-512-256-10", MLP, (128, 3_932), (256, 3_092)),
    *_known("transformer chain", TRANSFORMER, (1024, 28_416)),
]
"""Workloads with the best results that are known of schedules checked by an independent simulator."""

UNSEEN = [
    # Single products: square, wide, tall and skinny, deep; dimensions that are no multiple of the tile.
    Shape("square 384x512x256", 384 * KIB, chain(384, 512, 256)),
    Shape("wide 64x256x1024", 64 * KIB, chain(64, 256, 1024)),
    Shape("tall 1024x128x96", 64 * KIB, chain(1024, 128, 96)),
    Shape("outer 512x32x512", 40 * KIB, chain(512, 32, 512)),
    Shape("inner 64x2048x64", 32 * KIB, chain(64, 2048, 64)),
    Shape("deep 256x2048x256", 160 * KIB, chain(256, 2048, 256)),
    Shape("small tiles 256x256x256", 224 * KIB, chain(256, 256, 256), "16x16x16"),
    Shape("edges 100x300x70", 64 * KIB, chain(100, 300, 70)),
    Shape("edges 65x129x33", 20_000, chain(65, 129, 33), "16x16x16"),
    Shape("edges 48x80x1000", 33_000, "x: 48x80; y = x @ 1000 bias; return y"),
    # Convolutions as products of gathered patches (im2col): the first of a ResNet, 3x3 and 1x1 ones.
    Shape("conv stem 3136x27x32", 16 * KIB, "x: 3136x27; y = x @ 32 bias relu; return y"),
    Shape("conv 3x3 i8 196x576x64", 48 * KIB, "x: 196x576xi8; s = x @ 64 bias relu; y = cast s i8; return y"),
    Shape("conv 1x1 f16 784x64x128", 32 * KIB, "x: 784x64xf16; s = x @ 128 bias relu; y = cast s f16; return y"),
    Shape("classifier 1x1280x1000", 16 * KIB, "x: 1x1280; y = x @ 1000 bias; return y", "1x32x64"),
    # Autoencoders and perceptrons, with biases and relus.
    Shape("autoencoder 784-256-64-256-784", 80 * KIB, chain(64, 784, 256, 64, 256, 784, layer="bias relu")),
    Shape("autoencoder 128-64-16-64-128", 50_000, chain(128, 128, 64, 16, 64, 128, layer="bias relu"), "16x16x16"),
    Shape("MLP 784-128-10", 100 * KIB, chain(100, 784, 128, 10, layer="bias relu")),
    Shape("MLP 13-512-256-64", 192 * KIB, chain(128, 13, 512, 256, 64, layer="bias relu"), "16x16x16"),
    Shape("MLP 54-64-64-7", 64 * KIB, chain(512, 54, 64, 64, 7, layer="bias relu"), "16x16x16"),
    Shape("MLP 100-300-70", 60 * KIB, chain(50, 100, 300, 70, layer="bias relu")),
    Shape("MLP 256-512-128, 64x32 tiles", 224 * KIB, chain(128, 256, 512, 128, layer="bias relu"), "64x32x32"),
    Shape("MLP of 6 layers of 96", 42 * KIB + 64, chain(64, 96, 96, 96, 96, 96, 96, 96, layer="relu")),
    Shape("feed-forward 128-512-128", 128 * KIB, chain(96, 128, 512, 128, layer="bias relu")),
    Shape(
        "MLP with tiles of each layer's own",
        100_000,
        "x: 128x64; h = x @ 256 bias relu tile=32x64x16; y = h @ 64 bias tile=32x16x64; return y",
    ),
    # Residual chains.
    Shape(
        "residual, 3 blocks of 64",
        50_000,
        "x: 128x64; a = x @ 64 bias relu; r1 = a + x; b = r1 @ 64 bias relu; r2 = b + r1; c = r2 @ 64 bias relu; "
        "r3 = c + r2; return r3",
    ),
    Shape(
        "residual 64-256-64",
        80 * KIB,
        "x: 128x64; h = x @ 256 bias relu; s = h @ 64 bias; y = s + x; return y",
        "16x16x16",
    ),
    Shape(
        "bottleneck 256-64-64-256",
        64 * KIB + 64,
        "x: 64x256; a = x @ 64 bias relu; b = a @ 64 bias relu; c = b @ 256 bias; s = c + x; y = relu s; return y",
    ),
    Shape(
        "dense skips of 96",
        100_000,
        "x: 96x96; a = x @ 96 relu; b = a @ 96 relu; r = b + a; c = r @ 96 relu; d = c + a; y = d + r; return y",
    ),
    Shape(
        "two branches 256-128", 128 * KIB, "x: 128x256; a = x @ 128 bias relu; b = x @ 128 bias; y = a + b; return y"
    ),
    Shape(
        "far skip over 4 layers of 64",
        75_000,
        "x: 128x64; a = x @ 64 relu; b = a @ 64 relu; c = b @ 64 relu; d = c @ 64; y = d + x; return y",
    ),
    # f16, bf16 and i8 operands with casts between the layers.
    Shape(
        "feed-forward f16 128-512-128",
        128 * KIB,
        "x: 128x128xf16; s = x @ 512 bias relu; h = cast s f16; t = h @ 128 bias; y = cast t f16; return y",
    ),
    Shape("product bf16 256x512x256", 220_000, "x: 256x512xbf16; y = x @ 256; return y"),
    Shape(
        "MLP i8 784-128-10",
        36 * KIB,
        "x: 64x784xi8; s = x @ 128 bias relu; h = cast s i8; y = h @ 10 bias; return y",
    ),
    # Attention and other graphs with shared inputs, shared weights or several results.
    Shape("Q, K, V of 128x128", 64 * KIB, "x: 128x128; q = x @ 64; k = x @ 64; v = x @ 64; return q, k, v"),
    Shape(
        "Q, K, V of 256x64, 16x16 tiles",
        48 * KIB,
        "x: 256x64; q = x @ 64; k = x @ 64; v = x @ 64; return q, k, v",
        "16x16x16",
    ),
    Shape(
        "attention 128x64",
        120 * KIB,
        "x: 128x64; kt: 64x128; v: 128x64; q = x @ 64; s = q @ kt; o = s @ v; p = o @ 64; y = p + x; return y",
    ),
    Shape(
        "low-rank adapter 256-16-256",
        192 * KIB,
        "x: 128x256; y = x @ 256; a = x @ 16 tile=32x16x32; b = a @ 256 tile=32x32x16; z = y + b; return z",
    ),
    Shape(
        "three heads on one trunk",
        48 * KIB,
        "x: 64x128; h = x @ 128 bias relu; a = h @ 10 bias; b = h @ 64 bias; c = h @ 1 bias; return a, b, c",
    ),
    Shape("twin inputs, one weight", 60_000, "x: 64x128; z: 64x128; w: 128x128; a = x @ w; b = z @ w; return a, b"),
    Shape(
        "recurrent, 3 steps of 128",
        108 * KIB,
        "x1: 32x64; x2: 32x64; x3: 32x64; wx: 64x128; wh: 128x128; h0: 32x128; a1 = x1 @ wx; b1 = h0 @ wh; "
        "s1 = a1 + b1; h1 = relu s1; a2 = x2 @ wx; b2 = h1 @ wh; s2 = a2 + b2; h2 = relu s2; a3 = x3 @ wx; "
        "b3 = h2 @ wh; s3 = a3 + b3; h3 = relu s3; return h3",
    ),
]
"""Workloads that nothing was tuned on. They were chosen before their results were known, each with the SRAM of a small
NPU for such a layer; most were given less afterwards, with the ratios known, where nearly any order reached the bound.

Where k is small against the square root of the SRAM (in elements) and for fused layers, the bound is weak: it counts
what is read and written once, and leaves out that sums in progress take up the SRAM. No row was left out for that."""

TIMED = [
    (Shape("512x512x512", 64 * KIB, CUBE), 5.0),
    (Shape("transformer chain", 1024 * KIB, TRANSFORMER), 30.0),
]
"""Workloads, and the seconds within which -O1 plans each."""

GROWTH = [
    (Shape("256x256x256", 64 * KIB, chain(256, 256, 256)), Shape("512x512x512", 64 * KIB, CUBE)),
    (Shape("512x512x512", 64 * KIB, CUBE), Shape("1024x1024x1024", 64 * KIB, chain(1024, 1024, 1024))),
    (
        Shape("2 layers", 64 * KIB, chain(128, *[128] * 3, layer="relu")),
        Shape("16 layers", 64 * KIB, chain(128, *[128] * 17, layer="relu")),
    ),
]
"""Pairs of workloads, the second with eight times the execs, whose planning times are compared."""
