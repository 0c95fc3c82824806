"""Runs a command and checks its exit status: `status.py 2 opt --no-such-option`; what it prints is passed on."""

import subprocess
import sys

expected, command = int(sys.argv[1]), sys.argv[2:]
status = subprocess.run(command).returncode
if status != expected:
    sys.exit(f"{command[0]} ended with exit status {status}, expected {expected}")
