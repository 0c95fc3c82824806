"""Building a changed copy of a function: values are mapped from the old to the new, operations cloned.

Valid IR in, valid IR out: nothing here changes what it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from typing import Any

from ..dialects.tile_ops import TileOp
from ..ir.builtin import FuncOp, ModuleOp
from ..ir.constructors import maker
from ..ir.core import Block, Operation, OpT, UnregisteredOp, Value
from ..ir.diagnostics import Diagnostic, DiagnosticError
from ..ir.types import Type

ValueMap = dict[Value, Value]


def clone(op: Operation, values: ValueMap, inside: Callable[[Operation], Operation] | None = None) -> Operation:
    """A copy of an operation on the mapped values, its regions included; its results are entered into the map.

    What stands in its regions is copied likewise, or made by `inside`.
    """
    operands = [values.get(v, v) for v in op.operands]
    results = [copy_value(v, values) for v in op.results]
    if isinstance(op, UnregisteredOp):
        copy = inside or (lambda inner: clone(inner, values))
        regions = [_clone_block(block, values, copy) for block in op.regions]
        return UnregisteredOp(op.name, operands, results, props=op.props, extra=op.extra, regions=regions, loc=op.loc)
    return clone_with(op, operands, results)


def clone_with(op: OpT, operands: Iterable[Value], results: Iterable[Value], **changes: Any) -> OpT:
    """A copy of a declared operation with other operands and results, and some fields changed."""
    cls = type(op)
    new = maker(cls, ("operands", "results"), cls)(op, tuple(operands), tuple(results))
    for value in new.results:
        value.owner = new
    for slot, value in changes.items():
        setattr(new, slot, value)
    return new


def copy_value(value: Value, values: ValueMap, type: Type | None = None) -> Value:
    """A new value of the same name (and type unless another is given), entered into the map."""
    new = values[value] = Value(type or value.type, value.name, loc=value.loc)
    return new


def _clone_block(block: Block, values: ValueMap, copy: Callable[[Operation], Operation]) -> Block:
    args = [copy_value(a, values) for a in block.args]
    return Block(args, [copy(op) for op in block.ops], loc=block.loc)


def with_body(func: FuncOp, args: list[Value], ops: list[Operation], **changes: Any) -> FuncOp:
    """The function with another body; `changes` are arguments of `FuncOp` such as `attrs` or `result_types`."""
    kept: dict[str, Any] = {
        "result_types": func.result_types,
        "arg_attrs": func.arg_attrs,
        "result_attrs": func.result_attrs,
        "attrs": func.attrs,
    }
    body = Block(args, ops, loc=func.body.loc)
    return FuncOp(func.sym_name, body, visibility=func.visibility, loc=func.loc, **(kept | changes))


def with_tile_ops(func: FuncOp, make: Callable[[ValueMap], list[Operation]]) -> FuncOp:
    """The function with other operations on tiles, made on the mapped values: allocs and whatever touches no buffer
    first, in their order, the return last."""
    values: ValueMap = {}
    args = [copy_value(a, values) for a in func.args]
    others = [op for op in func.ops if not isinstance(op, TileOp)]
    ops = [clone(op, values) for op in others[:-1]]
    ops += make(values)
    return with_body(func, args, [*ops, *(clone(op, values) for op in others[-1:])])


def apart(made: ModuleOp, given: ModuleOp) -> ModuleOp:
    """What passes have made of a module, so that to change it in place changes nothing of the module that they were
    given: what passes had nothing to do with is copied, and so are dictionaries of attributes."""
    if made is given:
        return made.clone()
    _take_apart(made, {id(op) for op in _members(given)})
    return made


def _members(op: Operation) -> Iterator[Operation]:
    """What stands in a module and in whatever is no function within it; not what stands in functions."""
    for inner in (inner for block in op.regions for inner in block.ops):
        yield inner
        if not isinstance(inner, FuncOp):
            yield from _members(inner)


def _take_apart(outer: Operation, theirs: set[int]) -> None:
    _own_attributes(outer)
    for ops, i, op in [(block.ops, i, op) for block in outer.regions for i, op in enumerate(block.ops)]:
        if id(op) in theirs:
            ops[i] = op.clone()
        elif not isinstance(op, FuncOp):
            _take_apart(op, theirs)
        else:
            _own_attributes(op)
            op.arg_attrs, op.result_attrs = deepcopy(op.arg_attrs), deepcopy(op.result_attrs)
            for unusual in (inner for inner in op.ops if inner.extra or type(inner) is UnregisteredOp):
                for within in unusual.walk():
                    _own_attributes(within)


def _own_attributes(op: Operation) -> None:
    op.extra = deepcopy(op.extra)
    if isinstance(op, UnregisteredOp):
        op.props = deepcopy(op.props)


def map_functions(module: ModuleOp, rewrite: Callable[[FuncOp, ModuleOp], FuncOp]) -> ModuleOp:
    """The module with each function rewritten (the same object means unchanged), those of nested modules and of unknown
    operations' regions included.

    Raises one `DiagnosticError` with the errors of all functions.
    """
    errors: list[Diagnostic] = []
    values: ValueMap = {}

    def visit(op: Operation, parent: ModuleOp) -> Operation:
        if isinstance(op, ModuleOp):
            ops = [visit(inner, op) for inner in op.ops]
            return ModuleOp(ops, attrs=op.attrs, sym_name=op.sym_name, source=op.source, loc=op.loc)
        if isinstance(op, UnregisteredOp):
            return clone(op, values, lambda inner: visit(inner, parent))
        if not isinstance(op, FuncOp) or op.is_declaration:
            return op
        try:
            return rewrite(op, parent)
        except DiagnosticError as error:
            errors.extend(error.diagnostics)
            return op

    result = visit(module, module)
    if errors:
        raise DiagnosticError(errors, module.source)
    assert isinstance(result, ModuleOp)
    return result
