"""Nothing outside the table of kernels tells them apart by name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tilewright.dialects.kernels import KERNELS

ROOT = Path(__file__).resolve().parents[3]
FOLDERS = ("analysis", "dialects", "ir", "lowering", "passes", "planner", "runtime", "viz")


def named_kernels(source: str) -> Iterator[tuple[int, str]]:
    """The places where a text compares with, or keeps a table by, a kernel's name."""
    for node in ast.walk(ast.parse(source)):
        line = getattr(node, "lineno", 0)
        parts: list[ast.expr | None] = []
        if isinstance(node, ast.Compare):
            parts = [node.left, *node.comparators]
        elif isinstance(node, ast.Dict):
            parts = list(node.keys)
        elif isinstance(node, ast.Subscript):
            parts = [node.slice]
        elif isinstance(node, ast.MatchValue):
            parts = [node.value]
        for part in parts:
            inner = part.elts if isinstance(part, (ast.Tuple, ast.List, ast.Set)) else [part]
            for item in inner:
                if isinstance(item, ast.Constant) and item.value in KERNELS:
                    yield line, str(item.value)


def test_no_chain_of_kernel_names_stands_outside_the_table() -> None:
    files = [f for folder in FOLDERS for f in sorted((ROOT / folder).rglob("*.py")) if f.parent.name != "kernels"]
    found = [
        f"{file.relative_to(ROOT)}:{line}: '{name}'"
        for file in files
        for line, name in named_kernels(file.read_text(encoding="utf-8"))
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "source",
    ['if op.kernel == "relu": pass', 'x = {"add": 1}', 'k in ("matmul", "bias")', 'T["cast"]', 'k not in {"exp"}'],
)
def test_the_guard_sees_names(source: str) -> None:
    assert list(named_kernels(source))
