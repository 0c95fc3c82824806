"""The arena solver: examples of each promise, and both classes against a naive model that keeps a flag per granule."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilewright.planner.arena import Allocation, OutOfMemoryError, SRAMConfig, VirtualSRAMArena
from tilewright.planner.free_list import FreeList


def make_arena(total_bytes: int = 1024, alignment: int = 64) -> VirtualSRAMArena:
    return VirtualSRAMArena(SRAMConfig(total_bytes, alignment))


def full_arena(count: int = 4) -> VirtualSRAMArena:
    """`count` blocks of 64 bytes that fill the SRAM, tagged t0, t1, ..."""
    arena = make_arena(64 * count)
    for index in range(count):
        arena.allocate(64, f"t{index}")
    return arena


def failure(request: Callable[[], object]) -> OutOfMemoryError:
    with pytest.raises(OutOfMemoryError) as caught:
        request()
    return caught.value


# --- configuration ---


def test_config_defaults() -> None:
    assert SRAMConfig() == SRAMConfig(total_bytes=262144, alignment=64)


@pytest.mark.parametrize("alignment", [0, -64, 3, 48])
def test_config_alignment_is_a_power_of_two(alignment: int) -> None:
    with pytest.raises(ValueError, match=f"alignment must be a power of two >= 1, got {alignment}"):
        SRAMConfig(1024, alignment)


@pytest.mark.parametrize("total_bytes", [0, -1, 63])
def test_config_holds_at_least_one_block(total_bytes: int) -> None:
    with pytest.raises(ValueError, match=rf"total_bytes must be at least the alignment \(64\), got {total_bytes}"):
        SRAMConfig(total_bytes, 64)


def test_capacity_is_rounded_down() -> None:
    arena = make_arena(total_bytes=1000)
    assert arena.capacity == arena.free_bytes == arena.largest_free_block == 960


# --- allocate, free, coalesce ---


def test_roundtrip() -> None:
    arena = make_arena()
    address = arena.allocate(100, "x[0,0]")
    assert arena.allocation_at(address) == Allocation(0, 100, "x[0,0]")
    assert (arena.live_count, arena.live_bytes, arena.free_bytes) == (1, 128, 896)
    arena.free(address)
    assert (arena.live_count, arena.live_bytes, arena.free_blocks()) == (0, 0, ((0, 1024),))


def test_addresses_are_aligned() -> None:
    arena = make_arena()
    assert [arena.allocate(size) for size in (1, 64, 65, 1)] == [0, 64, 128, 256]


def test_alignment_of_one_rounds_nothing() -> None:
    arena = make_arena(10, alignment=1)
    assert [arena.allocate(3), arena.allocate(7)] == [0, 3]
    assert arena.free_blocks() == ()
    assert arena.largest_free_block == 0


@pytest.mark.parametrize(
    ("freed", "blocks"),
    [
        ([1], ((64, 64),)),
        ([0, 1], ((0, 128),)),
        ([1, 0], ((0, 128),)),
        ([0, 2, 1], ((0, 192),)),
        ([3, 1, 0, 2], ((0, 256),)),
        ([0, 2], ((0, 64), (128, 64))),
    ],
    ids=["alone", "left", "right", "both", "all", "apart"],
)
def test_coalescing(freed: list[int], blocks: tuple[tuple[int, int], ...]) -> None:
    arena = full_arena()
    for index in freed:
        arena.free(64 * index)
    assert arena.free_blocks() == blocks


def test_first_fit_takes_the_lowest_that_holds_it() -> None:
    arena = full_arena(8)
    for index in (7, 4, 5, 1):  # holes: 64 bytes at 64, 128 at 256, 64 at 448
        arena.free(64 * index)
    assert (arena.find(64), arena.find(65), arena.find(129)) == (64, 256, None)
    assert [arena.allocate(size) for size in (128, 64, 64)] == [256, 64, 448]


@pytest.mark.parametrize(
    ("address", "blocks"),
    [(0, ((128, 128),)), (64, ((0, 64), (192, 64))), (128, ((0, 128),))],
    ids=["low-end", "middle", "high-end"],
)
def test_allocate_at(address: int, blocks: tuple[tuple[int, int], ...]) -> None:
    arena = make_arena(256)
    assert arena.allocate_at(address, 100, "t") == address
    assert arena.allocation_at(address) == Allocation(address, 100, "t")
    assert arena.free_blocks() == blocks


@pytest.mark.parametrize(("address", "nbytes"), [(0, 64), (64, 64), (0, 256), (192, 128)])
def test_allocate_at_a_taken_range(address: int, nbytes: int) -> None:
    arena = make_arena(320)
    arena.allocate_at(0, 128, "low")
    arena.allocate_at(256, 64, "high")
    error = failure(lambda: arena.allocate_at(address, nbytes, "new"))
    assert error.request_address == address
    assert not error.fragmented
    assert ("address in use: live allocations overlap the range" in str(error)) == (nbytes <= 128)
    assert f"no room for new, {nbytes} bytes at @0x{address:04x}" in str(error)
    assert arena.free_blocks() == ((128, 128),)


# --- least recently used, peak, reset ---


def test_use_order() -> None:
    arena = full_arena()
    arena.touch(0)
    arena.touch(128)
    arena.free(64)
    arena.allocate(64, "new")
    assert [item.tag for item in arena.least_recently_used()] == ["t3", "t0", "t2", "new"]
    assert [item.tag for item in arena.live()] == ["t0", "new", "t2", "t3"]


def test_use_order_reports_a_change_while_iterating() -> None:
    arena = full_arena()
    order = arena.least_recently_used()
    arena.free(next(order).address)
    with pytest.raises(RuntimeError):
        next(order)


def test_peak_and_high_water() -> None:
    arena = make_arena()
    low, high = arena.allocate(100), arena.allocate(64)
    arena.free(low)
    assert (arena.live_bytes, arena.peak_bytes, arena.high_water) == (64, 192, 192)
    arena.allocate_at(960, 64)
    assert (arena.live_bytes, arena.peak_bytes, arena.high_water) == (128, 192, 1024)
    arena.free(high)
    assert (arena.peak_bytes, arena.high_water) == (192, 1024)


def test_reset_is_as_new() -> None:
    arena = full_arena()
    arena.reset()
    assert (arena.live(), list(arena.least_recently_used()), arena.free_blocks()) == ((), [], ((0, 256),))
    assert (arena.live_bytes, arena.live_count, arena.peak_bytes, arena.high_water) == (0, 0, 0, 0)
    assert arena.allocate(256) == 0


# --- errors ---


def test_shortage() -> None:
    arena = make_arena(8192)
    arena.allocate(4000, "x[0,0]")
    arena.allocate(2048)
    error = failure(lambda: arena.allocate(4096, "w1[0,0]"))
    assert (error.request_bytes, error.request_tag, error.request_address) == (4096, "w1[0,0]", None)
    assert (error.capacity, error.live_bytes, error.largest_free_block) == (8192, 6080, 2112)
    assert error.live == (Allocation(0, 4000, "x[0,0]"), Allocation(4032, 2048, None))
    assert not error.fragmented
    assert str(error).splitlines() == [
        "out of SRAM: no room for w1[0,0], 4,096 bytes",
        "  capacity:           8,192 bytes",
        "  live:               6,080 bytes in 2 allocations",
        "  largest free block: 2,112 bytes",
        "  cause: shortage: 2,112 bytes are free, fewer than the request needs once aligned",
        "  live allocations:",
        "    @0x0000      4,000 bytes  x[0,0]",
        "    @0x0fc0      2,048 bytes  (untagged)",
    ]


def test_fragmentation() -> None:
    arena = full_arena()
    arena.free(0)
    arena.free(128)
    error = failure(lambda: arena.allocate(65, "new"))
    assert error.fragmented
    assert error.largest_free_block == 64
    assert "cause: fragmentation: 128 bytes are free, but no single free block is large enough" in str(error)
    assert all(f"64 bytes  t{index}" in str(error) for index in (1, 3))


def test_request_larger_than_the_sram() -> None:
    error = failure(lambda: make_arena().allocate(1025, "huge"))
    assert not error.fragmented
    assert "cause: shortage: the request alone exceeds the SRAM" in str(error)
    assert "live allocations" not in str(error)


def test_out_of_memory_changes_nothing_and_is_a_memory_error() -> None:
    arena = full_arena()
    with pytest.raises(MemoryError):
        arena.allocate(64)
    assert (arena.live_count, arena.live_bytes, arena.peak_bytes, arena.high_water) == (4, 256, 256, 256)


def test_out_of_memory_survives_pickling() -> None:
    error = failure(lambda: full_arena().allocate(64, "new"))
    copy = pickle.loads(pickle.dumps(error))
    assert str(copy) == str(error)
    assert copy.live == error.live


@pytest.mark.parametrize("nbytes", [0, -1])
def test_sizes_are_positive(nbytes: int) -> None:
    arena = make_arena()
    requests: list[Callable[[], object]] = [
        lambda: arena.find(nbytes),
        lambda: arena.allocate(nbytes),
        lambda: arena.allocate_at(0, nbytes),
    ]
    for request in requests:
        with pytest.raises(ValueError, match=f"at least 1 byte, got {nbytes}"):
            request()


@pytest.mark.parametrize("address", [1, 32, 100])
def test_exact_address_is_aligned(address: int) -> None:
    with pytest.raises(ValueError, match=r"is not a multiple of the alignment \(64\)"):
        make_arena().allocate_at(address, 64)


@pytest.mark.parametrize(("address", "nbytes"), [(-64, 64), (1024, 1), (960, 65)])
def test_exact_address_is_in_range(address: int, nbytes: int) -> None:
    with pytest.raises(ValueError, match="are not within 1,024 bytes of SRAM"):
        make_arena().allocate_at(address, nbytes)


@pytest.mark.parametrize("address", [0, 65, 4096])
def test_address_that_is_not_live(address: int) -> None:
    arena = make_arena()
    arena.free(arena.allocate(64))  # so address 0 is a double free
    for request in (arena.free, arena.touch, arena.allocation_at):
        with pytest.raises(KeyError, match=f"no live allocation starts at address {address:#x}"):
            request(address)


# --- against a naive model ---

GRANULES = 48
OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["take", "take", "take_at", "release", "release"]), st.integers(0, 10**6)),
    max_size=150,
)


class ByteMap:
    """One flag per granule: what a first-fit allocator should do, by scanning."""

    def __init__(self) -> None:
        self.used = [False] * GRANULES

    def is_free(self, start: int, size: int) -> bool:
        return start + size <= GRANULES and not any(self.used[start : start + size])

    def first_fit(self, size: int) -> int | None:
        return next((start for start in range(GRANULES) if self.is_free(start, size)), None)

    def mark(self, start: int, size: int, used: bool) -> None:
        self.used[start : start + size] = [used] * size

    def blocks(self) -> tuple[tuple[int, int], ...]:
        edges = [True, *self.used, True]
        flips = [index for index, (left, right) in enumerate(pairwise(edges)) if left != right]
        return tuple((start, end - start) for start, end in zip(flips[::2], flips[1::2], strict=True))


HOLES = list(range(0, GRANULES, 2))


@pytest.mark.parametrize("order", [HOLES, HOLES[::-1]], ids=["upwards", "downwards"])
def test_free_list_buckets_split_and_join(order: list[int]) -> None:
    free = FreeList(GRANULES, bucket_limit=2)
    assert free.take(GRANULES) == 0
    for start in order:
        free.release(start, 1)
    assert free.blocks() == tuple((start, 1) for start in HOLES)
    assert max(len(starts) for starts in free._starts) <= 2
    for start in order:
        assert free.largest == 1
        assert free.take_at(start, 1)
    assert (free.blocks(), free.largest, len(free._starts)) == ((), 0, 1)
    for start in [*order, *(start + 1 for start in order)]:
        free.release(start, 1)
    assert (free.blocks(), free.largest) == (((0, GRANULES),), GRANULES)


@settings(max_examples=300)
@given(OPERATIONS, st.integers(2, 6))
def test_free_list_matches_the_model(operations: list[tuple[str, int]], bucket_limit: int) -> None:
    """Small buckets, so that they split, join and coalesce across each other's ends."""
    free, model = FreeList(GRANULES, bucket_limit), ByteMap()
    live: dict[int, int] = {}
    for name, number in operations:
        start, size = number % GRANULES, 1 + number // GRANULES % 3
        if name == "release" and live:
            start = sorted(live)[number % len(live)]
            free.release(start, live[start])
            model.mark(start, live.pop(start), used=False)
        elif name == "take_at":
            taken = model.is_free(start, size)
            assert free.take_at(start, size) == taken
            if taken:
                live[start] = size
                model.mark(start, size, used=True)
        elif name == "take":
            expected = model.first_fit(size)
            assert free.find(size) == free.take(size) == expected
            if expected is not None:
                live[expected] = size
                model.mark(expected, size, used=True)
        assert free.blocks() == model.blocks()
        assert free.largest == max((block for _, block in model.blocks()), default=0)
        assert max(len(starts) for starts in free._starts) <= bucket_limit


