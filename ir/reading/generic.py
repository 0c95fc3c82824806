"""MLIR's own functions and modules read from their generic form."""

from __future__ import annotations

from ..attributes import Attr, Attributes, symbol_text
from ..builtin import FuncOp, ModuleOp
from ..core import Block, Value
from ..opdef import OpError, is_discardable
from ..types import FunctionType

FUNC_KEYS = ("function_type", "sym_name", "arg_attrs", "res_attrs", "sym_visibility")


def generic_func(attributes: Attributes, regions: list[Block], loc: int) -> FuncOp:
    """`"func.func"() <{function_type = ..., sym_name = ...}> ({...}) : () -> ()`. Raises `OpError`."""
    name, signature = attributes.get("sym_name"), attributes.get("function_type")
    if not isinstance(name, str) or not isinstance(signature, FunctionType):
        raise OpError("func.func needs a string sym_name and a function_type")
    if len(regions) != 1:
        raise OpError("func.func needs one region")
    body = regions[0]
    is_declaration = not body.ops and not body.args
    if is_declaration:
        body = Block([Value(t) for t in signature.inputs])
    if tuple(a.type for a in body.args) != signature.inputs:
        raise OpError(f"the block's arguments of {symbol_text(name)} are not those of its function_type {signature}")
    unknown = next((k for k in attributes if k not in FUNC_KEYS and not is_discardable(k)), None)
    if unknown:
        raise OpError(f"unknown attribute '{unknown}' on func.func; its own attributes have a dialect's prefix")
    return FuncOp(
        name,
        body,
        signature.results,
        arg_attrs=_dictionaries(attributes, "arg_attrs", len(signature.inputs)),
        result_attrs=_dictionaries(attributes, "res_attrs", len(signature.results)),
        attrs={k: v for k, v in attributes.items() if is_discardable(k)},
        visibility=str(attributes.get("sym_visibility", "")),
        is_declaration=is_declaration,
        loc=loc,
    )


def _dictionaries(attributes: Attributes, key: str, count: int) -> list[Attributes]:
    given: Attr = attributes.get(key, ({},) * count)
    found: list[Attributes] = [d for d in given if type(d) is dict] if type(given) is tuple else []
    if type(given) is not tuple or not len(given) == len(found) == count:
        raise OpError(f"{key} must be a list of {count} dictionaries")
    return found


def generic_module(attributes: Attributes, regions: list[Block], loc: int) -> ModuleOp:
    """`"builtin.module"() ({...}) : () -> ()`. Raises `OpError`."""
    if len(regions) != 1:
        raise OpError("builtin.module needs one region")
    if regions[0].args:
        raise OpError("builtin.module takes no block arguments")
    name = attributes.get("sym_name", "")
    if not isinstance(name, str):
        raise OpError("sym_name must be a string")
    unknown = next((k for k in attributes if k != "sym_name" and not is_discardable(k)), None)
    if unknown:
        raise OpError(f"unknown attribute '{unknown}' on builtin.module; its own attributes have a dialect's prefix")
    return ModuleOp(
        regions[0].ops, attrs={k: v for k, v in attributes.items() if k != "sym_name"}, sym_name=name, loc=loc
    )
