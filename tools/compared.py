"""What `mir-run --compare` says of two runs: equal, where they part, or what keeps it from telling."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..ir.diagnostics import MAX_LINE
from ..planner.arena import count_of

if TYPE_CHECKING:
    from ..ir.builtin import FuncOp, ModuleOp
    from ..runtime.compare import Difference
    from ..runtime.execute import Run
    from ..runtime.numerics import Array


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two files: what ran, and what came out."""

    path: str
    func: FuncOp
    module: ModuleOp
    run: Run

    def result_name(self, index: int) -> str:
        return self.func.returned()[index].name

    def writer(self, result: int, index: tuple[int, ...]) -> str:
        """The tile that holds an element of a result, and the operation that stored or computed it."""
        value = self.func.returned()[result]
        if not self.run.tiles:
            return f"%{value.name}{_place(value.loc, self.module, 'computed')}"
        coord = tuple(i // t for i, t in zip(index, self.run.tiles[result], strict=True))
        op = self.run.stored[result][coord]
        where = _place(op.loc, self.module, "stored") if op is not None else ""
        return f"tile %{value.name}[{', '.join(map(str, coord))}]{where}"


def complaint(first: Side, second: Side, inputs: dict[str, Array]) -> str:
    """Why two runs are not the same, or can't be told to be; empty where they are. `inputs` are the first one's."""
    from ..runtime.compare import first_difference, first_nan
    from ..runtime.execute import rounding_slacks

    results = first.run.arrays, second.run.arrays
    undecided = first_nan(*results)
    if undecided is not None:
        verb = "element is" if undecided.count == 1 else "elements are"
        values = f"{undecided.first} against {undecided.second}"
        text = f"element [{undecided.where}]: {values}; {undecided.count:,} {verb} NaN, which equals nothing"
        name = first.result_name(undecided.result)
        return _located(f"mir-run: error: can't compare %{name}, {text}", undecided, first, second)
    if first_difference(*results) is None:
        return ""
    difference = first_difference(*results, rounding_slacks(first.func, inputs))
    if difference is None:
        return ""
    return _located(f"different: %{first.result_name(difference.result)}, {difference}", difference, first, second)


def equal_text(run: Run) -> str:
    elements = sum(a.size for a in run.arrays)
    return f"equal: {count_of(len(run.arrays), 'result')}, {count_of(elements, 'element')}"


def _located(text: str, found: Difference, *sides: Side) -> str:
    """With who wrote the element, on each side."""
    lines = [f"  {os.path.basename(side.path)}: {side.writer(found.result, found.index)}" for side in sides]
    return "\n".join([text, *lines])


def _place(loc: int, module: ModuleOp, verb: str) -> str:
    if module.source is None or loc < 0:
        return ""
    line, column = module.source.position(loc)
    text = module.source.line_at(loc).strip()
    text = text if len(text) <= MAX_LINE else text[: MAX_LINE - 3] + "..."
    return f", {verb} at {module.source.name}:{line}:{column}: {text}"
