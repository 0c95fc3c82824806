"""What other packages add to the language, found by their entry points.

A package names in its metadata what it brings, `demo = "tilewright_demo.dialect"` in the group `tilewright.dialects`.
Nobody looks there before a name comes up that is not known: to look takes as long as to read and print a short text.
What is found is imported, which registers it; where that fails, everything is put back as it was, and the error names
the package.
"""

from __future__ import annotations

import os
import re
import sys
from _thread import RLock  # `threading` takes longer to import than a short text to read
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from .diagnostics import PluginError
from .opdef import DIALECTS, REGISTRIES, Dialect, all_dialects, find_op, register_dialect, registered

if TYPE_CHECKING:
    from importlib.metadata import Distribution, EntryPoint

    from .core import Operation

MAX_REASON = 400
ENTRY = re.compile(r"[\w.]+\s*(:\s*[\w.]+\s*)?(\[.*\]\s*)?")
"""What an entry point may be: a module, what of it, and extras, which nobody asks for."""

OURS = __name__.partition(".")[0]

Warn = Callable[[str], None]


class _State:
    """What all groups share. `lock` is held while a plugin is looked for and imported."""

    def __init__(self) -> None:
        self.lock = RLock()
        self.warn: Warn | None = None
        self.warned: set[str] = set()
        self.places: object = None
        self.entry_points: dict[str, list[EntryPoint]] = {}


_STATE = _State()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: setattr(_STATE, "lock", RLock()))


@contextmanager
def broken_ignored(warn: Warn) -> Generator[None]:
    """Goes on without plugins that can't be used, as if they weren't installed, while this is open: `warn` is told of
    each once."""
    before = _STATE.warn, _STATE.warned
    _STATE.warn, _STATE.warned = warn, set()
    try:
        yield
    finally:
        _STATE.warn, _STATE.warned = before


class PluginEntry(NamedTuple):
    """One entry point: its name, what it names, and the package that has it, with its version."""

    name: str
    value: str
    package: str
    point: EntryPoint

    @property
    def module(self) -> str:
        """The module that is imported."""
        return self.value.partition(":")[0].strip()


class Group:
    """The plugins of one kind.

    `kind` is what to call one; `taken(name)` says whether Tilewright itself has one of that name; `accept(name, found)`
    makes sure that what has been imported is one, or registers it, and raises ValueError where it can't be.
    """

    def __init__(self, entry_points: str, kind: str, taken: Callable[[str], bool], accept: Callable[[str, Any], None]):
        self.entry_points = entry_points
        self.kind = kind
        self.taken = taken
        self.accept = accept
        self.packages: dict[str, str] = {}
        """The package of each plugin that has been loaded, with its version, by the plugin's name."""
        self.loading: set[str] = set()
        self.broken: dict[tuple[PluginEntry, ...], str] = {}
        REGISTRIES.append(self.packages)

    def find(self, name: str) -> bool:
        """Loads the plugin of a name that is not known yet, if a package has one.

        Returns whether that has been done. Raises `PluginError`, unless broken plugins are ignored.
        """
        with _STATE.lock:
            self._refuse_taken()
            return self._load([entry for entry in self._entries() if entry.name == name])

    def find_all(self) -> None:
        """The same for all plugins of this kind."""
        with _STATE.lock:
            self._refuse_taken()
            for entries in self._by_name():
                self._load(entries)

    def names(self) -> list[str]:
        """The names that packages have plugins under; none is loaded."""
        with _STATE.lock:
            return [entries[0].name for entries in self._by_name()]

    def _entries(self) -> list[PluginEntry]:
        points = _entry_points(self.entry_points)
        return [PluginEntry(point.name, point.value, _package(point), point) for point in points]

    def _by_name(self) -> list[list[PluginEntry]]:
        found: dict[str, list[PluginEntry]] = {}
        for entry in self._entries():
            found.setdefault(entry.name, []).append(entry)
        return [found[name] for name in sorted(found)]

    def _refuse_taken(self) -> None:
        """A plugin under a name of our own would never be looked for: told as soon as any plugin of its kind is."""
        for entry in self._entries():
            if entry.name not in self.packages and entry.module not in sys.modules and self.taken(entry.name):
                self._fail([entry], f"there is a {self.kind} '{entry.name}' already")

    def _load(self, entries: list[PluginEntry]) -> bool:
        """Loads the only plugin of a name."""
        if not entries or entries[0].name in self.packages or entries[0].name in self.loading:
            return False
        if tuple(entries) in self.broken:
            return self._fail(entries, self.broken[tuple(entries)])
        if self.taken(entries[0].name):
            return False
        if ENTRY.fullmatch(entries[0].value) is None:
            return self._fail(
                entries, f"'{entries[0].value}' names no module, as package.module or package.module:name do"
            )
        if len(entries) > 1:
            return self._fail(entries, "two packages can't have one name; uninstall one of them")
        return self._load_one(entries[0])

    def _load_one(self, entry: PluginEntry) -> bool:
        self.loading.add(entry.name)
        try:
            with unchanged_if_it_fails():
                found = entry.point.load()
                self.accept(entry.name, found)
                self.packages[entry.name] = entry.package
        except PluginError:
            raise
        except (Exception, SystemExit) as error:
            return self._fail([entry], _reason(error), error)
        finally:
            self.loading.discard(entry.name)
        return True

    def _fail(self, entries: list[PluginEntry], reason: str, cause: BaseException | None = None) -> bool:
        """Raises `PluginError`, or warns of it and returns False."""
        self.broken[tuple(entries)] = reason
        packages = " and ".join(entry.package for entry in entries)
        _refuse(f"{packages}: the {self.kind} '{entries[0].name}' can't be used: {reason}", cause)
        return False


