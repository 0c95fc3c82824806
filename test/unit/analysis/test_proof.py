"""The proof: what computes the same proves, at every level; what does not is named, with its tile and operation."""

from __future__ import annotations

import pytest

import tilewright
from tilewright import DiagnosticError
from tilewright.analysis.proof import MAX_ERRORS, prove_module
from tilewright.ir.builtin import ModuleOp

from ..models import MIXED, ROOT, levels

EXAMPLES = ROOT / "examples"

LAYER = """\
func.func @layer(%x: tensor<4x4xf32>, %w: tensor<4x4xf32>, %b: tensor<4xf32>, %c: tensor<4xf32>) -> tensor<4x4xf32> {
  %m = graph.matmul %x, %w : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %s = graph.add %m, %b : (tensor<4x4xf32>, tensor<4xf32>) -> tensor<4x4xf32>
  %y = graph.relu %s : tensor<4x4xf32>
  return %y : tensor<4x4xf32>
}
"""
UOPS = tilewright.run_passes(LAYER, "fuse,tile{sizes=2x2x2},lower")
FIRST, LAST = "uop.exec matmul %y[0, 0] += %x[0, 0], %w[0, 0]", "uop.exec matmul %y[0, 0] += %x[0, 1], %w[1, 0]"
BIAS = "uop.load %b[0]\n  uop.exec bias %y[0, 0] = %b[0]"
STORE = 'uop.store %y[0, 0] {activation = "relu"}'


def parse(text: str) -> ModuleOp:
    return tilewright.parse(text, filename="made.mir")


def changed(text: str, old: str, new: str) -> str:
    """The text with the first `old` replaced."""
    assert old in text, old
    return text.replace(old, new, 1)


def proves(model: str, text: str) -> bool:
    prove_module(parse(model), parse(text))
    return True


def errors(model: str, text: str) -> list[str]:
    """The messages, each with the line that it stands at."""
    with pytest.raises(DiagnosticError) as caught:
        prove_module(parse(model), parse(text))
    found = str(caught.value).split("\n")
    heads = [i for i, line in enumerate(found) if line.startswith("made.mir:") and ": error: " in line]
    return [f"{found[i].split(': error: ')[1]} | {found[i + 1].strip()}" for i in heads]


def error(model: str, text: str) -> str:
    """The only message."""
    (found,) = errors(model, text)
    return found


# What computes the same


def example(name: str) -> str:
    return (EXAMPLES / f"{name}.mir").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["tiles_by_hand", "schedule_by_hand"])
def test_a_handwritten_example_is_itself(name: str) -> None:
    assert proves(example(name), example(name))


def test_a_schedule_of_handwritten_uops() -> None:
    assert proves(example("tiles_by_hand"), tilewright.run_passes(example("tiles_by_hand"), "schedule{sram=32KiB}"))


@pytest.mark.parametrize("sample", ["mlp", "mixed"])
def test_all_levels_prove_against_each_other(sample: str) -> None:
    texts = [text for name, text in levels().items() if name.startswith(sample)]
    assert len(texts) == 4
    assert all(proves(a, b) for a in texts for b in texts)


@pytest.mark.parametrize("sizes", ["1x1x1", "2x4x4", "4x4x4", "5x6x7", "16x16x16"])
def test_padded_tiles_prove(sizes: str) -> None:
    assert proves(MIXED, tilewright.run_passes(MIXED, f"tile{{sizes={sizes}}},lower"))


def test_fused_and_not() -> None:
    fused = tilewright.run_passes(LAYER, "fuse")
    assert fused.count("graph.") == 1
    assert proves(LAYER, fused)
    assert proves(fused, LAYER)
    assert proves(fused, tilewright.run_passes(LAYER, "tile{sizes=2x2x2},lower"))


def test_the_loops_exchanged() -> None:
    lines = UOPS.splitlines(keepends=True)
    head, body, tail = lines[:2], lines[2:-2], lines[-2:]
    tiles = [body[i : i + 9] for i in range(0, len(body), 9)]
    assert [tile[-1].split("{")[0].strip() for tile in tiles] == [
        f"uop.store %y[{m}, {n}]" for m in (0, 1) for n in (0, 1)
    ]
    by_columns = "".join([*head, *(line for i in (0, 2, 1, 3) for line in tiles[i]), *tail])
    assert by_columns != UOPS
    assert proves(LAYER, by_columns)
    assert proves(UOPS, by_columns)


