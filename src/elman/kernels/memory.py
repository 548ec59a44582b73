"""Memory for tensors that native kernels fill."""

import torch
from torch import Tensor

from elman.kernels import native

LARGE = 1 << 16  # numbers of an array from which pooled memory is faster


def new(rows: int, columns: int) -> Tensor:
    """Return an uninitialised float32 tensor [rows, columns] on the CPU, regardless of PyTorch's defaults.

    A large tensor uses memory that is pooled between calls, since the first access to a new page is slow.
    """
    if rows * columns < LARGE:
        return torch.empty(rows, columns, dtype=torch.float32, device="cpu")
    return torch.utils.dlpack.from_dlpack(native.module.array(rows, columns))
