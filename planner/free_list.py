"""The free blocks of an SRAM, for first fit: found, taken and given back without a walk over all of them.

First fit in address order with immediate coalescing: Knuth, The Art of Computer Programming, vol. 1, section 2.5. The
buckets are a two-level index over it, as in an unrolled linked list.
"""

from __future__ import annotations

from bisect import bisect_left

BUCKET_LIMIT = 128
"""Free blocks in one bucket of a `FreeList`, at most; `FreeList` says why there are buckets."""


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
