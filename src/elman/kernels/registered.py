"""What `torch.compile` and `torch.export` see of the kernels: one operator each, opaque, and one for its way back.

An operator takes tensors and numbers, and runs what eager calls run. Outside of a compiler nothing here is called: an
`autograd.Function` costs half as much as an operator. That of recurrences is in `registered_scan.py`.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from elman.arrays import tensor
from elman.kernels import linear as linears
from elman.kernels import linear_scan as linear_scans
from elman.kernels import masks, native, softmax
from elman.kernels.dropout import dropped, masked
from elman.rows import Rows


def lengths_of(rows: Any) -> Tensor:
    """Return the lengths of a layout as an operator's argument, [B] int64."""
    return tensor(Rows.of(rows).lengths)


def numbers(key: masks.Key, steps: masks.Steps) -> tuple[Tensor, list[Tensor]]:
    """What a mask is drawn from, as the operators take it."""
    parts = [part if isinstance(part, Tensor) else torch.tensor([part]) for part in key]
    empty = torch.empty(0, dtype=torch.int64)
    return torch.cat(parts) if parts else empty, [torch.from_numpy(part) for part in steps]


def chosen(read: Sequence[Tensor], wanted: Sequence[bool]) -> list[Tensor]:
    """Fake gradients of what is wanted."""
    return [leaf.new_empty(leaf.shape) for leaf, needed in zip(read, wanted, strict=True) if needed]


def filled(found: Sequence[Tensor], wanted: Sequence[bool]) -> list[Tensor | None]:
    """What was found in the places of what was wanted."""
    rest = iter(found)
    return [next(rest) if needed else None for needed in wanted]


# The linear map.


@torch.library.custom_op("elman::linear", mutates_args=())
def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """`linear` in C++: float32 on the CPU."""
    return linears.forward(x.contiguous(), weight.contiguous(), None if bias is None else bias.contiguous())


@linear.register_fake
def _(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return x.new_empty(x.shape[0], weight.shape[0])


@torch.library.custom_op("elman::linear_backward", mutates_args=())
def _linear_backward(dy: Tensor, x: Tensor, weight: Tensor, wanted: list[bool]) -> list[Tensor]:
    """The gradients of x, the weight and the bias, those that are wanted."""
    found = linears.backward(dy.contiguous(), x.contiguous(), weight.contiguous(), wanted)
    return [gradient for gradient in found if gradient is not None]


@_linear_backward.register_fake
def _(dy: Tensor, x: Tensor, weight: Tensor, wanted: list[bool]) -> list[Tensor]:
    return chosen((x, weight, weight[:, 0]), wanted)


def _linear_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:2])


