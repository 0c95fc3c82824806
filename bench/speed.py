"""Runs the commands whose speed is compared, each size in turns, on files of one module in three forms."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from timing import ProcessError, Sample, run_process

BENCH = Path(__file__).resolve().parent
BIN = Path(sys.executable).parent
LARGEST = 1_000_000
SIZES = (10, 1_000, 10_000, 100_000, LARGEST)
TURNS = {10: 21, 1_000: 7, 10_000: 7, 100_000: 7, LARGEST: 3}
WARM = 100_000
"""Up to this size a first turn is not counted: it brings files, bytecode and the parser's tables into caches."""

TEN_LINES = """\
func.func @mlp(%x: tensor<64x64xf32>, %w1: tensor<64x64xf32> {graph.param}, %b1: tensor<64xf32> {graph.param},
               %w2: tensor<64x32xf32> {graph.param}) -> tensor<64x32xf32> {
  %a1 = graph.matmul %x, %w1 : (tensor<64x64xf32>, tensor<64x64xf32>) -> tensor<64x64xf32>
  %s1 = graph.add %a1, %b1 : (tensor<64x64xf32>, tensor<64xf32>) -> tensor<64x64xf32>
  %h1 = graph.relu %s1 : tensor<64x64xf32>
  // the second layer
  %a2 = graph.matmul %h1, %w2 : (tensor<64x64xf32>, tensor<64x32xf32>) -> tensor<64x32xf32>
  %h2 = graph.relu %a2 : tensor<64x32xf32>
  return %h2 : tensor<64x32xf32>
}
"""


@dataclass(frozen=True)
class Command:
    """A command line with `{pretty}`, `{generic}`, `{sched}`, `{out}` for files, for modules of `least` to `most`
    operations; on those of `once` or more it runs once."""

    name: str
    words: tuple[str | Path, ...]
    least: int = 0
    most: int = LARGEST
    once: int = LARGEST + 1

    def line(self, files: dict[str, Path]) -> list[str]:
        return [str(word).format_map(files) for word in self.words]

    def turns(self, size: int, most: int) -> range:
        """The turns that it takes part in; the one before 0 is not counted."""
        if not self.least <= size <= self.most:
            return range(0)
        return range(1) if size >= self.once else range(-1 if size <= WARM else 0, min(TURNS[size], most))

    @property
    def text(self) -> str:
        return " ".join(Path(word).name if isinstance(word, Path) else word for word in self.words)


DISTINCT = """\
func.func @product(%x: tensor<1024x1024xf32>, %w: tensor<1024x1024xf32>) -> tensor<1024x1024xf32> {
  %y = graph.matmul %x, %w : (tensor<1024x1024xf32>, tensor<1024x1024xf32>) -> tensor<1024x1024xf32>
  return %y : tensor<1024x1024xf32>
}
"""
"""Its schedule in 256 KiB has hardly a line twice: nothing that is known of whole lines helps to read it."""

DISTINCT_OPS, DISTINCT_SIZE = 66_626, 100_000
"""The operations of that schedule, and the size of modules beside which it is measured."""

OPT, PYTHON, STAGES = BIN / "opt", Path(sys.executable), BENCH / "stages.py"
OURS = (
    Command("python", (PYTHON, "-c", "pass"), most=10),
    Command("opt, generic text", (OPT, "{generic}", "-o", "{out}")),
    Command("opt, pretty text", (OPT, "{pretty}", "-o", "{out}")),
    Command("opt, generic to generic", (OPT, "{generic}", "--print-op-generic", "-o", "{out}"), most=100_000),
    Command("opt, distinct lines", (OPT, "{distinct}", "-o", "{out}"), least=DISTINCT_SIZE, most=DISTINCT_SIZE),
    Command("opt --schedule", (OPT, "--schedule", "{pretty}", "-o", "{out}")),
    Command(
        "opt --parser=lark, generic text",
        (OPT, "--parser=lark", "{generic}", "-o", "{out}"),
        most=100_000,
        once=100_000,
    ),
    Command("stages, pretty", (PYTHON, STAGES, "{pretty}"), least=1_000),
    Command("stages, generic", (PYTHON, STAGES, "{generic}"), least=1_000),
    Command("stages, schedule", (PYTHON, STAGES, "{sched}"), least=1_000, most=100_000),
    Command("stages, Lark", (PYTHON, STAGES, "--lark", "{pretty}"), least=1_000, most=100_000, once=100_000),
    Command("memory, pretty", (PYTHON, STAGES, "--memory", "{pretty}"), least=10_000, most=100_000, once=10_000),
    Command("memory, generic", (PYTHON, STAGES, "--memory", "{generic}"), least=10_000, most=100_000, once=10_000),
)

KEEP = "--allow-unregistered-dialect"


def mlir_commands(tool: Path) -> tuple[Command, ...]:
    words = (tool, KEEP, "{generic}", "-o", "{out}")
    return (
        Command("mlir-opt", words),
        Command("mlir-opt, distinct lines", (tool, KEEP, "{distinct}", "-o", "{out}"), DISTINCT_SIZE, DISTINCT_SIZE),
        Command("mlir-opt, generic form", (*words, "--mlir-print-op-generic"), least=1_000, most=100_000),
        Command("mlir-opt, timed", (*words, "--mlir-timing"), least=1_000),
    )


