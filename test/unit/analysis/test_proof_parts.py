"""A bias, relu or cast that is missing or extra as a whole is called that."""

from __future__ import annotations

import tilewright

from .test_proof import LAYER, error


def test_what_is_too_much_is_named_at_what_brings_it() -> None:
    plain = tilewright.run_passes(
        LAYER.replace("graph.add %m, %b", "graph.add %m, %c"), "fuse,tile{sizes=4x4x4},lower"
    ).replace("%c[0]", "%b[0]")
    relu, bias = 'uop.store %y[0, 0] {activation = "relu"}', "uop.exec bias %y[0, 0] = %b[0]"
    no_relu = plain.replace(' {activation = "relu"}', "")
    no_bias = plain.replace(f"  {bias}\n", "").replace("+=", "=")
    assert error(no_relu, plain) == f"%y[0, 0] is not what the model computes: the relu is extra | {relu}"
    assert error(plain, no_relu).startswith("%y[0, 0] is not what the model computes: the relu is missing | ")
    assert error(no_bias, plain) == f"%y[0, 0] is not what the model computes: the bias %b[0] is extra | {bias}"
    assert error(plain, no_bias).startswith("%y[0, 0] is not what the model computes: the bias %b[0] is missing | ")


CASTS = """\
func.func @f(%x: tensor<2x2xf32>) -> tensor<2x2xf32> {
  %h = graph.cast %x : tensor<2x2xf32> -> tensor<2x2xbf16>
  %y = graph.cast %h : tensor<2x2xbf16> -> tensor<2x2xf32>
  return %y : tensor<2x2xf32>
}
"""
PLAIN = "func.func @f(%x: tensor<2x2xf32>) -> tensor<2x2xf32> {\n  return %x : tensor<2x2xf32>\n}\n"


def test_casts_that_are_missing_or_extra() -> None:
    casts = "the cast of %h[0, 0] from bf16 to f32 and the cast{} from f32 to bf16"
    start = "[0, 0] is not what the model computes: "
    assert error(CASTS, PLAIN).startswith(f"%x{start}{casts.format('')} are missing | ")
    assert error(PLAIN, CASTS).startswith(f"%y{start}{casts.format(' of %x[0, 0]')} are extra | %y = graph.cast %h")