def attempt(request: Callable[..., int], *arguments: object) -> int | None:
    try:
        return request(*arguments)
    except OutOfMemoryError:
        return None


@settings(max_examples=200)
@given(OPERATIONS, st.sampled_from([1, 4, 64]))
def test_arena_matches_the_model(operations: list[tuple[str, int]], unit: int) -> None:
    arena, model = make_arena(GRANULES * unit, unit), ByteMap()
    order: list[Allocation] = []
    for tag, (name, number) in enumerate(operations):
        nbytes = 1 + number // GRANULES % (8 * unit)
        start, size = number % GRANULES, -(-nbytes // unit)
        if name == "release" and order:
            release_or_touch(arena, model, order, number, unit)
            continue
        if name == "take":
            expected = model.first_fit(size)
            address = attempt(arena.allocate, nbytes, tag)
        elif start + size <= GRANULES:
            expected = start if model.is_free(start, size) else None
            address = attempt(arena.allocate_at, start * unit, nbytes, tag)
        else:
            continue
        assert address == (None if expected is None else expected * unit)
        if expected is not None:
            model.mark(expected, size, used=True)
            order.append(Allocation(expected * unit, nbytes, tag))
        check_arena(arena, model, order, unit)


def release_or_touch(arena: VirtualSRAMArena, model: ByteMap, order: list[Allocation], number: int, unit: int) -> None:
    item = order.pop(number % len(order))
    if number % 4 == 0:
        arena.touch(item.address)
        order.append(item)
    else:
        arena.free(item.address)
        model.mark(item.address // unit, -(-item.bytes // unit), used=False)
    check_arena(arena, model, order, unit)


def check_arena(arena: VirtualSRAMArena, model: ByteMap, order: list[Allocation], unit: int) -> None:
    blocks = arena.free_blocks()
    assert blocks == tuple((start * unit, size * unit) for start, size in model.blocks())
    assert all(start + size < following for (start, size), (following, _) in pairwise(blocks)), "adjacent free blocks"
    assert arena.live_bytes == sum(model.used) * unit
    assert arena.live_bytes + sum(size for _, size in blocks) == arena.capacity
    assert arena.largest_free_block == max((size for _, size in blocks), default=0)
    assert arena.live_bytes <= arena.peak_bytes <= arena.high_water <= arena.capacity
    assert list(arena.least_recently_used()) == order
    live = arena.live()
    assert live == tuple(sorted(order, key=lambda item: item.address))
    assert all(left.address + left.bytes <= right.address for left, right in pairwise(live)), "overlap"
