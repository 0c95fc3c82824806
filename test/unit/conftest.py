"""Hypothesis profiles: derandomised under CI=true (a red build must be reproducible), random elsewhere."""

import os

from hypothesis import settings

from tilewright.passes.manager import load_passes

load_passes()  # a pass's module that a test imports before would keep the others from being found

settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("local", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "local")
