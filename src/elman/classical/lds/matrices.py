"""The matrices of a linear dynamical system, and how its state starts."""

from typing import Any, NamedTuple

import numpy as np

from elman.classical.checks import positive_definite, reals
from elman.kernels.kalman import Prediction

STARTS = ("diffuse", "stationary")


class Matrices(NamedTuple):
    """x[t] = H s[t] + D u[t] + noise(R);  s[t+1] = F s[t] + B u[t] + noise(Q). U is 0 where nothing drives."""

    F: np.ndarray  # [n, n]
    H: np.ndarray  # [m, n]
    Q: np.ndarray  # [n, n]
    R: np.ndarray  # [m, m]
    B: np.ndarray  # [n, U]
    D: np.ndarray  # [m, U]


def check_matrices(where: str, F: Any, H: Any, Q: Any, R: Any, B: Any, D: Any) -> Matrices:
    """Matrices that agree; Q, R, B and D may be None, for zeros.

    Raises:
        TypeError: one is not of float64.
        ValueError: shapes do not agree, numbers are not finite, or a covariance is not one: which is named.
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
    """A covariance, singular or not, exactly symmetric."""
    array = positive_definite(where, name, array, f"n={size} n={size}", semi=True)
    return (array + array.T) / 2


def check_start(where: str, start: Any, n: int) -> str | Prediction:
    """`diffuse`, `stationary`, or the mean [n] and covariance [n, n] of the first state, and its diffuse part.

    Raises:
        TypeError, ValueError: it is something else.
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
    """What is known of the first state, leaves without rows.

    Raises:
        ValueError: a stationary start, and a transition that keeps no distribution.
    """
    if isinstance(start, Prediction):
        return start
    n = len(matrices.F)
    zeros = np.zeros((n, n))
    if start == "diffuse":
        return Prediction(np.zeros(n), zeros, np.eye(n))
    return Prediction(np.zeros(n), stationary_covariance(where, matrices.F, matrices.Q), zeros)


def stationary_covariance(where: str, F: np.ndarray, Q: np.ndarray) -> np.ndarray:
    """P = F P F' + Q, by doubling: the sum of k steps gives that of 2k (Smith 1968).

    Raises:
        ValueError: F has an eigenvalue of 1 or beyond.
    Example:
        >>> stationary_covariance("LDS", np.array([[0.5]]), np.array([[3.0]])).round(6)
        array([[4.]])
    """
    radius = np.abs(np.linalg.eigvals(F)).max()
    if not radius < 1:
        raise ValueError(f"{where}: expected an F whose eigenvalues lie within 1 for a stationary start, got one of "
                         f"{radius:.6g}; use start='diffuse'.")  # fmt: skip
    power, total = F, Q
    while True:
        more = power @ total @ power.T
        total, power = total + more, power @ power
        if np.abs(more).max() <= 1e-17 * np.abs(total).max():
            return (total + total.T) / 2


def block_diagonal(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """[[one, 0], [0, other]]"""
    both = np.zeros((one.shape[0] + other.shape[0], one.shape[1] + other.shape[1]))
    both[: one.shape[0], : one.shape[1]], both[one.shape[0] :, one.shape[1] :] = one, other
    return both
