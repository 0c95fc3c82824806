"""Packages with plugins, as they lie in a folder that Python searches: a few files, nothing is built or installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tilewright.dialects.target import plugin_machines
from tilewright.ir.plugins import DIALECT_PLUGINS, unchanged_if_it_fails
from tilewright.passes.manager import plugin_passes

Points = dict[str, dict[str, str]]

GRAMMAR = r"""
%extend op: demo_softsign
demo_softsign: DEMO_SOFTSIGN value_list attr_dict? ":" plain_type
DEMO_SOFTSIGN: /demo\.softsign(?![\w.])/
"""
HEAD = f"""
from tilewright.dialects.graph import mapped_operation
from tilewright.dialects.kernels.elementwise import FLOATS, unary
from tilewright.ir.opdef import Dialect, register_dialect
DEMO = register_dialect(Dialect("demo", r'''{GRAMMAR}'''))
"""
ROW = """
SOFTSIGN = unary("softsign", lambda np, x: x / (1 + np.abs(x)), dtypes=FLOATS, keeps_zeros=True, in_double=True,
                 ulps=1, onnx=None, summary="x / (1 + |x|)")
"""
SoftsignOp = "\nSoftsignOp = mapped_operation(DEMO, SOFTSIGN, __name__)\n"
DIALECT = HEAD + ROW + SoftsignOp
PASS = """
from dataclasses import dataclass
from typing import ClassVar
from tilewright.passes.manager import register_pass

@register_pass
@dataclass(frozen=True)
class KeepPass:
    "Keeps what it is given."

    name: ClassVar[str] = "demo-keep"
    needs: ClassVar[tuple[str, ...]] = ("fuse",)

    def apply(self, module):
        return module
"""
TEXT = """\
func.func @f(%x: tensor<8x8xf32>, %w: tensor<8x8xf32>) -> tensor<8x8xf32> {
  %h = graph.matmul %x, %w : (tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<8x8xf32>
  %y = demo.softsign %h : tensor<8x8xf32>
  return %y : tensor<8x8xf32>
}
"""


def write_package(folder: Path, package: str, points: Points, **modules: str) -> None:
    """Puts a package of version 1.0, with its entry points, and its modules into a folder."""
    info = folder / f"{package.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n", encoding="utf-8")
    groups = [
        f"[tilewright.{group}]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items())
        for group, entries in points.items()
    ]
    (info / "entry_points.txt").write_text("\n".join(groups), encoding="utf-8")
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")


class _Undo(Exception):
    pass


@contextmanager
def forgotten_afterwards() -> Iterator[None]:
    """Takes what plugins have registered back in the end."""
    try:
        with unchanged_if_it_fails():
            yield
            raise _Undo
    except _Undo:
        for group in (DIALECT_PLUGINS, plugin_passes(), plugin_machines()):
            group.broken.clear()
