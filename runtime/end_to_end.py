"""How far the results of two runs are off the exact ones: what another run may be off follows from the reference's own
error, not from a bound."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..dialects.tiles import Coord
from ..ir.builtin import FuncOp
from ..ir.core import Value
from .compare import Finding
from .execute import Run
from .numerics import Array
from .reference import follow
from .rounding import EPSILON, FLOAT64, Figure

OWN_ERRORS = 8.0
"""How many times the reference's own error another run may be off."""
SAMPLES = 4
"""How often the reference's own error is sampled where its run alone says that another one is wrong."""


class EndToEnd:
    """The results of a reference in double precision, those at some `indices`.

    A run's error may be small by luck, above all where a result has few elements. So before another run is found wrong,
    the reference is followed again with each operation rounded up or down at random, by as much as is likely in
    any order of its sum.
    """

    def __init__(self, func: FuncOp, inputs: Sequence[Array], indices: Sequence[int]):
        self.func = func
        self.inputs = inputs
        self.indices = indices
        exact = follow(func, inputs, lambda value, coord, figure: Figure(figure.value, FLOAT64), exact=True)
        self.exact = {i: exact.result(func.returned()[i]) for i in indices}
        self.samples: list[dict[int, Array]] = []

    def compare(self, first: Run, other: FuncOp, second: Run) -> Finding | None:
        """The first result whose largest error is more than eight times the reference's own, plus one unit in the last
        place of its largest magnitude; among elements that are finite in both."""
        for i in self.indices:
            exact, own, theirs = self.exact[i], first.arrays[i], second.arrays[i]
            counted = np.isfinite(exact) & np.isfinite(_wide(own)) & np.isfinite(_wide(theirs))
            errors = _errors(theirs, exact, counted)
            at = tuple(map(int, np.unravel_index(int(errors.argmax()), errors.shape)))
            unit = EPSILON[own.dtype.name] * float(np.abs(exact).max(where=counted, initial=0.0))
            usual = float(_errors(own, exact, counted).max())
            for number in range(SAMPLES):
                if errors[at] <= OWN_ERRORS * usual + unit:
                    break
                usual = max(usual, float(_errors(self.sample(number)[i], exact, counted).max()))
            if errors[at] > OWN_ERRORS * usual + unit:
                values = f"element [{', '.join(map(str, at))}]: {own[at]} against {theirs[at]}"
                text = f"{values}; off the exact result by {errors[at]:.3g}, more than {OWN_ERRORS:g} times {usual:.3g}"
                return Finding("different", self.func.returned()[i], second.result(other, i), at, text)
        return None

    def sample(self, number: int) -> dict[int, Array]:
        """The results of the reference with its roundings at random, those of each number once."""
        if number == len(self.samples):
            generator = np.random.default_rng(number)

            def rounded(value: Value, coord: Coord, figure: Figure) -> Figure:
                error = figure.usual()
                moved = 0 if error is None else generator.choice([-1, 1], error.shape) * error
                return Figure.of((figure.value + moved).astype(figure.dtype))

            walk = follow(self.func, self.inputs, rounded)
            self.samples.append({i: walk.result(self.func.returned()[i]) for i in self.indices})
        return self.samples[number]


def _wide(array: Array) -> Array:
    return array.astype(np.float64)


def _errors(array: Array, exact: Array, counted: Array) -> Array:
    """How far each element that counts is off."""
    with np.errstate(all="ignore"):
        errors = np.abs(_wide(array) - exact)
    return np.where(counted & np.isfinite(errors), errors, 0.0)
