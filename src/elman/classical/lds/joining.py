"""Composition of systems, whose outputs are added or stacked."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from elman.classical.lds.matrices import Matrices, block_diagonal, first_state
from elman.classical.lds.variances import Variance, complete, padded
from elman.kernels.kalman import Prediction


class Parts(NamedTuple):
    """Arguments of an LDS."""

    matrices: Matrices
    start: str | Prediction
    variances: Sequence[Variance]
    square_root: bool

    def first(self, where: str) -> Prediction:
        """Return the distribution of the first state."""
        matrices = self.matrices
        if self.start == "stationary":
            matrices = complete(where, matrices, self.variances, {one.name: one.value for one in self.variances})
        return first_state(where, self.start, matrices)


def joined(where: str, one: Parts, other: Parts, stacked: bool) -> Parts:
    """Return a system with the states of both, whose outputs are added, or stacked.

    Raises:
        ValueError: the numbers of outputs or of driving inputs do not fit.
    """
    a, b = one.matrices, other.matrices
    (m, n), (m2, n2) = a.H.shape, b.H.shape
    if not stacked and m != m2:
        raise ValueError(f"{where}: expected models with the same number of outputs, got {m} and {m2}; use stack for "
                         "independent outputs.")  # fmt: skip
    widths = {matrices.B.shape[1] for matrices in (a, b)} - {0}
    if len(widths) > 1:
        raise ValueError(f"{where}: expected models with one driving input, got widths "
                         f"{' and '.join(map(str, widths))}.")  # fmt: skip
    width = max(widths, default=0)
    (B, D), (B2, D2) = (
        [leaf if leaf.shape[1] else np.zeros((len(leaf), width)) for leaf in (matrices.B, matrices.D)]
        for matrices in (a, b)
    )
    first, second = padded(one.variances, "Q", 0, n2), padded(other.variances, "Q", n, 0)
    independent = [*padded(first, "R", 0, m2), *padded(second, "R", m, 0)]
    variances = independent if stacked else one_noise([*first, *second])
    matrices = Matrices(
        F=block_diagonal(a.F, b.F),
        H=block_diagonal(a.H, b.H) if stacked else np.hstack([a.H, b.H]),
        Q=block_diagonal(a.Q, b.Q),
        R=block_diagonal(a.R, b.R) if stacked else a.R + b.R,
        B=np.vstack([B, B2]),
        D=np.vstack([D, D2]) if stacked else D + D2,
    )
    return Parts(matrices, joined_start(where, one, other), variances, one.square_root or other.square_root)


def joined_start(where: str, one: Parts, other: Parts) -> str | Prediction:
    """Return the joint start: the name that both have in common, or the product of both distributions."""
    if isinstance(one.start, str) and isinstance(other.start, str) and one.start == other.start:
        return one.start
    first, second = one.first(where), other.first(where)
    return Prediction(np.concatenate([first.mean, second.mean]), block_diagonal(first.cov, second.cov),
                      block_diagonal(first.diffuse, second.diffuse))  # fmt: skip


def one_noise(variances: Sequence[Variance]) -> list[Variance]:
    """Merge observation noises with equal patterns under the name of the first; the sum of their values, if known."""
    merged: list[Variance] = []
    for one in variances:
        at = [
            number
            for number, other in enumerate(merged)
            if one.of == other.of == "R" and np.array_equal(one.pattern, other.pattern)
        ]
        if at:
            values = (merged[at[0]].value, one.value)
            known = None if None in values else sum(value for value in values if value is not None)
            merged[at[0]] = merged[at[0]]._replace(value=known)
        else:
            merged.append(one)
    return merged
