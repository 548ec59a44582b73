"""Counts."""

from typing import Any

import numpy as np
from scipy.special import gammaln, xlogy

from elman.classical.hmm.emissions import tall
from elman.hmm.base import BaseHMM, Statistics
from elman.hmm.inputs import random_generator


class PoissonHMM(BaseHMM):
    """States that give counts, independent given the state.

    Args:
        lambdas_prior, lambdas_weight: shape and rate of a gamma distribution on the rates, in hmmlearn's formula
            (shape + n y) / (rate + n), where n is all steps of all states and y a state's mean; 0 and 0 are none.
        params, init_params: letters s, t, l (the rates).
        The others are those of `BaseHMM`.
    Shapes:
        X: [N, D] whole numbers of at least 0
    Attributes:
        lambdas_: [K, D] the rates.   startprob_, transmat_, monitor_, n_features.
    Raises:
        TypeError, ValueError: X, lengths, a setting or an attribute is not as it should be.
    Example:
        >>> model = PoissonHMM(2, random_state=0).fit([[0], [1], [0], [9], [8], [11]])
        >>> np.sort(model.lambdas_.ravel()).round(2)
        array([0.33, 9.33])
    """

    lambdas_: np.ndarray

    def __init__(
        self,
        n_components: int = 1,
        startprob_prior: Any = 1.0,
        transmat_prior: Any = 1.0,
        lambdas_prior: Any = 0.0,
        lambdas_weight: Any = 0.0,
        algorithm: str = "viterbi",
        random_state: Any = None,
        n_iter: int = 10,
        tol: float = 1e-2,
        verbose: bool = False,
        params: str = "stl",
        init_params: str = "stl",
        implementation: str = "log",
    ):
        super().__init__(n_components, startprob_prior, transmat_prior, algorithm, random_state, n_iter, tol, verbose,
                         params, init_params, implementation)  # fmt: skip
        self.lambdas_prior, self.lambdas_weight = lambdas_prior, lambdas_weight

    def _check_and_set_n_features(self, X: np.ndarray) -> None:
        super()._check_and_set_n_features(X)
        counts("PoissonHMM.fit", X)

    def _init(self, X: np.ndarray, lengths: Any = None) -> None:
        super()._init(X, lengths)
        generator = random_generator(self.random_state)
        if self._needs_init("l", "lambdas_"):
            mean, variance = X.mean(), X.var()
            size = (self.n_components, X.shape[1])
            constant = variance == 0 or mean == 0
            self.lambdas_ = (
                np.full(size, mean) if constant else generator.gamma(mean**2 / variance, variance / mean, size)
            )

    def _check(self) -> None:
        super()._check()
        self.lambdas_ = np.atleast_2d(getattr(self, "lambdas_", []))
        self.n_features = getattr(self, "n_features", self.lambdas_.shape[1])
        self.lambdas_ = self._parameter("lambdas_", (self.n_components, self.n_features))
        if (self.lambdas_ < 0).any():
            raise ValueError(f"PoissonHMM: expected lambdas_ of rates of at least 0, got {self.lambdas_.min():.6g}.")

    def _get_n_fit_scalars_per_param(self) -> dict[str, int]:
        states = self.n_components
        return {"s": states - 1, "t": states * (states - 1), "l": states * self.n_features}

    def _compute_log_likelihood(self, X: np.ndarray) -> np.ndarray:
        X = counts("PoissonHMM", X, self.n_features)
        constant = gammaln(X + 1).sum(1, keepdims=True)
        if (self.lambdas_ > 0).all():
            scores = np.empty((len(X), self.n_components))
            tall.product(X, np.log(self.lambdas_.T), out=scores)
            return scores - self.lambdas_.sum(1) - constant
        return xlogy(X[:, None], self.lambdas_).sum(2) - self.lambdas_.sum(1) - constant

    def _accumulate_sufficient_statistics(
        self,
        stats: Statistics,
        X: np.ndarray,
        lattice: np.ndarray,
        posteriors: np.ndarray,
        fwdlattice: Any,
        bwdlattice: Any,
    ) -> None:
        stats["post"] = posteriors.sum(0)
        stats["obs"] = tall.inner(posteriors, X)

    def _do_mstep(self, stats: Statistics) -> None:
        super()._do_mstep(stats)
        if "l" in self.params:
            steps, own = stats["post"].sum(), stats["post"][:, None]
            means = stats["obs"] / np.where(own > 0, own, 1)
            fitted = (self.lambdas_prior + steps * means) / (self.lambdas_weight + steps)
            self.lambdas_ = np.where(own > 0, fitted, self.lambdas_)

    def _generate_sample_from_state(self, state: int, random_state: np.random.RandomState) -> Any:
        return random_state.poisson(self.lambdas_[state])


def counts(where: str, X: np.ndarray, features: int | None = None) -> np.ndarray:
    """X as float64, if it holds whole numbers of at least 0."""
    if features is not None and X.shape[1] != features:
        raise ValueError(f"{where}: expected X of shape [N, D={features}], got {list(X.shape)}.")
    X = X.astype(np.float64)
    wrong = (X < 0) | (np.floor(X) != X)
    if wrong.any():
        raise ValueError(f"{where}: expected X of counts, whole numbers of at least 0, got {X[wrong][0]:.6g} at "
                         f"{np.argwhere(wrong)[0].tolist()}.")  # fmt: skip
    return X
