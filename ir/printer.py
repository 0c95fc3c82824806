"""Module to text, in the pretty or the generic form. Comments are not kept."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from .attributes import UNIT, Attr, attr_text, dict_text, key_text, symbol_text
from .builtin import FuncOp, ModuleOp, ReturnOp
from .core import Block, Operation, Value
from .opdef import Field
from .types import result_list

Names = dict[Value, str]
"""What each value is printed as, `%` included."""

VALUE_NAME = re.compile(r"(?:[0-9]+|[A-Za-z_$.\-][A-Za-z0-9_$.\-]*)\Z", re.ASCII)


def print_module(module: ModuleOp, generic: bool = False) -> str:
    """The module's text, ending in a line end (empty for an empty module).

    In the pretty form a module without name and attributes is its bare list of operations.
    """
    out: list[str] = []
    names: Names = {}
    used: set[str] = set()
    if generic:
        _generic_op(module, "", names, used, out)
    elif module.sym_name or module.attrs or _looks_wrapped(module):
        _pretty_op(module, "", names, used, out)
    else:
        _block_ops(module.body, "", names, used, out, generic=False)
    return "".join(line + "\n" for line in out)


def _looks_wrapped(module: ModuleOp) -> bool:
    """A sole nested module must keep its wrapper, or it would be read back as the outermost one."""
    return len(module.ops) == 1 and isinstance(module.ops[0], ModuleOp)


def op_text(op: Operation, names: Names | None = None) -> str:
    """One operation as the pretty form writes it, for messages; regions are left out."""
    shown = names or {v: f"%{v.name or '?'}" for v in (*op.operands, *op.results)}
    body = _body(op, shown, generic=False)
    return f"{_results(op, shown)}{body}"


# Names


def _name_results(op: Operation, names: Names, used: set[str]) -> None:
    if len(op.results) == 1:
        names[op.results[0]] = _fresh(op.results[0].name, used)
        return
    values = list(op.results)
    while values:
        base, sep, _ = values[0].name.partition("#")
        count = _pack_size(values, base) if sep or not base else 1
        unique = _fresh(base, used)
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


def _fresh(wish: str, used: set[str]) -> str:
    """The wished name if it is free, else the name with a number behind it; plain numbers for values without one."""
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


def _name_args(block: Block, names: Names, used: set[str]) -> None:
    for arg in block.args:
        names[arg] = _fresh(arg.name or "arg0", used)


# Operations


def _block_ops(block: Block, indent: str, names: Names, used: set[str], out: list[str], generic: bool) -> None:
    for op in block.ops:
        if op.results:
            _name_results(op, names, used)
        if op.regions:
            (_generic_op if generic else _pretty_op)(op, indent, names, used, out)
        elif op.results:
            out.append(f"{indent}{_results(op, names)}{_body(op, names, generic)}")
        else:
            out.append(indent + _body(op, names, generic))


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


def _body(op: Operation, names: Names, generic: bool) -> str:
    pretty = None if generic else getattr(op, "pretty", None)
    if pretty is not None:
        return pretty(names)
    if isinstance(op, ReturnOp) and not generic:
        return _return(op, names)
    return generic_head(op, names) + generic_tail(op)


def generic_head(op: Operation, names: Names) -> str:
    operands = ", ".join([names[v] for v in op.operands])
    props = op.properties
    return f'"{op.name}"({operands})' + (f" <{dict_text(props)}>" if props else "")


def generic_tail(op: Operation) -> str:
    types = ", ".join([v.type.text for v in op.operands])
    results = result_list(tuple([v.type for v in op.results])) if op.results else "()"
    return f"{_attribute_text(op)} : ({types}) -> {results}"


@cache
def _declared(cls: type[Operation]) -> list[tuple[str, Field]]:
    """The declared attributes of a class in the order in which they print, each with its key's text."""
    return sorted((key_text(field.name), field) for field in cls.fields)


def _attribute_text(op: Operation) -> str:
    """The attribute dictionary with a blank before it, or nothing."""
    if op.extra or not op.fields:
        attributes = op.attributes
        return f" {dict_text(attributes)}" if attributes else ""
    shown: list[str] = []
    for key, field in _declared(type(op)):
        value = getattr(op, field.slot)
        if field.required or value is not field.default:
            shown.append(key if value is UNIT else f"{key} = {attr_text(value)}")
    return f" {{{', '.join(shown)}}}" if shown else ""


def _generic_op(op: Operation, indent: str, names: Names, used: set[str], out: list[str], generic: bool = True) -> None:
    """The generic form of an operation with regions; those of functions and modules see no names from outside."""
    start = f"{indent}{_results(op, names)}{generic_head(op, names)} ("
    isolated = isinstance(op, (FuncOp, ModuleOp))
    for i, block in enumerate(op.regions):
        out.append((start if i == 0 else f"{indent}}}, ") + "{")
        if isinstance(op, FuncOp) and op.is_declaration:
            continue
        inner = set() if isolated else set(used)
        _name_args(block, names, inner)
        if block.args:
            out.append(f"{indent}^bb0({', '.join(f'{names[a]}: {a.type}' for a in block.args)}):")
        _block_ops(block, indent + "  ", names, inner, out, generic)
    out.append(f"{indent}}}){generic_tail(op)}")


def _pretty_op(op: Operation, indent: str, names: Names, used: set[str], out: list[str]) -> None:
    if isinstance(op, ModuleOp):
        head = "module" + (f" {symbol_text(op.sym_name)}" if op.sym_name else "")
        _pretty_region(op, head + _attributes(op.attrs) + " {", indent, names, out)
    elif isinstance(op, FuncOp):
        _pretty_func(op, indent, names, out)
    else:
        _generic_op(op, indent, names, used, out, generic=False)


def _pretty_region(op: Operation, head: str, indent: str, names: Names, out: list[str]) -> None:
    (block,) = op.regions
    out.append(indent + head)
    _block_ops(block, indent + "  ", names, set(), out, generic=False)
    out.append(indent + "}")


def _attributes(attributes: dict[str, Attr]) -> str:
    return f" attributes {dict_text(attributes)}" if attributes else ""


def _typed(texts: Iterable[str], attrs: list[dict[str, Attr]]) -> str:
    return ", ".join(t + (f" {dict_text(a)}" if a else "") for t, a in zip(texts, attrs, strict=True))


def _pretty_func(op: FuncOp, indent: str, names: Names, out: list[str]) -> None:
    used: set[str] = set()
    if op.is_declaration:
        args = _typed([a.type.text for a in op.args], op.arg_attrs)
    else:
        _name_args(op.body, names, used)
        args = _typed([f"{names[a]}: {a.type}" for a in op.args], op.arg_attrs)
    head = f"{indent}func.func {op.visibility + ' ' if op.visibility else ''}{symbol_text(op.sym_name)}({args})"
    if any(op.result_attrs):
        head += f" -> ({_typed([t.text for t in op.result_types], op.result_attrs)})"
    elif op.result_types:
        head += f" -> {result_list(op.result_types)}"
    head += _attributes(op.attrs)
    if op.is_declaration:
        out.append(head)
        return
    out.append(head + " {")
    _block_ops(op.body, indent + "  ", names, used, out, generic=False)
    out.append(indent + "}")


def _return(op: ReturnOp, names: Names) -> str:
    extra = f" {dict_text(op.extra)}" if op.extra else ""
    if not op.operands:
        return "return" + extra
    values = ", ".join(names[v] for v in op.operands)
    return f"return{extra} {values} : {', '.join(v.type.text for v in op.operands)}"
