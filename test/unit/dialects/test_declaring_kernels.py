"""What a kernel's declaration must say, and may not."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tilewright.dialects.graph import GraphOp
from tilewright.dialects.kernels import KERNELS, Kernel
from tilewright.dialects.kernels.declaration import KernelError, declare
from tilewright.dialects.kernels.elementwise import unary
from tilewright.ir.fields import DeclarationError


def facets() -> dict[str, Any]:
    return {
        "dtypes": ("f32",), "keeps_zeros": True, "ulps": 0, "onnx": None, "summary": "itself",
    }  # fmt: skip


@pytest.mark.parametrize("missing", facets())
def test_a_row_without_a_facet_is_an_error(missing: str) -> None:
    given = {name: value for name, value in facets().items() if name != missing}
    with pytest.raises(TypeError, match=f"'{missing}'"):
        unary("same", lambda np, x: x, **given)
    assert "same" not in KERNELS


@pytest.mark.parametrize("missing", [name for name in Kernel._fields if name != "name"])
def test_a_kernel_without_a_facet_is_an_error(missing: str) -> None:
    given = {name: getattr(KERNELS["relu"], name) for name in Kernel._fields if name not in ("name", missing)}
    with pytest.raises(TypeError, match=f"'{missing}'"):
        Kernel("same", **given)


def test_a_name_that_is_taken_is_an_error() -> None:
    with pytest.raises(KernelError, match="kernel 'relu' is declared twice"):
        declare(KERNELS["relu"])


def test_a_graph_operation_without_a_kernel_is_an_error() -> None:
    for given, shown in (({}, ""), ({"kernel": "softmax"}, "softmax")):
        with pytest.raises(DeclarationError, match=f"LostOp: there is no kernel '{shown}'$"):
            type("LostOp", (GraphOp,), {"name": "graph.lost", "__module__": __name__, **given})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"combine": "product"}, "`combine` is None or"),
        ({"combine": "sum"}, "has no `algebra`"),
        ({"algebra": None}, "has no `algebra`"),
        ({"rate": "bananas"}, "`rate` is 'macs_per_cycle' or 'elements_per_cycle', got 'bananas'"),
        ({"ulps": -1}, "`ulps` is 0 or more"),
        ({"in_place": frozenset({1})}, "`in_place` names sources"),
    ],
)
def test_a_facet_that_makes_no_sense_is_an_error(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(KernelError, match=re.escape(words)):
        declare(KERNELS["relu"]._replace(name="same", **changes))
    assert "same" not in KERNELS
