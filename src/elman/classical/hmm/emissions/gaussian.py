"""Gaussian emission: real observations with a mean and a covariance per state."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from elman.classical import checks
from elman.classical.hmm.emissions import covariances, densities, moments
from elman.classical.hmm.emissions.clusters import clusters
from elman.classical.hmm.emissions.covariances import KINDS, Limits
from elman.classical.hmm.emissions.emission import Emission
from elman.classical.hmm.emissions.moments import MeanPrior, Moments
from elman.classical.hmm.emissions.real_data import RealData
from elman.representation import counted
from elman.sequences import Sequences

LARGEST = 1e100
MANY = 1_000  # observations in the first search for distinct ones


class Gaussian(Emission):
    """Gaussian p(x | k) with mean m_k, or m_k + B_k u for a driving input u, and covariance S_k::

        log prior = sum over k of  log N(m_k; mean_prior, S_k / mean_weight)
                                   - cov_weight / 2 (log |S_k| + trace(S_k^-1 cov_prior))

    Args:
        covariance: `diag`, `full`, `tied` (one full matrix for all states), or `spherical` (one variance per state).
        drive_size: U, the number of features of the driving input; 0 for none.
        floor: lower bound of the variance in any direction, as a fraction of each coordinate's variance in the data
            (of 1 for a constant coordinate); above 0.
        mean_prior: [D], None for the mean of the data; it counts as `mean_weight` observations.
        cov_prior: [D] variances or a matrix [D, D], None for the variances of the data; it counts as `cov_weight`
            observations.
    Shapes:
        x: [N, D] float64, NaN where a coordinate is missing
    Attributes:
        means_: [K, D].
        covs_: `diag` [K, D], `spherical` [K], `full` [K, D, D], `tied` [1, D, D].
        slopes_: [K, D, U], B_k; with a driving input only.
    Raises:
        TypeError: x is not float64.
        ValueError: x has another width or infinite values; there are fewer distinct observations than states; a
            covariance is not positive definite; a setting is out of range.
    Example:
        >>> emission = Gaussian.from_parameters(np.array([[0.0], [3.0]]), np.array([[1.0], [1.0]]))
        >>> emission.log_prob(emission.read("here", Sequences(np.array([[0.0], [np.nan]]), [2]))).round(3)
        array([[-0.919, -5.419],
               [ 0.   ,  0.   ]])
    """

    means_: np.ndarray
    covs_: np.ndarray
    slopes_: np.ndarray | None = None
    floor_: np.ndarray  # [D]
    mean_prior_: np.ndarray  # [D]
    cov_prior_: np.ndarray  # [D, D]
    _groups = 1  # groups of Gaussians that share a tied covariance

    def __init__(self, covariance: str = "diag", *, drive_size: int = 0, floor: float = 1e-6, mean_prior: Any = None,
                 mean_weight: float = 0.0, cov_prior: Any = None, cov_weight: float = 0.0):  # fmt: skip
        if covariance not in KINDS:
            raise ValueError(f"Gaussian: expected covariance to be one of {', '.join(KINDS)}, got {covariance!r}.")
        if not (floor > 0 and mean_weight >= 0 and cov_weight >= 0 and drive_size >= 0):
            raise ValueError(
                "Gaussian: expected a floor above 0, mean_weight, cov_weight and drive_size of at least 0, got "
                f"{floor}, {mean_weight}, {cov_weight} and {drive_size}."
            )
        self.covariance, self.drive_size, self.floor = covariance, drive_size, floor
        self.mean_prior, self.mean_weight = _listed(mean_prior), mean_weight
        self.cov_prior, self.cov_weight = _listed(cov_prior), cov_weight

    @classmethod
    def from_parameters(cls, means: Any, covs: Any, covariance: str = "diag", slopes: Any = None,
                        **settings: Any) -> Self:  # fmt: skip
        """Return an emission with known means [K, D], covariances (tied: [D, D] or [1, D, D]) and slopes [K, D, U]."""
        means = checks.reals("Gaussian", "means", means, "K D")
        states, size = means.shape
        if covariance == "tied" and np.ndim(covs) == 2:
            covs = checks.floats("Gaussian", "covs", covs)[None]
        sizes = {"diag": f"K={states} D={size}", "spherical": f"K={states}", "full": f"K={states} D={size} D={size}",
                 "tied": f"1=1 D={size} D={size}"}  # fmt: skip
        if slopes is not None:
            slopes = checks.reals("Gaussian", "slopes", slopes, f"K={states} D={size} U")
            settings["drive_size"] = slopes.shape[2]
        self = cls(covariance, **settings)
        if covariances.is_diagonal(covariance):
            covs = checks.reals("Gaussian", "covs", covs, sizes[covariance])
            if not (covs > 0).all():
                state = int(np.argwhere(covs <= 0)[0][0])
                raise ValueError(
                    f"Gaussian: expected covs of variances above 0, got {covs.min():.6g} in state {state}."
                )
        else:
            covs = checks.positive_definite("Gaussian", "covs", covs, sizes[covariance])
        return self.with_parameters(means_=means, covs_=covs, slopes_=slopes)

    @property
    def settings(self) -> dict[str, Any]:
        """The constructor's arguments."""
        names = ("covariance", "drive_size", "floor", "mean_prior", "mean_weight", "cov_prior", "cov_weight")
        return {name: getattr(self, name) for name in names}

    @property
    def num_states(self) -> int:
        """K."""
        return len(self.means_)

    @property
    def covariances(self) -> np.ndarray:
        """Covariance matrices [K, D, D] for any kind."""
        return covariances.matrices(self.covariance, self.covs_, *self.means_.shape)

    def size(self) -> str:
        return counted(self.means_.shape[1], "feature")

    def read(self, where: str, x: Sequences, u: np.ndarray | None = None) -> RealData:
        """Return the observations, centred at the middle of the means, or of the data without means."""
        known = hasattr(self, "means_")
        spec = f"N D={self.means_.shape[1]}" if known else "N D"
        values = checks.per_step_reals(where, "observations", x, x.values, spec, missing=True)
        largest = max(np.fmax.reduce(values, None, initial=0.0), -np.fmin.reduce(values, None, initial=0.0))
        if largest > LARGEST:
            raise ValueError(f"{where}: expected observations up to {LARGEST:g}, whose squares are finite, got "
                             f"{largest:g}; scale them.")  # fmt: skip
        return RealData(values, u if self.drive_size else None, self.means_.mean(0) if known else None)

    def log_prob(self, data: RealData, out: np.ndarray | None = None) -> np.ndarray:
        """Return log p(x | state) [N, K]."""
        if covariances.is_diagonal(self.covariance):
            variances = covariances.variances(self.covariance, self.covs_, self.means_.shape[1])
            return densities.diagonal(data, self.means_, self.slopes_, variances, out)
        every = self.covs_ if len(self.covs_) == 1 else self.covariances
        return densities.full(data, self.means_, self.slopes_, every, out)

    def initialise(self, where: str, data: RealData, num_states: int, rng: np.random.Generator) -> Self:
        """Return cluster means, with the variances within clusters in all states."""
        _distinct(where, data.values, num_states)
        values, slopes = data.values, None
        if data.u is not None:
            slopes = self._first_slopes(data, data.u, num_states, rng)
            values = values - data.u @ slopes.mean(0).T
        means, within = clusters(where, values, num_states, rng)
        limited = self._limited(where, data)
        covs = covariances.constant(self.covariance, np.maximum(within, limited.floor_), num_states, self._groups)
        return limited.with_parameters(means_=means, covs_=covs, slopes_=slopes)

    def resume(self, where: str, data: RealData) -> Self:
        """Return a copy whose floor is lowered to its parameters if they lie below the floor of these data."""
        if hasattr(self, "floor_"):
            return self
        other = self._limited(where, data)
        below = covariances.lowest(self.covariance, self.covs_, other.floor_)
        return other.with_parameters(floor_=other.floor_ * min(1.0, below))

    def m_step(self, data: RealData, posterior: np.ndarray) -> Self:
        """Return weighted means or regressions, and covariances."""
        prior = MeanPrior(self.mean_prior_, self.mean_weight)
        found = self.expected_moments(data, posterior, prior)
        covs = covariances.estimate(self.covariance, found, prior, self._limits, self.covs_)
        return self.with_parameters(means_=found.means, covs_=covs, slopes_=found.slopes)

    def expected_moments(self, data: RealData, posterior: np.ndarray, prior: MeanPrior) -> Moments:
        """Return the weighted means or regressions of each state, and the scatter about them."""
        if covariances.is_diagonal(self.covariance):
            return moments.diagonal(data, posterior, self.means_, self.slopes_, prior)
        every = self.covs_ if len(self.covs_) == 1 else self.covariances
        return moments.full(data, posterior, self.means_, self.slopes_, every, prior)

    def log_prior(self) -> float:
        """Return the log-prior of means and covariances, up to a constant."""
        if self.mean_weight == 0 and self.cov_weight == 0:
            return 0.0
        prior = MeanPrior(self.mean_prior_, self.mean_weight)
        return covariances.log_prior(self.covariance, self.means_, self.covs_, prior, self._limits)

    def moments(self, u: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return mean [..., K, D] and covariance [K, D, D] of each state."""
        if self.slopes_ is None or u is None:
            return self.means_, self.covariances
        return self.means_ + np.einsum("kdu,...u->...kd", self.slopes_, u), self.covariances

    def sample(self, states: np.ndarray, rng: np.random.Generator, u: np.ndarray | None = None) -> np.ndarray:
        """Draw observations [N, D]."""
        lower = np.linalg.cholesky(self.covariances)
        noise = rng.standard_normal((len(states), self.means_.shape[1]))
        means = self.means_[states]
        if self.slopes_ is not None and u is not None:
            means = means + np.einsum("ndu,nu->nd", self.slopes_[states], u)
        return means + np.einsum("nde,ne->nd", lower[states], noise)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return parameters, floor and priors."""
        names = ("means", "covs", "slopes", "floor", "mean_prior", "cov_prior")
        arrays = {name: getattr(self, name + "_", None) for name in names}
        return {name: array for name, array in arrays.items() if array is not None}

    def with_arrays(self, arrays: Mapping[str, np.ndarray]) -> Self:
        """Return a copy with these parameters."""
        sized = {"slopes": "K D U", "floor": "D", "mean_prior": "D", "cov_prior": "D D"}
        checks.check_names("Gaussian", arrays, ["means", "covs", *["slopes"] * bool(self.drive_size)], sized)
        means = checks.reals("Gaussian", "means", arrays["means"], "K D")
        sizes = {"K": len(means), "D": means.shape[1], "U": self.drive_size, "G": max(1, *arrays["covs"].shape[:1])}
        if sizes["K"] % sizes["G"]:
            raise ValueError(f"Gaussian: expected groups of tied covariances that divide {sizes['K']} states, got "
                             f"{sizes['G']}.")  # fmt: skip

        def spec(axes: str) -> str:
            return " ".join(f"{axis}={sizes[axis]}" for axis in axes.split())

        axes = {"diag": "K D", "spherical": "K", "full": "K D D", "tied": "G D D"}[self.covariance]
        if covariances.is_diagonal(self.covariance):
            covs = checks.reals("Gaussian", "covs", arrays["covs"], spec(axes))
            if not (covs > 0).all():
                raise ValueError(f"Gaussian: expected covs of variances above 0, got {covs.min():.6g}.")
        else:
            covs = checks.positive_definite("Gaussian", "covs", arrays["covs"], spec(axes), semi=True)
        others = {name + "_": checks.reals("Gaussian", name, arrays[name], spec(sized[name]))
                  for name in sized if name in arrays}  # fmt: skip
        return self.with_parameters(means_=means, covs_=covs, **others)

    @property
    def _limits(self) -> Limits:
        return Limits(self.floor_, self.cov_prior_, self.cov_weight)

    def _limited(self, where: str, data: RealData) -> Self:
        """Return a copy with the floor and the priors for these data."""
        size = data.x.shape[1]
        seen = ~np.isnan(data.values)
        count = np.maximum(seen.sum(0), 1)
        mean = data.centre + data.x.sum(0) / count
        variance = (np.where(seen, data.values - mean, 0.0) ** 2).sum(0) / count
        varies = variance > np.maximum(1e-20 * mean**2, 1e-200)
        variance = np.where(varies, variance, np.maximum(1.0, 1e-12 * mean**2))
        if self.mean_prior is not None:
            mean = checks.reals(where, "mean_prior", self.mean_prior, f"D={size}")
        cov = np.diag(variance)
        if self.cov_prior is not None:
            given = np.asarray(self.cov_prior)
            spec = f"D={size} D={size}"
            cov = checks.positive_definite(where, "cov_prior", np.diag(given) if given.ndim == 1 else given, spec)
        return self.with_parameters(floor_=self.floor * variance, mean_prior_=mean, cov_prior_=cov)

    def _first_slopes(self, data: RealData, u: np.ndarray, num_states: int, rng: np.random.Generator) -> np.ndarray:
        """Return the overall regression on the input, randomly perturbed in each state, [K, D, U]."""
        size = data.x.shape[1]
        slopes = np.zeros((size, self.drive_size))
        for d in range(size):
            seen = ~np.isnan(data.values[:, d])
            slopes[d] = np.linalg.lstsq(data.design[seen], data.x[seen, d], rcond=None)[0][1:]
        spread = np.abs(slopes) + 0.1 * np.std(data.x, axis=0)[:, None] / np.maximum(np.std(u, axis=0), 1e-12)
        spread = np.where(np.std(u, axis=0) > 0, spread, 0.0)
        return slopes + 0.5 * spread * rng.standard_normal((num_states, size, self.drive_size))


def _listed(given: Any) -> Any:
    """Return an array as a list for JSON."""
    return None if given is None else np.asarray(given, np.float64).tolist()


def _distinct(where: str, values: np.ndarray, num_states: int) -> None:
    """Raise a ValueError if there are fewer distinct observations than states: one would have no variance."""
    steps = values[~np.isnan(values).any(1)]
    for part in (steps[:MANY], steps):
        found = len(np.unique(part, axis=0))
        if found >= num_states:
            return
    if len(steps) == len(values) > 0:
        raise ValueError(f"{where}: expected at least as many distinct observations as states (of mixtures: components "
                         f"of all states), got {found} for {num_states}; use fewer states.")  # fmt: skip
