"""The loss of a softmax and its gradient in one pass: over thousands of units it is a good part of an update."""

import torch
from torch import Tensor

from elman.kernels import native


def reference(scores: Tensor, targets: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
    """The definition of `softmax_gradient`."""
    log_softmax, wanted = scores.log_softmax(-1), targets[:, None]
    log_probs = log_softmax.gather(1, wanted)[:, 0]
    losses = -(1 - smoothing) * log_probs
    if smoothing:
        losses -= smoothing * log_softmax.mean(-1)
    torch.exp(log_softmax, out=scores)
    scores -= smoothing / scores.shape[1]
    scores.scatter_add_(1, wanted, scores.new_full(wanted.shape, smoothing - 1))
    return losses, log_probs


def softmax_gradient(scores: Tensor, targets: Tensor, smoothing: float = 0.0) -> tuple[Tensor, Tensor]:
    """The cross-entropy of each row; in place of the scores, its gradient with respect to them.

    Native where it applies, else the reference.

    Args:
        scores: [R, V] logits, without gaps; overwritten.
        targets: [R] integers in [0, V).
        smoothing: the part of the target's probability that is spread over all units.
    Returns:
        the losses and the log-probabilities of the targets, [R] each.
    """
    if torch.compiler.is_compiling():
        from elman.kernels import registered

        return registered.softmax_gradient(scores, targets, smoothing)
    rows, units = scores.shape
    plain = scores.dtype is torch.float32 and scores.is_cpu and scores.is_contiguous()
    if not (native.available() and plain and rows and units):
        return reference(scores, targets, smoothing)
    if not 0 <= int(targets.min()) <= int(targets.max()) < units:
        raise IndexError(f"softmax_gradient: expected targets from 0 to {units - 1}, got {int(targets.min())} to "
                         f"{int(targets.max())}.")  # fmt: skip
    losses, log_probs = scores.new_empty(rows), scores.new_empty(rows)
    arrays = targets.contiguous().numpy(), losses.numpy(), log_probs.numpy()
    native.module.softmax_gradient(scores.numpy(), arrays[0], smoothing, *arrays[1:])
    return losses, log_probs
