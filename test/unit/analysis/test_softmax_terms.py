"""A softmax over blocks of columns, each less the maximum so far, is proved; what is nearly one is refused."""

from __future__ import annotations

import pytest

import tilewright

from .test_proof import changed, errors, proves

ROWS, DEPTH = 6, 3


def shape(*sizes: int) -> str:
    return f"tensor<{'x'.join(map(str, sizes))}xf32>"


SCORES, COLUMN = shape(ROWS, 4), shape(ROWS, 1)


def attention(length: int, *lines: str) -> str:
    """A function of Q, K and V of so many rows, of which the last line makes %y."""
    q, k = shape(ROWS, DEPTH), shape(length, DEPTH)
    inner = "".join(f"  {line}\n" for line in (*lines, f"return %y : {q}"))
    return f"func.func @f(%q: {q}, %k: {k}, %v: {k}) -> {q} {{\n{inner}}}\n"


def model(length: int, *, behind: bool = False) -> str:
    """By one softmax, or with its division behind the product."""
    q, k, s, m = shape(ROWS, DEPTH), shape(length, DEPTH), shape(ROWS, length), shape(ROWS, 1)
    scores = f"%s = graph.matmul %q, %k {{transpose_b}} : ({q}, {k}) -> {s}"
    if not behind:
        product = f"%y = graph.matmul %w, %v : ({s}, {k}) -> {q}"
        return attention(length, scores, f"%w = graph.softmax %s {{axes = [1]}} : {s}", product)
    return attention(
        length,
        scores,
        f'%m = graph.reduce %s {{axes = [1], kind = "max"}} : {s} -> {m}',
        f"%d = graph.sub %s, %m : ({s}, {m}) -> {s}",
        f"%p = graph.exp %d : {s}",
        f'%l = graph.reduce %p {{axes = [1], kind = "sum"}} : {s} -> {m}',
        f"%o = graph.matmul %p, %v : ({s}, {k}) -> {q}",
        f"%y = graph.div %o, %l : ({q}, {m}) -> {q}",
    )


def first_lines(i: int, start: int, size: int, length: int, bound: float | None) -> list[str]:
    """The scores of a block of columns, and their maximum."""
    k, part, s = shape(length, DEPTH), shape(size, DEPTH), shape(ROWS, size)
    lines = [
        f"%k{i} = graph.slice %k {{sizes = [{size}, {DEPTH}], starts = [{start}, 0]}} : {k} -> {part}",
        f"%v{i} = graph.slice %v {{sizes = [{size}, {DEPTH}], starts = [{start}, 0]}} : {k} -> {part}",
        f"%s{i} = graph.matmul %q, %k{i} {{transpose_b}} : ({shape(ROWS, DEPTH)}, {part}) -> {s}",
        f'%x{i} = graph.reduce %s{i} {{axes = [1], kind = "max"}} : {s} -> {COLUMN}',
    ]
    if i:
        return [*lines, f"%m{i} = graph.max %m{i - 1}, %x{i} : {COLUMN}"]
    return [*lines, f"%m0 = graph.max %x0 {{right = {'0xFF7FFFFF' if bound is None else bound} : f32}} : {COLUMN}"]


def running(length: int, block: int, *, bound: float | None = None) -> str:
    """By blocks of so many columns; the maximum is not below `bound`, the least finite number if that is None."""
    o = shape(ROWS, DEPTH)
    lines: list[str] = []
    for i, start in enumerate(range(0, length, block)):
        size = min(block, length - start)
        s = shape(ROWS, size)
        new = "l{0} o{0}" if i == 0 else "h{0} g{0}"
        total, mixed = new.format(i).split()
        lines += [
            *first_lines(i, start, size, length, bound),
            f"%d{i} = graph.sub %s{i}, %m{i} : ({s}, {COLUMN}) -> {s}",
            f"%p{i} = graph.exp %d{i} : {s}",
            f'%{total} = graph.reduce %p{i} {{axes = [1], kind = "sum"}} : {s} -> {COLUMN}',
            f"%{mixed} = graph.matmul %p{i}, %v{i} : ({s}, {shape(size, DEPTH)}) -> {o}",
        ]
        if i:
            lines += [
                f"%e{i} = graph.sub %m{i - 1}, %m{i} : {COLUMN}",
                f"%c{i} = graph.exp %e{i} : {COLUMN}",
                f"%lc{i} = graph.mul %l{i - 1}, %c{i} : {COLUMN}",
                f"%l{i} = graph.add %lc{i}, %h{i} : {COLUMN}",
                f"%oc{i} = graph.mul %o{i - 1}, %c{i} : ({o}, {COLUMN}) -> {o}",
                f"%o{i} = graph.add %oc{i}, %g{i} : {o}",
            ]
    last = len(range(0, length, block)) - 1
    return attention(length, *lines, f"%y = graph.div %o{last}, %l{last} : ({o}, {COLUMN}) -> {o}")


