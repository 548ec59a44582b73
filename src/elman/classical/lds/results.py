"""Results of a linear dynamical system: filtered and smoothed states, samples, standard deviations."""

from typing import NamedTuple

import numpy as np

from elman.representation import brief_fields
from elman.sequences import Sequences

ROUNDING = 1e-10  # a diffuse covariance below this fraction of its variances is zero


@brief_fields
class Filtered(NamedTuple):
    """State at each step given the observations up to that step."""

    mean: np.ndarray  # [B, n]
    cov: np.ndarray  # [B, n, n]; infinite where a diffuse start leaves a state undetermined
    log_prob: np.ndarray  # [B] of this observation given the earlier ones


@brief_fields
class Smoothed(NamedTuple):
    """State at each step given the whole row."""

    mean: np.ndarray  # [N, n]
    cov: np.ndarray  # [N, n, n]
    lag: np.ndarray  # [N, n, n] Cov(s[t+1], s[t]), zeros at the last step of a row


@brief_fields
class Sample(NamedTuple):
    """Rows drawn from a model."""

    observations: Sequences  # in the form that `fit` reads
    states: np.ndarray  # [N, n]


def diffuse_limit(cov: np.ndarray, diffuse: np.ndarray) -> np.ndarray:
    """Return the limit of `cov + k diffuse` for k to infinity, matrices [..., n, n].

    Example:
        >>> diffuse_limit(np.eye(2), np.diag([0.0, 1.0]))
        array([[ 1.,  0.],
               [ 0., inf]])
    """
    steps = diffuse.any((-2, -1))  # few
    if not steps.any():
        return cov
    whole, part = cov.copy(), diffuse[steps]
    scale = np.sqrt(np.maximum(np.diagonal(part, axis1=-2, axis2=-1), 0))
    infinite = np.abs(part) > ROUNDING * scale[..., :, None] * scale[..., None, :]
    whole[steps] = np.where(infinite, np.copysign(np.inf, part), cov[steps])
    return whole


def deviation(cov: np.ndarray) -> np.ndarray:
    """Return the standard deviations [..., n] of covariances [..., n, n], as `elman.pictures` draws them."""
    found: np.ndarray = np.sqrt(np.maximum(np.diagonal(cov, axis1=-2, axis2=-1), 0))
    return found
