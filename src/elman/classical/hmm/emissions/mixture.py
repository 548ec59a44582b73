"""Gaussian mixture emission: real observations with a mixture of Gaussians per state."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from elman.classical import checks
from elman.classical.forecast import mixture_moments
from elman.classical.hmm.emissions.clusters import cluster_means
from elman.classical.hmm.emissions.emission import DEAD, Emission, buffer
from elman.classical.hmm.emissions.gaussian import Gaussian
from elman.classical.hmm.emissions.real_data import RealData
from elman.classical.special import xlogy
from elman.optional_packages import needed_by
from elman.representation import counted
from elman.sequences import Sequences


class GaussianMixture(Emission):
    """Mixture p(x | k) = sum over c of weights[k, c] p(x | k, c) of Gaussians p(x | k, c).

    The K C Gaussians form one `Gaussian` emission, state 0 first, which handles floors, priors, driving input and
    missing coordinates.

    Args:
        num_components: C, components per state.
        covariance: `diag`, `full`, `spherical`, or `tied` (one full matrix for the components of a state).
        weight_prior: Dirichlet parameter of the weights of each state, at least 1; 1 is no prior.
        settings: further arguments of `Gaussian`.
    Shapes:
        x: [N, D] float64, NaN where a coordinate is missing
    Attributes:
        weights_: [K, C]; rows sum to one.
        gaussian_: the Gaussian emission of K C components.
        means_: [K, C, D].
        covs_: `diag` [K, C, D], `spherical` [K, C], `full` [K, C, D, D], `tied` [K, D, D].
    Raises:
        TypeError, ValueError: as in `Gaussian`; the weights do not sum to one.
    Example:
        >>> emission = GaussianMixture.from_parameters([[0.5, 0.5]], np.array([[[-2.0], [2.0]]]), np.ones((1, 2, 1)))
        >>> emission.log_prob(emission.read("here", Sequences(np.array([[0.0]]), [1]))).round(3)
        array([[-2.919]])
    """

    weights_: np.ndarray
    gaussian_: Gaussian

    def __init__(self, num_components: int, covariance: str = "diag", *, weight_prior: float = 1.0, **settings: Any):
        if not isinstance(num_components, int | np.integer) or num_components < 1:
            raise ValueError(f"GaussianMixture: expected num_components of at least 1, got {num_components!r}.")
        if not weight_prior >= 1:
            raise ValueError(
                f"GaussianMixture: expected a weight_prior of at least 1 (1 is no prior), got {weight_prior}."
            )
        self.num_components, self.weight_prior = int(num_components), weight_prior
        self.gaussian = Gaussian(covariance, **settings)
        self.drive_size = self.gaussian.drive_size

    @classmethod
    def from_parameters(cls, weights: Any, means: Any, covs: Any, covariance: str = "diag", slopes: Any = None,
                        **settings: Any) -> Self:  # fmt: skip
        """Return an emission with known weights [K, C], means [K, C, D], covariances and slopes [K, C, D, U]."""
        weights = checks.distribution("GaussianMixture", "weights", weights, "K C")
        states, components = weights.shape
        means = checks.reals("GaussianMixture", "means", means, f"K={states} C={components} D")
        size = means.shape[2]
        covs = np.asarray(covs)
        each = f"K={states} C={components}"
        axes = {"diag": f"{each} D={size}", "spherical": each, "full": f"{each} D={size} D={size}",
                "tied": f"K={states} D={size} D={size}"}  # fmt: skip
        if covariance in axes:
            checks.reals("GaussianMixture", "covs", covs, axes[covariance])
        flat = covs if covariance == "tied" else covs.reshape(states * components, *covs.shape[2:])
        if slopes is not None:
            slopes = checks.reals("GaussianMixture", "slopes", slopes, f"K={states} C={components} D={size} U")
            settings["drive_size"] = slopes.shape[3]
            slopes = slopes.reshape(states * components, size, -1)
        self = cls(components, covariance, **settings)
        every = np.repeat(flat, components, axis=0) if covariance == "tied" else flat
        kind = "full" if covariance == "tied" else covariance
        checked = Gaussian.from_parameters(means.reshape(-1, size), every, kind, slopes)
        inner = self.gaussian.with_parameters(means_=checked.means_, covs_=flat, slopes_=checked.slopes_)
        return self.with_parameters(weights_=weights, gaussian_=inner)

    @property
    def settings(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {"num_components": self.num_components, "weight_prior": self.weight_prior}
        return own | self.gaussian.settings

    @property
    def num_states(self) -> int:
        """K."""
        return len(self.weights_)

    @property
    def means_(self) -> np.ndarray:
        """Means [K, C, D]."""
        return self.gaussian_.means_.reshape(*self.weights_.shape, -1)

    @property
    def covs_(self) -> np.ndarray:
        """Covariances by state, and by component unless they are tied."""
        covs = self.gaussian_.covs_
        return covs if self.gaussian.covariance == "tied" else covs.reshape(*self.weights_.shape, *covs.shape[1:])

    def size(self) -> str:
        return counted(self.means_.shape[2], "feature")

    def read(self, where: str, x: Sequences, u: np.ndarray | None = None) -> RealData:
        """Return the observations as `Gaussian` reads them."""
        return (self.gaussian_ if hasattr(self, "gaussian_") else self.gaussian).read(where, x, u)

    def log_prob(self, data: RealData, out: np.ndarray | None = None) -> np.ndarray:
        """Return log p(x | state) [N, K]."""
        total, _ = self.log_parts(data)
        out = buffer(out, len(data.x), self.num_states)
        out[...] = total
        return out

    def initialise(self, where: str, data: RealData, num_states: int, rng: np.random.Generator) -> Self:
        """Return K C clusters, grouped into states by distance; components are equally likely."""
        components = self.num_components
        template = self.gaussian.with_parameters(_groups=num_states)
        inner = template.initialise(where, data, num_states * components, rng)
        centres = cluster_means(where, inner.means_, num_states, rng)
        spread = inner.means_.std(0)
        away = (inner.means_[:, None] - centres) / np.where(spread > 0, spread, 1.0)
        slots = np.repeat((away**2).sum(2), components, axis=1)  # [K C, K C]: a state has one slot per component
        with needed_by("a fit of a GaussianMixture"):
            from scipy.optimize import linear_sum_assignment

        order = linear_sum_assignment(slots)[1].argsort()
        slopes = None if inner.slopes_ is None else inner.slopes_[order]
        inner = inner.with_parameters(means_=inner.means_[order], slopes_=slopes)
        weights = np.full((num_states, components), 1 / components)
        return self.with_parameters(gaussian_=inner, weights_=weights)

    def resume(self, where: str, data: RealData) -> Self:
        """Return a copy prepared as in `Gaussian`."""
        return self.with_parameters(gaussian_=self.gaussian_.resume(where, data))

    def m_step(self, data: RealData, posterior: np.ndarray) -> Self:
        """Return a copy after one EM step of the mixtures."""
        weights = self.responsibilities(*self.log_parts(data), posterior)
        counts = weights.sum(0)  # [K, C]
        inner = self.gaussian_.m_step(data, weights.reshape(len(weights), -1))
        alive = counts.sum(1, keepdims=True) >= DEAD
        weights = np.where(alive, counts + (self.weight_prior - 1), self.weights_)
        return self.with_parameters(gaussian_=inner, weights_=weights / weights.sum(1, keepdims=True))

    def log_prior(self) -> float:
        """Return the log-prior of weights, means and covariances, up to a constant."""
        return float(xlogy(self.weight_prior - 1, self.weights_).sum()) + self.gaussian_.log_prior()

    def moments(self, u: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return mean [..., K, D] and covariance [..., K, D, D] of each state."""
        means, covs = self.gaussian_.moments(u)
        shape, size = self.weights_.shape, means.shape[-1]
        return mixture_moments(
            self.weights_, means.reshape(*means.shape[:-2], *shape, size), covs.reshape(*shape, size, size)
        )

    def sample(self, states: np.ndarray, rng: np.random.Generator, u: np.ndarray | None = None) -> np.ndarray:
        """Draw observations [N, D]."""
        cumulative = self.weights_.cumsum(1)[states]
        component = (rng.random(len(states))[:, None] * cumulative[:, -1:] >= cumulative).sum(1)
        return self.gaussian_.sample(states * self.num_components + component, rng, u)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the weights and the parameters of the Gaussians."""
        return {"weights": self.weights_} | self.gaussian_.to_arrays()

    def with_arrays(self, arrays: Mapping[str, np.ndarray]) -> Self:
        """Return a copy with these parameters."""
        where, none = "GaussianMixture", np.empty(0)
        weights = checks.distribution(where, "weights", arrays.get("weights", none), f"K C={self.num_components}")
        own = {name: array for name, array in arrays.items() if name != "weights"}
        gaussian = self.gaussian.with_arrays(own)
        if gaussian.num_states != weights.size:
            raise ValueError(f"GaussianMixture: expected {weights.size} means, got {gaussian.num_states}.")
        return self.with_parameters(weights_=weights, gaussian_=gaussian)

    def log_parts(self, data: RealData) -> tuple[np.ndarray, np.ndarray]:
        """Return log p(x | k) [N, K] and log weights[k, c] p(x | k, c) [N, K, C]."""
        parts = self.gaussian_.log_prob(data).reshape(len(data.x), *self.weights_.shape)
        with np.errstate(divide="ignore"):
            parts += np.log(self.weights_)
        top = parts.max(2)
        with np.errstate(under="ignore", divide="ignore"):
            return top + np.log(np.exp(parts - _finite(top)[:, :, None]).sum(2)), parts

    @staticmethod
    def responsibilities(total: np.ndarray, parts: np.ndarray, posterior: np.ndarray) -> np.ndarray:
        """Return the probability of each component of each state at each step, [N, K, C]; overwrites `parts`.

        Args:
            total, parts: the result of `log_parts`.
            posterior: [N, K]
        """
        with np.errstate(under="ignore"):
            parts -= _finite(total)[:, :, None]
            np.exp(parts, out=parts)
            parts *= posterior[:, :, None]
        return parts


def _finite(log_prob: np.ndarray) -> np.ndarray:
    """Return 0 where log_prob is -inf, so that it can be subtracted before an exponential."""
    return np.where(np.isneginf(log_prob), 0.0, log_prob)
