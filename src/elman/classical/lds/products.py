"""Products with a matrix at every step, which are one product where the matrix is one for all."""

import numpy as np


def same(matrices: np.ndarray) -> bool:
    """Whether an array [N, ...] is one entry N times over, as `np.broadcast_to` makes it."""
    return matrices.ndim > 2 and len(matrices) > 0 and matrices.strides[0] == 0


def multiply(matrices: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """A s of each step, [N, a, b] times [N, b].

    Example:
        >>> multiply(np.broadcast_to(2 * np.eye(2), (3, 2, 2)), np.ones((3, 2)))[0]
        array([2., 2.])
    """
    product: np.ndarray = vectors @ matrices[0].T if same(matrices) else (matrices @ vectors[..., None])[..., 0]
    return product


def through(matrices: np.ndarray, covs: np.ndarray) -> np.ndarray:
    """A P A' of each step."""
    if not same(matrices):
        product: np.ndarray = matrices @ covs @ matrices.swapaxes(-1, -2)
        return product
    one, (steps, n, _) = matrices[0], covs.shape
    if n == 1:
        return one @ one.T * covs
    weights = np.einsum("ij,kl->jlik", one, one).reshape(n * n, -1)  # P as a vector
    return (covs.reshape(steps, n * n) @ weights).reshape(steps, len(one), len(one))
