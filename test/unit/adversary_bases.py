"""The valid texts that the adversary changes: graphs with how they are compiled, and uops by hand.

Small, and with sizes that tile sizes don't divide: spilled tiles, tiles off chip at addresses, pins, ping/pong halves,
queues, vectors, batches, transposed operands, reductions, views, several functions, results that are no tiles, and
every kernel of the table.
"""

from __future__ import annotations

CHAIN = """\
func.func @chain(%x: tensor<5x7xf32>, %w1: tensor<7x6xf32>, %b1: tensor<6xf32>, %w2: tensor<6x5xf32>)
    -> (tensor<5x5xf32>, tensor<5x6xf32>) {
  %a = graph.matmul %x, %w1, %b1 {activation = "relu"}
      : (tensor<5x7xf32>, tensor<7x6xf32>, tensor<6xf32>) -> tensor<5x6xf32>
  %y = graph.matmul %a, %w2 : (tensor<5x6xf32>, tensor<6x5xf32>) -> tensor<5x5xf32>
  %r = graph.relu %y : tensor<5x5xf32>
  %s = graph.add %r, %y : (tensor<5x5xf32>, tensor<5x5xf32>) -> tensor<5x5xf32>
  return %s, %a : tensor<5x5xf32>, tensor<5x6xf32>
}
"""

ELEMENTWISE = """\
func.func @table(%x: tensor<3x6xf32>, %z: tensor<3x6xf32>, %v: tensor<6xf32>) -> (tensor<3x6xf32>, tensor<3x6xf32>) {
  %a = graph.mul %x, %z : (tensor<3x6xf32>, tensor<3x6xf32>) -> tensor<3x6xf32>
  %b = graph.sub %a, %v : (tensor<3x6xf32>, tensor<6xf32>) -> tensor<3x6xf32>
  %c = graph.max %b, %x : (tensor<3x6xf32>, tensor<3x6xf32>) -> tensor<3x6xf32>
  %d = graph.clip %c {params = [-2.0 : f32, 5.0 : f32]} : tensor<3x6xf32>
  %e = graph.exp %d : tensor<3x6xf32>
  %f = graph.tanh %d : tensor<3x6xf32>
  %g = graph.sigmoid %b : tensor<3x6xf32>
  %h = graph.gelu %c : tensor<3x6xf32>
  %i = graph.add %e, %f : (tensor<3x6xf32>, tensor<3x6xf32>) -> tensor<3x6xf32>
  %j = graph.mul %g, %h : (tensor<3x6xf32>, tensor<3x6xf32>) -> tensor<3x6xf32>
  %k = graph.sub %i, %j : (tensor<3x6xf32>, tensor<3x6xf32>) -> tensor<3x6xf32>
  %l = graph.relu %d : tensor<3x6xf32>
  return %k, %l : tensor<3x6xf32>, tensor<3x6xf32>
}
"""

