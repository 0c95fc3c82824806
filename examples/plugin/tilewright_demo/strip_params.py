"""demo-strip-params: takes the mark `graph.param` off every argument.

func.func @f(%w: tensor<4x4xf32> {graph.param}) {   ->   func.func @f(%w: tensor<4x4xf32>) {
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tilewright import FuncOp, ModuleOp
from tilewright.lowering.rewriting import ValueMap, clone, copy_value, map_functions, with_body
from tilewright.passes.manager import flag, register_pass


@register_pass
@dataclass(frozen=True)
class StripParamsPass:
    """Takes the mark `graph.param` off every argument."""

    name: ClassVar[str] = "demo-strip-params"
    needs: ClassVar[tuple[str, ...]] = ("fuse",)
    private_only: bool = flag("leave public functions alone")

    def apply(self, module: ModuleOp) -> ModuleOp:
        return map_functions(module, self.strip)

    def strip(self, func: FuncOp, module: ModuleOp) -> FuncOp:
        if self.private_only and func.visibility != "private":
            return func
        values: ValueMap = {}
        args = [copy_value(arg, values) for arg in func.args]
        ops = [clone(op, values) for op in func.ops]
        marks = [{key: value for key, value in attrs.items() if key != "graph.param"} for attrs in func.arg_attrs]
        return with_body(func, args, ops, arg_attrs=marks)
