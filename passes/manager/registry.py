"""Which passes there are: how they are declared, found by name, made with options, and written as text."""

from __future__ import annotations

import importlib
from functools import cache

from ...ir.builtin import ModuleOp
from ...ir.diagnostics import did_you_mean
from ...ir.fields import DeclarationError
from ...ir.light_typing import TYPE_CHECKING, Any, TypeVar
from ...ir.opdef import REGISTRIES
from .options import UsageError, options_of, split_options

if TYPE_CHECKING:
    from typing import ClassVar, Protocol

    from ...ir.plugins import Group
else:
    Protocol = object

FOLDER = __name__.rsplit(".", 2)[0]
"""The package whose modules are passes."""


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

REGISTRIES.append(PASSES)

PassT = TypeVar("PassT", bound=type)


def register_pass(cls: PassT) -> PassT:
    """Class decorator: makes a pass known under its `name`. `needs` names the passes to run first on functions that
    stand at an earlier level. Raises `DeclarationError` for a name that is taken."""
    other = PASSES.get(cls.name) or (cls if cls.__module__.startswith(f"{FOLDER}.") else find_pass(cls.name)) or cls
    if (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
        where = f"{cls.__module__}.{cls.__qualname__}"
        raise DeclarationError(f"{where}: {other.__module__}.{other.__qualname__} is called '{cls.name}' already")
    PASSES[cls.name] = cls
    return cls


def is_ours(instance: Pass) -> bool:
    """Whether a pass is one of this package's, and no plugin's."""
    return type(instance).__module__.startswith(f"{FOLDER}.")


def find_pass(name: str) -> type | None:
    """The pass of a name, if it is ours or has been imported; no other is imported. `kebab-case` is declared in
    `kebab_case.py`."""
    stem = name.replace("-", "_")
    if name not in PASSES and stem.isidentifier():
        try:
            importlib.import_module(f"{FOLDER}.{stem}")
        except ModuleNotFoundError as error:
            if error.name != f"{FOLDER}.{stem}":
                raise
    return PASSES.get(name)


def find_plugin_pass(name: str) -> type | None:
    """The pass of a name, if it is a plugin's. Raises `PluginError`."""
    plugin_passes().find(name)
    return PASSES.get(name)


@cache
def plugin_passes() -> Group:
    """The passes of other packages."""
    from ...dialects import load_all
    from ...ir.plugins import Group

    load_all()  # what they import is registered already: of a plugin that fails nothing else is taken back

    def accept(name: str, found: Any) -> None:
        """A module registers its passes by being imported, a class may do so."""
        if isinstance(found, type) and getattr(found, "name", None) == name:
            register_pass(found)
        if name not in PASSES:
            raise ValueError(f"it registers no pass '{name}'")
        missing = [part for part in ("__dataclass_fields__", "needs", "apply") if not hasattr(PASSES[name], part)]
        if missing:
            what = "is no dataclass" if missing[0] == "__dataclass_fields__" else f"has no '{missing[0]}'"
            raise TypeError(f"{PASSES[name].__qualname__} {what}")

    return Group("tilewright.passes", "pass", lambda name: find_pass(name) is not None, accept)


def load_passes() -> dict[str, type]:
    """All passes by name, but for those of plugins that nobody has asked for: every module of this folder is looked
    at."""
    import pkgutil

    for entry in pkgutil.iter_modules(importlib.import_module(FOLDER).__path__):
        importlib.import_module(f"{FOLDER}.{entry.name}")
    return dict(sorted(PASSES.items()))


def make_pass(name: str, text: str = "") -> Pass:
    """A pass from its name and its options' text, such as `sram=64KiB double-buffer`. Raises `UsageError`."""
    cls = find_pass(name) or find_plugin_pass(name)
    if cls is None:
        near = did_you_mean(name, [*load_passes(), *plugin_passes().names()])
        raise UsageError(f"unknown pass '{name}'{near}; --list-passes lists them")
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


def split_entry(text: str) -> tuple[str, str]:
    """A pass's name and its options' text, from `tile{sizes=32x32x32}`."""
    name, _, options = text.partition("{")
    return name, options.removesuffix("}")


def inherit(instance: Pass, other: Pass) -> Pass:
    """The pass with the options of another one that it has too and that nobody has set."""
    from dataclasses import fields, replace

    unset = {f.name for f in fields(instance) if "option" in f.metadata and getattr(instance, f.name) is None}
    changes = {
        f.name: value for f in fields(other) if (value := getattr(other, f.name)) is not None and f.name in unset
    }
    return replace(instance, **changes) if changes else instance


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
