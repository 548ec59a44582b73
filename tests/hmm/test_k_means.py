"""K-means against scikit-learn's, with the same random numbers."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.cluster import KMeans

from elman.hmm.k_means import Nearest, averages, initial_means, k_means, lloyd

from .problems import clouds


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("steps", "features", "clusters"), [(300, 2, 3), (200, 5, 8), (50, 1, 4), (6, 3, 6)])
def test_the_same_clusters_in_the_same_order(seed, steps, features, clusters):
    x = np.random.default_rng(seed).normal(size=(steps, features)) + 100
    peer = KMeans(clusters, n_init=10, random_state=seed).fit(x)
    found = k_means(x, clusters, np.random.RandomState(seed))
    assert_allclose(found.centres, peer.cluster_centers_, rtol=1e-9)
    assert np.array_equal(found.labels, peer.labels_)
    assert found.inertia == pytest.approx(peer.inertia_)


def test_no_iteration_raises_the_inertia():
    x = clouds(1)
    centres, nearest = x[:4], Nearest(x, 4)
    inertia = np.inf
    for _ in range(8):
        labels = nearest(centres)
        now = np.square(x - centres[labels]).sum()
        assert now <= inertia + 1e-9
        inertia, centres = now, averages(x, labels, centres)


def test_an_empty_cluster_takes_the_farthest_point():
    x = np.array([[0.0], [1.0], [10.0]])
    found = lloyd(x, np.array([[0.0], [100.0]]))
    assert sorted(found.centres.ravel()) == [0.5, 10.0]


def test_equal_points_make_equal_clusters(caplog):
    found = initial_means("here", np.ones((5, 2)), 3, np.random.RandomState(0))
    assert np.array_equal(found, np.ones((3, 2)))
    assert "1 distinct observations for 3 states" in caplog.text


def test_fewer_points_than_clusters():
    with pytest.raises(ValueError, match="here: expected at least as many observations as states, got 2 for 3"):
        initial_means("here", np.ones((2, 2)), 3, np.random.RandomState(0))
