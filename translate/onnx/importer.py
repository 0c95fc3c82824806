"""ONNX to a graph function: what the outputs need is imported, initializers become parameters."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ...dialects.graph import GraphOp, ViewOp
from ...ir.attributes import UNIT, Attributes
from ...ir.builtin import FuncOp, ModuleOp, ReturnOp
from ...ir.core import Block, Value
from ...ir.opdef import OpError
from ...ir.verifier import verify
from ...planner.arena import count_of
from .build import Builder
from .ends import End, find_end
from .folding import can_fold, fold
from .fronts import SHAPES, cut_front, host_front, option
from .model import ELEMENT_TYPES, Dimension, Input, Node, OnnxError, OnnxModel
from .opaque import HOST, Host, in_order, movers, opaque_node, outputs_of
from .ops import check_unread, handler_of, inputs_of, shape_of
from .parts import compute_in_parts
from .patterns import simplify
from .quantised import dequantized_const
from .shapes import Sizes, check_sizes, inferred, multiplies
from .tensors import Const, Held, Shape, Tensor, Unsupported, View, natural, text
from .turned import turn_products

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]


@dataclass(slots=True)
class Imported:
    """A module of one function, its parameters' values by argument name, and remarks for the user."""

    module: ModuleOp
    weights: dict[str, Array]
    notes: list[str]


def import_onnx(
    model: OnnxModel,
    *,
    outputs: Sequence[str] = (),
    inputs: Sequence[str] = (),
    sizes: Sizes | None = None,
    opaque: bool = False,
) -> Imported:
    """The part of a model that computes the outputs (the model's own without any), as a graph function; from the inputs
    on, where some are named. With `opaque`, nodes without a counterpart become opaque operations.

    Raises `OnnxError`, with all nodes that can't be imported.
    """
    outputs, inputs = (_whole_names(model, names) for names in (outputs, inputs))
    sizes = sizes or Sizes()
    for name in inputs:
        model.check_tensor(name)
    model = cut_front(model, inputs, sizes) if inputs else model
    check_sizes(model, sizes)
    for name in outputs:
        model.check_tensor(name)
    for name in model.outputs if not outputs else ():
        if not model.knows(name):
            raise model.fail(f"'{name}' is a graph output that nothing makes")
    wanted = list(outputs) or model.outputs
    if not wanted:
        raise model.fail("the graph has no outputs; --outputs chooses some")
    ends = [End(name, name, []) if outputs else find_end(model, name) for name in wanted]
    return Importer(model, sizes, opaque=opaque).run(ends)


def _whole_names(model: OnnxModel, names: Sequence[str]) -> list[str]:
    """Names as they are given, with commas between them; a comma may belong to a name."""
    return [name for given in names for name in ([given] if model.knows(given) else given.split(","))]


LIKELY_SIZE = 128
"""What a hint takes for a size that is not known."""


