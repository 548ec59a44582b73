"""A mixture of Gaussians a state."""

from typing import Any, NamedTuple

import numpy as np

from elman.classical.hmm.emissions.real_data import RealData
from elman.hmm import covars as covariances
from elman.hmm.covars import is_diagonal
from elman.hmm.gaussian import outer, quotient
from elman.hmm.inputs import random_generator
from elman.hmm.k_means import k_means
from elman.hmm.real import RealHMM, Statistics


class Priors(NamedTuple):
    """The priors of a mixture, each of full shape, with hmmlearn's defaults in place of None."""

    weights: np.ndarray  # [K, M]
    means: np.ndarray  # [K, M, D]
    means_weight: np.ndarray  # [K, M]
    covars: np.ndarray  # as covars_
    covars_weight: np.ndarray  # full [K, M], tied [K], diag [K, M, D], spherical [K, M]


class GMMHMM(RealHMM):
    """States that each give a mixture of Gaussians.

    Args:
        n_mix: M, the Gaussians of a state.
        min_covar: added to the variances that EM starts from.
        weights_prior: of Dirichlet distributions on the weights, [K, M] or one number; 1 is none.
        means_prior, means_weight: means [K, M, D] and weights [K, M] of normal distributions on the means.
        covars_prior, covars_weight: of inverse Wishart (full, tied) or inverse gamma distributions on the covariances,
            in hmmlearn's formulas; None is none.
        covariance_type: "spherical", "diag", "full", or "tied" (one covariance for the Gaussians of a state).
        params, init_params: letters s, t, m (means), c (covariances), w (weights).
        The others are those of `BaseHMM`.
    Shapes:
        X: [N, D] finite real numbers
    Attributes:
        weights_: [K, M].   means_: [K, M, D].   startprob_, transmat_, monitor_, n_features.
        covars_: spherical [K, M], diag [K, M, D], full [K, M, D, D], tied [K, D, D].
    Raises:
        TypeError, ValueError: X, lengths, a setting or an attribute is not as it should be.
    Example:
        >>> X = np.random.default_rng(0).normal(size=(50, 2))
        >>> model = GMMHMM(2, n_mix=2, random_state=0).fit(X)
        >>> model.means_.shape, model.covars_.shape
        ((2, 2, 2), (2, 2, 2))
    """

    weights_: np.ndarray
    covars_: np.ndarray

    def __init__(
        self,
        n_components: int = 1,
        n_mix: int = 1,
        min_covar: float = 1e-3,
        startprob_prior: Any = 1.0,
        transmat_prior: Any = 1.0,
        weights_prior: Any = 1.0,
        means_prior: Any = 0.0,
        means_weight: Any = 0.0,
        covars_prior: Any = None,
        covars_weight: Any = None,
        algorithm: str = "viterbi",
        covariance_type: str = "diag",
        random_state: Any = None,
        n_iter: int = 10,
        tol: float = 1e-2,
        verbose: bool = False,
        params: str = "stmcw",
        init_params: str = "stmcw",
        implementation: str = "log",
    ):
        super().__init__(n_components, startprob_prior, transmat_prior, algorithm, random_state, n_iter, tol, verbose,
                         params, init_params, implementation)  # fmt: skip
        self.covariance_type, self.min_covar, self.n_mix = covariance_type, min_covar, n_mix
        self.weights_prior, self.means_prior, self.means_weight = weights_prior, means_prior, means_weight
        self.covars_prior, self.covars_weight = covars_prior, covars_weight

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        """Of covars_, by covariance type."""
        states, mixed, features = self.n_components, self.n_mix, self.n_features
        return {"spherical": (states, mixed), "diag": (states, mixed, features),
                "full": (states, mixed, features, features), "tied": (states, features, features)}  # fmt: skip

    def _priors(self) -> Priors:
        kind, mixed, features = self.covariance_type, self.n_mix, self.n_features
        states, shape = self.n_components, self._shapes()[kind]
        prior, weight = {
            "full": (0.0, -(features + 2.0)),
            "tied": (0.0, -(mixed + features + 1.0)),
            "diag": (-1.5, 0.0),
            "spherical": (-(mixed + 2.0) / 2.0, 0.0),
        }[kind]
        prior = prior if self.covars_prior is None else self.covars_prior
        weight = weight if self.covars_weight is None else self.covars_weight
        of_weight = shape if is_diagonal(kind) else shape[:-2]
        try:
            return Priors(
                np.broadcast_to(self.weights_prior, (states, mixed)),
                np.broadcast_to(self.means_prior, (states, mixed, features)),
                np.broadcast_to(self.means_weight, (states, mixed)),
                np.broadcast_to(prior, shape),
                np.broadcast_to(weight, of_weight),
            )
        except ValueError as error:
            raise ValueError(f"GMMHMM: expected priors that fit the parameters: {error}.") from None

    def _init(self, X: np.ndarray, lengths: Any = None) -> None:
        super()._init(X, lengths)
        states, mixed = self.n_components, self.n_mix
        if self._needs_init("w", "weights_"):
            self.weights_ = np.full((states, mixed), 1 / mixed)
        of_all = covariances.covars_of_all(X, self.min_covar)
        if self._needs_init("m", "means_"):
            self.means_ = self._start_means(X, of_all)
        if self._needs_init("c", "covars_"):
            one = {"spherical": of_all.mean(), "diag": np.diag(of_all)}.get(self.covariance_type, of_all)
            self.covars_ = np.broadcast_to(one, self._shapes()[self.covariance_type]).copy()

    def _start_means(self, X: np.ndarray, of_all: np.ndarray) -> np.ndarray:
        """Clusters of X, and clusters of each; of a small one draws about the middle of X."""
        states, mixed = self.n_components, self.n_mix
        if len(X) < states:
            raise ValueError(
                f"GMMHMM.fit: expected at least as many observations as states, got {len(X)} for {states}."
            )
        X = X.astype(np.float64)
        clusters = k_means(X, states, random_generator(self.random_state))
        means = np.empty((states, mixed, X.shape[1]))
        for state in range(states):
            members, generator = X[clusters.labels == state], random_generator(self.random_state)
            if len(members) >= mixed:
                means[state] = k_means(members, mixed, generator).centres
            else:
                means[state] = generator.multivariate_normal(clusters.centres.mean(0), of_all, mixed)
        return means

    def _check(self) -> None:
        super()._check()
        if not hasattr(self, "n_features"):
            self.n_features = self._width("means_", 3)
        self._priors()
        states, mixed, features = self.n_components, self.n_mix, self.n_features
        self.weights_ = self._probabilities("weights_", (states, mixed))
        self.means_ = self._parameter("means_", (states, mixed, features))
        self.covars_ = self._parameter("covars_", self._shapes()[self.covariance_type])
        if not is_diagonal(self.covariance_type):
            covariances.check_covars("covars_", self.covars_.reshape(-1, features, features), semi=True)
        elif (self.covars_ < 0).any():
            raise ValueError(f"GMMHMM: expected covars_ that must be non-negative, got {self.covars_.min():.6g}.")

    def _get_n_fit_scalars_per_param(self) -> dict[str, int]:
        states, mixed, features = self.n_components, self.n_mix, self.n_features
        one = features * (features + 1) // 2
        covars = {"spherical": states * mixed, "diag": states * mixed * features, "full": states * mixed * one,
                  "tied": states * one}  # fmt: skip
        return {"s": states - 1, "t": states * (states - 1), "m": states * mixed * features,
                "c": covars[self.covariance_type], "w": mixed - 1}  # fmt: skip

    def _log_joint(self, data: RealData) -> np.ndarray:
        """log p(x, Gaussian | state) [N, K, M]."""
        features, kind = self.n_features, self.covariance_type
        if is_diagonal(kind):
            covars = np.broadcast_to(self.covars_.reshape(*self.weights_.shape, -1), self.means_.shape)
            covars = covars.reshape(-1, features)
        else:
            covars = self.covars_ if kind == "full" else np.repeat(self.covars_, self.n_mix, axis=0)
            covars = covars.reshape(-1, features, features)
        densities = covariances.log_density(data, self.means_.reshape(-1, features), kind, covars)
        with np.errstate(divide="ignore"):
            return densities.reshape(-1, *self.weights_.shape) + np.log(self.weights_)

    def _log_density(self, data: RealData) -> np.ndarray:
        joint = self._log_joint(data)
        if self._read is not None:  # while it is fitted, for the statistics of the same E step
            self._joint = joint
        highest = joint.max(2)
        with np.errstate(under="ignore", divide="ignore"):
            return highest + np.log(np.exp(joint - finite(highest)[:, :, None]).sum(2))

    def _accumulate_sufficient_statistics(
        self,
        stats: Statistics,
        X: np.ndarray,
        lattice: np.ndarray,
        posteriors: np.ndarray,
        fwdlattice: Any,
        bwdlattice: Any,
    ) -> None:
        data = self._data(X)
        joint = self.__dict__.pop("_joint", None)
        joint = self._log_joint(data) if joint is None else joint
        with np.errstate(under="ignore"):
            shares = np.exp(joint - finite(lattice)[:, :, None]) * posteriors[:, :, None]  # [N, K, M]
        stats["post_sum"] = posteriors.sum(0)
        stats["post_mix_sum"] = shares.sum(0)
        features = self.n_features
        found = self._moments(data, shares.reshape(len(X), -1), self.means_.reshape(-1, features))
        stats["means"] = found.means.reshape(self.means_.shape)  # of each Gaussian's own observations
        scatter = found.scatter.reshape(*self.means_.shape[:2], *found.scatter.shape[1:])
        moved = stats["means"] - self.means_  # hmmlearn takes squares about the means of this E step
        if is_diagonal(self.covariance_type):
            squares = scatter + stats["post_mix_sum"][:, :, None] * moved**2
            stats["c_n"] = squares.sum(2) if self.covariance_type == "spherical" else squares
        else:
            stats["c_n"] = scatter + stats["post_mix_sum"][:, :, None, None] * outer(moved)

    def _do_mstep(self, stats: Statistics) -> None:
        super()._do_mstep(stats)
        priors, steps = self._priors(), stats["post_mix_sum"]
        if "w" in self.params:
            counts = np.maximum(steps + priors.weights - 1, 0)
            total = counts.sum(1, keepdims=True)
            self.weights_ = np.where(total > 0, counts / np.where(total > 0, total, 1), self.weights_)
        if "m" in self.params:
            above = steps[:, :, None] * stats["means"] + priors.means_weight[:, :, None] * priors.means
            self.means_ = quotient(above, (steps + priors.means_weight)[:, :, None], self.means_)
        if "c" in self.params:
            above, below = self._covars_quotient(stats, priors)
            self.covars_ = quotient(above, below, self.covars_)

    def _covars_quotient(self, stats: Statistics, priors: Priors) -> tuple[np.ndarray, np.ndarray]:
        """hmmlearn's estimate of covars_, numerator and denominator."""
        steps, features, weight = stats["post_mix_sum"], self.n_features, priors.means_weight
        away = self.means_ - priors.means
        if self.covariance_type == "full":
            above = priors.covars.swapaxes(-1, -2) + weight[:, :, None, None] * outer(away) + stats["c_n"]
            return above, (steps + 1 + priors.covars_weight + features + 1)[:, :, None, None]
        if self.covariance_type == "tied":
            above = priors.covars.swapaxes(-1, -2) + (weight[:, :, None, None] * outer(away) + stats["c_n"]).sum(1)
            return above, (stats["post_sum"] + self.n_mix + priors.covars_weight + features + 1)[:, None, None]
        if self.covariance_type == "diag":
            above = weight[:, :, None] * away**2 + 2 * priors.covars_weight + stats["c_n"]
            return above, steps[:, :, None] + 1 + 2 * (priors.covars + 1)
        above = weight * np.square(away).sum(2) + 2 * priors.covars_weight + stats["c_n"]
        return above, features * (steps + 1) + 2 * (priors.covars + 1)

    def _generate_sample_from_state(self, state: int, random_state: np.random.RandomState) -> Any:
        drawn = random_state.choice(self.n_mix, p=self.weights_[state])
        covars = self.covars_[state] if self.covariance_type == "tied" else self.covars_[state, drawn]
        if is_diagonal(self.covariance_type):
            covars = covars * np.eye(self.n_features)
        return self._draw((state, drawn), self.means_[state, drawn], covars, random_state)


def finite(log_prob: np.ndarray) -> np.ndarray:
    """0 where it is -inf: what is subtracted before an exponential."""
    return np.where(np.isneginf(log_prob), 0.0, log_prob)
