"""Random masks from a counter: a bit depends on what it is for, not on when or where it is drawn.

Keyed by seed, place in the model, row, step and unit, a mask is the same for any number of threads, any order of rows,
stepping or scanning, and a run that was resumed: there is no generator whose state could get lost.
"""

from typing import Any

import numpy as np

from elman.arrays import compiling
from elman.kernels import native

Key = tuple[Any, ...]  # integers, or what a compiler follows in their place
Steps = tuple[np.ndarray, ...]

_BLOCK = 1 << 15  # numbers drawn at once: small enough to stay in the cache


def reference(probability: float, key: Key, steps: Steps, units: int) -> np.ndarray:
    """The definition of `keep_mask`, in NumPy."""
    words, which = np.unique(_word(*key, *steps), return_inverse=True)  # steps of a row may share their mask
    columns = _word(np.arange(units))
    kept = np.empty((len(words), units), bool)
    rows = max(1, _BLOCK // max(units, 1))
    for begin in range(0, len(words), rows):
        bits = _mix(_mix(words[begin : begin + rows, None] ^ columns))
        np.less(bits, np.uint32(_threshold(probability)), out=kept[begin : begin + rows])
    return kept[which]


def keep_mask(probability: float, key: Key, steps: Steps, units: int) -> np.ndarray:
    """[N, units] booleans, each true with `probability`.

    Args:
        key: integers that the whole mask shares: seed, update, place.
        steps: integer arrays [N] that tell one step from another: its row, and its time unless one mask serves a row.
    """
    if compiling():
        from elman.kernels import registered

        return registered.keep_mask(probability, *registered.numbers(key, steps), units).numpy()
    if not native.available():
        return reference(probability, key, steps, units)
    kept = np.empty((len(steps[0]), units), bool)
    draw(probability, key, steps, units, kept.ctypes.data)
    return kept


def draw(probability: float, key: Key, steps: Steps, units: int, kept: int, x: int = 0, y: int = 0) -> None:
    """The mask in C++, at the address `kept`, and where there is an x, at y: x / probability where it is true, else 0.

    Args:
        kept: address of bytes [N, units].
        x: address of float32 [N, units], as y; 0 for none.
    """
    columns = [np.ascontiguousarray(part, np.int64) for part in steps]
    assert all(part.shape == columns[0].shape for part in columns)
    native.module.draw_masks(probability, _threshold(probability), key, columns, units, kept, x, y)


def _threshold(probability: float) -> int:
    """Bits below it are kept."""
    return min(int(probability * 2**32), 2**32 - 1)


def _mix(x: np.ndarray) -> np.ndarray:
    """A bijection of uint32 in place in which every input bit moves every output bit: "lowbias32" (Wellons 2018)."""
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x21F0AAAD)
    x ^= x >> np.uint32(15)
    x *= np.uint32(0xD35A2D97)
    x ^= x >> np.uint32(15)
    return x


def _word(*words: int | np.ndarray) -> np.ndarray:
    """Mix integers or integer arrays of one length, one after another, into uint32."""
    mixed = np.zeros(1, np.uint32)
    for word in words:
        low = np.asarray(word, dtype=np.int64)
        mixed = _mix(mixed ^ np.atleast_1d(low & 0xFFFFFFFF).astype(np.uint32)) + np.uint32(0x9E3779B9)
    return mixed
