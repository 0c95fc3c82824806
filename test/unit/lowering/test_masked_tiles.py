"""Causal masks: the same at all levels, and what is not computed since nothing is left of it."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

import tilewright as tw
from tilewright.analysis.proof import prove_module
from tilewright.dialects.uop import ExecOp
from tilewright.lowering import masked_tiles
from tilewright.lowering.left_out import LeftOut
from tilewright.passes import lower

Arrays = dict[str, np.ndarray]


def attention(rows: int, columns: int, diagonal: int, dtype: str = "f32", result: str = "%y") -> str:
    """The result, or a value in between, of two heads of 8 columns."""
    q, k, s, y = (f"tensor<2x{m}x{n}x{dtype}>" for m, n in ((rows, 8), (columns, 8), (rows, columns), (rows, 8)))
    types = {"%y": y, "%m": s, "%p": s}
    return (
        f"func.func @f(%q: {q}, %k: {k}, %v: {k}) -> {types[result]} {{\n"
        f"  %s = graph.matmul %q, %k {{transpose_b}} : ({q}, {k}) -> {s}\n"
        f"  %m = graph.causal_mask %s {{diagonal = {diagonal}}} : {s}\n"
        f"  %p = graph.softmax %m {{axes = [2]}} : {s}\n"
        f"  %y = graph.matmul %p, %v : ({s}, {k}) -> {y}\n"
        f"  return {result} : {types[result]}\n}}\n"
    )


def arrays(rows: int, columns: int) -> Arrays:
    rng = np.random.default_rng(6)
    return {n: rng.standard_normal((2, rows if n == "q" else columns, 8)).astype(np.float32) for n in "qkv"}


def wanted(given: Arrays, diagonal: int) -> np.ndarray:
    """By NumPy, on whole arrays."""
    q, k, v = (given[n].astype(np.float64) for n in "qkv")
    scores = q @ k.swapaxes(1, 2)
    scores = np.where(np.tri(scores.shape[1], scores.shape[2], diagonal) > 0, scores, -np.inf)
    with np.errstate(invalid="ignore"):
        powers = np.exp(scores - scores.max(axis=2, keepdims=True))
        return (powers / powers.sum(axis=2, keepdims=True)) @ v


def lowered(text: str, tile: str = "4x4x4") -> tw.ModuleOp:
    return tw.parse(tw.run_passes(text, f"decompose,tile{{sizes={tile}}},lower"))


def execs(module: tw.ModuleOp) -> Counter[str]:
    """How many execs write each buffer."""
    (func,) = module.functions()
    return Counter(op.operands[0].name for op in func.ops if isinstance(op, ExecOp))


@pytest.mark.parametrize(
    "level", ["decompose,tile{sizes=4x4x4},lower", *[f"O{n}{{sram=4KiB tile=4x4x4}}" for n in (1, 2)]]
)
@pytest.mark.parametrize(
    "sizes", [(11, 11, 0), (8, 21, 13), (13, 6, 0), (6, 22, 1), (9, 9, -1), (9, 9, -6), (4, 8, 99)]
)
def test_attention_under_a_mask_is_what_numpy_makes_of_it(sizes: tuple[int, int, int], level: str) -> None:
    """Also rows that see nothing, which are NaN."""
    rows, columns, diagonal = sizes
    text, given = attention(*sizes), arrays(rows, columns)
    made = tw.parse(tw.run_passes(text, level))
    prove_module(tw.parse(text), made)
    for module in (tw.parse(text), made):
        (found,) = tw.run(module, given)
        np.testing.assert_allclose(found, wanted(given, diagonal), rtol=1e-4, atol=1e-5)


def test_tiles_that_are_masked_whole_are_not_computed() -> None:
    """Of 4 x 4 tiles a head, 10 are left; of a product of them with V, as many parts of a sum."""
    counts = execs(lowered(attention(16, 16, 0)))
    assert {name: counts[name] for name in ("s", "m", "p", "y")} == {"s": 40, "m": 20, "p": 20, "y": 40}
    assert counts["p_max"] == counts["p_sum"] == counts["p_exp"] == 20
    assert execs(lowered(attention(16, 16, 1)))["p"] == 2 * 13
    assert execs(lowered(attention(16, 16, 99)))["p"] == 2 * 16


def test_what_is_returned_is_computed() -> None:
    assert execs(lowered(attention(16, 16, 0, result="%m")))["s"] == 64
    counts = execs(lowered(attention(16, 16, 0, result="%p")))
    assert (counts["s"], counts["p_exp"], counts["p"], counts["p_sum"]) == (64, 32, 32, 20)


def test_a_row_of_tiles_without_anything_is_computed() -> None:
    """Its results are NaN, as NumPy's."""
    assert execs(lowered(attention(8, 8, -4)))["p"] == 2 * 3


@pytest.mark.parametrize("other", [1, -1])
def test_another_diagonal_is_refused(other: int) -> None:
    text = attention(8, 8, 0)
    made, zero = tw.print(lowered(text)), "{diagonal = 0}"
    assert zero in made
    with pytest.raises(tw.DiagnosticError, match="is not what the model computes"):
        prove_module(tw.parse(text), tw.parse(made.replace(zero, f"{{diagonal = {other}}}", 1)))


@pytest.mark.parametrize("further", [-1, 1, 4])
def test_a_mask_that_is_lowered_wrongly_is_refused(monkeypatch: pytest.MonkeyPatch, further: int) -> None:
    text, right = attention(8, 8, 0), lower.diagonal_of
    monkeypatch.setattr(lower, "diagonal_of", lambda *of: right(*of) + further)
    with pytest.raises(tw.DiagnosticError, match="is not what the model computes"):
        prove_module(tw.parse(text), lowered(text))


def test_more_left_out_than_is_masked_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a bug that takes a row of tiles more for masked has it."""
    text, right = attention(16, 16, 0), masked_tiles.diagonal_of
    monkeypatch.setattr(masked_tiles, "diagonal_of", lambda *of: right(*of) - 4)
    with pytest.raises(tw.DiagnosticError, match="missing"):
        prove_module(tw.parse(text), lowered(text))


def test_what_is_computed_though_it_need_not_be_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model's tiles that count for nothing, all of them written out."""
    text = attention(8, 8, 0)
    whole = lowered(text)
    monkeypatch.setattr(lower, "left_out", lambda *of: None)
    full = lowered(text)
    assert execs(full).total() > execs(whole).total()
    prove_module(full, whole)
    prove_module(whole, full)


def test_the_first_part_that_is_left_starts_a_sum() -> None:
    left = LeftOut({(0, (1,), 0), (0, (1,), 3)}, {(0, (1,)): 2})
    turns = [left.turn(0, (1,), k, k == 0, k == 3) for k in range(4)]
    assert turns == [None, (True, False), (False, True), None]
    assert left.turn(0, (2,), 0, True, False) == (True, False)
