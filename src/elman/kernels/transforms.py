"""Checks for PyTorch's function transforms (`torch.func`, forward mode), which only the references support."""

import torch
from torch import Tensor
from torch.autograd import forward_ad


def active() -> bool:
    """Return whether a transform is active: `torch.func.grad`, `vmap`, `jvp`, ..., or a dual level."""
    return torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0


def batched(*gradients: Tensor) -> bool:
    """Return whether a gradient is a batch of gradients, as with `is_grads_batched` and vectorised Jacobians."""
    return not all(map(torch._C._has_storage, gradients))
