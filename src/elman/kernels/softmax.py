"""Softmax cross-entropy and its gradient in one pass: with thousands of classes it is a large part of an update."""

import torch
from torch import Tensor

from elman.kernels import native
from elman.kernels.memory import plain


def reference(logits: Tensor, targets: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
    """Compute `softmax_gradient` by its definition."""
    log_softmax, wanted = logits.log_softmax(-1), targets[:, None]
    log_probs = log_softmax.gather(1, wanted)[:, 0]
    losses = -(1 - smoothing) * log_probs
    if smoothing:
        losses -= smoothing * log_softmax.mean(-1)
    torch.exp(log_softmax, out=logits)
    logits -= smoothing / logits.shape[1]
    logits.scatter_add_(1, wanted, logits.new_full(wanted.shape, smoothing - 1))
    return losses, log_probs


def softmax_gradient(logits: Tensor, targets: Tensor, smoothing: float = 0.0) -> tuple[Tensor, Tensor]:
    """Compute the cross-entropy of each row, and overwrite the logits with its gradient with respect to them.

    The native kernel runs where it applies, else the reference.

    Args:
        logits: [R, V], contiguous; overwritten.
        targets: [R] integers in [0, V).
        smoothing: fraction of the target's probability that is spread over all classes.
    Returns:
        the losses and the log-probabilities of the targets, [R] each.
    Raises:
        IndexError: a target is outside [0, V).
    """
    if torch.compiler.is_compiling():
        return _operator(logits, targets, smoothing)
    rows, classes = logits.shape
    fits = logits.dtype is torch.float32 and logits.is_cpu and logits.is_contiguous() and not logits.is_neg()
    if not (native.available() and fits and rows and classes):
        return reference(logits, targets, smoothing)
    if not 0 <= int(targets.min()) <= int(targets.max()) < classes:
        raise IndexError(f"softmax_gradient: expected targets from 0 to {classes - 1}, got {int(targets.min())} to "
                         f"{int(targets.max())}.")  # fmt: skip
    losses, log_probs = logits.new_empty(rows), logits.new_empty(rows)
    arrays = plain(targets).numpy(), losses.numpy(), log_probs.numpy()
    native.module.softmax_gradient(logits.numpy(), arrays[0], smoothing, *arrays[1:])
    return losses, log_probs


# The operator for compilers.


@torch.library.custom_op("elman::softmax_gradient", mutates_args=("logits",))
def _operator(logits: Tensor, targets: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
    return softmax_gradient(logits, targets, smoothing)


@_operator.register_fake
def _(logits: Tensor, targets: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
    return logits.new_empty(logits.shape[:1]), logits.new_empty(logits.shape[:1])
