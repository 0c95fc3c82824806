"""What `mir-run --compare` says of two runs: equal, where they part, or what keeps it from telling."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..ir.diagnostics import MAX_LINE
from ..planner.arena import count_of

if TYPE_CHECKING:
    from ..ir.builtin import FuncOp, ModuleOp
    from ..runtime.execute import Run
    from ..runtime.numerics import Array
    from ..runtime.recorded import Held


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two files: what ran, and what came out."""

    path: str
    func: FuncOp
    module: ModuleOp
    run: Run

    def writer(self, held: Held, index: tuple[int, ...]) -> str:
        """The tile that holds an element of a tensor, and the operation that stored or computed it."""
        from ..dialects.tile_ops import StoreBase

        name = held.value.name
        if not held.tile:
            return f"%{name}{_place(held.value.loc, self.module, 'computed')}"
        coord = tuple(i // t for i, t in zip(index, held.tile, strict=True))
        op = held.writers[coord]
        verb = "stored" if isinstance(op, StoreBase) else "computed"
        where = _place(op.loc, self.module, verb) if op is not None else ""
        return f"tile %{name}[{', '.join(map(str, coord))}]{where}"


def complaint(first: Side, second: Side, inputs: Sequence[Array]) -> str:
    """Why two recorded runs are not the same, or can't be told to be; empty where they are. `inputs` are those of both,
    in order."""
    from ..runtime.compare import first_nan
    from ..runtime.verdict import judge

    undecided = first_nan(first.run.arrays, second.run.arrays)
    if undecided is not None:
        verb = "element is" if undecided.count == 1 else "elements are"
        values = f"{undecided.first} against {undecided.second}"
        text = f"element [{undecided.where}]: {values}; {undecided.count:,} {verb} NaN, which equals nothing"
        sides = [side.writer(side.run.result(side.func, undecided.result), undecided.index) for side in (first, second)]
        name = first.func.returned()[undecided.result].name
        return _located(f"mir-run: error: can't compare %{name}, {text}", first, second, sides)
    found = judge(first.func, inputs, first.run, second.func, second.run)
    if found is None:
        return ""
    own = first.run.held_of(first.func, found.value)
    sides = [first.writer(own, found.index), second.writer(found.held, found.index)]
    return _located(f"{found.kind}: %{found.value.name}, {found.text}", first, second, sides)


def equal_text(run: Run) -> str:
    elements = sum(a.size for a in run.arrays)
    return f"equal: {count_of(len(run.arrays), 'result')}, {count_of(elements, 'element')}"


def _located(text: str, first: Side, second: Side, writers: Sequence[str]) -> str:
    """With who wrote the element, on each side."""
    lines = [f"  {os.path.basename(s.path)}: {words}" for s, words in zip((first, second), writers, strict=True)]
    return "\n".join([text, *lines])


def _place(loc: int, module: ModuleOp, verb: str) -> str:
    if module.source is None or loc < 0:
        return ""
    line, column = module.source.position(loc)
    text = module.source.line_at(loc).strip()
    text = text if len(text) <= MAX_LINE else text[: MAX_LINE - 3] + "..."
    return f", {verb} at {module.source.name}:{line}:{column}: {text}"
