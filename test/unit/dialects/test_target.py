"""`sched.target` where it is malformed: one located error, whatever is asked of the machine before it is found."""

from __future__ import annotations

import pytest

import tilewright
from tilewright import DiagnosticError
from tilewright.runtime.execute import execute_function, random_inputs

TILED = "!uop.tiled<tensor<4x4xf32>, [4, 4]>"
SCHEDULE = f"""\
func.func @f(%x: {TILED}) -> {TILED} {{
  %y = uop.alloc : {TILED}
  sched.load %x[0, 0] @0x0000 {{bytes = 64}}
  sched.exec relu %y[0, 0] @0x0040 = %x[0, 0] @0x0000
  sched.store %y[0, 0] @0x0040 {{bytes = 64}}
  return %y : {TILED}
}}
"""
MALFORMED = ["{dram = 0}", "[{dma_channels = 3}]", '{sram_bytes = "x"}', "{reserved = 3}", "7", "{alignment = 3}"]


@pytest.mark.parametrize("target", MALFORMED)
def test_a_malformed_target_is_one_error(target: str) -> None:
    for text in (
        f"module attributes {{sched.target = {target}}} {{\n{SCHEDULE}}}\n",
        SCHEDULE.replace(f"-> {TILED} {{", f"-> {TILED} attributes {{sched.target = {target}}} {{"),
    ):
        with pytest.raises(DiagnosticError) as raised:
            tilewright.parse(text)
        (error,) = raised.value.diagnostics
        assert error.line == 1
        assert "'sched.target' of" in error.message


@pytest.mark.parametrize("target", MALFORMED)
def test_a_run_that_verifies_nothing_takes_the_defaults(target: str) -> None:
    module = tilewright.parse(f"module attributes {{sched.target = {target}}} {{\n{SCHEDULE}}}\n", verify=False)
    (func,) = module.functions()
    (y,) = execute_function(func, module, random_inputs(func, 1), verified=True).arrays
    assert y.min() == 0
