"""Matrices of a linear dynamical system, its initial state, and products of matrices with every step."""

from typing import Any, NamedTuple

import numpy as np

from elman.classical.checks import positive_definite, reals
from elman.kernels.kalman import Prediction
from elman.representation import brief_fields

STARTS = ("diffuse", "stationary")


@brief_fields
class Matrices(NamedTuple):
    """Matrices of x[t] = H s[t] + D u[t] + noise(R), s[t+1] = F s[t] + B u[t] + noise(Q). U is 0 without inputs."""

    F: np.ndarray  # [n, n]
    H: np.ndarray  # [m, n]
    Q: np.ndarray  # [n, n]
    R: np.ndarray  # [m, m]
    B: np.ndarray  # [n, U]
    D: np.ndarray  # [m, U]


def check_matrices(where: str, F: Any, H: Any, Q: Any, R: Any, B: Any, D: Any) -> Matrices:
    """Return the matrices of a system, checked; Q, R, B and D may be None, for zeros.

    Raises:
        TypeError: a matrix is not float64.
        ValueError: shapes do not agree, numbers are not finite, or Q or R is not a covariance.
    """
    F = reals(where, "F", F, "n n")
    n = len(F)
    F = reals(where, "F", F, f"n={n} n={n}")
    H = reals(where, "H", H, f"m n={n}")
    m = len(H)
    if not n or not m:
        raise ValueError(f"{where}: expected at least one state and one output, got n={n} and m={m}.")
    Q = np.zeros((n, n)) if Q is None else covariance(where, "Q", Q, n)
    R = np.zeros((m, m)) if R is None else covariance(where, "R", R, m)
    driven = B if B is not None else D
    inputs = 0 if driven is None else np.shape(driven)[-1]
    B = np.zeros((n, inputs)) if B is None else reals(where, "B", B, f"n={n} U={inputs}")
    D = np.zeros((m, inputs)) if D is None else reals(where, "D", D, f"m={m} U={inputs}")
    return Matrices(F, H, Q, R, B, D)


def covariance(where: str, name: str, array: Any, size: int) -> np.ndarray:
    """Return a covariance, which may be singular, made exactly symmetric."""
    array = positive_definite(where, name, array, f"n={size} n={size}", semi=True)
    return (array + array.T) / 2


def check_start(where: str, start: Any, n: int) -> str | Prediction:
    """Return the start, checked: `diffuse`, `stationary`, or mean [n], covariance [n, n] and diffuse part.

    Raises:
        TypeError, ValueError: the start is of another form.
    """
    if isinstance(start, str):
        if start not in STARTS:
            raise ValueError(f"{where}: expected start to be diffuse, stationary or (mean, cov), got {start!r}.")
        return start
    if not isinstance(start, tuple) or len(start) not in (2, 3):
        raise TypeError(f"{where}: expected start to be diffuse, stationary or (mean, cov), got "
                        f"{type(start).__name__}.")  # fmt: skip
    mean, cov, *rest = start
    diffuse = rest[0] if rest else np.zeros((n, n))
    return Prediction(reals(where, "the mean of the start", mean, f"n={n}"),
                      covariance(where, "the covariance of the start", cov, n),
                      covariance(where, "the diffuse part of the start", diffuse, n))  # fmt: skip


def first_state(where: str, start: str | Prediction, matrices: Matrices) -> Prediction:
    """Return the distribution of the first state, leaves without a row axis.

    Raises:
        ValueError: the start is stationary, and the transition has no stationary distribution.
    """
    if isinstance(start, Prediction):
        return start
    n = len(matrices.F)
    zeros = np.zeros((n, n))
    if start == "diffuse":
        return Prediction(np.zeros(n), zeros, np.eye(n))
    return Prediction(np.zeros(n), stationary_covariance(where, matrices.F, matrices.Q), zeros)


def stationary_covariance(where: str, F: np.ndarray, Q: np.ndarray) -> np.ndarray:
    """Solve P = F P F' + Q by doubling: the sum over k steps gives the sum over 2k (Smith 1968).

    Raises:
        ValueError: F has an eigenvalue of absolute value 1 or more.
    Example:
        >>> stationary_covariance("LDS", np.array([[0.5]]), np.array([[3.0]])).round(6)
        array([[4.]])
    """
    radius = np.abs(np.linalg.eigvals(F)).max()
    if not radius < 1:
        raise ValueError(f"{where}: expected an F whose eigenvalues lie within 1 for a stationary start, got one of "
                         f"absolute value {radius:.6g}; use start='diffuse'.")  # fmt: skip
    power, total = F, Q
    while True:
        more = power @ total @ power.T
        total, power = total + more, power @ power
        if np.abs(more).max() <= 1e-17 * np.abs(total).max():
            return (total + total.T) / 2


def block_diagonal(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return [[one, 0], [0, other]]."""
    both = np.zeros((one.shape[0] + other.shape[0], one.shape[1] + other.shape[1]))
    both[: one.shape[0], : one.shape[1]], both[one.shape[0] :, one.shape[1] :] = one, other
    return both


def is_constant(matrices: np.ndarray) -> bool:
    """Return whether an array [N, ...] is one entry repeated, as `np.broadcast_to` makes it."""
    return matrices.ndim > 2 and len(matrices) > 0 and matrices.strides[0] == 0


def multiply(matrices: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Return A s for every step, [N, a, b] times [N, b]; a constant A takes one product.

    Example:
        >>> multiply(np.broadcast_to(2 * np.eye(2), (3, 2, 2)), np.ones((3, 2)))[0]
        array([2., 2.])
    """
    product: np.ndarray = vectors @ matrices[0].T if is_constant(matrices) else (matrices @ vectors[..., None])[..., 0]
    return product


def propagate(matrices: np.ndarray, covs: np.ndarray) -> np.ndarray:
    """Return A P A' for every step; a constant A takes one product."""
    if not is_constant(matrices):
        product: np.ndarray = matrices @ covs @ matrices.swapaxes(-1, -2)
        return product
    one, (steps, n, _) = matrices[0], covs.shape
    if n == 1:
        return one @ one.T * covs
    weights = np.einsum("ij,kl->jlik", one, one).reshape(n * n, -1)  # for P as a vector
    return (covs.reshape(steps, n * n) @ weights).reshape(steps, len(one), len(one))
