"""A virtual SRAM: addresses by first fit over a coalescing free list, with use order and a peak.

A pure solver: it knows integers, not IR. All sizes and addresses are in bytes, address 0 being the first of the SRAM.
First fit in address order with immediate coalescing: Knuth, The Art of Computer Programming, vol. 1, section 2.5.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

BUCKET_LIMIT = 128
"""Free blocks in one bucket of a `FreeList`, at most; `FreeList` says why there are buckets."""


@dataclass(frozen=True, slots=True)
class SRAMConfig:
    """The SRAM to plan for: its size and the alignment of every address, both in bytes.

    Raises ValueError when the alignment is not a power of two, or the SRAM holds not even one aligned block.
    """

    total_bytes: int = 262144
    alignment: int = 64

    def __post_init__(self) -> None:
        if self.alignment < 1 or self.alignment & (self.alignment - 1):
            raise ValueError(f"alignment must be a power of two >= 1, got {self.alignment}")
        if self.total_bytes < self.alignment:
            raise ValueError(f"total_bytes must be at least the alignment ({self.alignment}), got {self.total_bytes}")


class Allocation(NamedTuple):
    """A live allocation: its address, its size in bytes as requested (before rounding), and the caller's tag."""

    address: int
    bytes: int
    tag: object = None


@dataclass(eq=False)
class OutOfMemoryError(MemoryError):
    """No free block holds a request. All sizes are in bytes.

    `live_bytes` sums the live sizes, each rounded up to the alignment; `live` is in address order. `fragmented` says
    that the free bytes would suffice but no single block does. `request_address` is set for an exact-address request.
    """

    # Raise it with positional arguments: BaseException keeps those as `args`, which is what makes it picklable.
    request_bytes: int
    request_tag: object
    capacity: int
    live_bytes: int
    largest_free_block: int
    live: tuple[Allocation, ...]
    fragmented: bool
    request_address: int | None = None

    def __str__(self) -> str:
        place = "" if self.request_address is None else f" at {_hex(self.request_address)}"
        lines = [
            f"out of SRAM: no room for {_named(self.request_tag)}, {self.request_bytes:,} bytes{place}",
            f"  capacity:           {self.capacity:,} bytes",
            f"  live:               {self.live_bytes:,} bytes in {count_of(len(self.live), 'allocation')}",
            f"  largest free block: {self.largest_free_block:,} bytes",
            f"  cause: {self._cause()}",
        ]
        if self.live:
            lines.append("  live allocations:")
        lines += [f"    {_hex(item.address)} {item.bytes:>10,} bytes  {_named(item.tag)}" for item in self.live]
        return "\n".join(lines)

    def _cause(self) -> str:
        free = self.capacity - self.live_bytes
        if self.fragmented:
            return f"fragmentation: {free:,} bytes are free, but no single free block is large enough"
        if self.request_bytes > self.capacity:
            return "shortage: the request alone exceeds the SRAM"
        if self.request_address is not None and self.request_bytes <= self.largest_free_block:
            return "address in use: live allocations overlap the range asked for"
        return f"shortage: {free:,} bytes are free, fewer than the request needs once aligned"


