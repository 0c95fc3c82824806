"""At which SRAM sizes planning succeeds: with tiles of one size (and biases) wherever an exec's own tiles and the sums
that are open there fit; with tiles of several sizes nearly always."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

import tilewright
from tilewright.lowering.tile_program import TileProgram
from tilewright.planner.arena import SRAMConfig
from tilewright.planner.liveness import Program
from tilewright.planner.memory_planner import PlanError, least_bytes, plan

from ..models import chain_text
from ..plan_replay import replay
from ..tile_programs import random_uops

EVICTIONS = ("min", "lru", "cost")
TILE = 32 * 32 * 4
STEPS = (0, 64, 128, 192, 256, 512, 1024, TILE // 2, TILE - 64, TILE, TILE + 64, 2 * TILE, 4 * TILE)
"""Bytes above the least."""

MIXED_PROGRAMS = 400
SIZES = (16, 32, 48, 64, 96, 128, 192, 256, 512)


def layers(batch: int, *widths: int) -> str:
    """Products with bias and relu, a residual where the widths are equal."""
    args, body, value = [f"%x: tensor<{batch}x{widths[0]}xf32>"], [], "x"
    for i, (k, n) in enumerate(pairwise(widths)):
        result = f"tensor<{batch}x{n}xf32>"
        args += [f"%w{i}: tensor<{k}x{n}xf32>", f"%b{i}: tensor<{n}xf32>"]
        types = f"(tensor<{batch}x{k}xf32>, tensor<{k}x{n}xf32>, tensor<{n}xf32>) -> {result}"
        body.append(f"  %m{i} = graph.matmul %{value}, %w{i}, %b{i} : {types}")
        body.append(f"  %r{i} = graph.relu %m{i} : {result}")
        if k == n:
            body.append(f"  %a{i} = graph.add %r{i}, %{value} : ({result}, {result}) -> {result}")
        value = f"a{i}" if k == n else f"r{i}"
    result = f"tensor<{batch}x{widths[-1]}xf32>"
    head = f"func.func @layers({', '.join(args)}) -> {result} {{\n"
    return head + "\n".join(body) + f"\n  return %{value} : {result}\n}}\n"


GRAPHS = {
    "mlp": layers(96, 128, 64, 32, 32),
    "skinny": layers(32, 256, 96, 32),
    "residual": layers(64, 64, 64, 64),
    "edges": layers(33, 70, 41, 10),
    "wide": layers(32, 32, 256, 32),
    "no-bias": chain_text((96, 96, 96), relu=True),
}


def tile_program(text: str) -> Program:
    (func,) = tilewright.parse(text).functions()
    return TileProgram(func.ops).program


def fails(program: Program, size: int, evict: str, alignment: int = 64) -> bool:
    config = SRAMConfig(size, alignment)
    try:
        replay(program, plan(program, config, evict), config)
    except PlanError:
        return True
    return False


@pytest.mark.parametrize("passes", ["", "forward", "plan"])
@pytest.mark.parametrize("graph", list(GRAPHS))
def test_one_tile_size_with_biases_needs_no_more_than_what_is_needed_at_once(graph: str, passes: str) -> None:
    """Biases are tiles of 128 bytes among those of 4,096."""
    order = "plan{sram=40KiB},lower,forward" if passes == "plan" else f"lower,{passes}".rstrip(",")
    program = tile_program(tilewright.run_passes(GRAPHS[graph], f"fuse,tile,{order}"))
    least = least_bytes(program, SRAMConfig(1, 1))
    assert fails(program, least - 64, "min")
    assert [(more, e) for more in STEPS for e in EVICTIONS if fails(program, least + more, e)] == []


def test_one_tile_size_in_any_order() -> None:
    """Orders that no graph gives, with biases of a quarter of a tile."""
    left = []
    for seed in range(150):
        text = random_uops(Random(seed), 60, halves=False)
        program = tile_program(text)
        least = least_bytes(program, SRAMConfig(1, 1))
        for size in range(max(least, 16), least + 129, 16):
            left += [(seed, size, evict) for evict in EVICTIONS if fails(program, size, evict, 16)]
    assert left == []


def mixed_program(seed: int) -> Program:
    """A random program whose buffers have tiles of random sizes."""
    random = Random(seed)
    (func,) = tilewright.parse(random_uops(random, 90)).functions()
    tiles = TileProgram(func.ops)
    sizes = {value: random.choice(SIZES) for value in dict.fromkeys(value for value, _ in tiles.refs)}
    tiles.program.sizes = [sizes[value] for value, _ in tiles.refs]
    return tiles.program


def test_mixed_sizes_nearly_always_need_no_more() -> None:
    """Where tiles differ in size, that they fit by bytes is no proof that addresses can be found; the search must
    find them for 99 % of the corpus. The seeds of the others are in the message."""
    left = []
    for seed in range(MIXED_PROGRAMS):
        program = mixed_program(seed)
        least = max(least_bytes(program, SRAMConfig(1, 1)), 16)
        if any(fails(program, least, evict, 16) for evict in EVICTIONS):
            left.append(seed)
    print(f"{len(left)} of {MIXED_PROGRAMS} mixed-size programs do not schedule at the least bytes: seeds {left}")
    assert len(left) <= MIXED_PROGRAMS // 100