MORE_ELEMENTWISE = """\
func.func @more(%x: tensor<3x6xf32>, %z: tensor<3x6xf32>, %v: tensor<6xf32>) -> (tensor<3x6xf32>, tensor<3x6xf32>) {
  %a = graph.abs %x : tensor<3x6xf32>
  %b = graph.softplus %a : tensor<3x6xf32>
  %c = graph.div %x, %b : (tensor<3x6xf32>, tensor<3x6xf32>) -> tensor<3x6xf32>
  %d = graph.pow %b, %v : (tensor<3x6xf32>, tensor<6xf32>) -> tensor<3x6xf32>
  %e = graph.min %c, %v : (tensor<3x6xf32>, tensor<6xf32>) -> tensor<3x6xf32>
  %f = graph.less %x, %z : (tensor<3x6xf32>, tensor<3x6xf32>) -> tensor<3x6xf32>
  %g = graph.greater_equal %x, %v : (tensor<3x6xf32>, tensor<6xf32>) -> tensor<3x6xf32>
  %h = graph.log %b : tensor<3x6xf32>
  %i = graph.rsqrt %b : tensor<3x6xf32>
  %j = graph.reciprocal %b : tensor<3x6xf32>
  %k = graph.erf %e : tensor<3x6xf32>
  %l = graph.hard_sigmoid %h {params = [0.25 : f32, 0.5 : f32]} : tensor<3x6xf32>
  %m = graph.silu %x : tensor<3x6xf32>
  %n = graph.hard_swish %c : tensor<3x6xf32>
  %o = graph.gelu_tanh %e : tensor<3x6xf32>
  %p = graph.leaky_relu %m {params = [0.125 : f32]} : tensor<3x6xf32>
  %q = graph.elu %n {params = [1.5 : f32]} : tensor<3x6xf32>
  %r = graph.mul %f, %k : (tensor<3x6xf32>, tensor<3x6xf32>) -> tensor<3x6xf32>
  %s = graph.add %r, %d : (tensor<3x6xf32>, tensor<3x6xf32>) -> tensor<3x6xf32>
  %t = graph.mul %g, %i : (tensor<3x6xf32>, tensor<3x6xf32>) -> tensor<3x6xf32>
  %u = graph.add %t, %j : (tensor<3x6xf32>, tensor<3x6xf32>) -> tensor<3x6xf32>
  %w = graph.sub %l, %o : (tensor<3x6xf32>, tensor<3x6xf32>) -> tensor<3x6xf32>
  %y = graph.add %p, %q : (tensor<3x6xf32>, tensor<3x6xf32>) -> tensor<3x6xf32>
  %n1 = graph.neg %s : tensor<3x6xf32>
  %n2 = graph.sqrt %b : tensor<3x6xf32>
  %n3 = graph.max %n1, %u : (tensor<3x6xf32>, tensor<3x6xf32>) -> tensor<3x6xf32>
  %n4 = graph.add %w, %y : (tensor<3x6xf32>, tensor<3x6xf32>) -> tensor<3x6xf32>
  %n5 = graph.mul %n4, %n2 : (tensor<3x6xf32>, tensor<3x6xf32>) -> tensor<3x6xf32>
  %n6 = graph.sub %n5 {left = 1.5 : f32} : tensor<3x6xf32>
  %n7 = graph.mul %n6 {right = 0.125 : f32} : tensor<3x6xf32>
  return %n3, %n7 : tensor<3x6xf32>, tensor<3x6xf32>
}
"""

EXACT = """\
func.func @exact(%x: tensor<6x7xf32>, %z: tensor<6x7xf32>, %v: tensor<7xf32>) -> tensor<6x7xf32> {
  %a = graph.mul %x, %z : (tensor<6x7xf32>, tensor<6x7xf32>) -> tensor<6x7xf32>
  %b = graph.sub %a, %v : (tensor<6x7xf32>, tensor<7xf32>) -> tensor<6x7xf32>
  %c = graph.max %b, %x : (tensor<6x7xf32>, tensor<6x7xf32>) -> tensor<6x7xf32>
  %d = graph.clip %c {params = [-2.0 : f32, 5.0 : f32]} : tensor<6x7xf32>
  %e = graph.add %d, %a : (tensor<6x7xf32>, tensor<6x7xf32>) -> tensor<6x7xf32>
  %f = graph.sub %e {left = 3.0 : f32} : tensor<6x7xf32>
  %g = graph.max %f {right = 2.0 : f32} : tensor<6x7xf32>
  return %g : tensor<6x7xf32>
}
"""

CASTS = """\
func.func @casts(%x: tensor<3x6xf32>, %s: tensor<3x6xi32>) -> (tensor<3x6xf32>, tensor<3x6xi32>, tensor<3x6xi8>) {
  %a = graph.cast %x : tensor<3x6xf32> -> tensor<3x6xf16>
  %b = graph.mul %a, %a : (tensor<3x6xf16>, tensor<3x6xf16>) -> tensor<3x6xf16>
  %c = graph.cast %b : tensor<3x6xf16> -> tensor<3x6xf32>
  %d = graph.cast %x : tensor<3x6xf32> -> tensor<3x6xbf16>
  %e = graph.clip %d {params = [-2.0 : f32, 3.0 : f32]} : tensor<3x6xbf16>
  %f = graph.cast %e : tensor<3x6xbf16> -> tensor<3x6xf32>
  %g = graph.max %c, %f : (tensor<3x6xf32>, tensor<3x6xf32>) -> tensor<3x6xf32>
  %q = graph.cast %s {scale = 0.75 : f32, zero_point = 2} : tensor<3x6xi32> -> tensor<3x6xi8>
  %r = graph.relu %q : tensor<3x6xi8>
  %t = graph.cast %r : tensor<3x6xi8> -> tensor<3x6xi32>
  %u = graph.sub %t, %s : (tensor<3x6xi32>, tensor<3x6xi32>) -> tensor<3x6xi32>
  return %g, %u, %q : tensor<3x6xf32>, tensor<3x6xi32>, tensor<3x6xi8>
}
"""

