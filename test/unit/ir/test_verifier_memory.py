"""What the verifier remembers as right is right: the same errors as without a memory, whatever came before."""

from __future__ import annotations

from pathlib import Path

import pytest

import tilewright
from tilewright import DiagnosticError, dialects
from tilewright.dialects import sched, uop
from tilewright.dialects.tiles import TiledType
from tilewright.ir import verifier
from tilewright.ir.builtin import FuncOp, ModuleOp, ReturnOp
from tilewright.ir.core import Block, UnregisteredOp, Value
from tilewright.ir.opdef import OpError
from tilewright.ir.types import TensorType
from tilewright.ir.verifier import verification_errors

dialects.load_all()
ROOT = Path(__file__).parents[3]
BUFFER = TiledType(TensorType((4, 4), "f32"), (2, 2))
T = str(BUFFER)


def messages(text: str) -> list[str]:
    module = tilewright.parse(text, verify=False, allow_unregistered=True)
    return [error.message for error in verification_errors(module)]


def test_an_operand_that_becomes_the_destination() -> None:
    """The same buffers and kernel are right with other tiles."""
    lines = [
        "uop.exec matmul %h[0, 0] = %h[0, 1], %x[0, 0]", "uop.exec matmul %h[0, 0] = %h[0, 1], %x[0, 0]",
        "uop.exec matmul %h[0, 1] = %h[0, 1], %x[0, 0]", "uop.exec relu %h[0, 0] = %h[0, 0]",
    ]  # fmt: skip
    text = f"func.func @f(%x: {T}) {{\n%h = uop.alloc : {T}\n" + "\n".join([*lines, "return\n}\n"])
    assert messages(text) == ["kernel matmul cannot work in place: %h[0, 1] is its source and destination"]


def test_coordinates_that_another_function_has() -> None:
    small = str(TiledType(TensorType((2, 4), "f32"), (2, 2)))
    text = "".join(f"func.func @f{i}(%x: {t}) {{\nuop.load %x[1, 1]\nreturn\n}}\n" for i, t in enumerate([T, small]))
    assert messages(text) == ["uop.load: tile %x[1, 1] lies outside the grid of 1x2 tiles"]


def test_buffers_of_other_types_in_one_function() -> None:
    small = str(TiledType(TensorType((2, 4), "f32"), (2, 2)))
    text = f"func.func @f(%x: {T}, %y: {small}) {{\nuop.load %x[1, 1]\nuop.load %y[0, 1]\nuop.load %y[1, 1]\nreturn\n}}"
    assert messages(text) == ["uop.load: tile %y[1, 1] lies outside the grid of 1x2 tiles"]


def test_wrong_operations_stay_wrong() -> None:
    text = f"func.func @f(%x: {T}) {{\n" + "uop.load %x[2, 0]\n" * 3 + "uop.load %x[0, 0]\nreturn\n}\n"
    assert messages(text) == ["uop.load: tile %x[2, 0] lies outside the grid of 2x2 tiles"] * 3


def test_undefined_operands_with_known_coordinates() -> None:
    x, y = Value(BUFFER, "x"), Value(BUFFER, "y")
    loads = [uop.LoadOp([value], coords=((0, 0),)) for value in (x, y, x, y)]
    errors = verification_errors(ModuleOp([FuncOp("f", Block([x], [*loads, ReturnOp()]))]))
    assert [error.message for error in errors] == ["%y is used before it is defined"] * 2


def test_results_and_discardable_attributes_of_a_known_operation() -> None:
    text = f"func.func @f(%x: {T}) {{\nuop.load %x[0, 0]\nuop.load %x[0, 0] {{sched.nothing}}\nreturn\n}}\n"
    assert messages(text) == ["unknown attribute 'sched.nothing' on uop.load"]
    x = Value(BUFFER, "x")
    loads = [uop.LoadOp([x], results, coords=((0, 0),)) for results in ([], [Value(BUFFER, "r")])]
    errors = verification_errors(ModuleOp([FuncOp("f", Block([x], [*loads, ReturnOp()]))]))
    assert [error.message for error in errors] == ["uop.load has no results"]


