"""Made digits.onnx and digits_test.npz: trains a perceptron on scikit-learn's digits and exports it.

Run: pip install scikit-learn skl2onnx onnxruntime && python examples/digits/train_and_export.py
Needed only to make the two files anew; run.py uses them as they are.
"""

# pyright: reportMissingImports=false, reportMissingTypeStubs=false
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from skl2onnx import to_onnx
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

HERE = Path(__file__).parent
LOGITS = "add_result2"
SEED = 0


def main() -> None:
    """Trains, exports, and keeps the test split together with what ONNX Runtime makes of it."""
    digits: Any = load_digits()
    images, labels = digits.data, digits.target
    images = (images / 16).astype(np.float32)
    split: Any = train_test_split(images, labels, test_size=0.25, random_state=SEED, stratify=labels)
    x_train, x_test, y_train, y_test = split
    network: Any = MLPClassifier((64, 32), max_iter=400, random_state=SEED).fit(x_train, y_train)
    print(
        f"accuracy: {network.score(x_train, y_train):.1%} in training, {network.score(x_test, y_test):.1%} in the test"
    )

    model: Any = to_onnx(network, x_train[:1], options={"zipmap": False}, target_opset=18)
    model.graph.name = "digits"
    (HERE / "digits.onnx").write_bytes(model.SerializeToString())

    predicted, logits = run_in_onnx_runtime(model, x_test)
    np.savez_compressed(
        HERE / "digits_test.npz",
        images=(x_test * 16).astype(np.uint8),
        labels=y_test.astype(np.uint8),
        onnxruntime_labels=predicted.astype(np.uint8),
        onnxruntime_logits=logits,
    )


def run_in_onnx_runtime(model: onnx.ModelProto, images: Any) -> tuple[Any, Any]:
    """The labels and the logits, the latter from a copy of the model that has them as an output."""
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    shown.graph.output.append(onnx.helper.make_tensor_value_info(LOGITS, onnx.TensorProto.FLOAT, [None, 10]))
    session = onnxruntime.InferenceSession(shown.SerializeToString(), providers=["CPUExecutionProvider"])
    predicted, logits = session.run([model.graph.output[0].name, LOGITS], {"X": images})
    return np.asarray(predicted), np.asarray(logits)


if __name__ == "__main__":
    main()
