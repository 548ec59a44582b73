"""The equations of Yule (1927) and Walker (1931): the taps whose autocovariances are those of the series."""

import numpy as np

from elman.classical.delay_taps.products import lagged
from elman.sequences import Sequences


def autocovariances(rows: Sequences, order: int, center: bool) -> tuple[np.ndarray, np.ndarray]:
    """Those of lags 0 to `order` about the mean, divided by all steps, [order + 1, D, D]; and the mean [D].

    Divided so, and without missing values, they belong to a stable process. Where values are missing, each is the mean
    of the products that are there, shrunk as much as without them (Parzen 1963, "On spectral analysis with missing
    observations").

    Args:
        rows: values [N, D], NaN where missing; each coordinate is there at least once.
        center: about zero, where false.
    """
    series = np.ascontiguousarray(rows.values.T)
    starts, lengths, steps = rows.offsets[:-1], rows.lengths, rows.num_steps
    present = ~np.isnan(series)
    mean = np.zeros(len(series))
    if center:
        mean = series.sum(1, where=present) / present.sum(1)
    series = np.where(present, series - mean[:, None], 0.0)
    products = lagged(series.copy(), series, starts, lengths, order)
    if present.all():
        return products / steps, mean
    there = present.astype(float)
    pairs = lagged(there.copy(), there, starts, lengths, order)
    possible = np.array([np.maximum(lengths - lag, 0).sum() for lag in range(order + 1)], float)
    return products / np.maximum(pairs, 1) * (possible / steps)[:, None, None], mean


def yule_walker(covariances: np.ndarray, order: int) -> tuple[np.ndarray, np.ndarray]:
    """Taps [order, D, D], the covariance of the noise [D, D]."""
    size = covariances.shape[1]
    both = np.concatenate([covariances[order:0:-1].transpose(0, 2, 1), covariances[: order + 1]])  # lags -order ...
    lags = np.arange(order)
    blocks = both[order + lags - lags[:, None]]  # [j, i]: of lag i - j
    toeplitz = blocks.transpose(0, 2, 1, 3).reshape(order * size, order * size)
    right = covariances[1 : order + 1].transpose(1, 0, 2).reshape(size, order * size)
    flat = np.linalg.lstsq(toeplitz.T, right.T, rcond=None)[0].T if order else np.zeros((size, 0))
    noise = covariances[0] - flat @ right.T
    return flat.reshape(size, order, size).transpose(1, 0, 2), (noise + noise.T) / 2
