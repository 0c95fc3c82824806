"""Graphs for Graphviz: whole operations at graph level, tiles and their operations at the levels below."""

from __future__ import annotations

from ..dialects.graph import GraphOp
from ..dialects.tile_ops import ExecBase, TileOp
from ..dialects.tiles import TileRef, tile_text
from ..ir.builtin import FuncOp, ModuleOp
from ..ir.core import Value


def dot_text(module: ModuleOp) -> str:
    """A directed graph with a cluster for each function."""
    lines = ["digraph {", '  node [fontname="monospace", fontsize=10];']
    for number, func in enumerate(module.functions()):
        lines += [f"  subgraph cluster{number} {{", f"    label={_quoted(func.symbol)};"]
        lines += [f"    {line}" for line in _Graph(number).function(func)]
        lines.append("  }")
    return "\n".join([*lines, "}", ""])


class _Graph:
    """The nodes and edges of one function."""

    def __init__(self, number: int):
        self.prefix = f"f{number}"
        self.count = 0
        self.lines: list[str] = []

    def function(self, func: FuncOp) -> list[str]:
        if any(isinstance(op, TileOp) for op in func.ops):
            self.tiles(func)
        else:
            self.whole(func)
        return self.lines

    def whole(self, func: FuncOp) -> None:
        """Values from their operations to those that read them."""
        nodes = {v: self.node(f"%{v.name}\n{v.type}", "ellipse") for v in func.args}
        for op in func.ops:
            if op.name == "func.return":
                continue
            details = f"\n{op.activation}" if getattr(op, "activation", None) else ""  # type: ignore[attr-defined]
            shape = "box" if isinstance(op, GraphOp) else "octagon"
            node = self.node(f"{op.name}{details}", shape)
            self.edges(nodes, op.operands, node)
            nodes |= dict.fromkeys(op.results, node)
        self.edges(nodes, func.returned(), self.node("return", "plaintext"))

    def edges(self, nodes: dict[Value, str], values: tuple[Value, ...], to: str) -> None:
        for value in values:
            if value in nodes:
                self.lines.append(f"{nodes[value]} -> {to} [label={_quoted(f'%{value.name}')}];")

    def tiles(self, func: FuncOp) -> None:
        """Tiles as they are after each operation that writes them, and the execs that read them."""
        current: dict[TileRef, str] = {}
        for op in func.ops:
            if not isinstance(op, ExecBase):
                continue
            refs = list(zip(op.operands, op.coords, strict=True))
            node = self.node(f"{op.kernel} {tile_text(*refs[0])}", "box")
            for ref in dict.fromkeys(refs if op.accumulate else refs[1:]):
                if ref not in current:
                    current[ref] = self.node(tile_text(*ref), "ellipse")
                self.lines.append(f"{current[ref]} -> {node};")
            current[refs[0]] = node

    def node(self, label: str, shape: str) -> str:
        name = f"{self.prefix}n{self.count}"
        self.count += 1
        self.lines.append(f"{name} [label={_quoted(label)}, shape={shape}];")
        return name


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
