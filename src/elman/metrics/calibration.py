"""Calibration of probabilities: its error, and temperature scaling (Guo et al. 2017, arXiv:1706.04599)."""

import math
from typing import Any

import numpy as np

from elman.arrays import as_array
from elman.errors import RowError
from elman.shapes import check

RANGE = (0.05, 20.0)  # allowed temperatures
HALVINGS = 30  # bisections of the range of log T, to less than 1e-8 of it


def temperature(logits: Any, targets: Any) -> float:
    """Return the temperature T that minimises the negative log-likelihood of the targets under softmax(logits / T).

    log(T)^2 / 2 is added to the summed negative log-likelihood. This prior has little weight for a hundred rows. For a
    few rows that are all classified correctly, it prevents certainty, which the next error would make very costly.

    Args:
        logits: [B, C], of rows that the network was not trained on.
        targets: [B] int, true classes, from 0 to C - 1.
    Returns:
        T, between 0.05 (sharper than the logits) and 20 (flatter).
    Raises:
        ValueError: shapes do not agree, there are no rows, a logit is not finite, or a target is out of range.
    Example:
        >>> temperature([[9.0, 0.0]] * 10, [0] * 9 + [1]) > 1  # nine of ten are correct: flatter than the logits
        True
    """
    logits, targets = _pair("temperature", "logits", logits, targets)
    if targets.min() < 0:
        raise ValueError(f"temperature: expected targets from 0 to {logits.shape[1] - 1}, got {targets.min()}.")
    logits = logits - logits.max(1, keepdims=True)
    sum_of_true = np.take_along_axis(logits, targets[:, None], 1).sum()

    def slope(log_temperature: float) -> float:
        """Return the derivative with respect to log T."""
        scale = math.exp(-log_temperature)
        weights = np.exp(logits * scale)
        expected = ((weights * logits).sum(1) / weights.sum(1)).sum()
        return scale * (sum_of_true - expected) + log_temperature

    low, high = map(math.log, RANGE)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if slope(middle) > 0 else (middle, high)
    return math.exp((low + high) / 2)


def calibration_error(probabilities: Any, targets: Any, bins: int = 15) -> float:
    """Return the expected calibration error: the mean gap between confidence and accuracy.

    The confidence of a row is the probability of its most probable class. Rows are put into `bins` bins of equal width
    by confidence, and the gaps of the bins are averaged, weighted by their number of rows.

    Args:
        probabilities: [B, C].
        targets: [B] int, true classes; -1 for a class that is not among the C, which counts as an error.
        bins: number of bins.
    Returns:
        error, between 0 and 1; lower is better.
    Raises:
        ValueError: shapes do not agree, there are no rows, a row is not a distribution, a target is out of range, or
            bins is below 1.
    Example:
        >>> calibration_error([[0.75, 0.25]] * 4, [0, 0, 0, 1])  # three of four are correct, as predicted
        0.0
    """
    probabilities, targets = _pair("calibration_error", "probabilities", probabilities, targets)
    if bins < 1:
        raise ValueError(f"calibration_error: expected at least 1 bin, got {bins}.")
    wrong = (probabilities.min(1) < 0) | (np.abs(probabilities.sum(1) - 1) > 1e-3)
    if wrong.any():
        row = int(wrong.argmax())
        raise RowError(row, "calibration_error: expected probabilities that are not negative and sum to 1, got "
                            f"{probabilities[row]}; apply softmax to logits.")  # fmt: skip
    confidence = probabilities.max(1).clip(max=1)
    gaps = (probabilities.argmax(1) == targets) - confidence
    bin_of_row = np.ceil(confidence * bins).astype(np.int64).clip(min=1) - 1
    return float(np.abs(np.bincount(bin_of_row, gaps)).sum() / len(gaps))


def _pair(where: str, name: str, values: Any, targets: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return values [B, C] as float64 and targets [B] as int64, checked."""
    values, targets = np.asarray(as_array(values), np.float64), as_array(targets)
    check(where, name, values, "B C")
    check(where, "targets", targets, f"B={len(values)}")
    if not values.size:
        raise ValueError(f"{where}: expected at least one row and one class, got {list(values.shape)}.")
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values).all(1))[0])
        raise RowError(row, f"{where}: expected {name} that are finite, got {values[row]}.")
    if targets.dtype.kind not in "iu" or targets.min() < -1 or targets.max() >= values.shape[1]:
        got = f"{targets.min()} to {targets.max()}" if targets.dtype.kind in "iu" else targets.dtype
        raise ValueError(f"{where}: expected targets that are integers from 0 to {values.shape[1] - 1}, got {got}.")
    return values, targets.astype(np.int64)
