"""The stages of one process on one file, as JSON: `python bench/stages.py FILE`; a process of its own for `run.py`.

Seconds by the clock and of the processor of: loading the parser; reading the text once (`parse`: statement shapes are
made and memos filled meanwhile) and a second time; verifying; printing both forms; and, for a module without a
schedule, the schedule pass with the verifying and printing of what it makes.

`--lark` leaves the statement shapes out. `--memory` measures bytes instead: what the module takes, and what stays when
it is gone.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tilewright.dialects import load_all as load_dialects
from tilewright.ir.builtin import ModuleOp
from tilewright.ir.collector import collector_off
from tilewright.ir.printer import print_module
from tilewright.ir.reading.parser import parse_source
from tilewright.ir.source import Source
from tilewright.ir.verifier import verify
from tilewright.passes.manager import make_pass


class Stages:
    """Times of named stages."""

    def __init__(self) -> None:
        self.times: dict[str, tuple[float, float]] = {}

    def time(self, name: str, work: Callable[[], Any]) -> Any:
        wall, cpu = time.perf_counter(), time.process_time()
        result = work()
        self.times[name] = (time.perf_counter() - wall, time.process_time() - cpu)
        return result


def load_parser() -> None:
    load_dialects()
    parse_source(Source("empty", "module {\n}\n"))


def op_count(module: ModuleOp) -> int:
    return sum(len(func.ops) for func in module.functions())


def schedule(module: ModuleOp) -> ModuleOp:
    return make_pass("schedule").apply(module)


def run_stages(text: str, only_lark: bool) -> dict[str, Any]:
    stages = Stages()
    stages.time("load parser", load_parser)
    module = stages.time("parse", lambda: parse_source(Source("bench", text), only_lark=only_lark))
    stages.time("verify", lambda: verify(module))
    if not only_lark:
        stages.time("print pretty", lambda: print_module(module))
        stages.time("print generic", lambda: print_module(module, generic=True))
        if not any("sched.stats" in func.attrs for func in module.functions()):
            scheduled = stages.time("schedule pass", lambda: schedule(module))
            stages.time("verify schedule", lambda: verify(scheduled))
            stages.time("print schedule", lambda: print_module(scheduled))
            del scheduled
        stages.time("parse again", lambda: parse_source(Source("bench", text)))
    return {"ops": op_count(module), "stages": stages.times}


def run_memory(text: str) -> dict[str, int]:
    """Bytes that Python allocated (tracemalloc), without the text itself, and how the resident set grew."""
    load_parser()
    gc.collect()
    resident = resident_bytes()
    tracemalloc.start()
    module = parse_source(Source("bench", text))
    gc.collect()
    resident = resident_bytes() - resident
    together = tracemalloc.get_traced_memory()[0]
    ops = op_count(module)
    del module
    gc.collect()
    memos = tracemalloc.get_traced_memory()[0]
    return {"ops": ops, "module": together - memos, "memos": memos, "text": sys.getsizeof(text), "resident": resident}


def resident_bytes() -> int:
    """0 where the system doesn't say."""
    status = Path("/proc/self/statm")
    return int(status.read_text().split()[1]) * 4096 if status.is_file() else 0


def main() -> None:
    parser = argparse.ArgumentParser(description="The stages of one process on one file, as JSON.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--lark", action="store_true", help="read every statement by the grammar")
    parser.add_argument("--memory", action="store_true", help="bytes instead of seconds")
    args = parser.parse_args()
    text = args.file.read_text(encoding="utf-8")
    if args.memory:
        print(json.dumps(run_memory(text)))
        return
    with collector_off():  # as all of `opt` does
        print(json.dumps(run_stages(text, args.lark)))


if __name__ == "__main__":
    main()
