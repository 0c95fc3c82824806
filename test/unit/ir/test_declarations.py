"""Operations made of declared fields: what a declaration brings, that one line is all it takes, and what is refused."""

from __future__ import annotations

import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from copy import copy
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tilewright import dialects
from tilewright.dialects import sched, uop
from tilewright.dialects.tiles import TiledType
from tilewright.ir import fields, opdef
from tilewright.ir.attributes import UNIT, Attr
from tilewright.ir.constructors import maker
from tilewright.ir.core import Operation, Value
from tilewright.ir.fields import STRUCTURE, DeclarationError, field, keeps_only_fields
from tilewright.ir.opdef import Dialect, integer, operation, string, unit
from tilewright.ir.reading.fast.lines import copier, joiner
from tilewright.ir.types import TensorType
from tilewright.lowering.rewriting import clone, clone_with

dialects.load_all()
ROOT = Path(__file__).parents[3]
BUFFER = TiledType(TensorType((8, 8), "f32"), (4, 4))


class Noted(Operation):
    """Two fields for operations of any dialect."""

    __slots__ = ()
    mark: Attr = field(unit, default=None)
    size: int = field(integer)

    def doubled(self) -> int:
        return 2 * self.size


class Named(Operation):
    __slots__ = ()
    label: str = field(string, default="none", name="the_label")


@operation
class BothOp(Noted, Named):
    name = "test.both"
    kept: ClassVar[list[int]] = []
    alone: int = field(integer, default=7)

    def doubled(self) -> int:
        return super().doubled() + self.alone

    @property
    def shown(self) -> str:
        return super().__repr__()

    @classmethod
    def within(cls) -> type:
        return __class__


def test_a_constructor_of_the_fields_of_all_bases() -> None:
    x, y = Value(BUFFER, "x"), Value(BUFFER, "y")
    op = BothOp([x], [y], size=3, loc=5, extra={"a.b": 1})
    assert (op.operands, op.results, op.size, op.mark, op.label, op.alone) == ((x,), (y,), 3, None, "none", 7)
    assert (op.loc, op.extra, y.owner) == (5, {"a.b": 1}, op)
    assert [f.name for f in BothOp.fields] == ["alone", "mark", "size", "the_label"]
    assert BothOp(size=1, label="l").attributes == {"size": 1, "the_label": "l"}
    assert BothOp(size=1).extra is None


@pytest.mark.parametrize("arguments", [{}, {"size": 1, "sizes": 1}, {"size": 1, "the_label": "l"}])
def test_arguments_that_a_constructor_has_not(arguments: dict[str, Any]) -> None:
    for _ in range(2):
        with pytest.raises(TypeError, match="argument"):
            BothOp(**arguments)


def test_super_in_a_class_that_was_made_anew() -> None:
    op = BothOp(size=3)
    assert op.doubled() == 13
    assert op.shown == "<test.both >"
    assert BothOp.within() is BothOp


def test_nothing_but_fields_in_an_operation() -> None:
    for cls in (*opdef.all_ops().values(), BothOp):
        slots = [slot for base in cls.__mro__ for slot in fields.own_slots(base)]
        assert sorted(slots) == sorted([*STRUCTURE, *(f.slot for f in cls.fields)])
        assert keeps_only_fields(cls)
        assert copier(cls) is not None
        assert joiner(cls, 2) is not None
    with pytest.raises(AttributeError):
        BothOp(size=1).other = 1  # type: ignore[attr-defined]


def test_operations_are_copied_by_python_too() -> None:
    op = BothOp(size=1, label="l", extra={"a.b": 1})
    assert copy(op).attributes == op.attributes == pickle.loads(pickle.dumps(op)).attributes


def test_a_field_declared_anew() -> None:
    @operation
    class OtherOp(BothOp):
        size: int = field(integer, default=9)

    op = OtherOp()
    assert (op.size, op.alone, op.doubled()) == (9, 7, 25)
    assert len(OtherOp.fields) == len(BothOp.fields)
    assert BothOp(size=1).size == 1


def test_a_constructor_of_its_own_is_left_alone() -> None:
    @operation
    class OwnOp(Operation):
        name = "test.own"
        count: int = field(integer)

        def __init__(self, count: int):
            super().__init__()
            self.count = count

    assert OwnOp(4).attributes == {"count": 4}


