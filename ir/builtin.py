"""MLIR's own operations that every text has: modules, functions and returns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .attributes import Attr
from .core import Block, Operation, Value, structurally_equal
from .source import UNKNOWN_LOC, Source
from .types import FunctionType, Type


class ReturnOp(Operation):
    """`return %a, %b : t, u`: ends a function."""

    __slots__ = ()
    name = "func.return"


class FuncOp(Operation):
    """`func.func @name(%a: t {attr}) -> (u {attr}) attributes {...} {...}`; or a declaration.

    `arg_attrs` and `result_attrs` are one dictionary per argument and result; `attrs` is the function's own.
    """

    __slots__ = ("arg_attrs", "body", "is_declaration", "result_attrs", "result_types", "sym_name", "visibility")
    name = "func.func"

    def __init__(
        self,
        sym_name: str,
        body: Block,
        result_types: Iterable[Type] = (),
        *,
        arg_attrs: Iterable[dict[str, Attr]] | None = None,
        result_attrs: Iterable[dict[str, Attr]] | None = None,
        attrs: dict[str, Attr] | None = None,
        visibility: str = "",
        is_declaration: bool = False,
        loc: int = UNKNOWN_LOC,
    ):
        super().__init__((), (), extra=attrs, loc=loc)
        self.sym_name = sym_name
        self.body = body
        self.result_types = tuple(result_types)
        self.arg_attrs = list(arg_attrs) if arg_attrs is not None else [{} for _ in body.args]
        self.result_attrs = list(result_attrs) if result_attrs is not None else [{} for _ in self.result_types]
        self.visibility = visibility
        self.is_declaration = is_declaration

    @classmethod
    def create(cls, name: str, args: Iterable[tuple[str, Type]], results: Iterable[Type] = ()) -> FuncOp:
        """A function with an empty body: `FuncOp.create("f", [("x", TensorType((4, 4), "f32"))])`."""
        return cls(name, Block([Value(type, arg) for arg, type in args]), results)

    @property
    def args(self) -> list[Value]:
        return self.body.args

    @property
    def ops(self) -> list[Operation]:
        return self.body.ops

    @property
    def attrs(self) -> dict[str, Attr]:
        """The function's own attributes; assign a new dictionary to change them."""
        return self.extra or {}

    @attrs.setter
    def attrs(self, value: dict[str, Attr]) -> None:
        self.extra = value or None

    @property
    def regions(self) -> tuple[Block, ...]:
        return (self.body,)

    @property
    def function_type(self) -> FunctionType:
        return FunctionType(tuple(a.type for a in self.args), self.result_types)

    @property
    def properties(self) -> dict[str, Attr]:
        props: dict[str, Attr] = {"function_type": self.function_type, "sym_name": self.sym_name}
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


class ModuleOp(Operation):
    """A list of functions with optional name and attributes. `source` is the text that its locations point into."""

    __slots__ = ("body", "source", "sym_name")
    name = "builtin.module"

    def __init__(
        self,
        ops: Iterable[Operation] = (),
        *,
        attrs: dict[str, Attr] | None = None,
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
        return (self.body,)

    @property
    def ops(self) -> list[Operation]:
        return self.body.ops

    @property
    def attrs(self) -> dict[str, Attr]:
        return self.extra or {}

    @property
    def properties(self) -> dict[str, Attr]:
        return {"sym_name": self.sym_name} if self.sym_name else {}

    def functions(self) -> Iterator[FuncOp]:
        """The functions with a body, those of nested modules included, in order."""
        for op in self.ops:
            if isinstance(op, FuncOp) and not op.is_declaration:
                yield op
            elif isinstance(op, ModuleOp):
                yield from op.functions()

    def __eq__(self, other: object) -> bool:
        """Structural equality: SSA names, locations and the order of attributes don't count."""
        return isinstance(other, ModuleOp) and structurally_equal(self, other)

    __hash__ = None  # type: ignore[assignment]
