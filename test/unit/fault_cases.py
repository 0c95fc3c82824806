"""The programs that the fault catalogue changes: graphs, and uops by hand, small enough to be run a thousand times."""

from __future__ import annotations

CHAIN = """\
func.func @chain(%x: tensor<8x8xf32>, %w1: tensor<8x12xf32>, %b1: tensor<12xf32>, %w2: tensor<12x8xf32>)
    -> (tensor<8x8xf32>, tensor<8x12xf32>) {
  %a = graph.matmul %x, %w1 : (tensor<8x8xf32>, tensor<8x12xf32>) -> tensor<8x12xf32>
  %s = graph.add %a, %b1 : (tensor<8x12xf32>, tensor<12xf32>) -> tensor<8x12xf32>
  %h = graph.relu %s : tensor<8x12xf32>
  %y = graph.matmul %h, %w2 : (tensor<8x12xf32>, tensor<12x8xf32>) -> tensor<8x8xf32>
  %r = graph.add %y, %x : (tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<8x8xf32>
  return %r, %h : tensor<8x8xf32>, tensor<8x12xf32>
}
"""

QUANTIZED = """\
func.func @quantized(%x: tensor<6x8xi8>, %w1: tensor<8x8xi8>, %b1: tensor<8xi32>, %w2: tensor<8x5xi8>)
    -> tensor<6x5xi32> {
  %a = graph.matmul %x, %w1, %b1 {activation = "relu"}
      : (tensor<6x8xi8>, tensor<8x8xi8>, tensor<8xi32>) -> tensor<6x8xi32>
  %q = graph.cast %a {scale = 0.25 : f32, zero_point = 1} : tensor<6x8xi32> -> tensor<6x8xi8>
  %y = graph.matmul %q, %w2 : (tensor<6x8xi8>, tensor<8x5xi8>) -> tensor<6x5xi32>
  return %y : tensor<6x5xi32>
}
"""

GATED = """\
func.func @gated(%x: tensor<8x8xf32>, %w1: tensor<8x9xf32>, %g: tensor<9xf32>, %w2: tensor<9x6xf32>)
    -> tensor<8x6xf32> {
  %a = graph.matmul %x, %w1 {activation = "clip", activation_params = [-9.0 : f32, 5.0 : f32]}
      : (tensor<8x8xf32>, tensor<8x9xf32>) -> tensor<8x9xf32>
  %m = graph.mul %a, %g : (tensor<8x9xf32>, tensor<9xf32>) -> tensor<8x9xf32>
  %c = graph.clip %m {params = [-8.0 : f32, 7.0 : f32]} : tensor<8x9xf32>
  %s = graph.sub %c, %a : (tensor<8x9xf32>, tensor<8x9xf32>) -> tensor<8x9xf32>
  %n = graph.max %s, %g : (tensor<8x9xf32>, tensor<9xf32>) -> tensor<8x9xf32>
  %y = graph.matmul %n, %w2 {activation = "gelu"} : (tensor<8x9xf32>, tensor<9x6xf32>) -> tensor<8x6xf32>
  return %y : tensor<8x6xf32>
}
"""

HEADS = """\
func.func @heads(%q: tensor<2x5x6xf32>, %k: tensor<1x8x6xf32>, %v: tensor<2x8x4xf32>, %w: tensor<5x6xf32>)
    -> tensor<2x6x4xf32> {
  %s = graph.matmul %q, %k {transpose_b} : (tensor<2x5x6xf32>, tensor<1x8x6xf32>) -> tensor<2x5x8xf32>
  %m = graph.max %s, %s : (tensor<2x5x8xf32>, tensor<2x5x8xf32>) -> tensor<2x5x8xf32>
  %h = graph.matmul %m, %v {activation = "relu"} : (tensor<2x5x8xf32>, tensor<2x8x4xf32>) -> tensor<2x5x4xf32>
  %y = graph.matmul %w, %h {transpose_a} : (tensor<5x6xf32>, tensor<2x5x4xf32>) -> tensor<2x6x4xf32>
  return %y : tensor<2x6x4xf32>
}
"""

REDUCED = """\
func.func @reduced(%x: tensor<7x9xf32>, %w: tensor<9x6xf32>) -> (tensor<7x6xf32>, tensor<1x6xf32>) {
  %m = graph.reduce %x {axes = [1], kind = "max"} : tensor<7x9xf32> -> tensor<7x1xf32>
  %d = graph.sub %x, %m : (tensor<7x9xf32>, tensor<7x1xf32>) -> tensor<7x9xf32>
  %h = graph.matmul %d, %w : (tensor<7x9xf32>, tensor<9x6xf32>) -> tensor<7x6xf32>
  %s = graph.reduce %h {axes = [1], kind = "sum"} : tensor<7x6xf32> -> tensor<7x1xf32>
  %y = graph.add %h, %s : (tensor<7x6xf32>, tensor<7x1xf32>) -> tensor<7x6xf32>
  %n = graph.reduce %y {axes = [0], kind = "min"} : tensor<7x6xf32> -> tensor<1x6xf32>
  return %y, %n : tensor<7x6xf32>, tensor<1x6xf32>
}
"""

