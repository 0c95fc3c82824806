"""`--target`, `--speeds-only`, `--list-targets`: a machine by its name or from a file, written into what is read."""

from __future__ import annotations

import argparse
import os

from ..ir.attributes import Attributes, dict_text
from ..ir.builtin import FuncOp, ModuleOp
from ..ir.core import Operation
from ..ir.diagnostics import did_you_mean
from ..ir.light_typing import Any, NamedTuple
from ..passes.manager import UsageError
from .files import InputError, read_text

HINT = "--speeds-only takes the machine's speeds and asks nothing of where tiles lie"


class Machine(NamedTuple):
    """What `--target` names: keys as `sched.target` has them, and whether schedules are held to its SRAM."""

    keys: Attributes
    holds: bool = True


def add_target_options(group: Any) -> None:
    """The options about machines, for a parser or a group of its options."""
    group.add_argument(
        "--target", metavar="NAME|FILE", help="the machine: a name, or a .mir file whose module has sched.target"
    )
    group.add_argument(
        "--speeds-only",
        action="store_true",
        help="ask nothing of where a schedule's tiles lie in the machine's SRAM",
    )
    group.add_argument("--list-targets", action="store_true", help="list the machines by name")


def targets_text() -> str:
    """The machines by name, those of plugins too, a line each, as `sched.target` has them. Raises `PluginError`."""
    from ..dialects.target import MACHINES, plugin_machines

    plugins = plugin_machines()
    plugins.find_all()
    width = max(map(len, MACHINES))
    lines = [f"{name:<{width}}  {dict_text(MACHINES[name])}" for name in MACHINES]
    packages = [plugins.packages.get(name) for name in MACHINES]
    return "\n".join(f"{line}  ({of})" if of else line for line, of in zip(lines, packages, strict=True))


def target_given(args: argparse.Namespace) -> Machine | None:
    """What `--target` says; None where it is absent. Raises `UsageError` for an unknown name and for `--speeds-only`
    with nothing to go with, `InputError` for a file that can't be read or has no target, `DiagnosticError` for a
    malformed one."""
    reports = hasattr(args, "report")
    if args.speeds_only and args.target is None and not (reports and args.report):
        raise UsageError(f"--speeds-only goes with --target{' or --report' if reports else ''}")
    return None if args.target is None else Machine(_keys(args.target), not args.speeds_only)


def _keys(word: str) -> Attributes:
    from ..dialects.target import MACHINES, find_machine, plugin_machines

    if word in MACHINES:
        return MACHINES[word]
    if word == "-":
        raise UsageError("--target takes a machine's name or a file")
    if word.endswith(".mir") or os.sep in word or os.path.exists(word):
        return _from_file(word)
    found = find_machine(word)
    if found is None:
        names = [*MACHINES, *(name for name in plugin_machines().names() if name not in MACHINES)]
        listed = ", ".join(names)
        raise UsageError(f"unknown target '{word}'{did_you_mean(word, names)}; there are {listed}, or a .mir file")
    return found


def _from_file(path: str) -> Attributes:
    from .. import dialects
    from ..ir.reading.parser import parse_source
    from ..ir.source import Source
    from ..ir.verifier import verify

    dialects.load_all()
    module = parse_source(Source(path, read_text(path)))
    verify(module)
    target = module.attrs.get("sched.target")
    if target is None:
        hint = "write module attributes {sched.target = {...}} {}"
        raise InputError(f"{path}: its module has no sched.target; {hint}")
    assert type(target) is dict
    return target


def aim(op: Operation, keys: Attributes) -> None:
    """Writes a machine into a module that has just been read: its keys beat those of the module, of modules within it
    and of functions, and the other keys stay."""
    if isinstance(op, FuncOp):
        if "sched.target" in op.attrs:
            own = {key: keys.get(key, value) for key, value in op.attrs["sched.target"].items()}
            op.attrs = op.attrs | {"sched.target": own}
        return
    if isinstance(op, ModuleOp):
        op.extra = op.attrs | {"sched.target": op.attrs.get("sched.target", {}) | keys}
    for block in op.regions:
        for inner in block.ops:
            aim(inner, keys)
