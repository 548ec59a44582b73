"""Tensors that C++ fills."""

import torch
from torch import Tensor

from elman.kernels import native

LARGE = 1 << 16  # numbers of an array for which kept memory pays


def new(rows: int, columns: int) -> Tensor:
    """A float32 tensor [rows, columns] on the CPU, whatever PyTorch's defaults are.

    A large one lies in memory kept between calls, since fresh pages are slow to touch.
    """
    if rows * columns < LARGE:
        return torch.empty(rows, columns, dtype=torch.float32, device="cpu")
    return torch.utils.dlpack.from_dlpack(native.module.array(rows, columns))
