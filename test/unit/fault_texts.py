"""Functions that the fault catalogue changes schedules of."""

from __future__ import annotations

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
