"""Fitting to known states, against counts, scikit-learn and EM's steps."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from elman.classical import HMM
from elman.classical.hmm import Categorical, Driven, Gaussian, GaussianMixture, Poisson
from elman.classical.hmm.labelled import labels_of
from elman.sequences import Sequences

X = Sequences(np.array([0, 1, 1, 0, 2, 2, 1]), [4, 0, 3])
STATES = np.array([0, 0, 1, 1, 1, 0, 0])


def test_parameters_are_relative_frequencies():
    model = HMM(2, Categorical()).fit_labelled(X, STATES)
    np.testing.assert_allclose(model.start_, [1 / 2, 1 / 2])
    np.testing.assert_allclose(model.transition_, [[2 / 3, 1 / 3], [1 / 2, 1 / 2]])
    np.testing.assert_allclose(model.emission_.probs_, [[1 / 4, 2 / 4, 1 / 4], [1 / 3, 1 / 3, 1 / 3]])
    np.testing.assert_array_equal(model.counts_, [4, 3])


def test_priors_add_counts():
    model = HMM(2, Categorical(4, prior=1.5), start_prior=3.0, transition_prior=2.0).fit_labelled(X, STATES)
    np.testing.assert_allclose(model.start_, [3 / 6, 3 / 6])
    np.testing.assert_allclose(model.transition_, [[3 / 5, 2 / 5], [2 / 4, 2 / 4]])
    np.testing.assert_allclose(model.emission_.probs_[0], np.array([1.5, 2.5, 1.5, 0.5]) / 6)


@pytest.mark.parametrize("give", [lambda s: s, lambda s: s.tolist(), lambda s: Sequences(s, [4, 0, 3]),
                                  lambda s: [s[:4], [], s[4:].tolist()]])  # fmt: skip
def test_states_may_be_sequences_lists_or_an_array(give):
    model = HMM(2, Categorical()).fit_labelled(X, give(STATES))
    np.testing.assert_allclose(model.transition_, [[2 / 3, 1 / 3], [1 / 2, 1 / 2]])
    np.testing.assert_array_equal(labels_of("here", X, give(STATES)), STATES)


def test_gaussians_and_rates_are_fitted_to_the_steps_of_each_state():
    rng = np.random.default_rng(0)
    states = rng.integers(0, 3, 300)
    rows = Sequences(rng.standard_normal((300, 2)) + 3.0 * states[:, None], [100, 200])
    model = HMM(3, Gaussian("full")).fit_labelled(rows, states)
    for state in range(3):
        own = rows.values[states == state]
        np.testing.assert_allclose(model.emission_.means_[state], own.mean(0), atol=1e-8)
    counts = Sequences(rng.poisson(2.0 + 5 * states)[:, None], [100, 200])
    model = HMM(3, Poisson()).fit_labelled(counts, states)
    np.testing.assert_allclose(np.ravel(model.emission_.rates_), [counts.values[states == k].mean() for k in range(3)])


def test_a_mixture_is_fitted_by_em_within_states():
    rng = np.random.default_rng(1)
    states = np.repeat([0, 1], 200)
    x = np.where(rng.random(400) < 0.5, -4.0, 4.0) + 20.0 * states + rng.standard_normal(400)
    model = HMM(2, GaussianMixture(2)).fit_labelled(Sequences(x[:, None], [400]), states)
    means = np.sort(model.emission_.means_.reshape(2, 2), axis=1)
    np.testing.assert_allclose(means, [[-4, 4], [16, 24]], atol=0.4)


def test_driven_transitions_are_softmax_regressions():
    rng = np.random.default_rng(2)
    u, states = rng.standard_normal((3000, 1)), np.zeros(3000, np.int64)
    for n in range(1, 3000):
        states[n] = rng.random() < 1 / (1 + np.exp(-(1.5 * u[n - 1, 0] + (1 if states[n - 1] else -1))))
    model = HMM(2, Gaussian(), drive_size=1, tolerance=1e-12)
    model.fit_labelled(Sequences(Driven(states[:, None] + rng.standard_normal((3000, 1)), u), [3000]), states)
    for state in range(2):
        here = np.flatnonzero(states[:-1] == state)
        peer = LogisticRegression(C=1e8, tol=1e-10).fit(u[here], states[here + 1])
        bias, slope = model.transition_weights_[state, 1] - model.transition_weights_[state, 0]
        np.testing.assert_allclose([bias, slope], [peer.intercept_[0], peer.coef_[0, 0]], atol=1e-4)


def test_a_stationary_start_stays_stationary():
    model = HMM(2, Categorical(), start="stationary").fit_labelled(X, STATES)
    np.testing.assert_allclose(model.start_ @ model.transition_, model.start_, atol=1e-9)
    free = HMM(2, Categorical()).fit_labelled(X, STATES).transition_
    assert np.abs(model.transition_ - free).max() > 1e-3  # the starts of rows contribute


def test_em_continues_from_labelled_parameters():
    x = Sequences(np.random.default_rng(3).integers(0, 3, 80), [50, 30])
    states = np.random.default_rng(4).integers(0, 2, 80)
    model = HMM(2, Categorical(), max_iterations=5).fit_labelled(x, states)
    before = model.log_prob(x).sum()
    assert model.fit(x, refine=True).log_prob(x).sum() > before


def test_bad_input_is_one_clear_line():
    with pytest.raises(ValueError, match=r"HMM.fit_labelled: expected labels of shape \[N=7\], got \[6\]"):
        HMM(2, Categorical()).fit_labelled(X, STATES[:-1])
    with pytest.raises(ValueError, match=r"HMM.fit_labelled: expected states from 0 to 1, got 2 at \[2\]"):
        HMM(2, Categorical()).fit_labelled(X, 2 * STATES)
    with pytest.raises(ValueError, match=r"HMM.fit_labelled: expected every state from 0 to 2 to occur, got no step "
                                         "in state 2; lower num_states"):  # fmt: skip
        HMM(3, Categorical()).fit_labelled(X, STATES)
    with pytest.raises(TypeError, match=r"HMM.fit_labelled: expected states of integers, got float64"):
        HMM(2, Categorical()).fit_labelled(X, STATES.astype(float))
    with pytest.raises(ValueError, match=r"HMM.fit_labelled: expected labels for 3 rows, got 2"):
        HMM(2, Categorical()).fit_labelled(X, [STATES[:4], STATES[4:]])
    with pytest.raises(ValueError, match=r"HMM.fit_labelled: expected a label for each of the 4 steps of row 0, got 3"):
        HMM(2, Categorical()).fit_labelled(X, [STATES[:3], [], STATES[3:]])
