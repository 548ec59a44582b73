"""Dropout by masks from a counter, with the product on the way (`kernels/masks.py`)."""

from typing import Any

import torch
from torch import Tensor

from elman.kernels import native, transforms
from elman.kernels.masks import Key, Steps, draw, keep_mask
from elman.kernels.memory import new


def dropout(x: Tensor, keep: float, key: Key, steps: Steps) -> Tensor:
    """x [N, D] divided by `keep` where the mask of `key` and `steps` is true, else 0: in one pass where C++ applies."""
    plain = x.dtype == torch.float32 and x.device.type == "cpu" and not transforms.active()
    if plain and native.available():
        return _Native.apply(x.contiguous(), keep, key, steps)
    mask = torch.from_numpy(keep_mask(keep, key, steps, x.shape[1]))
    return x * (mask.to(x.device, x.dtype) / keep)


class _Native(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, keep: float, key: Key, steps: Steps) -> Tensor:
        y, mask = dropped(x, keep, key, steps)
        ctx.save_for_backward(mask)
        ctx.keep = keep
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None, None, None]:
        (mask,) = ctx.saved_tensors
        if torch.is_grad_enabled() or transforms.batched(dy):  # C++ leaves no graph, and sees one gradient
            return dy * (mask.to(dy.dtype) / ctx.keep), None, None, None
        return masked(dy.contiguous(), mask, ctx.keep), None, None, None


def dropped(x: Tensor, keep: float, key: Key, steps: Steps) -> tuple[Tensor, Tensor]:
    """x [N, D] float32 divided by `keep` where the mask is true, else 0, and the mask: in one pass, in C++."""
    y, mask = new(*x.shape), torch.empty(x.shape, dtype=torch.bool)
    draw(keep, key, steps, x.shape[1], mask.data_ptr(), x.data_ptr(), y.data_ptr())
    return y, mask


def masked(x: Tensor, mask: Tensor, keep: float) -> Tensor:
    """The same with a mask that is there."""
    y = new(*x.shape)
    native.module.masked(keep, x.numel(), mask.data_ptr(), x.data_ptr(), y.data_ptr())
    return y
