"""Tile sizes that views leave: without being told, `tile` cuts what is sliced, split in heads or reshaped so that it
falls on the grid."""

from __future__ import annotations

import pytest

import tilewright as tw
from tilewright.analysis.proof import prove_module

X = "%x: tensor<12x12xf32>, %w: tensor<12x24xf32>"
PRODUCT = "%m = graph.matmul %x, %w : (tensor<12x12xf32>, tensor<12x24xf32>) -> tensor<12x24xf32>"
CASES: dict[str, tuple[str, str, str]] = {
    "a slice that starts within": (
        """%s = graph.slice %m {starts = [0, 6], sizes = [12, 18]} : tensor<12x24xf32> -> tensor<12x18xf32>
           %y = graph.relu %s : tensor<12x18xf32>""",
        "12x18",
        "[8, 6, 8]",
    ),
    "a slice that ends within": (
        """%s = graph.slice %m {starts = [0, 0], sizes = [10, 24]} : tensor<12x24xf32> -> tensor<10x24xf32>
           %y = graph.relu %s : tensor<10x24xf32>""",
        "10x24",
        "[5, 8, 8]",
    ),
    "a slice to the end": (
        """%s = graph.slice %m {starts = [8, 0], sizes = [4, 24]} : tensor<12x24xf32> -> tensor<4x24xf32>
           %y = graph.relu %s : tensor<4x24xf32>""",
        "4x24",
        "[4, 8, 8]",
    ),
    "heads of six": (
        """%r = graph.reshape %m : tensor<12x24xf32> -> tensor<12x4x6xf32>
           %t = graph.transpose %r {permutation = [1, 0, 2]} : tensor<12x4x6xf32> -> tensor<4x12x6xf32>
           %y = graph.relu %t : tensor<4x12x6xf32>""",
        "4x12x6",
        "[8, 6, 8]",
    ),
    "rows that become longer": (
        """%r = graph.reshape %m : tensor<12x24xf32> -> tensor<6x48xf32>
           %y = graph.relu %r : tensor<6x48xf32>""",
        "6x48",
        "[1, 8, 8]",
    ),
    "two parts, one behind the other": (
        """%n = graph.relu %x : tensor<12x12xf32>
           %c = graph.concat %n, %m {axis = 1} : (tensor<12x12xf32>, tensor<12x24xf32>) -> tensor<12x36xf32>
           %y = graph.relu %c : tensor<12x36xf32>""",
        "12x36",
        "[8, 6, 6]",
    ),
    "one column for all": (
        """%s = graph.slice %m {starts = [0, 5], sizes = [12, 1]} : tensor<12x24xf32> -> tensor<12x1xf32>
           %y = graph.mul %x, %s : (tensor<12x12xf32>, tensor<12x1xf32>) -> tensor<12x12xf32>""",
        "12x12",
        "[8, 1, 8]",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_tiles_fit_views(name: str) -> None:
    body, shape, tile = CASES[name]
    text = f"func.func @f({X}) -> tensor<{shape}xf32> {{\n{PRODUCT}\n{body}\nreturn %y : tensor<{shape}xf32>\n}}\n"
    tiled = tw.run_passes(text, "tile{sizes=8x8x8}")
    (line,) = [line for line in tiled.splitlines() if "%m = graph.matmul" in line]
    assert f"tile = {tile}" in line
    prove_module(tw.parse(text), tw.parse(tw.run_passes(tiled, "lower,schedule{sram=4KiB}")))


def test_without_views_sizes_are_as_given() -> None:
    text = f"func.func @f({X}) -> tensor<12x24xf32> {{\n{PRODUCT}\nreturn %m : tensor<12x24xf32>\n}}\n"
    assert "tile = [8, 8, 8]" in tw.run_passes(text, "tile{sizes=8x8x8}")


def test_only_what_hangs_together_is_cut() -> None:
    body = """%s = graph.slice %m {starts = [0, 6], sizes = [12, 18]} : tensor<12x24xf32> -> tensor<12x18xf32>
      %z = graph.matmul %x, %x : (tensor<12x12xf32>, tensor<12x12xf32>) -> tensor<12x12xf32>"""
    results = "tensor<12x18xf32>, tensor<12x12xf32>"
    text = f"func.func @f({X}) -> ({results}) {{\n{PRODUCT}\n{body}\n%y = graph.relu %s : tensor<12x18xf32>\n"
    tiled = tw.run_passes(f"{text}return %y, %z : {results}\n}}\n", "tile{sizes=8x8x8}")
    assert "tile = [8, 6, 8]" in tiled
    assert "tile = [8, 8, 8]" in tiled
