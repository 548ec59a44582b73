"""Support of `torch.autocast("cpu")`: the dtype of inputs, and of the products of a recurrence.

States, gates and gradients keep the dtype of the weights. Autocast changes results only where native kernels multiply
bfloat16.
"""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from elman.kernels import native


def active_dtype() -> torch.dtype | None:
    """Return the dtype of autocast, or None if it is off."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else None


def bfloat16() -> bool:
    """Return whether native recurrences multiply bfloat16 now."""
    return active_dtype() is torch.bfloat16 and native.bfloat16()


def cast_input(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Return x in `dtype` if its dtype may come from autocast; else x."""
    return x.to(dtype) if x.dtype != dtype and x.is_cpu and x.dtype == active_dtype() else x


def off() -> AbstractContextManager[object]:
    """Return a context in which PyTorch does not change dtypes."""
    return nullcontext() if active_dtype() is None else torch.autocast("cpu", enabled=False)
