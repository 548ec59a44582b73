"""Random masks from a counter: a bit depends on what it is for, not on when or where it is drawn.

Keyed by seed, place in the model, row, step and unit, a mask is the same for any number of threads, any order of rows,
stepping or scanning, and a run that was resumed: there is no generator whose state could get lost.
"""

import numpy as np

_BLOCK = 1 << 15  # numbers drawn at once: small enough to stay in the cache


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


def keep_mask(probability: float, key: tuple[int, ...], steps: tuple[np.ndarray, ...], units: int) -> np.ndarray:
    """[N, units] booleans, each true with `probability`.

    Args:
        key: integers that the whole mask shares: seed, update, place.
        steps: integer arrays [N] that tell one step from another: its row, and its time unless one mask serves a row.
    """
    words = _word(*key, *steps)[:, None]
    columns = _word(np.arange(units))[None, :]
    threshold = np.uint32(min(int(probability * 2**32), 2**32 - 1))
    kept = np.empty((len(words), units), bool)
    rows = max(1, _BLOCK // max(units, 1))
    for begin in range(0, len(words), rows):
        np.less(_mix(_mix(words[begin : begin + rows] ^ columns)), threshold, out=kept[begin : begin + rows])
    return kept
