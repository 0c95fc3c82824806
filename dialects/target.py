"""The machine that a function is planned for, as data: `sched.target` on the function or the module."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType

from ..ir.attributes import Attr
from ..ir.builtin import FuncOp, ModuleOp
from ..ir.diagnostics import did_you_mean
from ..ir.light_typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard
from ..ir.opdef import REGISTRIES, are_integers
from ..planner.units import is_power_of_two
from .kernels import KERNELS, find_kernel, unusable_plugin

if TYPE_CHECKING:
    from ..ir.plugins import Group

EVICTIONS = ("min", "lru", "cost")

MOST_CHANNELS = 1024
"""Most DMA channels of a machine: each is a queue that is simulated and shown."""


class Target(NamedTuple):
    """SRAM size and alignment in bytes, the default tile [tm, tn, tk] in elements, the eviction policy, and ranges of
    SRAM bytes [start, end) that are not ours.

    The speed: each DMA channel moves `dma_bytes_per_cycle` after `dma_latency` cycles; the compute engine multiplies
    `macs_per_cycle` pairs, or treats `elements_per_cycle` elements of a tile with another kernel; `kernel_cycles` sets
    the cycles of a kernel's exec, whatever its tiles.
    """

    sram_bytes: int = 256 * 1024
    alignment: int = 64
    tile: tuple[int, int, int] = (32, 32, 32)
    evict: str = "min"
    reserved: tuple[tuple[int, int], ...] = ()
    dma_bytes_per_cycle: int = 16
    dma_channels: int = 1
    dma_latency: int = 0
    macs_per_cycle: int = 256
    elements_per_cycle: int = 32
    kernel_cycles: Mapping[str, int] = MappingProxyType({})

    def __reduce__(self) -> tuple[type[Target], tuple[Any, ...]]:
        """What `pickle` and `copy` ask for: the default of `kernel_cycles` is nothing that they can copy."""
        return Target, (*self[:-1], dict(self.kernel_cycles))


def reserved_ranges(value: Attr) -> TypeGuard[tuple[tuple[int, int], ...]]:
    """Whether an attribute is a list of byte ranges [start, end)."""
    return type(value) is tuple and all(are_integers(r) and len(r) == 2 and 0 <= r[0] < r[1] for r in value)


def is_positive(value: Attr) -> TypeGuard[int]:
    """Whether an attribute is a positive i64 integer."""
    return type(value) is int and value > 0


def is_alignment(value: Attr) -> TypeGuard[int]:
    """Whether an attribute is a number of bytes that addresses can be aligned to."""
    return is_positive(value) and is_power_of_two(value)


def _is_tile(value: Attr) -> bool:
    return are_integers(value) and len(value) == 3 and min(value) > 0


def _is_latency(value: Attr) -> bool:
    return type(value) is int and value >= 0


def _is_channels(value: Attr) -> bool:
    return is_positive(value) and value <= MOST_CHANNELS


def _is_eviction(value: Attr) -> bool:
    return type(value) is str and value in EVICTIONS


def _kernel_cycles(value: Attr) -> bool:
    return type(value) is dict and all(find_kernel(k) and is_positive(v) for k, v in value.items())


def _cycles_wanted() -> str:
    unusable = unusable_plugin()
    others = f", or of a plugin's ({unusable})" if unusable else ""
    return f"a dictionary of cycles by kernel ({', '.join(KERNELS)}){others}"


CHECKS: dict[str, tuple[Callable[[Attr], bool], str | Callable[[], str]]] = {
    "sram_bytes": (is_positive, "a positive number of bytes"),
    "alignment": (is_alignment, "a power of two"),
    "tile": (_is_tile, "three positive tile sizes [tm, tn, tk]"),
    "dma_bytes_per_cycle": (is_positive, "a positive number of bytes"),
    "dma_channels": (_is_channels, f"a number of channels from 1 to {MOST_CHANNELS:,}"),
    "dma_latency": (_is_latency, "a number of cycles, 0 or more"),
    "macs_per_cycle": (is_positive, "a positive number of multiply-accumulates"),
    "elements_per_cycle": (is_positive, "a positive number of elements"),
    "kernel_cycles": (_kernel_cycles, _cycles_wanted),
    "reserved": (reserved_ranges, "a list of byte ranges [[start, end]]"),
    "evict": (_is_eviction, 'one of "min", "lru", "cost"'),
}


def check_target(value: Attr) -> str:
    """A field's check for `sched.target`."""
    if type(value) is not dict:
        return "a dictionary such as {alignment = 64, sram_bytes = 262144}"
    for key, given in value.items():
        if key not in CHECKS:
            near = did_you_mean(str(key), CHECKS)
            return f"a dictionary with the keys {', '.join(CHECKS)}; '{key}' is unknown{near}"
        good, expected = CHECKS[key]
        if not good(given):
            return f"a dictionary in which '{key}' is {expected() if callable(expected) else expected}"
    return ""


