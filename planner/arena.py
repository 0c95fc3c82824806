"""A virtual SRAM: addresses by first fit over a coalescing free list, with use order and a peak.

All sizes and addresses are in bytes, address 0 being the first of the SRAM. First fit: Knuth, The Art of Computer
Programming, vol. 1, section 2.5; `free_list.py` has its list.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from .free_list import FreeList
from .units import is_power_of_two, round_down, round_up


@dataclass(frozen=True, slots=True)
class SRAMConfig:
    """The SRAM to plan for: its size and the alignment of every address, both in bytes.

    Raises ValueError when the alignment is not a power of two, or the SRAM holds not even one aligned block.
    """

    total_bytes: int = 262144
    alignment: int = 64

    def __post_init__(self) -> None:
        if not is_power_of_two(self.alignment):
            raise ValueError(f"alignment must be a power of two >= 1, got {self.alignment}")
        if self.total_bytes < self.alignment:
            raise ValueError(f"total_bytes must be at least the alignment ({self.alignment}), got {self.total_bytes}")

    @property
    def capacity(self) -> int:
        """The size of the SRAM in bytes, rounded down to the alignment: what whole blocks can use of it."""
        return round_down(self.total_bytes, self.alignment)

    def rounded(self, size: int) -> int:
        """What `size` bytes take up: rounded up to the alignment."""
        return round_up(size, self.alignment)


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


class VirtualSRAMArena:
    """Allocations in one SRAM. Every block is the request rounded up to the alignment; all figures are in bytes."""

    __slots__ = ("_alignment", "_free", "_high_water", "_live", "_live_bytes", "_peak_bytes", "capacity", "config")

    def __init__(self, config: SRAMConfig) -> None:
        self.config = config
        self.capacity = config.capacity
        """The SRAM's size, rounded down to the alignment."""
        self._alignment = config.alignment
        self.reset()

    def reset(self) -> None:
        """Forget every allocation, the peak and the high water."""
        self._free = FreeList(self.capacity)
        # address -> (bytes as requested, tag, bytes taken up), least recently used first; a tuple is far cheaper than
        # an Allocation.
        self._live: OrderedDict[int, tuple[int, object, int]] = OrderedDict()
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
        if nbytes <= 0:
            raise _no_bytes(nbytes)
        size = round_up(nbytes, self._alignment)  # not `rounded`: most of planning passes through here
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
        size = live[2]
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
        return (Allocation(address, nbytes, tag) for address, (nbytes, tag, _) in self._live.items())

    def live(self) -> tuple[Allocation, ...]:
        """The live allocations in address order."""
        return tuple(Allocation(address, *self._live[address][:2]) for address in sorted(self._live))

    def allocation_at(self, address: int) -> Allocation:
        """The live allocation that starts at `address`. Raises KeyError when there is none."""
        if address not in self._live:
            raise _not_live(address)
        return Allocation(address, *self._live[address][:2])

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
            raise _no_bytes(nbytes)
        return round_up(nbytes, self._alignment)

    def _record(self, address: int, size: int, nbytes: int, tag: object) -> None:
        self._live[address] = (nbytes, tag, size)
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


def _no_bytes(nbytes: int) -> ValueError:
    return ValueError(f"an allocation needs at least 1 byte, got {nbytes}")
