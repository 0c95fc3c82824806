"""What a model computes from constants alone, by whatever operators: ONNX's reference implementation, bounded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from .model import Node, OnnxModel

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

RANDOM = frozenset({
    "Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike",
})  # fmt: skip
"""What gives something else each time."""
NESTED = frozenset({"If", "Loop", "Scan", "SequenceMap"})
"""What runs graphs of its own, for as long as these like."""
SLOW = frozenset({
    "AveragePool", "Conv", "ConvTranspose", "DeformConv", "GRU", "GridSample", "LSTM", "MaxPool", "RNN", "Resize",
    "RoiAlign", "STFT", "Upsample",
})  # fmt: skip
"""What the reference implementation computes element by element."""

MOST_BYTES = 1 << 30
"""Most bytes that a folded constant may have."""
MOST_SLOW = 1 << 20
"""Most elements that go into, or come out of, an operator that is slow."""
SMALL = 1 << 12
"""Most bytes of a constant whose numbers may be sizes: shapes, repeats, pads."""


def can_fold(node: Node) -> bool:
    """Whether a node of constants alone is computed at import: it is one of ONNX's own operators, and gives the same
    each time."""
    return "." not in node.op and node.op not in RANDOM | NESTED


def fold(model: OnnxModel, node: Node, arrays: Sequence[Array | None]) -> list[Array]:
    """What a node computes from constants, an array for each of its outputs. Raises ValueError."""
    given = {n: a for n, a in zip(node.inputs, arrays, strict=True) if a is not None}
    _check_size(model, node, given)
    reason: Exception | None = None
    for opsets in (model.opsets, *_newer(model)):
        try:
            return _evaluated(node, given, opsets)
        except Exception as error:
            reason = reason or error
            if "No implementation" not in str(error):  # of this version of the operator
                break
    text = " ".join(str(reason).split()) or type(reason).__name__
    raise ValueError(f"its constants can't be computed: {text}")


def _evaluated(node: Node, given: dict[str, Array], opsets: Sequence[Any]) -> list[Array]:
    from onnx import helper
    from onnx.reference import ReferenceEvaluator

    outputs = [name for name in node.outputs if name]
    function = helper.make_function("local", "fold", list(given), outputs, [node.proto], opsets)
    made: Any = ReferenceEvaluator(function).run(None, given, attributes={})
    return list(made)


def _newer(model: OnnxModel) -> Iterator[list[Any]]:
    """Newer operator sets: some operators have no implementation of their older versions, which meant the same."""
    from onnx import defs, helper

    for version in range(model.opset + 1, defs.onnx_opset_version() + 1):
        yield [helper.make_opsetid("", version)]


def _check_size(model: OnnxModel, node: Node, given: dict[str, Array]) -> None:
    """Raises ValueError for a result that would be larger than `MOST_BYTES`, before it is computed."""
    for shape, size in _result_shapes(model, node, given):
        count = prod(shape)
        if count * size > MOST_BYTES:
            raise ValueError(f"its result, {'x'.join(map(str, shape))}, is larger than {MOST_BYTES:,} bytes")
        if node.op in SLOW and max(count, *(a.size for a in given.values())) > MOST_SLOW:
            raise ValueError(f"its constants have more than {MOST_SLOW:,} elements, which would take long")


def _result_shapes(model: OnnxModel, node: Node, given: dict[str, Array]) -> list[tuple[list[int], int]]:
    """The shapes of a node's results, and the bytes of an element, as far as ONNX infers them."""
    from onnx import helper, numpy_helper, shape_inference

    try:
        infos = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
            for name, array in given.items()
        ]
        small = [numpy_helper.from_array(array, name) for name, array in given.items() if array.nbytes <= SMALL]
        results = [helper.make_empty_tensor_value_info(name) for name in node.outputs if name]
        graph = helper.make_graph([node.proto], "fold", infos, results, small)
        proto = helper.make_model(graph, opset_imports=model.opsets)
        inferred = shape_inference.infer_shapes(proto, data_prop=True).graph.output
    except Exception:  # of ONNX's C++ code, of many types: what is wrong will be said when it is computed
        return []
    found: list[tuple[list[int], int]] = []
    for info in inferred:
        tensor = info.type.tensor_type
        sizes = [d.dim_value for d in tensor.shape.dim if d.HasField("dim_value")]
        if tensor.HasField("shape") and len(sizes) == len(tensor.shape.dim) and tensor.elem_type:
            found.append((sizes, helper.tensor_dtype_to_np_dtype(tensor.elem_type).itemsize))
    return found
