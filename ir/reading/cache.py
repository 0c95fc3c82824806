"""Files in the user's cache folder: plain data under a stamp that says what it was made of and by what.

Nothing of it is run. Even so it is only believed where nobody but the user can have written it: `docs/trust.md`.
"""

from __future__ import annotations

import os
import stat
import sys
import zlib
from collections.abc import Iterable
from contextlib import suppress

from ..light_typing import Any

MOST_FILES = 8
"""Files of one kind that are kept."""

PYTHON = f"{sys.implementation.cache_tag} {sys.version} {sys.byteorder}"

OWN_RULES = ("win32", "darwin")
"""Systems that keep caches elsewhere than in `~/.cache`."""

OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def cache_folder() -> str | None:
    """The user's cache folder for Tilewright: below `$XDG_CACHE_HOME` if that is an absolute path, else where the
    system keeps such folders, which is `~/.cache` but for `OWN_RULES`. None where that is no absolute path, for want
    of a home."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(base):
        return os.path.join(base, "tilewright")
    if sys.platform in OWN_RULES:  # only there: to import it takes as long as to read and print a short text
        import platformdirs

        found = platformdirs.user_cache_dir("tilewright", appauthor=False)
    else:
        found = os.path.join(os.path.expanduser("~"), ".cache", "tilewright")
    return found if os.path.isabs(found) else None


def makers(names: Iterable[str]) -> str:
    """What tells one version of some files of this folder from another, for a stamp."""
    folder = os.path.dirname(__file__)
    sums: list[int] = []
    for name in names:
        with open(os.path.join(folder, name), "rb") as file:
            sums.append(zlib.crc32(file.read()))
    return " ".join(map(str, sums))


def load(kind: str, stamp: str) -> Any:
    """What was stored under a stamp; None where there is nothing, nothing whole, or what others may have written."""
    folder = cache_folder()
    if folder is None:
        return None
    try:
        data = _read(folder, _name(kind, stamp))
        if data is None or zlib.crc32(memoryview(data)[4:]) != int.from_bytes(data[:4], "little"):
            return None
        found, value = _decode(data[4:])
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    return value if found == PYTHON + stamp else None


def store(kind: str, stamp: str, value: Any) -> None:
    """Stores plain data: texts, whole numbers, truth values, lists, and dictionaries by text. A reader never meets half
    a file."""
    folder = cache_folder()
    if folder is None:
        return
    from ..atomic_write import write_atomically

    body = _encode([PYTHON + stamp, value])
    with suppress(OSError):
        os.makedirs(folder, mode=0o700, exist_ok=True)
        found = os.lstat(folder)
        if not stat.S_ISDIR(found.st_mode) or not _is_own(found):
            return
        data = zlib.crc32(body).to_bytes(4, "little") + body
        write_atomically(os.path.join(folder, _name(kind, stamp)), data, 0o600, durable=False)
        _tidy(folder, kind)


def _decode(data: bytes) -> Any:
    """The value that a JSON text stands for. Raises `ValueError`."""
    text = data.decode("ascii")
    try:
        from _json import make_scanner
    except ImportError:  # another Python's
        import json

        return json.loads(text)
    scan: Any = make_scanner
    try:
        value, end = scan(_Json)(text, 0)
    except StopIteration:
        raise ValueError("not JSON") from None
    if end != len(text):
        raise ValueError("more than JSON")
    return value


class _Json:
    """How `json.loads` reads; `json` itself makes six regular expressions when it is imported, which takes longer than
    to read all there is."""

    strict = True
    object_hook = object_pairs_hook = parse_constant = None
    parse_float, parse_int = float, int


def _encode(value: Any) -> bytes:
    import json

    return json.dumps(value, separators=(",", ":")).encode("ascii")


def _tidy(folder: str, kind: str) -> None:
    """Takes away the oldest files of a kind: those of grammars and Pythons that are gone."""
    with os.scandir(folder) as entries:
        files = [(e.stat().st_mtime, e.path) for e in entries if e.name.startswith(f"{kind}-") and e.is_file()]
    for _, path in sorted(files)[:-MOST_FILES]:
        os.unlink(path)


def _name(kind: str, stamp: str) -> str:
    return f"{kind}-{zlib.crc32((PYTHON + stamp).encode()):08x}.json"


def _read(folder: str, name: str) -> bytes | None:
    """The content of a file of a folder, both of which are the user's own and no symbolic links: what is looked at is
    what has been opened, so that nobody can put something else there in between. Raises `OSError`."""
    if not hasattr(os, "geteuid"):  # Windows, where the folder is within the user's profile
        with open(os.path.join(folder, name), "rb") as file:
            return file.read()
    above = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if not _is_own(os.fstat(above)):
            return None
        handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=above)
    finally:
        os.close(above)
    with open(handle, "rb") as file:
        found = os.fstat(handle)
        return file.read() if stat.S_ISREG(found.st_mode) and _is_own(found) else None


def _is_own(found: os.stat_result) -> bool:
    """Whether something is the user's, and nobody else may write to it."""
    return not hasattr(os, "geteuid") or (found.st_uid == os.geteuid() and not found.st_mode & OTHERS_WRITE)
