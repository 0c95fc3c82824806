"""Passes: how they are declared, named in a pipeline, given options, and run one after the other."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, NamedTuple, Protocol, TypeVar

from ..ir.builtin import FuncOp, ModuleOp
from ..ir.collector import collector_off
from ..ir.core import Operation
from ..ir.diagnostics import Diagnostic, DiagnosticError, did_you_mean
from ..ir.verifier import verify
from ..planner.progress import tell


class UsageError(Exception):
    """What is wrong with a pipeline's text: an unknown pass or option, a malformed value."""


class Pass(Protocol):
    """A pass: a frozen dataclass whose fields are its options. Valid IR in, valid IR out; the input is not changed."""

    __dataclass_fields__: ClassVar[dict[str, Any]]
    name: ClassVar[str]
    needs: ClassVar[tuple[str, ...]]

    def apply(self, module: ModuleOp) -> ModuleOp:
        """The rewritten module. Raises `DiagnosticError`."""
        ...


PASSES: dict[str, type] = {}
"""Those of the modules that have been imported, by name."""

PassT = TypeVar("PassT", bound=type)


def register_pass(cls: PassT) -> PassT:
    """Class decorator: makes a pass known under its `name`. `needs` names the passes to run first on functions that
    stand at an earlier level."""
    PASSES[cls.name] = cls
    return cls


def find_pass(name: str) -> type | None:
    """The pass of a name; no other is imported. `kebab-case` is declared in `kebab_case.py`."""
    stem = name.replace("-", "_")
    if name not in PASSES and stem.isidentifier():
        try:
            importlib.import_module(f"{__package__}.{stem}")
        except ModuleNotFoundError as error:
            if error.name != f"{__package__}.{stem}":
                raise
    return PASSES.get(name)


def load_passes() -> dict[str, type]:
    """All passes by name: every module of this folder is looked at."""
    import pkgutil

    for entry in pkgutil.iter_modules(importlib.import_module(f"{__package__}").__path__):
        importlib.import_module(f"{__package__}.{entry.name}")
    return dict(sorted(PASSES.items()))


# Options


class Option(NamedTuple):
    """How one option is read and described."""

    read: Callable[[str], Any]
    help: str
    metavar: str


def option(read: Callable[[str], Any], help: str, metavar: str) -> Any:
    """A pass's field that is an option: None unless given; `read` raises ValueError for a malformed value."""
    from dataclasses import field

    return field(default=None, metadata={"option": Option(read, help, metavar)})


def flag(help: str) -> Any:
    """A pass's field that is an option without a value."""
    from dataclasses import field

    return field(default=False, metadata={"option": Option(_read_flag, help, "")})


def _read_flag(text: str) -> bool:
    if text in ("", "true"):
        return True
    if text == "false":
        return False
    raise ValueError("takes no value (or true, false)")


SIZE = "([0-9]+)(B|KiB|MiB|GiB|KB|MB|GB)?"
UNITS = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "KB": 10**3, "MB": 10**6, "GB": 10**9}


def read_bytes(text: str) -> int:
    """`65536`, `64KiB`, `1MiB` as bytes. Raises ValueError."""
    match = re.fullmatch(SIZE, text)
    if match is None:
        raise ValueError(f"must be a number of bytes such as 65536, 64KiB or 1MiB, got '{text}'")
    if len(match.group(1)) > 15 or int(match.group(1)) == 0:
        raise ValueError(f"must be a positive size below 1 PB, got '{text}'")
    return int(match.group(1)) * UNITS[match.group(2) or ""]


def read_count(text: str) -> int:
    """A number, 1 or more. Raises ValueError."""
    if not re.fullmatch("[0-9]{1,9}", text) or int(text) == 0:
        raise ValueError(f"must be a number, 1 or more, got '{text}'")
    return int(text)


def read_alignment(text: str) -> int:
    """A power of two, in bytes like a size. Raises ValueError."""
    value = read_bytes(text)
    if value & (value - 1):
        raise ValueError(f"must be a power of two such as 64, got '{text}'")
    return value


