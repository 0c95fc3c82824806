"""Types. A type is its canonical MLIR text; equality and hashing go by that text."""

from __future__ import annotations

import re

EMPTY_DIMENSION = "tensor dimension must be at least 1, got 0"
EMPTY_TENSOR = r"tensor<(?:[0-9\s]+x)*?\s*0+\s*x"

DTYPE_BYTES = {"f32": 4, "f16": 2, "bf16": 2, "i8": 1, "ui8": 1, "i32": 4}
"""Bytes of one element, by element type, for the element types that tensors here can have."""

INTEGERS = ("i8", "ui8", "i32")
"""Those whose elements are whole numbers, which are never rounded."""

MAX_RANK = 6
"""Most axes of a tensor that is cut in tiles; the fewest are 1."""


class Type:
    """Base of all types; `text` is the type as MLIR writes it."""

    __slots__ = ("text",)
    text: str

    def __init__(self, text: str):
        self.text = text

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.text})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Type) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __copy__(self) -> Type:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Type:
        return self


class ScalarType(Type):
    """`f32`, `i64`, `index`, `none` and the like."""

    __slots__ = ()


class OpaqueType(Type):
    """A type that is kept as it was written, such as `!foo.bar<1, 2>` or `memref<4x?xf32>`."""

    __slots__ = ()


class TensorType(Type):
    """`tensor<128x64xf32>`: `shape` in elements, each at least 1, and the element type's name.

    Raises ValueError for a dimension below 1.
    """

    __slots__ = ("dtype", "shape")

    def __init__(self, shape: tuple[int, ...], dtype: str):
        if any(d < 1 for d in shape):
            raise ValueError(f"tensor dimension must be at least 1, got {next(d for d in shape if d < 1)}")
        self.shape = tuple(shape)
        self.dtype = dtype
        super().__init__("tensor<" + "".join(f"{d}x" for d in shape) + dtype + ">")

    @property
    def rank(self) -> int:
        """How many dimensions there are."""
        return len(self.shape)

    @property
    def element_bytes(self) -> int:
        """Bytes of one element."""
        return DTYPE_BYTES[self.dtype]


def has_empty_dimension(type: Type) -> bool:
    """Whether a type is a tensor with a dimension of 0, which MLIR has and no function here can."""
    return isinstance(type, OpaqueType) and re.match(EMPTY_TENSOR, type.text) is not None


class FunctionType(Type):
    """`(inputs) -> results`."""

    __slots__ = ("inputs", "results")

    def __init__(self, inputs: tuple[Type, ...], results: tuple[Type, ...]):
        self.inputs = tuple(inputs)
        self.results = tuple(results)
        super().__init__(f"({', '.join(map(str, inputs))}) -> {result_list(self.results)}")


def result_list(results: tuple[Type, ...]) -> str:
    """Result types as MLIR writes them: bare if there is just one that is no function, else in parentheses."""
    if len(results) == 1 and not isinstance(results[0], FunctionType):
        return results[0].text
    return "(" + ", ".join(map(str, results)) + ")"
