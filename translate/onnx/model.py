"""An ONNX file as plain data: nodes, inputs and constants, and the errors for all that can be wrong with a file."""

from __future__ import annotations

import heapq
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any

from ...ir.diagnostics import did_you_mean, visible

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

OLDEST_OPSET = 7
"""Before it, Add and Gemm said by attributes how they broadcast."""

ELEMENT_TYPES = {
    "float": "f32", "double": "f32", "float16": "f16", "bfloat16": "bf16", "int8": "i8", "uint8": "ui8",
    "int32": "i32",
}  # fmt: skip
"""Element types here, by ONNX's names; double precision is rounded to f32."""

Dimension = int | str
"""A size, or the name of a symbolic one (empty where it has none)."""


class OnnxError(Exception):
    """What keeps a model from being imported: its file can't be read, is wrong, or holds what there is not yet."""


@dataclass(slots=True, eq=False)
class Node:
    """One node; `op` has its domain in front where that is not ONNX's own."""

    index: int
    name: str
    op: str
    inputs: list[str]
    outputs: list[str]
    proto: Any

    def __str__(self) -> str:
        made = next(filter(None, self.outputs), "")
        return f"node '{self.name}' ({self.op})" if self.name else f"node {self.index} ({self.op}, output '{made}')"

    def attribute(self, name: str, default: Any) -> Any:
        """An attribute's value: a number, a string, or a list of them."""
        from onnx import helper

        found = next((a for a in self.proto.attribute if a.name == name), None)
        value = default if found is None else helper.get_attribute_value(found)
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


@dataclass(slots=True)
class Input:
    """A graph input: ONNX's name of its element type, and its shape where the model has one."""

    name: str
    type: str
    shape: list[Dimension] | None


@dataclass(slots=True)
class OnnxModel:
    """A model's graph. `initializers` are unread tensors by name."""

    path: str
    opsets: list[Any]
    name: str
    nodes: list[Node]
    inputs: dict[str, Input]
    outputs: list[str]
    initializers: dict[str, Any]
    makers: dict[str, Node] = field(default_factory=dict)
    declared: dict[str, Input] = field(default_factory=dict)
    """What is said of the outputs."""
    proto: Any = None

    def fail(self, message: str) -> OnnxError:
        return OnnxError(f"{visible(self.path)}: {message}")

    @property
    def opset(self) -> int:
        """The version of ONNX's own operators."""
        return next((o.version for o in self.opsets if o.domain in ("", "ai.onnx")), OLDEST_OPSET)

    def knows(self, name: str) -> bool:
        return name in self.makers or name in self.inputs or name in self.initializers

    def check_tensor(self, name: str) -> None:
        """Raises `OnnxError` unless the graph has a tensor of that name."""
        if self.knows(name):
            return
        names = [n for node in self.nodes for n in node.outputs if n]
        guess = did_you_mean(name, names)
        shown = ", ".join(names[-5:])
        raise self.fail(f"no tensor is called '{name}'{guess or f'; the last ones computed are {shown}'}")

    def needed(self, outputs: Iterable[str]) -> list[Node]:
        """The nodes that the outputs depend on, each after those that it reads, in the file's order where that is one.

        Raises `OnnxError` for cycles and for names that nothing defines.
        """
        reads: dict[int, list[int]] = {}
        undefined: list[str] = []
        known = self.inputs.keys() | self.initializers.keys() | self.makers.keys()
        todo = [self.makers[name] for name in outputs if name in self.makers]
        while todo:
            node = todo.pop()
            if node.index in reads:
                continue
            before = [self.makers[name] for name in node.inputs if name in self.makers]
            reads[node.index] = [n.index for n in before]
            todo += before
            undefined += [f"{node} reads '{n}', which nothing defines" for n in node.inputs if n and n not in known]
        if undefined:
            raise self.fail("; ".join(undefined))
        return [self.nodes[i] for i in self._in_order(reads)]

    def _in_order(self, reads: dict[int, list[int]]) -> list[int]:
        sorter = TopologicalSorter(reads)
        try:
            sorter.prepare()
        except CycleError as error:
            cycle = " reads ".join(str(self.nodes[i]) for i in reversed(error.args[1]))
            raise self.fail(f"the graph has a cycle: {cycle}") from None
        ready, order = list(sorter.get_ready()), []
        heapq.heapify(ready)
        while ready:
            order.append(heapq.heappop(ready))
            sorter.done(order[-1])
            for index in sorter.get_ready():
                heapq.heappush(ready, index)
        return order

    def array(self, name: str) -> Array:
        """The values of an initializer; data kept beside the model are read from there. Raises `OnnxError`."""
        from onnx import numpy_helper

        tensor = self.initializers[name]
        try:
            if tensor.data_location == tensor.EXTERNAL:
                tensor = self._with_external_data(tensor)
            return numpy_helper.to_array(tensor)
        except (ValueError, TypeError, KeyError) as error:
            raise self.fail(f"initializer '{name}' is malformed: {error}") from None

    def _with_external_data(self, tensor: Any) -> Any:
        """A copy with the data in it. Raises `OnnxError` for a file that is missing or not in the model's folder."""
        what = f"the data of initializer '{tensor.name}'"
        entries = {e.key: e.value for e in tensor.external_data}
        location, folder = entries.get("location", ""), os.path.realpath(os.path.dirname(self.path) or ".")
        path = os.path.realpath(os.path.join(folder, location))
        if not location or os.path.isabs(location) or os.path.commonpath([folder, path]) != folder:
            raise self.fail(f"{what} are in '{location}', which is not a file in the model's folder")
        offset = self._number(entries, "offset", what) or 0
        given = self._number(entries, "length", what)
        if os.path.exists(path) and not os.path.isfile(path):  # to open a pipe would wait
            raise self.fail(f"{what} can't be read from '{location}': it is no regular file")
        try:
            with open(path, "rb") as file:
                size = os.fstat(file.fileno()).st_size
                length = given or max(size - offset, 0)
                if not 0 <= offset <= offset + length <= size:
                    raise self.fail(f"{what} are cut short: '{location}' has no {length} bytes at {offset}")
                file.seek(offset)
                data = file.read(length)
        except OSError as error:
            raise self.fail(f"{what} can't be read from '{location}': {error.strerror}") from None
        copy = type(tensor)(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims, raw_data=data)
        return copy

    def _number(self, entries: Mapping[str, str], key: str, what: str) -> int | None:
        """A number of bytes that says where external data are; None if it isn't given. Raises `OnnxError`."""
        text = entries.get(key)
        if not text:
            return None
        if not re.fullmatch("-?[0-9]{1,40}", text):
            raise self.fail(f"{what} have a malformed {key}")
        return int(text)


