"""The pass manager: which passes there are and their options (here), named pipelines, and running them."""

from .options import UsageError, flag, option, read_alignment, read_bytes, read_choice, read_count, read_tile
from .registry import (
    PASSES,
    Pass,
    find_pass,
    find_plugin_pass,
    inherit,
    load_passes,
    make_pass,
    options_of,
    pass_text,
    plugin_passes,
    register_pass,
)

__all__ = [
    "PASSES",
    "Pass",
    "UsageError",
    "find_pass",
    "find_plugin_pass",
    "flag",
    "inherit",
    "load_passes",
    "make_pass",
    "option",
    "options_of",
    "pass_text",
    "plugin_passes",
    "read_alignment",
    "read_bytes",
    "read_choice",
    "read_count",
    "read_tile",
    "register_pass",
]
