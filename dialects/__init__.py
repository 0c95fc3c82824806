"""The dialects. Each `NAME.lark` with its `NAME.py` is one; all of them are registered here by being found."""

from __future__ import annotations

import importlib
from importlib.resources import files


def load_all() -> None:
    """Registers every dialect that has a grammar fragment in this folder."""
    for entry in sorted(e.name for e in files(__package__).iterdir()):
        if entry.endswith(".lark"):
            importlib.import_module(f"{__package__}.{entry.removesuffix('.lark')}")


load_all()