def read_tile(text: str) -> tuple[int, int, int]:
    """`32x32x32` as (tm, tn, tk). Raises ValueError."""
    if not re.fullmatch("[0-9]{1,9}(x[0-9]{1,9}){2}", text) or 0 in map(int, text.split("x")):
        raise ValueError(f"must be three positive tile sizes MxNxK such as 32x32x32, got '{text}'")
    tm, tn, tk = map(int, text.split("x"))
    return tm, tn, tk


def read_choice(*choices: str) -> Callable[[str], str]:
    """One of a few words. Raises ValueError with the nearest one."""

    def read(text: str) -> str:
        if text not in choices:
            words = " or ".join([", ".join(choices[:-1])] * (len(choices) > 1) + list(choices[-1:]))
            raise ValueError(f"must be {words}, got '{text}'{did_you_mean(text, choices)}")
        return text

    return read


def options_of(cls: type) -> dict[str, Option]:
    """A pass's options by the names that a pipeline uses."""
    from dataclasses import fields

    return {f.name.replace("_", "-"): f.metadata["option"] for f in fields(cls) if "option" in f.metadata}


def make_pass(name: str, text: str = "") -> Pass:
    """A pass from its name and its options' text, such as `sram=64KiB double-buffer`. Raises `UsageError`."""
    cls = find_pass(name)
    if cls is None:
        raise UsageError(f"unknown pass '{name}'{did_you_mean(name, load_passes())}; --list-passes lists them")
    options = options_of(cls)
    values: dict[str, Any] = {}
    for key, value in split_options(text, f"pass '{name}'").items():
        if key not in options:
            known_text = f"; it has {', '.join(options)}" if options else "; it has none"
            raise UsageError(f"unknown option '{key}' of pass '{name}'{did_you_mean(key, options)}{known_text}")
        try:
            values[key.replace("-", "_")] = options[key].read(value)
        except ValueError as error:
            raise UsageError(f"option '{key}' of pass '{name}' {error}") from None
    return cls(**values)


def split_options(text: str, whose: str) -> dict[str, str]:
    """`sram=64KiB double-buffer` as keys and values, empty for none. Raises `UsageError` where a key stands twice."""
    found: dict[str, str] = {}
    for word in re.split(r"[\s,]+", text.strip()):
        key, _, value = word.partition("=")
        if word and key in found:
            raise UsageError(f"option '{key}' of {whose} is given twice")
        if word:
            found[key] = value
    return found


PIPELINE_ENTRY = r"\s*([\w-]+)\s*(?:\{([^{}]*)\})?\s*(,|\Z)"
PIPELINE_COMMENT = r"//[^\n]*"


def split_entry(text: str) -> tuple[str, str]:
    """A pass's name and its options' text, from `tile{sizes=32x32x32}`."""
    name, _, options = text.partition("{")
    return name, options.removesuffix("}")


def parse_pipeline(text: str) -> list[Pass]:
    """`fuse,tile{sizes=32x32x32},lower` as passes. A named pipeline, `O1{sram=64KiB}`, stands for its passes; lines may
    break between passes and end in `// comments`. Raises `UsageError`."""
    from .pipelines import is_pipeline, make_pipeline

    text = re.sub(PIPELINE_COMMENT, "", text)
    passes: list[Pass] = []
    position = 0
    entry = re.compile(PIPELINE_ENTRY)
    while position < len(text.rstrip()):
        match = entry.match(text, position)
        if match is None:
            raise UsageError(f"malformed pipeline at '{text[position : position + 40]}'; "
                             "write it as fuse,tile{sizes=32x32x32},lower")  # fmt: skip
        name, options = match.group(1), match.group(2) or ""
        passes += make_pipeline(name, options) if is_pipeline(name) else [make_pass(name, options)]
        position = match.end()
    return passes


def pass_text(instance: Pass) -> str:
    """A pass as a pipeline writes it, options that are not defaults included."""
    from dataclasses import MISSING, fields

    shown = []
    for f in fields(instance):
        value = getattr(instance, f.name)
        if "option" in f.metadata and f.default is not MISSING and value != f.default:
            shown.append(f.name.replace("_", "-") + ("" if value is True else f"={_option_text(value)}"))
    return instance.name + ("{" + " ".join(shown) + "}" if shown else "")


