"""Checks for PyTorch's function transforms (`torch.func`, forward mode) and traces, which only references support."""

import torch
from torch import Tensor
from torch.autograd import forward_ad


def active() -> bool:
    """Return whether a transform is active: `torch.func.grad`, `vmap`, `jvp`, ..., a dual level, or a trace.

    A trace (`torch.jit.trace`, `torch.onnx.export(..., dynamo=False)`) would store a native result as a constant.
    """
    return torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0 or torch._C._is_tracing()


def batched(*gradients: Tensor) -> bool:
    """Return whether a gradient is a batch of gradients, as with `is_grads_batched` and vectorised Jacobians."""
    return not all(map(torch._C._has_storage, gradients))
