"""Files that are written whole or not at all: beside their places, and renamed; and what killed writers have left."""

from __future__ import annotations

import os
import zlib
from contextlib import suppress

ENDING = ".tmp"

UNFINISHED: set[str] = set()
"""What this process is writing; entered before the file is there, so that it can be removed at any moment."""


class NewFile:
    """What a file is to hold, written whole beside its place; `put` moves it there.

    As long as its writer lives, the file is locked: another writer that finds it unlocked knows that it was killed.
    Raises `OSError`, and leaves nothing then.
    """

    def __init__(self, path: str, data: bytes, mode: int, durable: bool = True):
        """`durable`: it is on the disk before it is put into its place, where a crash of the system would tell."""
        self.path = path
        start = _beside(path)
        _remove_leftovers(start)
        self.name, self.handle = _create(start)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self.handle, rest) :]
            if durable:
                os.fsync(self.handle)
            os.chmod(self.name, mode)
        except BaseException:
            self.discard()
            raise

    def put(self) -> None:
        """Puts the file into its place, where it takes that of an older one."""
        if os.name == "nt":  # no file that is open can be moved there
            os.close(self.handle)
        try:
            os.replace(self.name, self.path)
        except BaseException:
            self.discard()
            raise
        self._forget()

    def discard(self) -> None:
        """Removes the file, unless it is in its place."""
        if self.name in UNFINISHED:
            with suppress(OSError):
                os.unlink(self.name)
            self._forget()

    def _forget(self) -> None:
        UNFINISHED.discard(self.name)
        with suppress(OSError):
            os.close(self.handle)


def write_atomically(path: str, data: bytes, mode: int, durable: bool = True) -> None:
    """Writes a file, or leaves it as it was. Raises `OSError`."""
    NewFile(path, data, mode, durable).put()


def remove_unfinished() -> None:
    """Removes what this process has not finished, which it then can't: it is about to end."""
    for name in tuple(UNFINISHED):
        with suppress(OSError):
            os.unlink(name)


def _beside(path: str) -> str:
    """How the names of files begin that are to become this one. However long its name, they are short enough."""
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name[:40]}.{zlib.crc32(os.fsencode(name)):08x}.")


def _create(start: str) -> tuple[str, int]:
    """A new file, open and locked."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    while True:
        name = f"{start}{os.urandom(6).hex()}{ENDING}"
        UNFINISHED.add(name)
        try:
            handle = os.open(name, flags, 0o600)
        except BaseException:
            UNFINISHED.discard(name)
            raise
        if _lock(handle) is not False and os.fstat(handle).st_nlink:
            return name, handle
        os.close(handle)  # before it was locked, another writer took it for a leftover
        with suppress(OSError):
            os.unlink(name)
        UNFINISHED.discard(name)


def _lock(handle: int) -> bool | None:
    """Locks an open file as long as it is open; whether that could be, None where files can't be locked."""
    try:
        from fcntl import LOCK_EX, LOCK_NB, flock
    except ImportError:  # Windows
        return None
    try:
        flock(handle, LOCK_EX | LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _remove_leftovers(start: str) -> None:
    """Removes files of these names whose writers were killed."""
    folder, name = os.path.split(start)
    with suppress(OSError), os.scandir(folder or ".") as entries:
        for found in entries:
            if found.name.startswith(name) and found.name.endswith(ENDING):
                _remove_unlocked(os.path.join(folder, found.name))


def _remove_unlocked(path: str) -> None:
    with suppress(OSError):
        if os.name == "nt":  # no file that is open can be removed there
            os.unlink(path)
            return
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            if _lock(handle):
                os.unlink(path)
        finally:
            os.close(handle)
