"""FileCheck for lit: `filecheck` without what its command loads at every start, half of its time. Run with `python -S`.

The folder of the installed packages is its first argument: `-S` leaves it out, with all that editable installs load.
"""

import sys

sys.path.append(sys.argv.pop(1))

from filecheck.matcher import Matcher
from filecheck.options import parse_argv_options

for stream in (sys.stdout, sys.stderr):
    stream.reconfigure(encoding="utf-8")  # type: ignore[attr-defined]
sys.exit(Matcher.from_opts(parse_argv_options(sys.argv)).run())