def _package(point: EntryPoint) -> str:
    return _name_of(point.dist) if point.dist is not None else "an unknown package"


def _name_of(dist: Distribution) -> str:
    """A package's name and version; of one without metadata where it is."""
    try:
        name, version = dist.metadata["Name"], dist.metadata["Version"]
    except Exception:  # metadata that are damaged, or none
        name = version = None
    return f"{name} {version or '(no version)'}" if name else f"a package without a name in {dist.locate_file('')}"


def _reason(error: BaseException) -> str:
    """An error in one line."""
    words = " ".join(str(error).split())
    text = f"{type(error).__name__}: {words}" if words else type(error).__name__
    return text if len(text) <= MAX_REASON else text[: MAX_REASON - 3] + "..."


def _entry_points(group: str) -> list[EntryPoint]:
    """The entry points of all packages in a group; looked up anew where something has been installed."""
    places = [(path, _changed(path)) for path in sys.path]
    if _STATE.places != places:
        _STATE.places = places
        _STATE.entry_points = {}
    if group not in _STATE.entry_points:
        _STATE.entry_points[group] = _found_points(group)
    return _STATE.entry_points[group]


def _found_points(group: str) -> list[EntryPoint]:
    """Raises `PluginError` for a package whose entry points can't be read, unless broken plugins are ignored."""
    from importlib.metadata import distributions, entry_points

    try:
        return list(entry_points(group=group))
    except Exception:
        points: list[EntryPoint] = []
        for dist in distributions():
            try:
                points += dist.entry_points.select(group=group)
            except Exception as error:
                _refuse(f"{_name_of(dist)}: its entry points can't be read: {_reason(error)}", error)
        return points


def _refuse(message: str, cause: BaseException | None) -> None:
    """Raises `PluginError`, or warns once where broken plugins are ignored."""
    if _STATE.warn is None:
        raise PluginError(message) from cause
    if message not in _STATE.warned:
        _STATE.warned.add(message)
        _STATE.warn(message)


def _changed(path: str) -> int:
    try:
        return os.stat(path or ".").st_mtime_ns
    except OSError:
        return 0


@contextmanager
def unchanged_if_it_fails() -> Generator[None]:
    """Puts the registries, and the modules of plugins, back as they were where something goes wrong in between."""
    before = [(table, dict(table)) for table in _tables()]
    checks = [(dialect, list(dialect.function_checks)) for dialect in all_dialects()]
    modules = set(sys.modules)
    try:
        yield
    except BaseException:
        for table, was in before:
            _put_back(table, was)
        for dialect, was in checks:
            dialect.function_checks[:] = was
        _forget(set(sys.modules) - modules)
        registered()
        raise


def _tables() -> list[dict[str, Any]]:
    return [*REGISTRIES, *(table for dialect in all_dialects() for table in dialect.tables())]


def _put_back(table: dict[str, Any], was: dict[str, Any]) -> None:
    """Other threads may be reading the table: what has not changed is there all the time.

    Passes of our own, which are imported when they are needed, may have come meanwhile: they stay."""
    for key in [key for key, value in table.items() if key not in was and not _is_ours(value)]:
        del table[key]
    table.update(was)


def _is_ours(value: Any) -> bool:
    return isinstance(value, type) and value.__module__.partition(".")[0] == OURS


def _forget(names: set[str]) -> None:
    """Drops modules of plugins, which would register nothing when they are imported again."""
    points = [point for points in _STATE.entry_points.values() for point in points]
    theirs = {point.value.partition(":")[0].partition(".")[0].strip() for point in points}
    for name in names:
        if name.partition(".")[0] in theirs - {OURS}:
            del sys.modules[name]


def _accept_dialect(name: str, found: Any) -> None:
    """Registers a `Dialect`; a module has done so by being imported. Its grammar must go with that of the others."""
    from .reading.language import current_language

    if isinstance(found, Dialect) and found.name not in DIALECTS:
        register_dialect(found)
    if name not in DIALECTS:
        raise ValueError(f"it registers no dialect '{name}'")
    current_language()
    _check_rules(DIALECTS[name])


def _check_rules(dialect: Dialect) -> None:
    """Raises ValueError for an operation's grammar rule that nobody answers."""
    grammar = re.sub("//[^\n]*", "", dialect.grammar)
    for alternatives in re.findall(r"^%extend\s+op\s*:([\w\s|]*?)(?=^\S|\Z)", grammar, re.MULTILINE):
        for rule in re.findall(r"\w+", alternatives):
            if rule not in dialect.actions:
                raise ValueError(f"no operation answers the rule '{rule}' of its grammar")


DIALECT_PLUGINS = Group("tilewright.dialects", "dialect", DIALECTS.__contains__, _accept_dialect)


def find_plugin_op(name: str) -> type[Operation] | None:
    """The operation of a name whose dialect is not known, if a plugin has it. Raises `PluginError`."""
    dialect = name.partition(".")[0]
    if dialect not in DIALECTS:
        DIALECT_PLUGINS.find(dialect)
    return find_op(name)
