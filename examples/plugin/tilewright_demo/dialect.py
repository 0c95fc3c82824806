"""The dialect `demo`, and its operation: a row of the kernels' table, and a rule in `dialect.lark`."""

from __future__ import annotations

from typing import Any

from tilewright.dialects.graph import mapped_operation
from tilewright.dialects.kernels.elementwise import FLOATS, unary
from tilewright.ir.opdef import Dialect, register_dialect
from tilewright.ir.reading.grammar import grammar_beside

DEMO = register_dialect(Dialect("demo", grammar_beside(__file__)))


def softsign(np: Any, x: Any) -> Any:
    return x / (1 + np.abs(x))


SOFTSIGN = unary(
    "softsign", softsign, dtypes=FLOATS, keeps_zeros=True, in_double=True, ulps=1, onnx="Softsign",
    summary="x / (1 + |x|)",
)  # fmt: skip
SoftsignOp = mapped_operation(DEMO, SOFTSIGN, __name__)
