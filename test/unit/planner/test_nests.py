"""Loop nests: each tile operation once, sums started first and finished last; the default is m, n, k."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from tilewright.planner.nests import Nest, TileOpAt, groups_of, walk

COUNTS = st.integers(1, 5)


@st.composite
def nests(draw: st.DrawFn) -> list[Nest]:
    """Products and elementwise operations, alone and in groups of equally many rows, with epilogues and streams."""
    made: list[Nest] = []
    for group in draw(st.lists(st.sampled_from([None, 0, 0, 1]), min_size=1, max_size=5)):
        before = made[-1] if made else None
        joins = before is not None and group is not None and before.group == group
        m = before.m if before is not None and joins else draw(COUNTS)
        rows = before.rows if before is not None and joins else draw(st.integers(1, 6)) if group is not None else 0
        # A streamed product hands its columns to the next one as its k.
        streamed = before is not None and joins and before.stream > 0
        k = before.n if before is not None and streamed else draw(st.integers(0, 4))
        stream = draw(st.integers(0, 3)) if group is not None and k and not streamed else 0
        made.append(Nest(
            m, draw(COUNTS), k, draw(st.tuples(COUNTS, COUNTS)), draw(st.sampled_from(["mn", "nm"])),
            draw(st.booleans()), draw(st.booleans()), group, rows, stream,
        ))  # fmt: skip
    made = [nest if followed(made, i) else unstreamed(nest) for i, nest in enumerate(made)]
    for host in draw(st.lists(st.integers(0, len(made) - 1), max_size=3)):
        made.append(Nest(made[host].m, made[host].n, after=host))
    return made


def followed(made: list[Nest], i: int) -> bool:
    """Whether the product after a streamed one takes its columns."""
    after = made[i + 1] if i + 1 < len(made) else None
    return after is not None and after.group == made[i].group and after.k == made[i].n and not after.stream


def unstreamed(nest: Nest) -> Nest:
    return Nest(nest.m, nest.n, nest.k, nest.block, nest.order, nest.snake, nest.reverse, nest.group, nest.rows)


def in_full(nest: Nest) -> list[tuple[int, int, int]]:
    return [(m, n, k) for m in range(nest.m) for n in range(nest.n) for k in range(max(nest.k, 1))]


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
        rows = made[members[0]].rows or made[members[0]].m
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
        steps = [at for at in walked if at[0] in (i, i + 1)]
        turns = [0] + [x for x in range(1, len(steps)) if steps[x][0] != steps[x - 1][0]] + [len(steps)]
        runs = [steps[a:b] for a, b in pairwise(turns)]
        for producer, reader in zip(runs[::2], runs[1::2], strict=True):
            columns = {n for _, _, n, *_ in producer}
            assert {at[3] for at in reader} == columns
            assert max(columns) - min(columns) < nest.stream


def test_a_block_sums_with_k_outermost() -> None:
    walked = [at[1:4] for at in walk([Nest(2, 2, 2, block=(2, 2))])]
    assert walked == [(m, n, k) for k in range(2) for n in range(2) for m in range(2)]


def test_snake_turns_blocks_and_sums_back() -> None:
    blocks = [at[1:4] for at in walk([Nest(2, 2, 2, snake=True)])]
    assert blocks == [(0, 0, 0), (0, 0, 1), (0, 1, 1), (0, 1, 0), (1, 1, 0), (1, 1, 1), (1, 0, 1), (1, 0, 0)]
    assert [at[1:3] for at in walk([Nest(2, 2, 1, order="nm", snake=True)])] == [(0, 0), (1, 0), (1, 1), (0, 1)]
    assert [at[3] for at in walk([Nest(1, 1, 3, reverse=True)])] == [2, 1, 0]
