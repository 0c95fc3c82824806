"""Writes the CHECK lines of golden tests: `make update-checks`, or `python test/update_checks.py [--check] [FILE...]`.

goldens.py says what such a test looks like. lit compares goldens with what it runs anyway (check.py); `--check` does
the same without lit, and stops at the first that is out of date.
"""

import argparse
import difflib
import os
import re
import sys
import tempfile
import traceback
from collections.abc import Iterable
from pathlib import Path

from goldens import Command, Run, UpdateError, body_of, checks, is_golden, parse_runs, with_checks

from tilewright.tools import opt

TEST = Path(__file__).resolve().parent
ROOT = TEST.parent

# Where an error stands at the end of the file, its line moves with the number of checks: a second round settles it.
ROUNDS = 3


def output_of(run: Run, file: Path) -> str:
    """What the pipeline of a RUN line prints, run in the file's own folder."""
    text = ""
    for command in run.commands:
        text = _run_opt(command, file, text)
    return text


def _run_opt(command: Command, file: Path, stdin: str) -> str:
    """Runs one `opt`; raises UpdateError where the exit code isn't the expected one."""
    places = {"%s": file.name, "%inputs": str(TEST / "Inputs"), "%examples": str(ROOT / "examples")}
    args = [re.sub(r"%(s|inputs|examples)\b", lambda m: places[m[0]], word) for word in command.args]
    status, out, err = _forked(args, file.parent, stdin, command.merged)
    if (status != 0) != command.fails:
        raise UpdateError(f"`{command.text}` ended with exit code {status}:\n{out}{err}")
    return out


def _forked(args: list[str], folder: Path, stdin: str, merged: bool) -> tuple[int, str, str]:
    """Runs `opt` in a fork of this process, which has loaded everything: most of a short run is start-up.

    Returns the exit status and what was printed on standard output (with `merged`, on both) and on standard error."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(stdin.encode())
        given.seek(0)
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            status = 70
            try:
                for stream, number in ((given, 0), (out, 1), (out if merged else err, 2)):
                    os.dup2(stream.fileno(), number)
                os.chdir(folder)
                status = opt.main(args)
            except SystemExit as error:
                status = error.code if isinstance(error.code, int) else 1
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        _, ended = os.waitpid(child, 0)
        printed = []
        for stream in (out, err):
            stream.seek(0)
            printed.append(stream.read().decode())
        return os.waitstatus_to_exitcode(ended), printed[0], printed[1]


def updated(file: Path, text: str) -> str:
    """The text of a test with fresh checks below its marker line."""
    body = body_of(text)
    blocks: dict[str, list[str]] = {}
    for run in parse_runs(body):
        block = checks(output_of(run, file), run.prefix)
        if blocks.setdefault(run.prefix, block) != block:
            raise UpdateError(f"two RUN lines print different things under the prefix {run.prefix}")
    return with_checks(body, blocks)


def update(file: Path, check: bool) -> str:
    """Rewrites one test, or with `check` only compares it; returns the unified diff of what changes ("" if nothing)."""
    old = current = file.read_text(encoding="utf-8")
    for _ in range(1 if check else ROUNDS):
        new = updated(file, current)
        if new == current:
            break
        if not check:
            file.write_text(new, encoding="utf-8")
        current = new
    name = os.path.relpath(file, ROOT)
    return "".join(difflib.unified_diff(old.splitlines(True), current.splitlines(True), name, f"{name} (updated)"))


def golden_files(arguments: Iterable[str]) -> list[Path]:
    """The AUTOCHECK tests among the given files and folders; all below test/ when none is given."""
    given = [Path(argument).resolve() for argument in arguments] or [TEST]
    files = [file for path in given for file in (sorted(path.rglob("*.mir")) if path.is_dir() else [path])]
    return [file for file in files if is_golden(file.read_text(encoding="utf-8"))]


def main() -> int:
    """Returns 1 where a test can't be updated, or with --check would change."""
    parser = argparse.ArgumentParser(description="Write the CHECK lines of the AUTOCHECK tests.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 at the first that would change")
    parser.add_argument("files", nargs="*", help="tests or folders (default: all below test/)")
    options = parser.parse_args()
    files = golden_files(options.files)
    # What a run loads stays loaded for the forks.
    opt.main(["-O1", "--prove-each", "-o", os.devnull, str(ROOT / "examples" / "two_layers.mir")])
    changed = errors = 0
    for file in files:
        try:
            diff = update(file, options.check)
        except UpdateError as error:
            print(f"{os.path.relpath(file, ROOT)}: error: {error}", file=sys.stderr)
            errors += 1
            continue
        print(diff, end="")
        changed += bool(diff)
        if diff and options.check:
            return 1
    print(f"{len(files)} golden tests, {changed} updated")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
