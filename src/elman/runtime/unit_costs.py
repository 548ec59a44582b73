"""Costs of the units of a text, from the logits of a language model."""

import numpy as np

from elman.kernels import native

CHUNK = 1 << 17  # logits whose probabilities are in memory at the same time


def unit_costs(logits: np.ndarray, targets: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Return two costs of each step: the cost of its target, and that of the event that the next unit is in `units`.

    The native kernel computes in float32, NumPy in float64.

    Args:
        logits: [N, V] float32, contiguous; overwritten.
        targets: [N] int64, from 0 to V - 1.
        units: [V] bool, the units of that event.
    Returns:
        [2, N] float64, in nats: -log p(target), and -log of the sum of p over `units`.
    """
    costs = np.zeros((2, len(targets)))
    if not native.available():
        _in_float64(logits, targets, units, costs)
    elif len(targets):
        losses, log_probs = np.empty((2, len(targets)), np.float32)
        native.module.softmax_gradient(logits, targets, 0.0, losses, log_probs)
        costs[0] = losses
        if not units.all():
            logits[np.arange(len(targets)), targets] = np.exp(log_probs)  # the gradient is p - 1 at the target
            costs[1] = _cost(logits @ units.astype(np.float32))
    return costs


def _in_float64(logits: np.ndarray, targets: np.ndarray, units: np.ndarray, costs: np.ndarray) -> None:
    size = max(1, CHUNK // logits.shape[1])
    for start in range(0, len(targets), size):
        steps = slice(start, start + size)
        scores = logits[steps].astype(np.float64)
        scores -= scores.max(1, keepdims=True)
        wanted = scores[np.arange(len(scores)), targets[steps]]
        probs = np.exp(scores, out=scores)
        sums = probs.sum(1)
        costs[0, steps] = np.log(sums) - wanted
        if not units.all():
            costs[1, steps] = _cost(probs @ units / sums)


def _cost(probability: np.ndarray) -> np.ndarray:
    """Return -log of a probability; the largest finite cost for 0."""
    cost: np.ndarray = -np.log(np.maximum(probability, np.finfo(probability.dtype).tiny))
    return cost
