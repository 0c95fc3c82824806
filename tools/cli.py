"""What the commands share: exit statuses, one-line errors, and a parser whose complaints are usage errors."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from ..ir.diagnostics import DiagnosticError
from ..passes.manager import UsageError
from .files import InputError


class Parser(argparse.ArgumentParser):
    """Raises `UsageError` instead of leaving the process."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def run_command(name: str, usage: str, run: Callable[[list[str]], int], argv: Sequence[str] | None) -> int:
    """Runs a command on its words; returns its exit status: 2 for wrong usage, 1 for errors in the input, 130 after
    Ctrl-C, 141 when nobody reads the output any more."""
    try:
        status = run(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
        return status
    except UsageError as error:
        return _fail(f"{name}: error: {error}\nusage: {usage}   ({name} --help explains)", 2)
    except InputError as error:
        return _fail(f"{name}: error: {error}", 1)
    except DiagnosticError as error:
        return _fail(str(error), 1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        return _fail(f"{name}: interrupted", 130)


def _fail(message: str, status: int) -> int:
    print(message, file=sys.stderr)
    return status
