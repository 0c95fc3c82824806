"""Writes the inputs of the layer, and files that are none, into a folder."""

import sys
from pathlib import Path

import numpy as np

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
x = np.array([[1, 2, 3, 4], [-1, 0, 1, 2]], np.float32)
w = np.array([[1, 0, -1], [0, 1, 0], [2, 0, 0], [0, -1, 1]], np.float32)
b = np.array([0.5, 1, -2], np.float32)
np.savez(folder / "all.npz", x=x, w=w, b=b)
np.savez(folder / "x.npz", x=x)
np.savez(folder / "weights.npz", w=w, b=b)
np.savez(folder / "short.npz", x=x[:1], w=w, b=b)
np.savez(folder / "complex.npz", x=x + 1j, w=w, b=b)
np.savez(folder / "extra.npz", x=x, w=w, b=b, bias=b)
np.savez(folder / "objects.npz", x=np.array([1, {}], object))
np.savez(folder / "nan.npz", x=np.where(x == 3, np.nan, x), w=w, b=b)
np.save(folder / "x.npy", x)
np.save(folder / "objects.npy", np.array([1, {}], object))
(folder / "text.npz").write_text("no archive")
(folder / "cut.npz").write_bytes((folder / "all.npz").read_bytes()[:200])
(folder / "empty.npz").write_bytes(b"")
