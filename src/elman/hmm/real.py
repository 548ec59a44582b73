"""What the models of real numbers share: observations read once for all of EM."""

from typing import Any, Self

import numpy as np

from elman.classical.hmm.emissions import moments
from elman.classical.hmm.emissions.moments import MeanPrior, Moments
from elman.classical.hmm.emissions.real_data import RealData
from elman.hmm.base import BaseHMM, Statistics
from elman.hmm.covars import COVARIANCE_TYPES, is_diagonal
from elman.hmm.inputs import one_of

__all__ = ["RealHMM", "Statistics"]


class RealHMM(BaseHMM):
    """A model whose states give Gaussians, or mixtures of them."""

    covariance_type: str
    means_: np.ndarray
    _read: tuple[np.ndarray, RealData] | None = None  # what `fit` is fitted to, while it runs

    def fit(self, X: Any, lengths: Any = None) -> Self:
        """Initialise what `init_params` names, and improve what `params` names by EM."""
        try:
            return super().fit(X, lengths)
        finally:
            for name in ("_read", "_joint"):
                self.__dict__.pop(name, None)

    def sample(self, n_samples: int = 1, random_state: Any = None, currstate: int | None = None) -> tuple[Any, Any]:
        """A row of `n_samples` steps drawn from the model, [n, D], and its states [n]; it begins in `currstate`."""
        self._factors: dict[Any, np.ndarray] = {}
        try:
            return super().sample(n_samples, random_state, currstate)
        finally:
            del self._factors

    def _draw(self, which: Any, mean: np.ndarray, covars: np.ndarray, generator: np.random.RandomState) -> np.ndarray:
        """As `generator.multivariate_normal` draws [D]; the factor of each Gaussian is made once a row."""
        factors = self.__dict__.get("_factors", {})
        if which not in factors:
            _, variances, directions = np.linalg.svd(covars)
            factors[which] = np.sqrt(variances)[:, None] * directions
        return generator.standard_normal(len(mean)) @ factors[which] + mean

    def _do_estep(self, X: np.ndarray, lengths: Any) -> tuple[Statistics, float]:
        if self._read is None or self._read[0] is not X:
            self._read = X, self._data(X)
        return super()._do_estep(X, lengths)

    def _data(self, X: np.ndarray) -> RealData:
        if self._read is not None and self._read[0] is X:
            return self._read[1]
        return RealData(X.astype(np.float64), None)

    def _check(self) -> None:
        super()._check()
        one_of(type(self).__name__, "covariance_type", self.covariance_type, COVARIANCE_TYPES)

    def _init(self, X: np.ndarray, lengths: Any = None) -> None:
        one_of(type(self).__name__, "covariance_type", self.covariance_type, COVARIANCE_TYPES)
        super()._init(X, lengths)

    def _width(self, name: str, axes: int) -> int:
        """D of an attribute [..., D]."""
        shape = np.shape(getattr(self, name, []))
        if len(shape) != axes:
            raise ValueError(f"{type(self).__name__}: expected {name} of {axes} axes, got shape {list(shape)}; "
                             "call fit, or set it.")  # fmt: skip
        return int(shape[-1])

    def _compute_log_likelihood(self, X: np.ndarray) -> np.ndarray:
        if X.shape[1] != self.n_features:
            raise ValueError(
                f"{type(self).__name__}: expected X of shape [N, D={self.n_features}], got {list(X.shape)}."
            )
        return self._log_density(self._data(X))

    def _moments(self, data: RealData, weights: np.ndarray, means: np.ndarray) -> Moments:
        """The weighted means of all steps, and the scatter about them: weights [N, C], means [C, D]."""
        size = means.shape[1]
        none = MeanPrior(np.zeros(size), 0.0)
        if is_diagonal(self.covariance_type):
            return moments.diagonal(data, weights, means, None, none)
        return moments.full(data, weights, means, None, np.eye(size)[None], none)

    def _log_density(self, data: RealData) -> np.ndarray:
        """log p(x | state) [N, K]."""
        raise NotImplementedError(f"{type(self).__name__} has no _log_density")
