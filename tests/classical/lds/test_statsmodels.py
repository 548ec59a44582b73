"""Common systems against statsmodels, which has an exact diffuse start too."""

import numpy as np
import pytest

from elman.classical.lds import LDS, Forecast, Observed, constant_velocity, local_level, local_trend, seasonal
from elman.kernels import native

sm = pytest.importorskip("statsmodels.api")


def structures(passengers, nile):
    gaps = passengers.copy()
    gaps[[20, 21, 22, 60, 100]] = np.nan
    return {
        "level": (nile, local_level(1469.2, 15098.5), {"level": "llevel"}, [15098.5, 1469.2]),
        "smooth trend": (nile, local_trend(0.0, 30.0, 9000.0), {"level": "strend"}, [9000.0, 30.0]),
        "trend": (nile, local_trend(900.0, 30.0, 9000.0), {"level": "lltrend"}, [9000.0, 900.0, 30.0]),
        "trend and season": (
            gaps,
            local_trend(3e-4, 1e-7, 1e-4) + seasonal(12, 6e-5),
            {"level": "lltrend", "seasonal": 12},
            [1e-4, 3e-4, 1e-7, 6e-5],
        ),
        "fixed season": (
            passengers,
            local_level(3e-4, 2e-4) + seasonal(4, 0.0),
            {"level": "llevel", "seasonal": 4, "stochastic_seasonal": False},
            [2e-4, 3e-4],
        ),
    }


NAMES = ["level", "smooth trend", "trend", "trend and season", "fixed season"]


@pytest.fixture(params=NAMES)
def both(request, passengers, nile):
    """Return our model, its series, and the results of statsmodels."""
    series, model, settings, parameters = structures(passengers, nile)[request.param]
    theirs = sm.tsa.UnobservedComponents(series[:, 0], use_exact_diffuse=True, **settings)
    return series, model, theirs.smooth(parameters)


def near(got, expected, rtol=1e-6):
    np.testing.assert_allclose(got, expected, rtol=rtol, atol=rtol * (np.abs(expected).max() + 1e-30))


def test_likelihoods_equal_statsmodels(both):
    """Allow for the log(2 pi) that statsmodels adds for observations absorbed by the diffuse start."""
    series, model, theirs = both
    taken = int(theirs.nobs_diffuse)
    assert model.log_prob([series])[0] == pytest.approx(theirs.llf + 0.5 * taken * np.log(2 * np.pi), rel=1e-8)


def test_filtered_and_smoothed_states_equal_statsmodels(both):
    series, model, theirs = both
    taken = int(theirs.nobs_diffuse)
    filtered, smoothed = model.filter([series]).values, model.smooth([series]).values
    near(filtered.mean[taken:], theirs.filtered_state.T[taken:])
    near(filtered.cov[taken:], theirs.filtered_state_cov.transpose(2, 0, 1)[taken:])
    near(smoothed.mean, theirs.smoothed_state.T)
    near(smoothed.cov, theirs.smoothed_state_cov.transpose(2, 0, 1))
    predicted = model.predict([series]).values
    near(predicted.mean[taken:, 0], theirs.forecasts[0, taken:])
    near(predicted.cov[taken:, 0, 0], theirs.forecasts_error_cov[0, 0, taken:])
    assert np.isinf(predicted.cov[:taken]).all()


def test_forecasts_equal_statsmodels(both):
    series, model, theirs = both
    forecast, expected = model.forecast([series], 15), theirs.get_forecast(15)
    assert isinstance(forecast, Forecast)
    near(forecast.mean[0, :, 0], expected.predicted_mean)
    near(forecast.deviation[0, :, 0], expected.se_mean)
    near(np.stack(forecast.interval(0.95), -1)[0, :, 0], expected.conf_int(alpha=0.05))


@pytest.mark.skipif(not hasattr(native.module, "kalman"), reason="minutes by the reference")
def test_maximum_likelihood_of_trend_and_season(passengers):
    """Check that the fit is no worse than statsmodels', and that an unneeded variance is zero."""
    model = (local_trend() + seasonal(12)).fit([passengers], restarts=2)
    theirs = sm.tsa.UnobservedComponents(passengers[:, 0], level="lltrend", seasonal=12, use_exact_diffuse=True)
    values = model.variances_
    parameters = [values["noise"], values["level"], values["slope"], values["seasonal_12"]]
    constant = 0.5 * 13 * np.log(2 * np.pi)
    assert model.log_prob([passengers])[0] == pytest.approx(theirs.smooth(parameters).llf + constant, rel=1e-8)
    found = theirs.fit(disp=False, method="lbfgs", maxiter=200)
    assert model.log_prob([passengers])[0] > found.llf + constant - 1e-3
    assert values["slope"] == 0.0


def test_regression_with_a_random_walk():
    """Check x = level + 2 u against least squares for a constant level."""
    random = np.random.default_rng(0)
    u = random.normal(size=(50, 1))
    x = 5 + 2 * u + 0.1 * random.normal(size=(50, 1))
    one = np.eye(1)
    model = LDS(one, one, None, 0.01 * one, D=np.zeros((1, 1))).fit([Observed(x, u)], ["D", "R"], max_iterations=200)
    expected = np.linalg.lstsq(np.hstack([np.ones((50, 1)), u]), x[:, 0], rcond=None)[0]
    assert model.D_[0, 0] == pytest.approx(expected[1], rel=1e-5)


def test_constant_velocity_is_the_limit_of_small_steps():
    """Check that two steps of dt / 2 equal one of dt."""
    half, whole = constant_velocity(2, 0.5, 1.3, 1.0), constant_velocity(2, 1.0, 1.3, 1.0)
    near(half.F @ half.F, whole.F)
    near(half.F @ half.Q_ @ half.F.T + half.Q_, whole.Q_)
