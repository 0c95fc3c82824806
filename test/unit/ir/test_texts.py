"""Texts kept by attribute values: never those of a value that Python merely takes for the same; and the short ways of
printing write what the long ones do."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

import tilewright
from tilewright import dialects
from tilewright.dialects import sched, uop
from tilewright.dialects.tile_ops import TileOp
from tilewright.dialects.tiles import TiledType
from tilewright.ir import printer
from tilewright.ir.attributes import F32, UNIT, Attr, FloatAttr
from tilewright.ir.builtin import FuncOp, ModuleOp, ReturnOp
from tilewright.ir.core import Block, Operation, Value
from tilewright.ir.fields import field
from tilewright.ir.opdef import integer, operation, string, unit
from tilewright.ir.printer import print_module
from tilewright.ir.texts import SIZE, Texts
from tilewright.ir.types import TensorType

dialects.load_all()
ROOT = Path(__file__).parents[3]
BUFFER = TiledType(TensorType((8, 8), "f32"), (2, 2))


def module_of(*ops: Operation, args: tuple[Value, ...] = ()) -> ModuleOp:
    return ModuleOp([FuncOp("f", Block(args, [*ops, ReturnOp()]))])


def lines(module: ModuleOp, generic: bool = False) -> list[str]:
    """The printed operations, without returns."""
    text = [line.strip() for line in print_module(module, generic).splitlines()]
    around = ('"builtin.', '"func.', "func.func ", "^bb0", "}", "return")
    return [line for line in text if not line.startswith(around)]


def fresh_memos(monkeypatch: pytest.MonkeyPatch, cls: type[Operation]) -> None:
    """The class's own memos as a new process has them."""
    monkeypatch.setattr(printer, "_FORMS", printer._Forms())
    if issubclass(cls, TileOp):
        cls.__init_subclass__()


