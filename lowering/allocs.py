"""Which `uop.alloc`s a function still needs, and which of them have off-chip bytes; shared by the passes on tiles."""

from __future__ import annotations

from ..dialects.opaque import OpaqueOp
from ..dialects.target import Target
from ..dialects.tile_ops import ExecBase, TileOp
from ..dialects.uop import AllocOp
from ..ir.attributes import UNIT
from ..ir.builtin import FuncOp, ReturnOp
from ..ir.core import Operation
from ..ir.diagnostics import Diagnostic, DiagnosticError
from ..planner.arena import SRAMConfig


def tidy_allocs(ops: list[Operation]) -> list[Operation]:
    """Without the allocs that nothing names; `on_chip` marks just those that are neither loaded nor stored."""
    moved = {v for op in ops if not isinstance(op, ExecBase) for v in op.operands}
    computed = {op.operands for op in ops if isinstance(op, ExecBase)}  # as tuples: there are few different ones
    named = moved.union(*computed)
    kept = [op for op in ops if not isinstance(op, AllocOp) or op.result in named]
    for op in kept:
        if isinstance(op, AllocOp):
            op.on_chip = None if op.result in moved else UNIT
    return kept


def check_understood(func: FuncOp, who: str) -> None:
    """Raises `DiagnosticError` at each unknown operation that touches a buffer or a tensor."""
    errors = []
    for op in func.ops:
        if isinstance(op, (TileOp, AllocOp, OpaqueOp, ReturnOp)):
            continue
        touched = [v for inner in op.walk() for v in (*inner.operands, *inner.results) if _is_data(v.type.text)]
        if touched:
            errors.append(Diagnostic(f"{who} does not understand {op.name}, which touches %{touched[0].name}", op.loc))
    if errors:
        raise DiagnosticError(errors)


def config_of(func: FuncOp, target: Target) -> SRAMConfig:
    """The SRAM that a function is scheduled for. Raises `DiagnosticError` where it can't hold a single block."""
    if target.sram_bytes < target.alignment:
        message = f"an SRAM of {target.sram_bytes} bytes holds no block aligned to {target.alignment} bytes"
        raise DiagnosticError([Diagnostic(message, func.loc)])
    return SRAMConfig(target.sram_bytes, target.alignment)


def _is_data(type_text: str) -> bool:
    return type_text.startswith(("tensor<", "!uop.tiled<"))