def test_a_sum_in_another_order() -> None:
    loads = "uop.load %x[0, 0]\n  uop.load %w[0, 0]"
    text = changed(UOPS, FIRST, "THE LAST").replace(LAST, FIRST).replace("THE LAST", LAST)
    assert text.index(LAST) < text.index(FIRST)
    assert proves(LAYER, changed(text, loads, "uop.load %x[0, 1]\n  uop.load %w[1, 0]\n  " + loads))


def test_the_relu_on_the_exec() -> None:
    text = changed(UOPS, LAST, f'{LAST} {{activation = "relu"}}')
    assert proves(LAYER, changed(text, STORE, "uop.store %y[0, 0]"))


def test_names_do_not_count() -> None:
    assert proves(LAYER, LAYER.replace("%x", "%in").replace("%s", "%sum").replace("@layer", "@other"))


ADDS = """\
func.func @s(%a: tensor<2x2xf32>, %b: tensor<2x2xf32>, %c: tensor<2x2xf32>) -> tensor<2x2xf32> {
  %t = graph.add %a, %b : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
  %y = graph.add %t, %c : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
  return %y : tensor<2x2xf32>
}
"""


def test_the_sides_of_an_addition_are_free_and_its_brackets_are_not() -> None:
    assert proves(ADDS, ADDS.replace("%a, %b :", "%b, %a :").replace("%t, %c", "%c, %t"))
    assert error(ADDS, ADDS.replace("%a, %b :", "%b, %c :").replace("%t, %c", "%a, %t")).startswith(
        "%y[0, 0] is not what the model computes: a sum of %a[0, 0] and %t[0, 0] instead of a sum of "
    )


# What does not

