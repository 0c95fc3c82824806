"""What the proof says of a deep function with one fault: where it is, not what comes of it."""

from __future__ import annotations

import pytest

import tilewright

from .test_proof import error


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
