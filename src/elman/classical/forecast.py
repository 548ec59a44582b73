"""Forecasts: mean and covariance of future steps, and the error covariances of an autoregression."""

from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from elman.html_tables import html_table
from elman.representation import brief_fields


@brief_fields
class Forecast(NamedTuple):
    """Distribution of the next S steps of each row; Gaussian if the noise is.

    Example:
        >>> low, high = Forecast(np.zeros((1, 1, 1)), np.ones((1, 1, 1, 1))).interval(0.95)
        >>> low.round(2), high.round(2)
        (array([[[-1.96]]]), array([[[1.96]]]))
    """

    mean: np.ndarray  # [B, S, D]
    cov: np.ndarray  # [B, S, D, D] of the error at each step

    @property
    def deviation(self) -> np.ndarray:
        """Standard deviation of each coordinate, [B, S, D]."""
        deviation: np.ndarray = np.sqrt(np.diagonal(self.cov, axis1=-2, axis2=-1))
        return deviation

    def interval(self, level: float = 0.9) -> tuple[np.ndarray, np.ndarray]:
        """Return the bounds between which each coordinate lies with probability `level`: two arrays [B, S, D].

        Raises:
            ValueError: the level is not between 0 and 1.
        """
        if not 0 < level < 1:
            raise ValueError(f"Forecast.interval: expected a level between 0 and 1, got {level}.")
        width = NormalDist().inv_cdf(0.5 + level / 2) * self.deviation
        return self.mean - width, self.mean + width

    def _repr_html_(self) -> str:
        """Return a table of mean and standard deviation of each step of the first row, for notebooks."""
        size = self.mean.shape[-1]
        names = [f"{name} {number}" if size > 1 else name for name in ("mean", "deviation") for number in range(size)]
        first = np.concatenate([self.mean[:1], self.deviation[:1]], axis=-1).reshape(-1, 2 * size)
        rows = [[step, *numbers] for step, numbers in enumerate(first.tolist(), 1)]
        return html_table(f"{self!r}, row 0", rows, ["step", *names])


def responses(taps: np.ndarray, steps: int) -> np.ndarray:
    """Return the impulse responses for lags 0 to steps - 1, [steps, D, D]: the moving average form of the taps."""
    order, size, _ = taps.shape
    weights = np.zeros((steps, size, size))
    weights[:1] = np.eye(size)
    for step in range(1, steps):
        reach = min(step, order)
        weights[step] = (taps[:reach] @ weights[step - reach : step][::-1]).sum(0)
    return weights


def error_covariances(taps: np.ndarray, noise_cov: np.ndarray, steps: int) -> np.ndarray:
    """Return the error covariances of forecasts 1 to `steps` steps ahead, [steps, D, D]."""
    weights = responses(taps, steps)
    return np.cumsum(weights @ noise_cov @ weights.transpose(0, 2, 1), axis=0)


def check_steps(where: str, steps: int) -> None:
    """Raise unless a number of steps to forecast is an integer of at least 1.

    Raises:
        ValueError: the number is not an integer of at least 1.
    """
    if isinstance(steps, bool) or not isinstance(steps, int | np.integer) or steps < 1:
        raise ValueError(f"{where}: expected steps to be an int of at least 1, got {steps!r}.")


def mixture_moments(weights: np.ndarray, means: np.ndarray, covs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean [..., D] and covariance [..., D, D] of mixtures of K distributions: the law of total covariance.

    Args:
        weights: [..., K]; they sum to one.
        means: [..., K, D]; covs: [..., K, D, D]. Leading axes are broadcast.
    Example:
        >>> mixture_moments(np.array([0.5, 0.5]), np.array([[-1.0], [1.0]]), np.ones((2, 1, 1)))
        (array([0.]), array([[2.]]))
    """
    mean = np.einsum("...k,...kd->...d", weights, means)
    between = means - mean[..., None, :]
    within = np.einsum("...k,...kde->...de", weights, covs)
    return mean, within + np.einsum("...k,...kd,...ke->...de", weights, between, between)
