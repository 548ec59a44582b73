"""K-means for the first means of EM: Lloyd's iterations from greedy k-means++ (Arthur and Vassilvitskii 2007).

Random numbers are drawn in scikit-learn's order, so hmmlearn and elman get equal means for an equal `random_state`.
"""

import logging
from typing import NamedTuple

import numpy as np

from elman.classical.hmm.emissions import tall
from elman.representation import brief_fields

log = logging.getLogger("elman.hmm")
RESTARTS, ITERATIONS, TOLERANCE = 10, 300, 1e-4


@brief_fields
class Clusters(NamedTuple):
    """Clustering of N points."""

    centres: np.ndarray  # [K, D]
    labels: np.ndarray  # [N] number of the nearest centre
    inertia: float  # sum of the squared distances to the nearest centres


def k_means(x: np.ndarray, clusters: int, generator: np.random.RandomState) -> Clusters:
    """Return the best of ten clusterings of `x` [N, D] float64, N at least `clusters`."""
    mean = x.mean(0)
    x = np.ascontiguousarray(x - mean)
    best: Clusters | None = None
    for _ in range(RESTARTS):
        found = lloyd(x, first_centres(x, clusters, generator))
        if best is None or (found.inertia < best.inertia and not same_clusters(found.labels, best.labels)):
            best = found
    assert best is not None
    return best._replace(centres=best.centres + mean)


def squared_distances(centres: np.ndarray, x: np.ndarray, norms: np.ndarray) -> np.ndarray:
    """Return [C, N] for centres [C, D] and points [N, D] with squared norms [N]."""
    squares = np.empty((len(x), len(centres)))
    tall.product(x, -2 * centres.T, out=squares)
    squares += np.square(centres).sum(1)
    return np.maximum(squares.T + norms, 0)


def first_centres(x: np.ndarray, clusters: int, generator: np.random.RandomState) -> np.ndarray:
    """Choose points [K, D] one by one: draw a few by squared distance, and keep the one with the least inertia."""
    steps, norms = len(x), np.square(x).sum(1)
    candidates = 2 + int(np.log(clusters))
    chosen = [int(generator.choice(steps, p=np.full(steps, 1 / steps)))]
    nearest = squared_distances(x[chosen], x, norms)[0]
    for _ in range(1, clusters):
        drawn = generator.uniform(size=candidates) * nearest.sum()
        ids = np.minimum(np.searchsorted(np.cumsum(nearest), drawn), steps - 1)
        distances = np.minimum(nearest, squared_distances(x[ids], x, norms))
        best = int(distances.sum(1).argmin())
        nearest = distances[best]
        chosen.append(int(ids[best]))
    return x[chosen]


def lloyd(x: np.ndarray, centres: np.ndarray) -> Clusters:
    """Assign points and average clusters until no label changes or the centres hardly move."""
    tolerance = TOLERANCE * x.var(0).mean()
    nearest = Nearest(x, len(centres))
    labels = np.full(len(x), -1)
    for _ in range(ITERATIONS):
        before, labels = labels, nearest(centres)
        moved = averages(x, labels, centres)
        shift, centres = np.square(moved - centres).sum(), moved
        if np.array_equal(labels, before):
            break
        if shift <= tolerance:
            labels = nearest(centres)
            break
    return Clusters(centres, labels, float(np.square(x - centres[labels]).sum()))


class Nearest:
    """Search for the nearest of K centres to each of N points: one matrix product into a reused buffer."""

    def __init__(self, x: np.ndarray, clusters: int):
        self.features = np.hstack([np.ones((len(x), 1)), x])
        self.distances = np.empty((len(x), clusters))  # squared, minus the norms of the points

    def __call__(self, centres: np.ndarray) -> np.ndarray:
        weights = np.vstack([np.square(centres).sum(1), -2 * centres.T])
        tall.product(self.features, weights, out=self.distances)
        return self.distances.argmin(1)


def averages(x: np.ndarray, labels: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return the mean of each cluster; an empty cluster gets the point farthest from its centre."""
    clusters = len(centres)
    counts = np.bincount(labels, minlength=clusters).astype(np.float64)
    sums = np.stack([np.bincount(labels, column, clusters) for column in x.T], axis=1)
    empty = np.flatnonzero(counts == 0)
    if empty.size:
        distances = np.square(x - centres[labels]).sum(1)
        if distances.any():
            for cluster, point in zip(empty, np.argsort(-distances, kind="stable"), strict=False):
                sums[labels[point]] -= x[point]
                counts[labels[point]] -= 1
                sums[cluster], counts[cluster] = x[point], 1
    return np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], centres)


def same_clusters(a: np.ndarray, b: np.ndarray) -> bool:
    """Return whether two labellings differ only in the numbering of the clusters."""
    pairs = len(np.unique(a * (b.max() + 1) + b))
    return pairs == len(np.unique(a)) == len(np.unique(b))


def initial_means(where: str, X: np.ndarray, clusters: int, generator: np.random.RandomState) -> np.ndarray:
    """Return the cluster centres of X [N, D]; some are equal if there are fewer distinct observations.

    Raises:
        ValueError: there are fewer observations than clusters.
    """
    check_enough(where, X, clusters)
    found = k_means(X.astype(np.float64), clusters, generator)
    distinct = len(np.unique(found.labels))
    if distinct < clusters:
        log.warning("%s: X has %d distinct observations for %d states, so some states get the same initial mean.",
                    where, distinct, clusters)  # fmt: skip
    return found.centres


def check_enough(where: str, X: np.ndarray, states: int) -> None:
    """Raise a ValueError if there are fewer observations than states."""
    if len(X) < states:
        raise ValueError(f"{where}: expected at least as many observations as states, got {len(X)} for {states}.")
