"""Coverage penalty: the cost of source steps with little attention (Wu et al. 2016, arXiv:1609.08144)."""

from collections.abc import Iterable

import numpy as np

LEAST = 1e-10  # least attention of a step: a step without attention costs 23 times the weight, not infinity


def coverage_penalty(alignments: Iterable[np.ndarray], weight: float) -> np.ndarray:
    """Return weight * sum over source steps of -log(min(total attention of the step, 1)) per hypothesis, [n].

    Args:
        alignments: per hypothesis, the attention weights of its T units on the S source steps, [T, S].
        weight: factor, at least 0; Wu et al. use 0.2.
    Example:
        >>> coverage_penalty([np.array([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]])], 0.2).round(3)
        array([0.277])
    """
    totals = (np.clip(np.asarray(alignment).sum(0, dtype=np.float64), LEAST, 1) for alignment in alignments)
    return np.array([-weight * np.log(total).sum() for total in totals])
