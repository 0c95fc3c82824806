"""Results in i32: the language says that they wrap, a run that they may not unless it is told so."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..dialects.kernels import Kernel
from ..ir.core import Operation, Value
from ..ir.diagnostics import fail
from .numerics import Array

I32 = np.iinfo(np.int32)


def in_i32(wide: Array, kernel: Kernel, wrap: bool, op: Operation, value: Value, corner: Sequence[int] = ()) -> Array:
    """What a kernel has made, exact in i64, as i32. Raises `DiagnosticError` at the operation for one that i32 can't
    hold, unless it may `wrap`. `corner` is where the array begins in `value`, whose elements they are."""
    if not wrap and wide.size and (wide.min() < I32.min or wide.max() > I32.max):
        index = np.unravel_index(int(((wide < I32.min) | (wide > I32.max)).argmax()), wide.shape)
        where = ", ".join(str(int(i) + c) for i, c in zip(index, corner or [0] * wide.ndim, strict=True))
        name, verb = f"%{value.name}", "sums" if kernel.is_sum else "comes"
        number = f"{int(wide[index]):,}, which i32 can't hold"
        fail(f"element [{where}] of {name} {verb} to {number}; --wrap runs on with it wrapped", op.loc, name)
    return wide.astype(np.int32)