def test_values_of_enclosing_and_of_inner_regions() -> None:
    inner = Value(BUFFER, "h")
    alloc = uop.AllocOp((), [inner])
    x = Value(BUFFER, "x")
    load_x, load_h = (uop.LoadOp([value], coords=((0, 0),)) for value in (x, inner))
    region = UnregisteredOp("test.region", (), regions=[Block([], [load_x, alloc, load_h])])
    func = FuncOp("f", Block([x], [load_x, region, load_x, load_h, ReturnOp()]))
    errors = verification_errors(ModuleOp([func]))
    assert [error.message for error in errors] == ["%h is used before it is defined"]


def test_an_exec_without_tiles() -> None:
    execs = [uop.ExecOp([], coords=(), kernel="relu", accumulate=False)] * 2
    errors = verification_errors(ModuleOp([FuncOp("f", Block([], [*execs, ReturnOp()]))]))
    assert [error.message for error in errors] == ["kernel relu takes 1 source, got 0"] * 2


def test_a_subclass_with_checks_of_its_own() -> None:
    """What its base class remembers says nothing of them."""

    class OddLoadOp(uop.LoadOp):
        __slots__ = ()

        def verify(self) -> None:
            if self.loc == 7:
                raise OpError("odd")

    x = Value(BUFFER, "x")
    loads = [uop.LoadOp([x], coords=((0, 0),)), *[OddLoadOp([x], coords=((0, 0),), loc=n) for n in (6, 7, 7)]]
    errors = verification_errors(ModuleOp([FuncOp("f", Block([x], [*loads, ReturnOp()]))]))
    assert [error.message for error in errors] == ["odd"] * 2


def test_negative_addresses_of_a_known_operation() -> None:
    load = '"sched.load"(%x) {{addrs = [{}], bytes = 16, coords = [[0, 0]]}} : ({}) -> ()\n'
    text = f"func.func @f(%x: {T}) {{\n{load.format(0, T)}{load.format(-64, T)}return\n}}\n"
    assert messages(text) == ["sched.load: an address must not be negative"]
    h, x = Value(BUFFER, "h"), Value(BUFFER, "x")
    execs = [
        sched.ExecOp([h, x], coords=((0, 0), (0, 0)), addrs=addrs, kernel="relu", accumulate=False)
        for addrs in ((0, 64), (0, -64), (0,))
    ]
    errors = verification_errors(ModuleOp([FuncOp("f", Block([h, x], [*execs, ReturnOp()]))]))
    wanted = ["sched.exec: an address must not be negative", "sched.exec: 'addrs' must hold 2, one for each operand"]
    assert [error.message for error in errors] == wanted


@pytest.mark.parametrize("path", sorted((ROOT / "test" / "dialects").glob("*.mir")), ids=lambda path: path.stem)
def test_same_errors_without_memory(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for part in path.read_text(encoding="utf-8").split("// -----"):
        try:
            module = tilewright.parse(part, verify=False, allow_unregistered=True)
        except DiagnosticError:
            continue
        for func in module.functions():  # each operation twice, so that it is known the second time
            func.body.ops[:-1] = [op for op in func.ops[:-1] for _ in range(1 if op.results else 2)]
        with monkeypatch.context() as patch:
            patch.setattr(verifier, "_Memories", _Forgetful)
            without = [error.render(module.source) for error in verification_errors(module)]
        assert [error.render(module.source) for error in verification_errors(module)] == without


class _Forgetful(verifier._Memories):
    def __missing__(self, cls: type) -> object:  # type: ignore[override]
        self.learn[cls] = verifier._NoMemory().learn
        return verifier._NoMemory().knows