def count_of(count: int, noun: str) -> str:
    """`1 allocation`, `2 allocations`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def _hex(address: int) -> str:
    return f"@0x{address:04x}"


def _named(tag: object) -> str:
    return "(untagged)" if tag is None else str(tag)


class FreeList:
    """Disjoint free blocks in address order, no two adjacent; starts as the one block [0, size), in bytes.

    The blocks lie in address-ordered buckets of bounded length, each with the size of its largest block. First fit
    skips the buckets whose largest is too small, so neither the search nor an insertion walks all blocks; with a
    handful of blocks there is one bucket, which is a plain sorted list.
    """

    __slots__ = ("_largest", "_limit", "_sizes", "_starts")

    def __init__(self, size: int, bucket_limit: int = BUCKET_LIMIT) -> None:
        # Three parallel lists, one entry a bucket. No bucket is empty, except the only one when nothing is free.
        self._limit = bucket_limit
        self._starts: list[list[int]] = [[0]]
        self._sizes: list[list[int]] = [[size]]
        self._largest: list[int] = [size]

    @property
    def largest(self) -> int:
        """The size of the largest free block, 0 when nothing is free."""
        return max(self._largest)

    def blocks(self) -> tuple[tuple[int, int], ...]:
        """Every free block as (start, size), in address order."""
        pairs = zip(self._starts, self._sizes, strict=True)
        return tuple(block for starts, sizes in pairs for block in zip(starts, sizes, strict=True))

    def find(self, size: int) -> int | None:
        """The lowest start of a block of at least `size` bytes, or None."""
        bucket = _first_at_least(self._largest, size)
        if bucket < 0:
            return None
        return self._starts[bucket][_first_at_least(self._sizes[bucket], size)]

    def take(self, size: int) -> int | None:
        """Take `size` bytes off the low end of the first block that holds them; their start, or None."""
        bucket = _first_at_least(self._largest, size)
        if bucket < 0:
            return None
        starts, sizes = self._starts[bucket], self._sizes[bucket]
        index = 0 if sizes[0] >= size else _first_at_least(sizes, size)
        start, rest = starts[index], sizes[index] - size
        if not rest:
            self._drop(bucket, index)
            return start
        starts[index] = start + size
        self._shrink(bucket, index, rest)
        return start

    def take_at(self, start: int, size: int) -> bool:
        """Take exactly [start, start + size); False, and nothing changes, when that is not wholly free."""
        bucket = self._bucket_of(start)
        starts, sizes = self._starts[bucket], self._sizes[bucket]
        index = bisect_left(starts, start + 1) - 1
        if index < 0:
            return False
        before = start - starts[index]
        after = sizes[index] - before - size
        if after < 0:
            return False
        if before:
            self._shrink(bucket, index, before)
        else:
            self._drop(bucket, index)
        if after:
            self.release(start + size, after)
        return True

    def release(self, start: int, size: int) -> None:
        """Give back [start, start + size), which must be wholly taken; coalesces with both neighbours."""
        bucket = 0 if len(self._starts) == 1 else self._bucket_of(start)
        starts, sizes = self._starts[bucket], self._sizes[bucket]
        index = bisect_left(starts, start)
        if index == len(starts) and self._opens(bucket + 1, start + size):
            size += self._sizes[bucket + 1][0]
            self._drop(bucket + 1, 0)  # may append that bucket's rest to ours: `index` still holds
        joins_right = index < len(starts) and starts[index] == start + size
        if index and starts[index - 1] + sizes[index - 1] == start:
            self._join_left(bucket, index, size, joins_right)
            return
        if joins_right:
            starts[index] = start
            self._grow(bucket, index, size)
            return
        starts.insert(index, start)
        sizes.insert(index, 0)
        self._grow(bucket, index, size)
        if len(starts) > self._limit:
            self._split(bucket)

    def _bucket_of(self, address: int) -> int:
        """The bucket of the last block that starts at or below `address`; bucket 0 when none does."""
        if len(self._starts) == 1:
            return 0
        # Lists compare by their first elements, so no separate list of each bucket's first start is needed.
        return max(bisect_left(self._starts, [address + 1]) - 1, 0)

    def _opens(self, bucket: int, address: int) -> bool:
        return bucket < len(self._starts) and self._starts[bucket][0] == address

    def _join_left(self, bucket: int, index: int, size: int, joins_right: bool) -> None:
        """Add `size` to the block before `index`, and with `joins_right` also the block at `index`."""
        if joins_right:
            size += self._sizes[bucket][index]
        self._grow(bucket, index - 1, size)
        if joins_right:
            self._drop(bucket, index)

    def _grow(self, bucket: int, index: int, by: int) -> None:
        sizes = self._sizes[bucket]
        sizes[index] = size = sizes[index] + by
        if size > self._largest[bucket]:
            self._largest[bucket] = size

    def _shrink(self, bucket: int, index: int, size: int) -> None:
        sizes = self._sizes[bucket]
        was, sizes[index] = sizes[index], size
        if was == self._largest[bucket]:
            self._largest[bucket] = max(sizes)

    def _drop(self, bucket: int, index: int) -> None:
        """Remove a block; a bucket that has become sparse joins a neighbour when both fit into one."""
        starts, sizes = self._starts[bucket], self._sizes[bucket]
        del starts[index]
        size = sizes.pop(index)
        if size == self._largest[bucket]:
            self._largest[bucket] = max(sizes, default=0)
        if len(self._starts) > 1 and len(starts) * 4 < self._limit:
            self._join_buckets(max(bucket - 1, 0))

    def _join_buckets(self, left: int) -> None:
        right = left + 1
        if len(self._starts[left]) + len(self._starts[right]) > self._limit:
            return
        self._starts[left] += self._starts.pop(right)
        self._sizes[left] += self._sizes.pop(right)
        self._largest[left] = max(self._largest[left], self._largest.pop(right))

    def _split(self, bucket: int) -> None:
        starts, sizes = self._starts[bucket], self._sizes[bucket]
        half = len(starts) // 2
        self._starts[bucket : bucket + 1] = [starts[:half], starts[half:]]
        self._sizes[bucket : bucket + 1] = [sizes[:half], sizes[half:]]
        self._largest[bucket : bucket + 1] = [max(sizes[:half]), max(sizes[half:])]


def _first_at_least(values: list[int], bound: int) -> int:
    for index, value in enumerate(values):
        if value >= bound:
            return index
    return -1


class VirtualSRAMArena:
    """Allocations in one SRAM. Every block is the request rounded up to the alignment; all figures are in bytes."""

    __slots__ = ("_alignment", "_free", "_high_water", "_live", "_live_bytes", "_peak_bytes", "capacity", "config")

    def __init__(self, config: SRAMConfig) -> None:
        self.config = config
        self.capacity = config.total_bytes & -config.alignment
        """The SRAM's size, rounded down to the alignment."""
        self._alignment = config.alignment
        self.reset()

    def reset(self) -> None:
        """Forget every allocation, the peak and the high water."""
        self._free = FreeList(self.capacity)
        # address -> (bytes as requested, tag), least recently used first; a tuple is far cheaper than an Allocation.
        self._live: OrderedDict[int, tuple[int, object]] = OrderedDict()
        self._live_bytes = self._peak_bytes = self._high_water = 0

    def find(self, nbytes: int) -> int | None:
        """The address `allocate` would give, or None when nothing holds it. Raises ValueError for nbytes <= 0."""
        return self._free.find(self.rounded(nbytes))

    def allocate(self, nbytes: int, tag: object = None) -> int:
        """Allocate at the lowest address of a free block that holds `nbytes`, and return that address.

        Raises ValueError for nbytes <= 0, OutOfMemoryError when no free block is large enough.
        """
        address = self.place(nbytes, tag)
        if address is None:
            raise self.out_of_memory(nbytes, tag)
        return address

    def place(self, nbytes: int, tag: object = None) -> int | None:
        """Like `allocate`, but None when no free block is large enough."""
        size = self.rounded(nbytes)
        address = self._free.take(size)
        if address is not None:
            self._record(address, size, nbytes, tag)
        return address

    def allocate_at(self, address: int, nbytes: int, tag: object = None) -> int:
        """Allocate at exactly `address`, and return it.

        Raises ValueError for nbytes <= 0 and for an address that is not aligned or a range not within the SRAM;
        OutOfMemoryError when the range is not wholly free.
        """
        size = self.rounded(nbytes)
        if address % self._alignment:
            raise ValueError(f"address {address:#x} is not a multiple of the alignment ({self._alignment})")
        if address < 0 or address + size > self.capacity:
            raise ValueError(f"{size:,} bytes at address {address:#x} are not within {self.capacity:,} bytes of SRAM")
        if not self._free.take_at(address, size):
            raise self.out_of_memory(nbytes, tag, address)
        self._record(address, size, nbytes, tag)
        return address

    def place_high(self, nbytes: int, tag: object = None) -> int | None:
        """Allocate at the high end of the highest free block that holds `nbytes`, and return the address, or None when
        none does. Raises ValueError for nbytes <= 0."""
        size = self.rounded(nbytes)
        ends = [start + room for start, room in self._free.blocks() if room >= size]
        return self.allocate_at(ends[-1] - size, nbytes, tag) if ends else None

    def tag_at(self, address: int) -> object:
        """The tag of the live allocation that starts at `address`, None when there is none."""
        found = self._live.get(address)
        return None if found is None else found[1]

    def free(self, address: int) -> None:
        """Free the allocation at `address`. Raises KeyError when none is live there."""
        live = self._live.pop(address, None)
        if live is None:
            raise _not_live(address)
        size = (live[0] + self._alignment - 1) & -self._alignment
        self._live_bytes -= size
        self._free.release(address, size)

    def touch(self, address: int) -> None:
        """Mark the allocation at `address` as the most recently used. Raises KeyError when none is live there."""
        if address not in self._live:
            raise _not_live(address)
        self._live.move_to_end(address)

    def least_recently_used(self) -> Iterator[Allocation]:
        """The live allocations, least recently used first; to allocate counts as a use.

        Lazy: to allocate, free or touch before the iteration is over makes its next step raise RuntimeError.
        """
        return (Allocation(address, nbytes, tag) for address, (nbytes, tag) in self._live.items())

    def live(self) -> tuple[Allocation, ...]:
        """The live allocations in address order."""
        return tuple(Allocation(address, *self._live[address]) for address in sorted(self._live))

    def allocation_at(self, address: int) -> Allocation:
        """The live allocation that starts at `address`. Raises KeyError when there is none."""
        if address not in self._live:
            raise _not_live(address)
        return Allocation(address, *self._live[address])

    def free_blocks(self) -> tuple[tuple[int, int], ...]:
        """Every free block as (start, size), in address order; no two are adjacent."""
        return self._free.blocks()

    @property
    def live_bytes(self) -> int:
        """The live sizes' sum, each rounded up to the alignment."""
        return self._live_bytes

    @property
    def live_count(self) -> int:
        """How many allocations are live."""
        return len(self._live)

    @property
    def free_bytes(self) -> int:
        """The free blocks' sum."""
        return self.capacity - self._live_bytes

    @property
    def largest_free_block(self) -> int:
        """The size of the largest free block, 0 when nothing is free."""
        return self._free.largest

    @property
    def peak_bytes(self) -> int:
        """The largest `live_bytes` so far."""
        return self._peak_bytes

    @property
    def high_water(self) -> int:
        """The largest end address of any allocation so far."""
        return self._high_water

    def rounded(self, nbytes: int) -> int:
        """A request's size rounded up to the alignment. Raises ValueError for nbytes <= 0."""
        if nbytes <= 0:
            raise ValueError(f"an allocation needs at least 1 byte, got {nbytes}")
        return (nbytes + self._alignment - 1) & -self._alignment

    def _record(self, address: int, size: int, nbytes: int, tag: object) -> None:
        self._live[address] = (nbytes, tag)
        self._live_bytes = live_bytes = self._live_bytes + size
        if live_bytes > self._peak_bytes:
            self._peak_bytes = live_bytes
        if address + size > self._high_water:
            self._high_water = address + size

    def out_of_memory(self, nbytes: int, tag: object, address: int | None = None) -> OutOfMemoryError:
        """The error that tells why `nbytes` find no room now, at `address` if that was asked for; not raised."""
        size, largest = self.rounded(nbytes), self.largest_free_block
        fragmented = largest < size <= self.free_bytes
        live = self.live()
        return OutOfMemoryError(nbytes, tag, self.capacity, self._live_bytes, largest, live, fragmented, address)


def _not_live(address: int) -> KeyError:
    return KeyError(f"no live allocation starts at address {address:#x}")
