"""What `torch.autocast("cpu")` means here: the type of what arrives, and of the products of a recurrence.

States, gates and gradients keep the type of the weights; only where native kernels multiply bfloat16 does autocast
change a number.
"""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from elman.kernels import native


def chosen() -> torch.dtype | None:
    """The type that autocast computes in; None where it is off."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else None


def bfloat16() -> bool:
    """Whether the products of native recurrences are in bfloat16 now."""
    return chosen() is torch.bfloat16 and native.bfloat16()


def taken(x: Tensor, dtype: torch.dtype) -> Tensor:
    """x in `dtype`, where autocast may have made it what it is; else x."""
    return x.to(dtype) if x.dtype != dtype and x.is_cpu and x.dtype == chosen() else x


def off() -> AbstractContextManager[object]:
    """Meanwhile PyTorch computes in the types that it is given."""
    return nullcontext() if chosen() is None else torch.autocast("cpu", enabled=False)
