"""Reading a text and writing one whole or not at all; the standard streams, which may be closed."""

from __future__ import annotations

import errno
import os
import stat
import sys
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress

from ..ir.diagnostics import visible
from ..ir.light_typing import TYPE_CHECKING
from .signals import Held

if TYPE_CHECKING:
    from typing import IO

    from ..ir.atomic_write import NewFile

MAX_TEXT = 1 << 30
"""Longest text that is read, in bytes."""

TRIES, BETWEEN = 100, 0.05
"""How often, and after how many seconds each time, it is looked whether somebody is at a pipe's other end."""

CHUNK = 1 << 22
"""Bytes that are read at a time from what doesn't say how long it is."""


class InputError(Exception):
    """A file that can't be read or written, in one line; `more` are lines that follow. A line end in one of them, as in
    the name of a file, is shown as an escape."""

    def __init__(self, message: str, *more: str):
        super().__init__("\n".join(map(visible, (message, *more))))


def read_text(path: str) -> str:
    """The UTF-8 text of a file, or of standard input for `-`, without a byte-order mark. Raises `InputError`, also for
    a device, for a named pipe that nobody writes to, and for more than `MAX_TEXT` bytes."""
    try:
        if path == "-":
            if sys.stdin is None:
                raise InputError("cannot read standard input: it is closed")
            data = _read_all(sys.stdin.buffer, path)
        else:
            data = _read_file(path)
    except OSError as error:
        raise InputError(f"cannot read '{path}': {error.strerror}") from None
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        byte, line = data[error.start], data.count(b"\n", 0, error.start) + 1
        shown = "<stdin>" if path == "-" else path
        raise InputError(f"{shown}: not UTF-8 text: byte 0x{byte:02x} in line {line}") from None


def _read_file(path: str) -> bytes:
    """Raises `InputError` for a device that isn't empty, and OSError."""
    mode = os.stat(path).st_mode
    if stat.S_ISFIFO(mode) and os.path.exists(os.path.realpath(path)):  # `opt <(...)` has a pipe without a name
        return _read_pipe(path)
    if stat.S_ISBLK(mode) or (stat.S_ISCHR(mode) and not same_file(path, os.devnull) and not _is_terminal(path)):
        raise InputError(f"cannot read '{path}': it is a device")
    with open(path, "rb") as file:
        return _read_all(file, path)


