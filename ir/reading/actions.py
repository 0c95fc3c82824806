"""What is done as each grammar rule is recognised: values are looked up, operations built, blocks filled.

Lark calls a method named after the rule with the list of what its parts gave. The actions of dialects are called
as `action(context, parts)` and are put beside these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ..attributes import Attributes, symbol_text
from ..builtin import FuncOp, ModuleOp, ReturnOp
from ..core import Block, Operation, UnregisteredOp, Value
from ..diagnostics import Diagnostic, behind_inner, did_you_mean
from ..light_typing import Any
from ..opdef import DIALECTS, OPERATIONS, OpError, all_dialects, all_ops, find_op, from_generic, is_discardable
from ..parsing import Action, is_attributes
from ..types import EMPTY_DIMENSION, FunctionType, ScalarType, Type, has_empty_dimension
from .attr_actions import MAX_DEPTH, AttributeActions
from .generic import generic_func, generic_module
from .parts import Args, FuncResult, FuncResults, Header, Names, Properties, Regions, Result

POISON = ScalarType("none")

MOST_SUGGESTIONS = 100
"""Most names that are looked for in one text because there is no such name. More than are shown."""


class Actions(AttributeActions):
    """The embedded transformer, and the parse context that operations' own `parse` functions see."""

    def __init__(self) -> None:
        super().__init__()
        for dialect in all_dialects():
            for rule, action in list(dialect.actions.items()):
                setattr(self, rule, self._guarded(action))
        self.begin("", False)

    def _guarded(self, action: Action) -> Callable[[list[Any]], Any]:
        def run(parts: list[Any]) -> Any:
            try:
                return action(self, parts)
            except OpError as error:
                at = next((p.start_pos for p in parts if hasattr(p, "start_pos")), self.loc)
                self.errors.append(error.diagnostic(at))
                return None

        return run

    def begin(self, text: str, allow_unregistered: bool) -> None:
        """Makes ready for a new text."""
        self.text = text
        self.allow_unregistered = allow_unregistered
        self.errors: list[Diagnostic] = []
        self.block = Block()
        self.block_stack: list[Block] = []
        self.values: dict[str, Value] = {}
        self.scopes: list[dict[str, Value]] = []
        self.undefined: dict[str, Diagnostic] = {}
        self.forgiven: set[str] = set()
        self.gone: dict[str, int] = {}
        self.pending: list[Value] | None = None  # arguments of the coming region, if it is isolated from above
        self.saved_scopes: list[tuple[list[dict[str, Value]], dict[str, Diagnostic]]] = []
        self.outer_values: list[dict[str, Value]] = []
        self.symbols: dict[str, int] = {}
        self.loc = 0
        self.statements_ended = 0
        self.suggestions = 0
        self.unknown_dialects: set[str] = set()
        self.begin_attributes()

    def end(self) -> None:
        """Lets go of the text's objects."""
        self.begin("", False)

    # Errors and values

    def error(self, message: str, at: int, focus: str = "") -> Diagnostic:
        diagnostic = Diagnostic(message, at, focus=focus)
        self.errors.append(diagnostic)
        return diagnostic

    def near(self, word: str, choices: Iterable[str], prefix: str = "") -> str:
        """`did_you_mean`, for the first unknown names of a text: nobody is shown more, and to look takes long."""
        self.suggestions += 1
        return did_you_mean(word, choices, prefix) if self.suggestions <= MOST_SUGGESTIONS else ""

    def forgive(self, lines: list[str]) -> None:
        """Takes the names that skipped text defined as defined, so that their uses are not reported too."""
        for line in lines:
            self.forgiven.update(name.strip()[1:] for name in line.split(","))

    def value(self, token: Any, name: str = "") -> Value:
        """The value that a token such as `%x` (or the given name, without `%`) stands for."""
        found = self.values.get(name or token[1:])
        return found if found is not None else self._outer_value(name or token[1:], token.start_pos)

    def _value_named(self, name: str, at: int) -> Value:
        found = self.values.get(name)
        return found if found is not None else self._outer_value(name, at)

    def _outer_value(self, name: str, at: int) -> Value:
        for scope in reversed(self.scopes):
            if name in scope:
                return scope[name]
        alike = name[:-2] if name.endswith("#0") else f"{name}#0"  # MLIR takes %a for the first of %a:2
        if any(alike in scope for scope in (*self.scopes, self.values)):
            return self._value_named(alike, at)
        placeholder = Value(POISON, name, loc=at)
        self.values[name] = placeholder
        if name not in self.forgiven:
            scopes = (*self.scopes, self.values)
            near = self.near(name, (n for scope in scopes for n, v in scope.items() if v.type is not POISON), "%")
            self.undefined[name] = self.error(f"use of undefined value %{name}{near}", at)
            if name in self.gone:
                self.undefined[name].note(f"%{name} is defined here, in a region that has ended", self.gone[name])
        return placeholder

    def is_poisoned(self, *values: Value) -> bool:
        """Whether one of the values was never rightly defined; an error about it has been given already."""
        return any(v.owner is None for v in values)

    def define(self, name: str, value: Value, at: int) -> None:
        """Enters a value in the current scope; a second definition is an error with a note at the first."""
        earlier = self.values.get(name)
        if earlier is None:
            for scope in self.scopes:
                earlier = earlier or scope.get(name)
        if name in self.undefined and earlier is not None and earlier.owner is None:
            self.undefined.pop(name).note(f"%{name} is defined here, after that use", at)
        elif earlier is not None and name not in self.forgiven:
            self.error(f"redefinition of value %{name}", at).note("first defined here", earlier.loc)
            return
        value.name = name
        self.values[name] = value

    # Statements

    def fast(self, parts: list[Any]) -> None:
        return None

    def statement(self, parts: list[Any]) -> None:
        self.statements_ended += 1
        if isinstance(parts[0], Names):
            names, op = parts[0], parts[1]
            self._bind(names, op)
            if op is not None:
                self.block.ops.append(op)
        else:
            self.leaf(parts[0])

    def leaf(self, op: Operation | None) -> None:
        """A statement that names no results."""
        if op is None:
            return
        if op.results:
            self.error(f"{op.name} has a result, which needs a name: %name = {op.name} ...", op.loc)
            self.behind_regions(op, len(self.errors) - 1)
        self.block.ops.append(op)

    def _bind(self, names: Names, op: Operation | None) -> None:
        flat = [(f"{name}#{i}" if count > 1 else name, at) for name, count, at in names for i in range(count)]
        if op is None:
            self.forgive(["%" + name for name, _ in flat])
            return
        if len(flat) != len(op.results):
            self.error(f"{op.name} has {len(op.results)} results, {len(flat)} are named", names[0][2])
            self.behind_regions(op, len(self.errors) - 1)
            self.forgive(["%" + name for name, _ in flat])
            return
        for (name, at), value in zip(flat, op.results, strict=True):
            value.own_loc = at
            self.define(name, value, at)

    def behind_regions(self, op: Operation, first: int) -> None:
        """Errors of an operation come behind those within its regions."""
        if op.regions:
            behind_inner(self.errors, first)

    def results(self, parts: list[Any]) -> Names:
        return Names(parts)

    def result(self, parts: list[Any]) -> Result:
        text = parts[1] if len(parts) > 1 else "1"
        count = int(text, 16 if "x" in text else 10) if len(text) < 20 else 0
        if not 1 <= count <= 1000:
            self.error("a result count must be between 1 and 1000", parts[1].start_pos)
            count = 1
        return Result((parts[0][1:], count, parts[0].start_pos))

    def value_list(self, parts: list[Any]) -> list[Any]:
        return parts

    def trailing_loc(self, parts: list[Any]) -> None:
        return None

    # Generic operations

    def generic_name(self, parts: list[Any]) -> tuple[str, int]:
        name = self.string(parts[0])
        self.pending = [] if name in ("func.func", "builtin.module") else None
        self.loc = parts[0].start_pos
        return name, parts[0].start_pos

    def leaf_op(
        self, name: str, at: int, tokens: Sequence[Any], attrs: Attributes, signature: FunctionType
    ) -> Operation | None:
        """A generic operation without regions and properties."""
        operands = self.typed_operands(tokens, signature, name, at)
        results = [Value(t) for t in signature.results] if signature.results else ()
        cls = OPERATIONS.get(name)
        if cls is not None:
            return from_generic(cls, operands, results, attrs, (), at)
        return self._build(name, operands, list(results), {}, attrs, [], signature, at)

    def properties(self, parts: list[Any]) -> Properties:
        return Properties(parts[0])

    def generic_op(self, parts: list[Any]) -> Operation | None:
        (name, at), signature = parts[0], parts[-1]
        self.pending = None
        tokens: list[Any] = []
        props: Attributes = {}
        attrs: Attributes = {}
        regions: list[Block] = []
        for part in parts[1:-1]:
            if isinstance(part, Properties):
                props = part.value
            elif is_attributes(part):
                attrs = part
            elif isinstance(part, Regions):
                regions = part
            else:
                tokens = part
        first = len(self.errors)
        try:
            if not props and not regions:
                return self.leaf_op(name, at, tokens, attrs, signature)
            operands = self.typed_operands(tokens, signature, name, at)
            results = [Value(t) for t in signature.results]
            return self._build(name, operands, results, props, attrs, regions, signature, at)
        except OpError as error:
            self.errors.append(error.diagnostic(at))
            return None
        finally:
            if regions and len(self.errors) > first:
                behind_inner(self.errors, first)

    def typed_operands(self, tokens: Sequence[Any], signature: FunctionType, name: str, at: int) -> list[Value]:
        """The values that operands name; they must have the types that the signature states."""
        values = self.values
        try:
            operands = [values[t[1:]] for t in tokens]
        except KeyError:
            operands = [self.value(t) for t in tokens]
        if len(operands) != len(signature.inputs):
            self.error(f"{name} has {len(operands)} operands but {len(signature.inputs)} operand types", at)
            return operands
        for token, value, type in zip(tokens, operands, signature.inputs, strict=True):
            if value.type is not type:
                self.expect_type(token, value, type)
        return operands

    def expect_type(self, token: Any, value: Value, type: Type) -> None:
        """Reports an operand whose stated type is not its definition's."""
        if value.type != type and not self.is_poisoned(value):
            self.error(f"%{value.name} has type {value.type}, used here as {type}", token.start_pos).note(
                "defined here", value.loc
            )

    def _build(
        self, name: str, operands: list[Value], results: list[Value], props: Attributes, attrs: Attributes,
        regions: list[Block], signature: FunctionType, at: int,
    ) -> Operation:  # fmt: skip
        if name == "func.func":
            return generic_func(props | attrs, regions, at)
        if name == "builtin.module":
            return generic_module(props | attrs, regions, at)
        if name == "func.return":
            return ReturnOp(operands, extra=attrs, loc=at)
        cls = find_op(name)
        if cls is not None:
            return from_generic(cls, operands, results, attrs | props, regions, at)
        if name.partition(".")[0] not in DIALECTS:
            self.unknown_dialects.add(name.partition(".")[0])
        if not self.allow_unregistered:
            near = self.near(name, all_ops())
            raise OpError(f"unknown operation '{name}'{near}; --allow-unregistered-dialect keeps unknown operations")
        return UnregisteredOp(name, operands, results, props=props, extra=attrs, regions=regions, loc=at)

    # Regions

    def region_begin(self, parts: list[Any]) -> None:
        self.statements_ended += 2
        at = parts[0].start_pos
        if len(self.block_stack) >= MAX_DEPTH:
            self.stop_nesting(at)
        args, self.pending = self.pending, None
        self.saved_scopes.append((self.scopes, self.undefined))
        self.scopes, self.undefined = ([], {}) if args is not None else ([*self.scopes, self.values], self.undefined)
        self.outer_values.append(self.values)
        self.values = {}
        self.block_stack.append(self.block)
        self.block = Block(args or (), loc=at)
        for arg in self.block.args:
            self.define(arg.name, arg, arg.loc)

    def region(self, parts: list[Any]) -> Block:
        block = self.block
        self.gone.update((name, value.loc) for name, value in self.values.items())
        self.block = self.block_stack.pop()
        self.values = self.outer_values.pop()
        self.scopes, self.undefined = self.saved_scopes.pop()
        return block

    def region_list(self, parts: list[Any]) -> Regions:
        return Regions(parts)

    def block_label(self, parts: list[Any]) -> None:
        if self.block.args or self.block.ops:
            self.error("a region has a single block", parts[0].start_pos)
        for arg in parts[1:]:
            self.block.args.append(arg)
            arg.owner = self.block
            self.define(arg.name, arg, arg.loc)

    def block_arg(self, parts: list[Any]) -> Value:
        return Value(parts[1], parts[0][1:], loc=parts[0].start_pos)

    # Functions and modules

    def func_arg(self, parts: list[Any]) -> tuple[Value, Attributes]:
        named = not isinstance(parts[0], Type)
        name, loc = (parts[0][1:], parts[0].start_pos) if named else ("", self.loc)
        rest = parts[1:] if named else parts
        attrs: Attributes = rest[1] if len(rest) > 1 and rest[1] is not None else {}
        if has_empty_dimension(rest[0]):
            self.error(EMPTY_DIMENSION, loc, rest[0].text)
        return Value(rest[0], name, loc=loc), attrs

    def func_args(self, parts: list[Any]) -> Args:
        return Args(parts)

    def func_result(self, parts: list[Any]) -> FuncResult:
        return FuncResult((parts[0], parts[1] if len(parts) > 1 else {}))

    def func_results(self, parts: list[Any]) -> FuncResults:
        return FuncResults(p if isinstance(p, FuncResult) else FuncResult((p, {})) for p in parts)

    def func_attributes(self, parts: list[Any]) -> Attributes:
        return parts[0]

    def func_header(self, parts: list[Any]) -> Header:
        header = Header(parts[0].start_pos)
        for part in parts[1:]:
            if isinstance(part, Args):
                header.args = part
            elif isinstance(part, FuncResults):
                header.results = part
            elif is_attributes(part):
                header.attrs = part
            elif part.type == "SYMBOL":
                header.name, header.named_at = self.symbol_name(part), part.start_pos
            else:
                header.visibility = str(part)
        self.begin_func(header)
        for name in header.attrs:
            if not is_discardable(name):
                message = f"unknown attribute '{name}' on func.func; its own attributes have a dialect's prefix"
                self.error(message, header.loc, name)
        return header

    def begin_func(self, header: Header) -> None:
        """A function with this head comes next."""
        self.loc = header.loc
        self.pending = [value for value, _ in header.args]
        self.declare_symbol(header.name, header.named_at)

    def func(self, parts: list[Any]) -> FuncOp:
        header: Header = parts[0]
        values = [value for value, _ in header.args]
        has_body = len(parts) > 1
        if has_body and any(not v.name for v in values):
            unnamed = next(v for v in values if not v.name)
            self.error("a function with a body needs names for its arguments", header.loc, unnamed.type.text)
        self.pending = None
        return FuncOp(
            header.name,
            parts[1] if has_body else Block(values),
            [type for type, _ in header.results],
            arg_attrs=[attrs for _, attrs in header.args],
            result_attrs=[attrs for _, attrs in header.results],
            attrs=header.attrs,
            visibility=header.visibility,
            is_declaration=not has_body,
            loc=header.loc,
        )

    def declare_symbol(self, name: str, at: int) -> None:
        key = f"{len(self.block_stack)} {name}"
        if key in self.symbols:
            error = self.error(f"redefinition of function {symbol_text(name)}", at)
            error.note("first defined here", self.symbols[key])
        self.symbols.setdefault(key, at)

    def module_header(self, parts: list[Any]) -> tuple[int, str, Attributes]:
        name = next((self.symbol_name(p) for p in parts[1:] if not is_attributes(p)), "")
        self.loc = parts[0].start_pos
        self.pending = []
        return self.loc, name, next(filter(is_attributes, parts), None) or {}

    def module(self, parts: list[Any]) -> ModuleOp:
        (loc, name, attrs), block = parts
        if block.args:
            self.error("builtin.module takes no block arguments", block.args[0].loc)
        return ModuleOp(block.ops, attrs=attrs, sym_name=name, loc=loc)

    def func_return(self, parts: list[Any]) -> ReturnOp:
        token = parts[0]
        extra = next(filter(is_attributes, parts), None)
        rest = [p for p in parts[1:] if not is_attributes(p)]
        if not rest:
            return ReturnOp((), extra=extra, loc=token.start_pos)
        signature = FunctionType(tuple(rest[1]), ())
        return ReturnOp(
            self.typed_operands(rest[0], signature, "return", token.start_pos), extra=extra, loc=token.start_pos
        )