@pytest.mark.parametrize("order", [*permutations([True, 1])])
def test_true_where_an_integer_belongs(order: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    fresh_memos(monkeypatch, sched.LoadOp)
    x = Value(BUFFER, "x")
    ops = [sched.LoadOp([x], coords=((n, 7),), addrs=(n,), bytes=n, queue=n) for n in order]
    pretty, generic = lines(module_of(*ops, args=(x,))), lines(module_of(*ops, args=(x,)), True)
    assert pretty == ["sched.load %x[1, 7] @0x0001 {bytes = 1, queue = 1}"] * 2
    assert (
        generic == [f'"sched.load"(%x) {{addrs = [1], bytes = 1, coords = [[1, 7]], queue = 1}} : ({BUFFER}) -> ()'] * 2
    )


@pytest.mark.parametrize("order", [*permutations([1, True])])
def test_one_where_a_truth_value_belongs(order: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    fresh_memos(monkeypatch, uop.ExecOp)
    x = Value(BUFFER, "x")
    ops = [uop.ExecOp([x, x], coords=((0, 0), (0, 1)), kernel="relu", accumulate=flag) for flag in order]
    assert lines(module_of(*ops, args=(x,))) == ["uop.exec relu %x[0, 0] += %x[0, 1]"] * 2
    for line in lines(module_of(*ops, args=(x,)), True):
        assert line.startswith('"uop.exec"(%x, %x) {accumulate = true, coords')


@pytest.mark.parametrize("order", [*permutations([0.0, -0.0])])
def test_minus_zero(order: tuple[float, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    fresh_memos(monkeypatch, uop.ExecOp)
    x = Value(BUFFER, "x")
    ops = [
        uop.ExecOp([x, x], coords=((0, 0), (0, 1)), kernel="cast", accumulate=False, scale=FloatAttr(zero, F32))
        for zero in order
    ]
    for generic in (False, True):
        for line, zero in zip(lines(module_of(*ops, args=(x,)), generic), order, strict=True):
            assert f"scale = {zero} : f32" in line


def test_lists_where_tuples_belong() -> None:
    """They are no keys, and print all the same."""
    x = Value(BUFFER, "x")
    waits: Any = [[1, 3]]
    ops = [sched.LoadOp([x], coords=((0, 0),), addrs=(0,), bytes=16, queue=0, wait=waits)]
    assert lines(module_of(*ops, args=(x,))) == ["sched.load %x[0, 0] @0x0000 {bytes = 16, queue = 0, wait = [[1, 3]]}"]
    assert "queue = 0, wait = [[1, 3]]}" in lines(module_of(*ops, args=(x,)), True)[0]


def test_same_coordinates_in_functions_of_other_types() -> None:
    other = TiledType(TensorType((6, 6), "i8"), (3, 3))
    funcs = []
    for number, type in enumerate((BUFFER, other)):
        x = Value(type, "x")
        load = uop.LoadOp([x], coords=((1, 1),))
        funcs.append(FuncOp(f"f{number}", Block([x], [load, ReturnOp()])))
    text = print_module(ModuleOp(funcs), True)
    for type in (BUFFER, other):
        assert text.count(f'"uop.load"(%x) {{coords = [[1, 1]]}} : ({type}) -> ()\n') == 1


def test_a_value_that_is_named_anew() -> None:
    """One operation that stands in a block twice defines its value twice; what comes between sees the first name."""
    alloc = uop.AllocOp((), [Value(BUFFER, "h")])
    load = uop.LoadOp([alloc.result], coords=((0, 0),))
    shown = [line.split("(")[1].split(")")[0] for line in lines(module_of(alloc, load, alloc, load), True)[1::2]]
    assert shown == ["%h", "%h_0"]


@operation
class NoteOp(Operation):
    """An operation with every sort of field."""

    name = "test.note"
    count: int = field(integer, default=7)
    mark: Attr = field(unit, default=None)
    note: str = field(string)


def test_braces_and_percent_signs_in_texts() -> None:
    ops = [NoteOp(note="100 % {x}"), NoteOp(note="%s", mark=UNIT), NoteOp(note="", count=8)]
    expected = ['{note = "100 % {x}"}', '{mark, note = "%s"}', '{count = 8, note = ""}']
    for generic in (False, True):
        assert lines(module_of(*ops), generic) == [f'"test.note"() {text} : () -> ()' for text in expected]


@operation
class CountOp(Operation):
    name = "test.count"
    count: int = field(integer, default=1000)


@pytest.mark.parametrize("order", [*permutations([CountOp.fields[0].default, int("1000")])])
def test_a_default_that_is_given(order: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is equal to a default is printed, unless it is the default itself."""
    fresh_memos(monkeypatch, CountOp)
    shown = ["" if n is CountOp.fields[0].default else " {count = 1000}" for n in order]
    ops = [CountOp(count=n) for n in order]
    assert lines(module_of(*ops), True) == [f'"test.count"(){text} : () -> ()' for text in shown]


def test_memos_are_bounded() -> None:
    texts = Texts(lambda key: (str(key), True))
    assert all(texts[i] == str(i) for i in range(SIZE + 10))
    assert len(texts) == 10


@pytest.mark.parametrize("path", sorted((ROOT / "test" / "dialects").glob("*.mir")), ids=lambda path: path.stem)
def test_short_ways_write_what_long_ones_do(path: Path) -> None:
    for part in path.read_text(encoding="utf-8").split("// -----"):
        try:
            module = tilewright.parse(part, verify=False, allow_unregistered=True)
        except tilewright.DiagnosticError:
            continue
        for func in module.functions():
            compare_ways(func)


def outcome(way: Callable[..., str], *args: Any) -> Any:
    """A text, or the kind of error that an operation with too few or too many coordinates leads to."""
    try:
        return way(*args)
    except ValueError as error:
        return type(error)


def compare_ways(func: FuncOp) -> None:
    names = {value: f"%{value.name}" for op in func.ops for value in (*op.operands, *op.results)}
    for op in func.ops:
        if isinstance(op, TileOp):
            assert outcome(op.pretty, names) == outcome(op.any_pretty, names)
            form = printer._FORMS[type(op)]
            assert form is not None
            texts = [names[v] for v in op.operands], [v.type.text for v in op.operands]
            if not op.extra and not op.results:
                assert form(op, *map(", ".join, texts)) == printer._generic(op, names)
