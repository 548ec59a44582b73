"""Functions of probabilities and counts in NumPy, so that loading and predicting need no SciPy."""

import math

import numpy as np


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return the logarithm of the softmax over the last axis; -inf forbids, and each row allows at least one."""
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return the softmax over the last axis; -inf forbids, and each row allows at least one."""
    return np.exp(log_softmax(logits))


def xlogy(x: np.ndarray | float, y: np.ndarray) -> np.ndarray:
    """Return x log y, 0 where x is 0."""
    with np.errstate(divide="ignore"):
        return x * np.log(np.where(np.equal(x, 0), 1.0, y))


def log_factorial(counts: np.ndarray) -> np.ndarray:
    """Return log(n!) of counts of any shape; each different count is computed once."""
    different, places = np.unique(counts, return_inverse=True)
    logs = np.array([math.lgamma(count + 1) for count in different.tolist()])
    return logs[places].reshape(np.shape(counts))
