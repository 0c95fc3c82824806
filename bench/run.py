"""Measures how fast everything is, against bounds and side by side with `mlir-opt` and `xdsl-opt` where installed.

    python bench/run.py            modules of up to 1,000,000 operations: about a quarter of an hour
    python bench/run.py --quick    up to 100,000, fewer turns, without the large model and the lit suite
    python bench/run.py --markdown README.md docs/performance.md     and puts the tables into these

What is compared runs in turns, one process after the other; figures are medians, ratios medians of each turn's ratio,
by the clock; processor time stands beside them. build/bench.json has all single times, docs/images/speed.svg the
curves. Nothing is asserted: a bound that is not met is a line in the table, and the exit status stays 0.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path

from figures import bounded_rows, curves, memory_lines, process_lines, share_lines, stage_lines
from speed import BENCH, BIN, OPT, PYTHON, SIZES, TURNS, Measured, measure, say
from tables import Bound, Row, aligned, markdown, refresh, row_lines
from timing import ProcessError, machine, machine_text, run_process

ROOT = BENCH.parent
OUTPUT = ROOT / "build" / "bench.json"
PLOT = ROOT / "docs" / "images" / "speed.svg"
LEFT_OUT = "left out by --quick"
GIB = 2**30


def model_rows(folder: Path, quick: bool) -> list[Row]:
    """BERT-base's products from the graph: planned for least time, scheduled, verified."""
    name = "BERT-base's products, `opt -O2 --schedule='sram=1MiB'`"
    limits = Bound(300, 90, most=True), Bound(4, most=True)

    def rows(seconds: float | None, cpu: float | None, memory: float | None, note: str = "") -> list[Row]:
        return [Row(name, seconds, "s", limits[0], cpu, note), Row("its memory", memory, "GiB", limits[1], None, note)]

    if quick:
        return rows(None, None, None, LEFT_OUT)
    say(name)
    model = folder / "model.mir"
    try:
        model.write_text(run_process([PYTHON, BENCH / "generate.py", "--bert-base"]).output, encoding="utf-8")
    except ProcessError:
        return rows(None, None, None, "bench/generate.py has no --bert-base")
    try:
        sample = run_process([OPT, "-O2", "--schedule=sram=1MiB", model, "-o", folder / "model.sched.mir"], limit=900)
    except ProcessError as error:
        return rows(None, None, None, str(error))
    return rows(sample.wall, sample.cpu, sample.memory / GIB)


def suite_row(quick: bool) -> Row:
    """The lit suite, once, on all cores."""
    name, bound = "the lit suite", Bound(60, 30, most=True)
    if quick:
        return Row(name, None, "s", bound, note=LEFT_OUT)
    say(name)
    try:
        sample = run_process([BIN / "lit", "-q", "test"], folder=ROOT)
    except (ProcessError, OSError) as error:
        return Row(name, None, "s", bound, note=str(error))
    return Row(name, sample.wall, "s", bound)  # on two cores, by the clock


def texts(measured: Measured, rows: list[Row], about: str) -> dict[str, str]:
    """What stands between marks `<!-- speed: NAME -->`."""
    bounds = row_lines(rows)
    return {
        "machine": about,
        "bounds": markdown(bounds, left=(0, len(bounds[0]) - 1)),
        "stages": markdown(stage_lines(measured)),
        "processes": markdown(process_lines(measured)),
        "shares": markdown(share_lines(measured)),
        "memory": markdown(memory_lines(measured)),
    }


def record(measured: Measured, rows: list[Row], about: dict[str, str | int], quick: bool) -> dict[str, object]:
    """What build/bench.json holds."""
    samples = {
        str(size): {name: [asdict(sample) for sample in runs] for name, runs in taken.items()}
        for size, taken in measured.samples.items()
    }
    return {
        "machine": about, "versions": measured.versions, "quick": quick, "ops": measured.ops,
        "commands": {command.name: command.text for command in measured.commands}, "missing": measured.missing,
        "rows": [asdict(row) | {"verdict": row.verdict} for row in rows], "curves": curves(measured),
        "samples": samples,
    }  # fmt: skip


def draw(figures: Path) -> None:
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return print("no plot: matplotlib is not installed")
    from speed_plot import draw_file

    draw_file(figures, PLOT)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="up to 100,000 operations")
    parser.add_argument("--markdown", type=Path, nargs="+", default=[], metavar="FILE", help="refresh tables in these")
    args = parser.parse_args()
    about = machine()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        measured = measure(SIZES[:-1], 3, folder) if args.quick else measure(SIZES, max(TURNS.values()), folder)
        rows = [*bounded_rows(measured), *model_rows(folder, args.quick), suite_row(args.quick)]
    say("")
    others = ", ".join(f"{tool} {number}" for tool, number in measured.versions.items())
    about_text = f"{machine_text(about)}; {others}"
    print(about_text + "\n")
    bounds = row_lines(rows)
    lists = (bounds, stage_lines(measured), process_lines(measured), share_lines(measured), memory_lines(measured))
    print("\n\n".join(aligned(lines, (0, len(lines[0]) - 1) if lines is bounds else (0,)) for lines in lists))
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(json.dumps(record(measured, rows, about, args.quick), indent=1) + "\n", encoding="utf-8")
    for name, reason in measured.missing.items():
        print(f"\nnot measured: {name}: {reason}", end="")
    print(f"\nwritten to {os.path.relpath(OUTPUT)}")
    if args.markdown:
        made = texts(measured, rows, about_text)
        for path in args.markdown:
            refresh(path, "speed", made.get)
        draw(OUTPUT)


if __name__ == "__main__":
    main()
