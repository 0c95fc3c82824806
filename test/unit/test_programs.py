"""2,000 random programs: every level computes the same, every pass proves, pipes and re-parsing equal."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings

from .programs import PROGRAMS, Sizes, check_program
from .strategies import Choice, Machine


@settings(max_examples=2_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(*PROGRAMS)
def test_random_programs(text: str, sizes: Sizes, machine: Machine, who: str, chosen: list[Choice]) -> None:
    check_program(text, sizes, machine, who, chosen)
