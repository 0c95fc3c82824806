"""How good plans are: the best known bytes for workloads of one tile size, and never more than without a plan.

The figures are those of the project's table of bounds and results: 32x32 f32 tiles, 64-byte alignment, first fit.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import tilewright
from tilewright import DiagnosticError
from tilewright.passes.manager.pipelines import parse_pipeline
from tilewright.passes.manager.running import run_passes_on

from ..models import REFERENCE, chain_text
from ..planner.test_nest_cost import Sizes, bytes_moved, tiled_module
from ..strategies import graph_texts, tile_sizes

KIB = 1024
CUBE = chain_text((512, 512, 512))
MNIST = chain_text((128, 784, 512, 256, 10), relu=True)

TABLE = [
    *[(REFERENCE, sram, best) for sram, best in ((12, 336), (16, 256), (28, 164), (40, 144), (52, 124), (256, 124))],
    *[(CUBE, sram, best) for sram, best in ((64, 10_740), (256, 5_668), (1024, 3_360))],
    *[(MNIST, sram, best) for sram, best in ((128, 3_932), (256, 3_092))],
]
"""Graph, SRAM and best known traffic, both in KiB."""

NAMES = {REFERENCE: "reference", CUBE: "512^3", MNIST: "784-512-256-10"}


@pytest.mark.parametrize(("text", "sram", "best"), TABLE, ids=[f"{NAMES[t]}-{sram}KiB" for t, sram, _ in TABLE])
def test_a_plan_is_as_good_as_the_best_known(text: str, sram: int, best: int) -> None:
    passes = f"fuse,tile,plan{{sram={sram}KiB}},lower,forward,schedule{{sram={sram}KiB evict=cost}}"
    made = run_passes_on(tilewright.parse(text), parse_pipeline(passes))
    assert bytes_moved(made) <= 1.02 * best * KIB


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(graph_texts(), tile_sizes(), st.integers(3, 40), st.sampled_from([1, 64]))
def test_a_plan_never_moves_more_than_no_plan(text: str, sizes: Sizes, units: int, align: int) -> None:
    module, _ = tiled_module(text, sizes, True)
    machine = f"sram={64 * units} align={align}"
    rest = f"lower,forward,schedule{{{machine} evict=cost}}"
    try:
        without = bytes_moved(run_passes_on(module, parse_pipeline(rest)))
    except DiagnosticError as error:
        assume("out of SRAM" not in str(error))
        raise
    assert bytes_moved(run_passes_on(module, parse_pipeline(f"plan{{{machine}}},{rest}"))) <= without
