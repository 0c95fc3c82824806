"""Where a model is cut in front: what comes before, such as the look-up of embeddings, is left to the host."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from .model import ELEMENT_TYPES, Dimension, Input, Node, OnnxModel
from .shapes import Sizes, inferred

SHAPES = ("Shape", "Size")
"""What reads nothing of a tensor but its shape."""


def _named(model: OnnxModel) -> Callable[[Dimension], Dimension]:
    """What makes names of axes that ONNX has invented empty."""
    own = {d for i in model.inputs.values() for d in i.shape or ()}
    return lambda dimension: dimension if isinstance(dimension, int) or dimension in own else ""


def cut_front(model: OnnxModel, names: Sequence[str], sizes: Sizes) -> OnnxModel:
    """The model with these tensors as inputs, of the shapes that ONNX infers. Raises `OnnxError`."""
    known = inferred(model, sizes)
    inputs = dict(model.inputs)
    for name in names:
        if name in inputs:
            continue
        if name in model.initializers:
            raise model.fail(f"--inputs: '{name}' is a constant")
        found = known.get(name) or Input(name, "undefined", None)
        shape = None if name in sizes.shapes or found.shape is None else [*map(_named(model), found.shape)]
        inputs[name] = Input(name, found.type, shape)
    makers = {name: node for name, node in model.makers.items() if name not in inputs}
    return replace(model, inputs=inputs, makers=makers)


def is_hosts(type: str) -> bool:
    """Whether elements of a type, by ONNX's name, are for the host to compute with: indices, masks, text."""
    return type not in ELEMENT_TYPES or type == "int32"


def host_front(model: OnnxModel, nodes: Sequence[Node], known: Mapping[str, Input]) -> list[str]:
    """The first tensors that the host's inputs come to whose elements there are on the chip, and that are made of
    nothing there: embeddings that have been looked up, masks to add; and what is true or false where it meets what is
    on the chip. `known` has the tensors' types."""
    host = {name for name, given in model.inputs.items() if is_hosts(given.type)}
    chip = {name for name in model.inputs if name not in host}
    front: list[str] = []
    for node in nodes:
        outputs = [name for name in node.outputs if name]
        if chip.intersection(node.inputs):
            met = [n for n in node.inputs if n in host and n not in model.inputs and known[n].type == "bool"]
            front += [name for name in met if name not in front]
            chip.update(outputs)
        elif host.intersection(node.inputs) and node.op not in SHAPES:
            types = {name: known[name].type if name in known else "undefined" for name in outputs}
            host.update(name for name in outputs if is_hosts(types[name]))
            front += [name for name in outputs if not is_hosts(types[name])]
            chip.update(front)
    read = {name for node in nodes for name in node.inputs}
    return [name for name in front if name in read]


def option(word: str, names: Sequence[str]) -> str:
    """An option with these names, as a shell takes it; a name with a comma has it for itself."""
    plain = ",".join(shlex.quote(name) for name in names if "," not in name)
    return " ".join(f"{word} {given}" for given in (*[shlex.quote(n) for n in names if "," in n], plain) if given)
