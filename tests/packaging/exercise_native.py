"""Runs the native kernels on random ragged batches against plain loops, with NumPy alone: no PyTorch is needed.

`--overrun` reads behind an array on purpose.
"""

import sys
from itertools import pairwise

import numpy as np

from elman.kernels import native


def loops(a, x, offsets, h0, dh, dlast):
    """What the kernel must write: h, last, da, dx, dh0."""
    h, last, da, dx, dh0 = np.empty_like(a), h0.copy(), np.empty_like(a), np.empty_like(a), dlast.copy()
    for row, (start, end) in enumerate(pairwise(offsets)):
        for t in range(start, end):
            h[t] = last[row] = a[t] * last[row] + x[t]
        for t in reversed(range(start, end)):
            dx[t] = dh[t] + dh0[row]
            da[t] = dx[t] * (h[t - 1] if t > start else h0[row])
            dh0[row] = a[t] * dx[t]
    return h, last, da, dx, dh0


def exercise(generator, rows, features):
    offsets = np.cumsum([0, *generator.integers(0, 9, rows)])
    steps = offsets[-1]
    a, x, dh = generator.standard_normal((3, steps, features), np.float32)
    h0, dlast = generator.standard_normal((2, rows, features), np.float32)
    h, da, dx = np.full((3, steps, features), np.nan, np.float32)
    last, dh0 = np.full((2, rows, features), np.nan, np.float32)
    native.module.linear_scan(a, x, offsets, h0, h, last)
    native.module.linear_scan_backward(a, h, offsets, h0, dh, dlast, da, dx, dh0)
    for got, wanted in zip((h, last, da, dx, dh0), loops(a, x, offsets, h0, dh, dlast), strict=True):
        np.testing.assert_array_equal(got, wanted)


def overrun():
    a, h0 = np.ones((1000, 8), np.float32), np.ones((1, 8), np.float32)
    native.module.linear_scan(a, a, np.array([0, 1001]), h0, np.empty_like(a), np.empty_like(h0))


if __name__ == "__main__":
    if "--overrun" in sys.argv:
        overrun()
    for number in range(300):
        exercise(np.random.default_rng(number), rows=number % 7, features=1 + number % 41)
    print("native agrees")
