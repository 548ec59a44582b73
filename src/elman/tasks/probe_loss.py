"""Some data as a net learns from them: what the doctor watches it with."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from torch import Tensor

AT_MOST = 64  # rows
STEPS = 2000  # of all rows together


class ProbeLoss(NamedTuple):
    """
    Attributes:
        loss: finds the loss of the net that the task has, as training does, without what training spoils at random.
        steps: the text of each step of the first row; None where steps are no text.
    """

    loss: Callable[[], Tensor]
    steps: list[str] | None = None


def few(lengths: np.ndarray, steps: int = STEPS) -> np.ndarray:
    """The first rows that hold no more than so many steps, one at least."""
    return np.arange(min(len(lengths), max(1, int((np.cumsum(lengths) <= steps).sum()))))
