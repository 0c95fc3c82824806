"""Tensors of a model while it is imported: views of what is held, computed at run time, and constants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...ir.core import Value
from ...ir.types import TensorType
from .model import Node

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

Shape = tuple[int, ...]


class Unsupported(Exception):
    """Why a node can't be imported; `node` where it is another than the one at hand."""

    def __init__(self, why: str, node: Node | None = None):
        super().__init__(why)
        self.node = node


@dataclass(slots=True, eq=False)
class Held:
    """What a view looks at: a value in some form, or an input whose form its first use decides (`value` is None); so it
    does that of what an opaque operation gives, which is `free` until then. A use in another order leaves an input in
    its own shape, where the model has one, `given`."""

    name: str
    dtype: str
    value: Value | None = None
    free: bool = False
    given: Shape | None = None

    @property
    def form(self) -> Shape | None:
        return self.value.type.shape if self.value is not None and isinstance(self.value.type, TensorType) else None


@dataclass(frozen=True, slots=True)
class View:
    """A tensor computed at run time: `held`, in row-major order, as `source`, its axes permuted by `axes`.

    `via` is the last node that reshaped or transposed it.
    """

    held: Held
    source: Shape
    axes: Shape
    via: Node | None = None

    @classmethod
    def plain(cls, held: Held, shape: Shape, via: Node | None = None) -> View:
        return cls(held, shape, tuple(range(len(shape))), via)

    @property
    def shape(self) -> Shape:
        return tuple(self.source[a] for a in self.axes)

    @property
    def in_order(self) -> bool:
        """Whether the permutation leaves the elements where they are: it moves nothing but axes of size 1."""
        moved = [a for a in self.axes if self.source[a] != 1]
        return moved == sorted(moved)

    @property
    def moves_leading(self) -> bool:
        """Whether what changes places are axes before the last one."""
        moved = [a for a in self.axes if self.source[a] != 1]
        return moved != sorted(moved) and moved[-1] == max(moved)

    def reshaped(self, shape: Shape, node: Node) -> View | None:
        """The same elements under another shape; None where they would have to be put in order first."""
        if self.in_order:
            return View.plain(self.held, shape, node)
        core = [a for a in self.axes if self.source[a] != 1]
        if [self.source[a] for a in core] != [d for d in shape if d != 1]:
            return None
        kept = sorted(core)
        ones = len(shape) - len(kept)
        source = (1,) * ones + tuple(self.source[a] for a in kept)
        new, rest = iter(range(ones)), iter(core)
        axes = tuple(next(new) if d == 1 else ones + kept.index(next(rest)) for d in shape)
        return View(self.held, source, axes, node)

    def transposed(self, perm: Sequence[int], node: Node) -> View:
        return View(self.held, self.source, tuple(self.axes[p] for p in perm), node)


@dataclass(frozen=True, slots=True, eq=False)
class Const:
    """A tensor known at import, and the initializer's name that it goes by."""

    name: str
    array: Array

    @property
    def shape(self) -> Shape:
        return self.array.shape


Tensor = View | Const


def text(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "a scalar"


def natural(shape: Shape) -> Shape:
    """The form of a tensor that nothing else asks of it: its own shape; a scalar is a vector of one."""
    return shape or (1,)


def without_ones(shape: Shape) -> Shape:
    return tuple([size for size in shape if size != 1])


def broadcast(a: Shape, b: Shape) -> Shape | None:
    """The shape that two tensors are broadcast to, if there is one."""
    try:
        return np.broadcast_shapes(a, b)
    except ValueError:
        return None


def transposed(tensor: Any, perm: Shape, node: Node) -> Any:
    if isinstance(tensor, Const):
        return Const(tensor.name, tensor.array.transpose(perm))
    return tensor.transposed(perm, node)
