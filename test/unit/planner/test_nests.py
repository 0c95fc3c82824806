"""Loop nests: each tile operation once, sums started first and finished last; the default is m, n, k."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from tilewright.planner.nest_checks import uneven_members, unfit_siblings, unread_lazy, unread_streams
from tilewright.planner.nests import Nest, Reach, Source, TileOpAt, groups_of, walk

COUNTS = st.integers(1, 5)
BATCHES = st.sampled_from([1, 1, 2, 3])


@st.composite
def nests(draw: st.DrawFn) -> list[Nest]:
    """Products and elementwise operations, alone and in groups of equally many rows, some of several batches, with
    siblings, epilogues, and streams of one or more."""
    made: list[Nest] = []
    for group in draw(st.lists(st.sampled_from([None, 0, 0, 1]), min_size=1, max_size=5)):
        before = made[-1] if made else None
        joins = before is not None and group is not None and before.group == group
        m, batch = (before.m, before.batch) if before is not None and joins else (draw(COUNTS), draw(BATCHES))
        rows = before.rows if before is not None and joins else draw(st.integers(1, 6)) if group is not None else 0
        # Streamed products hand their columns to the next one as its k.
        streamed = before is not None and joins and before.stream > 0
        goes_on = before is not None and streamed and draw(st.booleans())
        k = before.n if before is not None and streamed and not goes_on else draw(st.integers(0, 4))
        stream = (
            before.stream if before is not None and goes_on else draw(st.integers(0, 3)) if group is not None else 0
        )
        stream = stream if goes_on or (k and not streamed) else 0
        n = before.n if before is not None and goes_on else draw(COUNTS)
        made.append(Nest(
            m, n, max(k, 1) if stream else k, draw(st.tuples(COUNTS, COUNTS)), draw(st.sampled_from(["mn", "nm"])),
            draw(st.booleans()), draw(st.booleans()), group, rows, stream, batch=batch,
            strip=0 if not stream else before.strip if before is not None and goes_on else draw(st.integers(0, 3)),
        ))  # fmt: skip
        made += draw(siblings(made[-1], len(made) - 1))
    made = [nest if followed(made, i) else replace(nest, stream=0, strip=0) for i, nest in enumerate(made)]
    for host in draw(st.lists(st.integers(0, len(made) - 1), max_size=3)):
        k = draw(st.integers(0, 1))
        made.append(Nest(made[host].m, made[host].n, k, after=host, batch=made[host].batch))
    return made


@st.composite
def siblings(draw: st.DrawFn, lead: Nest, number: int) -> list[Nest]:
    """Products that continue another one: its columns, or where it is in no group its rows."""
    if not lead.k:
        return []
    below = lead.group is None and lead.batch == 1 and draw(st.booleans())
    found: list[Nest] = []
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        m, n = (draw(COUNTS), lead.n) if below else (lead.m, lead.n if lead.stream else draw(COUNTS))
        found.append(Nest(
            m, n, lead.k, group=lead.group, rows=lead.rows, stream=lead.stream, batch=lead.batch, strip=lead.strip,
            below=number if below else -1, beside=-1 if below else number,
        ))  # fmt: skip
    return found


def reader_of(made: list[Nest], i: int) -> int:
    """The first nest behind some streamed ones that is not streamed; -1 where their group ends before."""
    for j in range(i, len(made)):
        if made[j].group != made[i].group or made[j].group is None:
            return -1
        if not made[j].stream:
            return j
    return -1


def followed(made: list[Nest], i: int) -> bool:
    """Whether the product after some streamed ones takes their columns."""
    reader = reader_of(made, i)
    return reader > i and made[reader].k == made[i].n and made[reader].lead < 0


def in_full(nest: Nest) -> list[tuple[int, int, int]]:
    return [(m, n, k) for m in range(nest.height) for n in range(nest.n) for k in range(max(nest.k, 1))]


@settings(max_examples=400)
@given(nests())
def test_each_tile_operation_comes_once_and_sums_start_and_end(made: list[Nest]) -> None:
    walked = list(walk(made))
    by_tile: dict[tuple[int, int, int], list[TileOpAt]] = defaultdict(list)
    for at in walked:
        by_tile[at[:3]].append(at)
    for i, nest in enumerate(made):
        assert sorted(at[1:4] for at in walked if at[0] == i) == in_full(nest)
    for steps in by_tile.values():
        assert [at[4] for at in steps] == [True] + [False] * (len(steps) - 1)
        assert [at[5] for at in steps] == [False] * (len(steps) - 1) + [True]


@settings(max_examples=200)
@given(nests())
def test_a_default_nest_goes_by_m_n_k_each_operation_in_full(made: list[Nest]) -> None:
    plain = [Nest(nest.m, nest.n, nest.k) for nest in made]
    assert [at[:4] for at in walk(plain)] == [(i, *at) for i, nest in enumerate(plain) for at in in_full(nest)]


@settings(max_examples=200)
@given(nests())
def test_an_epilogue_follows_the_last_exec_of_its_tile(made: list[Nest]) -> None:
    walked = list(walk(made))
    for at, (i, m, n, *_) in enumerate(walked):
        host = made[i].after
        if host < 0:
            continue
        before = at - 1
        while made[walked[before][0]].after == host:  # other epilogues of the same tile
            before -= 1
        assert walked[before][:3] == (host, m, n)
        assert walked[before][5]


@settings(max_examples=200)
@given(nests())
def test_a_group_finishes_its_rows_before_the_next(made: list[Nest]) -> None:
    walked = list(walk(made))
    for members in groups_of(made):
        if made[members[0]].group is None:
            continue
        rows = made[members[0]].rows
        bands = [m // rows for i, m, *_ in walked if i in members]
        assert bands == sorted(bands)


@settings(max_examples=200)
@given(nests())
def test_a_streamed_product_is_used_up_in_strips(made: list[Nest]) -> None:
    """Between two strips of the producer, its reader sums over just the strip's columns."""
    walked = list(walk(made))
    for i, nest in enumerate(made):
        if not nest.stream:
            continue
        steps = [at for at in walked if at[0] in (i, reader_of(made, i))]
        turns = [0] + [x for x in range(1, len(steps)) if steps[x][0] != steps[x - 1][0]] + [len(steps)]
        runs = [steps[a:b] for a, b in pairwise(turns)]
        for producer, reader in zip(runs[::2], runs[1::2], strict=True):
            columns = {n for _, _, n, *_ in producer}
            assert {at[3] for at in reader} == columns
            assert made[i].stream
            assert max(columns) - min(columns) < nest.stream


