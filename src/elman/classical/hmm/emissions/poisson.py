"""Poisson emission: counts with a rate per state."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import numpy as np

from elman.classical.checks import check_names, reals
from elman.classical.hmm.emissions import tall
from elman.classical.hmm.emissions.clusters import cluster_means
from elman.classical.hmm.emissions.emission import DEAD, Emission, buffer, warn_of_few
from elman.classical.hmm.inputs import counts
from elman.classical.special import log_factorial
from elman.representation import counted
from elman.sequences import Sequences


class Counts(NamedTuple):
    """Result of `Poisson.read`."""

    features: np.ndarray  # [N, 2 D]: the counts, 0 where missing; then 1, or 0 where missing
    log_factorials: np.ndarray  # [N] sum over the counts of a step
    values: np.ndarray  # [N, D] NaN where one is missing

    @staticmethod
    def of(values: np.ndarray) -> "Counts":
        """Return the counts of `values` [N, D] float64."""
        seen = ~np.isnan(values)
        filled = np.where(seen, values, 0)
        return Counts(np.hstack([filled, seen]), log_factorial(filled).sum(1), values)


class Poisson(Emission):
    """Poisson distribution p(x | k) = product over d of rate[k, d]^x_d exp(-rate[k, d]) / x_d!

    Args:
        shape, rate: gamma prior of the rates, density ~ r^(shape - 1) exp(-rate r), which adds shape - 1 events in
            `rate` steps. shape at least 1, rate at least 0; 1 and 0 are no prior.
        floor: lower bound of the rates, as a fraction of the mean count of each feature, above 0.
    Shapes:
        x: [N, D] integers of at least 0, or float64 with NaN where missing
    Attributes:
        rates_: [K, D].
    Raises:
        TypeError, ValueError: x are not counts; a setting is out of range.
    Example:
        >>> quakes = Poisson.from_parameters(np.array([[15.0], [26.0]]))
        >>> quakes.log_prob(quakes.read("here", Sequences(np.array([[20]]), [1]))).round(3)
        array([[-3.175, -3.174]])
    """

    rates_: np.ndarray
    floor_: np.ndarray  # [D]

    def __init__(self, shape: float = 1.0, rate: float = 0.0, floor: float = 1e-6):
        if not (shape >= 1 and rate >= 0 and floor > 0):
            raise ValueError("Poisson: expected a shape of at least 1, a rate of at least 0 and a floor above 0, got "
                             f"{shape}, {rate} and {floor}.")  # fmt: skip
        self.shape, self.rate, self.floor = shape, rate, floor

    @classmethod
    def from_parameters(cls, rates: Any, **settings: float) -> Self:
        """Return an emission with known rates [K, D]."""
        rates = reals("Poisson", "rates", rates, "K D")
        if not (rates > 0).all():
            raise ValueError(f"Poisson: expected rates above 0, got {rates.min():.6g}.")
        return cls(**settings).with_parameters(rates_=rates, floor_=np.zeros(rates.shape[1]))

    @property
    def settings(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"shape": self.shape, "rate": self.rate, "floor": self.floor}

    @property
    def num_states(self) -> int:
        """K."""
        return len(self.rates_)

    def size(self) -> str:
        return counted(self.rates_.shape[1], "feature")

    def read(self, where: str, x: Sequences, u: np.ndarray | None = None) -> Counts:
        """Return the counts with their log-factorials."""
        return Counts.of(counts(where, x, f"N D={self.rates_.shape[1]}" if hasattr(self, "rates_") else "N D"))

    def log_prob(self, data: Counts, out: np.ndarray | None = None) -> np.ndarray:
        """Return log p(x | state) [N, K]."""
        out = buffer(out, len(data.values), self.num_states)
        tall.product(data.features, np.vstack([np.log(self.rates_).T, -self.rates_.T]), out)
        out -= data.log_factorials[:, None]
        return out

    def initialise(self, where: str, data: Counts, num_states: int, rng: np.random.Generator) -> Self:
        """Return cluster means of the counts, on the scale of their square roots."""
        centres = cluster_means(where, np.sqrt(data.values), num_states, rng) ** 2
        warn_of_few(where, len(np.unique(data.values[~np.isnan(data.values).any(1)], axis=0)), num_states)
        mean = np.nanmean(data.values, 0)
        floor = self.floor * np.where(mean > 0, mean, 1.0)
        rates = np.maximum(0.9 * centres + 0.1 * mean, floor)
        return self.with_parameters(rates_=rates, floor_=floor)

    def m_step(self, data: Counts, posterior: np.ndarray) -> Self:
        """Return expected events divided by expected steps."""
        events, steps = self.expected_counts(data, posterior)
        rates = np.maximum((events + self.shape - 1) / np.maximum(steps + self.rate, DEAD), self.floor_)
        return self.with_parameters(rates_=np.where(steps >= DEAD, rates, self.rates_))

    def expected_counts(self, data: Counts, posterior: np.ndarray) -> list[np.ndarray]:
        """Return the expected events, and the expected steps at which they were counted, both [K, D]."""
        return np.hsplit(tall.inner(posterior, data.features), 2)

    def log_prior(self) -> float:
        """Return the log-density of the gamma priors, up to a constant."""
        return float(((self.shape - 1) * np.log(self.rates_) - self.rate * self.rates_).sum())

    def moments(self, u: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return mean [K, D] and covariance [K, D, D] of each state."""
        return self.rates_, self.rates_[:, :, None] * np.eye(self.rates_.shape[1])

    def sample(self, states: np.ndarray, rng: np.random.Generator, u: np.ndarray | None = None) -> np.ndarray:
        """Draw counts [N, D] int64."""
        return rng.poisson(self.rates_[states])

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the rates and their lower bounds."""
        return {"rates": self.rates_, "floor": self.floor_}

    def with_arrays(self, arrays: Mapping[str, np.ndarray]) -> Self:
        """Return a copy with these rates."""
        check_names("Poisson", arrays, ["rates", "floor"])
        rates = type(self).from_parameters(arrays["rates"]).rates_
        floor = reals("Poisson", "floor", arrays["floor"], f"D={rates.shape[1]}")
        return self.with_parameters(rates_=rates, floor_=floor)
