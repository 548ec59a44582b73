"""One Gaussian a state."""

from typing import Any

import numpy as np

from elman.classical.hmm.emissions.emission import DEAD
from elman.classical.hmm.emissions.real_data import RealData
from elman.hmm import covars as covariances
from elman.hmm.covars import COVARIANCE_TYPES, is_diagonal
from elman.hmm.inputs import one_of, random_generator
from elman.hmm.k_means import start_means
from elman.hmm.real import RealHMM, Statistics


class GaussianHMM(RealHMM):
    """States that each give a Gaussian.

    Args:
        covariance_type: "spherical", "diag", "full", or "tied" (one covariance for all states).
        min_covar: added to the variances that EM starts from.
        means_prior, means_weight: mean of a normal distribution on the means, and the observations it counts for.
        covars_prior, covars_weight: of an inverse gamma (spherical, diag) or inverse Wishart distribution on the
            covariances, in hmmlearn's formulas: a number as covars_prior is added to every entry of a full matrix.
        params, init_params: letters s, t, m (means), c (covariances).
        The others are those of `BaseHMM`.
    Shapes:
        X: [N, D] finite real numbers
    Attributes:
        means_: [K, D].   startprob_, transmat_, monitor_, n_features.
        covars_: [K, D, D] of every type; it is set as [K] spherical, [K, D] diag, [K, D, D] full, [D, D] tied.
    Raises:
        TypeError, ValueError: X, lengths, a setting or an attribute is not as it should be.
    Example:
        >>> X = np.array([[0.0], [0.1], [-0.1], [9.0], [9.1], [8.9]])
        >>> model = GaussianHMM(2, random_state=0).fit(X)
        >>> np.sort(model.means_.ravel()).round(2)
        array([0., 9.])
    """

    def __init__(
        self,
        n_components: int = 1,
        covariance_type: str = "diag",
        min_covar: float = 1e-3,
        startprob_prior: Any = 1.0,
        transmat_prior: Any = 1.0,
        means_prior: Any = 0,
        means_weight: Any = 0,
        covars_prior: Any = 1e-2,
        covars_weight: Any = 1,
        algorithm: str = "viterbi",
        random_state: Any = None,
        n_iter: int = 10,
        tol: float = 1e-2,
        verbose: bool = False,
        params: str = "stmc",
        init_params: str = "stmc",
        implementation: str = "log",
    ):
        super().__init__(n_components, startprob_prior, transmat_prior, algorithm, random_state, n_iter, tol, verbose,
                         params, init_params, implementation)  # fmt: skip
        self.covariance_type, self.min_covar = covariance_type, min_covar
        self.means_prior, self.means_weight = means_prior, means_weight
        self.covars_prior, self.covars_weight = covars_prior, covars_weight

    @property
    def covars_(self) -> np.ndarray:
        """[K, D, D] the covariance of each state."""
        if is_diagonal(self.covariance_type):
            return self._each()[:, :, None] * np.eye(self._size())
        return self._each().copy()

    @covars_.setter
    def covars_(self, covars: Any) -> None:
        kind = one_of("GaussianHMM", "covariance_type", self.covariance_type, COVARIANCE_TYPES)
        self._covars_ = covariances.stored_covars(covars, kind, self.n_components)

    def _each(self) -> np.ndarray:
        """Variances [K, D] or covariances [K, D, D] of each state."""
        if self.covariance_type == "spherical":
            return np.repeat(self._covars_[:, None], self._size(), axis=1)
        if self.covariance_type == "tied":
            return np.tile(self._covars_, (self.n_components, 1, 1))
        return self._covars_

    def _size(self) -> int:
        return int(getattr(self, "n_features", 0) or np.shape(self.means_)[1])

    def _init(self, X: np.ndarray, lengths: Any = None) -> None:
        super()._init(X, lengths)
        if self._needs_init("m", "means_"):
            self.means_ = start_means("GaussianHMM.fit", X, self.n_components, random_generator(self.random_state))
        if self._needs_init("c", "_covars_"):
            of_all, states = covariances.covars_of_all(X, self.min_covar), self.n_components
            self.covars_ = {
                "spherical": np.full(states, of_all.mean()),
                "diag": np.tile(np.diag(of_all), (states, 1)),
                "full": np.tile(of_all, (states, 1, 1)),
                "tied": of_all,
            }[self.covariance_type]

    def _check(self) -> None:
        super()._check()
        self.n_features = self._width("means_", 2)
        self.means_ = self._parameter("means_", (self.n_components, self.n_features))
        states, features = self.n_components, self.n_features
        self._parameter("_covars_", {
            "spherical": (states,), "diag": (states, features), "full": (states, features, features),
            "tied": (features, features),
        }[self.covariance_type])  # fmt: skip

    def _get_n_fit_scalars_per_param(self) -> dict[str, int]:
        states, features = self.n_components, self.n_features
        one = features * (features + 1) // 2
        covars = {"spherical": states, "diag": states * features, "full": states * one, "tied": one}
        return {"s": states - 1, "t": states * (states - 1), "m": states * features,
                "c": covars[self.covariance_type]}  # fmt: skip

    def _log_density(self, data: RealData) -> np.ndarray:
        return covariances.log_density(data, self.means_, self.covariance_type, self._each())

    def _accumulate_sufficient_statistics(
        self,
        stats: Statistics,
        X: np.ndarray,
        lattice: np.ndarray,
        posteriors: np.ndarray,
        fwdlattice: Any,
        bwdlattice: Any,
    ) -> None:
        found = self._moments(self._data(X), posteriors, self.means_)
        stats["post"] = posteriors.sum(0)
        stats["means"], stats["scatter"] = found.means, found.scatter  # of each state's own observations

    def _do_mstep(self, stats: Statistics) -> None:
        super()._do_mstep(stats)
        if "m" in self.params:
            self._update_means(stats)
        if "c" in self.params:
            self._update_covars(stats)

    def _update_means(self, stats: Statistics) -> None:
        steps, prior, weight = stats["post"][:, None], np.asarray(self.means_prior), np.asarray(self.means_weight)
        self.means_ = quotient(weight * prior + steps * stats["means"], weight + steps, self.means_)

    def _update_covars(self, stats: Statistics) -> None:
        steps, scatter, weight = stats["post"], stats["scatter"], np.asarray(self.means_weight)
        away, moved = self.means_ - np.asarray(self.means_prior), self.means_ - stats["means"]
        if is_diagonal(self.covariance_type):
            above = self.covars_prior + weight * away**2 + scatter + steps[:, None] * moved**2
            below = (np.maximum(self.covars_weight - 1, 0) + steps)[:, None]
            below = np.where(below >= DEAD, np.maximum(below, 1e-5), 0)
            if self.covariance_type == "spherical":
                above, below = above.mean(1), below[:, 0]
            self._covars_ = quotient(above, below, self._covars_)
            return
        above = scatter + weight * outer(away) + steps[:, None, None] * outer(moved)
        extra = max(self.covars_weight - self.n_features, 0)
        if self.covariance_type == "tied":
            self._covars_ = (self.covars_prior + above.sum(0)) / (extra + steps.sum())
        else:
            self._covars_ = quotient(self.covars_prior + above, extra + steps[:, None, None], self._covars_)

    def _generate_sample_from_state(self, state: int, random_state: np.random.RandomState) -> Any:
        covars = self._each()[state]
        if is_diagonal(self.covariance_type):
            covars = np.diag(covars)
        return self._draw(state, self.means_[state], covars, random_state)


def quotient(above: np.ndarray, below: np.ndarray, old: np.ndarray) -> np.ndarray:
    """above / below, and the old numbers where next to nothing was observed."""
    alive = below >= DEAD
    return np.where(alive, above / np.where(alive, below, 1), old)


def outer(x: np.ndarray) -> np.ndarray:
    """[..., D] -> [..., D, D]."""
    return x[..., :, None] * x[..., None, :]
