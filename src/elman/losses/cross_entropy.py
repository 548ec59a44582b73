"""The negative log-probability of the next unit."""

import torch.nn.functional as F
from torch import Tensor

REDUCTIONS = ("mean", "sum")


def cross_entropy(logits: Tensor, targets: Tensor, reduction: str = "mean", streams: int = 1) -> Tensor:
    """The mean over the real steps of a window, or their sum divided by the streams (so that it does not depend on B).

    Args:
        logits: [N, V], not normalised.
        targets: [N] integers.
        reduction: `mean` or `sum`.
        streams: what a sum is divided by.
    Returns:
        A scalar, in nats.
    """
    if reduction not in REDUCTIONS:
        raise ValueError(f"cross_entropy: expected reduction to be one of {', '.join(REDUCTIONS)}, got {reduction!r}.")
    loss = F.cross_entropy(logits, targets, reduction=reduction)
    return loss / streams if reduction == "sum" else loss