def test_copies_with_changes() -> None:
    x, y, z = Value(BUFFER, "x"), Value(BUFFER, "y"), Value(BUFFER, "z")
    op = BothOp([x], [y], size=3, mark=UNIT, loc=5, extra={"a.b": 1})
    new = clone_with(op, [y], [z], size=4, label="l")
    assert type(new) is BothOp
    assert (new.operands, new.results, new.size, new.mark, new.label) == ((y,), (z,), 4, UNIT, "l")
    assert (new.loc, new.extra, z.owner, y.owner) == (5, {"a.b": 1}, new, op)
    assert op.attributes == {"a.b": 1, "mark": UNIT, "size": 3}
    values = {x: z}
    assert clone(op, values).operands == (z,)
    assert values[y].name == "y"
    with pytest.raises(AttributeError):
        clone_with(op, [], [], sizes=4)


def test_moves_between_classes() -> None:
    x, y = Value(BUFFER, "x"), Value(BUFFER, "y")
    tiles = {"coords": ((0, 0), (0, 1)), "kernel": "relu", "accumulate": False}
    op = uop.ExecOp([y, x], **tiles, zero_point=3, extra={"a.b": 1}, loc=9)
    placed = maker(sched.ExecOp, ("operands", "addrs", "queue"), uop.ExecOp)(op, (x, y), (0, 64), 1)
    assert placed.attributes == {**tiles, "addrs": (0, 64), "zero_point": 3, "queue": 1, "a.b": 1}
    assert (placed.operands, placed.loc) == ((x, y), 9)
    assert maker(uop.ExecOp, (), sched.ExecOp)(placed).attributes == op.attributes
    with pytest.raises(DeclarationError, match="ExecOp needs 'addrs', and ExecOp has none"):
        maker(sched.ExecOp, (), uop.ExecOp)
    with pytest.raises(DeclarationError, match="LoadOp needs 'operands', and there is none"):
        maker(uop.LoadOp, ("coords",))


# One line for a new attribute

LINE = "    priority: int | None = field(integer, default=None)\n"
SCRIPT = """
import tilewright
from tilewright.ir.printer import print_module
from tilewright.lowering.rewriting import clone

def notes(module):
    execs = [op for func in module.functions() for op in func.ops if op.name.endswith(".exec")]
    return sorted(op.attributes["priority"] for op in execs)

body = []
for i in range(64):
    c = f"[{i // 8}, {i % 8}]"
    body += [f"  uop.load %x{c}", f"  uop.exec relu %h{c} = %x{c} {{priority = {i % 7}}}", f"  uop.store %h{c}"]
T = "!uop.tiled<tensor<32x32xf32>, [4, 4]>"
text = "\\n".join([f"func.func @f(%x: {T}) {{", f"  %h = uop.alloc : {T}", *body, "  return", "}", ""])
wanted = sorted(i % 7 for i in range(64))
module = tilewright.parse(text)
assert notes(module) == wanted and print_module(module).count("{priority = 3}") == 9
for generic in (False, True):
    again = print_module(module, generic=generic)
    assert tilewright.parse(again) == module and again.count("priority = 3") == 9
values = {v: v for v in module.functions().__next__().args}
assert [clone(op, values).attributes for op in module.ops[0].ops] == [op.attributes for op in module.ops[0].ops]
for pipeline in ("schedule", "schedule,prefetch", "schedule,sync", "schedule,prefetch,sync", "schedule,pingpong"):
    made = tilewright.run_passes(text, pipeline)
    assert notes(tilewright.parse(made)) == wanted, pipeline
    assert tilewright.run_passes(tilewright.run_passes(made, "", generic=True), "") == made
"""