def read_onnx(path: str) -> OnnxModel:
    """Reads an ONNX file. Raises `OnnxError` where there is none, or the package `onnx` is not installed."""
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise OnnxError(f"--import-onnx needs the package '{error.name}': pip install 'tilewright[onnx]'") from None

    if os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path)):
        raise OnnxError(f"cannot read '{visible(path)}': it is no regular file")
    try:
        with open(path, "rb") as file:
            proto = onnx.ModelProto.FromString(file.read())
    except OSError as error:
        raise OnnxError(f"cannot read '{visible(path)}': {error.strerror}") from None
    except DecodeError:
        raise OnnxError(f"{visible(path)}: not an ONNX model: the file is cut short or of another kind") from None
    _check_header(path, proto)
    if proto.functions:
        proto = _inlined(path, proto)
    return _graph(path, proto)


def _inlined(path: str, proto: Any) -> Any:
    """The model with its functions in the places where they are called. Raises `OnnxError` for functions that call
    themselves, calls that don't fit, and whatever else keeps ONNX from it."""
    from onnx import inliner

    functions = {(f.domain, f.name): f for f in proto.functions}
    graphs = {key: list(_all_nodes(f.node)) for key, f in functions.items()}
    calls = {key: {(n.domain, n.op_type) for n in nodes} & functions.keys() for key, nodes in graphs.items()}
    try:
        TopologicalSorter(calls).prepare()
    except CycleError as error:
        names = " calls ".join(f"'{name}'" for _, name in reversed(error.args[1]))
        raise OnnxError(f"{visible(path)}: function {names}: a function can't call itself") from None
    for node in [*_all_nodes(proto.graph.node), *(n for nodes in graphs.values() for n in nodes)]:
        function = functions.get((node.domain, node.op_type))
        if function is not None:
            _check_call(path, node, function)
    try:
        return inliner.inline_local_functions(proto)
    except Exception as error:  # of ONNX's C++ code, of many types
        reason = " ".join(str(error).split()) or type(error).__name__
        raise OnnxError(f"{visible(path)}: its functions can't be put in the place of their calls: {reason}") from None


