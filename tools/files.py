"""Reading a text and writing one whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys


class InputError(Exception):
    """A file that can't be read or written, in one line."""


def read_text(path: str) -> str:
    """The UTF-8 text of a file, or of standard input for `-`, without a byte-order mark. Raises `InputError`."""
    try:
        if path == "-":
            if sys.stdin is None:
                raise InputError("cannot read standard input: it is closed")
            data = sys.stdin.buffer.read()
        else:
            with open(path, "rb") as file:
                data = file.read()
    except OSError as error:
        raise InputError(f"cannot read '{path}': {error.strerror}") from None
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        byte, line = data[error.start], data.count(b"\n", 0, error.start) + 1
        shown = "<stdin>" if path == "-" else path
        raise InputError(f"{shown}: not UTF-8 text: byte 0x{byte:02x} in line {line}") from None


def same_file(a: str, b: str) -> bool:
    """Whether two names are of one file, by whatever links."""
    try:
        return os.path.samefile(a, b)
    except (OSError, ValueError):
        return os.path.realpath(a) == os.path.realpath(b)


def write_text(path: str, text: str) -> None:
    """Writes a text to a file, or to standard output for `-`. Raises `InputError`.

    A regular file is written beside and renamed, so that it is whole or as before; symbolic links are followed and the
    mode is kept. What is no regular file (a device, a pipe) is written to directly.
    """
    write_bytes(path, text.encode("utf-8", "surrogateescape"))


def write_bytes(path: str, data: bytes) -> None:
    """Like `write_text`, for bytes."""
    if path == "-":
        _write_standard_output(data)
        return
    try:
        _write_file(path, data)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise InputError(f"cannot write '{path}': {error.strerror}") from None


def _write_standard_output(data: bytes) -> None:
    if sys.stdout is None:
        if data:
            raise InputError("cannot write standard output: it is closed")
        return
    try:
        sys.stdout.flush()
        rest = memoryview(data)
        while rest:  # unbuffered (PYTHONUNBUFFERED), a write takes what fits
            written = sys.stdout.buffer.write(rest)
            if not written:
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            rest = rest[written:]
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        discard_standard_output()
        raise InputError(f"cannot write standard output: {error.strerror}") from None


def discard_standard_output() -> None:
    """Sends what is still in standard output's buffer nowhere, so that Python does not fail over it when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _write_file(path: str, data: bytes) -> None:
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        mode = None
    if mode is not None and not stat.S_ISREG(mode):
        with open(path, "wb") as file:
            file.write(data)
        return
    if mode is not None and not os.access(path, os.W_OK):
        raise PermissionError(13, "Permission denied")
    _replace(os.path.realpath(path), data, _new_mode() if mode is None else stat.S_IMODE(mode))


def _replace(path: str, data: bytes, mode: int) -> None:
    import tempfile

    handle, beside = tempfile.mkstemp(dir=os.path.dirname(path) or ".", prefix=f".{os.path.basename(path)}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(beside, mode)
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise


def _new_mode() -> int:
    """The mode that the user's umask gives a new file."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
