"""Text to module: by known lines and statement shapes where these can read all of it, by Lark where they can't."""

from __future__ import annotations

from ..builtin import ModuleOp
from ..collector import collector_off
from ..core import Operation
from ..diagnostics import DiagnosticError
from ..language_version import KEY, blame_version
from ..opdef import DIALECTS
from ..source import Source
from .language import current_language


def parse_source(source: Source, allow_unregistered: bool = False, only_lark: bool = False) -> ModuleOp:
    """Reads a module and checks its SSA form; `only_lark` has Lark read all of it, which changes nothing but time.

    Any number of threads may do so at once, with the same or other texts. Raises `DiagnosticError` with every
    independent syntax error, undefined or redefined value, unknown operation and malformed attribute found.
    """
    unknown: set[str] = set()
    try:
        module = _parse(source, allow_unregistered, only_lark, unknown)
        if KEY in module.attrs:
            blame_version([], source)
    except DiagnosticError as error:
        blame_version(error.diagnostics, source)
        if not _find_dialects(unknown):
            raise
    else:
        if not _find_dialects(unknown):
            return module
    return parse_source(source, allow_unregistered, only_lark)


def _parse(source: Source, allow_unregistered: bool, only_lark: bool, unknown: set[str]) -> ModuleOp:
    """Reads a module by the language of now; `unknown` takes the dialects that its operations have, and nobody
    knows."""
    if not only_lark:
        module = _by_shapes(source, allow_unregistered, unknown)
        if module is not None:
            return module
        from .by_lark import unknown_dialects

        if _find_dialects(unknown_dialects(source.text)):  # before Lark, which takes long to import, is asked why
            return _parse(source, allow_unregistered, only_lark, unknown)
    return _by_lark(source, allow_unregistered, unknown)


def _find_dialects(names: set[str]) -> bool:
    """Whether plugins have some of these dialects: then there is more language than the text was read by. Raises
    `PluginError`."""
    if not names:
        return False
    from ..plugins import DIALECT_PLUGINS

    for name in sorted(names):
        if name not in DIALECTS:
            DIALECT_PLUGINS.find(name)
    return any(name in DIALECTS for name in names)


def _by_shapes(source: Source, allow_unregistered: bool, unknown: set[str]) -> ModuleOp | None:
    """Reads a module without Lark; None where that is needed."""
    with current_language().reader() as reader:
        actions, fast = reader.actions, reader.fast
        if fast is None:
            return None
        actions.begin(source.text, allow_unregistered)
        actions.unknown_dialects = unknown
        actions.subparse = lambda text: fast.whole(text, "flat_body")
        with collector_off():
            done = fast.parse(source.text)
        ops = actions.block.ops
        actions.end()
        return _as_module(ops, source) if done else None


def _by_lark(source: Source, allow_unregistered: bool, unknown: set[str]) -> ModuleOp:
    from .by_lark import read_by_lark

    with current_language().reader() as reader:
        actions = reader.actions
        actions.begin(source.text, allow_unregistered)
        actions.unknown_dialects = unknown
        actions.subparse = reader.flat_body
        return _as_module(read_by_lark(reader, source), source)


def _as_module(ops: list[Operation], source: Source) -> ModuleOp:
    if len(ops) == 1 and isinstance(ops[0], ModuleOp):
        module = ops[0]
    else:
        module = ModuleOp(ops, loc=0)
    module.source = source
    return module