WRONG = {
    "product missing": (
        changed(UOPS, LAST, ""),
        f"%y[0, 0] is not what the model computes: missing %x[0, 1] * %w[1, 0] | {FIRST}",
    ),
    "product added twice": (
        changed(UOPS, FIRST, f"{FIRST}\n  {FIRST}"),
        f"%y[0, 0] is not what the model computes: extra %x[0, 0] * %w[0, 0] | {FIRST}",
    ),
    "product too many": (
        changed(UOPS, FIRST, f"{FIRST}\n  uop.load %w[0, 1]\n  uop.exec matmul %y[0, 0] += %x[0, 0], %w[0, 1]"),
        "%y[0, 0] is not what the model computes: extra %x[0, 0] * %w[0, 1] | "
        "uop.exec matmul %y[0, 0] += %x[0, 0], %w[0, 1]",
    ),
    "another tile in a product": (
        changed(UOPS, "+= %x[0, 0], %w[0, 0]", "+= %x[0, 0], %w[0, 1]").replace("load %w[0, 0]", "load %w[0, 1]", 1),
        "%y[0, 0] is not what the model computes: %w[0, 1] instead of %w[0, 0] | "
        "uop.exec matmul %y[0, 0] += %x[0, 0], %w[0, 1]",
    ),
    "another bias": (
        changed(UOPS, BIAS, BIAS.replace("%b", "%c")),
        "%y[0, 0] is not what the model computes: %c[0] instead of %b[0] | uop.exec bias %y[0, 0] = %c[0]",
    ),
    "another tile of the bias": (
        changed(UOPS, BIAS, BIAS.replace("%b[0]", "%b[1]")),
        "%y[0, 0] is not what the model computes: %b[1] instead of %b[0] | uop.exec bias %y[0, 0] = %b[1]",
    ),
    "bias missing": (
        changed(changed(UOPS, f"{BIAS}\n  ", ""), FIRST, FIRST.replace("+=", "=")),
        f"%y[0, 0] is not what the model computes: the bias %b[0] is missing | {LAST}",
    ),
    "activation missing": (
        changed(UOPS, STORE, "uop.store %y[0, 0]"),
        f"%y[0, 0] is not what the model computes: the relu of %s[0, 0] is missing | {LAST}",
    ),
    "bias and activation missing": (
        changed(
            changed(changed(UOPS, f"{BIAS}\n  ", ""), FIRST, FIRST.replace("+=", "=")), STORE, "uop.store %y[0, 0]"
        ),
        f"%y[0, 0] is not what the model computes: the relu of %s[0, 0] and the bias %b[0] are missing | {LAST}",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named_with_tile_and_operation(case: str) -> None:
    text, message = WRONG[case]
    assert error(LAYER, text) == message


@pytest.mark.parametrize("case", WRONG)
def test_the_same_is_found_in_a_schedule(case: str) -> None:
    text, message = WRONG[case]
    scheduled = tilewright.run_passes(text, "schedule{sram=1KiB}")
    assert error(LAYER, scheduled).partition(" | ")[0] == message.partition(" | ")[0]


RELU_FIRST = LAYER.replace("graph.add %m, %b", "graph.add %r, %b").replace(
    "  %s =", "  %r = graph.relu %m : tensor<4x4xf32>\n  %s ="
)


def test_an_activation_at_the_wrong_place() -> None:
    execs = [f"uop.exec matmul %y[{m}, {n}] += %x[{m}, 1], %w[1, {n}]" for m in (0, 1) for n in (0, 1)]
    assert errors(RELU_FIRST, UOPS) == [
        f"%y[{m}, {n}] is not what the model computes: the relu of %m[{m}, {n}] is missing | {line}"
        for line, (m, n) in zip(execs, [(0, 0), (0, 1), (1, 0), (1, 1)], strict=True)
    ]


def test_an_activation_twice() -> None:
    matrix = "tensor<2x2xf32>"
    once = f"func.func @f(%x: {matrix}) -> {matrix} {{\n  %y = graph.tanh %x : {matrix}\n  return %y : {matrix}\n}}\n"
    twice = once.replace("tanh %x", "tanh %t").replace("  %y =", "  %t = graph.tanh %x : tensor<2x2xf32>\n  %y =")
    assert error(once, twice) == (
        "%t[0, 0] is not what the model computes: the tanh of %x[0, 0] is extra | %t = graph.tanh %x : tensor<2x2xf32>"
    )
    assert proves(once.replace("tanh", "relu"), twice.replace("tanh", "relu"))


TWO = """\
func.func @two(%x: tensor<2x2xf32>, %u: tensor<2x2xf32>, %v: tensor<2x2xf32>) -> (tensor<2x2xf32>, tensor<2x2xf32>) {
  %a = graph.matmul %x, %u : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
  %b = graph.matmul %x, %v : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
  return %a, %b : tensor<2x2xf32>, tensor<2x2xf32>
}
"""


@pytest.mark.parametrize("passes", ["tile{sizes=2x2x2},lower", "tile{sizes=2x2x2},lower,schedule"])
def test_results_exchanged(passes: str) -> None:
    text = tilewright.run_passes(TWO, passes)
    found = errors(TWO, text.replace("return %a, %b", "return %b, %a"))
    assert [line.partition(" | ")[0] for line in found] == [
        "%a[0, 0] is not what the model computes: %u[0, 0] instead of %v[0, 0]",
        "%b[0, 0] is not what the model computes: %v[0, 0] instead of %u[0, 0]",
    ]
    assert ["%a[0, 0]" in found[0].partition(" | ")[2], "%b[0, 0]" in found[1].partition(" | ")[2]] == [True, True]


def test_results_exchanged_in_a_graph() -> None:
    assert errors(TWO, TWO.replace("return %a, %b", "return %b, %a")) == [
        "%a[0, 0] is not what the model computes: %u[0, 0] instead of %v[0, 0] | "
        "%a = graph.matmul %x, %u : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>",
        "%b[0, 0] is not what the model computes: %v[0, 0] instead of %u[0, 0] | "
        "%b = graph.matmul %x, %v : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>",
    ]


def test_factors_exchanged() -> None:
    assert error(TWO, TWO.replace("matmul %x, %u", "matmul %u, %x")) == (
        "%a[0, 0] is not what the model computes: missing %x[0, 0] * %u[0, 0], extra %u[0, 0] * %x[0, 0]; "
        "it should be the model's %a[0, 0] | "
        "%a = graph.matmul %u, %x : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>"
    )


CAST = """\
func.func @q(%x: tensor<2x2xi32>) -> tensor<2x2xi8> {
  %y = graph.cast %x {scale = 0.5 : f32, zero_point = 3} : tensor<2x2xi32> -> tensor<2x2xi8>
  return %y : tensor<2x2xi8>
}
"""
CAST_UOPS = """\
func.func @q(%x: !uop.tiled<tensor<2x2xi32>, [2, 2]>) -> !uop.tiled<tensor<2x2xi8>, [2, 2]> {
  %y = uop.alloc : !uop.tiled<tensor<2x2xi8>, [2, 2]>
  uop.load %x[0, 0]
  uop.exec cast %y[0, 0] = %x[0, 0] {scale = 0.5 : f32, zero_point = 3}
  uop.store %y[0, 0]
  return %y : !uop.tiled<tensor<2x2xi8>, [2, 2]>
}
"""


@pytest.mark.parametrize(
    ("old", "new", "given"),
    [
        ("0.5", "0.25", " with scale = 0.25 and zero_point = 3"),
        ("= 3", "= 4", " with scale = 0.5 and zero_point = 4"),
        (" {scale = 0.5 : f32, zero_point = 3}", "", ""),
    ],
)
def test_parameters_of_a_cast(old: str, new: str, given: str) -> None:
    assert proves(CAST, CAST_UOPS)
    assert error(CAST, CAST_UOPS.replace(old, new)) == (
        f"%y[0, 0] is not what the model computes: a cast of %x[0, 0] from i32 to i8{given} instead of a cast of "
        "%x[0, 0] from i32 to i8 with scale = 0.5 and zero_point = 3; it should be the model's %y[0, 0] | "
        f"uop.exec cast %y[0, 0] = %x[0, 0]{' {scale = 0.5 : f32, zero_point = 3}'.replace(old, new)}"
    )


def test_a_cast_without_scale_has_zero_point_zero() -> None:
    plain = CAST.replace("{scale = 0.5 : f32, zero_point = 3} ", "")
    assert proves(CAST.replace("zero_point = 3", "zero_point = 0"), CAST_UOPS.replace(", zero_point = 3", ""))
    assert error(CAST.replace("0.5", "1.0").replace("= 3", "= 0"), plain).startswith("%y[0, 0] is not what")


STALE = """\
func.func @chain(%x: !uop.tiled<tensor<2x2xf32>, [2, 2]>, %w: !uop.tiled<tensor<2x2xf32>, [2, 2]>)
    -> !uop.tiled<tensor<2x2xf32>, [2, 2]> {
  %h = uop.alloc : !uop.tiled<tensor<2x2xf32>, [2, 2]>
  %y = uop.alloc : !uop.tiled<tensor<2x2xf32>, [2, 2]>
  uop.load %x[0, 0]
  uop.load %w[0, 0]
  uop.exec matmul %h[0, 0] = %x[0, 0], %w[0, 0]
  uop.store %h[0, 0] {retain}
  uop.exec add %h[0, 0] = %h[0, 0], %w[0, 0]
  uop.exec matmul %y[0, 0] = %h[0, 0], %w[0, 0]
  uop.store %y[0, 0]
  return %y : !uop.tiled<tensor<2x2xf32>, [2, 2]>
}
"""
ADD_IN_PLACE = "  uop.exec add %h[0, 0] = %h[0, 0], %w[0, 0]\n"


def test_a_read_before_the_last_write_is_stale() -> None:
    read = "  uop.exec matmul %y[0, 0] = %h[0, 0], %w[0, 0]\n"
    early = changed(STALE, ADD_IN_PLACE + read, read + ADD_IN_PLACE)
    assert error(STALE, changed(early, "  uop.store %y", "  uop.store %h[0, 0]\n  uop.store %y")) == (
        "%h[0, 0] is not what the model computes: the addend %w[0, 0] is missing | "
        "uop.exec matmul %h[0, 0] = %x[0, 0], %w[0, 0]"
    )


def test_a_tile_that_was_never_written() -> None:
    """The verifier refuses it; the proof does not rely on that."""
    model = "func.func @s(%x: tensor<2x4xf32>) -> tensor<2x4xf32> {\n  %y = graph.relu %x : tensor<2x4xf32>\n" \
            "  return %y : tensor<2x4xf32>\n}\n"  # fmt: skip
    text = tilewright.run_passes(model, "tile{sizes=2x2x2},lower")
    half = changed(text, "  uop.load %x[0, 1]\n  uop.exec relu %y[0, 1] = %x[0, 1]\n  uop.store %y[0, 1]\n", "")
    with pytest.raises(DiagnosticError, match=r"%y\[0, 1\], which was never written, instead of relu of %x\[0, 1\]"):
        prove_module(parse(model), tilewright.parse(half, verify=False))


def test_not_more_than_ten_errors() -> None:
    text = tilewright.run_passes(LAYER, "fuse,tile{sizes=1x1x1},lower")
    assert len(errors(LAYER, text.replace(' {activation = "relu"}', ""))) == MAX_ERRORS == 10


# Functions, signatures, tilings


def test_another_signature() -> None:
    args = "(tensor<4x4xf32>, tensor<4x4xf32>, tensor<4xf32>"
    narrow = LAYER.replace(", %c: tensor<4xf32>", "")
    assert error(LAYER, narrow) == (
        f"@layer is {args}) -> (tensor<4x4xf32>), the model is {args}, tensor<4xf32>) -> (tensor<4x4xf32>) | "
        f"{narrow.splitlines()[0]}"
    )


def test_functions_are_found_by_name() -> None:
    second = LAYER.replace("@layer", "@second").replace("graph.relu %s", "graph.relu %m")
    assert proves(LAYER + second, second + LAYER)
    assert errors(LAYER + second, LAYER + LAYER.replace("@layer", "@second"))
    other = LAYER.replace("@layer", "@other")
    found = errors(LAYER + second, LAYER + other)
    assert f"the model has no function @other to hold this one against | {other.splitlines()[0]}" in found


def test_a_function_of_the_model_is_missing() -> None:
    both = LAYER + LAYER.replace("@layer", "@second")
    assert error(both, LAYER) == f"the model's function @second is missing | {LAYER.splitlines()[0]}"


def test_other_tiles_than_a_tiled_model() -> None:
    other = tilewright.run_passes(LAYER, "fuse,tile{sizes=2x4x2},lower")
    assert error(UOPS, other).partition(" | ")[0] == (
        "%w is !uop.tiled<tensor<4x4xf32>, [2, 4]>, in the model it is !uop.tiled<tensor<4x4xf32>, [2, 2]>"
    )


def test_tiles_that_do_not_fit_the_graph() -> None:
    text = (
        "func.func @f(%x: !uop.tiled<tensor<4x4xf32>, [2, 2]>, %w: !uop.tiled<tensor<4x4xf32>, [4, 4]>)\n"
        "    -> !uop.tiled<tensor<4x4xf32>, [2, 2]> {\n  return %x : !uop.tiled<tensor<4x4xf32>, [2, 2]>\n}\n"
    )
    model = (
        "func.func @f(%x: tensor<4x4xf32>, %w: tensor<4x4xf32>) -> tensor<4x4xf32> {\n"
        "  %y = graph.matmul %x, %w : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>\n"
        "  return %y : tensor<4x4xf32>\n}\n"
    )
    assert error(model, text) == (
        "the tiles of @f don't fit the model: graph.matmul %y can't be computed on tiles "
        "!uop.tiled<tensor<4x4xf32>, [2, 2]> and !uop.tiled<tensor<4x4xf32>, [4, 4]> | " + text.splitlines()[0]
    )


def test_unknown_operations_prove_nothing() -> None:
    text = LAYER.replace("graph.relu %s : tensor<4x4xf32>", '"my.op"(%s) : (tensor<4x4xf32>) -> tensor<4x4xf32>')
    module = tilewright.parse(text, filename="made.mir", allow_unregistered=True)
    for model, made in ((module, parse(LAYER)), (parse(LAYER), module), (module, module)):
        with pytest.raises(DiagnosticError, match=r"nothing can be proved about my\.op"):
            prove_module(model, made)


PADDING = """func.func @f(%x: !uop.tiled<tensor<4x6xf32>, [4, 4]>) -> !uop.tiled<tensor<4x6xf32>, [4, 4]> {
  %t = uop.alloc : !uop.tiled<tensor<TxS>, [4, 4]>
  %y = uop.alloc : !uop.tiled<tensor<4x6xf32>, [4, 4]>
  uop.load %x[0, 0]
  uop.load %x[0, 1]
  uop.exec exp %t[0, A] = %x[0, 0]
  uop.exec exp %t[0, B] = %x[0, 1]
  uop.exec relu %y[0, 0] = %t[0, A]
  uop.exec relu %y[0, 1] = %t[0, B]
  uop.store %y[0, 0]
  uop.store %y[0, 1]
  return %y : !uop.tiled<tensor<4x6xf32>, [4, 4]>
}
"""


@pytest.mark.parametrize(
    ("shape", "first", "second", "right"),
    [
        ("4x6xf32", 0, 1, True),
        ("4x6xf32", 1, 0, False),  # the full tile goes through one that is half padding
        ("4x8xf32", 0, 1, False),  # exp(0) of the padding becomes data
        ("1x8xf32", 0, 1, False),
    ],
)
def test_what_is_padding_counts(shape: str, first: int, second: int, right: bool) -> None:
    model = (
        "func.func @f(%x: tensor<4x6xf32>) -> tensor<4x6xf32> {\n  %h = graph.exp %x : tensor<4x6xf32>\n"
        "  %y = graph.relu %h : tensor<4x6xf32>\n  return %y : tensor<4x6xf32>\n}\n"
    )
    text = PADDING.replace("TxS", shape).replace("A]", f"{first}]").replace("B]", f"{second}]")
    if right:
        assert proves(model, text)
        return
    module = tilewright.parse(text, verify=False)
    with pytest.raises(DiagnosticError, match="the parts of its tiles that are no padding don't fit"):
        tilewright.verify(module)
    with pytest.raises(DiagnosticError, match=r"on tiles of which \d+x\d+ elements are no padding|is not what"):
        prove_module(tilewright.parse(model), module)
