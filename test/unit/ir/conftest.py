"""What tests of the reader share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tilewright.ir import opdef
from tilewright.ir.reading import language


@pytest.fixture
def registry() -> Iterator[None]:
    """What a test registers is gone after it."""
    dialects, operations = dict(opdef.DIALECTS), dict(opdef.OPERATIONS)
    yield
    opdef.DIALECTS.clear()
    opdef.DIALECTS.update(dialects)
    opdef.OPERATIONS.clear()
    opdef.OPERATIONS.update(operations)
    language._CURRENT.language = None
