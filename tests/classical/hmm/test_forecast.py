"""Forecasts of an HMM against the enumeration of all paths of states."""

from itertools import pairwise, product

import numpy as np
import pytest
from scipy.special import softmax

from elman import pictures
from elman.classical.hmm import HMM, Categorical, Driven, Gaussian, GaussianMixture, Poisson
from elman.sequences import Sequences

RNG = np.random.default_rng(0)
STEPS, STATES = 4, 3
TRANSITION = RNG.dirichlet(np.ones(STATES), STATES)
START = np.array([0.2, 0.0, 0.8])
MEANS = RNG.normal(size=(STATES, 2))
FULL = np.stack([np.eye(2) + 0.3 * state for state in range(STATES)])
MIXED = RNG.normal(size=(STATES, 2, 2))
WEIGHTS = RNG.dirichlet(np.ones(2), STATES)

# emission, and the mean [K, D] and second moment [K, D, D] of each of its states
EMISSIONS = {
    "diagonal": (
        Gaussian.from_parameters(MEANS, 1 + MEANS**2),
        MEANS,
        [np.outer(mean, mean) + np.diag(1 + mean**2) for mean in MEANS],
    ),
    "full": (
        Gaussian.from_parameters(MEANS, FULL, "full"),
        MEANS,
        [np.outer(mean, mean) + cov for mean, cov in zip(MEANS, FULL, strict=True)],
    ),
    "tied": (
        Gaussian.from_parameters(MEANS, FULL[1], "tied"),
        MEANS,
        [np.outer(mean, mean) + FULL[1] for mean in MEANS],
    ),
    "mixture": (
        GaussianMixture.from_parameters(WEIGHTS, MIXED, np.ones((STATES, 2)), "spherical"),
        [weights @ means for weights, means in zip(WEIGHTS, MIXED, strict=True)],
        [
            sum(weight * (np.outer(mean, mean) + np.eye(2)) for weight, mean in zip(weights, means, strict=True))
            for weights, means in zip(WEIGHTS, MIXED, strict=True)
        ],
    ),
    "Poisson": (
        Poisson.from_parameters(1 + MEANS**2),
        1 + MEANS**2,
        [np.outer(rate, rate) + np.diag(rate) for rate in 1 + MEANS**2],
    ),
}


def enumerated(start, transitions):
    """Return the probability of each state at each step, [S, K], from all paths; transitions [S, K, K]."""
    probs = np.zeros((STEPS, STATES))
    for path in product(range(STATES), repeat=STEPS):
        chance = start[path[0]]
        for step, (one, two) in enumerate(pairwise(path)):
            chance *= transitions[step][one, two]
        probs[np.arange(STEPS), path] += chance
    return probs


@pytest.mark.parametrize("kind", EMISSIONS)
def test_states_and_moments_equal_those_of_all_paths(kind):
    emission, means, seconds = EMISSIONS[kind]
    model = HMM.from_parameters(START, TRANSITION, emission)
    rows = model.sample([5, 0, 9], seed=1).observations
    found = model.forecast(rows, STEPS)
    after = model.scan(rows)[1]
    assert found.observations.mean.shape == (3, STEPS, 2)
    for row, state in enumerate(after):
        probs = enumerated(state, [TRANSITION] * STEPS)
        mean = probs @ np.array(means)
        cov = np.tensordot(probs, np.array(seconds), 1) - mean[:, :, None] * mean[:, None]
        np.testing.assert_allclose(found.probs[row], probs, atol=1e-12)
        np.testing.assert_allclose(found.observations.mean[row], mean, atol=1e-12)
        np.testing.assert_allclose(found.observations.cov[row], cov, atol=1e-12)
    np.testing.assert_array_equal(after[1], START)  # an empty row is forecast from the start


