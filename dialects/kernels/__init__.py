"""The kernels: what each tile computation is, in one declaration for all levels (`declaration.py` says which
facets)."""

from . import products  # isort: skip  # the table's order: products first
from . import elementwise, conversions, reductions, masks, moves  # isort: skip
from .declaration import (
    KERNELS,
    Call,
    Kernel,
    activation_name,
    check_activation,
    find_kernel,
    kernel_name,
    unusable_plugin,
)

__all__ = [
    "KERNELS",
    "Call",
    "Kernel",
    "activation_name",
    "check_activation",
    "conversions",
    "elementwise",
    "find_kernel",
    "kernel_name",
    "masks",
    "moves",
    "products",
    "reductions",
    "unusable_plugin",
]
