"""NumPy's files: the arrays of inputs, and results as the bytes of an .npz."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .files import InputError

if TYPE_CHECKING:
    from ..runtime.numerics import Array


def load_arrays(path: str) -> dict[str, Array]:
    """The arrays of an .npz file by name. Raises `InputError`."""
    loaded = _load(path)
    if not isinstance(loaded, dict):
        raise InputError(f"{path}: not an .npz file; a single .npy goes with --input NAME={path}")
    return loaded


def load_array(path: str) -> Array:
    """The array of an .npy file. Raises `InputError`."""
    loaded = _load(path)
    if isinstance(loaded, dict):
        raise InputError(f"{path}: an .npz file goes with --inputs")
    return loaded


def _load(path: str) -> Any:
    """The arrays of an .npz file by name, or the one of an .npy file."""
    import zipfile
    import zlib

    import numpy as np

    try:
        with open(path, "rb") as file:
            start = file.read(6)
        if not start.startswith((b"PK", b"\x93NUMPY")):
            raise InputError(f"{path}: not a NumPy file")
        loaded = np.load(path, allow_pickle=False)
        arrays = {name: loaded[name] for name in loaded.files} if hasattr(loaded, "files") else loaded
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"cannot read '{path}': {error.strerror or error}") from None
    except NotImplementedError as error:
        raise InputError(f"{path}: packed in a way that can't be read: {error}") from None
    except RuntimeError as error:
        why = "it is encrypted" if "encrypted" in str(error) else str(error)
        raise InputError(f"{path}: can't be read: {why}") from None
    except MemoryError:
        raise InputError(f"{path}: out of memory: it says that it holds more than there is room for") from None
    except UnicodeError:
        raise InputError(f"{path}: damaged: a header can't be read") from None
    except ValueError as error:
        pickled = "it holds Python objects, which are refused" if "pickle" in str(error) else str(error)
        raise InputError(f"{path}: not a NumPy file of numbers: {pickled}") from None
    except (EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path}: damaged: {error}") from None
    except Exception:  # NumPy has Python read headers, which has many ways to fail
        raise InputError(f"{path}: damaged: a header can't be read") from None
    members = arrays if isinstance(arrays, dict) else {"it": arrays}
    other = next((name for name, array in members.items() if not isinstance(array, np.ndarray)), None)
    if other is not None:
        raise InputError(f"{path}: '{other}' is no array")
    return arrays


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
