"""Dropout and random masks as tensors, drawn from a counter (`kernels/masks.py`)."""

from typing import Any

import torch
from torch import Tensor

from elman.kernels import native, transforms
from elman.kernels.masks import Key, Steps, draw, keep_mask
from elman.kernels.memory import address, new, plain


def random_mask(probability: float, key: Key, steps: Steps, units: int) -> Tensor:
    """Return `masks.keep_mask` as a tensor, [N, units] booleans."""
    if torch.compiler.is_compiling():
        return _mask_operator(probability, *_operands(key, steps), units)
    return torch.from_numpy(keep_mask(probability, key, steps, units))


def dropout(x: Tensor, p: Tensor, key: Key, steps: Steps) -> Tensor:
    """Return x [N, D], divided by 1 - p where the mask of `key` and `steps` is true, else 0.

    The native kernel draws and multiplies in one pass where it applies.

    Args:
        p: probability of a zero, a scalar on the CPU. It is a tensor, so that a compiled program serves every p.
    """
    if torch.compiler.is_compiling():
        return _operator(x, p, *_operands(key, steps))[0]
    keep = 1 - p.item()
    if _fits(x) and not transforms.active():
        return _Native.apply(plain(x), keep, key, steps)
    return x * _scale(torch.from_numpy(keep_mask(keep, key, steps, x.shape[1])), keep, x)


def forward(x: Tensor, keep: float, key: Key, steps: Steps) -> tuple[Tensor, Tensor]:
    """Draw a mask and divide x [N, D] by `keep` where it is true, with the native kernel; return both."""
    y, mask = new(*x.shape), torch.empty(x.shape, dtype=torch.bool)
    draw(keep, key, steps, x.shape[1], *map(address, (mask, x, y)))
    return y, mask


def backward(dy: Tensor, mask: Tensor, keep: float) -> Tensor:
    """Compute the gradient of x with the native kernel."""
    dx = new(*dy.shape)
    native.module.masked(keep, dy.numel(), *map(address, (mask, dy, dx)))
    return dx


def _fits(x: Tensor) -> bool:
    """Return whether the native kernel computes x: float32 on the CPU."""
    return native.available() and x.dtype is torch.float32 and x.device.type == "cpu"


def _scale(mask: Tensor, keep: float, x: Tensor) -> Tensor:
    """Return the factors of x: 1 / keep where the mask is true, else 0."""
    return mask.to(x.device, x.dtype) / keep


class _Native(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, keep: float, key: Key, steps: Steps) -> Tensor:
        y, mask = forward(x, keep, key, steps)
        ctx.save_for_backward(mask)
        ctx.keep = keep
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None, None, None]:
        (mask,) = ctx.saved_tensors
        if torch.is_grad_enabled() or transforms.batched(dy):  # native kernels build no graph and take one gradient
            return dy * _scale(mask, ctx.keep, dy), None, None, None
        return backward(plain(dy), mask, ctx.keep), None, None, None


# The operators for compilers. The key is a tensor, so that a new key does not need a new program.


def _operands(key: Key, steps: Steps) -> tuple[Tensor, list[Tensor]]:
    """Return key and steps as tensors."""
    parts = [part if isinstance(part, Tensor) else torch.tensor([part]) for part in key]
    empty = torch.empty(0, dtype=torch.int64)
    return torch.cat(parts) if parts else empty, [torch.from_numpy(part) for part in steps]


@torch.library.custom_op("elman::keep_mask", mutates_args=())
def _mask_operator(probability: float, key: Tensor, steps: list[Tensor], units: int) -> Tensor:
    return random_mask(probability, tuple(key.tolist()), tuple(part.numpy() for part in steps), units)


@_mask_operator.register_fake
def _(probability: float, key: Tensor, steps: list[Tensor], units: int) -> Tensor:
    return key.new_empty(steps[0].shape[0], units, dtype=torch.bool)


@torch.library.custom_op("elman::dropout", mutates_args=())
def _operator(x: Tensor, p: Tensor, key: Tensor, steps: list[Tensor]) -> tuple[Tensor, Tensor]:
    keep, numbers = 1 - p.item(), (tuple(key.tolist()), tuple(part.numpy() for part in steps))
    if _fits(x):
        return forward(plain(x), keep, *numbers)
    mask = random_mask(keep, *numbers, x.shape[1]).to(x.device)
    return x * _scale(mask, keep, x), mask


@_operator.register_fake
def _(x: Tensor, p: Tensor, key: Tensor, steps: list[Tensor]) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.shape), x.new_empty(x.shape, dtype=torch.bool)


@torch.library.custom_op("elman::dropout_backward", mutates_args=())
def _backward_operator(dy: Tensor, mask: Tensor, p: Tensor) -> Tensor:
    keep = 1 - p.item()
    return backward(plain(dy), mask, keep) if _fits(dy) else dy * _scale(mask, keep, dy)


@_backward_operator.register_fake
def _(dy: Tensor, mask: Tensor, p: Tensor) -> Tensor:
    return dy.new_empty(dy.shape)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    _, p, _, steps = inputs
    ctx.save_for_backward(output[1], p)
    ctx.none = None, None, [None] * len(steps)


def _differentiate(ctx: Any, dy: Tensor, _: Any) -> tuple[Any, ...]:
    mask, p = ctx.saved_tensors
    if torch.is_grad_enabled():  # create_graph=True
        return dy * _scale(mask, 1 - p.item(), dy), *ctx.none
    return _backward_operator(dy, mask, p), *ctx.none


_operator.register_autograd(_differentiate, setup_context=_setup_context)
