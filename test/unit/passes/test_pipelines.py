"""Every pass alone, text file to text file, and each pipeline as pipes and in one process: the same bytes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tilewright
from tilewright.passes.manager import load_passes

from ..models import MIXED, REDUNDANT, REFERENCE

OPT = Path(sys.executable).with_name("opt")

SAMPLES = {
    "canonicalize": ("", ""),
    "cse": ("", ""),
    "dce": ("", ""),
    "decompose": ("", ""),
    "fuse": ("", ""),
    "linearize": ("fuse", ""),
    "split-softmax": ("", "columns=8"),
    "tile": ("fuse", "sizes=16x16x16"),
    "lower": ("fuse,tile{sizes=16x16x16}", ""),
    "plan": ("fuse,tile{sizes=16x16x16}", "sram=8KiB align=128 objective=traffic"),
    "forward": ("fuse,tile{sizes=16x16x16},lower", ""),
    "reorder": ("fuse,tile{sizes=32x32x32},lower", "sram=16KiB align=128"),
    "prefetch": ("fuse,tile{sizes=16x16x4},lower,schedule{sram=16KiB}", "distance=8 reserve=2KiB"),
    "schedule": ("fuse,tile{sizes=16x16x16},lower", "sram=16KiB evict=lru double-buffer"),
    "pingpong": ("fuse,tile{sizes=16x16x16},lower,schedule{sram=16KiB}", ""),
    "sync": ("fuse,tile{sizes=16x16x16},lower,schedule{sram=16KiB}", ""),
}
"""By pass: the pipeline that makes its input sample, and options to run it with. A new pass needs an entry."""

SIMPLIFYING = ("canonicalize", "cse", "dce")
NOTHING_TO_DO = {
    ("reorder", MIXED),
    ("decompose", REFERENCE),
    ("decompose", MIXED),
    ("split-softmax", REFERENCE),
    ("split-softmax", MIXED),
    ("linearize", REFERENCE),
    ("linearize", MIXED),
    *((name, text) for name in SIMPLIFYING for text in (REFERENCE, MIXED)),
}
"""What stays as it is."""

PIPELINES = [
    ["--fuse", "--tile", "--lower", "--schedule"],
    ["--fuse", "--tile=sizes=16x16x16", "--lower", "--schedule=sram=16KiB align=128 evict=lru double-buffer"],
    ["--tile=sizes=8x8x8", "--lower", "--schedule=sram=4KiB"],
    ["--fuse", "--tile=sizes=16x16x16", "--plan=sram=8KiB", "--lower", "--forward", "--schedule=sram=8KiB evict=cost"],
    ["--schedule=double-buffer"],
    [
        "--canonicalize",
        "--cse",
        "--fuse",
        "--linearize",
        "--tile=sizes=16x16x16",
        "--plan=sram=8KiB",
        "--lower",
        "--dce",
        "--schedule=sram=8KiB",
    ],
]


def opt(*words: str | Path, text: str | None = None, seed: str | None = None) -> bytes:
    """Runs the console script; standard error must stay empty."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONHASHSEED"}
    if seed is not None:
        env["PYTHONHASHSEED"] = seed
    given = None if text is None else text.encode()
    done = subprocess.run([OPT, *words], input=given, capture_output=True, env=env, check=False)
    assert (done.returncode, done.stderr) == (0, b""), done.stderr.decode()
    return done.stdout


def test_every_pass_has_a_sample() -> None:
    assert set(load_passes()) == set(SAMPLES)


@pytest.mark.parametrize("form", ["pretty", "generic"])
@pytest.mark.parametrize("name", sorted(load_passes()))
def test_a_pass_alone_from_file_to_file(name: str, form: str, tmp_path: Path) -> None:
    before, options = SAMPLES[name]
    source, target = tmp_path / "in.mir", tmp_path / "out.mir"
    for text in (REFERENCE, MIXED, *([REDUNDANT] if name in SIMPLIFYING else [])):
        source.write_text(tilewright.run_passes(text, before, generic=form == "generic"), encoding="utf-8")
        flag = f"--{name}={options}" if options else f"--{name}"
        assert opt(flag, source, "-o", target) == b""
        expected = tilewright.run_passes(text, f"{before},{name}{{{options}}}".removeprefix(","))
        assert target.read_text(encoding="utf-8") == expected
        assert (expected == tilewright.run_passes(text, before)) is ((name, text) in NOTHING_TO_DO)
        assert opt(target) == target.read_bytes()


@pytest.mark.parametrize("generic", [False, True], ids=["pretty", "generic"])
@pytest.mark.parametrize("flags", PIPELINES, ids=lambda flags: " ".join(flags))
def test_pipes_and_one_process_give_the_same_bytes(flags: list[str], generic: bool) -> None:
    between = ["--print-op-generic"] if generic else []
    for text in (REFERENCE, MIXED):
        piped = text
        for i, flag in enumerate(flags):
            form = between if i < len(flags) - 1 else []
            piped = opt(flag, *form, text=piped, seed=str(i)).decode()
        assert piped == opt(*flags, text=text).decode()


@pytest.mark.parametrize("generic", [False, True], ids=["pretty", "generic"])
def test_output_does_not_depend_on_the_hash_seed(generic: bool) -> None:
    for pipeline in (PIPELINES[1], PIPELINES[3]):
        flags = [*pipeline, *(["--print-op-generic"] if generic else [])]
        for text in (REFERENCE, MIXED):
            assert opt(*flags, text=text, seed="1") == opt(*flags, text=text, seed="2")