def xdsl_commands(tool: Path) -> tuple[Command, ...]:
    return (Command("xdsl-opt", (tool, KEEP, "{generic}", "-o", "{out}"), most=100_000, once=100_000),)


@dataclass
class Measured:
    """Samples by size and command; for what is not there, why; the number of operations by size."""

    samples: dict[int, dict[str, list[Sample]]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    commands: list[Command] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    ops: dict[int, int] = field(default_factory=dict)

    def of(self, size: int, name: str) -> list[Sample]:
        return self.samples.get(size, {}).get(name, [])

    def why(self, *names: str) -> str:
        """The reason for which one of the commands has no samples."""
        return next((self.missing[name] for name in names if name in self.missing), "not measured")


def find(*names: str) -> Path | None:
    folders = (str(BIN), None)
    return next((Path(found) for f in folders for n in names if (found := shutil.which(n, path=f))), None)


def add_others(measured: Measured) -> None:
    """The tools of others, where they are installed."""
    mlir, xdsl = find("mlir-opt-22", "mlir-opt"), find("xdsl-opt")
    for tool, commands, missing in (
        (mlir, mlir_commands, "mlir-opt is not installed"),
        (xdsl, xdsl_commands, "xdsl-opt is not installed"),
    ):
        for command in commands(tool or Path()):
            if tool:
                measured.commands.append(command)
            else:
                measured.missing[command.name] = missing
    if mlir:
        found = re.search(r"LLVM version \S+", run_process([mlir, "--version"]).output)
        measured.versions["mlir-opt"] = found[0] if found else "?"
    for package in ("xdsl", "lark"):
        try:
            measured.versions[package] = version(package)
        except PackageNotFoundError:
            continue


def make_files(size: int, folder: Path) -> dict[str, Path]:
    """One module in pretty and generic form, and its schedule."""
    # xdsl-opt goes by the ending.
    files = {name: folder / f"{size}.{name}.mlir" for name in ("pretty", "generic", "sched", "distinct", "out")}
    if size == 10:
        files["pretty"].write_text(TEN_LINES, encoding="utf-8")
    else:
        made = run_process([PYTHON, BENCH / "generate.py", "--uops", str(size)])
        files["pretty"].write_text(made.output, encoding="utf-8")
    run_process([OPT, "--print-op-generic", files["pretty"], "-o", files["generic"]])
    if 10 < size < LARGEST:
        run_process([OPT, "--schedule", files["pretty"], "-o", files["sched"]])
    if size == DISTINCT_SIZE:
        files["distinct"].write_text(DISTINCT, encoding="utf-8")
        generic = ("--print-op-generic", "-o", files["distinct"])
        run_process([OPT, "-O0", "--schedule=sram=256KiB", files["distinct"], *generic])
    return files


def measure_size(measured: Measured, size: int, most_turns: int, folder: Path) -> None:
    """Each turn runs every command once; one that fails is left out from then on, with a reason."""
    say(f"{size:,} operations: the files")
    files = make_files(size, folder)
    taken = measured.samples[size] = {}
    turns = min(TURNS[size], most_turns)
    for turn in range(-1, turns):
        say(f"{size:,} operations: turn {turn + 1} of {turns}")
        for command in measured.commands:
            if command.name in measured.missing or turn not in command.turns(size, most_turns):
                continue
            try:
                sample = run_process(command.line(files), limit=300)
            except ProcessError as error:
                measured.missing[command.name] = str(error)
                taken.pop(command.name, None)
                continue
            if turn >= 0:
                taken.setdefault(command.name, []).append(sample)
    stages = measured.of(size, "stages, pretty")
    measured.ops[size] = json.loads(stages[0].output)["ops"] if stages else size
    for path in files.values():
        path.unlink(missing_ok=True)


def measure(sizes: Sequence[int], most_turns: int, folder: Path) -> Measured:
    measured = Measured(commands=list(OURS))
    add_others(measured)
    for size in sizes:
        measure_size(measured, size, most_turns, folder)
    say("")
    return measured


def say(text: str) -> None:
    """Progress, on a terminal's last line."""
    if sys.stderr.isatty():
        print(f"\r{text:<60}\r", end="", file=sys.stderr, flush=True)


# What samples say


def stage(sample: Sample, name: str, cpu: bool = False) -> float:
    """Seconds of a stage of `stages.py`."""
    return json.loads(sample.output)["stages"][name][cpu]


def mlir_stage(sample: Sample, name: str, cpu: bool = False) -> float:
    """Seconds of a line of mlir-opt's report: `Parser` or `Output`. It reports the clock's; of these, the processor's
    part of the whole process."""
    found = re.search(rf"([\d.]+) +\( *[\d.]+%\) +{name}$", sample.output, re.MULTILINE)
    if found is None:
        raise ProcessError(f"mlir-opt --mlir-timing prints no line '{name}'")
    return float(found[1]) * (sample.cpu / sample.wall if cpu else 1)