@settings(max_examples=200)
@given(nests())
def test_siblings_are_walked_as_one_product(made: list[Nest]) -> None:
    """Their tiles come in the order in which those of one product come, with all their columns, or rows."""
    walked = list(walk(made))
    for i, lead in enumerate(made):
        unit = [i, *[j for j in range(len(made)) if made[j].lead == i]]
        if len(unit) == 1 or lead.stream or any(nest.stream for nest in made):
            continue
        below = made[unit[1]].below >= 0
        firsts = [sum((made[j].m if below else made[j].n) for j in unit[:at]) for at in range(len(unit))]
        whole = sum((made[j].m if below else made[j].n) for j in unit)
        merged = replace(lead, m=whole) if below else replace(lead, n=whole)
        found = [
            (m + below * firsts[unit.index(j)], n + (not below) * firsts[unit.index(j)], k, *ends)
            for j, m, n, k, *ends in walked
            if j in unit
        ]
        assert found == [at[1:] for at in walk([merged])]


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.integers(1, 3), st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=3),
    st.integers(1, 5), st.integers(1, 4), st.integers(1, 3),
)  # fmt: skip
def test_rows_that_are_read_by_stride_and_halo_are_computed_before(
    layers: list[tuple[int, int, int]], m: int, rows: int, n: int
) -> None:
    """A cascade of layers of which each reads rows r * stride - before to r * stride + after of the one before."""
    heights = [m]
    for stride, _, after in reversed(layers):
        heights.append((heights[-1] - 1) * stride + after + 1)
    heights.reverse()
    made = [Nest(heights[0], n, 1, group=0, rows=rows)]
    for i, (stride, before, after) in enumerate(layers):
        reach = Reach(i, stride, before, after)
        made.append(Nest(heights[i + 1], n, 1, group=0, rows=rows, reads=(reach,)))
    assert not list(uneven_members(made))
    done: set[tuple[int, int]] = set()
    walked = list(walk(made))
    for i, row, *_ in walked:
        if i:
            stride, before, after = layers[i - 1]
            for read in range(max(row * stride - before, 0), min(row * stride + after, heights[i - 1] - 1) + 1):
                assert (i - 1, read) in done
        done.add((i, row))
    assert sorted(at[:3] for at in walked) == [
        (i, r, c) for i, height in enumerate(heights) for r in range(height) for c in range(n)
    ]
    # No more than is needed: the first stretch leaves rows of the first layer for the next ones.
    if rows < m:
        last = next(at for at, (i, *_) in enumerate(walked) if i == len(layers))
        assert len({row for i, row, *_ in walked[:last] if i == 0}) <= heights[0]


