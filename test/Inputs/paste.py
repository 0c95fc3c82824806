"""Runs `opt --pass-pipeline="$(cat FILE)" ...`, for lit's shell, which has no `$(...)`: `paste.py FILE opt ...`."""

import subprocess
import sys
from pathlib import Path

text = Path(sys.argv[1]).read_text(encoding="utf-8")
sys.exit(subprocess.run([*sys.argv[2:], f"--pass-pipeline={text}"]).returncode)
