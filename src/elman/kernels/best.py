"""Top k of many scores with their log-probabilities, for the steps of a beam search."""

import numpy as np

from elman.arrays import Array, is_tensor, namespace
from elman.kernels import native
from elman.shapes import check

_FEW = 256  # for more, sorting is faster


def reference(scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Compute `best` by its definition, in float64."""
    scores = scores.astype(np.float64)
    ids = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    largest = scores.max(1, initial=-np.inf, keepdims=True)
    shift = np.where(np.isneginf(largest), 0, largest)
    with np.errstate(divide="ignore", invalid="ignore"):
        total = shift + np.log(np.exp(scores - shift).sum(1, keepdims=True))
    found = np.take_along_axis(scores, ids, 1)
    return ids, found - np.where(np.isneginf(total), 0, total)


def best(scores: Array, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the k largest scores of every row and their log-probabilities.

    The native kernel runs where it applies, else the reference.

    Args:
        scores: [R, V], a NumPy array or a tensor: logits or log-probabilities; -inf is impossible.
        k: from 0 to V.
    Returns:
        ids [R, k] int64, best first, ties by id; and log_probs [R, k] float64: the score minus its row's logsumexp.
        NaN in a row makes its log-probabilities NaN.
    Raises:
        ValueError: scores are not [R, V], or k is out of range.
    Example:
        >>> ids, log_probs = best(np.log([[0.1, 0.6, 0.3]]), 2)
        >>> ids.tolist(), np.exp(log_probs).round(3).tolist()
        ([[1, 2]], [[0.6, 0.3]])
    """
    check("best", "scores", scores, "R V")
    if not 0 <= k <= scores.shape[1]:
        raise ValueError(f"best: expected k from 0 to V={scores.shape[1]}, got {k}.")
    array = _array(scores)
    if not (hasattr(native.module, "best") and array.dtype == np.float32 and array.flags.c_contiguous and k <= _FEW):
        return reference(array, k)
    ids, log_probs = np.empty((len(array), k), np.int64), np.empty((len(array), k))
    native.module.best(array, ids, log_probs)
    return ids, log_probs


def _array(scores: Array) -> np.ndarray:
    """Return a tensor as a NumPy array, without a copy where possible."""
    if not is_tensor(scores):
        return scores
    scores = scores.detach().cpu()
    return (scores.float() if scores.dtype == namespace(scores).bfloat16 else scores).numpy()
