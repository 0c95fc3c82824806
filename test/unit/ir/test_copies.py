"""Copies of modules by `clone`, `copy.deepcopy` and `pickle`: equal, printed alike, apart."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator

import pytest

import tilewright
from tilewright.ir.attributes import UNIT
from tilewright.ir.builtin import FuncOp, ModuleOp
from tilewright.ir.core import Block, Operation, Value
from tilewright.ir.types import TensorType

from ..models import MIXED, levels

Copy = Callable[[ModuleOp], ModuleOp]

WAYS: dict[str, Copy] = {
    "clone": lambda module: module.clone(),
    "deepcopy": copy.deepcopy,
    "pickle": lambda module: pickle.loads(pickle.dumps(module)),
    "oldest pickle": lambda module: pickle.loads(pickle.dumps(module, 2)),
}

UNKNOWN = """\
module @outer attributes {a.list = [{b = 1}, [2, 3]], a.unit} {
  module @inner {
    func.func private @declared(tensor<4xf32> {a.b}) -> (tensor<4xf32> {a.c = "d"})
    func.func @f(%x: tensor<4xf32> {a.b = {c = 1 : i32}}) attributes {a.f = 0.5 : f32} {
      %0:2 = "t.op"(%x) <{p = @s::@t}> ({
        ^bb0(%i: index):
          %1 = "t.inner"(%i, %x) : (index, tensor<4xf32>) -> i32
          "t.end"(%1) {k} : (i32) -> ()
      }, {
      }) {q = dense<1> : tensor<2xi8>} : (tensor<4xf32>) -> (i32, i32)
      "t.use"(%0#1, %0#0) : (i32, i32) -> ()
      return
    }
  }
}
"""


def values(node: Operation | Block) -> Iterator[Value]:
    yield from node.results if isinstance(node, Operation) else node.args
    for inner in node.regions if isinstance(node, Operation) else node.ops:
        yield from values(inner)


def nodes(node: Operation | Block) -> Iterator[Operation | Block]:
    yield node
    for inner in node.regions if isinstance(node, Operation) else node.ops:
        yield from nodes(inner)


def modules() -> dict[str, ModuleOp]:
    found = {level: tilewright.parse(text) for level, text in levels().items()}
    return found | {"unknown": tilewright.parse(UNKNOWN, allow_unregistered=True, verify=False)}


@pytest.mark.parametrize("way", WAYS)
def test_a_copy_is_equal_and_shares_nothing_that_changes(way: str) -> None:
    for module in modules().values():
        made = WAYS[way](module)
        assert made == module
        for generic in (False, True):
            assert tilewright.print(made, generic=generic) == tilewright.print(module, generic=generic)
        assert not {*map(id, nodes(made))} & {*map(id, nodes(module))}
        assert not {*values(made)} & {*values(module)}
        defined = {*values(made)}
        assert all(v in defined for node in nodes(made) if isinstance(node, Operation) for v in node.operands)
        owners = [v.owner for v in values(made)]
        assert {*map(id, owners)} <= {*map(id, nodes(made))}
        assert [v.loc for v in values(made)] == [v.loc for v in values(module)]


@pytest.mark.parametrize("way", WAYS)
def test_attributes_of_a_copy_are_its_own(way: str) -> None:
    module = tilewright.parse(UNKNOWN, allow_unregistered=True, verify=False)
    before = str(module)
    made = WAYS[way](module)
    (func,) = made.functions()
    made.attrs["a.list"][0]["b"] = 5
    func.arg_attrs[0]["a.b"]["c"] = 6
    func.attrs["a.g"] = 7
    func.arg_attrs.clear()
    func.body.ops.clear()
    assert str(module) == before


@pytest.mark.parametrize("way", WAYS)
def test_errors_of_a_copy_are_located(way: str) -> None:
    made = WAYS[way](tilewright.parse(MIXED, filename="mixed.mir"))
    with pytest.raises(tilewright.DiagnosticError, match=r"^mixed\.mir:3:8: error: graph\.matmul %a has no tile"):
        tilewright.run_passes(made, "lower")


@pytest.mark.parametrize("way", WAYS)
def test_a_long_chain_of_values_is_copied(way: str) -> None:
    """From value to owner to operand it is 20,000 steps: far more than Python's stack takes."""
    steps = "".join(f"  %v{i + 1} = graph.relu %v{i} : tensor<4xf32>\n" for i in range(20_000))
    text = f"func.func @f(%v0: tensor<4xf32>) -> tensor<4xf32> {{\n{steps}  return %v20000 : tensor<4xf32>\n}}\n"
    assert str(WAYS[way](tilewright.parse(text))) == text


def test_a_copied_operation_keeps_its_operands() -> None:
    (func,) = tilewright.parse(MIXED).functions()
    op = func.ops[0]
    for made in (op.clone(), copy.deepcopy(op)):
        assert made.operands == op.operands
        assert made.result is not op.result
        assert made.result.owner is made
        assert made.attributes == op.attributes
    apart = pickle.loads(pickle.dumps(op))
    assert [(v.name, v.type, v.owner) for v in apart.operands] == [(v.name, v.type, None) for v in op.operands]
    assert (apart.result.owner, apart.result.name) == (apart, op.result.name)


def test_a_shallow_copy_has_the_same_parts() -> None:
    (func,) = tilewright.parse(MIXED).functions()
    made = copy.copy(func.ops[0])
    assert (made.operands, made.results) == (func.ops[0].operands, func.ops[0].results)
    assert made is not func.ops[0]


def test_references_beside_a_module_follow_it() -> None:
    module = tilewright.parse(MIXED)
    (func,) = module.functions()
    made, op, value = copy.deepcopy((module, func.ops[0], func.args[1]))
    (copied,) = made.functions()
    assert op is copied.ops[0]
    assert value is copied.args[1]
    value, made = copy.deepcopy((func.args[1], module))
    assert value is next(made.functions()).args[1]


def test_what_a_class_keeps_beside_its_slots_is_copied() -> None:
    class Noted(Block):
        pass

    block = Noted()
    block.note = [1]  # type: ignore[attr-defined]
    made = copy.deepcopy(block)
    block.note.append(2)  # type: ignore[attr-defined]
    assert made.note == [1]  # type: ignore[attr-defined]


def test_the_unit_and_types_stay_single() -> None:
    for made in (copy.copy(UNIT), copy.deepcopy(UNIT), pickle.loads(pickle.dumps(UNIT))):
        assert made is UNIT
    type = TensorType((4, 4), "f32")
    assert copy.copy(type) is copy.deepcopy(type) is type
    assert pickle.loads(pickle.dumps(type)) == type


def test_texts_and_short_forms() -> None:
    module = tilewright.parse(MIXED)
    (func,) = module.functions()
    assert str(module) == str(func) == tilewright.print(module)
    assert repr(module) == "<builtin.module, 1 operations>"
    assert repr(func) == "<func.func @mixed, 6 operations>"
    assert repr(ModuleOp([], sym_name="m")) == "<builtin.module @m, 0 operations>"
    assert str(ModuleOp([])) == ""
    assert str(FuncOp("f", Block())) == "func.func @f() {\n}\n"
