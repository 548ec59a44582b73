"""Training loss of a few rows, which the doctor differentiates."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from torch import Tensor

AT_MOST = 64  # rows
STEPS = 2000  # of all rows together


class ProbeLoss(NamedTuple):
    """Loss of a few rows.

    Attributes:
        loss: computes the loss of the task's network as training does, without random augmentation.
        steps: the text of each step of the first row; None if steps are not text.
    """

    loss: Callable[[], Tensor]
    steps: list[str] | None = None


def few(lengths: np.ndarray, steps: int = STEPS) -> np.ndarray:
    """Return the first rows that have at most `steps` steps together; at least one row."""
    return np.arange(min(len(lengths), max(1, int((np.cumsum(lengths) <= steps).sum()))))
