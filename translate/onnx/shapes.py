"""How large a model's tensors are: what it says, what the user says, what ONNX infers; and what its nodes multiply."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

from ...ir.diagnostics import did_you_mean
from .model import Dimension, Input, Node, OnnxModel, input_of

SMALL = 1 << 12
"""Most bytes of a constant whose numbers may be sizes."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """What the user says of sizes: of a symbolic first axis, of symbolic axes by name, of whole tensors by name."""

    batch: int | None = None
    dims: Mapping[str, int] = field(default_factory=dict)
    shapes: Mapping[str, Sequence[int]] = field(default_factory=dict)

    def of(self, given: Input) -> list[Dimension] | None:
        """A tensor's shape with what is said put in; None where nothing is known of it. Raises ValueError where what is
        said contradicts the model."""
        said = self.shapes.get(given.name)
        if said is None:
            return None if given.shape is None else [self.size(d) for d in given.shape]
        if given.shape is not None:
            pairs = list(zip(given.shape, said, strict=False))
            if len(said) != len(given.shape) or any(isinstance(d, int) and d != n for d, n in pairs):
                shown = "x".join(str(d) or "?" for d in given.shape)
                raise ValueError(f"the model says {shown}, --shape {'x'.join(map(str, said))}")
        return list(said)

    def missing(self, inputs: Iterable[Input]) -> list[str]:
        """The names of axes that have no size: of none that is a tensor's first one, which is a batch."""
        shapes = [info.shape for info in inputs if info.shape and info.name not in self.shapes]
        first = {shape[0] for shape in shapes}
        names = dict.fromkeys(d for shape in shapes for d in shape[1:] if isinstance(d, str) and d)
        return [name for name in names if name not in first and name not in self.dims]

    def size(self, dimension: Dimension) -> Dimension:
        return self.dims.get(dimension, dimension) if isinstance(dimension, str) and dimension else dimension


def check_sizes(model: OnnxModel, sizes: Sizes) -> None:
    """Raises `OnnxError` for sizes of what there is not."""
    for name in sizes.shapes:
        if name not in model.inputs:
            guess = did_you_mean(name, list(model.inputs)) or f"; there are {', '.join(model.inputs)}"
            raise model.fail(f"--shape: no input is called '{name}'{guess}")
    known = dict.fromkeys(d for i in model.inputs.values() for d in i.shape or () if isinstance(d, str) and d)
    for name in sizes.dims:
        if name not in known:
            guess = did_you_mean(name, list(known)) or (f"; there are {', '.join(known)}" if known else "")
            raise model.fail(f"--dim: no axis of an input is called '{name}'{guess}")


def inferred(model: OnnxModel, sizes: Sizes) -> dict[str, Input]:
    """The types and shapes of a model's tensors, as far as ONNX infers them from those of its inputs."""
    from onnx import shape_inference

    proto = _light(model)
    for info in proto.graph.input:
        try:
            shape = sizes.of(model.inputs[info.name])
        except (KeyError, ValueError):
            continue
        if shape is None:
            continue
        dims = info.type.tensor_type.shape.dim
        del dims[:]
        for axis, size in enumerate(shape):
            known = size if isinstance(size, int) else (sizes.batch or 1) if axis == 0 else None
            made = dims.add()
            if known is not None:
                made.dim_value = known
    try:
        graph = shape_inference.infer_shapes(proto, data_prop=True).graph
    except Exception:  # of ONNX's C++ code, of many types: what is wrong with the model is said elsewhere
        graph = proto.graph
    return {info.name: input_of(info) for info in (*graph.value_info, *graph.output)}


def _light(model: OnnxModel) -> Any:
    """The model without the data of its constants, but of those that may be sizes."""
    from onnx import helper

    graph = model.proto.graph
    infos = [i for i in graph.input if i.name not in model.initializers]
    small = []
    for name, tensor in model.initializers.items():
        if tensor.data_location != tensor.EXTERNAL and prod(tensor.dims) * 8 <= SMALL:
            small.append(tensor)
        else:
            infos.append(helper.make_tensor_value_info(name, tensor.data_type, list(tensor.dims)))
    outputs = [helper.make_empty_tensor_value_info(o.name) for o in graph.output]
    light = helper.make_graph(list(graph.node), "shapes", infos, outputs, small)
    return helper.make_model(light, opset_imports=model.opsets)


def multiplies(model: OnnxModel, sizes: Sizes) -> dict[int, int]:
    """The multiply-accumulates of those nodes that multiply, by their index, where their shapes are known."""
    known = inferred(model, sizes)
    shapes = {name: info.shape for name, info in known.items()}
    shapes |= {name: sizes.of(info) for name, info in model.inputs.items() if name not in sizes.shapes}
    shapes |= {name: list(tensor.dims) for name, tensor in model.initializers.items()}
    return {node.index: count for node in model.nodes if (count := _multiplies(node, shapes))}


def _multiplies(node: Node, shapes: Mapping[str, Any]) -> int:
    sides = [[d if isinstance(d, int) else 1 for d in shapes.get(name) or []] for name in node.inputs[:2]]
    made = [d if isinstance(d, int) else 1 for d in shapes.get(node.outputs[0]) or []]
    if len(sides) < 2 or not sides[0] or not sides[1] or not made:
        return 0
    if node.op in ("MatMul", "MatMulInteger"):
        return prod(made) * sides[0][-1]
    if node.op == "Gemm":
        return prod(made) * sides[0][0 if node.attribute("transA", 0) else -1]
    if node.op in ("Conv", "ConvInteger"):
        return prod(made) * prod(sides[1][1:])
    return prod(sides[0]) * prod(sides[1][1:]) if node.op == "ConvTranspose" else 0
