"""Covariances of four kinds: estimated from scatter, bounded below by a floor, with a prior.

Stored as `diag` [C, D], `spherical` [C], `full` [C, D, D], or `tied` [G, D, D], one for each of G groups of Gaussians.
"""

from typing import NamedTuple

import numpy as np

from elman.classical.hmm.emissions.emission import DEAD
from elman.classical.hmm.emissions.moments import MeanPrior, Moments

KINDS = ("diag", "full", "tied", "spherical")


class Limits(NamedTuple):
    """Lower bound `floor` of the variances, and a prior: `cov` counts as `weight` observations."""

    floor: np.ndarray  # [D]
    cov: np.ndarray  # [D, D]
    weight: float


def is_diagonal(kind: str) -> bool:
    """Return whether coordinates are independent given the state."""
    return kind in ("diag", "spherical")


def variances(kind: str, covs: np.ndarray, size: int) -> np.ndarray:
    """Return the variances [C, D] for `diag` or `spherical`."""
    return covs if kind == "diag" else np.repeat(covs[:, None], size, axis=1)


def matrices(kind: str, covs: np.ndarray, states: int, size: int) -> np.ndarray:
    """Return the matrices [C, D, D] for any kind."""
    if is_diagonal(kind):
        return variances(kind, covs, size)[:, :, None] * np.eye(size)
    return np.repeat(covs, states // len(covs), axis=0)


def constant(kind: str, variance: np.ndarray, states: int, groups: int) -> np.ndarray:
    """Return covariances with the same variances [D] in every state."""
    if kind == "diag":
        return np.tile(variance, (states, 1))
    if kind == "spherical":
        return np.full(states, variance.mean())
    return np.tile(np.diag(variance), (states if kind == "full" else groups, 1, 1))


def estimate(kind: str, moments: Moments, prior: MeanPrior, limits: Limits, old: np.ndarray) -> np.ndarray:
    """Return the covariances above the floor that maximise the expected log-density plus log-prior."""
    extra = 1.0 if prior.weight > 0 else 0.0  # the prior of the mean contains the covariance once
    counts, scatter, size = moments.counts, moments.scatter, moments.means.shape[1]
    known = np.diag(limits.cov)
    if kind == "diag":
        divisor = np.where(counts >= DEAD, counts, 1.0) + extra + limits.weight
        fitted = np.maximum((scatter + limits.weight * known) / divisor, limits.floor)
        return np.where(counts >= DEAD, fitted, old)
    if kind == "spherical":
        alive = counts.sum(1) >= DEAD
        divisor = np.where(alive, counts.sum(1), 1.0) + size * (extra + limits.weight)
        fitted = np.maximum((scatter.sum(1) + limits.weight * known.sum()) / divisor, limits.floor.mean())
        return np.where(alive, fitted, old)
    groups = len(old)
    counts = (counts + extra).reshape(groups, -1).sum(1) if kind == "tied" else counts + extra
    scatter = scatter.reshape(groups, -1, size, size).sum(1)
    new = old.copy()
    for g in np.flatnonzero(counts >= extra + DEAD):
        new[g] = raised((scatter[g] + limits.weight * limits.cov) / (counts[g] + limits.weight), limits.floor)
    return new


def raised(cov: np.ndarray, floor: np.ndarray) -> np.ndarray:
    """Return the matrix of highest likelihood without variances below the floor in any direction.

    In units where the floor is the identity, its eigenvectors stay, and its eigenvalues are raised to at least one.
    """
    unit = np.sqrt(floor)
    values, vectors = np.linalg.eigh((cov + cov.T) / 2 / (unit[:, None] * unit))
    if values[0] < 1:
        cov = (vectors * np.maximum(values, 1.0)) @ vectors.T * (unit[:, None] * unit)
    return (cov + cov.T) / 2


def lowest(kind: str, covs: np.ndarray, floor: np.ndarray) -> float:
    """Return the lowest variance in any direction, in units of the floor."""
    if kind == "diag":
        return float((covs / floor).min())
    if kind == "spherical":
        return float(covs.min() / floor.mean())
    unit = np.sqrt(floor)
    return float(np.linalg.eigvalsh(covs / (unit[:, None] * unit)).min())


def log_prior(kind: str, means: np.ndarray, covs: np.ndarray, prior: MeanPrior, limits: Limits) -> float:
    """Return the log-prior of means and covariances, up to a constant."""
    total, size = 0.0, means.shape[1]
    if prior.weight == 0 and limits.weight == 0:
        return total
    every = matrices(kind, covs, len(means), size)
    if prior.weight > 0:
        away = means - prior.mean
        total -= 0.5 * prior.weight * float(np.einsum("cd,cd->", away, np.linalg.solve(every, away[..., None])[..., 0]))
        total -= 0.5 * float(np.linalg.slogdet(every)[1].sum())
    if limits.weight > 0:
        once = covs if kind == "tied" else every
        known = np.diag(np.diag(limits.cov)) if is_diagonal(kind) else limits.cov
        trace = np.trace(np.linalg.solve(once, np.broadcast_to(known, once.shape)), axis1=1, axis2=2)
        total -= 0.5 * limits.weight * float((np.linalg.slogdet(once)[1] + trace).sum())
    return total