PRODUCTS = """\
func.func @products(%x: tensor<3x5xf16>, %w: tensor<5x6xf16>, %z: tensor<3x5xbf16>, %v: tensor<5x6xbf16>)
    -> tensor<3x6xf32> {
  %a = graph.matmul %x, %w {activation = "sigmoid"} : (tensor<3x5xf16>, tensor<5x6xf16>) -> tensor<3x6xf32>
  %b = graph.matmul %z, %v {activation = "clip", activation_params = [-9.0 : f32, 9.0 : f32]}
      : (tensor<3x5xbf16>, tensor<5x6xbf16>) -> tensor<3x6xf32>
  %c = graph.mul %a, %b : (tensor<3x6xf32>, tensor<3x6xf32>) -> tensor<3x6xf32>
  return %c : tensor<3x6xf32>
}
"""

QUANTIZED = """\
func.func @quantized(%x: tensor<6x7xi8>, %w1: tensor<7x6xi8>, %b1: tensor<6xi32>, %w2: tensor<6x5xi8>)
    -> tensor<6x5xi32> {
  %a = graph.matmul %x, %w1, %b1 {activation = "relu"}
      : (tensor<6x7xi8>, tensor<7x6xi8>, tensor<6xi32>) -> tensor<6x6xi32>
  %q = graph.cast %a {scale = 0.25 : f32, zero_point = 1} : tensor<6x6xi32> -> tensor<6x6xi8>
  %y = graph.matmul %q, %w2 : (tensor<6x6xi8>, tensor<6x5xi8>) -> tensor<6x5xi32>
  return %y : tensor<6x5xi32>
}
"""

PLACED = """\
func.func @placed(%x: tensor<5x7xf32> {sched.pin = [[0, 0]]}, %w1: tensor<7x6xf32> {sched.at = [[0, 0, 0], [1, 1, 64]]},
    %w2: tensor<6x5xf32>) -> tensor<5x5xf32> {
  %a = graph.matmul %x, %w1 : (tensor<5x7xf32>, tensor<7x6xf32>) -> tensor<5x6xf32>
  %h = graph.relu %a : tensor<5x6xf32>
  %y = graph.matmul %h, %w2 : (tensor<5x6xf32>, tensor<6x5xf32>) -> tensor<5x5xf32>
  return %y : tensor<5x5xf32>
}
"""

SMALL = """\
func.func @small(%x: tensor<5x6xf32>, %w: tensor<6x7xf32>, %v: tensor<7xf32>) -> tensor<5x7xf32> {
  %a = graph.matmul %x, %w {activation = "gelu"} : (tensor<5x6xf32>, tensor<6x7xf32>) -> tensor<5x7xf32>
  %b = graph.add %a, %v : (tensor<5x7xf32>, tensor<7xf32>) -> tensor<5x7xf32>
  return %b : tensor<5x7xf32>
}
"""

BROADCAST = """\
func.func @broadcast(%x: tensor<5x6xf32>, %c: tensor<5x1xf32>, %r: tensor<1x6xf32>, %s: tensor<1x1xf32>,
    %v: tensor<6xf32>) -> tensor<5x6xf32> {
  %a = graph.sub %c, %x : (tensor<5x1xf32>, tensor<5x6xf32>) -> tensor<5x6xf32>
  %b = graph.mul %a, %r : (tensor<5x6xf32>, tensor<1x6xf32>) -> tensor<5x6xf32>
  %d = graph.max %s, %b : (tensor<1x1xf32>, tensor<5x6xf32>) -> tensor<5x6xf32>
  %e = graph.add %v, %c : (tensor<6xf32>, tensor<5x1xf32>) -> tensor<5x6xf32>
  %f = graph.sub %e, %d : (tensor<5x6xf32>, tensor<5x6xf32>) -> tensor<5x6xf32>
  return %f : tensor<5x6xf32>
}
"""

VECTORS = """\
func.func @vectors(%x: tensor<9xf32>, %z: tensor<9xf32>) -> (tensor<9xf32>, tensor<9xf32>) {
  %a = graph.add %x, %z : (tensor<9xf32>, tensor<9xf32>) -> tensor<9xf32>
  %b = graph.mul %a, %x : (tensor<9xf32>, tensor<9xf32>) -> tensor<9xf32>
  %c = graph.relu %b : tensor<9xf32>
  %d = graph.sub %c, %z : (tensor<9xf32>, tensor<9xf32>) -> tensor<9xf32>
  return %d, %x : tensor<9xf32>, tensor<9xf32>
}
"""

