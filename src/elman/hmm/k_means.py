"""K-means, where EM begins: Lloyd's iterations, from the greedy k-means++ of Arthur and Vassilvitskii (2007).

The draws are made in the order in which scikit-learn makes them, so that a `random_state` starts both libraries alike.
"""

import logging
from typing import NamedTuple

import numpy as np

from elman.classical.hmm.emissions import tall

log = logging.getLogger("elman.hmm")
RESTARTS, ITERATIONS, TOLERANCE = 10, 300, 1e-4


class Clusters(NamedTuple):
    centres: np.ndarray  # [K, D]
    labels: np.ndarray  # [N] the nearest centre
    inertia: float  # the squared distances to it, summed


def k_means(x: np.ndarray, clusters: int, generator: np.random.RandomState) -> Clusters:
    """The best of ten clusterings of `x` [N, D] float64, N at least `clusters`."""
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
    """[C, N] between centres [C, D] and points [N, D] of squared norms [N]."""
    squares = np.empty((len(x), len(centres)))
    tall.product(x, -2 * centres.T, out=squares)
    squares += np.square(centres).sum(1)
    return np.maximum(squares.T + norms, 0)


def first_centres(x: np.ndarray, clusters: int, generator: np.random.RandomState) -> np.ndarray:
    """Points far from each other: of a few candidates, drawn as the squared distances, the one that helps most."""
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
    """Label, average, again, until no label changes or the centres hardly move."""
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
    """Which of some centres [K, D] is nearest to each point [N, D]: one product into memory that is kept."""

    def __init__(self, x: np.ndarray, clusters: int):
        self.features = np.hstack([np.ones((len(x), 1)), x])
        self.distances = np.empty((len(x), clusters))  # squared, less the norms of the points

    def __call__(self, centres: np.ndarray) -> np.ndarray:
        weights = np.vstack([np.square(centres).sum(1), -2 * centres.T])
        tall.product(self.features, weights, out=self.distances)
        return self.distances.argmin(1)


def averages(x: np.ndarray, labels: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """The mean of each cluster; an empty one takes the point that lies farthest from its centre."""
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
    """Whether two labellings differ in the names of the clusters only."""
    pairs = len(np.unique(a * (b.max() + 1) + b))
    return pairs == len(np.unique(a)) == len(np.unique(b))


def start_means(where: str, X: np.ndarray, clusters: int, generator: np.random.RandomState) -> np.ndarray:
    """The centres of the clusters of X [N, D]; equal ones where there are fewer distinct observations.

    Raises:
        ValueError: there are fewer observations than clusters.
    """
    if len(X) < clusters:
        raise ValueError(too_few(where, len(X), clusters))
    found = k_means(X.astype(np.float64), clusters, generator)
    distinct = len(np.unique(found.labels))
    if distinct < clusters:
        log.warning("%s: X has %d distinct observations for %d states, so that some states start alike.",
                    where, distinct, clusters)  # fmt: skip
    return found.centres


def too_few(where: str, observations: int, states: int) -> str:
    """What to say of it."""
    return f"{where}: expected at least as many observations as states, got {observations} for {states}."
