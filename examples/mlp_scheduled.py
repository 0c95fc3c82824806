"""The reference perceptron from Python, from a graph to a double-buffered, checked schedule in five steps.

Run: python examples/mlp_scheduled.py
"""

from collections import Counter
from pathlib import Path

import tilewright as tw

MODEL = Path(__file__).with_name("mlp.mir")
CONFIG = tw.SRAMConfig(total_bytes=256 * 1024, alignment=64)
FIRST = 15


def main() -> None:
    """Prints the five steps, the statistics, the first operations and the invariants."""
    print("[1] graph     what to compute")
    graph = MODEL.read_text(encoding="utf-8")
    print(f"    {MODEL.name}: {counts(graph, 'graph.matmul', 'graph.relu')}")

    print("[2] fuse      relu becomes part of the matmul before it")
    fused = tw.run_passes(graph, "fuse")
    print(f"    {counts(fused, 'graph.matmul', 'graph.relu')}")

    print("[3] lower     32x32x32 tiles: what to load, multiply and store")
    uops = tw.run_passes(fused, "tile{sizes=32x32x32},lower")
    print(f"    {counts(uops, 'uop.load', 'uop.exec', 'uop.store')}")

    print("[4] schedule  an SRAM address for every tile, double-buffered")
    (function,) = tw.parse(uops).functions()
    schedule = tw.Scheduler(CONFIG, double_buffer=True).run(function.ops)
    text = tw.run_passes(uops, f"schedule{{sram={CONFIG.total_bytes} align={CONFIG.alignment} double-buffer}}")
    print(f"    {counts(text, 'sched.load', 'sched.exec', 'sched.store')}")

    print("[5] check     the schedule's text is replayed, byte range by byte range")
    print(f"    as printed:           {verdict(text)}")
    print(f"    one address changed:  {verdict(text.replace('@0x3000', '@0x3040', 1))}")

    print_statistics(schedule.stats)
    print(f"\nFirst {FIRST} of {len(schedule.ops)} operations")
    for number, op in enumerate(schedule.ops[:FIRST]):
        print(f"  {number:>2}  {op_text(op)}")
    print("\nInvariants")
    for holds, invariant in invariants(uops, schedule):
        print(f"  {'PASS' if holds else 'FAIL'}  {invariant}")


def counts(text: str, *names: str) -> str:
    """How many operations of each name a text holds."""
    found = Counter(op.name for function in tw.parse(text).functions() for op in function.ops)
    parts = ", ".join(f"{found[name]} {name}" for name in names)
    return f"{sum(found[name] for name in names)} ops: {parts}"


def verdict(text: str) -> str:
    """ "valid", or the first thing that is wrong with a text."""
    try:
        tw.parse(text)
    except tw.DiagnosticError as error:
        return error.diagnostics[0].message
    return "valid"


def print_statistics(stats: tw.ScheduleStats) -> None:
    """The schedule's figures, in bytes."""
    asked = stats.loads_emitted + stats.loads_eliminated
    print("\nStatistics")
    print(f"  scheduled operations  {stats.sched_ops}")
    print(f"  loads emitted         {stats.loads_emitted}")
    print(f"  loads eliminated      {stats.loads_eliminated} of {asked} ({stats.reuse:.1%})")
    print(f"  peak SRAM             {stats.peak_sram_bytes:,} of {CONFIG.total_bytes:,} B")
    print(f"  final live            {stats.final_live_bytes} B")


def op_text(op: tw.SchedLoad | tw.SchedExecute | tw.SchedStore) -> str:
    """One scheduled operation as a line."""
    if isinstance(op, tw.SchedStore):
        return f"store   {tile(op.tensor, op.coord, op.src_addr)}  {op.activation or ''}".rstrip()
    buffer = "" if op.buffer is None else f"  buffer {op.buffer}"
    if isinstance(op, tw.SchedLoad):
        return f"load    {tile(op.tensor, op.coord, op.dst_addr)}{buffer}"
    sources = ", ".join(tile(source.tensor, source.coord, source.addr) for source in op.srcs)
    sign = "+=" if op.accumulate else " ="
    return f"{op.kernel}  {tile(op.dst.tensor, op.dst.coord, op.dst.addr)} {sign} {sources}{buffer}"


def tile(tensor: str, coord: tuple[int, ...], address: int) -> str:
    """A tile and its address, as the textual IR writes them."""
    return f"%{tensor}[{', '.join(map(str, coord))}] @0x{address:04x}"


def invariants(uops: str, schedule: tw.Schedule) -> list[tuple[bool, str]]:
    """What every schedule is held to, each with whether it holds; the same four as `opt --report` shows."""
    stats = schedule.stats
    asked = Counter(op.name for function in tw.parse(uops).functions() for op in function.ops)
    read = sum(len({(source.tensor, source.coord) for source in op.srcs}) for op in schedule.executes)
    done = (len(schedule.executes), len(schedule.stores))
    return [
        (done == (asked["uop.exec"], asked["uop.store"]), "every exec and store of the uops is scheduled"),
        (
            stats.loads_emitted + stats.loads_eliminated == read,
            "loads emitted and eliminated add up to the tiles that the execs read",
        ),
        (stats.peak_sram_bytes <= CONFIG.total_bytes, "peak SRAM is within capacity"),
        (stats.final_live_bytes == 0, "nothing computed is left on chip"),
    ]


if __name__ == "__main__":
    main()
