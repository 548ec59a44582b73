"""Random masks from a counter: each bit is a function of seed, place in the model, row, step and unit.

A mask is the same for any number of threads and any order of rows, for stepping and scanning, and in a resumed run:
there is no generator whose state could get lost. `kernels/dropout.py` has the masks as tensors.
"""

from typing import Any

import numpy as np

from elman.kernels import native

Key = tuple[Any, ...]  # integers; traced ones while PyTorch compiles
Steps = tuple[np.ndarray, ...]

_BLOCK = 1 << 15  # numbers drawn at once: small enough to stay in the cache


def reference(probability: float, key: Key, steps: Steps, units: int) -> np.ndarray:
    """Compute `keep_mask` by its definition, in NumPy."""
    words, which = np.unique(_word(*key, *steps), return_inverse=True)  # steps of a row may share their mask
    columns = _word(np.arange(units))
    kept = np.empty((len(words), units), bool)
    rows = max(1, _BLOCK // max(units, 1))
    for begin in range(0, len(words), rows):
        bits = _mix(_mix(words[begin : begin + rows, None] ^ columns))
        np.less(bits, np.uint32(_threshold(probability)), out=kept[begin : begin + rows])
    return kept[which]


def keep_mask(probability: float, key: Key, steps: Steps, units: int) -> np.ndarray:
    """Return [N, units] booleans, each true with `probability`.

    Args:
        key: integers that the whole mask shares: seed, update, place.
        steps: integer arrays [N] that identify a step: its row, and its time unless one mask serves the whole row.
    """
    if not native.available():
        return reference(probability, key, steps, units)
    kept = np.empty((len(steps[0]), units), bool)
    draw(probability, key, steps, units, kept.ctypes.data)
    return kept


def draw(probability: float, key: Key, steps: Steps, units: int, kept: int, x: int = 0, y: int = 0) -> None:
    """Draw a mask with the native kernel; with an x, also write x / probability where the mask is true, else 0, to y.

    Args:
        kept: address of the mask, bytes [N, units].
        x: address of float32 [N, units]; 0: no product.
        y: address of the product, as x.
    """
    columns = [np.ascontiguousarray(part, np.int64) for part in steps]
    assert all(part.shape == columns[0].shape for part in columns)
    native.module.draw_masks(probability, _threshold(probability), key, columns, units, kept, x, y)


def _threshold(probability: float) -> int:
    """Return the bound below which a random word keeps its unit."""
    return min(int(probability * 2**32), 2**32 - 1)


def _mix(x: np.ndarray) -> np.ndarray:
    """Apply "lowbias32" (Wellons 2018) in place: a bijection of uint32; each input bit affects every output bit."""
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
