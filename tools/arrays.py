"""NumPy's files: the arrays of inputs, and results as the bytes of an .npz.

Of an array only the header is read, which says its shape and element type, until somebody wants its data: a small file
can hold arrays of any size.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from .files import InputError, open_regular

if TYPE_CHECKING:
    import numpy as np

    from ..runtime.numerics import Array

MAGIC = b"\x93NUMPY"

MAX_HEADER = 1 << 16
"""Longest header, in bytes, that is read; NumPy writes some hundred."""


@dataclass(frozen=True, slots=True)
class StoredArray:
    """An array in a file: `name` is its member's of an .npz, empty for an .npy. `at` is where the data begin, in bytes
    of the member or the file."""

    path: str
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool
    at: int

    def read(self) -> Array:
        """The array. Takes as much memory as shape and element type say, which whoever asks must have looked at. Raises
        `InputError`."""
        import numpy as np

        with _opened(self.path, self.name) as stream:
            stream.read(self.at)
            array = np.empty(self.shape, self.dtype, "F" if self.fortran else "C")
            flat: Any = array.reshape(-1, order="A").view(np.uint8)
            if _fill(stream, memoryview(flat)) < flat.size:
                raise InputError(f"{self.path}: damaged: '{self.name or 'the array'}' is cut short")
        return array


def load_arrays(path: str) -> dict[str, StoredArray]:
    """The arrays of an .npz file by name. Raises `InputError`."""
    if _is_single(path):
        raise InputError(f"{path}: not an .npz file; a single .npy goes with --input NAME={path}")
    import zipfile

    with _faults(path), open_regular(path) as file, zipfile.ZipFile(file) as archive:
        members = archive.namelist()
    return {name.removesuffix(".npy"): _stored(path, name) for name in members}


def load_array(path: str) -> StoredArray:
    """The array of an .npy file. Raises `InputError`."""
    if not _is_single(path):
        raise InputError(f"{path}: an .npz file goes with --inputs")
    return _stored(path, "")


def _is_single(path: str) -> bool:
    """Whether a file is an .npy and no .npz. Raises `InputError` for any other."""
    with _faults(path), open_regular(path) as file:
        start = file.read(len(MAGIC))
    if not start.startswith((b"PK", MAGIC)):
        raise InputError(f"{path}: not a NumPy file")
    return start == MAGIC


def _stored(path: str, name: str) -> StoredArray:
    """An array as its header has it."""
    with _opened(path, name) as stream:
        start = stream.read(8)
        if not start.startswith(MAGIC):
            raise InputError(f"{path}: '{name.removesuffix('.npy') or 'it'}' is no array")
        width = 2 if start[6] == 1 else 4
        length = int.from_bytes(stream.read(width), "little")
        header = _header(stream.read(length)) if length <= MAX_HEADER else None
    if header is None:
        raise InputError(f"{path}: not a NumPy file of numbers: its header is malformed")
    shape, dtype, fortran = header
    if dtype.hasobject:
        raise InputError(f"{path}: not a NumPy file of numbers: it holds Python objects, which are refused")
    return StoredArray(path, name, shape, dtype, fortran, 8 + width + length)


def _header(data: bytes) -> tuple[tuple[int, ...], np.dtype[Any], bool] | None:
    """Shape, element type and whether the first index runs fastest; None for what says none of it."""
    import ast

    import numpy as np

    try:
        said: Any = ast.literal_eval(data.decode("utf-8").strip())
        shape, dtype = said["shape"], np.lib.format.descr_to_dtype(said["descr"])
        fortran = said["fortran_order"] is True
    except Exception:  # whatever Python and NumPy say of a text that is no header
        return None
    whole = type(shape) is tuple and all(type(d) is int and 0 <= d < 1 << 63 for d in shape)
    return (shape, dtype, fortran) if whole and len(shape) <= MAX_RANK else None


MAX_RANK = 32


def _fill(stream: IO[bytes], into: memoryview) -> int:
    """Reads bytes into a buffer; how many there were."""
    done = 0
    while done < len(into):
        data = stream.read(min(len(into) - done, 1 << 20))
        if not data:
            break
        into[done : done + len(data)] = data
        done += len(data)
    return done


@contextlib.contextmanager
def _opened(path: str, name: str) -> Generator[IO[bytes]]:
    """A member of an .npz file, or an .npy file. Raises `InputError` for what goes wrong while it is read."""
    import zipfile

    with _faults(path), open_regular(path) as file:
        if not name:
            yield file
            return
        with zipfile.ZipFile(file) as archive, archive.open(name) as member:
            yield member


@contextlib.contextmanager
def _faults(path: str) -> Generator[None]:
    """Raises `InputError` for what goes wrong while a file is read."""
    import zipfile
    import zlib

    try:
        yield
    except OSError as error:
        raise InputError(f"cannot read '{path}': {error.strerror or 'it is damaged'}") from None
    except NotImplementedError as error:
        raise InputError(f"{path}: packed in a way that can't be read: {error}") from None
    except RuntimeError as error:
        why = "it is encrypted" if "encrypted" in str(error) else "the archive is malformed"
        raise InputError(f"{path}: can't be read: {why}") from None
    except MemoryError:
        raise InputError(f"{path}: out of memory: it says that it holds more than there is room for") from None
    except (EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path}: damaged: {error}") from None
    except ValueError:
        raise InputError(f"{path}: damaged: it can't be read as an archive") from None


def packed(named: Iterable[tuple[str, Array]]) -> bytes:
    """Results as the bytes of an .npz file; the second of a name is called NAME_1 by its place."""
    import io
    import zipfile

    import numpy as np

    out = io.BytesIO()
    names: set[str] = set()
    with zipfile.ZipFile(out, "w") as archive:
        for i, (wish, array) in enumerate(named):
            name = wish if wish not in names else f"{wish}_{i}"
            names.add(name)
            # A fixed date, so that the same results are the same bytes.
            with archive.open(zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), "w") as member:
                np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
    return out.getvalue()
