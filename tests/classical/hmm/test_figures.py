"""Published figures, on their data."""

import csv

import numpy as np
import pytest

from elman.classical.hmm import HMM, Categorical, Gaussian, Poisson
from elman.sequences import Sequences

FAIR, LOADED = [1 / 6] * 6, [0.1] * 5 + [0.5]


@pytest.fixture(scope="module")
def column(data_path):
    def read(name, column):
        with open(data_path / "hmm" / f"{name}.csv", newline="") as file:
            return [row[column] for row in csv.DictReader(file)]

    return read


@pytest.mark.parametrize(("states", "free", "stationary"), [
    (1, -391.9189, -391.9189), (2, -341.8787, -342.3183), (3, -328.5275, -329.4603)])  # fmt: skip
def test_earthquakes_have_the_published_likelihood(column, states, free, stationary):
    """Zucchini and MacDonald (2009), chapter 4."""
    x = [np.array(column("earthquakes", "count"), dtype=np.int64)[:, None]]
    for start, expected in (("free", free), ("stationary", stationary)):
        model = HMM(states, Poisson(), start=start).fit(x)
        assert model.log_prob(x)[0] == pytest.approx(expected, abs=5e-5)
        assert model.history_[-1] == pytest.approx(model.log_prob(x)[0], abs=1e-9)
        if start == "stationary":
            np.testing.assert_allclose(model.start_ @ model.transition_, model.start_, atol=1e-12)
            np.testing.assert_allclose(model.stationary(), model.start_, atol=1e-12)


@pytest.mark.parametrize("covariance", ["diag", "full", "spherical"])
def test_speed_has_the_published_likelihood(column, covariance):
    """Visser and Speekenbrink (2010): as one series, and as three."""
    x = np.array(column("speed", "rt"), dtype=np.float64)[:, None]
    assert HMM(2, Gaussian(covariance)).fit([x]).history_[-1] == pytest.approx(-88.73, abs=5e-3)
    model = HMM(2, Gaussian(covariance)).fit(Sequences(x, [168, 134, 137]))
    assert model.history_[-1] == pytest.approx(-84.34, abs=5e-3)
    order = model.emission_.means_[:, 0].argsort()
    np.testing.assert_allclose(model.transition_[np.ix_(order, order)], [[0.895, 0.105], [0.084, 0.916]], atol=1e-3)


def test_casino_has_the_published_likelihood(column):
    """Durbin et al. (1998), chapter 3.2, with their parameters."""
    x = [np.array(column("casino", "roll"), dtype=np.int64) - 1]
    loaded = np.array(column("casino", "state")) != "Fair"
    dice = Categorical.from_parameters(np.array([FAIR, LOADED]))
    model = HMM.from_parameters(np.array([0.5, 0.5]), np.array([[0.95, 0.05], [0.1, 0.9]]), dice)
    path = model.decode(x)
    assert model.log_prob(x)[0] == pytest.approx(-516.9277, abs=5e-5)
    assert path.log_prob[0] == pytest.approx(-539.494, abs=5e-5)
    assert (path.states.values == loaded).sum() == 272
