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
np.savez(folder / "inf.npz", x=np.array([[np.inf, 0, 0, 0], [1.5, 2, 3, 4]], np.float32), w=np.abs(w) + 1, b=b)
np.savez(folder / "large.npz", x=np.where(x == 1, np.float32(1e9), x), w=w, b=b)
rng = np.random.default_rng(1)
p, q = rng.standard_normal((4, 64)).astype(np.float32), rng.standard_normal((64, 4)).astype(np.float32)
np.savez(folder / "cancels.npz", x=p, w=q, z=(p.astype(np.float64) @ q).astype(np.float32))
np.savez(folder / "bool.npz", x=x > 1, w=w, b=b)
np.savez(folder / "count.npz", x=x.astype(np.int64) + 2**24, w=w, b=b)
np.savez(folder / "wide.npz", x=x.astype(np.float64) * 1e38, w=w, b=b)
np.savez(folder / "nothing.npz")
np.save(folder / "x.npy", x)
np.save(folder / "objects.npy", np.array([1, {}], object))
(folder / "text.npz").write_text("no archive")
(folder / "cut.npz").write_bytes((folder / "all.npz").read_bytes()[:200])
(folder / "empty.npz").write_bytes(b"")
(folder / "huge.npy").write_bytes(
    (folder / "x.npy").read_bytes().replace(b"(2, 4), }" + b" " * 12, b"(1000000000000000, 9)}")
)
packed = bytearray((folder / "x.npz").read_bytes())
directory = packed.index(b"PK\1\2")
for name, at, value in (("locked", 8, 1), ("exotic", 10, 98)):
    changed = packed.copy()
    changed[directory + at] |= value  # the flag that says encrypted, or the way of packing
    changed[6 if value == 1 else 8] |= value
    (folder / f"{name}.npz").write_bytes(changed)
