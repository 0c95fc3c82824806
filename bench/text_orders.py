"""Whether the order of a graph's text matters: random topological orders of branching graphs, before `plan` sees them.

    python bench/text_orders.py                 fifty orders of each graph of bench/branching.py that has several
    python bench/text_orders.py --plan          also plans what the first and every other text become: bytes and cycles

All passes before `plan` are run on each. Where they make one text of all orders, bytes and cycles are the same too. The
exit status is 1 where they don't, or, with `--plan`, where bytes or cycles differ by more than 2 %.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterable

from branching import BRANCHING
from notation import Shape
from quality import planned, traffic
from tables import aligned

import tilewright
from tilewright.analysis.simulation import simulation_of
from tilewright.ir.builtin import FuncOp, ModuleOp
from tilewright.ir.core import Operation, Value
from tilewright.lowering.rewriting import ValueMap, clone, copy_value, map_functions, with_body
from tilewright.passes.manager.pipelines import parse_pipeline
from tilewright.passes.manager.running import run_passes_on

APART = 1.02
"""Most by which bytes, or cycles, of two orders may differ."""


def shuffled(func: FuncOp, generator: random.Random) -> FuncOp:
    """The function with its operations in a random topological order: at each place any that lacks no operand."""
    *waiting, last = func.ops
    known: set[Value] = set(func.args)
    ordered: list[Operation] = []
    while waiting:
        ready = [op for op in waiting if known.issuperset(op.operands)]
        op = generator.choice(ready)
        waiting.remove(op)
        known.update(op.results)
        ordered.append(op)
    values: ValueMap = {}
    args = [copy_value(arg, values) for arg in func.args]
    return with_body(func, args, [clone(op, values) for op in [*ordered, last]])


def orders_of(shape: Shape, count: int) -> list[ModuleOp]:
    """The graph as it is written, and up to so many other orders of it, each once."""
    generator = random.Random(0)
    given = tilewright.parse(shape.text)
    found = {tilewright.print(given): given}
    for _ in range(count):
        module = map_functions(given, lambda func, _: shuffled(func, generator))
        found.setdefault(tilewright.print(module), module)
    return list(found.values())


def before_plan(module: ModuleOp, shape: Shape) -> str:
    """The text that `plan` sees."""
    passes = parse_pipeline(shape.pipeline("O1"))
    names = [p.name for p in passes]
    return tilewright.print(run_passes_on(module, passes[: names.index("plan")], verify_input=False))


def figures(module: ModuleOp, shape: Shape) -> tuple[int, int]:
    """Bytes of -O1 and cycles of -O2; each schedule is proved against its graph."""
    least, _ = planned(module, shape.pipeline("O1"))
    fast, _ = planned(module, shape.pipeline("O2"))
    if least is None or fast is None:
        raise ValueError(f"{shape.name}: no schedule")
    moved, _ = traffic(module, least, True)
    traffic(module, fast, True)
    (func,) = fast.functions()
    return moved, simulation_of(func, fast).makespan


def measured(shape: Shape, count: int, plan: bool) -> tuple[list[str], bool] | None:
    """A graph's row, and whether its order does not matter; None for one that has one order only."""
    orders = orders_of(shape, count)
    if len(orders) == 1:
        return None
    texts: dict[str, ModuleOp] = {}
    for module in orders:
        texts.setdefault(before_plan(module, shape), module)
    row = [shape.name, str(len(orders)), str(len(texts))]
    if not plan:
        return row, len(texts) == 1
    found = [figures(module, shape) for module in texts.values()]
    apart = [max(each) / min(each) for each in zip(*found, strict=True)]
    return [*row, *(f"{ratio:.3f}" for ratio in apart)], max(apart) <= APART


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", default="", metavar="TEXT", help="only rows whose names contain this")
    parser.add_argument("--count", type=int, default=50, metavar="N", help="orders of each graph (default 50)")
    parser.add_argument("--plan", action="store_true", help="plan each text that is another one than the first")
    return parser


def main(arguments: Iterable[str] | None = None) -> int:
    args = make_parser().parse_args(None if arguments is None else list(arguments))
    shapes = [shape for shape in BRANCHING if args.rows in shape.name]
    rows = [found for shape in shapes if (found := measured(shape, args.count, args.plan)) is not None]
    heads = ["workload", "orders", "texts for plan", *(["bytes apart", "cycles apart"] if args.plan else [])]
    print(aligned([heads, *(row for row, _ in rows)]))
    return 0 if all(same for _, same in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
