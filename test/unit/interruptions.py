"""Signals to commands that are writing files, at random moments: nothing torn, no traceback, nothing left behind.

python test/unit/interruptions.py --seed 1 --kills 200 --interrupts 100 --terminations 100
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import tilewright

LAUNCH = """
import os, sys
from tilewright.tools import entry_points, signals
ready, command, *sys.argv[1:] = sys.argv[1:]
signals.catch_signals(command)
os.write(int(ready), b"x")
getattr(entry_points, command.replace("-", "_"))()
"""
"""Runs a command as its script does, but says when its first lines have been run. What comes before is Python's own
start, in which Ctrl-C is Python's too."""

ROOT = Path(__file__).resolve().parents[2]

OLD = b"old"

MODEL = """func.func @f(%x: tensor<512x512xf32>, %w: tensor<512x512xf32>) -> tensor<512x512xf32> {
  %y = graph.matmul %x, %w : (tensor<512x512xf32>, tensor<512x512xf32>) -> tensor<512x512xf32>
  return %y : tensor<512x512xf32>
}
"""


@dataclass
class Writer:
    """A command and the files that it writes, with what is in them afterwards and how long it takes."""

    command: str
    words: list[str]
    outputs: list[Path]

    def __post_init__(self) -> None:
        start = time.monotonic()
        status, self.said = self.finish(self.start()[0])
        assert status == 0
        self.seconds = time.monotonic() - start
        self.written = [path.read_bytes() for path in self.outputs]

    @property
    def folder(self) -> Path:
        return self.outputs[0].parent

    def reset(self) -> None:
        for path in self.outputs:
            path.write_bytes(OLD)

    def start(self) -> tuple[subprocess.Popen[str], int]:
        """The process, and a pipe that tells when its first lines have been run."""
        told, ready = os.pipe()
        process = subprocess.Popen(
            [sys.executable, "-c", LAUNCH, str(ready), self.command, *self.words],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, pass_fds=[ready],
            # What runs in the background of a shell that is no terminal's has Ctrl-C ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
        os.close(ready)
        return process, told

    def finish(self, process: subprocess.Popen[str]) -> tuple[int, str]:
        _, errors = process.communicate(timeout=120)
        return process.returncode, errors

    def others(self) -> list[str]:
        """What is in the folder beside the outputs."""
        return sorted({p.name for p in self.folder.iterdir()} - {p.name for p in self.outputs})

    def is_torn(self, number: signal.Signals) -> bool:
        """Whether an output is neither as before nor whole; or one of several is whole, and another as before, which
        only `SIGKILL` may do."""
        found = [path.read_bytes() for path in self.outputs]
        if number == signal.SIGKILL:
            return any(content not in (OLD, whole) for content, whole in zip(found, self.written, strict=True))
        return found not in ([OLD] * len(found), self.written)


def interrupted(writer: Writer, number: signal.Signals, delay: Callable[[Writer], Iterable[None]]) -> tuple[int, str]:
    """Sends a signal to a command when `delay` is over; its exit status and what it said."""
    writer.reset()
    process, told = writer.start()
    os.read(told, 1)
    os.close(told)
    for _ in delay(writer):
        if process.poll() is not None:
            break
    process.send_signal(number)
    return writer.finish(process)


def anywhere(rng: random.Random) -> Callable[[Writer], Iterator[None]]:
    """Some moment from the first lines on to the end."""

    def delay(writer: Writer) -> Iterator[None]:
        time.sleep(rng.uniform(0, writer.seconds))
        yield

    return delay


def while_writing(rng: random.Random) -> Callable[[Writer], Iterator[None]]:
    """Some moment after a file has been begun."""

    def delay(writer: Writer) -> Iterator[None]:
        before = set(os.listdir(writer.folder))
        while set(os.listdir(writer.folder)) <= before:
            yield
        time.sleep(rng.choice([0.0, rng.uniform(0, 0.002), rng.uniform(0, 0.01)]))

    return delay


def fault(writer: Writer, number: signal.Signals, status: int, errors: str) -> str:
    """What is wrong after a command has had a signal; "" for nothing. It may have been through before."""
    expected = {
        signal.SIGINT: (130, f"{writer.command}: interrupted\n"),
        signal.SIGTERM: (-signal.SIGTERM, ""),
        signal.SIGKILL: (-signal.SIGKILL, ""),
    }
    if (status, errors.removeprefix(writer.said)) not in ((0, ""), expected[number]):
        return f"exit status {status}: {errors}"
    if writer.is_torn(number):
        return "half of the output"
    if number != signal.SIGKILL and writer.others():
        return f"left behind: {writer.others()}"
    return ""


def fault_of_next(writer: Writer) -> str:
    """What is wrong with the next write, which is to find what others have left."""
    if (
        writer.finish(writer.start()[0]) != (0, writer.said)
        or [p.read_bytes() for p in writer.outputs] != writer.written
    ):
        return "the next write fails"
    return f"left behind: {writer.others()}" if writer.others() else ""


def writers(folder: Path, commands: Sequence[str] = ("opt", "mir-viz", "mir-run", "mir-translate")) -> list[Writer]:
    """Commands with outputs that take a while to write."""
    model, schedule, arrays = folder / "model.mir", folder / "sched.mir", folder / "arrays.npz"
    model.write_text(MODEL, encoding="utf-8")
    schedule.write_text(tilewright.run_passes(MODEL, "schedule{sram=64KiB}"), encoding="utf-8")
    np.savez(arrays, x=np.ones((512, 512), np.float32), w=np.ones((512, 512), np.float32))
    onnx = ROOT / "examples" / "digits" / "digits.onnx"
    known: dict[str, tuple[list[object], list[tuple[str, str]]]] = {
        "opt": ([schedule], [("-o", "out.mir")]),
        "mir-viz": ([schedule], [("-o", "out.html")]),
        "mir-run": ([model, "--inputs", arrays], [("-o", "out.npz")]),
        "mir-translate": (
            ["--import-onnx", onnx, "--outputs", "add_result2"],
            [("-o", "out.mir"), ("--weights", "out.npz")],
        ),
    }
    made: list[Writer] = []
    for command in commands:
        words, outputs = known[command]
        out = folder / command
        out.mkdir()
        words += [word for option, name in outputs for word in (option, out / name)]
        made.append(Writer(command, [str(word) for word in words], [out / name for _, name in outputs]))
    return made


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    for option in ("kills", "interrupts", "terminations"):
        parser.add_argument(f"--{option}", type=int, default=10)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    wanted = {signal.SIGKILL: args.kills, signal.SIGINT: args.interrupts, signal.SIGTERM: args.terminations}
    with tempfile.TemporaryDirectory() as folder:
        commands = writers(Path(folder))
        return sum([_series(number, count, commands, rng) for number, count in wanted.items()])


def _series(number: signal.Signals, count: int, commands: list[Writer], rng: random.Random) -> int:
    """Sends a signal so often that it comes while a file is being written; returns 1 if anything was wrong."""
    hits = late = left = 0
    faults: list[str] = []
    while hits < count and not faults:
        writer = rng.choice(commands[:1] * 4 + commands)
        moment = rng.choice([while_writing(rng), while_writing(rng), anywhere(rng)])
        status, errors = interrupted(writer, number, moment)
        hits += status != 0
        late += status == 0
        left += bool(writer.others())
        faults += filter(None, [fault(writer, number, status, errors)])
        if writer.others():
            faults += filter(None, [fault_of_next(writer)])
    print(f"{number.name}: {hits} in time, {late} too late; {left} left a file; faults: {faults or 'none'}", flush=True)
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
