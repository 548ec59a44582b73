"""Affine map of the last k steps of a row at every step, as in networks with a delay line."""

from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from elman.kernels import transforms
from elman.kernels.linear import linear
from elman.rows import Rows
from elman.shapes import check

CHUNK = 1 << 19  # numbers of all windows in memory at once


class Line(NamedTuple):
    """Steps before a batch and of the batch, row after row; a window is k consecutive ones."""

    steps: Tensor  # [M, D] per row k - 1 earlier steps, then its own
    starts: Tensor  # [N] first step of the window of each step of the batch
    last: Tensor  # [B, k - 1, D] steps that precede the next batch


def line(x: Tensor, rows: Rows, past: Tensor) -> Line:
    """Lay out steps [N, D] behind the steps before each row, [B, k - 1, D]."""
    count, before, size = past.shape
    begins = rows.offsets[:-1] + before * np.arange(count)
    starts = rows.times + np.repeat(begins, rows.lengths)
    ends = (begins + rows.lengths)[:, None] + np.arange(before)
    steps = torch.cat([past.reshape(count * before, size), x])
    if count > 1:
        order = np.empty(len(steps), np.int64)
        order[begins[:, None] + np.arange(before)] = np.arange(count * before).reshape(count, before)
        order[starts + before] = count * before + np.arange(len(x))
        steps = steps.index_select(0, torch.from_numpy(order).to(x.device))
    last = steps.index_select(0, torch.from_numpy(ends.ravel()).to(x.device)).reshape(count, before, size)
    return Line(steps, torch.from_numpy(starts).to(x.device), last)


def reference(steps: Tensor, starts: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Compute y by its definition in PyTorch: any dtype and device, differentiable any number of times."""
    return F.linear(_windows(steps, starts, weight), weight, bias)


def _windows(steps: Tensor, starts: Tensor, weight: Tensor) -> Tensor:
    """Return the windows, [N, k * D], oldest step first."""
    width = weight.shape[1]
    taps = torch.arange(width // max(steps.shape[1], 1), device=starts.device)
    return steps[starts[:, None] + taps].reshape(len(starts), width)


class _InChunks(torch.autograd.Function):
    """Product of all windows, which are laid out chunk by chunk in both passes and never stored."""

    @staticmethod
    def forward(ctx: Any, steps: Tensor, starts: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(steps, starts, weight)
        y = [linear(_unfolded(steps, chunk, weight), weight, bias) for chunk in starts.split(_rows(weight))]
        return y[0] if len(y) == 1 else torch.cat(y)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, None, Tensor | None, Tensor | None]:
        steps, starts, weight = ctx.saved_tensors
        dsteps_wanted, _, dweight_wanted, dbias_wanted = ctx.needs_input_grad
        dbias = dy.sum(0) if dbias_wanted else None
        if torch.is_grad_enabled() or transforms.batched(dy):  # a graph or a batch of gradients
            places = starts[:, None] + torch.arange(weight.shape[1] // steps.shape[1], device=starts.device)
            folded = (dy @ weight).reshape(places.numel(), steps.shape[1])
            dsteps = torch.zeros_like(steps).index_add(0, places.ravel(), folded) if dsteps_wanted else None
            return dsteps, None, dy.T @ _windows(steps, starts, weight) if dweight_wanted else None, dbias
        dsteps = torch.zeros_like(steps) if dsteps_wanted else None
        dweight = torch.zeros_like(weight) if dweight_wanted else None
        for chunk, d in zip(starts.split(_rows(weight)), dy.split(_rows(weight)), strict=True):
            if dweight is not None:
                dweight.addmm_(d.T, _unfolded(steps, chunk, weight))
            if dsteps is not None:
                _fold(d @ weight, chunk, dsteps)
        return dsteps, None, dweight, dbias


def _rows(weight: Tensor) -> int:
    """Return the number of windows in a chunk."""
    return max(1, CHUNK // weight.shape[1])


def _unfolded(steps: Tensor, starts: Tensor, weight: Tensor) -> Tensor:
    """Return `_windows` by copying contiguous memory."""
    width, size = weight.shape[1], steps.shape[1]
    overlapping = steps.as_strided((len(steps) - width // size + 1, width), (size, 1), steps.storage_offset())
    return overlapping.index_select(0, starts)


def _fold(dwindows: Tensor, starts: Tensor, dsteps: Tensor) -> None:
    """Add the gradients of windows to those of their steps; `starts` ascends."""
    first, last = int(starts[0]), int(starts[-1])
    reach = last - first + 1
    if len(starts) < reach <= 2 * len(starts):  # a few gaps between rows: whole slices are still faster
        dwindows = dwindows.new_zeros(reach, dwindows.shape[1]).index_copy_(0, starts - first, dwindows)
    for tap, part in enumerate(dwindows.split(dsteps.shape[1], dim=1)):
        if len(part) == reach:
            dsteps[first + tap : last + tap + 1] += part
        else:
            dsteps.index_add_(0, starts + tap, part)


def window_linear(
    x: Tensor, rows: Any, past: Tensor, weight: Tensor, bias: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Compute y[t] = W [x[t-k+1], ..., x[t]] + b along every row; memory grows with N, not with N times k.

    Args:
        x: [N, D].
        rows: the layout, or the lengths of the rows, B integers that sum to N.
        past: the k - 1 steps before each row, [B, k - 1, D], latest last.
        weight: [H, k * D], oldest step first.
        bias: [H], or None.
    Returns:
        y [N, H], and the last k - 1 steps of each row, [B, k - 1, D], to pass as `past` of the next batch.
    Raises:
        ValueError: the shapes do not agree.
    Example:
        >>> y, last = window_linear(torch.arange(1.0, 5)[:, None], [3, 1], torch.zeros(2, 1, 1), torch.ones(1, 2))
        >>> y.flatten().tolist(), last.flatten().tolist()
        ([1.0, 3.0, 5.0, 4.0], [3.0, 4.0])
    """
    check("window_linear", "x", x, "N D")
    rows = Rows.of(rows, len(x), "window_linear")
    check("window_linear", "past", past, f"B={len(rows)} k-1 D={x.shape[1]}")
    check("window_linear", "weight", weight, f"H k*D={(past.shape[1] + 1) * x.shape[1]}")
    steps, starts, last = line(x, rows, past)
    if not len(starts) or not weight.numel() or transforms.active():
        return reference(steps, starts, weight, bias), last
    return _InChunks.apply(steps.contiguous(), starts, weight, bias), last
