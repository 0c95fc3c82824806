"""FileCheck for lit: `filecheck` without what its command loads at every start, half of its time. Run with `python -S`.

The folder of the installed packages is its first argument: `-S` leaves it out, with all that editable installs load.
A golden test is not matched but compared with the checks that would be written for it (goldens.py).
"""

from __future__ import annotations

import sys
from pathlib import Path

from goldens import UpdateError, is_golden, prefix_of, stale

ROOT = Path(__file__).resolve().parents[1]
FROM_FILE = "--input-file="


def main(args: list[str]) -> int:
    """The exit code of `filecheck` with these arguments."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8")  # type: ignore[attr-defined]
    packages, *args = args
    tests = [Path(arg) for arg in args if not arg.startswith("-")]
    text = tests[0].read_text(encoding="utf-8") if tests and tests[0].exists() else ""
    if is_golden(text):
        return compare(tests[0].resolve(), text, args)
    sys.path.append(packages)
    from filecheck.matcher import Matcher
    from filecheck.options import parse_argv_options

    return Matcher.from_opts(parse_argv_options(["filecheck", *args])).run()


def compare(test: Path, text: str, args: list[str]) -> int:
    """1, with the difference and the command that updates it, where a golden test is not up to date."""
    given = [arg.removeprefix(FROM_FILE) for arg in args if arg.startswith(FROM_FILE)]
    output = Path(given[0]).read_text(encoding="utf-8") if given else sys.stdin.read()
    name = test.relative_to(ROOT).as_posix() if test.is_relative_to(ROOT) else str(test)
    try:
        fresh = stale(text, prefix_of(args), output)
    except UpdateError as error:
        print(f"{name}: error: {error}", file=sys.stderr)
        return 1
    if not fresh:
        return 0
    import difflib

    print("".join(difflib.unified_diff(text.splitlines(True), fresh.splitlines(True), name, f"{name} (updated)")))
    print("If the new output is right, accept it with:")
    print(f"  .venv/bin/python test/update_checks.py {name}")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
