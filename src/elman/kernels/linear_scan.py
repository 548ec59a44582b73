"""The linear recurrence h[t] = a[t] * h[t-1] + x[t]: the scan that all cells linear in their state share."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from elman.cell import unroll
from elman.kernels import native, transforms
from elman.rows import Rows
from elman.sequences import Sequences
from elman.shapes import check


def reference(a: Tensor, x: Tensor, rows: Any, h0: Tensor) -> tuple[Tensor, Tensor]:
    """The definition, in plain PyTorch: any dtype and device, differentiable as often as you like."""

    def step(inputs: tuple[Tensor, Tensor], h: Tensor) -> tuple[Tensor, Tensor]:
        a, x = inputs
        h = a * h + x
        return h, h

    h, last = unroll(step, Sequences((a, x), rows), h0)
    return h.values, last


def reference_backward(
    a: Tensor, h: Tensor, rows: Rows, h0: Tensor, dh: Tensor, dlast: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of a, x and h0: the same scan reversed, e[t] = dh[t] + a[t+1] * e[t+1]."""
    sequences = Sequences((a, dh, before(h, rows, h0)), rows)

    def step(inputs: tuple[Tensor, Tensor, Tensor], carry: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor]:
        a, dh, before = inputs
        e = dh + carry
        return (e * before, e), a * e

    gradients, dh0 = unroll(step, sequences.reverse(), dlast)
    da, dx = gradients.reverse().values
    return da, dx, dh0


def before(h: Tensor, rows: Rows, h0: Tensor) -> Tensor:
    """h[t-1] for every step: [N, H]."""
    index = np.where(rows.times == 0, rows.rows, len(rows) - 1 + np.arange(rows.num_steps))
    return torch.cat([h0, h]).index_select(0, torch.from_numpy(index).to(h.device))


class _Native(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, x: Tensor, h0: Tensor, rows: Rows) -> tuple[Tensor, Tensor]:
        h, last = torch.empty_like(x), torch.empty_like(h0)
        native.module.linear_scan(a.detach(), x.detach(), rows.offsets, h0.detach(), h, last)
        ctx.save_for_backward(a, h, h0)
        ctx.rows = rows
        return h, last

    @staticmethod
    def backward(ctx: Any, dh: Tensor, dlast: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        a, h, h0 = ctx.saved_tensors
        if torch.is_grad_enabled():  # a graph of the gradient is wanted too, and C++ leaves none
            return *reference_backward(a, h, ctx.rows, h0, dh, dlast), None
        return *backward(dh, dlast, a, h, h0, ctx.rows), None


def backward(dh: Tensor, dlast: Tensor, a: Tensor, h: Tensor, h0: Tensor, rows: Rows) -> tuple[Tensor, Tensor, Tensor]:
    """`reference_backward` in C++."""
    da, dx, dh0 = torch.empty_like(a), torch.empty_like(a), torch.empty_like(h0)
    native.module.linear_scan_backward(a, h, rows.offsets, h0, dh.contiguous(), dlast.contiguous(), da, dx, dh0)
    return da, dx, dh0


def applies(*arrays: Tensor) -> bool:
    """Whether C++ answers: float32 on the CPU."""
    plain = all(array.device.type == "cpu" and array.dtype == torch.float32 for array in arrays)
    return native.available() and not transforms.active() and plain


def linear_scan(a: Tensor, x: Tensor, rows: Any, h0: Tensor) -> tuple[Tensor, Tensor]:
    """h[t] = a[t] * h[t-1] + x[t] along every row of a ragged batch: native where it applies, else the reference.

    Args:
        a: what is kept of the state, [N, H].
        x: what is written to it, [N, H].
        rows: the layout, or the lengths of the rows, B integers that sum to N.
        h0: the state before the first step, [B, H].
    Returns:
        h [N, H], and the last h of each row [B, H]: h0 where a row is empty.
    Raises:
        ValueError: the shapes do not agree.
        TypeError: the types do not agree.
    Example:
        >>> h, last = linear_scan(torch.full((3, 1), 0.5), torch.ones(3, 1), [2, 1], torch.zeros(2, 1))
        >>> h.flatten().tolist(), last.flatten().tolist()
        ([1.0, 1.5, 1.0], [1.5, 1.0])
    """
    if torch.compiler.is_compiling():
        from elman.kernels import registered

        return registered.linear_scan(a, x, h0, registered.lengths_of(rows))
    check("linear_scan", "a", a, "N H")
    check("linear_scan", "x", x, f"N={a.shape[0]} H={a.shape[1]}")
    rows = Rows.of(rows, len(a), "linear_scan")
    check("linear_scan", "h0", h0, f"B={len(rows)} H={a.shape[1]}")
    if not a.dtype == x.dtype == h0.dtype:
        raise TypeError(f"linear_scan: expected a, x and h0 of one type, got {a.dtype}, {x.dtype} and {h0.dtype}.")
    if applies(a, x, h0):
        return _Native.apply(a.contiguous(), x.contiguous(), h0.contiguous(), rows)
    return reference(a, x, rows, h0)
