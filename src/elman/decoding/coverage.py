"""A penalty for source steps that were hardly read (Wu et al. 2016, arXiv:1609.08144)."""

from collections.abc import Iterable

import numpy as np

LEAST = 1e-10  # reading of a step, so that one never read costs 23 times the weight, not infinity


def coverage_penalty(alignments: Iterable[np.ndarray], weight: float) -> np.ndarray:
    """weight * sum over source steps of -log(min(how much it was read, 1)), of each hypothesis, [n].

    Args:
        alignments: of each hypothesis, how much each of its T units read each of the S source steps, [T, S].
        weight: at least 0; Wu et al. take 0.2.
    Example:
        >>> coverage_penalty([np.array([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]])], 0.2).round(3)
        array([0.277])
    """
    read = (np.clip(np.asarray(alignment).sum(0, dtype=np.float64), LEAST, 1) for alignment in alignments)
    return np.array([-weight * np.log(amounts).sum() for amounts in read])
