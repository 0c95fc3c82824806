"""Module to text, in the pretty or the generic form. Comments are not kept."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

from .attributes import Attr, dict_text, key_text, quote
from .core import Block, Operation, Value
from .diagnostics import DiagnosticError
from .fields import Field
from .light_typing import Any
from .texts import LISTS, SIZE, Made, Texts, entries, key_source
from .types import result_list

Names = dict[Value, str]
"""What each value is printed as, `%` included."""

VALUE_NAME = re.compile(r"(?:[0-9]+|[A-Za-z_$.\-][A-Za-z0-9_$.\-]*)\Z", re.ASCII)


def print_module(module: Operation, generic: bool = False) -> str:
    """The text of a module (or of a function), ending in a line end (empty for an empty module).

    In the pretty form a module without name and attributes is its bare list of operations (`is_bare`). A value that
    nothing defines prints as MLIR's `<<UNKNOWN SSA VALUE>>`. Raises `DiagnosticError` for what Python has put where no
    text has it, such as an attribute that is none.
    """
    try:
        return _text(module, generic, {})
    except Exception:
        from .structure import structure_errors  # where it is used: every command loads this module

        errors = structure_errors(module)
        if errors:
            raise DiagnosticError(errors, getattr(module, "source", None)) from None
        return _text(module, generic, _AllNames())


def _text(module: Operation, generic: bool, names: Names) -> str:
    printer = Printer(generic, names)
    if not generic and getattr(module, "is_bare", False):
        printer.block(module.regions[0], "", set())
    else:
        printer.region_op(module, "", set())
    return "".join(printer.out)


class _AllNames(dict[Value, str]):
    """Names that hold one for every value."""

    def __missing__(self, value: Value) -> str:
        return "<<UNKNOWN SSA VALUE>>"


def op_text(op: Operation, names: Names | None = None) -> str:
    """One operation as the pretty form writes it, for messages; regions are left out."""
    shown = names or {v: f"%{v.name or '?'}" for v in (*op.operands, *op.results)}
    return _results(op, shown) + (_WAYS[type(op)] or _generic)(op, shown)


# Names


def _name_results(op: Operation, names: Names, used: set[str]) -> None:
    if len(op.results) == 1:
        names[op.results[0]] = fresh_name(op.results[0].name, used)
        return
    values = list(op.results)
    while values:
        base, sep, _ = values[0].name.partition("#")
        count = _pack_size(values, base) if sep or not base else 1
        unique = fresh_name(base, used)
        for i, value in enumerate(values[:count]):
            names[value] = unique if count == 1 else f"{unique}#{i}"
        del values[:count]


def _pack_size(values: list[Value], base: str) -> int:
    """How many of the values belong to one `%base:n`."""
    if not base:
        return next((i for i, v in enumerate(values) if v.name), len(values))
    count = 0
    while count < len(values) and values[count].name == f"{base}#{count}":
        count += 1
    return max(count, 1)


def fresh_name(wish: str, used: set[str]) -> str:
    """What a value is printed as: `%` and the wished name if it is free, else the name with a number behind it; plain
    numbers for values without one. `used` are the names that are taken, without `%`; the new one is added."""
    name = wish if VALUE_NAME.match(wish) else re.sub(r"[^A-Za-z0-9_$.\-]", "_", wish)
    if name and name[0].isdigit() and not name.isdigit():
        name = "_" + name
    if not name or name in used:
        number = 0
        stem = f"{name}_" if name else ""
        while f"{stem}{number}" in used:
            number += 1
        name = f"{stem}{number}"
    used.add(name)
    return "%" + name


# Operations


CHUNK = 1000
"""How many lines are joined at a time: few enough to be still in the processor's cache."""


