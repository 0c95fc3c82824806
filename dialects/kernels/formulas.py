"""Functions that array modules lack, on the operations that they have, element by element in double precision."""

from __future__ import annotations

from ...ir.light_typing import Any

Array = Any

# W. J. Cody, "Rational Chebyshev approximations for the error function", Mathematics of Computation 23 (1969): erf near
# zero, erfc times exp(x^2) further out; relative errors below 1e-15. Highest powers first.
NEAR = (
    (1.85777706184603153e-1, 3.16112374387056560, 1.13864154151050156e2, 3.77485237685302021e2, 3.20937758913846947e3),
    (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3),
)
MIDDLE = (
    (
        2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594, 6.61191906371416295e1,
        2.98635138197400131e2, 8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3,
        1.23033935479799725e3,
    ),
    (
        1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
        3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3,
    ),
)  # fmt: skip
FAR = (
    (1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1,
     1.60837851487422766e-2, 6.58749161529837803e-4),
    (1.0, 2.56852019228982242, 1.87295284992346725, 5.27905102951428412e-1, 6.05183413124413191e-2,
     2.33520497626869185e-3),
)  # fmt: skip
BORDERS = 0.46875, 4.0
SQRT_PI = 1.7724538509055160273
SQRT_HALF = 0.70710678118654752440
SQRT_2_OVER_PI = 0.79788456080286535588
LEAST = -1e30
"""What stands for all numbers below it, infinity included, where a function is zero by then: infinity times zero would
be NaN."""


def _ratio(x: Array, polynomials: tuple[tuple[float, ...], tuple[float, ...]]) -> Array:
    above, below = (_polynomial(x, p) for p in polynomials)
    return above / below


def _polynomial(x: Array, coefficients: tuple[float, ...]) -> Array:
    total = x * 0 + coefficients[0]
    for coefficient in coefficients[1:]:
        total = total * x + coefficient
    return total


def erfc(np: Any, x: Array) -> Array:
    """1 - erf(x), with a small relative error also where it is tiny."""
    size = np.abs(x)
    near = 1 - x * _ratio(np.minimum(x * x, BORDERS[0] ** 2), NEAR)
    decay = np.exp(-size * size)
    middle = decay * _ratio(np.clip(size, *BORDERS), MIDDLE)
    outside = np.maximum(size, BORDERS[1])
    inverse = 1 / (outside * outside)
    far = decay / outside * (1 / SQRT_PI - inverse * _ratio(inverse, FAR))
    tail = np.where(size <= BORDERS[1], middle, far)
    return np.where(size <= BORDERS[0], near, np.where(x < 0, 2 - tail, tail))


def erf(np: Any, x: Array) -> Array:
    """The error function, with a small relative error also near zero."""
    square = np.minimum(x * x, BORDERS[0] ** 2)
    return np.where(np.abs(x) <= BORDERS[0], x * _ratio(square, NEAR), 1 - erfc(np, x))


def sigmoid(np: Any, x: Array) -> Array:
    """1 / (1 + exp(-x)), without overflow."""
    decay = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, decay) / (1 + decay)


def silu(np: Any, x: Array) -> Array:
    """x times its sigmoid; 0 at minus infinity."""
    held = np.maximum(x, LEAST)
    return held * sigmoid(np, held)


def hard_swish(np: Any, x: Array) -> Array:
    """x times a straight line from 0 at -3 to 1 at 3; 0 at minus infinity."""
    held = np.maximum(x, LEAST)
    return held * np.clip(held + 3, 0, 6) / 6


def gelu(np: Any, x: Array) -> Array:
    """x times the normal distribution's probability of a value below x; 0 at minus infinity."""
    held = np.maximum(x, LEAST)
    return held * (0.5 * erfc(np, -held * SQRT_HALF))


def gelu_tanh(np: Any, x: Array) -> Array:
    """x (1 + tanh u) / 2 with u = sqrt(2 / pi) (x + 0.044715 x^3); 0 at minus infinity. (1 + tanh u) / 2 is the sigmoid
    of 2 u, in which nothing cancels where it is tiny."""
    held = np.maximum(x, LEAST)
    return held * sigmoid(np, 2 * SQRT_2_OVER_PI * held * (1 + 0.044715 * held * held))
