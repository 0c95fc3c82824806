"""Choices between tensors: execs with three sources, numbers in place of operands, and what a comparison knows of
them."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

import tilewright as tw
from tilewright.analysis.proof import prove_module
from tilewright.dialects.kernels import KERNELS, Call
from tilewright.runtime.numerics import FLOAT32
from tilewright.runtime.rounding import Figure, computed
from tilewright.runtime.verdict import agree

TYPE = "tensor<6x7xf32>"


def text(operands: str, braces: str = "") -> str:
    types = ", ".join([TYPE] * len(operands.split(",")))
    types = f"({types}) -> {TYPE}" if "," in operands else TYPE
    return (
        f"func.func @f(%x: {TYPE}, %y: {TYPE}, %z: {TYPE}) -> {TYPE} {{\n"
        f"  %r = graph.where {operands}{braces} : {types}\n  return %r : {TYPE}\n}}\n"
    )


def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    return {name: rng.integers(-1, 2, (6, 7)).astype(np.float32) for name in "xyz"}


@pytest.mark.parametrize("level", ["O0", "O1", "O2"])
@pytest.mark.parametrize("operands", [", ".join(f"%{n}" for n in names) for names in product("xyz", repeat=3)])
def test_each_of_its_operands_has_its_place_and_its_address(operands: str, level: str) -> None:
    """Also where some are the same tile, which the schedule has once."""
    given, graph = arrays(), text(operands)
    condition, a, b = (given[name.strip(" %")] for name in operands.split(","))
    made = tw.run_passes(graph, f"{level}{{sram=1KiB tile=4x4x4}}")
    prove_module(tw.parse(graph), tw.parse(made))
    (found,) = tw.run(made, given)
    assert np.array_equal(found, np.where(condition != 0, a, b))


@pytest.mark.parametrize(
    ("operands", "braces"),
    [
        ("%x, %y", "{right = -2.0 : f32}"),
        ("%x, %y", "{left = -2.0 : f32}"),
        ("%x", "{left = 1.0 : f32, right = 4.0 : f32}"),
    ],
)
def test_a_number_stands_in_place_of_what_it_is_called_by(operands: str, braces: str) -> None:
    given, graph = arrays(), text(operands, f" {braces}")
    numbers = {"left": given["y"], "right": given["y"]}
    for entry in braces.strip("{}").split(", "):
        side, _, value = entry.partition(" = ")
        numbers[side] = np.full((6, 7), float(value.split()[0]), np.float32)
    made = tw.run_passes(graph, "O1{sram=1KiB tile=4x4x4}")
    prove_module(tw.parse(graph), tw.parse(made))
    for module in (graph, made):
        (found,) = tw.run(module, given)
        assert found.dtype == np.float32
        assert np.array_equal(found, np.where(given["x"] != 0, numbers["left"], numbers["right"]))


@pytest.mark.parametrize("other", ["%y, %x, %z", "%x, %z, %y", "%x, %y, %y"])
def test_the_proof_tells_its_operands(other: str) -> None:
    made = tw.parse(tw.run_passes(text("%x, %y, %z"), "O0{sram=1KiB tile=4x4x4}"))
    with pytest.raises(tw.DiagnosticError, match="is not what the model computes"):
        prove_module(tw.parse(text(other)), made)


def figure(value: float, slack: float = 0.0) -> Figure:
    return Figure(np.array([value]), FLOAT32, np.array([slack]) if slack else None)


def bound(name: str, *figures: Figure, params: tuple[float, ...] = ()) -> float:
    slack = computed(KERNELS[name], Call(params, FLOAT32), *figures).slack()
    return 0.0 if slack is None else float(slack[0])


def test_what_may_be_equal_is_not_known_to_differ() -> None:
    """Neither end of one is an end of the other."""
    assert bound("equal", figure(1.0, 0.5), figure(1.125)) == 1
    assert bound("equal", figure(1.0, 0.5), figure(1.75, 0.5)) == 1
    assert bound("equal", figure(1.0, 0.5), figure(1.75, 0.125)) == 0
    assert bound("equal", figure(1.0, 0.5), params=(np.nan, 1.25)) == 1
    assert bound("equal", figure(1.0, 0.5), params=(2.0, np.nan)) == 0


def test_a_condition_that_may_be_zero_leaves_both_open() -> None:
    assert bound("where", figure(0.25, 0.5), figure(3.0), figure(5.0)) == 2
    assert bound("where", figure(0.25, 0.125), figure(3.0), figure(5.0)) == 0
    for a, b in ((-np.inf, 5.0), (5.0, -np.inf)):
        with np.errstate(all="ignore"):
            open_figure = computed(KERNELS["where"], Call((), FLOAT32), figure(0.25, 0.5), figure(a), figure(b))
            known = computed(KERNELS["where"], Call((), FLOAT32), figure(0.25, 0.125), figure(a), figure(b))
        assert agree(open_figure, np.array([-np.inf], np.float32)).all()
        assert agree(open_figure, np.array([5.0], np.float32)).all()
        assert agree(known, np.array([a], np.float32)).all()
        assert not agree(known, np.array([b], np.float32)).any()
