"""Writes docs/api.md, the reference of `import tilewright as tw`, from signatures and docstrings.

    python docs/make_api.py

A test asks for every public name, and that the page is what this script writes.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, get_overloads

import tilewright as tw

PAGE = Path(__file__).with_name("api.md")

INTRO = """\
# The Python API

<!-- Written by docs/make_api.py. -->

`import tilewright as tw` is all that a script needs, and every name in it has a type for mypy and pyright. Parts are
imported when they are first used; NumPy only by `tw.run`, which computes arrays. In the signatures, `Array` is a NumPy
array, `Inputs` a mapping from names to arrays or a sequence of arrays (or of what NumPy makes arrays of),
`Attribute` a number, a string, a type, or a list of such, `Attributes` a dictionary with strings for keys, and `Placed`
an operation of a schedule.

```python
import numpy as np
import tilewright as tw

b = tw.FuncBuilder("layer")
x, w = b.arg("x", (128, 64)), b.arg("w", (64, 32), param=True)
b.returns(b.matmul(x, w, activation="relu", name="h"))
module = b.module()

planned = tw.run_passes(module, "O1{sram=64KiB}")
tw.prove(module, planned)
(h,) = tw.run(planned, {"x": np.ones((128, 64)), "w": np.ones((64, 32))})
figures = tw.report(module, "O1{sram=64KiB}").function("layer")

print(str(planned).splitlines()[4])
print(h.shape, h.dtype, h[0, 0], figures.cost.traffic_bytes, tw.simulate(planned).makespan)
try:
    tw.parse("func.func @f() {\\n  graph.rellu\\n}", filename="f.mir")
except tw.DiagnosticError as error:
    for e in error.diagnostics:
        print(e.filename, e.line, e.column, e.message)
```

```text
```
"""

SECTIONS = {
    "Functions": ("parse", "print", "verify", "run_passes", "prove", "run", "simulate", "report"),
    "Building": ("FuncBuilder",),
    "Programs": ("ModuleOp", "FuncOp", "Operation", "Block", "Value", "Type", "TensorType",
                 "FunctionType", "Source", "UNIT"),
    "Reports": ("Report", "FunctionReport", "Moves", "ScheduleStats", "Invariant", "ScheduleCost", "TensorTraffic",
                "Bounds", "TimeReport", "EngineTime"),
    "Time": ("Simulation", "TimedOp", "Timeline", "Stall", "Target"),
    "Schedules as Python objects": ("Scheduler", "Schedule", "SchedLoad", "SchedExecute", "SchedStore", "TileAt",
                                    "SRAMConfig", "VirtualSRAMArena", "Allocation"),
    "Errors": ("DiagnosticError", "Diagnostic", "DiagnosticWarning", "OpError", "UsageError", "PluginError",
               "ScheduleError", "OutOfMemoryError"),
    "Versions": ("LANGUAGE_VERSION", "__version__"),
}  # fmt: skip

CONSTANTS = {
    "UNIT": "The value of an attribute that is a key alone, such as `graph.param`; told by identity.",
    "LANGUAGE_VERSION": "The [version of the language](language.md#version) that is read and printed, `MAJOR.MINOR`.",
    "__version__": "The version of the package.",
}


def page() -> str:
    """The whole page; the outputs of its examples are left for test/unit/test_docs.py to fill in."""
    parts = [INTRO]
    for section, names in SECTIONS.items():
        parts.append(f"\n## {section}\n")
        parts += [f"\n### {name}\n\n{described(name)}" for name in names]
    return "".join(parts)


def described(name: str) -> str:
    """One public name: how it is called, what its docstring says, and its members."""
    if name in CONSTANTS:
        return f"{CONSTANTS[name]}\n"
    part = getattr(tw, name)
    heads = [call(name, inspect.signature(f)) for f in get_overloads(part) or [part]] if not is_plain(part) else []
    text = code("\n".join(heads)) if heads else ""
    text += prose(inspect.getdoc(part) or "")
    rows = list(members(part)) if inspect.isclass(part) else []
    return text + ("\n| member | |\n| --- | --- |\n" + "".join(rows) if rows else "")


def is_plain(part: object) -> bool:
    """Whether a class is known by its fields (or isn't made by users), and not by how it is called."""
    if not inspect.isclass(part):
        return False
    made_otherwise = issubclass(part, (tuple, Exception)) or not inspect.isfunction(part.__init__)
    return is_dataclass(part) or made_otherwise


def call(name: str, signature: inspect.Signature) -> str:
    """`name(parameters) -> result`, over several lines where it is long."""
    shown = [parameter for parameter in signature.parameters.values() if parameter.name != "self"]
    words: list[str] = []
    for i, parameter in enumerate(shown):
        if parameter.kind is parameter.KEYWORD_ONLY and all(
            p.kind not in (p.KEYWORD_ONLY, p.VAR_POSITIONAL) for p in shown[:i]
        ):
            words.append("*")
        stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
        kind = "" if parameter.annotation is parameter.empty else f": {parameter.annotation}"
        words.append(f"{stars}{parameter.name}{kind}{default}")
    result = signature.return_annotation
    end = "" if result in (signature.empty, "None", None) else f" -> {result}"
    line = f"{name}({', '.join(words)}){end}"
    return line if len(line) <= 110 else f"{name}(\n    " + ",\n    ".join(words) + f",\n){end}"


def members(cls: type) -> Iterator[str]:
    """A row for each field, property and method that a class has of its own."""
    if is_dataclass(cls):
        for f in fields(cls):
            default = "" if f.default is MISSING else f" = {f.default!r}"
            yield f"| `{f.name}: {cell(str(f.type))}{default}` | |\n"
    elif issubclass(cls, tuple):
        for name, kind in inspect.get_annotations(cls).items():
            defaults = cls._field_defaults  # type: ignore[attr-defined]
            default = f" = {defaults[name]!r}" if name in defaults else ""
            yield f"| `{name}: {cell(str(kind))}{default}` | |\n"
    for name, member in public(cls).items():
        text = cell(" ".join((inspect.getdoc(member) or "").split()))
        if isinstance(member, property):
            kind = inspect.signature(member.fget).return_annotation if member.fget else ""
            yield f"| `{name}: {cell(str(kind))}` | {text} |\n"
        else:
            function = member.__func__ if isinstance(member, classmethod) else member
            signature = inspect.signature(function)
            shown = " ".join(call(name, signature).replace("cls, ", "", 1).split()).replace(", )", ")")
            yield f"| `{cell(shown.replace('( ', '('))}` | {text} |\n"


def public(cls: type) -> dict[str, Any]:
    """The properties and methods of a class itself, in the order in which they are written."""
    kinds = (property, classmethod, type(public))
    return {name: member for name, member in vars(cls).items() if name[0] != "_" and isinstance(member, kinds)}


def cell(text: str) -> str:
    return text.replace("|", "\\|")


def code(text: str) -> str:
    return f"```py\n{text}\n```\n\n"


def prose(doc: str) -> str:
    """A docstring, its examples as blocks."""
    text, _, example = doc.partition("\n\n>>> ")
    return f"{text}\n" + (f"\n```pycon\n>>> {example}\n```\n" if example else "")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
