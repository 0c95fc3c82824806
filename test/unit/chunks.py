"""Long searches of Hypothesis in chunks, so that several processes share them; the examples in sum stay as many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st


def run_chunk(
    check: Callable[..., None], strategies: tuple[st.SearchStrategy[Any], ...], examples: int, chunk: int
) -> None:
    """Calls `check` on so many examples. Derandomised, each chunk has a seed of its own: Hypothesis would give all of
    them the same examples."""

    @settings(max_examples=examples, suppress_health_check=[HealthCheck.too_slow])
    @given(st.tuples(*strategies))
    def one(drawn: tuple[Any, ...]) -> None:
        check(*drawn)

    (seed(chunk)(one) if settings().derandomize else one)()
