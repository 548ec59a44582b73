"""Affine map y = x W' + b of every step, such as the output layer of a network, with the same bits in any batch."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from elman.kernels import autocast, native, transforms
from elman.kernels.memory import address, new, plain
from elman.kernels.operators import at_wanted, empty_gradients


def reference(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Compute y by its definition in PyTorch: any dtype and device, differentiable any number of times."""
    return F.linear(x, weight, bias)


def reference_backward(
    dy: Tensor, x: Tensor, weight: Tensor, wanted: Sequence[bool]
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Compute the gradients of x, the weight and the bias, where they are needed."""
    dx_wanted, dweight_wanted, dbias_wanted = wanted
    return (
        dy @ weight if dx_wanted else None,
        dy.T @ x if dweight_wanted else None,
        dy.sum(0) if dbias_wanted else None,
    )


def forward(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Compute y with the native kernel."""
    (rows, inputs), outputs = x.shape, len(weight)
    y = new(rows, outputs)
    native.module.linear(rows, inputs, outputs, *map(address, (x, weight, bias, y)))
    return y


def backward(
    dy: Tensor, x: Tensor, weight: Tensor, wanted: Sequence[bool]
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Compute the gradients of x, the weight and the bias with the native kernel, where they are needed."""
    dx_wanted, dweight_wanted, dbias_wanted = wanted
    (rows, inputs), outputs = x.shape, len(weight)
    dx = new(rows, inputs) if dx_wanted else None
    dweight = new(outputs, inputs) if dweight_wanted or dbias_wanted else None
    dbias = dy.new_empty(outputs) if dbias_wanted else None
    native.module.linear_backward(rows, inputs, outputs, *map(address, (x, weight, dy, dx, dweight, dbias)))
    return dx, dweight if dweight_wanted else None, dbias


class _Native(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return forward(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        if torch.is_grad_enabled() or transforms.batched(dy):  # native kernels build no graph and take one gradient
            return reference_backward(dy, x, weight, ctx.needs_input_grad)
        return backward(plain(dy), x, weight, ctx.needs_input_grad)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Compute y = x W' + b: native where it applies, else the reference.

    Args:
        x: [N, D].
        weight: [O, D].
        bias: [O], or None.
    Returns:
        y [N, O]. The native kernel (float32, CPU) computes each row bitwise the same in any batch.
    Raises:
        RuntimeError: the shapes or types do not agree (PyTorch's message).
    """
    x = autocast.cast_input(x, weight.dtype)
    arrays = [x, weight] if bias is None else [x, weight, bias]
    fits = (
        x.ndim == weight.ndim == 2
        and x.shape[1] == weight.shape[1]
        and weight.numel() > 0
        and (bias is None or bias.shape == weight.shape[:1])
    )
    if torch.compiler.is_compiling():
        fits = fits and native.available() and all(a.dtype == torch.float32 and a.device.type == "cpu" for a in arrays)
        return _operator(x, weight, bias) if fits else reference(x, weight, bias)
    fits = fits and native.available() and not transforms.active()
    if fits and all(a.dtype == torch.float32 and a.device.type == "cpu" for a in arrays):
        return _Native.apply(plain(x), plain(weight), None if bias is None else plain(bias))
    with autocast.off():
        return reference(x, weight, bias)


# The operator for compilers.


@torch.library.custom_op("elman::linear", mutates_args=())
def _operator(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    if not native.available():
        return reference(x, weight, bias)
    return forward(plain(x), plain(weight), None if bias is None else plain(bias))


@_operator.register_fake
def _(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return x.new_empty(x.shape[0], weight.shape[0])


@torch.library.custom_op("elman::linear_backward", mutates_args=())
def _backward_operator(dy: Tensor, x: Tensor, weight: Tensor, wanted: list[bool]) -> list[Tensor]:
    compute = backward if native.available() else reference_backward
    found = compute(plain(dy), plain(x), plain(weight), wanted)
    return [gradient for gradient in found if gradient is not None]


@_backward_operator.register_fake
def _(dy: Tensor, x: Tensor, weight: Tensor, wanted: list[bool]) -> list[Tensor]:
    return empty_gradients((x, weight, weight[:, 0]), wanted)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:2])


def _differentiate(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
    x, weight = ctx.saved_tensors
    if torch.is_grad_enabled():  # create_graph=True
        return reference_backward(dy, x, weight, ctx.needs_input_grad)
    wanted = list(ctx.needs_input_grad)
    return tuple(at_wanted(_backward_operator(dy, x, weight, wanted), wanted))


_operator.register_autograd(_differentiate, setup_context=_setup_context)
