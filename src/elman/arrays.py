"""Functions for NumPy and PyTorch arrays alike, without importing PyTorch."""

import sys
from types import ModuleType
from typing import Any

import numpy as np

Array = Any  # numpy.ndarray or torch.Tensor


def is_tensor(array: Array) -> bool:
    """Return whether `array` is a PyTorch tensor, without importing PyTorch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(array, torch.Tensor)


def namespace(array: Array) -> ModuleType:
    """Return the module whose functions accept `array`. Both have `concatenate`, `where`, `zeros_like`, `flip`."""
    if is_tensor(array):
        return sys.modules["torch"]
    if isinstance(array, np.ndarray):
        return np
    raise TypeError(f"expected a NumPy array or a PyTorch tensor, got {type(array).__name__}")


def compiling() -> bool:
    """Return whether `torch.compile` or `torch.export` traces the running code instead of executing it."""
    torch = sys.modules.get("torch")
    return torch is not None and torch.compiler.is_compiling()


def tensor(array: Array) -> Array:
    """Return a NumPy array as a tensor in the same memory, or as a copy if it is read-only; return a tensor itself."""
    if is_tensor(array):
        return array
    return sys.modules["torch"].from_numpy(array if compiling() or array.flags.writeable else array.copy())


def like(index: Array, array: Array) -> Array:
    """Return `index` (NumPy or a tensor) as an array of the same kind and on the same device as `array`."""
    return tensor(index).to(array.device) if is_tensor(array) else index


def row_numbers(rows: Any) -> np.ndarray:
    """Return row numbers as NumPy integers. Raise for a boolean mask, which would be read as rows 0 and 1."""
    numbers = np.asarray(rows)
    if numbers.size and numbers.dtype.kind not in "iu":
        raise TypeError(f"expected row numbers, got {numbers.dtype}; convert a mask with np.flatnonzero(mask).")
    return numbers.astype(np.int64, copy=False)


def take(array: Array, index: Any) -> Array:
    """Return rows `index` (a NumPy array, a tensor or a list of integers) of `array`; differentiable for tensors."""
    if not is_tensor(index):
        index = like(row_numbers(index), array)
    return array.index_select(0, index) if is_tensor(array) else array[index]
