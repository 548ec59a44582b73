"""Output layer and cross-entropy of the next unit in one function, a few steps at a time.

The logits of all steps are never in memory at once: with a vocabulary of thousands they would take most of the memory
of an update.
"""

from typing import Any

import torch
from torch import Tensor

from elman.kernels.softmax import softmax_gradient

LOGITS = 1 << 22  # logits in memory at once; smaller products are slower


def readout_loss(
    features: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, smoothing: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Compute `cross_entropy(features @ weight.T + bias, targets, label_smoothing=smoothing)`.

    Args:
        features: [N, E].
        weight, bias: parameters of the output layer, [V, E] and [V].
        targets: [N] integers.
        smoothing: fraction of the target's probability that is spread over all classes (Szegedy et al. 2016,
            arXiv:1512.00567); 0 for none.
    Returns:
        the mean loss, a scalar in nats, differentiable once; the log-probability of each target, [N], detached.
    """
    if torch.is_grad_enabled():
        return _Chunked.apply(features, weight, bias, targets, smoothing)
    losses, log_probs = [], []
    for part in chunks(len(features), len(weight)):
        log_softmax = torch.addmm(bias, features[part], weight.T).log_softmax(-1)
        log_probs.append(log_softmax.gather(1, targets[part, None])[:, 0])
        losses.append((1 - smoothing) * log_probs[-1] + smoothing * log_softmax.mean(-1))
    return -torch.cat(losses).mean(), torch.cat(log_probs)


class _Chunked(torch.autograd.Function):
    """Loss whose forward pass computes the gradient chunk by chunk; the backward pass only scales it."""

    @staticmethod
    def forward(
        ctx: Any, features: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, smoothing: float
    ) -> tuple[Tensor, Tensor]:
        count = len(features)
        dfeatures, dweight = torch.empty_like(features), torch.zeros_like(weight)
        dbias, log_probs = torch.zeros_like(bias), features.new_empty(count)
        loss = features.new_zeros(())
        for part in chunks(count, len(weight)):
            dscores = torch.addmm(bias, features[part], weight.T)
            losses, log_probs[part] = softmax_gradient(dscores, targets[part], smoothing)
            loss += losses.sum()
            torch.mm(dscores, weight, out=dfeatures[part])
            dweight.addmm_(dscores.T, features[part])
            dbias += dscores.sum(0)
        ctx.save_for_backward(dfeatures, dweight, dbias)
        ctx.count = count
        ctx.mark_non_differentiable(log_probs)
        return loss / count, log_probs

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dloss: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        scale = dloss / ctx.count
        wanted = zip(ctx.saved_tensors, ctx.needs_input_grad[:3], strict=True)
        return *(part * scale if needed else None for part, needed in wanted), None, None


def chunks(count: int, units: int) -> list[slice]:
    """Return slices of `count` steps whose logits for `units` classes fit in memory."""
    size = max(1, LOGITS // units)
    return [slice(start, start + size) for start in range(0, count, size)]
