"""Moments of real observations for the M step: weighted means (or regressions), and scatter about them.

Missing coordinates are treated exactly. With a diagonal covariance they are ignored; with a full one they are replaced
by their conditional means given the observed ones, and their conditional covariances are added to the scatter
(Ghahramani and Jordan 1994), so that no step lowers the likelihood.
"""

from typing import NamedTuple

import numpy as np

from elman.classical.hmm.emissions import tall
from elman.classical.hmm.emissions.emission import DEAD
from elman.classical.hmm.emissions.real_data import RealData

REGULAR = 1e-8  # smallest eigenvalue (1 on average) for which the normal equations are solved directly
CANCELLED = 1e-6  # a variance below this fraction of a mean square is recomputed from the residuals


class MeanPrior(NamedTuple):
    """Normal prior about `mean`, which counts as `weight` observations."""

    mean: np.ndarray  # [D]
    weight: float


class Moments(NamedTuple):
    """Moments of C Gaussians."""

    means: np.ndarray  # [C, D]
    slopes: np.ndarray | None  # [C, D, U]
    counts: np.ndarray  # expected numbers of observations: [C, D] for a diagonal covariance, [C] for a full one
    scatter: np.ndarray  # [C, D] or [C, D, D]: expected squares about the means, with those of the prior


def diagonal(data: RealData, weights: np.ndarray, means: np.ndarray, slopes: np.ndarray | None,
             prior: MeanPrior) -> Moments:  # fmt: skip
    """Return the moments for diagonal covariances; weights [N, C]. Empty Gaussians keep `means` and `slopes`."""
    if slopes is not None:
        return _diagonal_driven(data, weights, means, slopes, prior)
    size = means.shape[1]
    sums = tall.inner(weights, data.squares)
    counts = np.broadcast_to(sums[:, :-2 * size], means.shape)  # fmt: skip
    first, second = sums[:, -2 * size : -size], sums[:, -size:]
    alive = counts >= DEAD
    divisor = np.where(alive, counts, 1.0)
    middle = np.where(alive, first / divisor, means - data.centre)
    centred_prior = prior.mean - data.centre
    fitted = (first + prior.weight * centred_prior) / (divisor + prior.weight)
    new = np.where(alive, fitted, middle)
    scatter = second - 2 * first * middle + counts * middle**2
    for c in np.flatnonzero((scatter < CANCELLED * second).any(1)):
        residual = (data.x - middle[c]) ** 2
        scatter[c] = weights[:, c] @ (residual if data.seen is None else data.seen * residual)
    scatter += counts * (new - middle) ** 2 + prior.weight * (new - centred_prior) ** 2
    return Moments(new + data.centre, None, counts, scatter)


def full(data: RealData, weights: np.ndarray, means: np.ndarray, slopes: np.ndarray | None, covs: np.ndarray,
         prior: MeanPrior) -> Moments:  # fmt: skip
    """Return the moments for full covariances; `covs` [C, D, D] (or [1, D, D] for all) are those of the E step."""
    if slopes is None and data.products is not None:
        return _by_products(data, data.products, weights, means, prior)
    centred, centred_prior = means - data.centre, prior.mean - data.centre
    new = np.empty((len(means), means.shape[1], data.design.shape[1]))
    scatter = np.empty((len(means), means.shape[1], means.shape[1]))
    if data.seen is not None:
        weights = np.where(data.seen.any(1)[:, None], weights, 0.0)
    counts = weights.sum(0)
    for c, count in enumerate(counts):
        old = np.hstack([centred[c][:, None]] + ([] if slopes is None else [slopes[c]]))  # [D, 1 + U]
        x, spread = _completed(data, weights[:, c], old, covs[c if len(covs) > 1 else 0])
        new[c] = _regression(data.design, x, weights[:, c], prior.weight, centred_prior) if count >= DEAD else old
        residual = x - data.design @ new[c].T
        scatter[c] = tall.inner(weights[:, c, None] * residual, residual) + spread
        away = new[c, :, 0] - centred_prior
        scatter[c] += prior.weight * away[:, None] * away
    return Moments(new[:, :, 0] + data.centre, None if slopes is None else new[:, :, 1:], counts, scatter)


