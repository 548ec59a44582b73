"""The log-density of residuals that may be missing in part."""

import math

import numpy as np


def log_density(where: str, residuals: np.ndarray, cov: np.ndarray) -> np.ndarray:
    """Of residuals [N, D] under N(0, cov), of what is there of each, 0 where nothing is: [N].

    Raises:
        ValueError: the covariance is not positive definite.
    """
    densities = np.zeros(len(residuals))
    present = ~np.isnan(residuals)
    whole = present.all(1)
    for there in np.ones((1, residuals.shape[1]), bool) if whole.all() else np.unique(present, axis=0):
        if not there.any():
            continue
        try:
            root = np.linalg.cholesky(cov[np.ix_(there, there)])
        except np.linalg.LinAlgError:
            raise ValueError(
                f"{where}: the covariance of the noise is not positive definite: the model predicts without error, or "
                "was fitted to too few windows; give it more data, or a lower order."
            ) from None
        rows = whole if there.all() else (present == there).all(1)
        white = np.linalg.solve(root, residuals[rows][:, there].T)
        log_det = 2 * np.log(np.diagonal(root)).sum()
        densities[rows] = -(len(root) * math.log(2 * math.pi) + log_det + (white**2).sum(0)) / 2
    return densities
