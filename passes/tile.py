"""tile: writes down the tile sizes [tm, tn, tk] of every product.

%h = graph.matmul %x, %w : ...       ->       %h = graph.matmul %x, %w {tile = [32, 32, 32]} : ...
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..dialects.graph import GraphOp
from ..dialects.levels import level_of
from ..dialects.target import target_of
from ..ir.builtin import FuncOp, ModuleOp
from ..ir.core import Operation
from ..lowering.rewriting import ValueMap, clone, clone_with, copy_value, map_functions, with_body
from ..lowering.tiling import check_tensors, given_tiles, infer
from .manager import option, read_tile, register_pass


@register_pass
@dataclass(frozen=True)
class TilePass:
    """Gives every matmul its tile sizes; an operation's own `tile` stays. Elementwise operations take the tiles of what
    they work on, and carry sizes only where nothing else decides (an argument then has `graph.tile`)."""

    name: ClassVar[str] = "tile"
    needs: ClassVar[tuple[str, ...]] = ()
    sizes: tuple[int, int, int] | None = option(read_tile, "tile sizes in elements (default 32x32x32)", "MxNxK")

    def apply(self, module: ModuleOp) -> ModuleOp:
        return map_functions(module, self.tile_function)

    def tile_function(self, func: FuncOp, module: ModuleOp) -> FuncOp:
        if level_of(func) != "graph":
            return func
        check_tensors(func, "tile")
        target = target_of(func, module, tile=self.sizes)
        tiling = infer(func, target.tile, given_tiles(func))
        values: ValueMap = {}
        args = [copy_value(a, values) for a in func.args]
        attrs = [
            a_attrs | {"graph.tile": tiling.tensors[a]} if a in tiling.free else a_attrs
            for a, a_attrs in zip(func.args, func.arg_attrs, strict=True)
        ]
        ops: list[Operation] = []
        for op in func.ops:
            if isinstance(op, GraphOp) and op in tiling.ops:
                operands = [values[v] for v in op.operands]
                ops.append(clone_with(op, operands, [copy_value(op.result, values)], tile=tiling.ops[op]))
            else:
                ops.append(clone(op, values))
        return with_body(func, args, ops, arg_attrs=attrs)
