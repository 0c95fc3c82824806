"""Measuring calls and whole processes, in turns, so that the machine's load hits all that is compared alike."""

from __future__ import annotations

import gc
import os
import platform
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

Times = dict[str, list[float]]
Work = dict[str, Callable[[], object]]


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and what the call returned."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def in_turns(work: Work, runs: int) -> Times:
    """Seconds of each piece of work, one run of each after the other, after one unmeasured turn."""
    times: Times = {name: [] for name in work}
    for turn in range(runs + 1):
        for name, run in work.items():
            gc.collect()
            taken = timed(run)[0]
            if turn:
                times[name].append(taken)
    return times


def ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """The median of each turn's ratio."""
    return median(a / b for a, b in zip(above, below, strict=True))


@dataclass(frozen=True)
class Sample:
    """One run of a process: seconds by the clock and on all processors, its largest memory in bytes, what it printed
    on either stream."""

    wall: float
    cpu: float
    memory: int
    output: str


class ProcessError(Exception):
    """A process that failed or took too long; the text says which."""


def run_process(words: Sequence[str | Path], limit: float = 900, folder: Path | None = None) -> Sample:
    """Runs a command to its end, with its children. Raises `ProcessError`."""
    with tempfile.TemporaryFile() as out:
        start = time.perf_counter()
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, cwd=folder, env=usual_environment()
        )
        timer = threading.Timer(limit, process.kill)
        timer.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        finally:
            timer.cancel()
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        output = out.read().decode("utf-8", "replace")
    if wall > limit:
        raise ProcessError(f"took more than {limit:.0f} s")
    if process.returncode:
        lines = output.strip().split("\n")
        line = next((line for line in lines if "rror" in line), lines[-1])
        raise ProcessError(f"{Path(words[0]).name} ended with {process.returncode}: {line[:100]}")
    unit = 1 if platform.system() == "Darwin" else 1024
    return Sample(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit, output)


def usual_environment() -> dict[str, str]:
    """The environment with Python's bytecode kept, as it usually is: else each run compiles what has changed anew."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def machine() -> dict[str, str | int]:
    """What the figures belong to."""
    model = platform.processor() or platform.machine()
    memory = ""
    if (info := Path("/proc/cpuinfo")).is_file():
        lines = info.read_text(encoding="utf-8", errors="replace").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    if "SC_PHYS_PAGES" in os.sysconf_names:
        memory = f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB"
    return {
        "cpu": model,
        "cores": os.cpu_count() or 0,
        "memory": memory,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "load_1min": f"{os.getloadavg()[0]:.2f}" if hasattr(os, "getloadavg") else "",
    }


def machine_text(about: dict[str, str | int]) -> str:
    """On one line."""
    return (
        f"{about['cpu']}, {about['cores']} cores, {about['memory']}, {about['python']}, {about['system']}, "
        f"load {about['load_1min']}"
    )
