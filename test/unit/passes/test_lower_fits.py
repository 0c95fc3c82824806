"""lower{sram}: a plan that needs just what there is is taken, and one block less is refused with what it needs."""

from __future__ import annotations

import pytest

import tilewright as tw

PLANNED = """\
func.func @f(%x: tensor<8x8xf32>, %w: tensor<8x8xf32>, %b: tensor<8xf32>) -> tensor<8x8xf32> {
  %y = graph.matmul %x, %w, %b {CHOICE, tile = [4, 4, 4]} : (tensor<8x8xf32>, tensor<8x8xf32>, tensor<8xf32>) -> tensor<8x8xf32>
  return %y : tensor<8x8xf32>
}
"""  # noqa: E501


@pytest.mark.parametrize(
    ("choice", "tiles", "message"),
    [
        ('order = "nm"', 3, "3 tiles (192 bytes) at once, the SRAM has 191 bytes: 1 tile of %y being summed up, and 2"),
        ("block = [2, 2]", 6, "6 tiles (384 bytes) at once, the SRAM has 383 bytes: 4 tiles of %y being summed up, "),
    ],
)
def test_a_plan_fits_the_sram_that_it_needs_and_none_that_is_smaller(choice: str, tiles: int, message: str) -> None:
    """A tile is 64 bytes: each sum under way, and two to read."""
    text = PLANNED.replace("CHOICE", choice)
    lowered = tw.run_passes(text, f"lower{{sram={64 * tiles}}}")
    assert lowered == tw.run_passes(text, "lower")
    tw.run_passes(lowered, f"schedule{{sram={64 * tiles}}}")
    with pytest.raises(tw.DiagnosticError) as refused:
        tw.run_passes(text, f"lower{{sram={64 * tiles - 1}}}")
    assert f"2:8: error: this plan needs {message}" in str(refused.value)
    with pytest.raises(tw.DiagnosticError):
        tw.run_passes(lowered, f"schedule{{sram={64 * tiles - 1}}}")


def test_without_a_size_nothing_is_asked_of_a_plan() -> None:
    assert tw.run_passes(PLANNED.replace("CHOICE", "block = [2, 2]"), "lower")
