"""Memory of tensors as native kernels read and fill it."""

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


def plain(tensor: Tensor) -> Tensor:
    """Return a tensor whose memory holds its numbers in order: contiguous, with a deferred change of sign applied.

    PyTorch marks a tensor such as `z.conj().imag` as negated and leaves the numbers in its memory unchanged.
    """
    return (tensor.resolve_neg() if tensor.is_neg() else tensor).contiguous()


def address(tensor: Tensor | None) -> int:
    """Return the address of the numbers of a tensor that is `plain`; 0 for None.

    Raises:
        RuntimeError: the tensor has no memory of its own, as under `torch.func.vmap` (PyTorch's message).
    """
    return 0 if tensor is None else tensor.data_ptr()
