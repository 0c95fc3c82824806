"""canonicalize: what is known to be the same is written in one way, and what no result depends on goes.

%r = graph.relu %x : ...
%s = graph.relu %r : ...                              %c = graph.clip %x {params = [0.0 : f32, 6.0 : f32]} : ...
%c = graph.clip %s {params = [0.0 : f32, ...   ->
%m = graph.max %c, %c : ...
return %m : ...                                       return %c : ...

Each of `REWRITES` keeps every bit of every result, whatever the inputs are; of NaN, which the language leaves open,
not always the payload. An operation that would go stays if it has attributes that nothing else would carry then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from ..dialects.graph import TOGETHER, CastOp, ElementwiseOp, GraphOp, MappedOp, MatmulOp, has_choices
from ..dialects.kernels import KERNELS
from ..dialects.kernels.conversions import WIDENING
from ..dialects.kernels.declaration import Range
from ..dialects.kernels.laws import within
from ..dialects.levels import level_of
from ..ir.builtin import FuncOp, ModuleOp
from ..ir.core import Operation, Value
from ..ir.types import TensorType
from ..lowering.dead_code import computes, without_dead
from ..lowering.rewriting import ValueMap, clone, clone_with, copy_value, map_functions, with_body
from .manager import register_pass

Uses = Counter[Value]
"""How often each value is read, or returned."""

Rewrite = Callable[[GraphOp, Uses], Value | GraphOp | None]
"""What an operation comes to: a value that is there already, a simpler operation in its place, or None for neither."""


@register_pass
@dataclass(frozen=True)
class CanonicalizePass:
    """Simplifies a graph by rewrites that keep every bit, and removes what no result depends on."""

    name: ClassVar[str] = "canonicalize"
    needs: ClassVar[tuple[str, ...]] = ()

    def apply(self, module: ModuleOp) -> ModuleOp:
        return map_functions(module, canonicalize_function)


def canonicalize_function(func: FuncOp, module: ModuleOp) -> FuncOp:
    """A graph function in its simplest form; any other, and one whose operations say with which others they are
    computed, as it is."""
    if level_of(func) != "graph" or has_choices(func, TOGETHER):
        return func
    return without_dead(simplified(without_dead(func)))


# The rewrites


def cut_before(op: GraphOp, uses: Uses) -> Value | None:
    """%r = graph.clip %x {params = [0.0 : f32, 6.0 : f32]}; %y = graph.relu %r    ->    %r in place of %y

    Also where %r is a product with such an activation.
    """
    bounds, before = clamp_of(op), clamp_of(op.operands[0].owner)
    return op.operands[0] if bounds and before and within(before, bounds) else None


def cut_anyway(op: GraphOp, uses: Uses) -> GraphOp | None:
    """%r = graph.relu %x; %y = graph.clip %r {params = [0.0 : f32, 6.0 : f32]}
    ->  %y = graph.clip %x {params = [0.0 : f32, 6.0 : f32]}

    if nothing else reads %r.
    """
    inner = op.operands[0].owner
    if not isinstance(inner, ElementwiseOp) or not is_bare(inner) or uses[inner.result] != 1:
        return None
    bounds, before = clamp_of(op), clamp_of(inner)
    if not bounds or not before or not within(bounds, before):
        return None
    return clone_with(op, inner.operands, op.results)


def one_of_equals(op: GraphOp, uses: Uses) -> Value | None:
    """%y = graph.max %x, %x    ->    %x in place of %y"""
    alike = KERNELS[op.kernel].idempotent and op.operands[0] is op.operands[-1] and len(op.operands) == 2
    return op.operands[0] if alike else None


def there_and_back(op: GraphOp, uses: Uses) -> Value | None:
    """%w = graph.cast %x : tensor<4xf16> -> tensor<4xf32>; %y = graph.cast %w : tensor<4xf32> -> tensor<4xf16>
    ->  %x in place of %y
    """
    inner = op.operands[0].owner
    if not isinstance(op, CastOp) or not isinstance(inner, CastOp) or not is_bare(inner) or op.attributes:
        return None
    source, wide = inner.operands[0].type, inner.result.type
    assert isinstance(source, TensorType)
    assert isinstance(wide, TensorType)
    exact = source == op.result.type and (source.dtype, wide.dtype) in WIDENING
    return inner.operands[0] if exact else None


REWRITES: tuple[Rewrite, ...] = (cut_before, cut_anyway, one_of_equals, there_and_back)
"""All rewrites, in the order in which they are tried on each operation."""


def clamp_of(op: object) -> Range | None:
    """The range that an operation cuts its result to, if it is one that leaves all within as it is."""
    if isinstance(op, MappedOp):
        kernel, params = KERNELS[op.kernel], KERNELS[op.kernel].params_of(op)
    elif isinstance(op, MatmulOp) and op.activation is not None:
        kernel = KERNELS[op.activation]
        params = kernel.params_of(op, "activation_params")
    else:
        return None
    return kernel.clamps(params) if kernel.clamps else None


def is_bare(op: GraphOp) -> bool:
    """Whether an operation says nothing but what it computes: no tiles, no order, nothing of a user's."""
    return set(op.attributes) <= {parameter.attribute for parameter in KERNELS[op.kernel].parameters}


# Using them


def simplified(func: FuncOp) -> FuncOp:
    """A graph function with each operation, in order, rewritten until no rewrite applies; the same object if none ever
    did."""
    rewriter = _Rewriter(func)
    args = [rewriter.copy(a) for a in func.args]
    for op in func.ops:
        rewriter.add(op)
    return with_body(func, args, rewriter.ops) if rewriter.changed else func


class _Rewriter:
    """Operations as they are taken over from a function; `uses` counts the readers of copied values that there are, or
    will be."""

    def __init__(self, func: FuncOp):
        self.given: Uses = Counter([v for op in func.ops for inner in op.walk() for v in inner.operands])
        self.values: ValueMap = {}
        self.uses: Uses = Counter()
        self.ops: list[Operation] = []
        self.changed = False

    def copy(self, value: Value) -> Value:
        made = copy_value(value, self.values)
        self.uses[made] = self.given[value]
        return made

    def add(self, op: Operation) -> None:
        made = clone(op, self.values)
        self.uses.update({self.values[v]: self.given[v] for v in op.results})
        while isinstance(made, GraphOp) and computes(made):
            found = self.rewritten(made)
            if found is None:
                break
            self.changed = True
            if isinstance(found, Value):
                self.uses[found] += self.given[op.results[0]]
                self.values[op.results[0]] = found
                self.release(made)
                return
            self.uses.update(found.operands)
            self.release(made)
            made = found
        self.ops.append(made)

    def rewritten(self, op: GraphOp) -> Value | GraphOp | None:
        rewritable = op.kernel in KERNELS and is_bare(op)
        made = (rewrite(op, self.uses) for rewrite in REWRITES) if rewritable else ()
        return next((found for found in made if found is not None), None)

    def release(self, op: Operation) -> None:
        """Counts an operation as gone, and with it those that only it needed."""
        for value in op.operands:
            self.uses[value] -= 1
            if not self.uses[value] and isinstance(value.owner, GraphOp) and computes(value.owner):
                self.release(value.owner)
