"""Lyapunov exponents: the rates at which small changes of a state grow or fade (Benettin et al. 1980)."""

import numpy as np

from elman.doctor.directions import back, orthonormal, sizes, turned
from elman.doctor.trace import Trace

SPECTRUM = 64  # exponents, at most


def exponents(trace: Trace, ends: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """[k] of the whole state, nats a step, largest first; -inf for what a step wipes out.

    Directions are carried back, and made orthonormal after every step: transposed, a product of Jacobians has the same
    exponents. The first quarter of each trajectory turns them and is not counted. For recurrent nets: Engelken et al.
    2023, arXiv:2006.02427.

    Args:
        ends: [P] the last step of each trajectory, numbers in [0, N).
        reach: [P] its steps.
    """
    n = sum(sizes(trace.initial))
    directions = orthonormal(min(n, SPECTRUM), len(ends), n)
    alive, total, counted = np.arange(len(ends)), np.zeros(len(directions)), 0
    for lag in range(1, int(reach.max()) + 1):
        going = reach[alive] >= lag
        alive, directions = alive[going], directions[:, going]
        directions, lengths = turned(back(trace, ends[alive] - lag + 1, directions))
        settled = lag > reach[alive] // 4
        with np.errstate(divide="ignore"):
            total += np.log(lengths[settled]).sum(0)
        counted += int(settled.sum())
    return np.sort(total / counted)[::-1]
