"""Functions for NumPy and PyTorch arrays alike, without importing PyTorch."""

import math
import sys
from numbers import Number
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


def is_masked_array(values: Any) -> bool:
    """Return whether values are a masked array of NumPy. `numpy.ma`, which takes long to import, is not imported."""
    masked = sys.modules.get("numpy.ma")
    return masked is not None and isinstance(values, masked.MaskedArray)


def plain(array: Array) -> Array:
    """Return a NumPy masked array as a plain one with NaN where it is masked; return any other array itself.

    Raises:
        TypeError: the masked values are not numbers, so that nothing can mark them as missing.
    """
    if not is_masked_array(array):
        return array
    if not np.ma.is_masked(array):
        return np.asarray(array)
    if array.dtype.kind not in "biufO":
        raise TypeError(f"expected masked numbers, got masked {array.dtype}; fill or leave out the masked values.")
    filled = np.array(array.data, dtype=array.dtype if array.dtype.kind in "fO" else np.float64)
    filled[np.ma.getmaskarray(array)] = np.nan
    return filled


def as_array(values: Any) -> np.ndarray:
    """Return values of any container as a NumPy array, with NaN where a number is missing. A tensor is detached.

    A value is missing where NumPy masks it, and where it is None or the null of pandas or polars. Integers and booleans
    with missing values become float64. Text is unchanged.

    Raises:
        TypeError: masked values are not numbers.
        ValueError: nested lists differ in length.
    Example:
        >>> as_array([1, None, 3])
        array([ 1., nan,  3.])
    """
    if isinstance(values, list | tuple) and any(map(is_masked_array, values)):
        values = [as_array(value) for value in values]  # NumPy drops the masks of the parts of a list
    array = values.numpy(force=True) if is_tensor(values) else np.asarray(plain(values))
    return _without_nulls(array) if array.dtype.kind == "O" and array.ndim else array


def _without_nulls(objects: np.ndarray) -> np.ndarray:
    """Return an array of Python numbers and nulls as numbers; return other objects unchanged."""
    numbers = [np.nan if _is_null(value) else value for value in objects.ravel().tolist()]
    if not all(isinstance(number, Number | np.bool_) for number in numbers):
        return objects
    array = np.array(numbers).reshape(objects.shape)
    return array if array.dtype.kind in "biuf" else objects


def _is_null(value: Any) -> bool:
    masked = is_masked_array(value) and value is np.ma.masked
    return value is None or masked or type(value).__name__ == "NAType"  # pandas.NA


def is_missing(value: Any) -> bool:
    """Return whether a single value is missing: None, masked, NaN, a null of pandas, or NaT."""
    if isinstance(value, float | np.floating):
        return math.isnan(value)
    if isinstance(value, np.datetime64 | np.timedelta64):
        return bool(np.isnat(value))
    return _is_null(value) or type(value).__name__ == "NaTType"  # pandas.NaT


def row_mask(rows: Any) -> np.ndarray:
    """Return a row mask as booleans; raise if values are missing, because NumPy reads them as true."""
    mask = as_array(rows)
    if mask.size and mask.dtype.kind not in "biu":
        raise TypeError(f"expected a boolean for each row, got {mask.dtype}.")
    return mask.astype(bool, copy=False)


def row_numbers(rows: Any) -> np.ndarray:
    """Return row numbers as NumPy integers. Raise for a boolean mask, which would be read as rows 0 and 1."""
    numbers = as_array(rows)
    if numbers.size and numbers.dtype.kind not in "iu":
        raise TypeError(f"expected row numbers, got {numbers.dtype}; convert a mask with np.flatnonzero(mask).")
    return numbers.astype(np.int64, copy=False)


def take(array: Array, index: Any) -> Array:
    """Return rows `index` (a NumPy array, a tensor or a list of integers) of `array`; differentiable for tensors."""
    if not is_tensor(index):
        index = like(row_numbers(index), array)
    return array.index_select(0, index) if is_tensor(array) else array[index]
