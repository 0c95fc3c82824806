"""What the commands share: exit statuses, one-line errors, and a parser whose complaints are usage errors."""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Callable, Sequence
from functools import partial

from ..ir.diagnostics import DiagnosticError, PluginError, visible_lines
from ..ir.light_typing import Any, NoReturn
from ..passes.manager import UsageError
from .files import InputError, discard_standard_output, say, write_text
from .signals import catch_signals

IGNORE_BROKEN = "--ignore-broken-plugins"


class Parser(argparse.ArgumentParser):
    """Keeps the layout of the help's texts, takes no abbreviated options, raises `UsageError` instead of leaving."""

    def __init__(self, prog: str, usage: str, description: str, epilog: str):
        # Without a width, argparse would import `shutil` to ask for the terminal's at every option that it is given.
        layout = partial(argparse.RawDescriptionHelpFormatter, width=80)
        super().__init__(prog, usage, description, epilog, formatter_class=layout, allow_abbrev=False)
        self.add_argument(
            IGNORE_BROKEN, action="store_true",
            help="go on without plugins that can't be used, with a warning for each that is needed",
        )  # fmt: skip

    def format_help(self) -> str:
        self.formatter_class = argparse.RawDescriptionHelpFormatter
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        raise UsageError(message)

    def _print_message(self, message: str, file: Any = None) -> None:
        """argparse's own way would take a closed pipe for success."""
        if file is sys.stderr:
            return say(message.removesuffix("\n"))
        write_text("-", message)


class _Version(argparse.Action):
    """Prints the version, and ends the command."""

    def __call__(self, parser, namespace, values, option_string=None):
        from importlib.metadata import version

        from ..ir.language_version import LANGUAGE_VERSION

        write_text("-", f"tilewright {version('tilewright')} (language {LANGUAGE_VERSION})\n")
        parser.exit()


def add_version(group: Any) -> None:
    """`--version`, for a parser or a group of its options."""
    group.add_argument("--version", action=_Version, nargs=0, help="print the version")


def file_name(text: str) -> str:
    """The type of an option that takes a file's name: an empty one would be taken for none."""
    if not text:
        raise argparse.ArgumentTypeError("takes a file's name, got ''")
    return text


def some_name(text: str) -> str:
    """The type of an option that takes a name."""
    if not text:
        raise argparse.ArgumentTypeError("takes a name, got ''")
    return text


def run_command(name: str, usage: str, run: Callable[[list[str]], int], argv: Sequence[str] | None) -> int:
    """Runs a command on its words; returns its exit status: 2 for wrong usage, 1 for errors in the input, 130 after
    Ctrl-C, 141 when nobody reads the output any more.

    Without `argv` the words are the process's own, which ends with the command.
    """
    if argv is None:
        catch_signals(name)
    words = list(sys.argv[1:] if argv is None else argv)
    ignoring = IGNORE_BROKEN in words
    status = (_status_ignoring_broken if ignoring else _status)(name, usage, run, words)
    if argv is None:
        gc.freeze()  # the collector would look through a million operations once more before the process ends
    return status


def _status_ignoring_broken(name: str, usage: str, run: Callable[[list[str]], int], words: list[str]) -> int:
    from ..ir.plugins import broken_ignored

    with broken_ignored(lambda message: say(visible_lines(f"{name}: warning: {message}"))):
        return _status(name, usage, run, words)


def _status(name: str, usage: str, run: Callable[[list[str]], int], words: list[str]) -> int:
    try:
        status = run(words)
        write_text("-", "")  # what was printed is still in the buffer
        return status
    except UsageError as error:
        return _fail(f"{name}: error: {visible_lines(str(error))}\nusage: {usage}   ({name} --help explains)", 2)
    except (InputError, PluginError) as error:
        return _fail(f"{name}: error: {visible_lines(str(error))}", 1)
    except DiagnosticError as error:
        return _fail(str(error), 1)
    except BrokenPipeError:
        discard_standard_output()
        return 141
    except OSError as error:
        if error.filename is not None:
            raise
        discard_standard_output()  # a `print` to a full device
        return _fail(f"{name}: error: cannot write standard output: {error.strerror}", 1)
    except MemoryError:
        return _fail(f"{name}: error: out of memory", 1)
    except KeyboardInterrupt:
        return _fail(f"{name}: interrupted", 130)


def _fail(message: str, status: int) -> int:
    say(message)
    return status


def takes_blocks(stream: Any) -> bool:
    """Whether a stream's encoding has the characters that pictures are made of."""
    try:
        "█▁│·".encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