def test_a_new_attribute_of_execs_takes_one_line(tmp_path: Path) -> None:
    """A copy of the package with that line reads, prints, copies, schedules and keeps it."""
    names = ("analysis", "dialects", "ir", "lowering", "passes", "planner", "runtime", "tools")
    for name in names:
        shutil.copytree(ROOT / name, tmp_path / "tilewright" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ROOT.glob("*.py"):
        shutil.copy(file, tmp_path / "tilewright")
    changed = tmp_path / "tilewright" / "dialects" / "tile_ops.py"
    text = changed.read_text(encoding="utf-8")
    before = "    scale: FloatAttr | None"
    assert text.count(before) == 1
    changed.write_text(text.replace(before, LINE + before), encoding="utf-8")
    paths = f"import sys\nsys.path[:] = {[str(tmp_path), *sys.path]!r}\n"
    run = subprocess.run([sys.executable, "-S", "-c", paths + SCRIPT], capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 0, run.stderr


# What is refused


def slot_without_field() -> None:
    @operation
    class SlotOp(Operation):
        __slots__ = ("count",)
        name = "test.slot"


def annotation_without_field() -> None:
    @operation
    class BareOp(Operation):
        name = "test.bare"
        count: int


def base_with_dictionary() -> None:
    class LooseBase(Operation):
        pass

    @operation
    class LooseOp(LooseBase):
        name = "test.loose"


def base_with_slot() -> None:
    class SlotBase(Operation):
        __slots__ = ("count",)

    @operation
    class DerivedOp(SlotBase):
        name = "test.derived"


def named_as_structure() -> None:
    @operation
    class LocOp(Operation):
        name = "test.loc"
        loc: int = field(integer)


def hides_a_method() -> None:
    @operation
    class WalkOp(Operation):
        name = "test.walk"
        walk: int = field(integer)  # type: ignore[assignment]


def hides_a_method_of_a_base() -> None:
    @operation
    class TailOp(uop.LoadOp):
        pretty: int = field(integer)  # type: ignore[assignment]


def private() -> None:
    @operation
    class PrivateOp(Operation):
        name = "test.private"
        _op: int = field(integer)


def one_name_twice() -> None:
    @operation
    class TwiceOp(Operation):
        name = "test.twice"
        a: int = field(integer, name="c")
        b: int = field(integer, name="c")


def one_field_twice() -> None:
    shared = field(integer)

    @operation
    class SharedOp(Operation):
        name = "test.shared"
        a: int = shared
        b: int = shared


def fields_by_hand() -> None:
    @operation
    class HandOp(Operation):
        name = "test.hand"
        fields = ()


def unknown_reference() -> None:
    @operation
    class ReferenceOp(Operation):
        name = "test.reference"
        references = ("coords",)


HERE = f"{__name__}."
REFUSED: dict[Callable[[], None], str] = {
    slot_without_field: "SlotOp: the slot 'count' is no field; declare it as `count: ... = field(...)`",
    annotation_without_field: "BareOp: the annotation 'count' is no field; declare it as `count: ... = field(...)`",
    base_with_dictionary: "LooseBase needs `__slots__ = ()`",
    base_with_slot: "SlotBase: the slot 'count' is no field; declare it as `count: ... = field(...)`",
    named_as_structure: "LocOp: a field can't be called 'loc', which every operation has",
    hides_a_method: "WalkOp: the field 'walk' would hide Operation.walk",
    hides_a_method_of_a_base: "TailOp: the field 'pretty' would hide TileOp.pretty",
    private: "PrivateOp: the name of the field '_op' begins with '_'",
    one_name_twice: "TwiceOp: two fields are called 'c'",
    one_field_twice: "SharedOp: 'a' and 'b' are one field; declare each by itself",
    fields_by_hand: "HandOp: 'fields' is made of the fields; declare each as `x: int = field(...)`",
    unknown_reference: "ReferenceOp: the reference 'coords' is no field",
}


@pytest.mark.parametrize("declare", REFUSED, ids=lambda declare: declare.__name__)
def test_declarations_that_are_refused(declare: Callable[[], None]) -> None:
    with pytest.raises(DeclarationError) as caught:
        declare()
    assert str(caught.value).startswith(f"{HERE}{declare.__name__}.<locals>.")
    assert str(caught.value).endswith(REFUSED[declare])


@pytest.fixture
def dialect(monkeypatch: pytest.MonkeyPatch) -> Dialect:
    monkeypatch.setattr(opdef, "DIALECTS", dict(opdef.DIALECTS))
    monkeypatch.setattr(opdef, "OPERATIONS", dict(opdef.OPERATIONS))
    return opdef.register_dialect(Dialect("test", ""))


def named(text: str) -> type[Operation]:
    class NewOp(Operation):
        name = text

    return NewOp


@pytest.mark.parametrize("name", ["graph.neg", "neg", "test", "test.", "tests.neg"])
def test_a_name_without_the_prefix_of_its_dialect(name: str, dialect: Dialect) -> None:
    with pytest.raises(DeclarationError, match=rf"NewOp is called '{name}'; its dialect's names begin with 'test\.'$"):
        dialect.op(named(name))
    assert not dialect.ops


def test_a_name_that_is_taken(dialect: Dialect) -> None:
    made = dialect.op(named("test.neg"))
    with pytest.raises(DeclarationError, match=r"NewOp: .*\.NewOp is called 'test\.neg' already$"):
        dialect.op(named("test.neg"))
    assert opdef.find_op("test.neg") is made


def test_an_operation_without_name(dialect: Dialect) -> None:
    class NamelessOp(uop.LoadOp):
        __slots__ = ()

    with pytest.raises(DeclarationError, match=r'NamelessOp has no name; give it one, such as name = "test\.neg"$'):
        dialect.op(NamelessOp)


def test_a_dialect_whose_name_is_taken(dialect: Dialect) -> None:
    assert opdef.register_dialect(dialect) is dialect
    with pytest.raises(DeclarationError, match=r"^there is a dialect 'test' already$"):
        opdef.register_dialect(Dialect("test", ""))
