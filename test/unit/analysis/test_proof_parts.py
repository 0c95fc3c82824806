"""A bias, relu or cast that is missing or extra as a whole is called that; the first cause of a difference is named."""

from __future__ import annotations

import pytest

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


def residual_layers(residual: dict[int, int]) -> str:
    """Layers p = matmul x, w and x' = add p, x; some with the residual of another layer."""
    t, n = "tensor<2x2xf32>", 12
    lines = [f"func.func @f(%x0: {t}, {', '.join(f'%w{i}: {t}' for i in range(n))}) -> {t} {{"]
    for i in range(n):
        lines += [f"  %p{i} = graph.matmul %x{i}, %w{i} : ({t}, {t}) -> {t}"]
        lines += [f"  %x{i + 1} = graph.add %p{i}, %x{residual.get(i, i)} : ({t}, {t}) -> {t}"]
    return "\n".join([*lines, f"  return %x{n} : {t}", "}", ""])


@pytest.mark.parametrize("pipeline", ["", "tile{sizes=2x2x2},lower", "tile{sizes=2x2x2},lower,forward,schedule"])
def test_the_first_cause_is_named_and_not_what_comes_of_it(pipeline: str) -> None:
    found = error(residual_layers({}), tilewright.run_passes(residual_layers({5: 3}), pipeline))
    message, _, op = found.partition(" | ")
    assert message == "%x6[0, 0] is not what the model computes: %x3[0, 0] instead of %x5[0, 0]"
    assert all(word in op for word in ("add", "%x3", "%p5"))


def test_nothing_is_said_to_be_in_its_own_place() -> None:
    for layers in ({5: 3, 9: 2}, {2: 0, 3: 0, 11: 1}, {0: 0, 7: 1, 8: 7}):
        found = error(residual_layers({}), residual_layers(layers)).partition(" | ")[0].partition(": ")[2]
        one, _, other = found.partition(";")[0].partition(" instead of ")
        assert one != other
