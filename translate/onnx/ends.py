"""What falls away behind a model's output: the host takes ArgMax along the last axis on the result, and what makes
names of classes of the labels."""

from __future__ import annotations

from dataclasses import dataclass

from .build import Builder
from .model import ELEMENT_TYPES, Node, OnnxModel, type_name
from .tensors import Tensor, Unsupported, text

CLASSES, NAMED = "ai.onnx.ml.ArrayFeatureExtractor", "ai.onnx.ml.ZipMap"
DROPPED = ("ArgMax", CLASSES, NAMED)
BETWEEN = ("Cast", "Identity", "Reshape")
"""What may stand between those."""


@dataclass(frozen=True, slots=True)
class End:
    """An output, the tensor that is imported for it, and the nodes between the two, from the tensor on."""

    output: str
    tensor: str
    nodes: list[Node]

    def check(self, build: Builder, model: OnnxModel, tensor: Tensor) -> None:
        """Notes what falls away. Raises `Unsupported` where the result would not stand for the output."""
        gone: list[str] = []
        label = classes = False
        for node in self.nodes:
            if classes:  # whatever becomes of them
                continue
            if node.op == "Cast" and (changed := self._check_cast(build, tensor, node, label)):
                gone.append(changed)
            elif node.op == "Reshape" and not label:
                raise Unsupported("behind an output it can fall away only on ArgMax's labels", node)
            elif node.op in (CLASSES, NAMED):
                classes = True
                gone.append(node.op.rpartition(".")[2])
            elif node.op in DROPPED:
                if label:
                    raise Unsupported("it works on ArgMax's labels, and those fall away", node)
                _check_axis(tensor, node)
                label = True
                gone.append(node.op)
        if gone:
            *first, last = reversed(gone)
            shown = f"{', '.join(first)} and {last}" if first else last
            verb = "falls" if len(gone) == 1 else "fall"
            build.note(f"output '{self.output}': {shown} {verb} away, the result is '{self.tensor}'")

    def _check_cast(self, build: Builder, tensor: Tensor, node: Node, label: bool) -> str:
        """The cast's name where it changes the type of a label; empty where it changes nothing."""
        name = type_name(node.attribute("to", 0))
        if label:
            if not name.startswith(("int", "uint")):
                raise Unsupported(f"behind ArgMax it can fall away to another integer type, not to {name}", node)
            return "" if name == "int64" else "Cast"
        if ELEMENT_TYPES.get(name) != build.dtype(tensor):
            raise Unsupported(f"behind an output it can fall away where the type stays, not to {name}", node)
        if name == "double":
            build.note("double precision is rounded to f32")
        return ""


def find_end(model: OnnxModel, name: str) -> End:
    """The tensor before the trailing ArgMax or class names of an output, or the output's own."""
    at, behind, seen = name, [], set()
    while at in model.makers and at not in seen:
        seen.add(at)
        node = model.makers[at]
        if node.op not in (*DROPPED, *BETWEEN) or not _read(node):
            break
        behind.append(node)
        at = _read(node)
    while behind and behind[-1].op not in DROPPED:
        behind.pop()
    return End(name, _read(behind[-1]) if behind else name, behind[::-1])


def _read(node: Node) -> str:
    """What a node works on: of the classes that a label stands for, the label."""
    at = 1 if node.op == CLASSES else 0
    return node.inputs[at] if len(node.inputs) > at else ""


def _check_axis(tensor: Tensor, node: Node) -> None:
    axis, rank = node.attribute("axis", 0), len(tensor.shape)
    if axis not in (-1, rank - 1):
        raise Unsupported(f"along axis {axis} of {text(tensor.shape)} it can't fall away, only along the last", node)