def _linear_way_back(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
    x, weight = ctx.saved_tensors
    if torch.is_grad_enabled():  # a graph of the gradient is wanted
        return linears.reference_backward(dy, x, weight, ctx.needs_input_grad)
    wanted = list(ctx.needs_input_grad)
    return tuple(filled(_linear_backward(dy, x, weight, wanted), wanted))


linear.register_autograd(_linear_way_back, setup_context=_linear_setup)


# The linear recurrence.


@torch.library.custom_op("elman::linear_scan", mutates_args=())
def linear_scan(a: Tensor, x: Tensor, h0: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """`linear_scan` of any type and on any device."""
    with torch.no_grad():
        h, last = linear_scans.linear_scan(a, x, Rows(lengths), h0)
    return h.clone() if h is x else h, last.clone() if last is h0 else last


@linear_scan.register_fake
def _(a: Tensor, x: Tensor, h0: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.shape), h0.new_empty(h0.shape)


@torch.library.custom_op("elman::linear_scan_backward", mutates_args=())
def _linear_scan_backward(
    dh: Tensor, dlast: Tensor, a: Tensor, h: Tensor, h0: Tensor, lengths: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of a, x and h0."""
    rows = Rows(lengths, len(a))
    with torch.no_grad():
        if linear_scans.applies(a, h, h0):
            return linear_scans.backward(dh, dlast, a.contiguous(), h.contiguous(), h0.contiguous(), rows)
        da, dx, dh0 = linear_scans.reference_backward(a, h, rows, h0, dh, dlast)
        return da.clone(), dx.clone(), dh0.clone()


@_linear_scan_backward.register_fake
def _(dh: Tensor, dlast: Tensor, a: Tensor, h: Tensor, h0: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return a.new_empty(a.shape), a.new_empty(a.shape), h0.new_empty(h0.shape)


def _linear_scan_setup(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, Tensor]) -> None:
    a, _, h0, lengths = inputs
    ctx.save_for_backward(a, output[0], h0, lengths)


def _linear_scan_way_back(ctx: Any, dh: Tensor, dlast: Tensor) -> tuple[Tensor | None, ...]:
    a, h, h0, lengths = ctx.saved_tensors
    if torch.is_grad_enabled():  # a graph of the gradient is wanted
        return *linear_scans.reference_backward(a, h, Rows(lengths), h0, dh, dlast), None
    return *_linear_scan_backward(dh, dlast, a, h, h0, lengths), None


linear_scan.register_autograd(_linear_scan_way_back, setup_context=_linear_scan_setup)


# Masks.


@torch.library.custom_op("elman::keep_mask", mutates_args=())
def keep_mask(probability: float, key: Tensor, steps: list[Tensor], units: int) -> Tensor:
    """`masks.keep_mask` as a tensor; the key is one as well, so that another one is no other program."""
    drawn = masks.keep_mask(probability, tuple(key.tolist()), tuple(part.numpy() for part in steps), units)
    return torch.from_numpy(drawn)


@keep_mask.register_fake
def _(probability: float, key: Tensor, steps: list[Tensor], units: int) -> Tensor:
    return key.new_empty(steps[0].shape[0], units, dtype=torch.bool)


@torch.library.custom_op("elman::dropout", mutates_args=())
def dropout(x: Tensor, p: Tensor, key: Tensor, steps: list[Tensor]) -> tuple[Tensor, Tensor]:
    """x / (1 - p) where the mask is true, else 0; the mask. In one pass where C++ applies."""
    keep, numbers = 1 - p.item(), (tuple(key.tolist()), tuple(part.numpy() for part in steps))
    if native.available() and x.dtype is torch.float32 and x.device.type == "cpu":
        return dropped(x.contiguous(), keep, *numbers)
    mask = torch.from_numpy(masks.keep_mask(keep, *numbers, x.shape[1])).to(x.device)
    return x * (mask.to(x.dtype) / keep), mask


@dropout.register_fake
def _(x: Tensor, p: Tensor, key: Tensor, steps: list[Tensor]) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.shape), x.new_empty(x.shape, dtype=torch.bool)


@torch.library.custom_op("elman::dropout_backward", mutates_args=())
def _dropout_backward(dy: Tensor, mask: Tensor, p: Tensor) -> Tensor:
    if native.available() and dy.dtype is torch.float32 and dy.device.type == "cpu":
        return masked(dy.contiguous(), mask, 1 - p.item())
    return dy * (mask.to(dy.dtype) / (1 - p.item()))


@_dropout_backward.register_fake
def _(dy: Tensor, mask: Tensor, p: Tensor) -> Tensor:
    return dy.new_empty(dy.shape)


def _dropout_setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    _, p, _, steps = inputs
    ctx.save_for_backward(output[1], p)
    ctx.none = None, None, [None] * len(steps)


def _dropout_way_back(ctx: Any, dy: Tensor, _: Any) -> tuple[Any, ...]:
    mask, p = ctx.saved_tensors
    if torch.is_grad_enabled():  # a graph of the gradient is wanted
        return dy * (mask.to(dy.dtype) / (1 - p.item())), *ctx.none
    return _dropout_backward(dy, mask, p), *ctx.none


dropout.register_autograd(_dropout_way_back, setup_context=_dropout_setup)


# The softmax.


@torch.library.custom_op("elman::softmax_gradient", mutates_args=("scores",))
def softmax_gradient(scores: Tensor, targets: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
    """`softmax.softmax_gradient`, which writes over the scores."""
    return softmax.softmax_gradient(scores, targets, smoothing)


@softmax_gradient.register_fake
def _(scores: Tensor, targets: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
    return scores.new_empty(scores.shape[:1]), scores.new_empty(scores.shape[:1])
