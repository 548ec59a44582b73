"""Named variances: noise covariances with known patterns and a few unknown scale factors."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from elman.classical.checks import positive_definite
from elman.classical.lds.matrices import Matrices
from elman.representation import brief_fields


@brief_fields
class Variance(NamedTuple):
    """One part of a noise covariance: `value` times `pattern`.

    Example:
        >>> Variance("level", "Q", np.array([[1.0, 0.0], [0.0, 0.0]])).value is None
        True
    """

    name: str
    of: str  # Q or R
    pattern: np.ndarray  # [n, n] or [m, m], positive semidefinite
    value: float | None = None  # None: unknown, to be fitted


def check_variances(where: str, variances: Sequence[Variance], n: int, m: int) -> tuple[Variance, ...]:
    """Return the variances of a system with n states and m outputs, checked.

    Raises:
        TypeError, ValueError: a variance has the wrong type or shape, is negative, or two have the same name.
    """
    checked: list[Variance] = []
    for one in variances:
        if not isinstance(one, Variance) or one.of not in ("Q", "R"):
            raise TypeError(f"{where}: expected each of variances to be a Variance of Q or R, got {one!r:.80}.")
        if one.name in [other.name for other in checked]:
            raise ValueError(f"{where}: expected variances with different names, got {one.name} twice; rename one of "
                             "them, as in local_level(name='drift').")  # fmt: skip
        size = n if one.of == "Q" else m
        pattern = positive_definite(where, f"the pattern of {one.name}", one.pattern, f"n={size} n={size}", semi=True)
        value = None if one.value is None else check_value(where, one.name, one.value)
        checked.append(Variance(str(one.name), one.of, (pattern + pattern.T) / 2, value))
    return tuple(checked)


def check_value(where: str, name: str, value: Any) -> float:
    """Return a variance as a float; raise unless it is finite and at least 0."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError(f"{where}: expected {name} to be a number, got {type(value).__name__}.")
    if not 0 <= value < math.inf:
        raise ValueError(f"{where}: expected {name} to be a finite variance of at least 0, got {value}.")
    return float(value)


def composed(matrices: Matrices, variances: Sequence[Variance], values: Mapping[str, float]) -> Matrices:
    """Return the matrices with all variances added to Q and R."""
    parts = {"Q": matrices.Q, "R": matrices.R}
    for one in variances:
        parts[one.of] = parts[one.of] + values[one.name] * one.pattern
    return matrices._replace(**parts)


def complete(
    where: str, matrices: Matrices, variances: Sequence[Variance], values: Mapping[str, float | None]
) -> Matrices:
    """Return the matrices with all variances added to Q and R.

    Raises:
        ValueError: a variance is unknown.
    """
    unknown = [name for name, value in values.items() if value is None]
    if unknown:
        raise ValueError(f"{where}: expected known variances, got none of {', '.join(unknown)}; call fit, or give "
                         "them, as in local_level(level=1.0, noise=2.0).")  # fmt: skip
    return composed(matrices, variances, {name: value or 0.0 for name, value in values.items()})


def padded(variances: Sequence[Variance], of: str, before: int, after: int) -> list[Variance]:
    """Return the variances of Q or R for a larger covariance, with coordinates added before and after."""
    return [one._replace(pattern=np.pad(one.pattern, (before, after))) if one.of == of else one for one in variances]
