"""dce: what no result depends on goes.

%h = graph.matmul %x, %w : ...
%d = graph.gelu %h : ...            ->    %h = graph.matmul %x, %w : ...
return %h : ...                           return %h : ...

uop.load %x[0, 0]
uop.load %z[0, 0]                         uop.load %x[0, 0]
uop.exec relu %y[0, 0] = %x[0, 0]   ->    uop.exec gelu %y[0, 0] = %x[0, 0]
uop.store %y[0, 0]                        uop.store %y[0, 0]
uop.exec gelu %y[0, 0] = %x[0, 0]
uop.store %y[0, 0]
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..ir.builtin import FuncOp, ModuleOp
from ..lowering.dead_code import without_dead
from ..lowering.rewriting import map_functions
from .manager import register_pass


@register_pass
@dataclass(frozen=True)
class DcePass:
    """Removes what no result depends on: operations on tensors; of uops, execs, loads, stores and allocs."""

    name: ClassVar[str] = "dce"
    needs: ClassVar[tuple[str, ...]] = ()

    def apply(self, module: ModuleOp) -> ModuleOp:
        return map_functions(module, remove_dead)


def remove_dead(func: FuncOp, module: ModuleOp) -> FuncOp:
    """A graph or uop function without its dead operations; any other as it is."""
    return without_dead(func)