VIEWED = """\
func.func @viewed(%x: tensor<8x8xf32>, %w: tensor<8x8xf32>, %v: tensor<8x4xf32>) -> tensor<2x8x8xf32> {
  %q = graph.matmul %x, %w : (tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<8x8xf32>
  %p = graph.reshape %q : tensor<8x8xf32> -> tensor<8x2x4xf32>
  %h = graph.transpose %p {permutation = [1, 0, 2]} : tensor<8x2x4xf32> -> tensor<2x8x4xf32>
  %m = graph.reduce %h {axes = [1], kind = "max"} : tensor<2x8x4xf32> -> tensor<2x1x4xf32>
  %a = graph.sub %h, %m : (tensor<2x8x4xf32>, tensor<2x1x4xf32>) -> tensor<2x8x4xf32>
  %k = graph.slice %v {sizes = [4, 4], starts = [4, 0]} : tensor<8x4xf32> -> tensor<4x4xf32>
  %b = graph.matmul %h, %k : (tensor<2x8x4xf32>, tensor<4x4xf32>) -> tensor<2x8x4xf32>
  %c = graph.concat %a, %b {axis = 2} : (tensor<2x8x4xf32>, tensor<2x8x4xf32>) -> tensor<2x8x8xf32>
  return %c : tensor<2x8x8xf32>
}
"""

MOVED = """\
func.func @moved(%x: tensor<6x7xf32>, %w: tensor<6x5xf32>) -> (tensor<7x6xf32>, tensor<5x5xf32>) {
  %t = graph.transpose %x {permutation = [1, 0]} : tensor<6x7xf32> -> tensor<7x6xf32>
  %y = graph.matmul %t, %w : (tensor<7x6xf32>, tensor<6x5xf32>) -> tensor<7x5xf32>
  %s = graph.slice %y {sizes = [2, 5], starts = [3, 0]} : tensor<7x5xf32> -> tensor<2x5xf32>
  %a = graph.slice %w {sizes = [3, 5], starts = [1, 0]} : tensor<6x5xf32> -> tensor<3x5xf32>
  %c = graph.concat %s, %a {axis = 0} : (tensor<2x5xf32>, tensor<3x5xf32>) -> tensor<5x5xf32>
  return %t, %c : tensor<7x6xf32>, tensor<5x5xf32>
}
"""

ATTENDED = """\
func.func @attended(%q: tensor<5x6xf32>, %k: tensor<7x6xf32>, %v: tensor<7x6xf32>, %s: tensor<6xf32>)
    -> tensor<5x6xf32> {
  %a = graph.matmul %q, %k {transpose_b} : (tensor<5x6xf32>, tensor<7x6xf32>) -> tensor<5x7xf32>
  %p = graph.softmax %a {axes = [1]} : tensor<5x7xf32>
  %h = graph.matmul %p, %v : (tensor<5x7xf32>, tensor<7x6xf32>) -> tensor<5x6xf32>
  %n = graph.layer_norm %h, %s, %s {axes = [1], epsilon = 0.5 : f32}
      : (tensor<5x6xf32>, tensor<6xf32>, tensor<6xf32>) -> tensor<5x6xf32>
  return %n : tensor<5x6xf32>
}
"""
"""No row has more than two tiles: two numbers have the same sum in both orders, bit for bit."""

BY_HAND = """\
func.func @by_hand(%x: !uop.tiled<tensor<4x8xf32>, [4, 4]>, %w: !uop.tiled<tensor<8x4xf32>, [4, 4]>)
    -> (!uop.tiled<tensor<4x4xf32>, [4, 4]>, !uop.tiled<tensor<4x4xf32>, [4, 4]>) {
  %h = uop.alloc : !uop.tiled<tensor<4x4xf32>, [4, 4]>
  %t = uop.alloc {on_chip} : !uop.tiled<tensor<4x4xf32>, [4, 4]>
  %y = uop.alloc : !uop.tiled<tensor<4x4xf32>, [4, 4]>
  uop.load %x[0, 0]
  uop.load %w[0, 0]
  uop.exec matmul %h[0, 0] = %x[0, 0], %w[0, 0]
  uop.load %x[0, 1]
  uop.load %w[1, 0]
  uop.exec matmul %h[0, 0] += %x[0, 1], %w[1, 0] {activation = "relu"}
  uop.store %h[0, 0] {retain}
  uop.exec matmul %t[0, 0] = %h[0, 0], %w[0, 0]
  uop.exec add %t[0, 0] = %t[0, 0], %x[0, 0]
  uop.exec matmul %y[0, 0] = %t[0, 0], %w[1, 0]
  uop.store %y[0, 0] {activation = "relu"}
  return %y, %h : !uop.tiled<tensor<4x4xf32>, [4, 4]>, !uop.tiled<tensor<4x4xf32>, [4, 4]>
}
"""

