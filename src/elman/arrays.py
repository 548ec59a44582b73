"""NumPy and PyTorch arrays under one spelling, without importing PyTorch."""

import sys
from types import ModuleType
from typing import Any

import numpy as np

Array = Any  # numpy.ndarray or torch.Tensor


def is_tensor(array: Array) -> bool:
    """Whether `array` is a PyTorch tensor. Never imports PyTorch: where it is not loaded, nothing is a tensor."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(array, torch.Tensor)


def namespace(array: Array) -> ModuleType:
    """The module whose functions work on `array`: both have `concatenate`, `where`, `zeros_like`, `flip`."""
    if is_tensor(array):
        return sys.modules["torch"]
    if isinstance(array, np.ndarray):
        return np
    raise TypeError(f"expected a NumPy array or a PyTorch tensor, got {type(array).__name__}")


def like(index: Array, array: Array) -> Array:
    """`index` (NumPy, or a tensor already) as an array of the same kind and on the same device as `array`."""
    if not is_tensor(array):
        return index
    return (index if is_tensor(index) else sys.modules["torch"].from_numpy(index)).to(array.device)


def row_numbers(rows: Any) -> np.ndarray:
    """Rows as NumPy integers; a mask of booleans would pass for the rows 0 and 1, and is an error."""
    numbers = np.asarray(rows)
    if numbers.size and numbers.dtype.kind not in "iu":
        raise TypeError(f"expected row numbers, got {numbers.dtype}; np.flatnonzero(mask) makes them of a mask.")
    return numbers.astype(np.int64, copy=False)


def take(array: Array, index: Any) -> Array:
    """Rows `index` (a NumPy array, a tensor or a list of integers) of `array`; differentiable for tensors."""
    if not is_tensor(index):
        index = like(row_numbers(index), array)
    return array.index_select(0, index) if is_tensor(array) else array[index]