def test_driven_transitions_and_means_follow_the_future_input():
    weights, slopes = RNG.normal(size=(STATES, STATES, 3)), RNG.normal(size=(STATES, 2, 2))
    emission = Gaussian.from_parameters(MEANS, 1 + 0 * MEANS, slopes=slopes)
    model = HMM.from_parameters(START, None, emission, transition_weights=weights)
    past, u = RNG.normal(size=(6, 2)), RNG.normal(size=(1, STEPS, 2))
    rows = Sequences(Driven(RNG.normal(size=(6, 2)), past), [6])
    found = model.forecast(rows, STEPS, u)
    transitions = [softmax(weights[:, :, 0] + weights[:, :, 1:] @ one, axis=1) for one in u[0]]
    probs = enumerated(model.scan(rows)[1][0], transitions)
    np.testing.assert_allclose(found.probs[0], probs, atol=1e-12)
    means = MEANS + np.einsum("kdu,su->skd", slopes, u[0])
    np.testing.assert_allclose(found.observations.mean[0], np.einsum("sk,skd->sd", probs, means), atol=1e-12)


def test_a_long_forecast_approaches_the_stationary_distribution():
    model = HMM.from_parameters(START, TRANSITION, Categorical.from_parameters(np.eye(3)))
    found = model.forecast([[0, 2]], 200)
    np.testing.assert_allclose(found.probs[0, -1], model.stationary(), atol=1e-12)
    assert found.observations is None  # symbols have no mean
    assert model.forecast([np.array([], int)], np.int64(1), state=[[0, 1, 0]]).probs.tolist() == [[[0, 1, 0]]]


def test_the_forecast_is_drawn():
    model = HMM.from_parameters(START, TRANSITION, EMISSIONS["full"][0])
    series = model.sample([9], seed=2).observations
    found = model.forecast(series, STEPS)
    figure = pictures.forecast(series, found)
    np.testing.assert_array_equal(figure.axes[1].lines[1].get_ydata(), found.observations.mean[0, :, 1])
    with pytest.raises(TypeError, match="expected the series first, got a forecast"):
        pictures.forecast(found, series)


def test_notebooks_show_the_state_probabilities():
    found = HMM.from_parameters(START, TRANSITION, EMISSIONS["full"][0]).forecast(MEANS[:0], 2)
    page = found._repr_html_()
    assert "state 2" in page
    assert "0.8" in page
    assert "state 2" in found._replace(probs=found.probs[:0])._repr_html_()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([MEANS], 0), "HMM.forecast: expected steps to be an int of at least 1, got 0"),
        (([MEANS], 2.5), "HMM.forecast: expected steps to be an int"),
        (([MEANS[:, 0]], 2), r"HMM.forecast: expected observations of shape \[N, D=2\], got \[3, 1\]"),
        (([MEANS], 2, np.ones((1, 2, 1))), "HMM.forecast: expected no driving input, got one"),
        (([], 2), "HMM.forecast: expected at least one row"),
    ],
)
def test_wrong_arguments(arguments, message):
    model = HMM.from_parameters(START, TRANSITION, EMISSIONS["full"][0])
    with pytest.raises(ValueError, match=message):
        model.forecast(*arguments)
    with pytest.raises(ValueError, match=r"HMM.forecast: expected a fitted model"):
        HMM(2, Gaussian()).forecast([MEANS], 2)


def test_a_driven_model_needs_the_input_of_the_future():
    model = HMM.from_parameters(START, None, EMISSIONS["full"][0], np.zeros((STATES, STATES, 2)))
    rows = Sequences(Driven(MEANS, np.zeros((3, 1))), [3])
    with pytest.raises(
        ValueError, match=r"expected the driving input of the future steps, got none; give u \[B=1, S=2"
    ):
        model.forecast(rows, 2)
    with pytest.raises(ValueError, match=r"expected the driving input u of shape \[B=1, S=2, U=1\], got \[1, 3, 1\]"):
        model.forecast(rows, 2, np.zeros((1, 3, 1)))