class Printer:
    """Prints one module, in pieces of whole lines. Texts of single operations have no indentation and no line end.

    An operation with regions has a pretty form if it has a method `write(printer, indent)`, one without if it has
    `pretty(names)`.
    """

    def __init__(self, generic: bool, names: Names):
        self.generic = generic
        self.names = names
        self.out: list[str] = []

    def block(self, block: Block, indent: str, used: set[str]) -> None:
        write_ops = self._generic_ops if self.generic else self._pretty_ops
        for at in range(0, len(block.ops), CHUNK):
            lines: list[str] = []
            write_ops(block.ops[at : at + CHUNK], indent, used, lines)
            self._flush(lines, indent)

    def _flush(self, lines: list[str], indent: str) -> None:
        if lines:
            self.out.append(indent + f"\n{indent}".join(lines) + "\n")
            lines.clear()

    def _pretty_ops(self, ops: list[Operation], indent: str, used: set[str], lines: list[str]) -> None:
        names, ways, add = self.names, _WAYS, lines.append
        for op in ops:
            way = ways[type(op)]
            if way is None or op.results:
                self._unusual(op, indent, used, lines)
            else:
                add(way(op, names))

    def _generic_ops(self, ops: list[Operation], indent: str, used: set[str], lines: list[str]) -> None:
        operands, forms, add = _OperandTexts(self.names), _FORMS, lines.append
        for op in ops:
            form = forms[type(op)]
            if form is None or op.results or op.extra:
                operands.clear()  # a value that is named anew may be an operand that is known
                self._unusual(op, indent, used, lines)
                continue
            try:
                names, types = operands[op.operands]
                add(form(op, names, types))
            except TypeError:  # an attribute that is no key
                self._unusual(op, indent, used, lines)

    def _unusual(self, op: Operation, indent: str, used: set[str], lines: list[str]) -> None:
        if op.results:
            _name_results(op, self.names, used)
        if op.regions:
            self._flush(lines, indent)
            self.region_op(op, indent, used)
            return
        way = _generic if self.generic else _WAYS[type(op)] or _generic
        lines.append(_results(op, self.names) + way(op, self.names))

    def region_op(self, op: Operation, indent: str, used: set[str]) -> None:
        """An operation with regions; those that are isolated see no names from outside."""
        write = None if self.generic else getattr(op, "write", None)
        if write is not None:
            write(self, indent)
            return
        start = f"{indent}{_results(op, self.names)}{_head(op, self.names)} ("
        for i, block in enumerate(op.regions):
            self.out.append((start if i == 0 else f"{indent}}}, ") + "{\n")
            if getattr(op, "is_declaration", False):
                continue
            inner: set[str] = set() if op.isolated else set(used)
            self.name_args(block, inner)
            if block.args:
                args = ", ".join([f"{self.names[a]}: {a.type}" for a in block.args])
                self.out.append(f"{indent}^bb0({args}):\n")
            self.block(block, indent + "  ", inner)
        self.out.append(f"{indent}}}){_tail(op)}\n")

    def braced(self, head: str, block: Block, indent: str, used: set[str]) -> None:
        """A block between braces, after the text that stands before them."""
        self.out.append(f"{indent}{head} {{\n")
        self.block(block, indent + "  ", used)
        self.out.append(indent + "}\n")

    def name_args(self, block: Block, used: set[str]) -> None:
        """Gives the arguments of a block their names."""
        for arg in block.args:
            self.names[arg] = fresh_name(arg.name or "arg0", used)


def _results(op: Operation, names: Names) -> str:
    if not op.results:
        return ""
    shown: list[str] = []
    for value in op.results:
        name, sep, index = names[value].partition("#")
        if not sep:
            shown.append(name)
        elif index == "0":
            count = sum(names[v].partition("#")[0] == name for v in op.results)
            shown.append(f"{name}:{count}")
    return ", ".join(shown) + " = "


# The pretty form of an operation without regions

Way = Callable[[Operation, Names], str]


def _is_flat(cls: type[Operation]) -> bool:
    """Whether operations of a class have neither regions nor properties, and no attributes but declared ones."""
    return all(getattr(cls, n) is getattr(Operation, n) for n in ("regions", "properties", "attributes"))


