"""Whether probabilities mean what they say, and a temperature that helps (Guo et al. 2017, arXiv:1706.04599)."""

import math
from typing import Any

import numpy as np

from elman.shapes import check

RANGE = (0.05, 20.0)  # of temperatures
HALVINGS = 30  # of the range of log T, which leave less than 1e-8 of it


def temperature(logits: Any, targets: Any) -> float:
    """The T with which softmax(logits / T) explains the targets best: the one that minimises its nats.

    log(T)^2 / 2 is added to the nats of all rows together. A hundred rows outweigh it; a few that are all right would
    without it ask for certainty, and the next row that is wrong would cost more than was ever gained.

    Args:
        logits: [B, C], of rows that the net was not trained on.
        targets: [B] int, the classes that are true, from 0 to C - 1.
    Returns:
        T, between 0.05 (surer than the net) and 20 (less sure).
    Raises:
        ValueError: shapes that do not agree, no row, a logit that is no finite number, or a target out of range.
    Example:
        >>> temperature([[9.0, 0.0]] * 10, [0] * 9 + [1]) > 1  # nine of ten: less sure than the net
        True
    """
    logits, targets = _pair("temperature", "logits", logits, targets)
    if targets.min() < 0:
        raise ValueError(f"temperature: expected targets from 0 to {logits.shape[1] - 1}, got {targets.min()}.")
    logits = logits - logits.max(1, keepdims=True)
    mean_of_truth = np.take_along_axis(logits, targets[:, None], 1).sum()

    def slope(log_temperature: float) -> float:
        """The derivative along log T."""
        scale = math.exp(-log_temperature)
        weights = np.exp(logits * scale)
        expected = ((weights * logits).sum(1) / weights.sum(1)).sum()
        return scale * (mean_of_truth - expected) + log_temperature

    low, high = map(math.log, RANGE)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if slope(middle) > 0 else (middle, high)
    return math.exp((low + high) / 2)


def calibration_error(probabilities: Any, targets: Any, bins: int = 15) -> float:
    """How far, on average, the probability of the most probable class is from how often it is right.

    Rows are put into `bins` bins of equal width by that probability, and the gaps of the bins are averaged, each
    weighted with its rows: the expected calibration error.

    Args:
        probabilities: [B, C].
        targets: [B] int, the classes that are true; -1 for one that is none of the C and can not be right.
    Returns:
        between 0 and 1; less is better.
    Raises:
        ValueError: shapes that do not agree, no row, what is no probability, a target out of range, or no bin.
    Example:
        >>> calibration_error([[0.75, 0.25]] * 4, [0, 0, 0, 1])  # three of four are right, as it says
        0.0
    """
    probabilities, targets = _pair("calibration_error", "probabilities", probabilities, targets)
    if bins < 1:
        raise ValueError(f"calibration_error: expected at least 1 bin, got {bins}.")
    wrong = (probabilities.min(1) < 0) | (np.abs(probabilities.sum(1) - 1) > 1e-3)
    if wrong.any():
        row = int(wrong.argmax())
        told = "expected probabilities that are not negative and sum to 1"
        raise ValueError(f"calibration_error: row {row}: {told}, got {probabilities[row]}; logits are none.")
    sure = probabilities.max(1).clip(max=1)
    gaps = (probabilities.argmax(1) == targets) - sure
    of_row = np.ceil(sure * bins).astype(np.int64).clip(min=1) - 1
    return float(np.abs(np.bincount(of_row, gaps)).sum() / len(gaps))


def _pair(where: str, name: str, values: Any, targets: Any) -> tuple[np.ndarray, np.ndarray]:
    """Values [B, C] as float64 and targets [B] as int64, checked."""
    values, targets = np.asarray(values, np.float64), np.asarray(targets)
    check(where, name, values, "B C")
    check(where, "targets", targets, f"B={len(values)}")
    if not values.size:
        raise ValueError(f"{where}: expected at least one row and one class, got {list(values.shape)}.")
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values).all(1))[0])
        raise ValueError(f"{where}: row {row}: expected {name} that are finite, got {values[row]}.")
    if targets.dtype.kind not in "iu" or targets.min() < -1 or targets.max() >= values.shape[1]:
        raise ValueError(f"{where}: expected targets as numbers of {values.shape[1]} classes, from 0 on.")
    return values, targets.astype(np.int64)
