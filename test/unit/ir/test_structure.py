"""Modules that Python has changed: what no text can hold is an error of `verify` and of `print`, and no traceback."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import tilewright as tw
from tilewright.ir.structure import MAX_ERRORS, structure_errors
from tilewright.tools import opt

from ..models import MIXED, levels

SAMPLES = levels()
TILED = "fuse,tile{sizes=4x4x4},lower"


def changed(change: Callable[[Any], object], level: str = "mixed-sched") -> tuple[tw.ModuleOp, Any]:
    """A module with a change made to it; the function is given."""
    module = tw.parse(SAMPLES[level])
    (func,) = module.functions()
    change(func)
    return module, func


def first(func: Any, name: str) -> Any:
    return next(op for op in func.ops if op.name == name)


def put(name: str, slot: str, value: object) -> Callable[[Any], object]:
    return lambda func: setattr(first(func, name), slot, value)


EXEC, LOAD, STORE = "sched.exec", "sched.load", "sched.store"
CHANGES: dict[str, tuple[Callable[[Any], object], str]] = {
    "a kernel that there isn't": (put(EXEC, "kernel", "zz"), "sched.exec: attribute 'kernel' must be one of matmul"),
    "no kernel": (put(EXEC, "kernel", None), "sched.exec: attribute 'kernel' must be one of matmul"),
    "a kernel's object": (put(EXEC, "kernel", object), "attribute 'kernel' must be one of"),
    "no coordinates": (put(EXEC, "coords", None), "attribute 'coords' must be a list of tile coordinates"),
    "coordinates in a list": (put(LOAD, "coords", [(0, 0)]), "attribute 'coords' must be a list of tile coordinates"),
    "whole floats": (put(LOAD, "coords", ((0.0, 0.0),)), "attribute 'coords' must be a list of tile coordinates"),
    "a truth for a number": (put(LOAD, "bytes", True), "attribute 'bytes' must be an i64 integer, got true"),
    "a number for a truth": (put(EXEC, "accumulate", 1), "attribute 'accumulate' must be true or false, got 1"),
    "no addresses": (put(STORE, "addrs", None), "attribute 'addrs' must be a list of i64 integers"),
    "a large number": (put(LOAD, "bytes", 1 << 63), "attribute 'bytes' is an integer that does not fit in 64 bits"),
    "plain floats": (put(EXEC, "params", (0.0, 6.0)), "attribute 'params' must be a list of numbers"),
    "a plain scale": (put(EXEC, "scale", 0.5), "attribute 'scale' must be a float such as"),
    "an attribute's object": (put(EXEC, "extra", {"a.b": object()}), "sched.exec: attributes hold no attribute"),
    "a key": (put(EXEC, "extra", {1: 2}), "sched.exec: attributes hold a key that is no string, 1"),
    "no operands": (put(EXEC, "operands", None), "sched.exec: operands must be a tuple of values, got None"),
    "a list of operands": (lambda f: setattr(f.ops[-1], "operands", [3]), "operands must be a tuple of values"),
    "a type's text": (lambda f: setattr(f.args[0], "type", "f32"), "a value must have a type"),
    "a value's name": (lambda f: setattr(f.args[0], "name", 3), "a value must have a type, a string for its name"),
    "what is no operation": (lambda f: f.ops.insert(0, "nop"), '"nop" stands where an operation belongs'),
    "a slot that is gone": (lambda f: delattr(first(f, EXEC), "kernel"), "ExecOp has no kernel"),
    "marks": (lambda f: setattr(f, "arg_attrs", []), "arg_attrs of a function must be a list of"),
    "result types": (lambda f: setattr(f, "result_types", ("f32",)), "result_types of a function must be"),
    "a function's name": (lambda f: setattr(f, "sym_name", None), "a function has a string for its name"),
    "a body": (lambda f: setattr(f, "body", None), "a region must be a block"),
    "arguments": (lambda f: f.args.append(None), "arguments must be values"),
    "attributes": (lambda f: setattr(f, "attrs", {"sched.stats": {"a": 1.5}}), "attributes hold no attribute, 1.5"),
    "a result of another": (lambda f: setattr(first(f, "uop.alloc"), "results", (f.args[0],)), "its result %"),
}


def printed(show: Callable[[Any], str], module: tw.ModuleOp) -> str:
    try:
        return show(module)
    except tw.DiagnosticError as error:
        return str(error)


@pytest.mark.parametrize("name", CHANGES)
def test_what_no_text_can_hold(name: str) -> None:
    change, message = CHANGES[name]
    module, func = changed(change)
    for check in (tw.verify, lambda m: tw.run_passes(m, "prefetch"), tw.report, lambda m: tw.run(m, [])):
        with pytest.raises(tw.DiagnosticError) as error:
            check(module)
        assert message in str(error.value)
    for show in (tw.print, lambda m: tw.print(m, generic=True), str, lambda m: str(func)):
        said = printed(show, module)
        assert said.startswith(("func.func", '"builtin', '"func', "module")) or message in said


@pytest.mark.parametrize("level", SAMPLES)
def test_what_was_read_or_made_by_passes_is_right(level: str) -> None:
    module = tw.parse(SAMPLES[level])
    assert structure_errors(module) == []
    assert structure_errors(module.clone()) == []


@pytest.mark.parametrize(
    "pipeline", ["O1", "O2", "schedule{double-buffer},sync", "tile{sizes=4x4x4},schedule,pingpong,sync"]
)
def test_what_passes_make_is_right(pipeline: str) -> None:
    assert structure_errors(tw.run_passes(tw.parse(MIXED), pipeline)) == []


def test_errors_point_at_the_operation() -> None:
    module, _ = changed(put(EXEC, "kernel", "matmull"))
    with pytest.raises(
        tw.DiagnosticError, match=r"^<string>:\d+:3: error: sched.exec: .*did you mean matmul\?"
    ) as error:
        tw.verify(module)
    assert error.value.diagnostics[0].text is not None


def test_many_errors_are_capped() -> None:
    def all_wrong(func: Any) -> None:
        for op in func.ops:
            op.extra = {"a.b": object()}

    assert len(structure_errors(changed(all_wrong)[0])) == MAX_ERRORS


def test_a_function_twice_and_one_within_itself() -> None:
    module = tw.parse(SAMPLES["mlp-graph"])
    module.ops.append(next(module.functions()).clone())
    with pytest.raises(tw.DiagnosticError, match="redefinition of function @mlp"):
        tw.verify(module)
    module, _ = changed(lambda f: f.ops.insert(0, f))
    with pytest.raises(tw.DiagnosticError, match=r"func\.func stands within itself"):
        tw.verify(module)


def test_an_undefined_value_prints_as_in_mlir() -> None:
    module, func = changed(lambda f: setattr(f.ops[-1], "operands", (tw.Value(f.args[0].type, "gone"),)), "mixed-graph")
    assert "return <<UNKNOWN SSA VALUE>> : " in str(module)
    assert '"func.return"(<<UNKNOWN SSA VALUE>>)' in tw.print(func, generic=True)
    with pytest.raises(tw.DiagnosticError, match="%gone is used before it is defined"):
        tw.verify(module)


def test_commands_do_not_look_at_what_they_have_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """The check is for modules that Python has made: the reader has seen to it already."""
    from tilewright.ir import structure

    monkeypatch.setattr(structure, "structure_errors", lambda module: pytest.fail("looked at"))
    path = tmp_path / "in.mir"
    path.write_text(MIXED, encoding="utf-8")
    assert opt.main(["-O1", str(path), "-o", "/dev/null"]) == 0