def unbounded(text: str) -> str:
    """With the maximum of the first block as it is."""
    line = next(line for line in text.split("\n") if "%m0 =" in line)
    return text.replace(f"{line}\n", "").replace("%m0", "%x0")


RUNNING = running(12, 4)
MODEL = model(12)


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize(("length", "block", "tile"), [(12, 4, 4), (12, 4, 2), (12, 6, 3), (10, 4, 2), (7, 3, 4)])
def test_blocks_of_columns_are_the_whole(length: int, block: int, tile: int, behind: bool) -> None:
    whole = model(length, behind=behind)
    for text in (running(length, block), unbounded(running(length, block))):
        assert proves(whole, text)
        assert proves(text, whole)
        assert proves(whole, tilewright.run_passes(text, f"fuse,tile{{sizes={tile}x{tile}x{tile}}},lower,schedule"))


@pytest.mark.parametrize(("length", "tile"), [(12, 4), (12, 3), (10, 2)])
def test_the_whole_is_its_blocks(length: int, tile: int) -> None:
    lowered = tilewright.run_passes(model(length), f"decompose,fuse,tile{{sizes={tile}x{tile}x{tile}}},lower")
    assert proves(running(length, tile), lowered)


def test_a_division_behind_the_product_is_one_before_it() -> None:
    assert proves(MODEL, model(12, behind=True))
    assert proves(model(12, behind=True), tilewright.run_passes(MODEL, "decompose,tile{sizes=2x2x2},lower"))


def test_scores_computed_twice() -> None:
    """All less the maximum of all columns from the start: nothing has to be moved."""
    o, block = shape(ROWS, DEPTH), (SCORES, shape(4, DEPTH))
    lines = [line for i in range(3) for line in first_lines(i, 4 * i, 4, 12, None)]
    for i in range(3):
        total, mixed = ("l0", "o0") if i == 0 else (f"h{i}", f"g{i}")
        lines += [
            f"%d{i} = graph.sub %s{i}, %m2 : ({SCORES}, {COLUMN}) -> {SCORES}",
            f"%p{i} = graph.exp %d{i} : {SCORES}",
            f'%{total} = graph.reduce %p{i} {{axes = [1], kind = "sum"}} : {SCORES} -> {COLUMN}',
            f"%{mixed} = graph.matmul %p{i}, %v{i} : ({block[0]}, {block[1]}) -> {o}",
        ]
    lines += [
        f"%{a}{i} = graph.add %{a}{i - 1}, %{b}{i} : {t}"
        for i in (1, 2)
        for a, b, t in (("l", "h", COLUMN), ("o", "g", o))
    ]
    text = attention(12, *lines, f"%y = graph.div %o2, %l2 : ({o}, {COLUMN}) -> {o}")
    assert proves(MODEL, text)
    refused(text, "graph.sub %s1, %m2", "graph.sub %s1, %m1")
    refused(text, "%y = graph.div %o2, %l2", "%y = graph.div %o1, %l1")


def refused(text: str, old: str, new: str) -> None:
    """Changed in this way it is not the model's, as a graph and in tiles."""
    text = changed(text, old, new)
    assert errors(MODEL, text)
    assert errors(MODEL, tilewright.run_passes(text, "tile{sizes=2x2x2},lower"))


