"""Emissions: densities against SciPy, optimal M steps, and priors."""

import numpy as np
import pytest
from scipy import optimize, stats

from elman.classical.hmm import HMM, Categorical, Gaussian, GaussianMixture, Poisson
from elman.classical.hmm.emissions import EMISSIONS
from elman.sequences import Sequences

from .examples import DRIVE, GAUSSIANS, KINDS, SIZE, STATES, example, rows, scores, values


def read(emission, x, u=None):
    return emission.read("test", Sequences(x, [len(x)]), u)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("missing", [0.0, 0.5])
def test_densities_equal_scipy(kind, missing):
    model, x = example(kind, seed=1), values(kind, 50, seed=1, missing=missing)
    emission = model.emission_
    own, u = x if isinstance(x, tuple) else (x, None)
    data = read(emission, own, u)
    out = np.full((50, STATES), np.nan)
    assert emission.log_prob(data, out) is out
    np.testing.assert_allclose(out, scores(model, x), atol=1e-11)
    np.testing.assert_array_equal(emission.log_prob(data), out)


@pytest.mark.parametrize("kind", ["diag", "spherical", "full", "tied"])
@pytest.mark.parametrize("missing", [0.0, 0.3])
@pytest.mark.parametrize("far", [1.0, 1e4, 1e7])
def test_densities_of_narrow_states_far_apart(kind, missing, far):
    """Check cases where x^2 - 2 x m + m^2 loses all digits."""
    rng = np.random.default_rng(0)
    means = far * np.array([[0.0, 1.0], [3.0, -2.0], [5.0, 5.0]])
    covs = {"diag": np.ones((3, 2)), "spherical": np.ones(3), "tied": np.eye(2), "full": np.tile(np.eye(2), (3, 1, 1))}
    emission = Gaussian.from_parameters(means, 1e-4 * covs[kind], kind)
    x = means[rng.integers(0, 3, 40)] + 0.01 * rng.standard_normal((40, 2))
    x[rng.random(x.shape) < missing] = np.nan
    got = emission.log_prob(read(emission, x))
    expected = -0.5 * ((x[:, None] - means) ** 2 / 1e-4 + np.log(2 * np.pi * 1e-4))
    np.testing.assert_allclose(got, np.nansum(expected, 2), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("far", [0.0, 1e6])
@pytest.mark.parametrize("kind", GAUSSIANS)
def test_m_step_is_weighted_means_and_covariances(kind, far):
    rng = np.random.default_rng(2)
    x = far + rng.standard_normal((60, SIZE)) @ rng.standard_normal((SIZE, SIZE))
    posterior = rng.dirichlet(np.ones(STATES), size=60)
    emission = Gaussian(kind)
    emission = emission.initialise("test", read(emission, x), STATES, rng).m_step(read(emission, x), posterior)
    np.testing.assert_allclose(emission.means_, (posterior / posterior.sum(0)).T @ x, rtol=1e-12)
    covs = np.stack([np.cov(x.T, aweights=column, bias=True) for column in posterior.T])
    expected = {
        "full": covs,
        "diag": np.diagonal(covs, axis1=1, axis2=2),
        "tied": np.einsum("k,kde->de", posterior.sum(0) / 60, covs)[None],
        "spherical": np.trace(covs, axis1=1, axis2=2) / SIZE,
    }
    np.testing.assert_allclose(emission.covs_, expected[kind], rtol=1e-8, atol=1e-8)


def test_m_step_of_two_clusters_far_apart_keeps_its_digits():
    rng = np.random.default_rng(3)
    x = np.concatenate([1e-3 * rng.standard_normal((50, 1)), 1e5 + 1e-3 * rng.standard_normal((50, 1))])
    posterior = np.repeat(np.eye(2), 50, axis=0)
    emission = Gaussian(floor=1e-30)
    data = read(emission, x)
    emission = emission.initialise("test", data, 2, rng).m_step(data, posterior)
    np.testing.assert_allclose(emission.covs_, [[x[:50].var()], [x[50:].var()]], rtol=1e-6)


PRIORS = {"mean_weight": 1.5, "cov_weight": 3.0}


@pytest.mark.parametrize("kind", GAUSSIANS)
@pytest.mark.parametrize("drive", [0, DRIVE])
@pytest.mark.parametrize("settings", [{}, PRIORS, {"floor": 0.5}])
def test_no_other_parameters_beat_the_m_step(kind, drive, settings):
    """Check, without missing values, that the M step is optimal among the covariances above the floor."""
    rng = np.random.default_rng(4)
    x, u = rng.standard_normal((40, SIZE)) @ rng.standard_normal((SIZE, SIZE)), rng.standard_normal((40, drive))
    posterior = rng.dirichlet(np.ones(STATES), size=40)
    emission = Gaussian(kind, drive_size=drive, **settings)
    data = read(emission, x, u if drive else None)
    best = emission.initialise("test", data, STATES, rng).m_step(data, posterior)

    def height(emission):
        return (posterior * emission.log_prob(data)).sum() + emission.log_prior()

    top = height(best)
    for _ in range(200):
        step = 10.0 ** rng.uniform(-4, 0)
        covs = best.covs_ + step * rng.standard_normal(best.covs_.shape)
        if kind in ("full", "tied"):
            covs = (covs + covs.swapaxes(-1, -2)) / 2
        other = best.with_parameters(means_=best.means_ + step * rng.standard_normal(best.means_.shape), covs_=covs)
        if drive:
            other.slopes_ = best.slopes_ + step * rng.standard_normal(best.slopes_.shape)
        matrices = other.covariances
        above = matrices - np.diag(other.floor_ if kind != "spherical" else np.full(SIZE, other.floor_.mean()))
        if np.linalg.eigvalsh(above).min() > 0:
            assert height(other) <= top + 1e-9


@pytest.mark.parametrize("kind", GAUSSIANS)
@pytest.mark.parametrize("drive", [0, 1])
def test_em_with_missing_coordinates_ends_where_the_likelihood_is_flat(kind, drive):
    """Check one state: the gradient of a Gaussian's likelihood with missing coordinates vanishes at the result."""
    rng = np.random.default_rng(5)
    x = rng.standard_normal((80, SIZE)) @ np.array([[1.0, 0.8], [0.0, 0.5]]) + 3
    x[rng.random(x.shape) < 0.4] = np.nan
    u = rng.standard_normal((80, drive))
    emission = Gaussian(kind, drive_size=drive)
    data = read(emission, x, u if drive else None)
    emission = emission.initialise("test", data, 1, rng)
    for _ in range(400):
        emission = emission.m_step(data, np.ones((80, 1)))
    names = ["means_", "covs_"] + (["slopes_"] if drive else [])

    def height(theta):
        other = emission.with_parameters()
        for name in names:
            shape = getattr(emission, name).shape
            part, theta = theta[: np.prod(shape)].reshape(shape), theta[np.prod(shape) :]
            if part.ndim == 3 and name == "covs_":
                part = (part + part.swapaxes(1, 2)) / 2
            setattr(other, name, part)
        return other.log_prob(data).sum()

    theta = np.concatenate([getattr(emission, name).ravel() for name in names])
    gradient = optimize.approx_fprime(theta, height, 1e-6)
    assert np.abs(gradient).max() < 2e-3


def test_poisson_and_categorical_m_steps():
    rng = np.random.default_rng(6)
    posterior = rng.dirichlet(np.ones(STATES), size=50)
    x = rng.poisson(4.0, (50, SIZE)).astype(np.float64)
    x[rng.random(x.shape) < 0.3] = np.nan
    emission = Poisson(shape=3.0, rate=0.5)
    data = read(emission, x)
    rates = emission.initialise("test", data, STATES, rng).m_step(data, posterior).rates_
    seen = ~np.isnan(x)
    expected = (posterior.T @ np.where(seen, x, 0) + 2) / (posterior.T @ seen + 0.5)
    np.testing.assert_allclose(rates, expected, rtol=1e-12)
    ids = rng.integers(0, 4, 50).astype(np.float64)
    ids[::7] = np.nan
    dice = Categorical(4, prior=1.25)
    data = read(dice, ids)
    probs = dice.initialise("test", data, STATES, rng).m_step(data, posterior).probs_
    counts = np.stack([[posterior[ids == v, k].sum() for v in range(4)] for k in range(STATES)]) + 0.25
    np.testing.assert_allclose(probs, counts / counts.sum(1, keepdims=True), rtol=1e-12)


def test_log_priors_equal_the_documented_densities():
    """Compare differences of log-priors, in which constants cancel."""
    dice = [Categorical.from_parameters(np.array([p]), prior=1.7) for p in ([0.2, 0.8], [0.5, 0.5])]
    expected = [stats.dirichlet.logpdf(one.probs_[0], [1.7, 1.7]) for one in dice]
    assert dice[0].log_prior() - dice[1].log_prior() == pytest.approx(expected[0] - expected[1])
    counts = [Poisson.from_parameters([[rate]], shape=2.5, rate=0.3) for rate in (1.0, 4.0)]
    expected = [stats.gamma.logpdf(one.rates_[0, 0], 2.5, scale=1 / 0.3) for one in counts]
    assert counts[0].log_prior() - counts[1].log_prior() == pytest.approx(expected[0] - expected[1])
    settings = {"mean_weight": 2.0, "cov_weight": 0.0, "mean_prior": [1.0, 1.0]}
    x = np.random.default_rng(0).standard_normal((9, 2))
    for covs, kind in (([[[2.0, 0.5], [0.5, 1.0]]], "full"), ([[2.0, 1.0]], "diag")):
        heights, expected = [], []
        for shift in (0.0, 0.7):
            one = Gaussian.from_parameters([[shift, 1.0]], np.array(covs), kind, **settings)
            one = one.resume("test", read(one, x))
            heights.append(one.log_prior())
            expected.append(stats.multivariate_normal.logpdf(one.means_[0], [1, 1], one.covariances[0] / 2))
        assert heights[0] - heights[1] == pytest.approx(expected[0] - expected[1])


def test_tied_components_of_a_mixture_share_a_covariance_by_state():
    x = rows("mixture tied", [80], seed=3)
    model = HMM(2, GaussianMixture(2, "tied"), max_iterations=5).fit(x)
    assert model.emission_.covs_.shape == (2, SIZE, SIZE)
    every = model.emission_.gaussian_.covariances.reshape(2, 2, SIZE, SIZE)
    np.testing.assert_array_equal(every[:, 0], every[:, 1])
    assert np.abs(every[0] - every[1]).max() > 1e-3


def test_a_mixture_of_one_is_a_gaussian():
    x = rows("full", [30, 20], seed=1, missing=0.2)
    gaussian, mixture = example("full"), example("full")
    means, covs = gaussian.emission_.means_, gaussian.emission_.covs_
    mixture.emission_ = GaussianMixture.from_parameters(np.ones((STATES, 1)), means[:, None], covs[:, None], "full")
    gaussian.max_iterations = mixture.max_iterations = 20
    np.testing.assert_allclose(mixture.fit(x, refine=True).history_, gaussian.fit(x, refine=True).history_, rtol=1e-10)


def test_every_emission_has_its_settings():
    for kind in EMISSIONS.values():
        emission = kind(2) if kind is GaussianMixture else kind()
        assert kind(**emission.settings).settings == emission.settings
        assert kind.__name__ in repr(emission)
