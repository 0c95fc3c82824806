"""`--opaque`: nodes that have no counterpart become opaque operations, and tensors that can't be on the chip are the
host's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ...dialects.opaque import GraphOpaqueOp
from ...ir.core import Value
from ...ir.types import TensorType
from .build import Builder
from .model import ELEMENT_TYPES, Input, Node, OnnxModel, input_of
from .tensors import Const, Held, Shape, Tensor, Unsupported, View, natural

ONNX_TYPES = {"f32": "FLOAT", "f16": "FLOAT16", "bf16": "BFLOAT16", "i8": "INT8", "i32": "INT32"}
"""Element types there, by ours."""


class Host:
    """A tensor of elements that there are none of here, such as an index or a mask: the host computes it."""


HOST = Host()


def in_order(build: Builder, moved: dict[View, View], tensor: Tensor | None) -> Tensor | None:
    """A tensor in the form and the order that a node would have it in; a view that is in another one is moved there by
    an opaque operation, called by the node that made the view. `moved` has those that have been."""
    if not isinstance(tensor, View) or tensor.via is None:
        return tensor
    if tensor.in_order and (tensor.held.free or tensor.held.form in (None, natural(tensor.shape))):
        return tensor
    if tensor not in moved:
        result = Input(tensor.via.outputs[0], "", list(tensor.shape))
        source = View.plain(tensor.held, tensor.source)
        moved[tensor] = emit(build, tensor.via, [source], [result], [tensor.held.dtype])[0]
    return moved[tensor]


def movers(build: Builder, nodes: Iterable[Node]) -> Counter[str]:
    """How many operations of each operator only move data, beside those that stand for the nodes."""
    others = {_name(node) for node in nodes}
    return Counter(op.op for op in build.ops if isinstance(op, GraphOpaqueOp) and op.node not in others)


def opaque_node(build: Builder, node: Node, inputs: Sequence[Tensor | None], known: dict[str, Input]) -> list[Any]:
    """A node as an opaque operation: a view of each of its outputs, or `HOST`. Raises `Unsupported` where a shape isn't
    known, and where nothing but the host's tensors come of what is on the chip."""
    outputs = [name for name in node.outputs if name]
    found = [known.get(name) or Input(name, "undefined", None) for name in outputs]
    dtypes = [ELEMENT_TYPES.get(info.type, "") for info in found]
    for info, dtype in zip(found, dtypes, strict=True):
        unknown = info.shape is None or not all(isinstance(d, int) for d in info.shape)
        if info.type in ("undefined", "no type") or (dtype and unknown):
            why = f"as an opaque operation it needs the type and the shape of '{info.name}'"
            raise Unsupported(f"{why}, and neither the model nor ONNX says them; --shape, --dim or --inputs may")
        if dtype and 0 in (info.shape or ()):
            raise Unsupported(f"'{info.name}' is empty; dimensions are at least 1")
    if not any(dtypes):
        computed = next((t for t in inputs if isinstance(t, View)), None)
        if computed is not None:
            why = f"'{outputs[0]}' has elements of type {found[0].type}, which are the host's"
            made = f"and is made of '{computed.held.name}', which is on the chip"
            raise Unsupported(f"{why}, {made}; --outputs or --inputs cuts there")
        return [HOST] * len(outputs)
    return emit(build, node, inputs, found, dtypes)


def emit(
    build: Builder, node: Node, inputs: Sequence[Tensor | None], outputs: Sequence[Input], dtypes: Sequence[str]
) -> list[Any]:
    """Adds the operation. It reads what is held on the chip as it is held, and constants of element types that there
    are here; other constants, such as axes, are part of what it is, and so are the host's tensors."""
    operands = [value for t in inputs if t is not None and (value := _operand(build, t)) is not None]
    shapes: list[Shape] = [tuple(int(d) for d in info.shape or ()) for info in outputs]
    results: list[Any] = [HOST] * len(outputs)
    values: list[Value] = []
    for i, (info, shape, dtype) in enumerate(zip(outputs, shapes, dtypes, strict=True)):
        if dtype:
            values.append(Value(TensorType(natural(shape), dtype), build.fresh(info.name)))
            results[i] = View.plain(Held(values[-1].name, dtype, values[-1], free=True), shape)
    made = GraphOpaqueOp(operands, values, node=_name(node), op=node.op)
    made.verify()
    build.ops.append(made)
    return results


def _name(node: Node) -> str:
    """What nodes are told apart by."""
    return node.name or f"#{node.index}"


def _operand(build: Builder, tensor: Tensor) -> Value | None:
    if isinstance(tensor, View):
        return tensor.held.value or build.operand(View.plain(tensor.held, tensor.source), natural(tensor.source))
    name = {"float32": "float", "float64": "double"}.get(tensor.array.dtype.name, tensor.array.dtype.name)
    if name not in ELEMENT_TYPES or not tensor.array.size:
        return None
    return build.operand(tensor, natural(tensor.shape))


def outputs_of(model: OnnxModel, node: Node, inputs: Sequence[Tensor | None]) -> dict[str, Input]:
    """The types and shapes of a node's outputs, as ONNX infers them from what it reads; empty where it can't."""
    from onnx import TensorProto, helper, numpy_helper, shape_inference

    infos, constants = [], []
    for name, tensor in zip(node.inputs, inputs, strict=True):
        if isinstance(tensor, Const):
            constants.append(numpy_helper.from_array(np.asarray(tensor.array), name))
        elif isinstance(tensor, View):
            kind = getattr(TensorProto, ONNX_TYPES[tensor.held.dtype])
            infos.append(helper.make_tensor_value_info(name, kind, list(tensor.shape)))
    outputs = [helper.make_empty_tensor_value_info(name) for name in node.outputs if name]
    graph = helper.make_graph([node.proto], "node", infos, outputs, constants)
    try:
        made = shape_inference.infer_shapes(helper.make_model(graph, opset_imports=model.opsets), data_prop=True)
    except Exception:  # of ONNX's C++ code, of many types: what the whole model says is taken instead
        return {}
    found = (input_of(info) for info in (*made.graph.value_info, *made.graph.output))
    return {i.name: i for i in found if i.type != "undefined" and i.shape and all(isinstance(d, int) for d in i.shape)}