BUGS = {
    "moved the wrong way": ("%e1 = graph.sub %x0, %m1", "%e1 = graph.sub %m1, %x0"),
    "moved from another maximum": ("%e2 = graph.sub %m1, %m2", "%e2 = graph.sub %x1, %m2"),
    "moved to another maximum": ("%e2 = graph.sub %m1, %m2", "%e2 = graph.sub %m1, %x2"),
    "moved by another factor": ("%oc2 = graph.mul %o1, %c2", "%oc2 = graph.mul %o1, %c1"),
    "moved without exp": ("%c1 = graph.exp %e1", "%c1 = graph.neg %e1"),
    "sum not moved": ("%l1 = graph.add %lc1, %h1", "%l1 = graph.add %l0, %h1"),
    "products not moved": ("%o1 = graph.add %oc1, %g1", "%o1 = graph.add %o0, %g1"),
    "sum moved twice": ("%l2 = graph.add %lc2, %h2", "%lc3 = graph.mul %lc2, %c2 : T1\n  %l2 = graph.add %lc3, %h2"),
    "maximum forgets the blocks before": ("%m2 = graph.max %m1, %x2", "%m2 = graph.max %x1, %x2"),
    "maximum without the last block": ("%m2 = graph.max %m1, %x2", "%m2 = graph.max %m1, %x1"),
    "minimum": ("%m1 = graph.max %x0, %x1", "%m1 = graph.min %x0, %x1"),
    "minimum of a block": ('reduce %s1 {axes = [1], kind = "max"}', 'reduce %s1 {axes = [1], kind = "min"}'),
    "sum instead of the maximum": ("%m1 = graph.max %x0, %x1", "%m1 = graph.add %x0, %x1"),
    "shifts mixed": ("%d1 = graph.sub %s1, %m1", "%d1 = graph.sub %s1, %x1"),
    "exp of another block": ("%d1 = graph.sub %s1, %m1", "%d1 = graph.sub %s0, %m1"),
    "exp without a shift": ("%p1 = graph.exp %d1", "%p1 = graph.exp %s1"),
    "another block's values": ("%g1 = graph.matmul %p1, %v1", "%g1 = graph.matmul %p1, %v0"),
    "another block's powers": ("%g2 = graph.matmul %p2, %v2", "%g2 = graph.matmul %p1, %v2"),
    "scores instead of powers": ("%g2 = graph.matmul %p2, %v2", "%g2 = graph.matmul %s2, %v2"),
    "a block twice": ("starts = [8, 0]", "starts = [4, 0]"),
    "a block's sum left out": ("%l2 = graph.add %lc2, %h2", "%l2 = graph.mul %lc2 {right = 1.0 : f32} :T"),
    "divided by the sum so far": ("%y = graph.div %o2, %l2", "%y = graph.div %o2, %l1"),
    "divided by a block's sum": ("%y = graph.div %o2, %l2", "%y = graph.div %o2, %h2"),
    "divided by the maximum": ("%y = graph.div %o2, %l2", "%y = graph.div %o2, %m2"),
    "multiplied by the sum": ("%y = graph.div %o2, %l2", "%y = graph.mul %o2, %l2"),
    "products so far": ("%y = graph.div %o2, %l2", "%y = graph.div %o1, %l2"),
    "all without the last block": ("%y = graph.div %o2, %l2", "%y = graph.div %o1, %l1"),
}  # fmt: skip


@pytest.mark.parametrize("bug", BUGS)
def test_a_wrong_one_is_refused(bug: str) -> None:
    old, new = BUGS[bug]
    if new.endswith(":T"):
        line = next(line for line in RUNNING.split("\n") if old in line)
        old, new = line.strip(), f"{new[:-1]} {COLUMN}"
    refused(unbounded(RUNNING), old, new.replace("T1", COLUMN))


@pytest.mark.parametrize("bound", [0.0, -1.0e38])
def test_another_bound_than_the_least_number_is_refused(bound: float) -> None:
    assert errors(MODEL, running(12, 4, bound=bound))


