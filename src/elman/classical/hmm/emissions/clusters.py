"""K-means for the first parameters of EM, with k-means++ (Arthur and Vassilvitskii 2007) and missing values."""

import numpy as np

from elman.classical.hmm.emissions import tall

SAMPLE, ROUNDS = 5_000, 10  # maximum number of observations; rounds of k-means


def cluster_means(where: str, values: np.ndarray, num_clusters: int, rng: np.random.Generator) -> np.ndarray:
    """Return the cluster means [num_clusters, D] of values [N, D], NaN where missing.

    Raises:
        ValueError: a coordinate is never observed, or there are fewer observed steps than clusters.
    """
    return clusters(where, values, num_clusters, rng)[0]


def clusters(
    where: str, values: np.ndarray, num_clusters: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the means [num_clusters, D], and the variance of each coordinate within clusters [D]."""
    seen = ~np.isnan(values)
    empty = ~seen.any(0)
    if empty.all():
        raise ValueError(f"{where}: expected observations, got none: all are missing.")
    if empty.any():
        raise ValueError(f"{where}: expected observations of each feature, got none of feature "
                         f"{int(np.argmax(empty))}: all are missing.")  # fmt: skip
    steps = np.flatnonzero(seen.any(1))
    if len(steps) < num_clusters:
        raise ValueError(f"{where}: expected at least as many observed steps as states (of mixtures: components of all "
                         f"states), got {len(steps)} for {num_clusters}.")  # fmt: skip
    if len(steps) > SAMPLE:
        steps = np.sort(rng.choice(steps, SAMPLE, replace=False))
    x, seen = values[steps], seen[steps]
    mean, spread = np.nanmean(values, 0), np.nanstd(values, 0)
    spread = np.where(spread > 0, spread, 1.0)
    x = np.where(seen, (x - mean) / spread, 0.0)  # [S, D]
    weight = seen.astype(np.float64)
    centres = _plus_plus(x, weight, num_clusters, rng)
    for _ in range(ROUNDS):
        member = _distances(x, weight, centres).argmin(1)
        one = np.zeros((len(x), num_clusters))
        one[np.arange(len(x)), member] = 1
        counted = tall.inner(one, weight)
        centres = np.where(counted > 0, tall.inner(one, x) / np.maximum(counted, 1), centres)
    within = (weight * (x - centres[member]) ** 2).sum(0) / np.maximum(weight.sum(0), 1)
    return centres * spread + mean, within * spread**2


def _plus_plus(x: np.ndarray, weight: np.ndarray, num_clusters: int, rng: np.random.Generator) -> np.ndarray:
    """Draw centres one by one, with probabilities proportional to the squared distance from the nearest centre."""
    chosen = [int(rng.integers(len(x)))]
    nearest = _distances(x, weight, x[chosen])[:, 0]
    while len(chosen) < num_clusters:
        total = nearest.sum()
        odds = nearest / total if total > 0 else np.full(len(x), 1 / len(x))
        chosen.append(int(rng.choice(len(x), p=odds)))
        nearest = np.minimum(nearest, _distances(x, weight, x[chosen[-1:]])[:, 0])
    return x[chosen]


def _distances(x: np.ndarray, weight: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return squared distances [S, C] over the observed coordinates."""
    distances = np.empty((len(x), len(centres)))
    tall.product(
        np.hstack([x, weight, x**2]), np.hstack([-2 * centres, centres**2, np.ones_like(centres)]).T, distances
    )
    return np.maximum(distances, 0.0, out=distances)
