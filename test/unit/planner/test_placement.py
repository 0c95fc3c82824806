"""Addresses for live ranges: half-open in time, disjoint in bytes where they overlap."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilewright.planner.placement import LiveRange, place_live_ranges

RANGES = st.lists(
    st.builds(
        lambda start, length, size: LiveRange(start, start + length, 8 * size),
        st.integers(0, 12), st.integers(1, 6), st.integers(1, 4),
    ),
    max_size=14,
)  # fmt: skip


@given(RANGES, st.integers(4, 16))
def test_ranges_that_overlap_in_time_share_no_byte(ranges: list[LiveRange], units: int) -> None:
    capacity, taken = 8 * units, (8, 16)
    addresses = place_live_ranges(ranges, capacity, [taken])
    if addresses is None:
        return
    assert len(addresses) == len(ranges)
    placed = list(zip(ranges, addresses, strict=True))
    for i, (one, address) in enumerate(placed):
        assert address % 8 == 0
        assert 0 <= address <= capacity - one.size
        assert address + one.size <= taken[0] or address >= taken[1]
        for other, there in placed[:i]:
            if one.start < other.end and other.start < one.end:
                assert address + one.size <= there or there + other.size <= address


def test_a_range_that_begins_where_another_ends_takes_its_place() -> None:
    assert place_live_ranges([LiveRange(0, 2, 8), LiveRange(2, 3, 8)], 8) == [0, 0]
    assert place_live_ranges([LiveRange(0, 3, 8), LiveRange(2, 3, 8)], 8) is None


@given(RANGES)
def test_room_for_all_at_once_is_always_enough(ranges: list[LiveRange]) -> None:
    assert place_live_ranges(ranges, sum(one.size for one in ranges)) is not None


@pytest.mark.parametrize("size", [9, 100])
def test_what_exceeds_the_capacity_has_no_address(size: int) -> None:
    assert place_live_ranges([LiveRange(0, 1, size)], 8) is None