def test_what_does_not_go_together() -> None:
    product = Nest(2, 3, 4)
    assert list(unfit_siblings([product, Nest(2, 5, 4, beside=0), Nest(2, 1, 4, beside=0)])) == []
    assert list(unfit_siblings([product, Nest(5, 3, 4, below=0)])) == []
    for other in (
        Nest(3, 3, 4, beside=0), Nest(2, 2, 4, below=0), Nest(2, 3, 3, beside=0), Nest(2, 3, 4, beside=0, group=1),
        Nest(2, 3, 4, beside=0, strip=1), Nest(2, 3, 4, beside=0, stream=1),
        Nest(2, 3, 4, beside=0, batch=2), Nest(2, 3, 4, beside=0, below=0),
    ):  # fmt: skip
        assert list(unfit_siblings([product, other])) == [(0, 1)]
    apart = [product, Nest(2, 3), Nest(2, 3, 4, beside=0)]
    assert list(unfit_siblings(apart)) == [(1, 2)]
    assert list(unfit_siblings([product, Nest(2, 3, after=0), Nest(2, 3, 4, beside=0)])) == []
    assert list(unfit_siblings([product, Nest(2, 3, 4, beside=0), Nest(2, 3, 4, below=0)])) == [(0, 2)]


def test_streams_are_taken_up_together() -> None:
    up, gate = Nest(2, 3, 1, group=0, rows=1, stream=1), Nest(2, 3, 1, group=0, rows=1, stream=1)
    both, down = Nest(2, 3, after=1), Nest(2, 1, 3, group=0, rows=1)
    made = [up, gate, both, down]
    assert list(unread_streams(made, [[], [], [0, 1], [2]])) == []
    assert list(unread_streams(made, [[], [], [1], [2]])) == [(0, -1)]
    assert list(unread_streams(made[:3], [[], [], [0, 1]])) == [(0, -1), (1, -1)]
    assert list(unread_streams([up, replace(gate, stream=2), both, down], [[], [], [0, 1], [2]])) == [(1, 0)]
    order = [at[:4] for at in walk(made)]
    by_rows = [replace(nest, rows=2, strip=1 if nest.stream else 0) for nest in made]
    assert [at[:3] for at in walk(by_rows)][:8] == [(i, m, 0) for m in (0, 1) for i in (0, 1, 2, 3)]
    assert order[:6] == [(0, 0, 0, 0), (1, 0, 0, 0), (2, 0, 0, 0), (3, 0, 0, 0), (0, 0, 1, 0), (1, 0, 1, 0)]


def test_a_block_sums_with_k_outermost() -> None:
    walked = [at[1:4] for at in walk([Nest(2, 2, 2, block=(2, 2))])]
    assert walked == [(m, n, k) for k in range(2) for n in range(2) for m in range(2)]


def test_snake_turns_blocks_and_sums_back() -> None:
    blocks = [at[1:4] for at in walk([Nest(2, 2, 2, snake=True)])]
    assert blocks == [(0, 0, 0), (0, 0, 1), (0, 1, 1), (0, 1, 0), (1, 1, 0), (1, 1, 1), (1, 0, 1), (1, 0, 0)]
    assert [at[1:3] for at in walk([Nest(2, 2, 1, order="nm", snake=True)])] == [(0, 0), (1, 0), (1, 1), (0, 1)]
    assert [at[3] for at in walk([Nest(1, 1, 3, reverse=True)])] == [2, 1, 0]


