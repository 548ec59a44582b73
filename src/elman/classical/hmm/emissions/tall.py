"""Products of tall matrices, in pieces that BLAS computes in one thread.

Starting threads costs more than these products, and the last bits would depend on the number of threads.
"""

import numpy as np

PIECE = 2**18  # multiplications in a product that OpenBLAS and MKL compute in one thread


def product(tall: np.ndarray, small: np.ndarray, out: np.ndarray) -> None:
    """Compute out [N, K] = tall [N, F] @ small [F, K]."""
    for rows in _pieces(len(tall), small.size):
        np.matmul(tall[rows], small, out=out[rows])


def inner(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return left' @ right, [K, F], for left [N, K] and right [N, F]."""
    total = np.zeros((left.shape[1], right.shape[1]))
    for rows in _pieces(len(left), total.size):
        total += left[rows].T @ right[rows]
    return total


def _pieces(rows: int, cost: int) -> list[slice]:
    size = max(32, PIECE // max(cost, 1))
    return [slice(start, start + size) for start in range(0, rows, size)]
