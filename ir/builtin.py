"""MLIR's own operations that every text has: modules, functions and returns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .attributes import Attributes, dict_text, symbol_text
from .core import Block, Operation, UnregisteredOp, Value, structurally_equal
from .printer import Printer, print_module
from .source import UNKNOWN_LOC, Source
from .types import FunctionType, Type, result_list


class ReturnOp(Operation):
    """`return %a, %b : t, u`: ends a function."""

    __slots__ = ()
    name = "func.return"

    def pretty(self, names: dict[Value, str]) -> str:
        extra = f" {dict_text(self.extra)}" if self.extra else ""
        if not self.operands:
            return "return" + extra
        values = ", ".join([names[v] for v in self.operands])
        return f"return{extra} {values} : {', '.join([v.type.text for v in self.operands])}"


class FuncOp(Operation):
    """`func.func @name(%a: t {attr}) -> (u {attr}) attributes {...} {...}`; or a declaration.

    `arg_attrs` and `result_attrs` are one dictionary per argument and result; `attrs` is the function's own. `str()` is
    its text.
    """

    __slots__ = ("arg_attrs", "body", "is_declaration", "result_attrs", "result_types", "sym_name", "visibility")
    name = "func.func"
    isolated = True

    def __init__(
        self,
        sym_name: str,
        body: Block,
        result_types: Iterable[Type] = (),
        *,
        arg_attrs: Iterable[Attributes] | None = None,
        result_attrs: Iterable[Attributes] | None = None,
        attrs: Attributes | None = None,
        visibility: str = "",
        is_declaration: bool = False,
        loc: int = UNKNOWN_LOC,
    ):
        super().__init__((), (), extra=attrs, loc=loc)
        self.sym_name = sym_name
        self.body = body
        self.result_types = tuple(result_types)
        self.arg_attrs: list[Attributes] = list(arg_attrs) if arg_attrs is not None else [{} for _ in body.args]
        self.result_attrs: list[Attributes] = (
            list(result_attrs) if result_attrs is not None else [{} for _ in self.result_types]
        )
        self.visibility = visibility
        self.is_declaration = is_declaration

    @classmethod
    def create(cls, name: str, args: Iterable[tuple[str, Type]], results: Iterable[Type] = ()) -> FuncOp:
        """A function with an empty body: `FuncOp.create("f", [("x", TensorType((4, 4), "f32"))])`."""
        return cls(name, Block([Value(type, arg) for arg, type in args]), results)

    @property
    def symbol(self) -> str:
        """Its name as texts have it: `@name`, in quotes where that is no plain name."""
        return symbol_text(self.sym_name)

    @property
    def args(self) -> list[Value]:
        """The arguments, in order."""
        return self.body.args

    @property
    def ops(self) -> list[Operation]:
        """The operations, in order; the last is the return."""
        return self.body.ops

    @property
    def attrs(self) -> Attributes:
        """The function's own attributes; assign a new dictionary to change them."""
        return self.extra or {}

    @attrs.setter
    def attrs(self, value: Attributes) -> None:
        self.extra = value or None

    @property
    def regions(self) -> tuple[Block, ...]:
        """Its body."""
        return (self.body,)

    @property
    def function_type(self) -> FunctionType:
        """The types of its arguments and results."""
        return FunctionType(tuple(a.type for a in self.args), self.result_types)

    @property
    def properties(self) -> Attributes:
        """Its type, its name and what goes with them, as the generic form has them."""
        props: Attributes = {"function_type": self.function_type, "sym_name": self.sym_name}
        if any(self.arg_attrs):
            props["arg_attrs"] = tuple(self.arg_attrs)
        if any(self.result_attrs):
            props["res_attrs"] = tuple(self.result_attrs)
        if self.visibility:
            props["sym_visibility"] = self.visibility
        return props

    def returned(self) -> tuple[Value, ...]:
        """The values that the function returns."""
        last = self.ops[-1] if self.ops else None
        return last.operands if isinstance(last, ReturnOp) else ()

    def write(self, printer: Printer, indent: str) -> None:
        """Its pretty form."""
        used: set[str] = set()
        if self.is_declaration:
            shown = [a.type.text for a in self.args]
        else:
            printer.name_args(self.body, used)
            shown = [f"{printer.names[a]}: {a.type}" for a in self.args]
        visibility = f"{self.visibility} " if self.visibility else ""
        head = f"func.func {visibility}{self.symbol}({_typed(shown, self.arg_attrs)})"
        if any(self.result_attrs):
            head += f" -> ({_typed([t.text for t in self.result_types], self.result_attrs)})"
        elif self.result_types:
            head += f" -> {result_list(self.result_types)}"
        head += _attributes(self.attrs)
        if self.is_declaration:
            printer.out.append(f"{indent}{head}\n")
        else:
            printer.braced(head, self.body, indent, used)

    def __str__(self) -> str:
        return print_module(self)

    def __repr__(self) -> str:
        return f"<func.func {self.symbol}, {len(self.ops)} operations>"


