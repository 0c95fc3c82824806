"""What nobody writes but somebody sends: attributes of wrong kinds, extreme numbers, in texts and in options.

A seeded sample: every command ends with 0, or with 1 or 2 and a message, and never in a traceback.
"""

from __future__ import annotations

import io
import random
import re
import sys
from pathlib import Path
from typing import Any

import pytest

import tilewright as tw
from tilewright.passes.manager import load_passes, options_of
from tilewright.tools import opt, run, sim, translate, viz

from ..models import MIXED

SEED = 12
TEXTS = 120
OPTIONS = 40

SMALL = """\
func.func @f(%x: tensor<8x8xf32>, %w: tensor<8x8xf32>) -> tensor<8x8xf32> {
  %h = graph.matmul %x, %w : (tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<8x8xf32>
  %y = graph.clip %h {params = [0.0 : f32, 6.0 : f32]} : tensor<8x8xf32>
  return %y : tensor<8x8xf32>
}
"""
VALUES = [
    "{}", "[{}]", "[]", "[[]]", "[[[0]]]", "unit", "true", "false", '""', '"zz"', '"matmul"', "@f", "0", "1", "-1",
    "9223372036854775807", "-9223372036854775808", "4 : i32", "0.5", "0.5 : f32", "0x7FC00000 : f32", "f32",
    "[0, 0]", "[[0, 0]]", "[[0, 0], [0, 0], [0, 0]]", "[[9223372036854775807, 0]]", "[0.5 : f32]", "[1, 2, 3]",
    "[9000000000000000000, 9000000000000000000, 9000000000000000000]", "[1000000000, 1000000000, 1000000000]",
    "{a = {b = [{}]}}", "dense<0> : tensor<2xi32>", "[0, true]", "[[0, 64]]", "{relu = 9223372036854775807}",
    "{alignment = 64, total_bytes = 9223372036854775807}", "{alignment = 4611686018427387904, total_bytes = 64}",
    "{sram_bytes = 9223372036854775807, dma_latency = 9223372036854775807}", '"pingpong"',
]  # fmt: skip
EXTREMES = ["0", "1", "2", "63", "64", "4096", "4294967296", "4611686018427387904", "9223372036854775807"]
SPEEDS = [
    *("sram_bytes", "alignment", "dma_bytes_per_cycle", "dma_latency", "macs_per_cycle", "elements_per_cycle"),
    "kernel_cycles = {matmul = 9223372036854775807}, dma_latency",
]
KEYS = [
    "kernel", "coords", "addrs", "accumulate", "activation", "activation_params", "params", "scale", "zero_point",
    "bytes", "buffer", "half", "queue", "signal", "wait", "retain", "spill", "tile", "group", "rows", "block", "order",
    "reverse", "snake", "stream", "epilogue", "at", "pin", "dram", "on_chip", "sched.sram", "sched.stats",
    "sched.target", "sched.pin", "sched.at", "graph.tile", "graph.param", "zz", "zz.zz",
]  # fmt: skip
NUMBERS = ["0", "1", "3", "64", "1000000000", "999999999999999GiB", "9" * 40, "-1", "", "zz", "1e9", "999999999x1x1"]
"""Values for options, most of them extreme."""

ENTRY = re.compile(r'([\w.$]+) = ((?:"[^"]*"|\[[^{}]*?\]|[\w.\-]+(?: : \w+)?)(?=[,}]))')


@pytest.fixture(scope="module")
def bases() -> list[str]:
    """The generic form of both programs at each level."""
    pipelines = [
        "",
        "tile{sizes=4x4x4}",
        "tile{sizes=4x4x4},plan",
        "tile{sizes=4x4x4},lower",
        "O1{sram=4KiB tile=4x4x4}",
    ]
    pipelines += ["schedule{double-buffer},sync", "tile{sizes=4x4x4},schedule,pingpong,sync"]
    texts = [tw.run_passes(text, pipeline, generic=True) for text in (SMALL, MIXED) for pipeline in pipelines]
    return [*texts, *(tw.run_passes(SMALL, pipeline) for pipeline in pipelines)]


def with_fault(text: str, draw: random.Random) -> str:
    """One attribute's value replaced, a number made extreme, a machine of extremes, or one more attribute."""
    kind = draw.random()
    numbers = list(re.finditer(r"(?<![\w.%@\"#-])[0-9]+(?![.])", text))
    if kind < 0.3 and numbers:
        place = draw.choice(numbers)
        return text[: place.start()] + draw.choice(EXTREMES) + text[place.end() :]
    if kind < 0.5:
        keys = draw.sample(SPEEDS, draw.randint(1, len(SPEEDS)))
        target = ", ".join(f"{key} = {draw.choice(EXTREMES)}" for key in keys)
        return f"module attributes {{sched.target = {{{target}}}}} {{\n{text}}}\n"
    places = list(ENTRY.finditer(text))
    if places and kind < 0.9:
        place = draw.choice(places)
        return text[: place.start(2)] + draw.choice(VALUES) + text[place.end(2) :]
    braces = [match.end() for match in re.finditer(r"\{(?=[\w.$]+ = |[\w.]+[,}])", text)]
    at = draw.choice(braces) if braces else text.index("{") + 1
    return f"{text[:at]}{draw.choice(KEYS)} = {draw.choice(VALUES)}, {text[at:]}"