def _read_pipe(path: str) -> bytes:
    """What is written to a named pipe. To open it in the usual way would wait for a writer without end."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with open(handle, "rb", buffering=0) as file:
        for _ in range(TRIES):
            found = file.read(CHUNK)
            if found != b"":  # None: there is a writer, who has not written yet
                os.set_blocking(handle, True)
                return (found or b"") + _read_all(file, path)
            time.sleep(BETWEEN)
    raise InputError(f"cannot read '{path}': it is a pipe that nobody writes to")


def _is_terminal(path: str) -> bool:
    """Whether a character device is a terminal: of those, standard input is one by name (`/dev/stdin`)."""
    handle = os.open(path, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        return os.isatty(handle)
    finally:
        os.close(handle)


def open_regular(path: str) -> IO[bytes]:
    """Opens a file that is read more than once, or here and there. Raises `InputError` for what is no regular file."""
    try:
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise InputError(f"cannot read '{path}': it is no regular file")
        return open(path, "rb")
    except OSError as error:
        raise InputError(f"cannot read '{path}': {error.strerror}") from None


def _read_all(stream: IO[bytes], path: str) -> bytes:
    """What is left of a stream. A regular file, which says how long it is, is read at once."""
    parts: list[bytes] = []
    with suppress(OSError):  # a stream in memory has no number
        status = os.fstat(stream.fileno())
        if stat.S_ISREG(status.st_mode) and status.st_size <= MAX_TEXT:
            return stream.read()
    left = MAX_TEXT
    while data := stream.read(CHUNK):
        parts.append(data)
        left -= len(data)
        if left < 0:
            shown = "standard input" if path == "-" else f"'{path}'"
            raise InputError(f"cannot read {shown}: it is longer than {MAX_TEXT:,} bytes")
    return parts[0] if len(parts) == 1 else b"".join(parts)


def same_file(a: str, b: str) -> bool:
    """Whether two names are of one file, by whatever links."""
    try:
        return os.path.samefile(a, b)
    except (OSError, ValueError):
        return os.path.realpath(a) == os.path.realpath(b)


def write_text(path: str, text: str) -> None:
    """Writes a text to a file, or to standard output for `-`. Raises `InputError`.

    A regular file is written beside and renamed, so that it is whole or as before; symbolic links are followed and the
    mode is kept. What is no regular file (a character device, a pipe that somebody reads) is written to directly.
    """
    write_bytes(path, text.encode("utf-8", "surrogateescape"))


def write_bytes(path: str, data: bytes) -> None:
    """Like `write_text`, for bytes."""
    write_together([(path, data)])


def write_together(outputs: Iterable[tuple[str, bytes]]) -> None:
    """Writes several files, all or none: each is whole beside its place before the first takes it. What is no regular
    file, and can't be taken back, is written in between."""
    new: list[tuple[str, NewFile]] = []
    direct: list[tuple[str, bytes]] = []
    try:
        for path, data in outputs:
            with _explained(path):
                mode = None if path == "-" else _mode_to_be(path)
                if mode is None:
                    direct.append((path, data))
                else:
                    new.append((path, _new_file(path, data, mode)))
        for path, data in direct:
            _write_directly(path, data)
        with Held():
            for path, file in new:
                with _explained(path):
                    file.put()
    except BaseException:
        for _, file in new:
            file.discard()
        raise


def _new_file(path: str, data: bytes, mode: int) -> NewFile:
    from ..ir.atomic_write import NewFile

    return NewFile(os.path.realpath(path), data, mode)


@contextmanager
def _explained(path: str) -> Generator[None, None, None]:
    """Makes an `InputError` of what keeps a file from being written."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise InputError(f"cannot write '{path}': {error.strerror}") from None


def _mode_to_be(path: str) -> int | None:
    """The mode that a file has or will get; None where it is no regular one."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return _new_mode()
    if not stat.S_ISREG(mode):
        return None
    if not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return stat.S_IMODE(mode)


def _new_mode() -> int:
    """The mode that the user's umask gives a new file."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _write_directly(path: str, data: bytes) -> None:
    if path == "-":
        _write_standard_output(data)
        return
    with _explained(path), os.fdopen(_open_special(path), "wb") as file:
        file.write(data)


def _open_special(path: str) -> int:
    """A handle of what is no regular file, to write to. To open a pipe would wait until somebody reads it."""
    mode = os.stat(path).st_mode
    if stat.S_ISBLK(mode):
        raise OSError(errno.EPERM, "it is a block device")
    if not stat.S_ISFIFO(mode):
        return os.open(path, os.O_WRONLY)
    for _ in range(TRIES):
        try:
            handle = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            time.sleep(BETWEEN)
        else:
            os.set_blocking(handle, True)
            return handle
    raise OSError(errno.ENXIO, "it is a pipe that nobody reads")


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
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def output_encoding() -> str:
    """Of standard output. Raises `InputError` where it is closed."""
    if sys.stdout is None:
        raise InputError("cannot write standard output: it is closed")
    return sys.stdout.encoding


def say(text: str) -> None:
    """Writes lines on standard error, for whoever reads along; nobody may."""
    if sys.stderr is not None:
        with suppress(OSError):
            print(text, file=sys.stderr, flush=True)


def say_or_fail(text: str) -> None:
    """Writes lines that were asked for on standard error. Raises `InputError`, which nobody may see, where it is
    closed."""
    if sys.stderr is None:
        raise InputError("cannot write standard error: it is closed")
    try:
        print(text, file=sys.stderr, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise InputError(f"cannot write standard error: {error.strerror}") from None
