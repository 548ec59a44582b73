"""Cross-entropy of the next unit."""

import torch
import torch.nn.functional as F
from torch import Tensor

REDUCTIONS = ("mean", "sum")
CACHED = 1 << 17  # logits whose probabilities are in memory at the same time


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


def unit_cross_entropy(logits: Tensor, targets: Tensor, units: Tensor) -> Tensor:
    """Compute two costs of each step: of its target, and of the event that the next unit is one of `units`.

    Args:
        logits: [N, V].
        targets: [N] integers.
        units: [V] bool, the units of that event.
    Returns:
        [2, N], in nats: -log p(target), and -log of the sum of p over `units`.
    """
    size, weights = max(1, CACHED // logits.shape[1]), units.to(logits)
    if units.all():  # the event is certain
        cost = torch.cat([F.cross_entropy(*pair, reduction="none")
                          for pair in zip(logits.split(size), targets.split(size), strict=True)])  # fmt: skip
        return torch.stack([cost, torch.zeros_like(cost)])
    parts = []
    for part, target in zip(logits.split(size), targets.split(size), strict=True):
        probs = F.softmax(part, 1)
        normalizer = part.amax(1) - probs.amax(1).log()  # log of the sum of exp(logits)
        event = (probs @ weights).clamp_min(torch.finfo(probs.dtype).tiny)
        parts.append(torch.stack([normalizer - part.gather(1, target[:, None])[:, 0], -event.log()]))
    return torch.cat(parts, 1)
