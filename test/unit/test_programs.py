"""1,000 random programs: every level computes the same, every pass proves, pipes and re-parsing equal."""

from __future__ import annotations

import pytest

from .chunks import run_chunk
from .programs import PROGRAMS, check_program

CHUNKS = 10


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_random_programs(chunk: int) -> None:
    run_chunk(check_program, PROGRAMS, 1_000 // CHUNKS, chunk)