class _Ways(dict[type[Operation], "Way | None"]):
    """How a class's operations print in the pretty form, results aside; None for classes that may have regions."""

    def __missing__(self, cls: type[Operation]) -> Way | None:
        way = self[cls] = getattr(cls, "pretty", _generic) if _is_flat(cls) else None
        return way


_WAYS = _Ways()


# The generic form of an operation without regions


def _generic(op: Operation, names: Names) -> str:
    return _head(op, names) + _tail(op)


def _head(op: Operation, names: Names) -> str:
    operands = ", ".join([names[v] for v in op.operands])
    props = op.properties
    return f"{quote(op.name)}({operands})" + (f" <{dict_text(props)}>" if props else "")


def _tail(op: Operation) -> str:
    types = ", ".join([v.type.text for v in op.operands])
    results = result_list(tuple([v.type for v in op.results])) if op.results else "()"
    return f"{_attribute_text(op)} : ({types}) -> {results}"


@cache
def _declared(cls: type[Operation]) -> list[Field]:
    """The declared attributes of a class in the order in which they print."""
    return sorted(cls.fields, key=lambda field: key_text(field.name))


def _attribute_text(op: Operation) -> str:
    """The attribute dictionary with a blank before it, or nothing."""
    if op.extra or not op.fields:
        attributes = op.attributes
        return f" {dict_text(attributes)}" if attributes else ""
    fields = _declared(type(op))
    shown, _ = entries(fields, [getattr(op, f.slot) for f in fields])
    return f" {{{', '.join(shown)}}}" if shown else ""


class _OperandTexts(dict[tuple[Value, ...], tuple[str, str]]):
    """The names and the types of operands."""

    def __init__(self, names: Names):
        super().__init__()
        self.names = names

    def __missing__(self, operands: tuple[Value, ...]) -> tuple[str, str]:
        names, types = [self.names[v] for v in operands], [v.type.text for v in operands]
        if len(self) >= SIZE:
            self.clear()
        found = self[operands] = (", ".join(names), ", ".join(types))
        return found


Form = Callable[[Operation, str, str], str]
"""Writes an operation with the names and types of its operands."""


class _Forms(dict[type[Operation], "Form | None"]):
    """How a class's operations print in the generic form, without results; None for classes that may have regions."""

    def __missing__(self, cls: type[Operation]) -> Form | None:
        form = self[cls] = _form(cls) if _is_flat(cls) else None
        return form


_FORMS = _Forms()


def _form(cls: type[Operation]) -> Form:
    """Puts operands and lists of numbers between the pieces of text that go with the other attributes.

    It is made from source: slots read by name in a loop would take most of the time.
    """
    lists = [f for f in _declared(cls) if f.required and f.kind in LISTS]
    short = [f for f in _declared(cls) if f not in lists]
    scope: dict[str, Any] = {"PIECES": Texts(lambda values: _pieces(cls, lists, dict(zip(short, values, strict=True))))}
    scope |= {f"TEXTS_{f.slot}": LISTS[f.kind] for f in lists}
    names = "".join([f"p{i}, " for i in range(len(lists) + 2)])
    shown = "".join([f"{{TEXTS_{f.slot}[op.{f.slot}]}}{{p{i}}}" for i, f in enumerate(lists, 2)])
    source = f"def form(op, operands, types):\n {names}= PIECES[{key_source(short)}]\n"
    exec(source + f" return f'{{p0}}{{operands}}{{p1}}{shown}{{types}}) -> ()'", scope)
    return scope["form"]


def _pieces(cls: type[Operation], lists: list[Field], given: dict[Field, Attr]) -> Made:
    """The text around the operands, each list, and the operands' types."""
    pieces, before, keep = [f'"{cls.name}"(', ")"], " {", True
    for field in _declared(cls):
        if field in lists:
            pieces[-1] += f"{before}{key_text(field.name)} = "
            pieces.append("")
            before = ", "
            continue
        texts, plain = entries([field], [given[field]])
        keep = keep and plain
        for text in texts:
            pieces[-1] += before + text
            before = ", "
    pieces[-1] += "} : (" if before == ", " else " : ("
    return pieces, keep
