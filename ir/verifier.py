"""Checks a module: SSA form and structure, each operation by itself, and each dialect's whole-function checks."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .attributes import Attr, Attributes, attr_text
from .builtin import FuncOp, ModuleOp, ReturnOp
from .collector import collector_off
from .core import Block, Operation, UnregisteredOp, Value
from .diagnostics import Diagnostic, DiagnosticError, behind_inner, did_you_mean
from .language_version import KEY, check_language
from .light_typing import TYPE_CHECKING, Any
from .opdef import DIALECTS, OpError, all_dialects, all_ops, is_discardable
from .types import EMPTY_DIMENSION, has_empty_dimension

if TYPE_CHECKING:
    from typing import Protocol
else:
    Protocol = object

Checks = dict[str, Callable[[Attr], str]]


def verify(module: ModuleOp) -> None:
    """Raises `DiagnosticError` with every independent error of the module."""
    with collector_off():
        errors = verification_errors(module)
    if errors:
        raise DiagnosticError(errors, module.source)


def verification_errors(module: ModuleOp) -> list[Diagnostic]:
    """Every independent error; whole-function checks run only on functions that are right op by op."""
    errors: list[Diagnostic] = []
    known = {k: v for d in all_dialects() for k, v in d.module_attributes.items()}
    _check_keys(module.attrs, "module", known | {KEY: check_language}, module.loc, errors)
    _verify_outside(module.ops, module, errors)
    return errors


def _verify_outside(ops: Iterable[Operation], module: ModuleOp, errors: list[Diagnostic]) -> None:
    """Operations outside of functions, of a module and of the regions of unknown operations in it."""
    for op in ops:
        if isinstance(op, ModuleOp):
            errors += verification_errors(op)
        elif isinstance(op, FuncOp):
            errors += _verify_func(op, module)
        elif isinstance(op, UnregisteredOp):
            _check_unknown(op, errors)
            for region in op.regions:
                _verify_outside(region.ops, module, errors)
        else:
            errors.append(Diagnostic(f"{op.name} must stand inside a function", op.loc))


def _verify_func(func: FuncOp, module: ModuleOp) -> list[Diagnostic]:
    errors = operation_errors(func)
    if errors or func.is_declaration:
        return errors
    for dialect in all_dialects():
        for check in dialect.function_checks:
            errors += check(func, module)
    return errors


def operation_errors(func: FuncOp) -> list[Diagnostic]:
    """What is wrong with a function's attributes, SSA form and operations, each taken by itself."""
    errors: list[Diagnostic] = []
    if func.attrs:
        checks = {k: v for d in all_dialects() for k, v in d.function_attributes.items()}
        _check_keys(func.attrs, "func.func", checks, func.loc, errors)
    for attrs in filter(None, func.arg_attrs):
        checks = {k: v for d in all_dialects() for k, v in d.argument_attributes.items()}
        _check_keys(attrs, "an argument", checks, func.loc, errors)
    if func.is_declaration:
        if func.visibility in ("", "public"):
            errors.append(Diagnostic(f"{func.symbol} has no body: a declaration must be private", func.loc))
        return errors
    _check_block(func.body, set(), errors)
    inner = len(errors)
    _check_return(func, errors)
    behind_inner(errors, inner)
    return errors


def _check_keys(attrs: Attributes, what: str, known: Checks, loc: int, errors: list[Diagnostic]) -> None:
    """Discardable attributes of our dialects must be ones that we know; others are left alone."""
    for key, value in attrs.items():
        if key in known:
            expected = known[key](value)
            if expected:
                errors.append(
                    Diagnostic(f"'{key}' of {what} must be {expected}, got {attr_text(value)}", loc, focus=key)
                )
        elif (not is_discardable(key) and known) or key.partition(".")[0] in DIALECTS:
            errors.append(Diagnostic(f"unknown attribute '{key}' on {what}{did_you_mean(key, known)}", loc, focus=key))


