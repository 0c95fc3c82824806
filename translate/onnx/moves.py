"""How ONNX's operators are imported that only say where data are: they become views, or nothing."""

from __future__ import annotations

from math import prod
from typing import Any

from .build import Builder
from .model import Node
from .tensors import Const, Tensor, Unsupported, View, broadcast, text

Inputs = list[Any]


def import_transpose(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    (view,) = inputs
    rank = len(view.shape)
    perm = tuple(node.attribute("perm", range(rank - 1, -1, -1)))
    if sorted(perm) != list(range(rank)):
        raise ValueError(f"perm is {list(perm)}, and the tensor has rank {rank}")
    return view.transposed(perm, node)


def import_flatten(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    (view,) = inputs
    axis = node.attribute("axis", 1)
    axis += len(view.shape) if axis < 0 else 0
    return build.reshaped(view, (prod(view.shape[:axis]), prod(view.shape[axis:])), node)


def import_reshape(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    view, wanted = inputs
    sizes = integers(wanted, "the shape")
    if not node.attribute("allowzero", 0):
        sizes = [view.shape[i] if d == 0 and i < len(view.shape) else d for i, d in enumerate(sizes)]
    known, total = prod(d for d in sizes if d != -1), prod(view.shape)
    if sizes.count(-1) == 1 and known > 0 and total % known == 0:
        sizes[sizes.index(-1)] = total // known
    if min(sizes, default=1) < 1 or prod(sizes) != total:
        raise ValueError(f"a tensor of shape {list(view.shape)} can't be reshaped to {integers(wanted, 'the shape')}")
    return build.reshaped(view, tuple(sizes), node)


def import_squeeze(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    view, axes = inputs[0], axes_of(node, inputs)
    if axes is None:
        axes = [i for i, d in enumerate(view.shape) if d == 1]
    gone = {a % max(len(view.shape), 1) for a in axes}
    if any(view.shape[a] != 1 for a in gone):
        raise ValueError(f"axes {sorted(gone)} of shape {list(view.shape)} are not all of size 1")
    return build.reshaped(view, tuple(d for i, d in enumerate(view.shape) if i not in gone), node)


def import_unsqueeze(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    view, axes = inputs[0], axes_of(node, inputs) or []
    rank = len(view.shape) + len(axes)
    new, rest = {a % rank for a in axes}, iter(view.shape)
    return build.reshaped(view, tuple(1 if i in new else next(rest) for i in range(rank)), node)


def import_slice(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    """Starts, ends, axes and steps are attributes before operator set 10."""
    view = inputs[0]
    names = ("starts", "ends", "axes", "steps")
    given = [integers(t, f"its {name}") if t is not None else None for t, name in zip(inputs[1:], names, strict=False)]
    given += [node.attribute(name, None) for name in names[len(given) :]]
    starts, ends = given[0] or [], given[1] or []
    axes, steps = given[2] or list(range(len(starts))), given[3] or [1] * len(starts)
    first, sizes = [0] * len(view.shape), list(view.shape)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if step != 1:
            raise Unsupported(f"a slice in steps of {step}")
        at, to, _ = slice(start, end).indices(view.shape[axis])
        first[axis], sizes[axis] = at, to - at
    if min(sizes) < 1:
        raise Unsupported("it leaves no elements; dimensions are at least 1")
    return build.sliced(view, tuple(first), tuple(sizes), node)


def import_split(build: Builder, node: Node, inputs: Inputs) -> list[Tensor]:
    """Into parts of given sizes, or into as many equal ones as there are outputs, the last of which may be smaller."""
    view, given = inputs[0], inputs[1] if len(inputs) > 1 else None
    axis = axis_of(node, 0, len(view.shape))
    size, count = view.shape[axis], len(node.outputs)
    parts = integers(given, "its sizes") if given is not None else node.attribute("split", None)
    each = -(-size // count)
    parts = parts or [min(each, size - i * each) for i in range(count)]
    if len(parts) != count or sum(parts) != size or min(parts) < 1:
        raise ValueError(f"{size} elements can't be split into {parts}")
    made: list[Tensor] = []
    for i, part in enumerate(parts):
        starts = tuple([sum(parts[:i]) if a == axis else 0 for a in range(len(view.shape))])
        sizes = tuple([part if a == axis else d for a, d in enumerate(view.shape)])
        made.append(build.sliced(view, starts, sizes, node, node.outputs[i]))
    return made


def import_gather(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    """Elements that lie one behind the other, by constant numbers."""
    view, indices = inputs
    if not isinstance(view, View):
        raise Unsupported("which rows of a constant are read is decided at run time")
    axis = axis_of(node, 0, len(view.shape))
    size = view.shape[axis]
    found = [i % size for i in integers(indices, "its indices")]
    if not found or found != list(range(found[0], found[0] + len(found))) or found[-1] >= size:
        raise Unsupported("its indices are not one behind the other")
    starts = tuple([found[0] if a == axis else 0 for a in range(len(view.shape))])
    sizes = tuple([len(found) if a == axis else d for a, d in enumerate(view.shape)])
    shape = (*view.shape[:axis], *indices.shape, *view.shape[axis + 1 :])
    return build.reshaped(build.sliced(view, starts, sizes, node), shape, node)


def import_concat(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    tensors = [t for t in inputs if 0 not in t.shape]
    axis = axis_of(node, 0, len(tensors[0].shape))
    if len({t.shape[:axis] + t.shape[axis + 1 :] for t in tensors}) > 1:
        raise ValueError(f"{' and '.join(text(t.shape) for t in tensors)} differ along more than axis {axis}")
    return tensors[0] if len(tensors) == 1 else build.joined(tensors, axis, node)


def import_expand(build: Builder, node: Node, inputs: Inputs) -> Tensor:
    view, wanted = inputs
    shape = broadcast(view.shape, tuple(integers(wanted, "the shape")))
    if shape is None:
        raise ValueError(f"{text(view.shape)} can't be broadcast to {text(tuple(integers(wanted, 'the shape')))}")
    return build.repeated(view, shape, node)


def axes_of(node: Node, inputs: Inputs) -> list[int] | None:
    """An attribute before operator set 13, an input since."""
    if len(inputs) > 1 and inputs[1] is not None:
        return integers(inputs[1], "the axes")
    return node.attribute("axes", None)


def axis_of(node: Node, default: int, rank: int) -> int:
    """Its attribute `axis`, counted from the first. Raises ValueError."""
    axis = node.attribute("axis", default)
    if not -rank <= axis < rank:
        raise ValueError(f"axis {axis} of a tensor of rank {rank}")
    return axis % rank


def integers(tensor: Tensor, what: str) -> list[int]:
    if not isinstance(tensor, Const):
        raise Unsupported(f"{what} must be constant")
    return [int(n) for n in tensor.array.reshape(-1)]
