"""Reference implementation of `kalman`: one row and one coordinate of the observations at a time.

Observed coordinates are decorrelated by R = U D U', then processed one by one (Koopman and Durbin 2000). The smoother
is the conditional form of Rauch, Tung and Striebel (1965), in which the next state is one more observation,
s[t+1] = F s[t] + noise(Q).
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from elman.kernels.kalman_estimate import (
    NO_Q,
    NO_R,
    OVERFLOW,
    UNDETERMINED,
    Diffuse,
    Estimate,
    FilterError,
    Plain,
    Root,
    factor,
)

IMPOSSIBLE = 1e-8  # largest error of an observation without variance, as a fraction of the terms of both
LOG_2PI = float(np.log(2 * np.pi))


class Problem(NamedTuple):
    """One row: matrices and offsets of each step, observations, and the start."""

    at: Callable[[int], tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]  # F, H, Q, R of a step
    x: np.ndarray  # [T, m]
    state_offset: np.ndarray  # [T, n]
    output_offset: np.ndarray  # [T, m]
    mean: np.ndarray  # [n]
    cov: np.ndarray  # [n, n]
    diffuse: np.ndarray  # [n, n]


def decorrelate(h: np.ndarray, noise: np.ndarray, error: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return U^-1 h, D and U^-1 for noise = U D U', with rows in the order that makes U triangular."""
    u, d, order = factor(noise, error)
    inverse = np.eye(len(d))[order]
    for k in range(len(d)):
        inverse[k + 1 :] -= np.outer(u[order[k + 1 :], k], inverse[k])
    return inverse @ h, d, inverse


def observe(estimate: Estimate, mean: np.ndarray, x: np.ndarray, h: np.ndarray, noise: np.ndarray
            ) -> tuple[np.ndarray, float]:  # fmt: skip
    """Update the estimate; return the mean given the observed coordinates of x, and their log-probability."""
    seen = ~np.isnan(x)
    rows, variances, inverse = decorrelate(h[seen], noise[np.ix_(seen, seen)], NO_R)
    log_prob = 0.0
    for value, row, variance in zip(inverse @ x[seen], rows, variances, strict=True):
        error = value - row @ mean
        gain, size, diffuse = estimate.update(row, variance)
        mean = mean + gain * error
        if diffuse:
            log_prob -= 0.5 * float(np.log(size))
        elif size > 0:
            log_prob -= 0.5 * float(LOG_2PI + np.log(size) + error**2 / size)
        elif abs(error) > IMPOSSIBLE * (abs(value) + np.abs(row) @ np.abs(mean)):
            log_prob = -np.inf
    estimate.cov.check()
    return mean, log_prob


class Step(NamedTuple):
    """Filtered state of a step, and prediction of the next state."""

    mean: np.ndarray
    estimate: Estimate
    log_prob: float
    next_mean: np.ndarray
    next_estimate: Estimate


class Smooth(NamedTuple):
    """Smoothed state of a step."""

    mean: np.ndarray
    cov: np.ndarray
    lag: np.ndarray  # Cov(s[t+1], s[t])


def run(row: Problem, square_root: bool) -> Iterator[Step]:
    """Yield the filtered steps of a row."""
    mean, estimate = row.mean, Estimate((Root if square_root else Plain)(row.cov), Diffuse(row.diffuse))
    for t, x in enumerate(row.x):
        f, h, q, r = row.at(t)
        estimate = estimate.copy()
        filtered, log_prob = observe(estimate, mean, x - row.output_offset[t], h, r)
        after = estimate.copy()
        after.diffuse.predict(f)
        after.cov.predict(f, q)
        mean = f @ filtered + row.state_offset[t]
        if not (np.isfinite(mean).all() and np.isfinite(after.cov.matrix).all()):
            raise FilterError(OVERFLOW)
        yield Step(filtered, estimate, log_prob, mean, after)
        estimate = after


def filter_row(row: Problem, square_root: bool) -> list[Step]:
    """Return the filtered steps of a row, computed with covariances or with square roots of them.

    Raises:
        PrecisionError: the row needs square roots.
        FilterError: a covariance is not semidefinite, or numbers overflow.
    """
    steps: list[Step] = []
    try:
        for step in run(row, square_root):
            steps.append(step)
    except FilterError as error:
        raise FilterError(error.reason, len(steps)) from None
    return steps


def smooth_row(row: Problem, square_root: bool) -> tuple[list[Smooth], float]:
    """Return the smoothed states of a row, and its log-probability.

    Raises:
        PrecisionError, FilterError: as in `filter_row`, or the inputs do not determine a state.
    """
    steps = filter_row(row, square_root)
    states = list(backward(steps, row)) if steps else []
    return states[::-1], float(sum(step.log_prob for step in steps))


def backward(steps: list[Step], row: Problem) -> Iterator[Smooth]:
    """Yield the smoothed states, from the last to the first."""
    estimate, mean = steps[-1].estimate, steps[-1].mean
    determined(estimate, len(steps) - 1)
    cov = estimate.cov.matrix
    yield Smooth(mean, cov, np.zeros_like(cov))
    for t in range(len(steps) - 2, -1, -1):
        f, _, q, _ = row.at(t)
        estimate, gains = steps[t].estimate.copy(), np.zeros_like(q)
        rows, variances, inverse = decorrelate(f, q, NO_Q)
        for h, variance, whole in zip(rows, variances, inverse, strict=True):
            gain, _, _ = estimate.update(h, variance)
            gains = gains + np.outer(gain, whole - h @ gains)
        determined(estimate, t)
        estimate.cov.check()
        mean = steps[t].mean + gains @ (mean - steps[t].next_mean)
        lag = cov @ gains.T
        cov = gains @ lag + estimate.cov.matrix
        cov = (cov + cov.T) / 2
        yield Smooth(mean, cov, lag)


def determined(estimate: Estimate, step: int) -> None:
    """Raise a FilterError if a diffuse part is left."""
    if estimate.diffuse.a.any():
        raise FilterError(UNDETERMINED, step)
