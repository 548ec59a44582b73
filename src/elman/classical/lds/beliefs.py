"""What a linear dynamical system says of its states and of what it will observe."""

from typing import NamedTuple

import numpy as np

from elman.sequences import Sequences

ROUNDING = 1e-10  # a share of the diffuse part below this is none


class Filtered(NamedTuple):
    """What a step tells: the states given the observations up to here."""

    mean: np.ndarray  # [B, n]
    cov: np.ndarray  # [B, n, n] infinite where a diffuse start leaves a state open
    log_prob: np.ndarray  # [B] of this observation, given those before


class Smoothed(NamedTuple):
    """The states given whole rows."""

    mean: np.ndarray  # [N, n]
    cov: np.ndarray  # [N, n, n]
    lag: np.ndarray  # [N, n, n] Cov(s[t+1], s[t]), zeros at the last step of a row


class Sample(NamedTuple):
    """Rows that a model made."""

    observations: Sequences  # as `fit` takes them
    states: np.ndarray  # [N, n]


def limit(cov: np.ndarray, diffuse: np.ndarray) -> np.ndarray:
    """`cov + k diffuse` where k grows without end, matrices [..., n, n].

    Example:
        >>> limit(np.eye(2), np.diag([0.0, 1.0]))
        array([[ 1.,  0.],
               [ 0., inf]])
    """
    steps = diffuse.any((-2, -1))  # few
    if not steps.any():
        return cov
    whole, part = cov.copy(), diffuse[steps]
    scale = np.sqrt(np.maximum(np.diagonal(part, axis1=-2, axis2=-1), 0))
    open_ = np.abs(part) > ROUNDING * scale[..., :, None] * scale[..., None, :]
    whole[steps] = np.where(open_, np.copysign(np.inf, part), cov[steps])
    return whole


def deviation(cov: np.ndarray) -> np.ndarray:
    """Standard deviations [..., n] from covariances [..., n, n]: what `elman.pictures` draws."""
    found: np.ndarray = np.sqrt(np.maximum(np.diagonal(cov, axis1=-2, axis2=-1), 0))
    return found
