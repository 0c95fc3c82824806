"""The dialects. Each `NAME.lark` with its `NAME.py` is one; all of them are registered here by being found."""

from __future__ import annotations

import importlib
from pathlib import Path


def load_all() -> None:
    """Registers every dialect that has a grammar fragment in this folder."""
    for fragment in sorted(Path(__file__).parent.glob("*.lark")):
        importlib.import_module(f".{fragment.stem}", __name__)


load_all()
