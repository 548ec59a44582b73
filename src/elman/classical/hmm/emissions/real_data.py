"""Real observations as the Gaussian emissions read them: centred, and with what is computed of them once."""

from functools import cached_property
from typing import NamedTuple

import numpy as np

FEW = 8  # coordinates, up to which all their products are kept


class Pattern(NamedTuple):
    """The steps at which the same coordinates are observed."""

    steps: np.ndarray  # [n]
    seen: np.ndarray  # [d] coordinates
    missing: np.ndarray  # [D - d] coordinates


class RealData:
    """Observations [N, D], NaN where one is missing, and the input [N, U] that drives them, or None.

    Attributes:
        x: [N, D] observations less `centre`, 0 where one is missing.
        seen: [N, D] 1.0 where one is observed, else 0.0; None where nothing is missing.
    """

    def __init__(self, values: np.ndarray, u: np.ndarray | None, centre: np.ndarray | None = None):
        values = np.asfortranarray(values)  # a coordinate after another: NumPy is slow along short rows
        self.values, self.u = values, u
        self.seen = None
        if np.isnan(values.sum()):  # a sum makes no array of N
            self.seen = (~np.isnan(values)).astype(np.float64, order="F")
        if centre is None:  # a coordinate that is never observed is at 0
            count = len(values) if self.seen is None else self.seen.sum(0)
            centre = np.nansum(values, 0) / np.maximum(count, 1)
        self.centre = centre
        self.x = values - centre
        if self.seen is not None:
            self.x[self.seen == 0] = 0.0

    @cached_property
    def reach(self) -> np.ndarray:
        """[D] the farthest observation from the centre."""
        return np.abs(self.x).max(0, initial=0.0)

    @cached_property
    def squares(self) -> np.ndarray:
        """[N, F] what the log-density of a diagonal Gaussian is linear in: (1, x, x^2), or each where it is seen."""
        steps, size = self.x.shape
        ones = 1 if self.seen is None else size
        features = np.empty((steps, ones + 2 * size), order="F")
        features[:, :ones] = 1.0 if self.seen is None else self.seen
        features[:, ones : ones + size] = self.x
        np.multiply(self.x, self.x, out=features[:, ones + size :])
        return features

    @cached_property
    def products(self) -> np.ndarray | None:
        """[N, F] the same for a full covariance: (1, x, x_d x_e), d <= e; None where one is missing, or D > `FEW`."""
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
        """[N, 1 + U] what a mean is linear in."""
        ones = np.ones((len(self.x), 1))
        return ones if self.u is None else np.hstack([ones, self.u])

    @cached_property
    def patterns(self) -> list[Pattern]:
        """The steps by what is observed at them; steps at which nothing is are left out."""
        size = self.x.shape[1]
        if self.seen is None:
            return [Pattern(np.arange(len(self.x)), np.arange(size), np.arange(0))]
        if size < 60:  # a pattern is a number: sorting those is faster than sorting rows
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
