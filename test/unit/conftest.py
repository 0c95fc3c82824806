"""Hypothesis profiles: derandomised under CI=true (a red build must be reproducible), random elsewhere; fixtures."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import Phase, settings

if TYPE_CHECKING:
    from .onnx_models import Imports

# What is imported and collected by the suite stays; the collector went through all of it a quarter of the time.
gc.freeze()
gc.set_threshold(100_000, 50, 100)

# The tests' shapes are none of the user's: a cache full of them makes every start slower.
os.environ.setdefault("XDG_CACHE_HOME", str(Path(__file__).resolve().parents[2] / "build" / "test-cache"))

settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("local", deadline=None)
# An edit is caught or not: nobody reads the smallest example that shows it (mutants.py).
settings.register_profile("mutants", settings.get_profile("ci"), database=None, phases=[Phase.explicit, Phase.generate])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") == "true" else "local"))


@pytest.fixture
def imports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Imports:
    """Runs mir-translate on models."""
    from .onnx_models import Imports

    return Imports(tmp_path, capsys)