def _option_text(value: Any) -> str:
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)


# Running


Observer = Callable[[str, ModuleOp], None]
"""Told the name of each pass that has been run (empty for the input) with what came out."""


def run_passes_on(
    module: ModuleOp,
    passes: Iterable[Pass],
    *,
    verify_each: bool = True,
    prove_each: bool = False,
    verify_input: bool = True,
    observe: Observer | None = None,
) -> ModuleOp:
    """Runs passes in order, those that a pass needs before it; verifies what comes out of each, and with `prove_each`
    shows that it computes the same as what went in. The input is verified unless the caller says that it has been.

    Raises `DiagnosticError` for the input's faults and for those that a pass has made.
    """
    if verify_input:
        verify(module)
    if observe:
        observe("", module)
    for wanted in passes:
        for instance in (*needed_passes(wanted, module), wanted):
            tell(instance.name)
            before, module = module, _run_one(instance, module, verify_each)
            if prove_each:
                _prove_result(instance, before, module)
            if observe:
                observe(instance.name, module)
    return module


def needed(instance: Pass, module: ModuleOp) -> tuple[str, ...]:
    """The passes to run before one: those it names, if some function still stands at graph level."""
    from ..dialects.levels import level_of

    if not instance.needs or all(level_of(func) != "graph" for func in module.functions()):
        return ()
    return instance.needs


def needed_passes(wanted: Pass, module: ModuleOp) -> list[Pass]:
    """The passes to run before one, for the same machine: they take its `sram`, say, if they have such an option."""
    return [inherit(make_pass(name), wanted) for name in needed(wanted, module)]


def inherit(instance: Pass, other: Pass) -> Pass:
    """The pass with the options of another one that it has too and that nobody has set."""
    from dataclasses import fields, replace

    unset = {f.name for f in fields(instance) if "option" in f.metadata and getattr(instance, f.name) is None}
    changes = {
        f.name: value for f in fields(other) if (value := getattr(other, f.name)) is not None and f.name in unset
    }
    return replace(instance, **changes) if changes else instance


def _run_one(instance: Pass, module: ModuleOp, verify_each: bool) -> ModuleOp:
    try:
        with collector_off():
            result = instance.apply(module)
    except DiagnosticError as error:
        raise DiagnosticError(error.diagnostics, module.source) from None
    if verify_each:
        _verify_result(instance, result)
    return result


def _verify_result(instance: Pass, module: ModuleOp) -> None:
    try:
        verify(module)
    except DiagnosticError as error:
        _blame(instance, "produced invalid IR", error)
        raise


def _prove_result(instance: Pass, before: ModuleOp, after: ModuleOp) -> None:
    from ..analysis.proof import prove_module

    try:
        prove_module(before, after)
    except DiagnosticError as error:
        _blame(instance, "changed what is computed", error)
        raise


def _blame(instance: Pass, what: str, error: DiagnosticError) -> None:
    for diagnostic in error.diagnostics:
        diagnostic.message = f"pass '{instance.name}' {what} (a bug in Tilewright): {diagnostic.message}"


def map_functions(module: ModuleOp, rewrite: Callable[[FuncOp, ModuleOp], FuncOp]) -> ModuleOp:
    """The module with each function rewritten (the same object means unchanged), nested modules included.

    Raises one `DiagnosticError` with the errors of all functions.
    """
    errors: list[Diagnostic] = []

    def visit(op: Operation, parent: ModuleOp) -> Operation:
        if isinstance(op, ModuleOp):
            ops = [visit(inner, op) for inner in op.ops]
            return ModuleOp(ops, attrs=op.attrs, sym_name=op.sym_name, source=op.source, loc=op.loc)
        if not isinstance(op, FuncOp) or op.is_declaration:
            return op
        try:
            return rewrite(op, parent)
        except DiagnosticError as error:
            errors.extend(error.diagnostics)
            return op

    result = visit(module, module)
    if errors:
        raise DiagnosticError(errors, module.source)
    assert isinstance(result, ModuleOp)
    return result