@dataclass(slots=True)
class Importer:
    """One import. `tensors` are ONNX's names; a name with None stands behind a node that can't be imported."""

    model: OnnxModel
    sizes: Sizes
    tensors: dict[str, Tensor | None] = field(default_factory=dict)
    args: list[tuple[str, Held]] = field(default_factory=list)
    build: Builder = field(default_factory=Builder)
    problems: dict[str, None] = field(default_factory=dict)
    symbolic: set[str] = field(default_factory=set)
    named: set[Held] = field(default_factory=set)
    """What keeps its name: the inputs, and the results that have got that of an output."""
    ends: list[End] = field(default_factory=list)
    cut_off: list[str] = field(default_factory=list)
    """What is imported for the outputs behind which something stays that can't fall away."""
    hints: bool = True
    unknown: list[Node] = field(default_factory=list)
    """The nodes that there is no counterpart of."""
    opaque: bool = False
    host: set[str] = field(default_factory=set)
    """The tensors that the host computes."""
    moved: dict[View, View] = field(default_factory=dict)
    """Views by those that opaque operations have moved them from."""
    known: dict[str, Input] | None = None
    """The types and shapes that ONNX infers, once they are asked for."""

    def run(self, ends: list[End]) -> Imported:
        self.ends = ends
        cut = [end.tensor for end in self.ends]
        nodes = self.model.needed(cut)
        self.build.opset, self.build.opaque = self.model.opset, self.opaque
        self.build.readers.update([name for node in nodes for name in node.inputs] + cut)
        read = {name for node in nodes for name in node.inputs} | set(cut)
        shapes = {n for node in nodes if node.op not in SHAPES for n in node.inputs} | set(cut)
        for name, given in self.model.inputs.items():
            if name in read and name not in shapes and given.type not in ELEMENT_TYPES:
                self.build.note(f"input '{name}' is left out: only its shape is read")
                self.tensors[name] = None
            elif name in read:
                self.tensors[name] = self.guarded(f"input '{name}'", self.input, name)
            else:
                self.build.note(f"input '{name}' is left out: the outputs don't depend on it")
        for node in nodes:
            made = self.guarded(str(node), self.opaque_or_node if self.opaque else self.node, node) or [None]
            outputs = [name for name in node.outputs if name]
            self.host |= {name for name, tensor in zip(outputs, made, strict=False) if tensor is HOST}
            self.tensors |= {n: None if t is HOST else t for n, t in zip(outputs, made, strict=False)}
        values = [self.guarded(f"output '{end.tensor}'", self.result, end) for end in self.ends]
        self.cut_off = [e.tensor for e, v in zip(self.ends, values, strict=True) if v is None and e.nodes]
        self.check_batch()
        if self.problems:
            raise self.failure(nodes)
        return self.finish([v for v in values if v is not None])

    def guarded(self, what: str, step: Callable[[Any], Any], subject: Any) -> Any:
        """What a step gives, or None and a problem to report."""
        try:
            return step(subject)
        except Unsupported as error:
            self.problems[f"{error.node or what}: {error}"] = None
        except (ValueError, TypeError, IndexError, OpError) as error:  # a malformed node
            self.problems[f"{what}: {error}"] = None
        return None

    def failure(self, nodes: list[Node]) -> OnnxError:
        """All problems in one error, and what can be imported before them."""
        refused = [n for n in nodes if self.tensors.get(n.outputs[0]) is None]
        edge = [n for node in refused for n in node.inputs]
        ready = [n for n in dict.fromkeys([*edge, *self.cut_off]) if isinstance(self.tensors.get(n), View)]
        cut = self.possible_cut([n for n in ready if n in self.model.makers]) if self.hints else []
        hint = self.front_hint(nodes)
        if cut and not hint:
            hint = f"\nhint: {option('--outputs', cut)} imports what comes before"
        lines = [*self.summary(), *self.problems]
        return self.model.fail("it can't be imported:\n" + "\n".join(f"  {line}" for line in lines) + hint)

    def front_hint(self, nodes: list[Node]) -> str:
        """What to say where the host could make of integers what the rest can be imported from."""
        front = host_front(self.model, nodes, self.inferred()) if self.hints else []
        missing = self.sizes.missing(self.model.inputs.values())
        sizes = replace(self.sizes, dims={**self.sizes.dims, **dict.fromkeys(missing, LIKELY_SIZE)})
        try:
            rest = cut_front(self.model, front, sizes)
            if front:
                Importer(rest, sizes, hints=False, opaque=self.opaque).run(self.ends)
        except OnnxError:
            return ""
        words = [option("--inputs", front), *(f"--dim {shlex.quote(name)}={LIKELY_SIZE}" for name in missing)]
        after = "imports what comes after, and leaves these to the host"
        return f"\nhint: {' '.join(words)} {after}{', for sizes such as this' if missing else ''}" if front else ""

    def inferred(self) -> dict[str, Input]:
        """The types and shapes that ONNX infers."""
        self.known = inferred(self.model, self.sizes) if self.known is None else self.known
        return self.known

    def summary(self) -> list[str]:
        """What is not understood, by operator, with its share of the multiply-accumulates; of several nodes."""
        if len(self.unknown) < 2 or not self.hints:
            return []
        return [f"without a counterpart here: {self.by_operator()}"]

    def by_operator(self) -> str:
        """The operators of the nodes that are not understood."""
        multiplied = multiplies(self.model, self.sizes)
        total, counts, shares = sum(multiplied.values()), Counter(n.op for n in self.unknown), Counter[str]()
        for node in self.unknown:
            shares[node.op] += multiplied.get(node.index, 0)
        shown = [
            f"{op} {count}" + (f" ({shares[op] / total:.1%} of the multiply-accumulates)" if shares[op] else "")
            for op, count in counts.most_common()
        ]
        return ", ".join(shown)

    def possible_cut(self, names: list[str]) -> list[str]:
        """The tensors that can be imported instead, all together; those of the names that can be alone, if not all."""
        if len(names) < 2 or self.imports(names):
            return names if names and self.imports(names) else []
        alone = [name for name in names if self.imports([name])]
        return alone if self.imports(alone) else alone[:1]

    def imports(self, names: list[str]) -> bool:
        """Whether these tensors can be imported, found out by doing it."""
        try:
            ends = [End(name, name, []) for name in names]
            made = Importer(self.model, self.sizes, hints=False, opaque=self.opaque).run(ends)
            ops = [op for func in made.module.functions() for op in func.ops]
            return any(isinstance(op, GraphOp) and not isinstance(op, ViewOp) for op in ops)
        except OnnxError:
            return False

    # The graph's ends

    def input(self, name: str) -> View | None:
        """An argument; None for one that is left to the host. Raises `Unsupported` where its type or shape is not known
        or not possible."""
        declared = self.model.inputs[name]
        if self.opaque and declared.type not in ELEMENT_TYPES:
            self.host.add(name)
            self.build.note(f"input '{name}' is left to the host: its elements are {declared.type}")
            return None
        if declared.type == "bool":
            self.build.note(f"input '{name}' is true or false in the model, here 1 or 0 in f32")
        elif declared.type not in ELEMENT_TYPES:
            raise Unsupported(f"elements are {declared.type}; they can be {', '.join(ELEMENT_TYPES)}")
        known = self.sizes.of(declared)
        if known is None:
            raise Unsupported(f"the model doesn't say its shape; --shape {shlex.quote(name)}=... does")
        if known and isinstance(known[0], str):
            self.symbolic.add(known[0] or name)
        batch = self.sizes.batch or 1
        shape = []
        for axis, size in enumerate(known):
            if isinstance(size, str) and axis > 0 and (not size or size not in self.symbolic):
                raise Unsupported(
                    f"axis {axis} has no size ('{size or '?'}'); {self.setting(name, size, known)} sets it"
                )
            shape.append(batch if isinstance(size, str) else size)
        if 0 in shape:
            raise Unsupported(f"axis {shape.index(0)} has size 0; dimensions are at least 1")
        if declared.type == "double":
            self.build.note("double precision is rounded to f32")
        held = Held(self.build.fresh(name), ELEMENT_TYPES.get(declared.type, "f32"), given=tuple(shape))
        self.args.append((name, held))
        self.named.add(held)
        return View.plain(held, tuple(shape))

    def setting(self, name: str, size: str, known: Sequence[Dimension]) -> str:
        """The option that sets the size of an axis, with a number still to be put in."""
        if size:
            return f"--dim {shlex.quote(size)}=N"
        return f"--shape {shlex.quote(name)}={'x'.join(str(d) if isinstance(d, int) else 'N' for d in known)}"

    def check_batch(self) -> None:
        if self.symbolic and self.sizes.batch is None:
            self.build.note(f"the batch ('{min(self.symbolic)}') is symbolic and taken as 1; --batch N sets it")
        sizes = {(view.shape or (1,))[0] for name, _ in self.args if isinstance(view := self.tensors[name], View)}
        batch = self.sizes.batch
        if batch is not None and not self.symbolic and batch not in sizes and sizes:
            shown = " and ".join(map(str, sorted(sizes)))
            self.problems[f"--batch {batch}: no input has a symbolic batch; it is fixed at {shown}"] = None

    def result(self, end: End) -> Value | None:
        name = end.tensor
        tensor = self.read(name)
        if name in self.host:
            raise Unsupported("its elements are of a type that only the host has; --outputs chooses others")
        if tensor is None:
            return None
        tensor = in_order(self.build, self.moved, tensor) if self.opaque else tensor
        assert tensor is not None
        end.check(self.build, self.model, tensor)
        self.check_declared(name, tensor)
        if isinstance(tensor, View) and not tensor.in_order:
            tensor = self.build.settled(tensor)
        shape = tensor.shape
        moved = (
            isinstance(tensor, View) and tensor.held.value is not None and isinstance(tensor.held.value.owner, ViewOp)
        )
        form = (tensor.held.form if isinstance(tensor, View) and not moved else None) or natural(shape)
        value = self.build.operand(tensor, form)
        if form != shape:
            self.build.note(f"output '{name}' is given as {text(form)}, in the model it is {text(shape)}")
        if isinstance(tensor, View) and tensor.held not in self.named:
            self.named.add(tensor.held)
            value.name = self.build.fresh(name, instead_of=value.name)
        return value

    def check_declared(self, name: str, tensor: Tensor) -> None:
        """Raises `Unsupported` for an output that isn't what the model says that it is."""
        declared = self.model.declared.get(name)
        if declared is None:
            return
        wanted, dtype = ELEMENT_TYPES.get(declared.type, declared.type), self.build.dtype(tensor)
        shape = declared.shape or []
        fits = declared.shape is None or len(shape) == len(tensor.shape)
        pairs = list(zip(shape, tensor.shape, strict=False))
        if declared.type != "undefined" and wanted != dtype:
            raise Unsupported(f"the model says that its elements are {declared.type}, and they are {dtype}")
        if not fits or (not self.symbolic and any(isinstance(d, int) and d != size for d, size in pairs)):
            shown = "x".join(str(d) or "?" for d in shape) or "a scalar"
            raise Unsupported(f"the model says that it is {shown}, and it is {text(tensor.shape)}")

    def finish(self, values: list[Value]) -> Imported:
        simplify(self.build, values)
        turn_products(self.build, values)
        compute_in_parts(self.build, values)
        self.build.drop_unread(values)
        held = [h.value for name, h in self.args if h.value is not None]
        for name, h in self.args:
            if h.value is None:
                self.build.note(f"input '{name}' is left out: only its shape is read")
        if self.opaque:
            self.note_opaque()
        types = [v.type for v in values]
        attrs: list[Attributes] = [{} for _ in held] + [{"graph.param": UNIT} for _ in self.build.params]
        body = Block([*held, *self.build.params], [*self.build.ops, ReturnOp(values, [])])
        func = FuncOp(function_name(self.model.name), body, types, arg_attrs=attrs)
        module = ModuleOp([func])
        verify(module)
        return Imported(module, self.build.weights, self.build.notes)

    def note_opaque(self) -> None:
        """Says which operators have become opaque operations, if any."""
        moving = movers(self.build, self.unknown)
        parts = [self.by_operator()] if self.unknown else []
        parts += [f"to move data {', '.join(f'{op} {count}' for op, count in moving.items())}"] if moving else []
        if parts:
            self.build.note(f"opaque, so that nothing runs the function: {'; '.join(parts)}")

    # Nodes

    def opaque_or_node(self, node: Node) -> Sequence[Tensor | Host | None] | None:
        """What a node's outputs are, or its first one; of one that can't be imported as it is, in other words: with its
        inputs moved into their order, or as an opaque operation."""
        inputs = [self.read(name) if name else None for name in node.inputs]
        if any(name and t is None and name not in self.host for name, t in zip(node.inputs, inputs, strict=True)):
            return None
        for change in (lambda tensor: tensor, partial(in_order, self.build, self.moved)):
            ops, normalizations, moved = len(self.build.ops), len(self.build.normalizations), dict(self.moved)
            try:
                if not any(name in self.host for name in node.inputs):
                    return self.made(node, [change(tensor) for tensor in inputs])
            except Unsupported:
                self.build.take_back(ops, normalizations)
                self.moved.clear()
                self.moved |= moved
        return self.as_opaque(node, inputs)

    def as_opaque(self, node: Node, inputs: Sequence[Tensor | None]) -> Sequence[Tensor | Host]:
        """A node as an opaque operation."""
        known = outputs_of(self.model, node, inputs)
        if not all(name in known for name in node.outputs if name):
            known = self.inferred() | known
        made = opaque_node(self.build, node, inputs, known)
        if any(t is not HOST for t in made):
            self.unknown.append(node)
        return made

    def node(self, node: Node) -> Sequence[Tensor] | None:
        """What a node's outputs are, or its first one; None where one of its inputs could not be imported."""
        return self.made(node, [self.read(name) if name else None for name in node.inputs])

    def made(self, node: Node, inputs: list[Tensor | None]) -> Sequence[Tensor] | None:
        """The same, of these inputs."""
        least, most = inputs_of(node.op)
        handler = handler_of(node.op)
        if handler is not None and not (least <= len(inputs) <= most and all(node.inputs[:least])):
            takes = f"{least} or {most}" if most > least else str(least)
            raise ValueError(f"it has {count_of(len(inputs), 'input')}, and takes {takes}")
        lost = any(name and tensor is None for name, tensor in zip(node.inputs, inputs, strict=True))
        constant = can_fold(node) and not lost and all(isinstance(t, Const) for t in inputs if t is not None)
        if not constant and handler is None:
            if not self.opaque:
                self.unknown.append(node)
            raise Unsupported("it has no counterpart here")
        if lost and node.op in SHAPES and (shape := self.shape(node.inputs[0])) is not None:
            return [shape_of(node, shape)]
        if lost:
            check_unread(self.model, node, [t is None for t in inputs])
            return None
        if not constant:
            assert handler is not None
            tensors = handler(self.build, node, inputs)
            return tensors if isinstance(tensors, list) else [tensors]
        arrays = fold(self.model, node, [t.array if isinstance(t, Const) else None for t in inputs])
        if (known := dequantized_const(node, inputs, arrays)) is not None:
            return [known]
        sources = [t.name for t in inputs if isinstance(t, Const)]
        kept = sources and node.op != "Concat"
        outputs = [name for name in node.outputs if name]
        made = zip(outputs, arrays, strict=True)
        return [Const(sources[0] if kept else name, np.asarray(array)) for name, array in made]

    def shape(self, name: str) -> Shape | None:
        """The shape of a tensor that isn't imported, if it is known."""
        given = self.model.inputs.get(name)
        found = self.sizes.of(given) if given is not None else (self.inferred().get(name) or given)
        sizes = found.shape if isinstance(found, Input) else found
        if sizes and isinstance(sizes[0], str) and given is not None:
            self.symbolic.add(sizes[0] or name)
            sizes = [self.sizes.batch or 1, *sizes[1:]]
        return None if sizes is None or not all(isinstance(d, int) for d in sizes) else tuple(map(int, sizes))

    def read(self, name: str) -> Tensor | None:
        if name not in self.tensors and name in self.model.initializers:
            self.tensors[name] = Const(name, self.model.array(name))
        if name not in self.tensors:
            made = self.model.makers.get(name)
            if made is not None and self.tensors.get(made.outputs[0]) is not None:
                raise Unsupported(f"only the first output is imported, '{name}' is another", made)
            return None
        return self.tensors[name]


def function_name(name: str) -> str:
    """A symbol like the graph's name, `main` where that says nothing."""
    symbol = re.sub(r"[^A-Za-z0-9_$.]", "_", name).strip("_.$")
    if not symbol or re.fullmatch(r"[0-9a-f_]{32,}", symbol):
        return "main"
    return symbol if not symbol[0].isdigit() else f"_{symbol}"
