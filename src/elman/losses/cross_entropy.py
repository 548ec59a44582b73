"""Cross-entropy of the next unit."""

import torch.nn.functional as F
from torch import Tensor

REDUCTIONS = ("mean", "sum")


def cross_entropy(logits: Tensor, targets: Tensor, reduction: str = "mean", streams: int = 1) -> Tensor:
    """Compute the cross-entropy of a window: the mean over its steps, or the sum divided by the number of streams.

    Args:
        logits: [N, V].
        targets: [N] integers.
        reduction: `mean` or `sum`.
        streams: divisor of a sum, so that the loss does not depend on the batch size.
    Returns:
        A scalar, in nats.
    Raises:
        ValueError: the reduction is unknown.
    """
    if reduction not in REDUCTIONS:
        raise ValueError(f"cross_entropy: expected reduction to be one of {', '.join(REDUCTIONS)}, got {reduction!r}.")
    loss = F.cross_entropy(logits, targets, reduction=reduction)
    return loss / streams if reduction == "sum" else loss
