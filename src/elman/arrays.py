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


def compiling() -> bool:
    """Return whether `torch.compile` or `torch.export` traces the running code instead of executing it."""
    torch = sys.modules.get("torch")
    return torch is not None and torch.compiler.is_compiling()


def tensor(array: Array) -> Array:
    """Return a NumPy array as a tensor: in the same memory, or a copy if the array is read-only. Keep tensors."""
    if is_tensor(array):
        return array
    return sys.modules["torch"].from_numpy(array if compiling() or array.flags.writeable else array.copy())


def like(index: Array, array: Array) -> Array:
    """Return `index` (NumPy or a tensor) as an array of the same kind and on the same device as `array`."""
    return tensor(index).to(array.device) if is_tensor(array) else index


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