BATCHES = """\
func.func @batches(%q: tensor<2x5x6xf32>, %k: tensor<1x7x6xf32>, %w: tensor<5x3xf32>, %m: tensor<2x5x7xf32>)
    -> tensor<2x7x3xf32> {
  %s = graph.matmul %q, %k {transpose_b} : (tensor<2x5x6xf32>, tensor<1x7x6xf32>) -> tensor<2x5x7xf32>
  %r = graph.max %s, %m : (tensor<2x5x7xf32>, tensor<2x5x7xf32>) -> tensor<2x5x7xf32>
  %y = graph.matmul %r, %w {transpose_a} : (tensor<2x5x7xf32>, tensor<5x3xf32>) -> tensor<2x7x3xf32>
  %z = graph.relu %y : tensor<2x7x3xf32>
  return %z : tensor<2x7x3xf32>
}
"""

REDUCED = """\
func.func @reduced(%x: tensor<5x7xf32>, %h: tensor<5x7xf16>)
    -> (tensor<5x7xf32>, tensor<1x1xf32>, tensor<5x1xf32>) {
  %m = graph.reduce %x {axes = [1], kind = "max"} : tensor<5x7xf32> -> tensor<5x1xf32>
  %d = graph.sub %x, %m : (tensor<5x7xf32>, tensor<5x1xf32>) -> tensor<5x7xf32>
  %n = graph.reduce %d {axes = [0], kind = "min"} : tensor<5x7xf32> -> tensor<1x7xf32>
  %e = graph.mul %n, %d : (tensor<1x7xf32>, tensor<5x7xf32>) -> tensor<5x7xf32>
  %s = graph.reduce %n {axes = [1], kind = "sum"} : tensor<1x7xf32> -> tensor<1x1xf32>
  %t = graph.reduce %h {axes = [1], kind = "sum"} : tensor<5x7xf16> -> tensor<5x1xf32>
  return %e, %s, %t : tensor<5x7xf32>, tensor<1x1xf32>, tensor<5x1xf32>
}
"""

VIEWS = """\
func.func @views(%x: tensor<6x8xf32>, %w: tensor<8x8xf32>, %v: tensor<8x4xf32>)
    -> (tensor<2x6x8xf32>, tensor<2x4xf32>) {
  %q = graph.matmul %x, %w : (tensor<6x8xf32>, tensor<8x8xf32>) -> tensor<6x8xf32>
  %p = graph.reshape %q : tensor<6x8xf32> -> tensor<6x2x4xf32>
  %h = graph.transpose %p {permutation = [1, 0, 2]} : tensor<6x2x4xf32> -> tensor<2x6x4xf32>
  %m = graph.reduce %h {axes = [1], kind = "max"} : tensor<2x6x4xf32> -> tensor<2x1x4xf32>
  %a = graph.sub %h, %m : (tensor<2x6x4xf32>, tensor<2x1x4xf32>) -> tensor<2x6x4xf32>
  %k = graph.slice %v {sizes = [4, 4], starts = [4, 0]} : tensor<8x4xf32> -> tensor<4x4xf32>
  %b = graph.matmul %h, %k : (tensor<2x6x4xf32>, tensor<4x4xf32>) -> tensor<2x6x4xf32>
  %c = graph.concat %a, %b {axis = 2} : (tensor<2x6x4xf32>, tensor<2x6x4xf32>) -> tensor<2x6x8xf32>
  %r = graph.reduce %b {axes = [1], kind = "sum"} : tensor<2x6x4xf32> -> tensor<2x1x4xf32>
  %t = graph.reshape %r : tensor<2x1x4xf32> -> tensor<2x4xf32>
  return %c, %t : tensor<2x6x8xf32>, tensor<2x4xf32>
}
"""

SEVERAL = """\
func.func @one(%x: tensor<3x5xf32>, %w: tensor<5x6xf32>) -> tensor<3x6xf32> {
  %y = graph.matmul %x, %w : (tensor<3x5xf32>, tensor<5x6xf32>) -> tensor<3x6xf32>
  return %y : tensor<3x6xf32>
}
func.func @two(%x: tensor<3x5xf32>, %w: tensor<5x6xf32>) -> tensor<3x6xf32> {
  %y = graph.matmul %x, %w {activation = "relu"} : (tensor<3x5xf32>, tensor<5x6xf32>) -> tensor<3x6xf32>
  return %y : tensor<3x6xf32>
}
func.func @three(%x: tensor<3x6xf32>, %z: tensor<3x6xf32>) -> (tensor<3x6xf32>, tensor<3x6xf32>) {
  %y = graph.sub %x, %z : (tensor<3x6xf32>, tensor<3x6xf32>) -> tensor<3x6xf32>
  return %y, %x : tensor<3x6xf32>, tensor<3x6xf32>
}
"""

