"""Whether there is memory for what a function works on: an error at what takes most, before anything is allocated."""

from __future__ import annotations

import os
from collections.abc import Iterable
from math import prod

from ..dialects.placement_limits import off_chip_bytes
from ..dialects.tiles import TiledType
from ..ir.builtin import FuncOp
from ..ir.core import Value
from ..ir.diagnostics import fail
from ..ir.types import DTYPE_BYTES, TensorType

USUAL = 1 << 40
"""Bytes of memory of a system that doesn't say."""


def memory() -> int:
    """Bytes of the machine's memory."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return USUAL


def size_of(value: Value) -> int:
    """Bytes of a tensor, or of a buffer's tiles with their padding; 0 for other values."""
    if isinstance(value.type, TiledType):
        return off_chip_bytes(value.type)
    if isinstance(value.type, TensorType) and value.type.dtype in DTYPE_BYTES:
        return prod(value.type.shape) * value.type.element_bytes
    return 0


def values_of(func: FuncOp) -> list[Value]:
    """Arguments, and results of operations."""
    return [*func.args, *(value for op in func.ops for value in op.results)]


def check_room(values: Iterable[Value]) -> None:
    """Raises `DiagnosticError` where values take more bytes than the machine's memory has, at the largest one."""
    sizes = {value: size_of(value) for value in values}
    total, most = sum(sizes.values()), memory()
    if total <= most:
        return
    value = max(sizes, key=lambda v: sizes[v])
    padded = ", padding of its tiles included" if isinstance(value.type, TiledType) and value.type.is_padded else ""
    message = f"%{value.name} takes {sizes[value]:,} bytes{padded}, all tensors {total:,}: there are {most:,} of memory"
    fail(message, value.loc, f"%{value.name}")


def check_address(end: int, loc: int) -> None:
    """Raises `DiagnosticError` where the SRAM up to a byte is more than the machine's memory."""
    if end > memory():
        fail(f"the schedule's tiles reach byte {end:,} of the SRAM: there are {memory():,} bytes of memory", loc)