def _all_nodes(nodes: Iterable[Any]) -> Iterator[Any]:
    """Nodes, and those of graphs that are attributes of them."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for graph in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
                yield from _all_nodes(graph.node)


def _check_call(path: str, node: Any, function: Any) -> None:
    """Raises `OnnxError` for a call with more inputs or outputs than its function has."""
    for what in ("input", "output"):
        given, declared = len(getattr(node, what)), len(getattr(function, what))
        if given > declared:
            call = f"node '{node.name}' calls" if node.name else "a node calls"
            raise OnnxError(
                f"{visible(path)}: {call} function '{function.name}' with {given} {what}s, it has {declared}"
            )


def _check_header(path: str, proto: Any) -> None:
    if not proto.HasField("graph") or not proto.opset_import:
        raise OnnxError(f"{visible(path)}: not an ONNX model: it has no graph, or names no operator set")
    opset = next((o.version for o in proto.opset_import if o.domain in ("", "ai.onnx")), None)
    if opset is not None and opset < OLDEST_OPSET:
        raise OnnxError(
            f"{visible(path)}: operator set {opset} is too old, {OLDEST_OPSET} is needed; "
            "onnx.version_converter converts models"
        )


def _graph(path: str, proto: Any) -> OnnxModel:
    graph = proto.graph
    names = [graph.name, *(o.name for o in graph.output), *(t.name for t in graph.initializer)]
    names += [text for i in graph.input for text in (i.name, *(d.dim_param for d in i.type.tensor_type.shape.dim))]
    names += [text for n in graph.node for text in (n.name, n.domain, n.op_type, *n.input, *n.output)]
    if bad := next((n for n in names if isinstance(n, bytes)), None):  # what protobuf makes of it
        raise OnnxError(f"{visible(path)}: not an ONNX model: the name {bad!r} is no UTF-8")
    for kind, given in (("input", graph.input), ("initializer", graph.initializer)):
        once: set[str] = set()
        for name in (item.name for item in given):
            if name in once:
                raise OnnxError(f"{visible(path)}: {kind} '{name}' is defined twice")
            once.add(name)
    nodes = [Node(i, n.name, _op(n), list(n.input), list(n.output), n) for i, n in enumerate(graph.node)]
    initializers = {t.name: t for t in graph.initializer} | {
        t.values.name: _dense(path, t) for t in graph.sparse_initializer
    }
    inputs = {i.name: input_of(i) for i in graph.input if i.name not in initializers}
    model = OnnxModel(
        path, list(proto.opset_import), graph.name, nodes, inputs, [o.name for o in graph.output], initializers,
        declared={o.name: input_of(o) for o in graph.output}, proto=proto,
    )  # fmt: skip
    for node in nodes:
        for name in filter(None, node.outputs):
            if name in model.makers or name in inputs or name in initializers:
                before = model.makers.get(name, "an input or initializer")
                raise model.fail(f"'{name}' is defined twice, by {before} and by {node}")
            model.makers[name] = node
    return model


MOST_SPARSE = 1 << 30
"""Most bytes of a sparse initializer that is written out."""


def _dense(path: str, sparse: Any) -> Any:
    """A sparse initializer as a tensor. Raises `OnnxError`."""
    import numpy as np
    from onnx import numpy_helper

    name, shape = sparse.values.name, tuple(sparse.dims)
    try:
        values, places = (numpy_helper.to_array(t) for t in (sparse.values, sparse.indices))
        if min(shape, default=1) < 0 or math.prod(shape) * values.itemsize > MOST_SPARSE:
            raise ValueError(f"it is larger than {MOST_SPARSE:,} bytes")
        if places.ndim > 1:
            places = np.ravel_multi_index(tuple(places.T), shape)
        whole = np.zeros(math.prod(shape), values.dtype)
        if values.ndim != 1 or places.shape != values.shape or (places < 0).any():
            raise ValueError("its values and indices don't fit")
        whole[places] = values
        return numpy_helper.from_array(whole.reshape(shape), name)
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise OnnxError(f"{visible(path)}: sparse initializer '{name}' is malformed: {error}") from None


def _op(node: Any) -> str:
    return node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"


def input_of(info: Any) -> Input:
    tensor = info.type.tensor_type
    if not info.type.HasField("tensor_type"):
        return Input(info.name, info.type.WhichOneof("value") or "no type", None)
    shape = [_dimension(d) for d in tensor.shape.dim] if tensor.HasField("shape") else None
    return Input(info.name, type_name(tensor.elem_type), shape)


def _dimension(dim: Any) -> Dimension:
    """Some exporters write -1 for a size that is not known."""
    return dim.dim_value if dim.HasField("dim_value") and dim.dim_value >= 0 else dim.dim_param


def type_name(number: int) -> str:
    """ONNX's name of an element type, such as `float` or `int64`."""
    from onnx import TensorProto

    try:
        return TensorProto.DataType.Name(number).lower()  # type: ignore[arg-type]
    except ValueError:
        return f"type {number}"
