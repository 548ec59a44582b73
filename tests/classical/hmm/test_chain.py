"""The chain's M steps: they end at a maximum, also with driving inputs."""

import numpy as np
import pytest
from scipy.special import softmax, xlogy

from elman.classical.hmm import HMM, Driven, Gaussian, chain_steps
from elman.classical.hmm.chain import Chain, log_transition, random_chain, stationary
from elman.classical.hmm.chain_steps import ChainPrior
from elman.sequences import Sequences

from .examples import example

STATES = 4
NONE = ChainPrior(np.zeros(STATES), np.zeros((STATES, STATES)))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_stationary(rng):
    for _ in range(20):
        transition = rng.dirichlet(np.full(STATES, 0.3), size=STATES)
        kept = stationary(transition)
        np.testing.assert_allclose(kept @ transition, kept, atol=1e-13)
    np.testing.assert_allclose(stationary(np.array([[0.0, 1.0], [1.0, 0.0]])), [0.5, 0.5])  # periodic
    np.testing.assert_allclose(
        stationary(np.array([[0.5, 0.5], [0.0, 1.0]])), [0, 1], atol=1e-15
    )  # one absorbing state
    assert stationary(np.eye(3)) is None


def settle(step, chain, rounds=20):
    for _ in range(rounds):
        chain = step(chain)
    return chain


@pytest.mark.parametrize("prior", [0.0, 0.5])
def test_the_m_step_of_a_stationary_start_is_a_maximum(rng, prior):
    first, moves = rng.uniform(0, 5, STATES), rng.uniform(0, 20, (STATES, STATES))
    moves[0, 1] = 0.0
    priors = NONE._replace(transition=np.full((STATES, STATES), prior))

    def height(transition):
        return xlogy(first, stationary(transition)).sum() + xlogy(moves + prior, transition).sum()

    before = random_chain(STATES, rng)
    once = chain_steps.from_stationary(before, first, moves, priors)
    assert height(once.transition) > height(before.transition)
    chain = settle(lambda chain: chain_steps.from_stationary(chain, first, moves, priors), once)
    np.testing.assert_allclose(chain.start, stationary(chain.transition), atol=1e-14)
    top = height(chain.transition)
    logits = np.log(np.maximum(chain.transition, 1e-12))
    for _ in range(300):
        other = softmax(logits + 10.0 ** rng.uniform(-4, 0) * rng.standard_normal(logits.shape), axis=1)
        assert height(other) <= top + 1e-5


@pytest.mark.parametrize("prior", [0.0, 0.5])
def test_the_m_step_of_driven_transitions_is_a_maximum(rng, prior):
    u = rng.standard_normal((60, 2)) * [1.0, 30.0] + [5.0, 0.0]
    moves = rng.dirichlet(np.ones(STATES * STATES), size=60).reshape(60, STATES, STATES)
    priors = NONE._replace(transition=np.full((STATES, STATES), prior))

    def height(weights):
        chain = Chain(np.ones(STATES) / STATES, softmax(weights[:, :, 0], axis=1), weights)
        return (moves * log_transition(chain, u)).sum() + chain_steps.log_prior(chain, priors, False)

    before = random_chain(STATES, rng, 2)
    once = chain_steps.driven(before, u, moves, priors)
    assert height(once.weights) > height(before.weights)
    chain = settle(lambda chain: chain_steps.driven(chain, u, moves, priors), once)
    np.testing.assert_allclose(chain.transition, softmax(chain.weights[:, :, 0], axis=1), atol=1e-14)
    top = height(chain.weights)
    for _ in range(300):
        other = chain.weights + 10.0 ** rng.uniform(-4, 0) * rng.standard_normal(chain.weights.shape) / [1, 1, 30]
        assert height(other) <= top + 1e-6


def test_driven_transitions_keep_zeros(rng):
    weights = rng.standard_normal((3, 3, 2))
    weights[np.tril_indices(3, -1)] = [-np.inf, 0.0]
    chain = Chain(np.ones(3) / 3, softmax(weights[:, :, 0], axis=1), weights)
    u = rng.standard_normal((40, 1))
    moves = np.triu(rng.uniform(size=(40, 3, 3)))
    after = chain_steps.driven(chain, u, moves, ChainPrior(np.zeros(3), np.zeros((3, 3))))
    assert (np.exp(log_transition(after, u))[:, np.tril_indices(3, -1)[0], np.tril_indices(3, -1)[1]] == 0).all()
    assert (after.transition[np.tril_indices(3, -1)] == 0).all()
    np.testing.assert_allclose(np.exp(log_transition(after, u)).sum(2), 1)


def test_a_driven_model_is_recovered():
    """Check that a fit from random starts recovers the model that generated the data."""
    rng = np.random.default_rng(1)
    truth = example("driven both", seed=3)
    truth.emission_ = Gaussian.from_parameters(
        np.array([[-6.0, 0.0], [0.0, 6.0], [6.0, -6.0]]), np.ones((3, 2)), slopes=truth.emission_.slopes_)  # fmt: skip
    u = rng.standard_normal((1500, 2))
    drawn = truth.sample([500] * 3, seed=4, u=u).observations
    model = HMM(3, Gaussian(drive_size=2), drive_size=2, restarts=3, max_iterations=60, tolerance=1e-5).fit(drawn)
    order = [int(((model.emission_.means_ - mean) ** 2).sum(1).argmin()) for mean in truth.emission_.means_]
    np.testing.assert_allclose(model.emission_.means_[order], truth.emission_.means_, atol=0.3)
    np.testing.assert_allclose(model.emission_.slopes_[order], truth.emission_.slopes_, atol=0.3)
    assert model.history_[-1] > truth.log_prob(drawn).sum()
    found = np.exp(log_transition(Chain(model.start_, model.transition_, model.transition_weights_), u[:50]))
    known = np.exp(log_transition(Chain(truth.start_, truth.transition_, truth.transition_weights_), u[:50]))
    assert np.abs(found[:, order][:, :, order] - known).mean() < 0.05


def test_a_constant_input_gives_the_model_without_input():
    x = example("diag").sample([60], seed=1).observations
    emission = example("diag").emission_
    weights = np.zeros((3, 3, 2))
    u = np.zeros((60, 1))  # a constant input: only the biases can learn
    plain = HMM.from_parameters(np.ones(3) / 3, np.ones((3, 3)) / 3, emission, max_iterations=4, tolerance=0.0)
    driven = HMM.from_parameters(np.ones(3) / 3, None, emission, weights, max_iterations=4, tolerance=0.0)
    plain.fit(x, refine=True)
    driven.fit(Sequences(Driven(x.values, u), [60]), refine=True)
    np.testing.assert_allclose(driven.history_, plain.history_, atol=1e-4)
