"""Named variances: noise covariances that are known but for a few numbers."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from elman.classical.checks import positive_definite
from elman.classical.lds.matrices import Matrices


class Variance(NamedTuple):
    """A number that times `pattern` is a part of a noise covariance.

    Example:
        >>> Variance("level", "Q", np.array([[1.0, 0.0], [0.0, 0.0]])).value is None
        True
    """

    name: str
    of: str  # Q or R
    pattern: np.ndarray  # [n, n] or [m, m], positive semidefinite
    value: float | None = None  # None: not known, to be fitted


def check_variances(where: str, variances: Sequence[Variance], n: int, m: int) -> tuple[Variance, ...]:
    """Variances of different names, at least 0, for the matrices of a system.

    Raises:
        TypeError, ValueError: they are something else; which one is named.
    """
    checked: list[Variance] = []
    for one in variances:
        if not isinstance(one, Variance) or one.of not in ("Q", "R"):
            raise TypeError(f"{where}: expected each of variances to be a Variance of Q or R, got {one!r:.80}.")
        if one.name in [other.name for other in checked]:
            raise ValueError(f"{where}: expected variances of different names, got two of {one.name}; give one of them "
                             "another, as in local_level(name='drift').")  # fmt: skip
        size = n if one.of == "Q" else m
        pattern = positive_definite(where, f"the pattern of {one.name}", one.pattern, f"n={size} n={size}", semi=True)
        value = None if one.value is None else check_value(where, one.name, one.value)
        checked.append(Variance(str(one.name), one.of, (pattern + pattern.T) / 2, value))
    return tuple(checked)


def check_value(where: str, name: str, value: Any) -> float:
    """A variance: finite, and at least 0."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError(f"{where}: expected {name} to be a number, got {type(value).__name__}.")
    if not 0 <= value < math.inf:
        raise ValueError(f"{where}: expected {name} to be a finite variance of at least 0, got {value}.")
    return float(value)


def composed(matrices: Matrices, variances: Sequence[Variance], values: Mapping[str, float]) -> Matrices:
    """The matrices with every variance in its place."""
    parts = {"Q": matrices.Q, "R": matrices.R}
    for one in variances:
        parts[one.of] = parts[one.of] + values[one.name] * one.pattern
    return matrices._replace(**parts)


def padded(variances: Sequence[Variance], of: str, before: int, after: int) -> list[Variance]:
    """The same variances in a larger covariance, with so many coordinates before and after."""
    return [one._replace(pattern=np.pad(one.pattern, (before, after))) if one.of == of else one for one in variances]
