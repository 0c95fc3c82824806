"""A trained network from its ONNX file to schedules for three SRAM sizes, and the predictions they make.

Run: pip install 'tilewright[onnx]' && python examples/digits/run.py
Writes the imported module, its weights and the schedules to build/digits/.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import tilewright as tw
from tilewright.runtime.execute import execute_function
from tilewright.tools import translate

HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build" / "digits"
LOGITS = "add_result2"
BATCH = 64
SIZES = ("16KiB", "64KiB", "256KiB")
SHOWN = 12

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Outcome:
    """What a schedule costs and what it predicts. `logits` has a row per image; `difference` is the largest that any
    has from ONNX Runtime's."""

    sram: str
    stats: dict[str, int]
    stores: int
    logits: Array
    labels: Array
    difference: float


def main() -> int:
    """Prints each step and the table; returns 1 if a label differs from ONNX Runtime's."""
    images, truth, expected, source = test_split()
    print(
        f"[1] import    digits.onnx, a 64-64-32-10 perceptron of scikit-learn's, at its logits, {BATCH} images a batch"
    )
    model, weights = import_model()
    print("".join(f"    {line}\n" for line in model.splitlines() if "graph.matmul" in line), end="")

    print(f"[2] schedule  for {', '.join(SIZES)}; each proved against the graph, then run on {len(images)} images")
    outcomes = [outcome(model, weights, size, images, expected) for size in SIZES]

    text = (BUILD / f"digits_{SIZES[0]}.mir").read_text(encoding="utf-8")
    print(f"[3] the schedule for {SIZES[0]} begins")
    lines = [line for line in text.splitlines() if line.lstrip().startswith("sched.")]
    print("".join(f"    {line.strip()}\n" for line in lines[:SHOWN]), end="")

    print(f"[4] result    against {source}\n")
    return report(outcomes, truth, expected)


def test_split() -> tuple[Array, Array, Array, str]:
    """Images, true labels, ONNX Runtime's logits, and where those are from: computed now if it is installed."""
    with np.load(HERE / "digits_test.npz") as data:
        images = data["images"].astype(np.float32) / 16
        truth, logits = data["labels"], data["onnxruntime_logits"]
    try:
        import onnx
        import onnxruntime
    except ImportError:
        return images, truth, logits, "the logits that ONNX Runtime gave when the model was made"
    model = onnx.load(HERE / "digits.onnx")
    model.graph.output.append(onnx.helper.make_tensor_value_info(LOGITS, onnx.TensorProto.FLOAT, [None, 10]))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return images, truth, np.asarray(session.run([LOGITS], {"X": images})[0]), "ONNX Runtime"


def import_model() -> tuple[str, dict[str, Array]]:
    """The graph's text and its parameters, by the same command as from a shell."""
    BUILD.mkdir(parents=True, exist_ok=True)
    module, weights = BUILD / "digits.mir", BUILD / "digits.npz"
    words = ["--import-onnx", HERE / "digits.onnx", "--batch", BATCH, "--outputs", LOGITS]
    status = translate.main([str(word) for word in [*words, "-o", module, "--weights", weights]])
    if status:
        raise SystemExit(status)
    with np.load(weights) as arrays:
        return module.read_text(encoding="utf-8"), dict(arrays)


def outcome(model: str, weights: dict[str, Array], size: str, images: Array, expected: Array) -> Outcome:
    """Schedules the graph, proves the schedule's text, runs it. Raises `tw.DiagnosticError` where the proof fails."""
    path = BUILD / f"digits_{size}.mir"
    path.write_text(tw.run_passes(model, f"schedule{{sram={size}}}"), encoding="utf-8")
    scheduled = tw.parse(path.read_text(encoding="utf-8"), filename=str(path))
    tw.prove(model, scheduled)
    (function,) = scheduled.functions()
    rows = []
    for start in range(0, len(images), BATCH):
        batch = images[start : start + BATCH]
        padded = np.pad(batch, ((0, BATCH - len(batch)), (0, 0)))
        done = execute_function(function, scheduled, {**weights, "X": padded}, verified=True)
        rows.append(done.arrays[0][: len(batch)])
    logits = np.concatenate(rows)
    stores = sum(op.name == "sched.store" for op in function.ops)
    difference = float(np.max(np.abs(logits - expected)))
    return Outcome(size, function.attrs["sched.stats"], stores, logits, logits.argmax(axis=1), difference)


def report(outcomes: list[Outcome], truth: Array, expected: Array) -> int:
    """Prints a line per size; 1 if a label differs from ONNX Runtime's."""
    labels = expected.argmax(axis=1)
    print("      SRAM   loads  stores  spills    peak SRAM   accuracy   labels as ONNX Runtime   largest difference")
    for o in outcomes:
        row = f"{o.sram:>10}  {o.stats['loads_emitted']:>6}  {o.stores:>6}  {o.stats.get('spills', 0):>6}"
        row += f"  {o.stats['peak_sram_bytes']:>9,} B  {np.mean(o.labels == truth):>9.2%}"
        row += f"  {np.sum(o.labels == labels):>10} of {len(labels)} ({np.mean(o.labels == labels):.0%})"
        print(f"{row}  {o.difference:>18.1e}")
    print(f"\nLoads and stores are for a batch of {BATCH}. ONNX Runtime's accuracy: {np.mean(labels == truth):.2%}.")
    return int(any((o.labels != labels).any() for o in outcomes))


if __name__ == "__main__":
    raise SystemExit(main())