WORDS: list[tuple[Any, str]] = [
    (opt, "-O1 --report"),
    (opt, "-O2"),
    (opt, "--schedule --print-op-generic"),
    (opt, "--verify-against FILE"),
    (opt, "--prefetch --report=json"),
    (opt, "--target=npu-small"),
    (opt, "--pass-pipeline=fuse,tile,plan,lower,reorder"),
    (opt, "--parser=lark --allow-unregistered-dialect"),
    (run, "--no-verify"),
    (run, "--no-verify --no-poison"),
    (run, "--no-verify --interleave 1"),
    (run, "--no-verify --threads"),
    (run, "--no-verify --compare FILE"),
    (sim, ""),
    (sim, "--target=npu-wide --json --timeline"),
    (viz, "--ascii"),
    (viz, "-o PAGE.html"),
    (viz, "--axis=cycle -o PAGE.svg"),
    (translate, "--to-csv"),
    (translate, "--to-csv=lives"),
    (translate, "--to-perfetto"),
    (translate, "--to-dot"),
]
"""Commands and their words beside the file's name, which FILE stands for too."""


def check(tool: Any, words: list[str], capsys: pytest.CaptureFixture[str], text: str = "") -> None:
    try:
        status = tool.main(words)
    except Exception as error:
        raise AssertionError(f"{tool.__name__} {words}: {type(error).__name__}: {error}\n{text}") from error
    message = capsys.readouterr().err
    assert status in (0, 1, 2), (words, message, text)
    assert status == 0 or "error: " in message or "different: " in message, (words, message, text)


def test_attributes_of_any_kind(bases: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw = random.Random(SEED)
    path = tmp_path / "text.mir"
    for _ in range(TEXTS):
        text = with_fault(draw.choice(bases), draw)
        path.write_text(text, encoding="utf-8")
        check(opt, [str(path)], capsys, text)
        tool, words = draw.choice(WORDS)
        named = words.replace("FILE", str(path)).replace("PAGE", str(tmp_path / "page"))
        check(tool, [*named.split(), str(path)], capsys, text)


@pytest.mark.parametrize("suffix", ["html", "svg", "txt"])
def test_cycles_beyond_64_bits_are_drawn(suffix: str, tmp_path: Path) -> None:
    target = "{dma_latency = 9223372036854775807, kernel_cycles = {matmul = 9223372036854775807}}"
    made = tw.run_passes(f"module attributes {{sched.target = {target}}} {{\n{SMALL}}}\n", "schedule")
    path = tmp_path / "in.mir"
    path.write_text(made, encoding="utf-8")
    assert tw.simulate(made).makespan > 1 << 63
    assert viz.main([str(path), "-o", str(tmp_path / f"out.{suffix}")]) == 0
    assert (tmp_path / f"out.{suffix}").stat().st_size > 1000


@pytest.mark.parametrize("size", [10**9, 4 * 10**8, 9 * 10**18])
@pytest.mark.parametrize("level", ["-O0", "-O1", "-O2"])
def test_tiles_of_any_size(size: int, level: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A graph's tiles are cut to its tensors; a text in tiles may have larger ones."""
    path, made = tmp_path / "in.mir", tmp_path / "made.mir"
    path.write_text(SMALL.replace("%w :", f"%w {{tile = [{size}, {size}, {size}]}} :"), encoding="utf-8")
    check(opt, [level, str(path)], capsys)
    text = tw.run_passes(SMALL, "tile,lower")
    path.write_text(re.sub(r"\[\d+, \d+\]>", f"[{size}, {size}]>", text), encoding="utf-8")
    assert opt.main(["--schedule", str(path)]) == 1
    assert re.search(
        r"in\.mir:\d:\d+: error: schedule: out of SRAM: no room for %\w\[0, 0\], ", capsys.readouterr().err
    )
    check(opt, [f"{level}=sram=900TB", str(path), "-o", str(made)], capsys)
    check(run, [str(made if made.exists() else path)], capsys)


@pytest.mark.parametrize(
    "header", ["{{{{", "(" * 50_000, "{" * 117, "{'descr': [('a', {})]}", "\0", "'", "{'a': {}, {}: 1}", "1 +", "\xff{"]
)
def test_headers_of_any_kind(header: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, text = tmp_path / "x.npy", tmp_path / "in.mir"
    text.write_text(SMALL, encoding="utf-8")
    data = header.encode("latin-1").ljust(118) + b"\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(data).to_bytes(2, "little") + data)
    assert run.main(["--input", f"x={path}", str(text)]) == 1
    assert capsys.readouterr().err.startswith(f"mir-run: error: {path}: ")


def test_options_of_any_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw = random.Random(SEED)
    graph, made = tmp_path / "graph.mir", tmp_path / "made.mir"
    graph.write_text(SMALL, encoding="utf-8")
    made.write_text(tw.run_passes(SMALL, "schedule"), encoding="utf-8")
    passes = {name: [*options_of(cls)] for name, cls in load_passes().items()}
    for _ in range(OPTIONS):
        name = draw.choice([name for name, options in passes.items() if options])
        given = {key: draw.choice(NUMBERS) for key in draw.sample(passes[name], draw.randint(1, len(passes[name])))}
        path = str(made if name in ("prefetch", "pingpong", "sync") else graph)
        shown = " ".join(f"{key}={value}" for key, value in given.items())
        check(opt, [f"--{name}={shown}", path], capsys)
        check(opt, [f"-O{draw.choice('012')}={shown}", str(graph)], capsys)
        check(sim, [f"--top={draw.choice(NUMBERS)}", str(made)], capsys)
        check(run, [f"--random={draw.choice(NUMBERS)}", str(draw.choice([graph, made]))], capsys)


@pytest.fixture(autouse=True)
def no_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
