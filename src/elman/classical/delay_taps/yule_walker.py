"""Yule-Walker equations (Yule 1927; Walker 1931): taps with the autocovariances of the series."""

import numpy as np

from elman.classical.delay_taps.products import lagged
from elman.sequences import Sequences


def autocovariances(rows: Sequences, order: int, center: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the autocovariances of lags 0 to `order`, [order + 1, D, D], and the mean [D].

    Sums are divided by the number of all steps, so that without missing values they belong to a stable process. With
    missing values, each is the mean of the observed products, with the same shrinkage by lag (Parzen 1963, "On spectral
    analysis with missing observations").

    Args:
        rows: values [N, D], NaN where missing; each coordinate is observed at least once.
        center: whether to subtract the mean.
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
    observed = present.astype(float)
    pairs = lagged(observed.copy(), observed, starts, lengths, order)
    possible = np.array([np.maximum(lengths - lag, 0).sum() for lag in range(order + 1)], float)
    return products / np.maximum(pairs, 1) * (possible / steps)[:, None, None], mean


def yule_walker(covariances: np.ndarray, order: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the taps [order, D, D] and the covariance of the noise [D, D]."""
    size = covariances.shape[1]
    both = np.concatenate([covariances[order:0:-1].transpose(0, 2, 1), covariances[: order + 1]])  # lags -order ...
    lags = np.arange(order)
    blocks = both[order + lags - lags[:, None]]  # [j, i]: lag i - j
    toeplitz = blocks.transpose(0, 2, 1, 3).reshape(order * size, order * size)
    right = covariances[1 : order + 1].transpose(1, 0, 2).reshape(size, order * size)
    flat = np.linalg.lstsq(toeplitz.T, right.T, rcond=None)[0].T if order else np.zeros((size, 0))
    noise = covariances[0] - flat @ right.T
    return flat.reshape(size, order, size).transpose(1, 0, 2), (noise + noise.T) / 2
