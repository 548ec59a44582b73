"""Memory of NumPy arrays as native kernels read and fill it."""

import numpy as np

from elman.kernels import native

LARGE = 1 << 16  # numbers of an array from which pooled memory is faster


def new(rows: int, columns: int) -> np.ndarray:
    """Return an uninitialised float32 array [rows, columns]; a large one uses memory that is pooled between calls."""
    if rows * columns < LARGE:
        return np.empty((rows, columns), np.float32)
    pairs = native.module.doubles([(rows * columns + 1) // 2])  # two float32 in the memory of a float64
    found: np.ndarray = pairs.view(np.float32)[: rows * columns].reshape(rows, columns)
    return found


def address(array: np.ndarray | None) -> int:
    """Return the address of the numbers of an array that is contiguous; 0 for None."""
    return 0 if array is None else array.__array_interface__["data"][0]