def target_of(func: FuncOp, module: ModuleOp, **options: Any) -> Target:
    """The machine for a function: options (None for not given) beat its own `sched.target`, that the module's, that the
    defaults. One that is malformed, which is an error of its own, counts as left out."""
    given = {k: v for k, v in options.items() if v is not None}
    return Target(**(_right_target(module) | _right_target(func) | given))


def _right_target(op: FuncOp | ModuleOp) -> dict[str, Any]:
    target: Any = op.attrs.get("sched.target", {})
    return {} if check_target(target) else target


def schedule_target(func: FuncOp, module: ModuleOp) -> Target:
    """The machine of a scheduled function: its SRAM is that of `sched.sram`, if it has that."""
    target = target_of(func, module)
    sram = func.attrs.get("sched.sram")
    if sram is None:
        return target
    return target._replace(
        sram_bytes=sram["total_bytes"], alignment=sram["alignment"], reserved=sram.get("reserved", ())
    )


SPEEDS = ("dma_bytes_per_cycle", "dma_channels", "dma_latency", "elements_per_cycle", "macs_per_cycle")

MACHINES: dict[str, dict[str, Any]] = {}
"""Machines by name: a small NPU, a wide one, and two with 256 MACs and 16 or 64 bytes a cycle, to compare with.

Each says all its speeds, so that nothing of the machine that a text was made for is left over."""

REGISTRIES.append(MACHINES)


def add_machine(name: str, given: Any) -> None:
    """Makes a machine known by a name, from a dictionary as `sched.target` has it; speeds that it leaves out are those
    of `Target`. Raises ValueError for what is no such dictionary."""
    expected = check_target(given)
    if expected:
        raise ValueError(f"the target '{name}' must be {expected}")
    MACHINES[name] = {key: getattr(Target(), key) for key in SPEEDS} | given


def find_machine(name: str) -> dict[str, Any] | None:
    """The machine of a name, a plugin's too. Raises `PluginError`."""
    if name not in MACHINES:
        plugin_machines().find(name)
    return MACHINES.get(name)


@cache
def plugin_machines() -> Group:
    """The machines of other packages."""
    from ..ir.plugins import Group

    return Group("tilewright.targets", "target", MACHINES.__contains__, add_machine)


_NAMED: dict[str, dict[str, Any]] = {
    "npu-small": {"sram_bytes": 128 * 1024, "dma_bytes_per_cycle": 8, "macs_per_cycle": 256, "dma_latency": 64},
    "npu-wide": {
        "sram_bytes": 1024 * 1024, "dma_bytes_per_cycle": 64, "dma_channels": 2, "dma_latency": 128,
        "macs_per_cycle": 4096, "elements_per_cycle": 128,
    },
    "dma16": {"dma_bytes_per_cycle": 16, "macs_per_cycle": 256},
    "dma64": {"dma_bytes_per_cycle": 64, "macs_per_cycle": 256},
}  # fmt: skip
for _name, _given in _NAMED.items():
    add_machine(_name, _given)
