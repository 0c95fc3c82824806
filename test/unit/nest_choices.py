"""Loop nests written by hand: a Hypothesis strategy of what an operation's attributes may say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tilewright.dialects.graph import ElementwiseOp, GraphOp, MatmulOp, ViewOp
from tilewright.ir.attributes import UNIT
from tilewright.ir.builtin import FuncOp


@dataclass(frozen=True)
class Choice:
    """What an operation's attributes may say; `group` is 0, 1 or None, and each group has its `rows`."""

    block: tuple[int, int] | None
    order: str | None
    reverse: bool
    snake: bool
    group: int | None
    rows: int
    stream: int | tuple[int, int] | None
    epilogue: bool
    sibling: str | None
    lazy: bool = False

    def fields(self, op: GraphOp) -> dict[str, Any]:
        """The attributes of one operation."""
        grouped = {} if self.group is None else {"group": self.group, "rows": self.rows}
        if isinstance(op, ViewOp):
            return {}
        lazy = {"lazy": UNIT} if self.group is not None and self.lazy else {}
        if not isinstance(op, MatmulOp):
            return grouped | ({"epilogue": UNIT} if self.epilogue and isinstance(op, ElementwiseOp) else lazy)
        if self.epilogue and not self.reverse:
            return {"epilogue": UNIT}
        marks = {name: UNIT for name in ("reverse", "snake") if getattr(self, name)}
        sizes = {"block": self.block, "order": self.order}
        own = marks | {name: value for name, value in sizes.items() if value is not None}
        stream = {"stream": self.stream} if self.group is not None and self.stream is not None else {}
        return grouped | (lazy or stream) | ({self.sibling: UNIT} if self.sibling else own)


@st.composite
def choices(draw: st.DrawFn, count: int = 8) -> list[Choice]:
    """Attributes for the operations of a function, in order."""
    counts = st.integers(1, 4)
    rows = draw(st.lists(counts, min_size=2, max_size=2))
    groups = st.sampled_from([None, 0, 0, 0, 1])
    made = []
    for group in draw(st.lists(groups, min_size=count, max_size=count)):
        made.append(Choice(
            block=draw(st.none() | st.tuples(counts, counts)),
            order=draw(st.sampled_from([None, "mn", "nm"])),
            reverse=draw(st.booleans()),
            snake=draw(st.booleans()),
            group=group,
            rows=0 if group is None else rows[group],
            stream=draw(st.sampled_from([None, 1, 2, 3, (1, 1), (2, 1)])),
            epilogue=draw(st.booleans()),
            sibling=draw(st.sampled_from([None, None, "beside", "below"])),
            lazy=draw(st.sampled_from([False, False, True])),
        ))  # fmt: skip
    return made


def write_choices(func: FuncOp, chosen: Sequence[Choice], accepted: Callable[[], bool] | None = None) -> None:
    """Puts the attributes on a function's operations, the last one first. With `accepted`, those that tie an operation
    to its neighbours are taken off again where they are not accepted."""
    ops = [op for op in func.ops if isinstance(op, GraphOp)]
    for op, choice in reversed(list(zip(ops, chosen, strict=False))):
        for name, value in choice.fields(op).items():
            setattr(op, name, value)
        for names in (("beside", "below"), ("stream", "epilogue"), ("lazy",), ("group", "rows")):
            if accepted is not None and not accepted():
                for name in names:
                    if hasattr(op, name):
                        setattr(op, name, None)