BY_HAND = """\
func.func @by_hand(%x: !uop.tiled<tensor<3x7xf32>, [4, 4]>, %w: !uop.tiled<tensor<7x4xf32>, [4, 4]>, %n: i32, %m: i32)
    -> (!uop.tiled<tensor<3x4xf32>, [4, 4]>, i32, !uop.tiled<tensor<3x4xf32>, [4, 4]>) {
  %h = uop.alloc : !uop.tiled<tensor<3x4xf32>, [4, 4]>
  %t = uop.alloc {on_chip} : !uop.tiled<tensor<3x4xf32>, [4, 4]>
  %y = uop.alloc : !uop.tiled<tensor<3x4xf32>, [4, 4]>
  uop.load %x[0, 0]
  uop.load %w[0, 0]
  uop.exec matmul %h[0, 0] = %x[0, 0], %w[0, 0]
  uop.load %x[0, 1]
  uop.load %w[1, 0]
  uop.exec matmul %h[0, 0] += %x[0, 1], %w[1, 0] {activation = "relu"}
  uop.store %h[0, 0] {retain}
  uop.exec relu %t[0, 0] = %h[0, 0]
  uop.exec add %t[0, 0] = %t[0, 0], %h[0, 0]
  uop.exec sub %y[0, 0] = %t[0, 0], %h[0, 0]
  uop.exec max %y[0, 0] = %y[0, 0], %t[0, 0]
  uop.store %y[0, 0] {activation = "relu"}
  return %y, %n, %h : !uop.tiled<tensor<3x4xf32>, [4, 4]>, i32, !uop.tiled<tensor<3x4xf32>, [4, 4]>
}
"""


def with_target(text: str, target: str) -> str:
    """A program for a machine of its own."""
    return f"module attributes {{sched.target = {{{target}}}}} {{\n{text}}}\n"


TILE = "tile{sizes=4x4x4},lower"
BASES = [
    ("spills", CHAIN, f"{TILE},forward,schedule{{sram=256 align=16 evict=cost}}"),
    ("off chip", CHAIN, "fuse,tile{sizes=3x4x5},lower,schedule{sram=400 align=4 evict=lru dram}"),
    ("table", ELEMENTWISE, f"{TILE},forward,schedule{{sram=512}}"),
    ("more", MORE_ELEMENTWISE, f"{TILE},forward,schedule{{sram=512}}"),
    ("exact", EXACT, f"{TILE},schedule{{sram=320 align=32 dram}}"),
    ("casts", CASTS, f"{TILE},forward,schedule{{sram=256 align=16}}"),
    ("products", PRODUCTS, f"{TILE},schedule{{sram=512 align=8 double-buffer}}"),
    ("quantized", QUANTIZED, f"{TILE},forward,schedule{{sram=128 align=4 evict=cost}}"),
    ("placed", PLACED, f"{TILE},schedule{{sram=512}}"),
    ("ping/pong", SMALL, f"{TILE},schedule{{sram=1024}},pingpong"),
    ("queues", SMALL, f"{TILE},schedule{{sram=512}},prefetch,sync"),
    (
        "channels",
        with_target(QUANTIZED, "dma_channels = 3"),
        f"{TILE},forward,schedule{{sram=192 align=4}},prefetch,sync",
    ),
    ("planned", CHAIN, "O2{sram=1024 tile=4x4x4}"),
    ("broadcast", BROADCAST, f"{TILE},forward,schedule{{sram=256 align=4}}"),
    ("vectors", VECTORS, f"{TILE},schedule{{sram=256}}"),
    ("batches", BATCHES, f"{TILE},forward,schedule{{sram=256 align=16}}"),
    ("batches off chip", BATCHES, "tile{sizes=3x3x5},lower,schedule{sram=320 align=4 dram}"),
    ("reduced", REDUCED, f"{TILE},forward,schedule{{sram=256 align=4}}"),
    ("views", VIEWS, f"{TILE},forward,schedule{{sram=320 align=16 evict=cost}}"),
    ("several", SEVERAL, f"{TILE},schedule{{sram=512}}"),
    ("by hand", BY_HAND, "schedule{sram=512}"),
    ("uops", BY_HAND, ""),
    ("uops of a chain", CHAIN, f"fuse,{TILE},forward"),
]
"""Names, programs, and how they are compiled."""
