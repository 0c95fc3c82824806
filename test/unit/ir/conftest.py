"""What tests of the reader share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tilewright.ir import opdef
from tilewright.ir.reading import language


@pytest.fixture
def registry() -> Iterator[None]:
    """What a test registers is gone after it."""
    kept = dict(opdef.DIALECTS), dict(opdef.OPERATIONS)
    yield
    for table, old in zip((opdef.DIALECTS, opdef.OPERATIONS), kept, strict=True):
        table.clear()
        table.update(old)
    language._CURRENT.language = None
