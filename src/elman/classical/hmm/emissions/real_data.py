"""Real observations for the Gaussian emissions: centred, with features that are computed once."""

from functools import cached_property
from typing import NamedTuple

import numpy as np

FEW = 8  # largest number of coordinates for which all products are stored


class Pattern(NamedTuple):
    """Steps with the same observed coordinates."""

    steps: np.ndarray  # [n]
    seen: np.ndarray  # [d] coordinates
    missing: np.ndarray  # [D - d] coordinates


class RealData:
    """Observations [N, D], NaN where missing, and a driving input [N, U] or None.

    Attributes:
        x: [N, D] observations minus `centre`, 0 where missing.
        seen: [N, D] 1.0 where observed, else 0.0; None if nothing is missing.
    """

    def __init__(self, values: np.ndarray, u: np.ndarray | None, centre: np.ndarray | None = None):
        values = np.asfortranarray(values)  # column-major: NumPy is slow along short rows
        self.values, self.u = values, u
        self.seen = None
        if np.isnan(values.sum()):  # a sum needs no temporary array
            self.seen = (~np.isnan(values)).astype(np.float64, order="F")
        if centre is None:  # 0 for a coordinate that is never observed
            count = len(values) if self.seen is None else self.seen.sum(0)
            centre = np.nansum(values, 0) / np.maximum(count, 1)
        self.centre = centre
        self.x = values - centre
        if self.seen is not None:
            self.x[self.seen == 0] = 0.0

    @cached_property
    def reach(self) -> np.ndarray:
        """Largest distance from the centre, [D]."""
        return np.abs(self.x).max(0, initial=0.0)

    @cached_property
    def squares(self) -> np.ndarray:
        """Features [N, F] in which the log-density of a diagonal Gaussian is linear: (1, x, x^2), 0 where missing."""
        steps, size = self.x.shape
        ones = 1 if self.seen is None else size
        features = np.empty((steps, ones + 2 * size), order="F")
        features[:, :ones] = 1.0 if self.seen is None else self.seen
        features[:, ones : ones + size] = self.x
        np.multiply(self.x, self.x, out=features[:, ones + size :])
        return features

    @cached_property
    def products(self) -> np.ndarray | None:
        """Features [N, F] for full covariances: (1, x, x_d x_e), d <= e; None with missing values or D > `FEW`."""
        steps, size = self.x.shape
        if self.seen is not None or size > FEW:
            return None
        first, second = np.triu_indices(size)
        features = np.empty((steps, 1 + size + len(first)), order="F")
        features[:, 0] = 1.0
        features[:, 1 : 1 + size] = self.x
        for f, (d, e) in enumerate(zip(first, second, strict=True), start=1 + size):
            np.multiply(self.x[:, d], self.x[:, e], out=features[:, f])
        return features

    @cached_property
    def design(self) -> np.ndarray:
        """Design matrix of the means, [N, 1 + U]."""
        ones = np.ones((len(self.x), 1))
        return ones if self.u is None else np.hstack([ones, self.u])

    @cached_property
    def patterns(self) -> list[Pattern]:
        """Steps by their observed coordinates; steps without observations are left out."""
        size = self.x.shape[1]
        if self.seen is None:
            return [Pattern(np.arange(len(self.x)), np.arange(size), np.arange(0))]
        if size < 60:  # a pattern as a number: sorting numbers is faster than sorting rows
            _, first, kind = np.unique(self.seen @ 2.0 ** np.arange(size), return_index=True, return_inverse=True)
            kinds = self.seen[first] > 0
        else:
            kinds, kind = np.unique(self.seen > 0, axis=0, return_inverse=True)
        kind = kind.reshape(-1)
        order = np.argsort(kind, kind="stable")
        parts = np.split(order, np.cumsum(np.bincount(kind, minlength=len(kinds)))[:-1])
        return [
            Pattern(steps, np.flatnonzero(seen), np.flatnonzero(~seen))
            for steps, seen in zip(parts, kinds, strict=True)
            if seen.any()
        ]
