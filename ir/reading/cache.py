"""Files in the user's cache folder: plain data under a stamp that says what it was made of and by what."""

from __future__ import annotations

import contextlib
import marshal
import os
import sys
import zlib
from collections.abc import Iterable

from ..light_typing import Any

MOST_FILES = 8
"""Files of one kind that are kept."""

PYTHON = f"{sys.implementation.cache_tag} {sys.version} {sys.byteorder}"


OWN_RULES = ("win32", "darwin")
"""Systems that keep caches elsewhere than in `~/.cache`."""


def cache_folder() -> str:
    """The user's cache folder for Tilewright: below `$XDG_CACHE_HOME` if that is an absolute path, else where the
    system keeps such folders, which is `~/.cache` but for `OWN_RULES`."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(base):
        return os.path.join(base, "tilewright")
    if sys.platform in OWN_RULES:  # only there: to import it takes as long as to read and print a short text
        import platformdirs

        return platformdirs.user_cache_dir("tilewright", appauthor=False)
    return os.path.join(os.path.expanduser("~"), ".cache", "tilewright")


def makers(names: Iterable[str]) -> str:
    """What tells one version of some files of this folder from another, for a stamp."""
    folder = os.path.dirname(__file__)
    sums: list[int] = []
    for name in names:
        with open(os.path.join(folder, name), "rb") as file:
            sums.append(zlib.crc32(file.read()))
    return " ".join(map(str, sums))


def load(kind: str, stamp: str) -> Any:
    """What was stored under a stamp; None where there is nothing, or nothing whole."""
    try:
        with open(_path(kind, stamp), "rb") as file:
            data = file.read()
        body = memoryview(data)[4:]
        if zlib.crc32(body) != int.from_bytes(data[:4], "little"):
            return None
        found, value = marshal.loads(body)
    except (OSError, ValueError, EOFError, TypeError):
        return None
    return value if found == PYTHON + stamp else None


def store(kind: str, stamp: str, value: Any) -> None:
    """Stores plain data (and code objects), where files can be written. A reader never meets half a file."""
    import tempfile

    body = marshal.dumps((PYTHON + stamp, value))
    path = _path(kind, stamp)
    with contextlib.suppress(OSError):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        handle, beside = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".new-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(zlib.crc32(body).to_bytes(4, "little") + body)
            os.replace(beside, path)
            _tidy(kind)
        finally:
            with contextlib.suppress(OSError):
                os.unlink(beside)


def _tidy(kind: str) -> None:
    """Takes away the oldest files of a kind: those of grammars and Pythons that are gone."""
    with os.scandir(cache_folder()) as entries:
        files = [(e.stat().st_mtime, e.path) for e in entries if e.name.startswith(f"{kind}-") and e.is_file()]
    for _, path in sorted(files)[:-MOST_FILES]:
        os.unlink(path)


def _path(kind: str, stamp: str) -> str:
    return os.path.join(cache_folder(), f"{kind}-{zlib.crc32((PYTHON + stamp).encode()):08x}.bin")
