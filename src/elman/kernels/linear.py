"""The affine map y = x W' + b of every step, each row as if it were alone: the read-out of a recurrent net, mostly."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from elman.kernels import autocast, native, transforms
from elman.kernels.memory import new


def reference(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The definition, in plain PyTorch: any dtype and device, differentiable as often as you like."""
    return F.linear(x, weight, bias)


def reference_backward(
    dy: Tensor, x: Tensor, weight: Tensor, wanted: Sequence[bool]
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """The gradients of x, the weight and the bias, those that are wanted."""
    dx_wanted, dweight_wanted, dbias_wanted = wanted
    return (
        dy @ weight if dx_wanted else None,
        dy.T @ x if dweight_wanted else None,
        dy.sum(0) if dbias_wanted else None,
    )


class _Native(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return forward(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        if torch.is_grad_enabled() or transforms.batched(dy):  # C++ leaves no graph, and sees one gradient
            return reference_backward(dy, x, weight, ctx.needs_input_grad)
        return backward(dy.contiguous(), x, weight, ctx.needs_input_grad)


def forward(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """y in C++."""
    (rows, inputs), outputs = x.shape, len(weight)
    y = new(rows, outputs)
    address = 0 if bias is None else bias.data_ptr()
    native.module.linear(rows, inputs, outputs, x.data_ptr(), weight.data_ptr(), address, y.data_ptr())
    return y


def backward(
    dy: Tensor, x: Tensor, weight: Tensor, wanted: Sequence[bool]
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """The gradients of x, the weight and the bias in C++, those that are wanted."""
    dx_wanted, dweight_wanted, dbias_wanted = wanted
    (rows, inputs), outputs = x.shape, len(weight)
    dx = new(rows, inputs) if dx_wanted else None
    dweight = new(outputs, inputs) if dweight_wanted or dbias_wanted else None
    dbias = dy.new_empty(outputs) if dbias_wanted else None
    places = [0 if d is None else d.data_ptr() for d in (dx, dweight, dbias)]
    native.module.linear_backward(rows, inputs, outputs, x.data_ptr(), weight.data_ptr(), dy.data_ptr(), *places)
    return dx, dweight if dweight_wanted else None, dbias


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y = x W' + b: native where it applies, else the reference.

    Args:
        x: [N, D].
        weight: [O, D].
        bias: [O], or None.
    Returns:
        y [N, O]; in C++ (float32, CPU) a row of it is the same to the bit, whatever rows stand beside it.
    Raises:
        RuntimeError: the shapes or types do not agree, as PyTorch says it.
    """
    x = autocast.taken(x, weight.dtype)
    arrays = [x, weight] if bias is None else [x, weight, bias]
    fits = (
        x.ndim == weight.ndim == 2
        and x.shape[1] == weight.shape[1]
        and weight.numel() > 0
        and (bias is None or bias.shape == weight.shape[:1])
    )
    if torch.compiler.is_compiling():
        from elman.kernels import registered

        fits = fits and native.available() and all(a.dtype == torch.float32 and a.device.type == "cpu" for a in arrays)
        return registered.linear(x, weight, bias) if fits else reference(x, weight, bias)
    fits = fits and native.available() and not transforms.active()
    if fits and all(a.dtype == torch.float32 and a.device.type == "cpu" for a in arrays):
        return _Native.apply(x.contiguous(), weight.contiguous(), None if bias is None else bias.contiguous())
    with autocast.off():
        return reference(x, weight, bias)
