"""Covariances as hmmlearn stores them, by `covariance_type`, and as densities need them."""

import numpy as np

from elman.classical.hmm.emissions import densities
from elman.classical.hmm.emissions.real_data import RealData

COVARIANCE_TYPES = frozenset(("spherical", "diag", "full", "tied"))
LOWEST = np.finfo(np.float64).tiny  # a variance of zero counts as this
JITTER = 1e-7  # added to the variances of a matrix that is only just not positive definite


def is_diagonal(kind: str) -> bool:
    """Whether features are independent given the state."""
    return kind in ("spherical", "diag")


def log_density(data: RealData, means: np.ndarray, kind: str, covars: np.ndarray) -> np.ndarray:
    """[N, C] of Gaussians of means [C, D] and variances [C, D] (`spherical`, `diag`) or covariances [C, D, D]."""
    with np.errstate(over="ignore"):
        if is_diagonal(kind):
            return densities.diagonal(data, means, None, np.maximum(covars, LOWEST))
        return densities.full(data, means, None, definite(covars))


def definite(covars: np.ndarray) -> np.ndarray:
    """Covariances [C, D, D], each positive definite, if need be with a little more variance.

    Raises:
        ValueError: one is not, and lacks more than that.
    """
    try:
        np.linalg.cholesky(covars)
    except np.linalg.LinAlgError:
        return np.stack([raised(matrix, number) for number, matrix in enumerate(covars)])
    return covars


def raised(matrix: np.ndarray, number: int) -> np.ndarray:
    """The matrix [D, D], or the first with more variance that has a Cholesky factor."""
    for more in (0.0, JITTER, JITTER * matrix.trace()):
        try:
            np.linalg.cholesky(matrix + more * np.eye(len(matrix)))
        except np.linalg.LinAlgError:
            continue
        return matrix + more * np.eye(len(matrix))
    lowest = np.linalg.eigvalsh(matrix).min()
    raise ValueError(f"covars_: expected symmetric, positive definite matrices, got eigenvalue {lowest:.6g} in "
                     f"matrix {number}.")  # fmt: skip


def check_covars(name: str, covars: np.ndarray, semi: bool = False) -> None:
    """Raise unless matrices [C, D, D] are symmetric and positive definite (with `semi`, or singular)."""
    for number, matrix in enumerate(covars):
        if not np.isfinite(matrix).all() or not np.allclose(matrix, matrix.T):
            raise ValueError(f"{name}: expected symmetric matrices of finite numbers, got another: matrix {number}.")
        lowest = np.linalg.eigvalsh(matrix).min()
        if lowest <= (-1e-10 * np.abs(matrix).max() if semi else 0) and not (semi and lowest == 0):
            raise ValueError(f"{name}: expected symmetric, positive definite matrices, got eigenvalue {lowest:.6g} in "
                             f"matrix {number}.")  # fmt: skip


def stored_covars(covars: np.ndarray, kind: str, states: int) -> np.ndarray:
    """What is set as the covars_ of single Gaussians, checked: [K], [K, D], [K, D, D] or, tied, [D, D].

    Raises:
        ValueError: another shape; variances not above 0; matrices not symmetric and positive definite.
    """
    shapes = {"spherical": f"[{states}]", "diag": "[K, D]", "full": "[K, D, D]", "tied": "[D, D]"}
    array = np.array(covars, np.float64)
    right = {
        "spherical": array.ndim >= 1 and len(array) == states and array.size >= states,
        "diag": array.ndim == 2,
        "full": array.ndim == 3 and array.shape[1] == array.shape[2],
        "tied": array.ndim == 2 and array.shape[0] == array.shape[1],
    }[kind]
    if right and kind == "spherical":
        array = array.reshape(states, -1)
        right, array = bool((array == array[:, :1]).all()), array[:, 0].copy()
    if not right:
        raise ValueError(f"covars_: expected {kind} ones of shape {shapes[kind]}, got {list(np.shape(covars))}.")
    if is_diagonal(kind):
        if not (array > 0).all() or not np.isfinite(array).all():
            raise ValueError(f"covars_: expected {kind} ones must be positive, got {array.min():.6g}.")
    else:
        check_covars("covars_", array if kind == "full" else array[None])
    return array


def covars_of_all(X: np.ndarray, floor: float) -> np.ndarray:
    """[D, D] the covariance of all steps, and `floor` more variance."""
    features = X.shape[1]
    covars = np.cov(X.T) if len(X) > 1 else np.zeros((features, features))
    return np.atleast_2d(covars) + floor * np.eye(features)
