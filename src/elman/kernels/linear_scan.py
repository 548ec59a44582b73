"""Linear recurrence h[t] = a[t] * h[t-1] + x[t]: the scan of every cell that is linear in its state."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from elman.cell import unroll
from elman.kernels import native, transforms
from elman.kernels.memory import plain
from elman.kernels.operators import lengths_of
from elman.rows import Rows
from elman.sequences import Sequences
from elman.shapes import check


def reference(a: Tensor, x: Tensor, rows: Any, h0: Tensor) -> tuple[Tensor, Tensor]:
    """Compute `linear_scan` by its definition in PyTorch: any dtype and device, differentiable any number of times."""

    def step(inputs: tuple[Tensor, Tensor], h: Tensor) -> tuple[Tensor, Tensor]:
        a, x = inputs
        h = a * h + x
        return h, h

    h, last = unroll(step, Sequences((a, x), rows), h0)
    return h.values, last


def reference_backward(
    a: Tensor, h: Tensor, rows: Rows, h0: Tensor, dh: Tensor, dlast: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the gradients of a, x and h0: the same scan in reverse, e[t] = dh[t] + a[t+1] * e[t+1]."""
    sequences = Sequences((a, dh, previous(h, rows, h0)), rows)

    def step(inputs: tuple[Tensor, Tensor, Tensor], carry: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor]:
        a, dh, h_before = inputs
        e = dh + carry
        return (e * h_before, e), a * e

    gradients, dh0 = unroll(step, sequences.reverse(), dlast)
    da, dx = gradients.reverse().values
    return da, dx, dh0


def previous(h: Tensor, rows: Rows, h0: Tensor) -> Tensor:
    """Return h[t-1] for every step, [N, H]."""
    index = np.where(rows.times == 0, rows.rows, len(rows) - 1 + np.arange(rows.num_steps))
    return torch.cat([h0, h]).index_select(0, torch.from_numpy(index).to(h.device))


def forward(a: Tensor, x: Tensor, rows: Rows, h0: Tensor) -> tuple[Tensor, Tensor]:
    """Compute `linear_scan` with the native kernel."""
    h, last = torch.empty_like(x), torch.empty_like(h0)
    native.module.linear_scan(a.detach(), x.detach(), rows.native_offsets, h0.detach(), h, last)
    return h, last


def backward(a: Tensor, h: Tensor, rows: Rows, h0: Tensor, dh: Tensor, dlast: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Compute `reference_backward` with the native kernel."""
    da, dx, dh0 = torch.empty_like(a), torch.empty_like(a), torch.empty_like(h0)
    native.module.linear_scan_backward(a, h, rows.native_offsets, h0, plain(dh), plain(dlast), da, dx, dh0)
    return da, dx, dh0


class _Native(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, x: Tensor, h0: Tensor, rows: Rows) -> tuple[Tensor, Tensor]:
        h, last = forward(a, x, rows, h0)
        ctx.save_for_backward(a, h, h0)
        ctx.rows = rows
        return h, last

    @staticmethod
    def backward(ctx: Any, dh: Tensor, dlast: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        a, h, h0 = ctx.saved_tensors
        if torch.is_grad_enabled() or transforms.batched(
            dh, dlast
        ):  # native kernels build no graph and take one gradient
            return *reference_backward(a, h, ctx.rows, h0, dh, dlast), None
        return *backward(a, h, ctx.rows, h0, dh, dlast), None


def applies(*arrays: Tensor) -> bool:
    """Return whether the native kernel computes these: float32 on the CPU."""
    fits = all(array.device.type == "cpu" and array.dtype == torch.float32 for array in arrays)
    return native.available() and not transforms.active() and fits


def linear_scan(a: Tensor, x: Tensor, rows: Any, h0: Tensor) -> tuple[Tensor, Tensor]:
    """Compute h[t] = a[t] * h[t-1] + x[t] along every row: native where it applies, else the reference.

    Args:
        a: the fraction of the state that is kept, [N, H].
        x: the input that is added to it, [N, H].
        rows: the layout, or the lengths of the rows, B integers that sum to N.
        h0: the state before the first step, [B, H].
    Returns:
        h [N, H], and the last h of each row [B, H]: h0 if a row is empty.
    Raises:
        ValueError: the shapes do not agree.
        TypeError: the types do not agree.
    Example:
        >>> h, last = linear_scan(torch.full((3, 1), 0.5), torch.ones(3, 1), [2, 1], torch.zeros(2, 1))
        >>> h.flatten().tolist(), last.flatten().tolist()
        ([1.0, 1.5, 1.0], [1.5, 1.0])
    """
    if torch.compiler.is_compiling():
        return _operator(a, x, h0, lengths_of(rows))
    check("linear_scan", "a", a, "N H")
    check("linear_scan", "x", x, f"N={a.shape[0]} H={a.shape[1]}")
    rows = Rows.of(rows, len(a), "linear_scan")
    check("linear_scan", "h0", h0, f"B={len(rows)} H={a.shape[1]}")
    if not a.dtype == x.dtype == h0.dtype:
        raise TypeError(f"linear_scan: expected a, x and h0 of one type, got {a.dtype}, {x.dtype} and {h0.dtype}.")
    if applies(a, x, h0):
        return _Native.apply(plain(a), plain(x), plain(h0), rows)
    return reference(a, x, rows, h0)


# The operator for compilers.


@torch.library.custom_op("elman::linear_scan", mutates_args=())
def _operator(a: Tensor, x: Tensor, h0: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        h, last = linear_scan(a, x, lengths, h0)
    return h.clone() if h is x else h, last.clone() if last is h0 else last


@_operator.register_fake
def _(a: Tensor, x: Tensor, h0: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.shape), h0.new_empty(h0.shape)


@torch.library.custom_op("elman::linear_scan_backward", mutates_args=())
def _backward_operator(
    a: Tensor, h: Tensor, lengths: Tensor, h0: Tensor, dh: Tensor, dlast: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    rows = Rows(lengths, len(a), "linear_scan")
    with torch.no_grad():
        if applies(a, h, h0):
            return backward(plain(a), plain(h), rows, plain(h0), dh, dlast)
        da, dx, dh0 = reference_backward(a, h, rows, h0, dh, dlast)
        return da.clone(), dx.clone(), dh0.clone()


@_backward_operator.register_fake
def _(a: Tensor, h: Tensor, lengths: Tensor, h0: Tensor, dh: Tensor, dlast: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return a.new_empty(a.shape), a.new_empty(a.shape), h0.new_empty(h0.shape)


def _setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, Tensor]) -> None:
    a, _, h0, lengths = inputs
    ctx.save_for_backward(a, output[0], lengths, h0)


def _differentiate(ctx: Any, dh: Tensor, dlast: Tensor) -> tuple[Tensor | None, ...]:
    a, h, lengths, h0 = ctx.saved_tensors
    if torch.is_grad_enabled():  # create_graph=True
        return *reference_backward(a, h, Rows(lengths), h0, dh, dlast), None
    return *_backward_operator(a, h, lengths, h0, dh, dlast), None


_operator.register_autograd(_differentiate, setup_context=_setup_context)