def _check_return(func: FuncOp, errors: list[Diagnostic]) -> None:
    last = func.ops[-1] if func.ops else None
    if not isinstance(last, ReturnOp):
        errors.append(Diagnostic(f"function {func.symbol} must end with a return", last.loc if last else func.loc))
        return
    types = tuple(v.type for v in last.operands)
    if types != func.result_types:
        shown = ", ".join(map(str, types)) or "nothing"
        declared = ", ".join(map(str, func.result_types)) or "nothing"
        error = Diagnostic(f"return of {shown} from a function that is declared to return {declared}", last.loc)
        errors.append(error.note("declared here", func.loc))


class Memory(Protocol):
    """What has been found right of a class's operations in one block; a class may name one as its `verifier_memory`.

    `knows` says of an operation that has neither results nor discardable attributes whether it must be right, as
    operations that `learn` was told of are: its operands are operands of those, too.
    """

    def knows(self, op: Any, /) -> bool: ...

    def learn(self, op: Any, /) -> None: ...


class _NoMemory:
    def knows(self, op: Operation) -> bool:
        return False

    def learn(self, op: Operation) -> None:
        pass


class _Memories(dict[type[Operation], Callable[[Any], bool]]):
    """The `knows` of each class's memory."""

    def __init__(self) -> None:
        super().__init__()
        self.learn: dict[type[Operation], Callable[[Any], None]] = {}

    def __missing__(self, cls: type[Operation]) -> Callable[[Any], bool]:
        memory = _memory_of(cls)()
        self[cls], self.learn[cls] = memory.knows, memory.learn
        return memory.knows


def _memory_of(cls: type[Operation]) -> type[Memory]:
    """A class's memory; none if a `verify` of its own overrides the one that an inherited memory stands for."""
    for base in cls.__mro__:
        if "verifier_memory" in vars(base):
            return vars(base)["verifier_memory"]
        if "verify" in vars(base):
            break
    return _NoMemory


def _check_block(block: Block, visible: set[Value], errors: list[Diagnostic]) -> None:
    visible |= set(block.args)
    _check_dimensions(block.args, errors)
    last = len(block.ops) - 1
    memories = _Memories()
    for i, op in enumerate(block.ops):
        if memories[type(op)](op) and not op.extra and not op.results:
            continue
        before = len(errors)
        for value in op.operands:
            if value not in visible:
                errors.append(Diagnostic(f"%{value.name} is used before it is defined", op.loc, focus=f"%{value.name}"))
        own = len(errors)
        for region in op.regions:
            _check_block(region, set(visible), errors)
        inner = len(errors)
        _check_op(op, i == last, errors)
        if inner > own:
            behind_inner(errors, inner)
        if len(errors) == before:
            memories.learn[type(op)](op)
        visible.update(op.results)
        if not isinstance(op, UnregisteredOp):
            _check_dimensions(op.results, errors)


def _check_unknown(op: UnregisteredOp, errors: list[Diagnostic]) -> None:
    """Of the dialects that are known, all operations are known."""
    if op.name.partition(".")[0] in DIALECTS:
        message = f"unknown operation '{op.name}'{did_you_mean(op.name, all_ops())}"
        errors.append(Diagnostic(message, op.loc, focus=op.name))


def _check_dimensions(values: Iterable[Value], errors: list[Diagnostic]) -> None:
    errors += [Diagnostic(EMPTY_DIMENSION, v.loc, focus=v.type.text) for v in values if has_empty_dimension(v.type)]


def _check_op(op: Operation, is_last: bool, errors: list[Diagnostic]) -> None:
    if isinstance(op, (FuncOp, ModuleOp)):
        errors.append(Diagnostic(f"{op.name} must not stand inside a function", op.loc))
    elif isinstance(op, ReturnOp):
        if not is_last:
            errors.append(Diagnostic("return must be the last operation of its function", op.loc))
    elif isinstance(op, UnregisteredOp):
        _check_unknown(op, errors)
    elif op.extra:
        _check_keys(op.extra, op.name, {}, op.loc, errors)
    check = getattr(op, "verify", None)
    if check is not None:
        try:
            check()
        except OpError as error:
            errors.append(error.diagnostic(op.loc))
