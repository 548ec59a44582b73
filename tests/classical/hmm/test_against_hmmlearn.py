"""hmmlearn as a reference for likelihoods, paths and EM iterations, where both use the same formulas."""

import numpy as np
import pytest
from hmmlearn import hmm

from elman.classical.hmm import HMM, Categorical, Gaussian, GaussianMixture, Poisson
from elman.sequences import Sequences

STATES, SIZE, LENGTHS, ROUNDS = 3, 2, [40, 25, 35], 4


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def chain(rng):
    return rng.dirichlet(np.ones(STATES)), rng.dirichlet(np.ones(STATES), size=STATES)


def compare(theirs, ours, x, start, transition):
    theirs.startprob_, theirs.transmat_ = start, transition
    rows = Sequences(x[:, 0] if isinstance(ours.emission_, Categorical) else x, LENGTHS)
    logs = [theirs.score(part) for part in np.split(x, np.cumsum(LENGTHS)[:-1])]
    np.testing.assert_allclose(ours.log_prob(rows), logs, rtol=1e-10)
    log_prob, states = theirs.decode(x, LENGTHS)
    path = ours.decode(rows)
    assert path.log_prob.sum() == pytest.approx(log_prob, rel=1e-10)
    np.testing.assert_array_equal(path.states.values, states)
    np.testing.assert_allclose(ours.smooth(rows).values, theirs.predict_proba(x, LENGTHS), atol=1e-9)
    theirs.fit(x, LENGTHS)
    ours.fit(rows, refine=True)
    np.testing.assert_allclose(ours.history_[:ROUNDS], list(theirs.monitor_.history), rtol=1e-9)
    np.testing.assert_allclose(ours.start_, theirs.startprob_, atol=1e-8)
    np.testing.assert_allclose(ours.transition_, theirs.transmat_, atol=1e-8)


SETTINGS = {"tolerance": 0.0, "max_iterations": ROUNDS}
THEIRS = {"init_params": "", "n_iter": ROUNDS, "tol": -np.inf}


@pytest.mark.parametrize("kind", ["diag", "full", "tied", "spherical"])
def test_gaussian_equals_hmmlearn(rng, kind):
    start, transition = chain(rng)
    means = 2 * rng.standard_normal((STATES, SIZE))
    covs = {"diag": np.ones((STATES, SIZE)), "spherical": np.ones(STATES), "tied": np.eye(SIZE),
            "full": np.tile(np.eye(SIZE), (STATES, 1, 1))}[kind]  # fmt: skip
    x = means[rng.integers(0, STATES, 100)] + rng.standard_normal((100, SIZE))
    theirs = hmm.GaussianHMM(STATES, kind, covars_prior=0.0, covars_weight=1.0, min_covar=0.0, **THEIRS)
    theirs.means_, theirs.covars_ = means, covs
    ours = HMM.from_parameters(start, transition, Gaussian.from_parameters(means, covs, kind), **SETTINGS)
    compare(theirs, ours, x, start, transition)
    np.testing.assert_allclose(ours.emission_.means_, theirs.means_, atol=1e-8)
    covs = theirs._covars_.reshape(STATES, -1)[:, 0] if kind == "spherical" else theirs._covars_
    np.testing.assert_allclose(ours.emission_.covs_.reshape(covs.shape), covs, atol=1e-8)


def test_poisson_equals_hmmlearn(rng):
    start, transition = chain(rng)
    rates = rng.uniform(1, 20, (STATES, SIZE))
    x = rng.poisson(rates[rng.integers(0, STATES, 100)])
    theirs = hmm.PoissonHMM(STATES, **THEIRS)
    theirs.lambdas_ = rates
    ours = HMM.from_parameters(start, transition, Poisson.from_parameters(rates), **SETTINGS)
    compare(theirs, ours, x, start, transition)
    np.testing.assert_allclose(ours.emission_.rates_, theirs.lambdas_, atol=1e-8)


def test_categorical_equals_hmmlearn(rng):
    start, transition = chain(rng)
    probs = rng.dirichlet(np.ones(5), size=STATES)
    x = rng.integers(0, 5, (100, 1))
    theirs = hmm.CategoricalHMM(STATES, n_features=5, **THEIRS)
    theirs.emissionprob_ = probs
    ours = HMM.from_parameters(start, transition, Categorical.from_parameters(probs), **SETTINGS)
    compare(theirs, ours, x, start, transition)
    np.testing.assert_allclose(ours.emission_.probs_, theirs.emissionprob_, atol=1e-8)


def test_mixture_equals_hmmlearn(rng):
    """Check likelihoods and paths only: EM of mixtures has other priors in hmmlearn."""
    start, transition = chain(rng)
    weights, means = rng.dirichlet(np.ones(2), size=STATES), 2 * rng.standard_normal((STATES, 2, SIZE))
    covs = rng.uniform(0.5, 2, (STATES, 2, SIZE))
    x = 2 * rng.standard_normal((100, SIZE))
    theirs = hmm.GMMHMM(STATES, 2, covariance_type="diag")
    theirs.weights_, theirs.means_, theirs.covars_ = weights, means, covs
    theirs.startprob_, theirs.transmat_, theirs.n_features = start, transition, SIZE
    ours = HMM.from_parameters(start, transition, GaussianMixture.from_parameters(weights, means, covs))
    rows = Sequences(x, LENGTHS)
    assert ours.log_prob(rows).sum() == pytest.approx(theirs.score(x, LENGTHS), rel=1e-10)
    np.testing.assert_allclose(ours.smooth(rows).values, theirs.predict_proba(x, LENGTHS), atol=1e-9)
