"""Rounding to the alignment."""

from hypothesis import given
from hypothesis import strategies as st

from tilewright.planner.units import ceil_div, is_power_of_two, round_down, round_up

SIZES = st.integers(0, 1 << 40)


@given(SIZES, st.integers(0, 16).map(lambda e: 1 << e))
def test_rounding_finds_the_neighbouring_multiples(size: int, alignment: int) -> None:
    down, up = round_down(size, alignment), round_up(size, alignment)
    assert down % alignment == up % alignment == 0
    assert down <= size <= up
    assert up - down == (alignment if size % alignment else 0)
    assert ceil_div(size, alignment) * alignment == up


def test_alignments_are_powers_of_two() -> None:
    assert [n for n in range(-2, 20) if is_power_of_two(n)] == [1, 2, 4, 8, 16]