def layers(draw: st.DrawFn) -> tuple[list[Nest], list[list[Source]]]:
    """A group of products and elementwise operations, each of some before it, some of them lazy; what they read."""
    m, count = draw(COUNTS), draw(st.integers(2, 5))
    made: list[Nest] = []
    sources: list[list[Source]] = []
    rows = draw(st.integers(1, 5))
    for i in range(count):
        left = draw(st.integers(-1, i - 1))
        product = draw(st.booleans()) or left < 0
        k = (made[left].n if left >= 0 else draw(COUNTS)) if product else 0
        n = draw(COUNTS) if product else made[left].n
        step = Source(left, made[left].n, 0, 1) if product and left >= 0 else Source(left, n, 1, 0)
        made.append(Nest(
            m, n, k, draw(st.tuples(COUNTS, COUNTS)), draw(st.sampled_from(["mn", "nm"])), draw(st.booleans()),
            draw(st.booleans()), 0, rows,
        ))  # fmt: skip
        sources.append([step] if left >= 0 else [])
        for other in range(i):
            if not product and made[other].n == n and other != left and draw(st.booleans()):
                sources[-1].append(Source(other, n, 1, 0))
    lazy = [draw(st.booleans()) and any(s.nest == i for read in sources[i + 1 :] for s in read) for i in range(count)]
    return [replace(nest, lazy=wait) for nest, wait in zip(made, lazy, strict=True)], sources


@settings(max_examples=300)
@given(st.composite(layers)())
def test_lazy_blocks_come_once_each_right_before_they_are_read(drawn: tuple[list[Nest], list[list[Source]]]) -> None:
    made, sources = drawn
    assert list(unread_lazy(made, sources)) == []
    walked = list(walk(made, sources))
    done: set[tuple[int, int, int]] = set()
    for i, nest in enumerate(made):
        assert sorted(at[1:4] for at in walked if at[0] == i) == in_full(nest)
    for i, m, n, k, _, ends in walked:
        for source in sources[i]:
            tile = m * source.down + n * source.across + k * source.deep
            assert (source.nest, *divmod(tile, made[source.nest].n)) in done
        if ends:
            done.add((i, m, n))
    eager = [nest for nest in made if not nest.lazy]
    assert [at[1:] for at in walked if not made[at[0]].lazy] == [at[1:] for at in walk(eager)]


def test_a_lazy_block_comes_before_the_first_that_reads_it_and_siblings_take_turns() -> None:
    up = Nest(2, 4, 1, (2, 1), group=0, rows=2, lazy=True)
    gate = replace(up, block=(2, 2))
    both = Nest(2, 4, after=1)
    down = Nest(2, 1, 4, (2, 1), group=0, rows=2)
    tile = [Source(0, 4, 1, 0), Source(1, 4, 1, 0)]
    sources = [[], [], tile, [Source(2, 4, 0, 1)]]
    walked = [at[:3] for at in walk([up, gate, both, down], sources)]
    half = [(0, 0, 0), (0, 1, 0), (0, 0, 1), (0, 1, 1)]
    assert walked[:12] == [
        *half, (1, 0, 0), (2, 0, 0), (1, 1, 0), (2, 1, 0), (1, 0, 1), (2, 0, 1), (1, 1, 1), (2, 1, 1),
    ]  # fmt: skip
    assert walked[12:16] == [(3, 0, 0), (3, 1, 0)] * 2
    beside = [up, Nest(2, 4, 1, group=0, rows=2, lazy=True, beside=0), both, down]
    walked = [at[:3] for at in walk([replace(up, block=(2, 2)), *beside[1:]], sources)]
    assert walked[:6] == [(0, 0, 0), (0, 1, 0), (1, 0, 0), (2, 0, 0), (1, 1, 0), (2, 1, 0)]
    assert walked[6:8] == [(3, 0, 0), (3, 1, 0)]


def test_what_nobody_reads_is_not_lazy() -> None:
    alone = Nest(2, 2, 1, lazy=True)
    reader = Nest(2, 2, 2)
    sources = [[], [Source(0, 2, 0, 1)]]
    assert list(unread_lazy([alone, reader], sources)) == [0]
    assert list(unread_lazy([replace(alone, group=0, rows=1), replace(reader, group=0, rows=1)], sources)) == []
    assert list(unread_lazy([replace(alone, group=0, rows=1), replace(reader, group=1, rows=1)], sources)) == [0]
    itself = [replace(alone, group=0, rows=1), Nest(2, 2, after=0)]
    assert list(unread_lazy(itself, [[], [Source(0, 2, 1, 0)]])) == [0]


def test_many_lazy_nests_in_a_row_take_no_stack() -> None:
    chain = [Nest(1, 1, 1, group=0, rows=1, lazy=i < 4999) for i in range(5000)]
    sources = [[Source(i - 1, 1, 0, 1)] if i else [] for i in range(5000)]
    assert [at[0] for at in walk(chain, sources)] == list(range(5000))
