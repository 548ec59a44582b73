"""Log-densities of several Gaussians together, for the observed coordinates."""

import numpy as np

from elman.classical.hmm.emissions import tall
from elman.classical.hmm.emissions.emission import buffer
from elman.classical.hmm.emissions.real_data import RealData

LOG_2_PI = float(np.log(2 * np.pi))
TRUSTED = 1e5  # largest squared distance, in variances, for which x^2 - 2 x m + m^2 is accurate: 1e-11


def diagonal(data: RealData, means: np.ndarray, slopes: np.ndarray | None, variances: np.ndarray,
             out: np.ndarray | None = None) -> np.ndarray:  # fmt: skip
    """Return log-densities [N, C] for C Gaussians: means and variances [C, D], slopes [C, D, U] in the input."""
    out = buffer(out, len(data.x), len(means))
    constants = -0.5 * (LOG_2_PI + np.log(variances))  # [C, D]
    if slopes is None:
        centred = means - data.centre
        at_zero = constants - 0.5 * centred**2 / variances
        zeroth = at_zero if data.seen is not None else at_zero.sum(1, keepdims=True)
        tall.product(data.squares, np.hstack([zeroth, centred / variances, -0.5 / variances]).T, out)
        untrusted = np.flatnonzero(((data.reach**2 + centred**2) / variances).sum(1) > TRUSTED)
    else:
        untrusted = np.arange(len(means))
    for c in untrusted:
        residual = _residual(data, means[c], None if slopes is None else slopes[c])
        residual *= residual
        if data.seen is None:
            out[:, c] = constants[c].sum() - residual @ (0.5 / variances[c])
        else:
            out[:, c] = data.seen @ constants[c] - (data.seen * residual) @ (0.5 / variances[c])
    return out


def full(data: RealData, means: np.ndarray, slopes: np.ndarray | None, covs: np.ndarray,
         out: np.ndarray | None = None) -> np.ndarray:  # fmt: skip
    """Return log-densities [N, C]: means [C, D], covariances [C, D, D] (or [1, D, D] for all), slopes [C, D, U]."""
    out = buffer(out, len(data.x), len(means))
    untrusted = np.arange(len(means))
    if slopes is None and data.products is not None:
        untrusted = _by_products(data, data.products, means - data.centre, covs, out)
        if not len(untrusted):
            return out
    if data.seen is not None:
        out[...] = 0  # for steps without observations
    for steps, seen, missing in data.patterns:
        lower = np.linalg.cholesky(covs[:, seen[:, None], seen])
        whiten = np.linalg.inv(lower)
        constants = -0.5 * len(seen) * LOG_2_PI - np.log(np.diagonal(lower, axis1=1, axis2=2)).sum(1)
        everything = len(steps) == len(data.x) and not len(missing)
        x = data.values if everything else data.values[steps[:, None], seen]
        u = data.u if everything or data.u is None else data.u[steps]
        for c in untrusted:
            one = c if len(covs) > 1 else 0
            residual = x - means[c, seen]
            if slopes is not None:
                residual -= u @ slopes[c, seen].T
            white = np.empty_like(residual)
            tall.product(residual, whiten[one].T, white)
            squares = np.einsum("nd,nd->n", white, white)
            out[slice(None) if everything else steps, c] = constants[one] - 0.5 * squares
    return out


def _by_products(data: RealData, products: np.ndarray, means: np.ndarray, covs: np.ndarray,
                 out: np.ndarray) -> np.ndarray:  # fmt: skip
    """Fill `out` by one matrix product; return the Gaussians for which this loses too many digits."""
    size = means.shape[1]
    lower = np.linalg.cholesky(covs)
    whiten = np.linalg.inv(lower)
    precision = np.broadcast_to(whiten.swapaxes(1, 2) @ whiten, (len(means), size, size))
    pull = np.einsum("cde,ce->cd", precision, means)
    constants = -0.5 * (size * LOG_2_PI + (means * pull).sum(1))
    constants = constants - np.log(np.diagonal(lower, axis1=1, axis2=2)).sum(1)
    first, second = np.triu_indices(size)
    squares = np.where(first == second, -0.5, -1.0) * precision[:, first, second]
    tall.product(products, np.hstack([constants[:, None], pull, squares]).T, out)
    reach = data.reach + np.abs(means)
    return np.flatnonzero(np.einsum("cd,cde,ce->c", reach, np.abs(precision), reach) > TRUSTED)


def _residual(data: RealData, mean: np.ndarray, slope: np.ndarray | None) -> np.ndarray:
    residual = data.values - mean  # not the centred values, which may have lost digits
    if slope is not None:
        residual -= data.u @ slope.T
    return residual if data.seen is None else np.where(data.seen > 0, residual, 0.0)
