"""Direct maximum likelihood against other programs, EM and closed forms."""

import numpy as np
import pytest

from elman.classical.lds import LDS, Observed, Variance, constant_velocity, local_level

from .lds_problems import positive, random_model, random_rows, transition

ONE = np.eye(1)


def test_an_autoregression_equals_statsmodels():
    """Compare AR(1) without observation noise, with a stationary start and gaps."""
    arima = pytest.importorskip("statsmodels.tsa.arima.model")
    truth = LDS(0.7 * ONE, ONE, 2.0 * ONE, start="stationary")
    x = truth.sample([80], seed=3).observations.values
    x[[10, 11, 40]] = np.nan
    model = LDS(0.3 * ONE, ONE, ONE, start="stationary").fit([x], ["F", "Q"], restarts=1)
    theirs = arima.ARIMA(x[:, 0], order=(1, 0, 0), trend="n").fit()
    assert model.log_prob([x])[0] == pytest.approx(theirs.llf, abs=1e-5)
    assert [model.F_[0, 0], model.Q_[0, 0]] == pytest.approx(theirs.params.tolist(), rel=1e-3)


def test_covariances_have_no_slope_at_the_optimum():
    random = np.random.default_rng(1)
    truth = LDS(transition(random, 2), np.eye(2), positive(random, 2), positive(random, 2), start="stationary")
    x = truth.sample([30, 20], seed=0).observations
    x.values[random.uniform(size=x.values.shape) < 0.1] = np.nan
    model = LDS(truth.F, truth.H, np.eye(2), np.eye(2), start=(np.zeros(2), 4 * np.eye(2)))
    by_em = model.fit(x, ["Q", "R"], method="em", max_iterations=5).log_prob(x).sum()
    best = model.fit(x, ["Q", "R"], method="likelihood", restarts=1)
    assert best.converged_
    top = best.log_prob(x).sum()
    assert top > by_em - 1e-6
    assert best.history_.max() == pytest.approx(top, abs=1e-6)

    def log_prob(Q, R):
        return LDS(model.F, model.H, Q, R, start=model.start).log_prob(x).sum()

    for direction in (np.diag([1.0, 0]), np.diag([0, 1.0]), np.array([[0, 1.0], [1.0, 0]])):
        move = 1e-4 * direction
        for slope in (log_prob(best.Q_ + move, best.R_) - log_prob(best.Q_ - move, best.R_),
                      log_prob(best.Q_, best.R_ + move) - log_prob(best.Q_, best.R_ - move)):  # fmt: skip
            assert abs(slope) / 2e-4 < 1e-2


@pytest.mark.parametrize("own", ["", "H"])
def test_every_matrix_can_be_learned(own):
    random = np.random.default_rng(4)
    model = random_model(random, 2, 1, inputs=1)
    rows = random_rows(random, model, [6, 0, 5], own=own)
    learn = [name for name in ("F", "H", "Q", "R", "B", "D", "mean", "cov") if name not in own]
    before = model.log_prob(rows).sum()
    model.fit(rows, learn, method="likelihood", restarts=2, max_iterations=3)
    assert model.log_prob(rows).sum() > before
    for cov in (model.Q_, model.R_, model.start_.cov):
        assert np.linalg.eigvalsh(cov)[0] > 0
    again = model.variances_, model.F_.copy()
    model.fit(rows, learn, method="likelihood", restarts=2, max_iterations=3)
    assert model.variances_ == again[0]
    np.testing.assert_array_equal(model.F_, again[1])


def test_variances_that_share_coordinates():
    """Fit two parts of one noise that EM cannot separate, by the correlation of two series."""
    patterns = [Variance("own", "R", np.eye(2)), Variance("common", "R", np.ones((2, 2)))]
    model = LDS(ONE, np.zeros((2, 1)), start=(np.zeros(1), ONE), variances=patterns)
    x = np.random.default_rng(0).normal(size=(60, 2)) @ np.linalg.cholesky(np.eye(2) + 3 * np.ones((2, 2))).T
    model.fit([x], restarts=1)
    second = x.T @ x / 60  # closed form: averages on and off the diagonal
    assert model.variances_["common"] == pytest.approx(second[0, 1], rel=1e-5)
    assert model.variances_["own"] == pytest.approx(np.trace(second) / 2 - second[0, 1], rel=1e-5)


def test_known_variances_stay_and_starts_do_not_matter(nile):
    model = local_level(noise=15098.5).fit([nile], restarts=2, seed=5)
    assert model.variances_["noise"] == 15098.5
    assert model.variances_["level"] == pytest.approx(1469.2, abs=0.1)
    np.testing.assert_allclose(model.history_, -632.5456, atol=5e-5)
    assert local_level(noise=15098.5).fit([nile], restarts=2, seed=5).variances_ == model.variances_


def test_an_unneeded_variance_is_zero():
    x = np.diff(np.random.default_rng(0).normal(size=(61, 1)), axis=0)  # an alternating series
    model = local_level().fit([x], restarts=1)
    assert model.variances_["level"] == 0.0
    assert model.variances_["noise"] == pytest.approx(x.var(ddof=1), rel=1e-5)


def test_units_do_not_matter(nile):
    """Check that nanometres and light years give the same model."""
    found = []
    for unit in (1e-9, 1e9):
        model = local_level().fit([nile[:40] * unit], restarts=1)
        found.append(np.array(list(model.variances_.values())) / unit**2)
    np.testing.assert_allclose(found[0], found[1], rtol=1e-4)


def test_gaps_and_many_series():
    truth = constant_velocity(2, 0.5, acceleration=0.5, noise=1.0)
    state = truth.initial_state(3)._replace(diffuse=np.zeros((3, 4, 4)))
    rows = truth.sample([40, 0, 50], seed=1, state=state).observations
    rows.values[np.random.default_rng(0).uniform(size=rows.values.shape) < 0.2] = np.nan
    model = constant_velocity(2, 0.5).fit(rows, restarts=1)
    assert model.variances_["noise"] == pytest.approx(1.0, rel=0.25)
    assert model.variances_["acceleration"] == pytest.approx(0.5, rel=0.6)


def test_a_regression_with_random_walk_coefficients():
    """Fit a variance with H given for each step: the likelihood is at least that of the true one."""
    random = np.random.default_rng(2)
    H = random.normal(size=(120, 1, 2))
    walk = Variance("walk", "Q", np.eye(2))
    noise = Variance("noise", "R", ONE)
    truth = LDS(np.eye(2), np.zeros((1, 2)), 0.01 * np.eye(2), 0.25 * ONE, start=(np.zeros(2), np.eye(2)))
    x = truth.sample([120], seed=2, given=Observed((), H=H)).observations
    model = LDS(np.eye(2), np.zeros((1, 2)), variances=[walk, noise], start=(np.zeros(2), np.eye(2))).fit(x, restarts=1)
    assert model.log_prob(x)[0] > truth.log_prob(x)[0]
    assert model.variances_["noise"] == pytest.approx(0.25, rel=0.4)