def _by_products(data: RealData, products: np.ndarray, weights: np.ndarray, means: np.ndarray,
                 prior: MeanPrior) -> Moments:  # fmt: skip
    """Return the moments for full covariances from one product, without missing values or driving input."""
    size = means.shape[1]
    sums = tall.inner(weights, products)
    counts, first = sums[:, 0], sums[:, 1 : 1 + size]
    above, below = np.triu_indices(size)
    second = np.empty((len(means), size, size))
    second[:, above, below] = second[:, below, above] = sums[:, 1 + size :]
    alive = (counts >= DEAD)[:, None]
    divisor = np.where(alive, counts[:, None], 1.0)
    middle = np.where(alive, first / divisor, means - data.centre)
    centred_prior = prior.mean - data.centre
    fitted = (first + prior.weight * centred_prior) / (divisor + prior.weight)
    new = np.where(alive, fitted, middle)
    crossed = first[:, :, None] * middle[:, None]
    scatter = second - crossed - crossed.swapaxes(1, 2) + counts[:, None, None] * _squared(middle)
    unit = np.sqrt(np.maximum(np.diagonal(second, axis1=1, axis2=2), 1e-300))
    lost = np.linalg.eigvalsh(scatter / _squared(unit))[:, 0] < CANCELLED
    for c in np.flatnonzero(lost & alive[:, 0]):
        residual = data.x - middle[c]
        scatter[c] = tall.inner(weights[:, c, None] * residual, residual)
    scatter += counts[:, None, None] * _squared(new - middle) + prior.weight * _squared(new - centred_prior)
    return Moments(new + data.centre, None, counts, scatter)


def _squared(x: np.ndarray) -> np.ndarray:
    """Return x x', [C, D] -> [C, D, D]."""
    return x[:, :, None] * x[:, None]


def _completed(data: RealData, weight: np.ndarray, coefficients: np.ndarray,
               cov: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Return the conditional means [N, D] of the observations, and the sum of their weighted covariances [D, D]."""
    spread = np.zeros_like(cov)
    if data.seen is None:
        return data.x, spread
    x, mean = data.x.copy(), data.design @ coefficients.T
    for steps, seen, missing in data.patterns:
        if not len(missing):
            continue
        gain = np.linalg.solve(cov[np.ix_(seen, seen)], cov[np.ix_(seen, missing)])  # [d, D - d]
        residual = x[steps[:, None], seen] - mean[steps[:, None], seen]
        x[steps[:, None], missing] = mean[steps[:, None], missing] + residual @ gain
        rest = cov[np.ix_(missing, missing)] - cov[np.ix_(missing, seen)] @ gain
        spread[np.ix_(missing, missing)] += weight[steps].sum() * (rest + rest.T) / 2
    return x, spread


def _diagonal_driven(data: RealData, weights: np.ndarray, means: np.ndarray, slopes: np.ndarray,
                     prior: MeanPrior) -> Moments:  # fmt: skip
    """Return the moments by weighted least squares for each Gaussian, or each coordinate if values are missing."""
    centred_prior = prior.mean - data.centre
    coefficients = np.concatenate([(means - data.centre)[:, :, None], slopes], axis=2)  # [C, D, 1 + U]
    seen = data.seen
    counts = weights.T @ seen if seen is not None else np.repeat(weights.sum(0)[:, None], means.shape[1], axis=1)
    scatter = np.empty_like(means)
    for c in range(len(means)):
        weight = weights[:, c]
        if seen is None and counts[c, 0] >= DEAD:
            coefficients[c] = _regression(data.design, data.x, weight, prior.weight, centred_prior)
        for d in range(means.shape[1]):
            if seen is not None and counts[c, d] >= DEAD:
                own = weight * seen[:, d]
                coefficients[c, d] = _regression(data.design, data.x[:, d : d + 1], own, prior.weight,
                                                 centred_prior[d : d + 1])[0]  # fmt: skip
        squares = (data.x - data.design @ coefficients[c].T) ** 2
        scatter[c] = weight @ (squares if seen is None else seen * squares)
    new = coefficients[:, :, 0]
    scatter += prior.weight * (new - centred_prior) ** 2
    return Moments(new + data.centre, coefficients[:, :, 1:], counts, scatter)


def _regression(design: np.ndarray, x: np.ndarray, weight: np.ndarray, prior_weight: float,
                prior_mean: np.ndarray) -> np.ndarray:  # fmt: skip
    """Return the coefficients [D, 1 + U] of weighted least squares; the prior acts as observations without input."""
    if design.shape[1] == 1:
        return ((weight @ x + prior_weight * prior_mean) / (weight.sum() + prior_weight))[:, None]
    weighted = weight[:, None] * design
    left, right = tall.inner(weighted, design), tall.inner(weighted, x)  # the normal equations
    left[0, 0] += prior_weight
    right[0] += prior_weight * prior_mean
    unit = np.sqrt(np.where(np.diagonal(left) > 0, np.diagonal(left), 1.0))
    if np.linalg.eigvalsh(left / (unit[:, None] * unit))[0] > REGULAR:
        return np.linalg.solve(left / (unit[:, None] * unit), right / unit[:, None]).T / unit
    pseudo = np.sqrt(prior_weight) * np.eye(1, design.shape[1])
    root = np.sqrt(weight)[:, None]
    left = np.vstack([root * design, pseudo]) / unit
    right = np.vstack([root * x, np.sqrt(prior_weight) * prior_mean])
    return np.linalg.lstsq(left, right, rcond=None)[0].T / unit