@pytest.mark.parametrize("block", [0, 1, 2])
def test_every_power_has_its_part(block: int) -> None:
    """Half of a block's columns left out, or there twice, of the sum, the products, or the maximum, to which it is all
    the same."""
    tiles = tilewright.run_passes(unbounded(RUNNING), "tile{sizes=2x2x2},lower").split("\n")
    total, mixed = ("l0", "o0") if block == 0 else (f"h{block}", f"g{block}")
    for start in (
        f"uop.exec reduce_max %x{block}[0, 0] +=",
        f"uop.exec reduce_sum %{total}[1, 0] +=",
        f"uop.exec matmul %{mixed}[0, 1] +=",
    ):
        at = next(i for i, line in enumerate(tiles) if line.strip().startswith(start))
        assert errors(MODEL, "\n".join(tiles[:at] + tiles[at + 1 :]))
        twice = "\n".join(tiles[: at + 1] + tiles[at:])
        assert proves(MODEL, twice) if "reduce_max" in start else errors(MODEL, twice)


def test_rows_are_not_mixed_up() -> None:
    """Divided by another row's sum, or moved by another row's factor."""
    tiles = tilewright.run_passes(unbounded(RUNNING), "tile{sizes=2x2x2},lower")
    for name in ("l2", "c2", "m2", "c1"):
        line = next(x for x in tiles.split("\n") if f", %{name}[1, 0]" in x and "exec" in x)
        assert errors(MODEL, tiles.replace(line, line.replace(f", %{name}[1, 0]", f", %{name}[0, 0]")))


def test_a_row_of_maxima_is_no_column_of_them() -> None:
    """What is subtracted from columns is not what rows are divided by."""
    q, s, m = shape(4, 4), shape(4, 4), shape(4, 1)
    lines = [
        f"%s = graph.matmul %q, %k {{transpose_b}} : ({q}, {q}) -> {s}",
        f'%x = graph.reduce %s {{axes = [1], kind = "max"}} : {s} -> {m}',
        f"%t = graph.reshape %x : {m} -> {shape(1, 4)}",
        f"%d = graph.sub %s, %x : ({s}, {m}) -> {s}",
        f"%p = graph.exp %d : {s}",
        f'%l = graph.reduce %p {{axes = [1], kind = "sum"}} : {s} -> {m}',
        f"%r = graph.reshape %l : {m} -> {shape(1, 4)}",
        f"%o = graph.matmul %p, %v : ({s}, {q}) -> {q}",
        f"%y = graph.div %o, %l : ({q}, {m}) -> {q}",
        f"return %y : {q}",
    ]
    text = f"func.func @f(%q: {q}, %k: {q}, %v: {q}) -> {q} {{\n" + "".join(f"  {line}\n" for line in lines) + "}\n"
    whole = tilewright.run_passes(text, "tile{sizes=4x4x4},lower")
    assert proves(text, whole)
    for old, new in (("%s, %x : (", "%s, %t : ("), ("%o, %l : (", "%o, %r : (")):
        other = changed(text, f"{old}{s}, {m}", f"{new}{s}, {shape(1, 4)}")
        assert errors(text, other)
        assert errors(other, whole)


def test_of_other_matrices_nothing_is_moved() -> None:
    """exp(a - b) of whole matrices, as large as a product, is not moved into it."""
    s = shape(4, 4)
    lines = [
        f"%d = graph.sub %q, %k : {s}",
        f"%p = graph.exp %d : {s}",
        f"%o = graph.matmul %p, %v : ({s}, {s}) -> {s}",
        f"%e = graph.sub %k, %v : {s}",
        f"%c = graph.exp %e : {s}",
        f"%y = graph.mul %o, %c : {s}",
        f"return %y : {s}",
    ]
    text = f"func.func @f(%q: {s}, %k: {s}, %v: {s}) -> {s} {{\n" + "".join(f"  {line}\n" for line in lines) + "}\n"
    moved = changed(text, "%d = graph.sub %q, %k", "%d = graph.sub %q, %v").replace(
        "%y = graph.mul %o, %c", "%y = graph.add %o, %o"
    )
    assert errors(text, moved)
    assert errors(moved.replace("%y = graph.add %o, %o", "%y = graph.relu %o"), text)
