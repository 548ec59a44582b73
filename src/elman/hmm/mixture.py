"""GMMHMM: a mixture of Gaussians per state."""

from typing import Any, NamedTuple

import numpy as np

from elman.classical.hmm.emissions import GaussianMixture
from elman.classical.hmm.emissions.covariances import is_diagonal
from elman.classical.hmm.emissions.real_data import RealData
from elman.hmm.base import Statistics, normalized
from elman.hmm.checks import random_generator
from elman.hmm.gaussian import RealHMM, check_covars, covars_of_all, draw, emission, no_prior, outer, quotient
from elman.hmm.k_means import check_enough, k_means
from elman.representation import brief_fields


@brief_fields
class Priors(NamedTuple):
    """Priors of a mixture in full shape, with hmmlearn's defaults instead of None."""

    weights: np.ndarray  # [K, M]
    means: np.ndarray  # [K, M, D]
    means_weight: np.ndarray  # [K, M]
    covars: np.ndarray  # as covars_
    covars_weight: np.ndarray  # full [K, M], tied [K], diag [K, M, D], spherical [K, M]


class MixtureData(RealData):
    """Observations, and the log-densities of the components, which the M step reads."""

    parts: np.ndarray | None = None  # [N, K, M]


class GMMHMM(RealHMM):
    """HMM with a mixture of Gaussians per state.

    Args:
        n_mix: M, the number of Gaussians per state.
        min_covar: number added to the initial variances.
        weights_prior: Dirichlet parameters of the weights, [K, M] or one number; 1 is no prior.
        means_prior, means_weight: means [K, M, D] and weights [K, M] of normal priors on the means.
        covars_prior, covars_weight: parameters of inverse Wishart (full, tied) or inverse gamma priors on the
            covariances, in hmmlearn's formulas; None is no prior.
        covariance_type: "spherical", "diag", "full", or "tied" (one covariance for the Gaussians of a state).
        params, init_params: letters s, t, m (means), c (covariances), w (weights).
        For all other arguments see `BaseHMM`.
    Shapes:
        X: [N, D] finite real numbers
    Attributes:
        weights_: [K, M].   means_: [K, M, D].   startprob_, transmat_, monitor_, n_features.
        covars_: spherical [K, M], diag [K, M, D], full [K, M, D, D], tied [K, D, D].
    Raises:
        TypeError, ValueError: X, lengths, a setting or an attribute is invalid.
    Example:
        >>> X = np.random.default_rng(0).normal(size=(50, 2))
        >>> model = GMMHMM(2, n_mix=2, random_state=0).fit(X)
        >>> model.means_.shape, model.covars_.shape
        ((2, 2, 2), (2, 2, 2))
    """

    weights_: np.ndarray
    covars_: np.ndarray
    _emission_letters = (("w", "weights_"), ("m", "means_"), ("c", "covars_"))

    def __init__(
        self, n_components: int = 1, n_mix: int = 1, min_covar: float = 1e-3, startprob_prior: Any = 1.0,
        transmat_prior: Any = 1.0, weights_prior: Any = 1.0, means_prior: Any = 0.0, means_weight: Any = 0.0,
        covars_prior: Any = None, covars_weight: Any = None, algorithm: str = "viterbi", covariance_type: str = "diag",
        random_state: Any = None, n_iter: int = 10, tol: float = 1e-2, verbose: bool = False, params: str = "stmcw",
        init_params: str = "stmcw", implementation: str = "log",
    ):  # fmt: skip
        super().__init__(n_components, startprob_prior, transmat_prior, algorithm, random_state, n_iter, tol, verbose,
                         params, init_params, implementation)  # fmt: skip
        self.covariance_type, self.min_covar, self.n_mix = covariance_type, min_covar, n_mix
        self.weights_prior, self.means_prior, self.means_weight = weights_prior, means_prior, means_weight
        self.covars_prior, self.covars_weight = covars_prior, covars_weight

    def _mixture(self) -> GaussianMixture:
        """Return the emission of `elman.classical.hmm` with the current parameters."""
        kind, covars = self.covariance_type, self.covars_
        flat = covars if kind == "tied" else covars.reshape(-1, *covars.shape[2:])
        gaussians = emission(kind, self.means_.reshape(-1, self.n_features), flat)
        return GaussianMixture(self.n_mix, kind).with_parameters(weights_=self.weights_, gaussian_=gaussians)

    def _covars_shape(self) -> tuple[int, ...]:
        states, mixed, features = self.n_components, self.n_mix, self.n_features
        return {"spherical": (states, mixed), "diag": (states, mixed, features),
                "full": (states, mixed, features, features),
                "tied": (states, features, features)}[self.covariance_type]  # fmt: skip

    def _emission_shapes(self) -> dict[str, tuple[int, ...]]:
        states, mixed = self.n_components, self.n_mix
        return {"weights_": (states, mixed), "means_": (states, mixed, self.n_features),
                "covars_": self._covars_shape()}  # fmt: skip

    def _priors(self) -> Priors:
        kind, mixed, features = self.covariance_type, self.n_mix, self.n_features
        states, shape = self.n_components, self._covars_shape()
        prior, weight = {
            "full": (0.0, -(features + 2.0)),
            "tied": (0.0, -(mixed + features + 1.0)),
            "diag": (-1.5, 0.0),
            "spherical": (-(mixed + 2.0) / 2.0, 0.0),
        }[kind]
        prior = prior if self.covars_prior is None else self.covars_prior
        weight = weight if self.covars_weight is None else self.covars_weight
        try:
            return Priors(
                np.broadcast_to(self.weights_prior, (states, mixed)),
                np.broadcast_to(self.means_prior, (states, mixed, features)),
                np.broadcast_to(self.means_weight, (states, mixed)),
                np.broadcast_to(prior, shape),
                np.broadcast_to(weight, shape if is_diagonal(kind) else shape[:-2]),
            )
        except ValueError as error:
            raise ValueError(f"GMMHMM: expected priors that fit the parameters: {error}.") from None

    def _initial(self, name: str, X: np.ndarray) -> np.ndarray:
        if name == "weights_":
            return np.full((self.n_components, self.n_mix), 1 / self.n_mix)
        whole = covars_of_all(X, self.min_covar)
        if name == "means_":
            return self._initial_means(X, whole)
        one = {"spherical": whole.mean(), "diag": np.diag(whole)}.get(self.covariance_type, whole)
        return np.broadcast_to(one, self._covars_shape()).copy()

    def _initial_means(self, X: np.ndarray, covars: np.ndarray) -> np.ndarray:
        """Cluster X into states, and each state into components; draw the means at random if steps are too few."""
        states, mixed = self.n_components, self.n_mix
        check_enough("GMMHMM.fit", X, states)
        X = X.astype(np.float64)
        clusters = k_means(X, states, random_generator(self.random_state))
        means = np.empty((states, mixed, X.shape[1]))
        for state in range(states):
            members, generator = X[clusters.labels == state], random_generator(self.random_state)
            if len(members) >= mixed:
                means[state] = k_means(members, mixed, generator).centres
            else:
                means[state] = generator.multivariate_normal(clusters.centres.mean(0), covars, mixed)
        return means

    def _check(self) -> None:
        if not hasattr(self, "n_features"):
            self.n_features = self._width("means_", 3)
        super()._check()
        self._priors()
        if not is_diagonal(self.covariance_type):
            check_covars("covars_", self.covars_.reshape(-1, self.n_features, self.n_features), semi=True)
        elif (self.covars_ < 0).any():
            raise ValueError(f"GMMHMM: expected covars_ of variances of at least 0, got {self.covars_.min():.6g}.")

    def _get_n_fit_scalars_per_param(self) -> dict[str, int]:
        states, mixed, features = self.n_components, self.n_mix, self.n_features
        one = features * (features + 1) // 2
        covars = {"spherical": states * mixed, "diag": states * mixed * features, "full": states * mixed * one,
                  "tied": states * one}  # fmt: skip
        return {"s": states - 1, "t": states * (states - 1), "m": states * mixed * features,
                "c": covars[self.covariance_type], "w": mixed - 1}  # fmt: skip

    def _read(self, X: np.ndarray) -> MixtureData:
        self._check_width(X)
        return MixtureData(X.astype(np.float64), None)

    def _compute_log_likelihood(self, X: np.ndarray) -> np.ndarray:
        data = self._data(X)
        with np.errstate(over="ignore"):
            total, data.parts = self._mixture().log_parts(data)
        return total

    def _emission_statistics(self, X: np.ndarray, lattice: np.ndarray, posteriors: np.ndarray) -> Statistics:
        data, mixture = self._data(X), self._mixture()
        parts, data.parts = data.parts, None
        if parts is None:  # a subclass has its own log-likelihood
            _, parts = mixture.log_parts(data)
        weights = mixture.responsibilities(lattice, parts, posteriors)  # [N, K, M]
        steps = weights.sum(0)
        found = mixture.gaussian_.expected_moments(data, weights.reshape(len(X), -1), no_prior(self.n_features))
        means = found.means.reshape(self.means_.shape)
        scatter = found.scatter.reshape(*self.means_.shape[:2], *found.scatter.shape[1:])
        moved = means - self.means_  # hmmlearn's scatter is about the means of this E step
        if is_diagonal(self.covariance_type):
            scatter = scatter + steps[:, :, None] * moved**2
            scatter = scatter.sum(2) if self.covariance_type == "spherical" else scatter
        else:
            scatter = scatter + steps[:, :, None, None] * outer(moved)
        return {"post_sum": posteriors.sum(0), "post_mix_sum": steps, "means": means, "c_n": scatter}

    def _do_mstep(self, stats: Statistics) -> None:
        super()._do_mstep(stats)
        priors, steps = self._priors(), stats["post_mix_sum"]
        if "w" in self.params:
            self.weights_ = normalized(np.maximum(steps + priors.weights - 1, 0), self.weights_)
        if "m" in self.params:
            above = steps[:, :, None] * stats["means"] + priors.means_weight[:, :, None] * priors.means
            self.means_ = quotient(above, (steps + priors.means_weight)[:, :, None], self.means_)
        if "c" in self.params:
            above, below = self._covars_quotient(stats, priors)
            self.covars_ = quotient(above, below, self.covars_)

    def _covars_quotient(self, stats: Statistics, priors: Priors) -> tuple[np.ndarray, np.ndarray]:
        """Return numerator and denominator of hmmlearn's estimate of covars_."""
        steps, features, weight = stats["post_mix_sum"], self.n_features, priors.means_weight
        from_prior = self.means_ - priors.means
        if self.covariance_type == "full":
            above = priors.covars.swapaxes(-1, -2) + weight[:, :, None, None] * outer(from_prior) + stats["c_n"]
            return above, (steps + 1 + priors.covars_weight + features + 1)[:, :, None, None]
        if self.covariance_type == "tied":
            scatter = (weight[:, :, None, None] * outer(from_prior) + stats["c_n"]).sum(1)
            above = priors.covars.swapaxes(-1, -2) + scatter
            return above, (stats["post_sum"] + self.n_mix + priors.covars_weight + features + 1)[:, None, None]
        if self.covariance_type == "diag":
            above = weight[:, :, None] * from_prior**2 + 2 * priors.covars_weight + stats["c_n"]
            return above, steps[:, :, None] + 1 + 2 * (priors.covars + 1)
        above = weight * np.square(from_prior).sum(2) + 2 * priors.covars_weight + stats["c_n"]
        return above, features * (steps + 1) + 2 * (priors.covars + 1)

    def _generate_sample_from_state(self, state: int, random_state: np.random.RandomState) -> Any:
        drawn = random_state.choice(self.n_mix, p=self.weights_[state])
        covars = self.covars_[state] if self.covariance_type == "tied" else self.covars_[state, drawn]
        if is_diagonal(self.covariance_type):
            covars = covars * np.eye(self.n_features)
        return draw(self.means_[state, drawn], covars, random_state)
