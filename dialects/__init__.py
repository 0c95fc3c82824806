"""The dialects. Each `NAME.lark` with its `NAME.py` is one; all of them are registered here by being found."""

from __future__ import annotations

import importlib
import os

FOLDER = os.path.dirname(__file__)


def load_all() -> None:
    """Registers every dialect that has a grammar fragment in this folder, and the checks of whole functions."""
    for file in sorted(os.listdir(FOLDER)):
        name, extension = os.path.splitext(file)
        if extension == ".lark":
            importlib.import_module(f".{name}", __name__)
    for name in ("conversions", "views", "composites", "masks"):  # more operations of the graph dialect
        importlib.import_module(f".{name}", __name__)
    importlib.import_module(".checks.functions", __name__)


load_all()
