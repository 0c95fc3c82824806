"""Workloads in one line of text each, and the modules that they stand for.

"x: 128x784; h = x @ 256 bias relu; y = h @ 10 bias; return y" is a perceptron: a step each, with `;` between them.

    x: 128x784         an argument, f32; `x: 128x784xf16` for another element type
    h = x @ 256        a product with a new parameter of 256 columns, and of x's element type
    h = x @ w          a product with a value that has a name
    h = x @ 256 bias relu tile=32x64x16
                       with a new bias; with a relu; with tiles of its own
    y = h + x          a sum; `*` for a product of their elements
    y = relu h         also gelu, sigmoid and `cast h f16`; a cast from i32 to i8 requantises
    return y, z        the results
"""

from __future__ import annotations

from dataclasses import dataclass, field

ACCUMULATOR = {"f32": "f32", "f16": "f32", "bf16": "f32", "i8": "i32"}
KIB = 1024
ELEMENTWISE = {"+": "add", "*": "mul"}
ACTIVATIONS = ("relu", "gelu", "sigmoid")


@dataclass(frozen=True)
class Shape:
    """A workload on a machine: its steps, SRAM in bytes, tile sizes tm x tn x tk of what has none of its own.

    `best` is the least traffic that is known from elsewhere, in bytes.
    """

    name: str
    sram: int
    steps: str
    tile: str = "32x32x32"
    best: int | None = None

    @property
    def text(self) -> str:
        """The graph as a module."""
        return _Graph().module(self.steps)

    def pipeline(self, level: str, options: str = "") -> str:
        """The named pipeline `level` for this machine."""
        return f"{level}{{{f'sram={self.sram} tile={self.tile} {options}'.strip()}}}"


def chain(rows: int, *widths: int, layer: str = "") -> str:
    """The steps of products in a row, from `widths[0]` columns on; `layer` stands at each but the last."""
    steps = [f"x: {rows}x{widths[0]}"]
    value = "x"
    for i, width in enumerate(widths[1:], 1):
        last = i == len(widths) - 1
        steps.append(f"h{i} = {value} @ {width} {'' if last else layer}".strip())
        value = f"h{i}"
    return "; ".join([*steps, f"return {value}"])


@dataclass
class _Graph:
    """A module being written: the type of each value by name, as (rows, columns, element type)."""

    types: dict[str, tuple[int, int, str]] = field(default_factory=dict)
    args: list[str] = field(default_factory=list)
    body: list[str] = field(default_factory=list)
    results: list[str] = field(default_factory=list)

    def module(self, steps: str) -> str:
        for step in steps.split(";"):
            self.step(step.split())
        types = ", ".join(self.type(name) for name in self.results)
        names = ", ".join(f"%{name}" for name in self.results)
        head = f"func.func @f({', '.join(self.args)}) -> ({types}) {{"
        return "\n".join([head, *self.body, f"  return {names} : {types}", "}", ""])

    def step(self, words: list[str]) -> None:
        if words[0] == "return":
            self.results = [word.strip(",") for word in words[1:]]
        elif words[0].endswith(":"):
            rows, columns, *dtype = words[1].split("x")
            self.argument(words[0][:-1], int(rows), int(columns), dtype[0] if dtype else "f32")
        elif words[3:4] == ["@"]:
            self.product(words[0], words[2], words[4], words[5:])
        elif len(words) == 5 and words[3] in ELEMENTWISE:
            both = f"({self.type(words[2])}, {self.type(words[4])})"
            name = f"graph.{ELEMENTWISE[words[3]]}"
            self.op(words[0], f"{name} %{words[2]}, %{words[4]} : {both} -> ", self.types[words[2]])
        elif words[2] in ACTIVATIONS:
            self.op(words[0], f"graph.{words[2]} %{words[3]} : ", self.types[words[3]])
        elif words[2] == "cast":
            self.cast(words[0], words[3], words[4])
        else:
            raise ValueError(f"no such step: {' '.join(words)}")

    def type(self, name: str) -> str:
        rows, columns, dtype = self.types[name]
        return f"tensor<{rows}x{columns}x{dtype}>"

    def argument(self, name: str, rows: int, columns: int, dtype: str, attrs: str = "") -> str:
        self.types[name] = rows, columns, dtype
        self.args.append(f"%{name}: {self.type(name)}{attrs}")
        return name

    def op(self, name: str, text: str, result: tuple[int, int, str]) -> None:
        self.types[name] = result
        self.body.append(f"  %{name} = {text}{self.type(name)}")

    def product(self, name: str, left: str, right: str, extras: list[str]) -> None:
        rows, inner, dtype = self.types[left]
        if right.isdigit():
            right = self.argument(f"w_{name}", inner, int(right), dtype, " {graph.param}")
        result = rows, self.types[right][1], ACCUMULATOR[dtype]
        tile = next((word.removeprefix("tile=") for word in extras if word.startswith("tile=")), "")
        attrs = f" {{tile = [{', '.join(tile.split('x'))}]}}" if tile else ""
        after = [word for word in ("bias", "relu") if word in extras]
        names = [*[f"{name}_sum", f"{name}_biased"][: len(after)], name]
        signature = f"({self.type(left)}, {self.type(right)}) -> "
        self.op(names[0], f"graph.matmul %{left}, %{right}{attrs} : {signature}", result)
        if "bias" in extras:
            vector = f"tensor<{result[1]}x{result[2]}>"
            self.args.append(f"%b_{name}: {vector} {{graph.param}}")
            summed = names.pop(0)
            self.op(names[0], f"graph.add %{summed}, %b_{name} : ({self.type(summed)}, {vector}) -> ", result)
        if "relu" in extras:
            self.op(name, f"graph.relu %{names[0]} : ", result)

    def cast(self, name: str, source: str, dtype: str) -> None:
        rows, columns, given = self.types[source]
        scale = " {scale = 0.05 : f32}" if (given, dtype) == ("i32", "i8") else ""
        self.op(name, f"graph.cast %{source}{scale} : {self.type(source)} -> ", (rows, columns, dtype))
