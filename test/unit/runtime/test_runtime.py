"""Running functions: all levels agree on all examples, and what must not be read is a located error."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

import tilewright
from tilewright import DiagnosticError
from tilewright.dialects.tiles import TiledType
from tilewright.dialects.uop import is_on_chip
from tilewright.ir.builtin import ModuleOp
from tilewright.ir.core import Value
from tilewright.runtime.buffers import POISON, Buffer, valid_part
from tilewright.runtime.compare import first_difference
from tilewright.runtime.execute import Run, execute_function, random_inputs
from tilewright.runtime.numerics import Array, numpy_dtype
from tilewright.runtime.sched import SchedRun
from tilewright.runtime.uop import UopRun

from ..models import MIXED, levels

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
SIZES = {
    "mlp": ("16KiB", "24KiB", "64KiB", "256KiB"),
    "mlp_mnist": ("16KiB", "64KiB", "256KiB"),
    "quantized": ("8KiB", "64KiB", "256KiB"),
    "transformer_ffn": ("256KiB", "1MiB"),
    "tiles_by_hand": ("32KiB", "256KiB"),
}
MIXED_PASSES = "fuse,tile{sizes=4x4x4}"


@cache
def example(name: str) -> ModuleOp:
    return tilewright.parse((EXAMPLES / f"{name}.mir").read_text(encoding="utf-8"), filename=f"{name}.mir")


def compiled(module: ModuleOp, pipeline: str) -> ModuleOp:
    return tilewright.parse(tilewright.run_passes(tilewright.print(module), pipeline), filename="sched.mir")


def run(module: ModuleOp, inputs: dict[str, Array] | None = None, poison: bool = True) -> list[Array]:
    """The results on the given inputs, or on small random integers."""
    (func,) = module.functions()
    return execute_function(func, module, inputs or random_inputs(func, 5, bound=2), poison=poison).arrays


# Levels


@pytest.mark.parametrize(("name", "sram"), [(n, s) for n, sizes in SIZES.items() for s in sizes])
def test_an_example_computes_the_same_scheduled(name: str, sram: str) -> None:
    module = example(name)
    wanted = run(module)
    scheduled = compiled(module, f"schedule{{sram={sram}}}")
    assert first_difference(wanted, run(scheduled)) is None
    assert first_difference(wanted, run(scheduled, poison=False)) is None
    assert any(array.any() for array in wanted)


@pytest.mark.parametrize("name", ["mlp", "mlp_mnist", "quantized", "transformer_ffn"])
def test_an_example_computes_the_same_in_tiles(name: str) -> None:
    module = example(name)
    assert first_difference(run(module), run(compiled(module, "fuse,tile,lower"))) is None


def test_the_handwritten_schedule_computes_the_product() -> None:
    (func,) = example("schedule_by_hand").functions()
    inputs = random_inputs(func, 2)
    (made,) = run(example("schedule_by_hand"), inputs)
    assert np.array_equal(made, np.maximum(inputs["x"] @ inputs["w"], 0))


@pytest.mark.parametrize("level", [name for name in levels() if name.startswith("mixed")])
@pytest.mark.parametrize("poison", [True, False])
def test_the_mixed_function_is_what_numpy_says(level: str, poison: bool) -> None:
    module = tilewright.parse(levels()[level])
    (func,) = module.functions()
    i = random_inputs(func, 3)
    sum = np.maximum(i["x"] @ i["w"] + i["b"], 0) + i["r"]
    assert first_difference([sum, sum.astype(np.float16), i["u"]], run(module, i, poison)) is None


# Edge tiles


ZERO_POINT = """\
func.func @padded(%x: tensor<3x5xi8>, %w: tensor<5x3xi8>, %b: tensor<3xi32>, %v: tensor<3x5xi8>) -> tensor<3x5xi32> {
  %a = graph.matmul %x, %w, %b {activation = "relu"}
      : (tensor<3x5xi8>, tensor<5x3xi8>, tensor<3xi32>) -> tensor<3x3xi32>
  %q = graph.cast %a {scale = 0.25 : f32, zero_point = 7} : tensor<3x3xi32> -> tensor<3x3xi8>
  %y = graph.matmul %q, %v : (tensor<3x3xi8>, tensor<3x5xi8>) -> tensor<3x5xi32>
  return %y : tensor<3x5xi32>
}
"""
"""A bias, relu and a zero point on tiles with padding, which the second product reads."""


def buffers_after(text: str, pipeline: str) -> dict[Value, Buffer]:
    """All off-chip buffers after a run, those of intermediate values included."""
    module = tilewright.parse(tilewright.run_passes(text, pipeline))
    (func,) = module.functions()
    inputs = random_inputs(func, 4)
    buffers = {a: Buffer(a.type, inputs[a.name]) for a in func.args if isinstance(a.type, TiledType)}
    if "sched.sram" in func.attrs:
        SchedRun(buffers, func.attrs["sched.sram"]["total_bytes"]).run(func)
    else:
        UopRun(buffers).run(func)
    return {value: buffer for value, buffer in buffers.items() if not is_on_chip(value)}


@pytest.mark.parametrize("pipeline", ["tile{sizes=2x4x4},lower", "tile{sizes=2x4x4},lower,schedule{sram=1KiB}"])
@pytest.mark.parametrize("text", [ZERO_POINT, MIXED])
def test_padding_is_zero_off_chip(text: str, pipeline: str) -> None:
    padded = 0
    for value, buffer in buffers_after(text, pipeline).items():
        for coord in buffer.type.coords():
            part = valid_part(buffer.type, coord)
            rest = buffer.tiles[coord].astype(np.float64)
            if part is not None:
                rest[tuple(map(slice, part))] = 0
                assert not rest.any(), f"%{value.name}{list(coord)}"
                padded += 1
    assert padded > 8


@pytest.mark.parametrize("sizes", ["2x2x2", "2x4x4", "4x4x4", "8x8x8", "1x1x1"])
@pytest.mark.parametrize("fused", ["fuse,", ""])
def test_a_zero_point_on_padding_adds_nothing(sizes: str, fused: str) -> None:
    module = tilewright.parse(ZERO_POINT)
    scheduled = compiled(module, f"{fused}tile{{sizes={sizes}}},lower,schedule{{sram=2KiB}}")
    wanted = run(module)
    assert first_difference(wanted, run(scheduled)) is None
    assert first_difference(wanted, run(compiled(module, f"{fused}tile{{sizes={sizes}}},lower"))) is None


# By hand: in place, retained, on chip

TILE = "!uop.tiled<tensor<2x2xf32>, [2, 2]>"
TWO = "!uop.tiled<tensor<2x4xf32>, [2, 2]>"
SRAM = "attributes {sched.sram = {alignment = 16, total_bytes = 64}}"


def hand(body: str, result: str = "%y", alloc: str = f"  %y = uop.alloc : {TILE}\n", sram: str = SRAM) -> str:
    """A schedule on %x and %w with one tile of 16 bytes each and an SRAM of four."""
    lines = "".join(f"  {line.strip()}\n" for line in body.strip().splitlines())
    return f"func.func @f(%x: {TILE}, %w: {TILE}) -> {TILE} {sram} {{\n{alloc}{lines}  return {result} : {TILE}\n}}\n"


def unverified(text: str) -> ModuleOp:
    return tilewright.parse(text, filename="hand.mir", verify=False)


LOADS = """
sched.load %x[0, 0] @0x0000 {bytes = 16}
sched.load %w[0, 0] @0x0010 {bytes = 16}
"""
X = np.array([[1, -2], [3, 4]], np.float32)
W = np.array([[5, 6], [-7, 8]], np.float32)
XW = {"x": X, "w": W}

IN_PLACE = LOADS + """
sched.exec matmul %y[0, 0] @0x0020 = %x[0, 0] @0x0000, %w[0, 0] @0x0010
sched.exec add %y[0, 0] @0x0020 = %y[0, 0] @0x0020, %w[0, 0] @0x0010
sched.exec relu %y[0, 0] @0x0020 = %y[0, 0] @0x0020
sched.store %y[0, 0] @0x0020 {bytes = 16}
"""  # fmt: skip
SUM = LOADS + """
sched.exec add %y[0, 0] @0x0020 = %x[0, 0] @0x0000, %w[0, 0] @0x0010
sched.store %y[0, 0] @0x0020 {bytes = 16}
"""  # fmt: skip
RETAINED = LOADS + """
sched.exec add %z[0, 0] @0x0020 = %x[0, 0] @0x0000, %w[0, 0] @0x0010 {activation = "relu"}
sched.store %z[0, 0] @0x0020 {bytes = 16, retain}
sched.exec add %y[0, 0] @0x0030 = %z[0, 0] @0x0020, %x[0, 0] @0x0000
sched.store %y[0, 0] @0x0030 {bytes = 16}
"""  # fmt: skip
ON_CHIP = LOADS + """
sched.exec add %z[0, 0] @0x0020 = %x[0, 0] @0x0000, %w[0, 0] @0x0010
sched.exec matmul %y[0, 0] @0x0030 = %z[0, 0] @0x0020, %w[0, 0] @0x0010
sched.store %y[0, 0] @0x0030 {bytes = 16}
"""  # fmt: skip
STORED = LOADS + """
sched.exec add %z[0, 0] @0x0020 = %x[0, 0] @0x0000, %w[0, 0] @0x0010
sched.store %z[0, 0] @0x0020 {activation = "relu", bytes = 16}
sched.load %z[0, 0] @0x0000 {bytes = 16}
sched.exec add %y[0, 0] @0x0030 = %z[0, 0] @0x0000, %w[0, 0] @0x0010
sched.store %y[0, 0] @0x0030 {bytes = 16}
"""  # fmt: skip


def two_allocs(first: str = "") -> str:
    return f"  %z = uop.alloc {first}: {TILE}\n  %y = uop.alloc : {TILE}\n"


@pytest.mark.parametrize("poison", [True, False])
@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (hand(IN_PLACE), np.maximum(X @ W + W, 0)),
        (hand(SUM), X + W),
        (hand(RETAINED, alloc=two_allocs()), np.maximum(X + W, 0) + X),
        (hand(ON_CHIP, alloc=two_allocs("{on_chip} ")), (X + W) @ W),
        (hand(STORED, alloc=two_allocs()), np.maximum(X + W, 0) + W),
        (hand("", result="%x", alloc=""), X),
    ],
    ids=["in place", "sum", "retained", "on chip", "stored and loaded", "argument returned"],
)
def test_handwritten_schedules(text: str, wanted: Array, poison: bool) -> None:
    module = tilewright.parse(text)
    assert first_difference([wanted], run(module, XW, poison)) is None


def test_inputs_are_not_changed() -> None:
    inputs = {"x": X.copy(), "w": W.copy()}
    for text in (hand(IN_PLACE), hand(SUM)):
        run(tilewright.parse(text), inputs)
    assert np.array_equal(inputs["x"], X)
    assert np.array_equal(inputs["w"], W)


def test_a_run_tells_where_results_come_from() -> None:
    module = tilewright.parse(hand(IN_PLACE))
    (func,) = module.functions()
    made: Run = execute_function(func, module, {"x": X, "w": W})
    assert made.tiles == [(2, 2)]
    assert made.stored == [{(0, 0): func.ops[-2]}]


def test_poison_is_nan_or_minus_one() -> None:
    poison = np.full(8, POISON, np.uint8)
    assert all(np.isnan(poison.view(numpy_dtype(t)).astype(np.float32)).all() for t in ("f32", "f16", "bf16"))
    assert all((poison.view(numpy_dtype(t)) == -1).all() for t in ("i32", "i8"))


def test_the_sram_is_poison_after_the_last_store() -> None:
    module = tilewright.parse(hand(IN_PLACE))
    (func,) = module.functions()
    state = SchedRun({a: Buffer(a.type, W) for a in func.args if isinstance(a.type, TiledType)}, 64)
    state.run(func)
    assert set(state.sram.tolist()) == {POISON}


# Wrong schedules: what the interpreter says where the verifier is off


MATMUL = "sched.exec matmul %y[0, 0] @0x0020 = %x[0, 0] @0x0000, %w[0, 0] @0x0010"
STORE = "sched.store %y[0, 0] @0x0020 {bytes = 16}"
NEVER_LOADED = f"sched.load %x[0, 0] @0x0000 {{bytes = 16}}\n{MATMUL}\n{STORE}"
AFTER_STORE = f"{LOADS}{MATMUL}\n{STORE}\n{MATMUL.replace(' = ', ' += ')}\n{STORE}"
STORED_TWICE = f"{LOADS}{MATMUL}\n{STORE}\n{STORE}"
NOT_STARTED = f"{LOADS}{MATMUL.replace(' = ', ' += ')}\n{STORE}"
HALF_THERE = f"{LOADS}{MATMUL.replace('%w[0, 0] @0x0010', '%w[0, 0] @0x0018')}\n{STORE}"
LOAD_BEYOND = LOADS.replace("@0x0010", "@0x0038") + STORE
READ_BEYOND = f"{LOADS}{MATMUL.replace('@0x0010', '@0x0040')}\n{STORE}"
WRITE_BEYOND = f"{LOADS}{MATMUL.replace('@0x0020', '@0x0034')}\n{STORE}"
STORE_BEYOND = f"{LOADS}{MATMUL}\n{STORE.replace('@0x0020', '@0x1000')}"
NOT_STORED = LOADS + MATMUL
LOADS_UNSTORED = "sched.load %y[0, 0] @0x0020 {bytes = 16}\n" + STORE

POISONED = {
    "never loaded": (NEVER_LOADED, "%w[0, 0] @0x0010 is read, but there is poison", MATMUL),
    "read after its store": (
        AFTER_STORE,
        "%y[0, 0] @0x0020 is read, but there is poison",
        MATMUL.replace(" = ", " += "),
    ),
    "stored twice": (STORED_TWICE, "%y[0, 0] @0x0020 is read, but there is poison", STORE),
    "sum not started": (NOT_STARTED, "%y[0, 0] @0x0020 is read, but there is poison", MATMUL.replace(" = ", " += ")),
    "half of it poison": (
        HALF_THERE,
        "%w[0, 0] @0x0018 is read, but there is poison",
        MATMUL.replace("@0x0010", "@0x0018"),
    ),
}
REFUSED = {
    "load beyond": (
        LOAD_BEYOND,
        "%w[0, 0] @0x0038 ends beyond the SRAM's 64 bytes",
        "sched.load %w[0, 0] @0x0038 {bytes = 16}",
    ),
    "read beyond": (
        READ_BEYOND,
        "%w[0, 0] @0x0040 ends beyond the SRAM's 64 bytes",
        MATMUL.replace("@0x0010", "@0x0040"),
    ),
    "write beyond": (
        WRITE_BEYOND,
        "%y[0, 0] @0x0034 ends beyond the SRAM's 64 bytes",
        MATMUL.replace("@0x0020", "@0x0034"),
    ),
    "store beyond": (
        STORE_BEYOND,
        "%y[0, 0] @0x1000 ends beyond the SRAM's 64 bytes",
        STORE.replace("@0x0020", "@0x1000"),
    ),
    "tile never stored": (
        LOADS_UNSTORED,
        "%y[0, 0] is read off chip, but it was never stored there",
        "sched.load %y[0, 0] @0x0020 {bytes = 16}",
    ),
    "result never stored": (NOT_STORED, "result tile %y[0, 0] was never stored", f"return %y : {TILE}"),
}


def message(text: str, poison: bool = True) -> str:
    with pytest.raises(DiagnosticError) as caught:
        run(unverified(text), XW, poison)
    return str(caught.value)


def shown(text: str, line: str, tile: str, error: str) -> str:
    """The whole diagnostic: at the last such line of the text, the caret under the tile."""
    at = max(i for i, other in enumerate(text.splitlines(), 1) if other.strip() == line)
    column = f"  {line}".index(tile)
    return f"hand.mir:{at}:{column + 1}: error: {error}\n  {line}\n{' ' * column}^"


@pytest.mark.parametrize("case", POISONED)
def test_reading_poison_is_an_error_at_the_operation(case: str) -> None:
    body, error, line = POISONED[case]
    tile = error.partition(" is ")[0]
    assert message(hand(body)) == shown(hand(body), line, tile, error)


@pytest.mark.parametrize("poison", [True, False])
@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_there_is_an_error_with_and_without_poison(case: str, poison: bool) -> None:
    body, error, line = REFUSED[case]
    tile = error.partition(" ends ")[0] if " ends " in error else "%y"
    assert message(hand(body), poison) == shown(hand(body), line, tile, error)


@pytest.mark.parametrize("case", POISONED)
def test_without_poison_these_run(case: str) -> None:
    assert len(run(unverified(hand(POISONED[case][0])), inputs=XW, poison=False)) == 1


@pytest.mark.parametrize("poison", [True, False])
def test_another_tile_at_the_address_is_read_as_it_is(poison: bool) -> None:
    module = unverified(hand(f"{LOADS}{MATMUL}\n{STORE.replace('@0x0020', '@0x0010')}"))
    (made,) = run(module, XW, poison)
    assert np.array_equal(made, W)


@pytest.mark.parametrize("case", [*POISONED, *REFUSED])
def test_the_verifier_refuses_them_all(case: str) -> None:
    body = (POISONED | REFUSED)[case][0]
    with pytest.raises(DiagnosticError):
        tilewright.parse(hand(body))


def test_a_tile_of_two_of_which_one_is_stored() -> None:
    text = (
        f"func.func @f(%x: {TWO}) -> {TWO} {{\n  %y = uop.alloc : {TWO}\n  uop.load %x[0, 0]\n"
        f"  uop.exec relu %y[0, 0] = %x[0, 0]\n  uop.store %y[0, 0]\n  return %y : {TWO}\n}}\n"
    )
    with pytest.raises(DiagnosticError) as caught:
        run(unverified(text), {"x": np.ones((2, 4), np.float32)})
    error = "hand.mir:6:10: error: result tile %y[0, 1] was never stored"
    assert str(caught.value) == f"{error}\n  return %y : {TWO}\n         ^"


@pytest.mark.parametrize(
    ("line", "error", "tile"),
    [
        ("uop.exec relu %y[0, 0] = %x[0, 0]", "%x[0, 0] is read, but it is not on chip", "%x"),
        ("uop.store %y[0, 0]", "%y[0, 0] is read, but it is not on chip", "%y"),
        ("uop.load %y[0, 0]", "%y[0, 0] is read off chip, but it was never stored there", "%y"),
    ],
)
def test_uops_that_read_what_is_not_there(line: str, error: str, tile: str) -> None:
    text = hand(line, sram="")
    assert message(text) == shown(text, line, tile, error)
