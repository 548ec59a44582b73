"""kalman as it is defined: a row at a time, a coordinate of the observations at a time.

Observations are decorrelated by R = U D U' of those that are there, then taken in one by one (Koopman and Durbin 2000).
The smoother is the conditional form of Rauch, Tung and Striebel (1965), in which the state that follows is one more
observation, s[t+1] = F s[t] + noise(Q).
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from elman.kernels.kalman_belief import (
    NO_Q,
    NO_R,
    OVERFLOW,
    UNDETERMINED,
    BrokenError,
    Diffuse,
    Plain,
    Root,
    StreamingClassifier,
    factor,
)

IMPOSSIBLE = 1e-8  # an observation without variance lies off its mean by more than this share of the terms of both
LOG_2PI = float(np.log(2 * np.pi))


class Problem(NamedTuple):
    """A row: what happens at each of its steps, and its start."""

    at: Callable[[int], tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]  # F, H, Q, R of a step
    x: np.ndarray  # [T, m]
    state_offset: np.ndarray  # [T, n]
    output_offset: np.ndarray  # [T, m]
    mean: np.ndarray  # [n]
    cov: np.ndarray  # [n, n]
    diffuse: np.ndarray  # [n, n]


def decorrelate(h: np.ndarray, noise: np.ndarray, wrong: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """U^-1 h and D where noise = U D U', and U^-1: rows in the order that makes U a triangle."""
    u, d, order = factor(noise, wrong)
    inverse = np.eye(len(d))[order]
    for k in range(len(d)):
        inverse[k + 1 :] -= np.outer(u[order[k + 1 :], k], inverse[k])
    return inverse @ h, d, inverse


def observe(belief: StreamingClassifier, mean: np.ndarray, x: np.ndarray, h: np.ndarray, noise: np.ndarray
            ) -> tuple[np.ndarray, float]:  # fmt: skip
    """The mean given those coordinates of x that are there, and the log-probability of x."""
    there = ~np.isnan(x)
    rows, variances, inverse = decorrelate(h[there], noise[np.ix_(there, there)], NO_R)
    log_prob = 0.0
    for value, row, variance in zip(inverse @ x[there], rows, variances, strict=True):
        error = value - row @ mean
        gain, size, diffuse = belief.take(row, variance)
        mean = mean + gain * error
        if diffuse:
            log_prob -= 0.5 * float(np.log(size))
        elif size > 0:
            log_prob -= 0.5 * float(LOG_2PI + np.log(size) + error**2 / size)
        elif abs(error) > IMPOSSIBLE * (abs(value) + np.abs(row) @ np.abs(mean)):
            log_prob = -np.inf
    belief.cov.check()
    return mean, log_prob


class Step(NamedTuple):
    """What is known after an input, and of the state that follows."""

    mean: np.ndarray
    belief: StreamingClassifier
    log_prob: float
    next_mean: np.ndarray
    next_belief: StreamingClassifier


class Smooth(NamedTuple):
    """What is known of a state from the whole row."""

    mean: np.ndarray
    cov: np.ndarray
    lag: np.ndarray  # Cov(s[t+1], s[t])


def run(row: Problem, square_root: bool) -> Iterator[Step]:
    """The steps of a row, filtered."""
    mean, belief = row.mean, StreamingClassifier((Root if square_root else Plain)(row.cov), Diffuse(row.diffuse))
    for t, x in enumerate(row.x):
        f, h, q, r = row.at(t)
        belief = belief.copy()
        filtered, log_prob = observe(belief, mean, x - row.output_offset[t], h, r)
        after = belief.copy()
        after.diffuse.predict(f)
        after.cov.predict(f, q)
        mean = f @ filtered + row.state_offset[t]
        if not (np.isfinite(mean).all() and np.isfinite(after.cov.matrix).all()):
            raise BrokenError(OVERFLOW)
        yield Step(filtered, belief, log_prob, mean, after)
        belief = after


def filter_row(row: Problem, square_root: bool) -> list[Step]:
    """The steps of a row, as covariances or as square roots of them.

    Raises:
        LostError: it needs square roots.
        BrokenError: a covariance is not one, or numbers overflow.
    """
    steps: list[Step] = []
    try:
        for step in run(row, square_root):
            steps.append(step)
    except BrokenError as error:
        raise BrokenError(error.what, len(steps)) from None
    return steps


def smooth_row(row: Problem, square_root: bool) -> tuple[list[Smooth], float]:
    """Each state of a row given all of its inputs, and the log-probability of those.

    Raises:
        LostError, BrokenError: as filter_row; or a state is not determined by the inputs.
    """
    steps = filter_row(row, square_root)
    states = list(backward(steps, row)) if steps else []
    return states[::-1], float(sum(step.log_prob for step in steps))


def backward(steps: list[Step], row: Problem) -> Iterator[Smooth]:
    """Each state given all inputs, from the last to the first."""
    belief, mean = steps[-1].belief, steps[-1].mean
    determined(belief, len(steps) - 1)
    cov = belief.cov.matrix
    yield Smooth(mean, cov, np.zeros_like(cov))
    for t in range(len(steps) - 2, -1, -1):
        f, _, q, _ = row.at(t)
        belief, gains = steps[t].belief.copy(), np.zeros_like(q)
        rows, variances, inverse = decorrelate(f, q, NO_Q)
        for h, variance, whole in zip(rows, variances, inverse, strict=True):
            gain, _, _ = belief.take(h, variance)
            gains = gains + np.outer(gain, whole - h @ gains)
        determined(belief, t)
        belief.cov.check()
        mean = steps[t].mean + gains @ (mean - steps[t].next_mean)
        lag = cov @ gains.T
        cov = gains @ lag + belief.cov.matrix
        cov = (cov + cov.T) / 2
        yield Smooth(mean, cov, lag)


def determined(belief: StreamingClassifier, step: int) -> None:
    if belief.diffuse.a.any():
        raise BrokenError(UNDETERMINED, step)
