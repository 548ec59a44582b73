"""PyTorch's transforms of functions, which the references follow and C++ does not: `torch.func`, and forward mode."""

import torch
from torch import Tensor
from torch.autograd import forward_ad


def active() -> bool:
    """Whether tensors stand for more than their numbers: in `torch.func.grad`, `vmap`, `jvp`, ..., in a dual level."""
    return torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0


def batched(*gradients: Tensor) -> bool:
    """Whether a gradient stands for many, as with `is_grads_batched` and in Jacobians that are `vectorize`d."""
    return not all(map(torch._C._has_storage, gradients))