class ModuleOp(Operation):
    """A list of functions with optional name and attributes. `source` is the text that its locations point into.

    `str()` is its text, `==` compares structure, and `clone()`, `copy.deepcopy` and `pickle` copy it whole.
    """

    __slots__ = ("body", "source", "sym_name")
    name = "builtin.module"
    isolated = True

    def __init__(
        self,
        ops: Iterable[Operation] = (),
        *,
        attrs: Attributes | None = None,
        sym_name: str = "",
        source: Source | None = None,
        loc: int = UNKNOWN_LOC,
    ):
        super().__init__((), (), extra=attrs, loc=loc)
        self.body = Block((), ops)
        self.sym_name = sym_name
        self.source = source

    @property
    def regions(self) -> tuple[Block, ...]:
        """Its body."""
        return (self.body,)

    @property
    def ops(self) -> list[Operation]:
        """Its functions, declarations and nested modules, in order."""
        return self.body.ops

    @property
    def attrs(self) -> Attributes:
        """The module's attributes, as a dictionary that is not to be changed."""
        return self.extra or {}

    @property
    def properties(self) -> Attributes:
        """Its name, as the generic form has it."""
        return {"sym_name": self.sym_name} if self.sym_name else {}

    def functions(self) -> Iterator[FuncOp]:
        """The functions with a body, those of nested modules and of unknown operations' regions included, in order."""
        return (func for _, func, _ in _functions(self, self, ""))

    def scoped_functions(self) -> Iterator[tuple[FuncOp, ModuleOp]]:
        """The same, each with the module that it stands in, whose attributes count for it."""
        return ((func, module) for _, func, module in _functions(self, self, ""))

    def qualified_functions(self) -> Iterator[tuple[str, FuncOp]]:
        """The same, each with its name as seen from here: `@f`, or `@inner::@f` where it stands within `@inner`. What
        it stands in without a name is called by its number there, as in `0::@f`."""
        return ((name, func) for name, func, _ in _functions(self, self, ""))

    @property
    def is_bare(self) -> bool:
        """Whether its text is that of its operations: it has no name, no attributes, and isn't just the wrapper of
        another module, which would be read back as the outermost one."""
        wraps = len(self.ops) == 1 and isinstance(self.ops[0], ModuleOp)
        return not (self.sym_name or self.attrs or wraps)

    def write(self, printer: Printer, indent: str) -> None:
        """Its pretty form."""
        name = f" {symbol_text(self.sym_name)}" if self.sym_name else ""
        printer.braced(f"module{name}{_attributes(self.attrs)}", self.body, indent, set())

    def __str__(self) -> str:
        return print_module(self)

    def __repr__(self) -> str:
        name = f" {symbol_text(self.sym_name)}" if self.sym_name else ""
        return f"<builtin.module{name}, {len(self.ops)} operations>"

    def __eq__(self, other: object) -> bool:
        """Structural equality: SSA names, locations and the order of attributes don't count."""
        return isinstance(other, ModuleOp) and structurally_equal(self, other)

    __hash__ = None  # type: ignore[assignment]


def _functions(op: Operation, module: ModuleOp, path: str) -> Iterator[tuple[str, FuncOp, ModuleOp]]:
    """The functions with a body within a module or an unknown operation: qualified name, function, its module."""
    for block in op.regions:
        for i, inner in enumerate(block.ops):
            if isinstance(inner, FuncOp):
                if not inner.is_declaration:
                    yield path + symbol_text(inner.sym_name), inner, module
            elif isinstance(inner, (ModuleOp, UnregisteredOp)) and inner.regions:
                name = (inner.properties | inner.attributes).get("sym_name")
                within = f"{path}{symbol_text(name) if name and isinstance(name, str) else i}::"
                yield from _functions(inner, inner if isinstance(inner, ModuleOp) else module, within)


def _attributes(attributes: Attributes) -> str:
    return f" attributes {dict_text(attributes)}" if attributes else ""


def _typed(texts: Iterable[str], attrs: list[Attributes]) -> str:
    return ", ".join(t + (f" {dict_text(a)}" if a else "") for t, a in zip(texts, attrs, strict=True))
