"""Writes the CHECK lines of golden tests: `make update-checks`, or `python test/update_checks.py [--check] [FILE...]`.

A `.mir` below test/ opts in with the line `// AUTOCHECK`. Its RUN lines that end in FileCheck have one of the forms

    // RUN: opt ARGS %s | FileCheck %exact %s [--check-prefix=NAME]
    // RUN: not opt ARGS %s 2>&1 | FileCheck %exact %s [--check-prefix=NAME]
    // RUN: opt ARGS %s | opt ARGS | FileCheck %exact %s [--check-prefix=NAME]

and everything below the marker line (`MARK`) is rewritten with what they print. The marker stands at the end, so that
the positions in diagnostics don't depend on the checks. RUN lines without FileCheck are left to lit.

The form of a check: with `%exact` (lit.cfg: --match-full-lines --strict-whitespace) **no blank follows the colon**;
everything after it is the whole line, indentation included:

    // CHECK:func.func @f() {                          the first line of the output
    // CHECK-NEXT:  return                             each further line
    // CHECK-EMPTY:                                    a blank line
    // CHECK-NEXT{LITERAL}:  {coords = [[0, 0]]}       a line with `[[` or `{{`: no pattern, no variable
    // CHECK-NEXT:{{.*}}name.mir:3:5: error: ...       a position: the folder differs between machines
    // CHECK-NOT:{{.+}}                                nothing follows
"""

import argparse
import difflib
import os
import re
import shlex
import sys
import tempfile
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tilewright.tools import opt

TEST = Path(__file__).resolve().parent
ROOT = TEST.parent

AUTOCHECK = "// AUTOCHECK"
MARK = "// ----- checks (made by make update-checks) -----"
RUN = re.compile(r"^//\s*RUN:\s*(?P<commands>.*)\|\s*FileCheck\s+(?P<flags>.*)$", re.MULTILINE)
LOCATION = re.compile(r"^\S*?(?P<place>[^\s/]+\.mir:\d+:\d+: .*)$")
# Where an error stands at the end of the file, its line moves with the number of checks: a second round settles it.
ROUNDS = 3


class UpdateError(Exception):
    """A test that can't be updated: its RUN line has another form, or does something unexpected."""


@dataclass(frozen=True)
class Run:
    """One RUN line: a pipeline of `opt`s, and the prefix under which FileCheck compares what it prints."""

    commands: tuple[str, ...]
    prefix: str

    def output(self, file: Path) -> str:
        """What the pipeline prints, run in the file's own folder."""
        text = ""
        for command in self.commands:
            text = _run_opt(command, file, text)
        return text


def parse_runs(text: str) -> list[Run]:
    """The RUN lines of a test that end in FileCheck."""
    runs = []
    for match in RUN.finditer(text):
        flags = shlex.split(match["flags"])
        if "%exact" not in flags:
            raise UpdateError(f"an AUTOCHECK test compares whole lines: write `FileCheck %exact {match['flags']}`")
        prefixes = [flag.partition("=")[2] for flag in flags if re.match(r"--?check-prefix(es)?=", flag)]
        commands = tuple(command.strip() for command in match["commands"].split("|"))
        runs.append(Run(commands, prefixes[0] if prefixes else "CHECK"))
    if not runs:
        raise UpdateError("no line `// RUN: opt ... %s | FileCheck %exact %s`")
    return runs


def _run_opt(command: str, file: Path, stdin: str) -> str:
    """Runs one `[not] opt ARGS [2>&1]`; raises UpdateError where the exit code isn't the expected one."""
    words = shlex.split(command)
    fails = words[:1] == ["not"]
    words = words[1:] if fails else words
    merged = words[-1:] == ["2>&1"]
    words = words[:-1] if merged else words
    if words[:1] != ["opt"]:
        raise UpdateError(f"only `opt` pipelines can be updated, not `{command}`")
    places = {"%s": file.name, "%inputs": str(TEST / "Inputs"), "%examples": str(ROOT / "examples")}
    args = [re.sub(r"%(s|inputs|examples)\b", lambda m: places[m[0]], word) for word in words[1:]]
    status, out, err = _forked(args, file.parent, stdin, merged)
    if (status != 0) != fails:
        raise UpdateError(f"`{command}` ended with exit code {status}:\n{out}{err}")
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


def checks(output: str, prefix: str) -> list[str]:
    """The check lines that accept `output` and nothing else after its first line."""
    lines = output.strip("\n").split("\n")
    if lines == [""]:
        raise UpdateError(f"nothing was printed for {prefix}; FileCheck refuses an empty input")
    directives = [prefix] + [f"{prefix}-NEXT"] * (len(lines) - 1)
    written = [_check(prefix, directive, line) for directive, line in zip(directives, lines, strict=True)]
    return [*written, f"// {prefix}-NOT:{{{{.+}}}}"]


def _check(prefix: str, directive: str, line: str) -> str:
    if not line:
        return f"// {prefix}-EMPTY:"
    if place := LOCATION.match(line):
        return f"// {directive}:{{{{.*}}}}{_escape(place['place'])}"
    literal = "{LITERAL}" if "[[" in line or "{{" in line else ""
    return f"// {directive}{literal}:{line}"


def _escape(text: str) -> str:
    """`[[` and `{{` as patterns that match themselves, for a line that can't be LITERAL as a whole."""
    return re.sub(r"\[\[|\{\{", lambda m: "{{" + re.escape(m[0]) + "}}", text)


def updated(file: Path, text: str) -> str:
    """The text of a test with fresh checks below its marker line."""
    body = text.partition(f"{MARK}\n")[0].rstrip("\n")
    blocks: dict[str, list[str]] = {}
    for run in parse_runs(body):
        block = checks(run.output(file), run.prefix)
        if blocks.setdefault(run.prefix, block) != block:
            raise UpdateError(f"two RUN lines print different things under the prefix {run.prefix}")
    return f"{body}\n\n{MARK}\n" + "\n\n".join(map("\n".join, blocks.values())) + "\n"


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
    return [file for file in files if AUTOCHECK in file.read_text(encoding="utf-8").splitlines()]


def main() -> int:
    """Returns 1 where a test can't be updated, or with --check would change."""
    parser = argparse.ArgumentParser(description="Write the CHECK lines of the AUTOCHECK tests.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 and print a diff on a change")
    parser.add_argument("files", nargs="*", help="tests or folders (default: all below test/)")
    options = parser.parse_args()
    files = golden_files(options.files)

    def outcome(file: Path) -> tuple[str, str]:
        try:
            return update(file, options.check), ""
        except UpdateError as error:
            return "", f"{os.path.relpath(file, ROOT)}: error: {error}"

    # What a run loads stays loaded for the forks.
    opt.main(["-O1", "--prove-each", "-o", os.devnull, str(ROOT / "examples" / "two_layers.mir")])
    outcomes = [outcome(file) for file in files]
    errors = [error for _, error in outcomes if error]
    changed = [os.path.relpath(file, ROOT) for file, (diff, _) in zip(files, outcomes, strict=True) if diff]
    print("".join(diff for diff, _ in outcomes), end="")
    print("\n".join(errors), end="\n" if errors else "", file=sys.stderr)
    if options.check and changed:
        print("\nIf the new output is right, accept it with:")
        print(f"  .venv/bin/python test/update_checks.py {' '.join(changed)}")
    elif not options.check:
        print(f"{len(files)} golden tests, {len(changed)} updated")
    return 1 if errors or (options.check and changed) else 0


if __name__ == "__main__":
    sys.exit(main())