STEPS = """\
func.func @steps(%x: tensor<6x7xf32>, %w1: tensor<7x9xi8>, %b1: tensor<9xi32>, %w2: tensor<5x9xui8>)
    -> tensor<6x5xf32> {
  %q = graph.quantize %x {scale = 0.5 : f32, zero_point = 7} : tensor<6x7xf32> -> tensor<6x7xui8>
  %a = graph.matmul %q, %w1, %b1 {zero_point_a = 7, zero_point_b = -2}
      : (tensor<6x7xui8>, tensor<7x9xi8>, tensor<9xi32>) -> tensor<6x9xi32>
  %r = graph.requantize %a {scale = 0.25 : f32, zero_point = -9} : tensor<6x9xi32> -> tensor<6x9xi8>
  %s = graph.matmul %r, %w2 {transpose_b, zero_point_a = -9, zero_point_b = 3}
      : (tensor<6x9xi8>, tensor<5x9xui8>) -> tensor<6x5xi32>
  %y = graph.dequantize %s {scale = 0.125 : f32} : tensor<6x5xi32> -> tensor<6x5xf32>
  return %y : tensor<6x5xf32>
}
"""

CASES = [
    (CHAIN, "tile{sizes=4x4x4},lower,schedule{sram=512 align=16}"),
    (CHAIN, "fuse,tile{sizes=4x4x4},lower,schedule{sram=400 align=16 evict=lru}"),
    (CHAIN, "fuse,tile{sizes=3x5x5},lower,schedule{sram=1024 align=4 double-buffer}"),
    (QUANTIZED, "tile{sizes=4x4x4},lower,schedule{sram=256 align=4 double-buffer}"),
    (BY_HAND, "schedule{sram=512 align=64}"),
    (CHAIN, "tile{sizes=4x4x4},lower,forward,schedule{sram=256 align=16 evict=cost}"),
    (CHAIN, "fuse,tile{sizes=4x4x4},plan{sram=512},lower,forward,schedule{sram=512}"),
    (QUANTIZED, "tile{sizes=4x4x4},lower,forward,schedule{sram=192 align=4 evict=cost}"),
    (HEADS, "tile{sizes=4x4x4},lower,schedule{sram=512 align=16}"),
    (HEADS, "tile{sizes=4x4x4},plan{sram=384},lower,forward,schedule{sram=384 align=4 evict=cost}"),
    (GATED, "tile{sizes=4x4x4},lower,schedule{sram=512 align=16}"),
    (GATED, "tile{sizes=4x4x4},plan{sram=512},lower,forward,schedule{sram=320 align=4 evict=cost}"),
    (STEPS, "tile{sizes=4x4x4},lower,schedule{sram=256 align=4}"),
    (STEPS, "tile{sizes=4x4x4},plan{sram=256},lower,forward,schedule{sram=256 align=4 evict=cost}"),
    (REDUCED, "tile{sizes=3x4x4},lower,schedule{sram=512 align=16}"),
    (REDUCED, "tile{sizes=4x4x4},plan{sram=512},lower,forward,schedule{sram=384 align=4 evict=cost}"),
    (VIEWED, "tile{sizes=4x4x4},lower,schedule{sram=512 align=16}"),
    (VIEWED, "tile{sizes=4x4x4},plan{sram=512},lower,forward,schedule{sram=320 align=4 evict=cost}"),
    (MOVED, "tile{sizes=4x4x4},lower,schedule{sram=512 align=16}"),
    (MOVED, "tile{sizes=4x4x4},plan{sram=512},lower,forward,schedule{sram=320 align=4 evict=cost}"),
    (ATTENDED, "decompose,tile{sizes=4x4x4},lower,schedule{sram=512 align=16}"),
    (ATTENDED, "decompose,tile{sizes=4x4x4},plan{sram=512},lower,forward,schedule{sram=384 align=4 evict=cost}"),
]
"""Programs, and how they are compiled."""
