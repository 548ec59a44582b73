"""DelayTaps against least squares, statsmodels and its own equations."""

from contextlib import suppress

import numpy as np
import pytest
from statsmodels.regression.linear_model import yule_walker as statsmodels_yule_walker
from statsmodels.tsa.api import VAR
from statsmodels.tsa.ar_model import AutoReg, ar_select_order

from elman.classical import DelayTaps
from elman.sequences import Sequences
from elman.testing import check_cell

pytestmark = pytest.mark.filterwarnings("ignore:yule_walker currently returns:FutureWarning")

METHODS = ["least_squares", "ridge", "yule_walker"]


def simulate(taps, steps, seed=0, intercept=0.0, noise=1.0, start=100):
    """Return a series [steps, D] of an autoregression, after a burn-in."""
    taps = np.asarray(taps)
    order, size, _ = taps.shape
    rng = np.random.default_rng(seed)
    x = np.zeros((steps + start + order, size))
    for t in range(order, len(x)):
        x[t] = intercept + sum(taps[i] @ x[t - 1 - i] for i in range(order)) + noise * rng.standard_normal(size)
    return x[-steps:]


def univariate(*taps):
    return np.array(taps)[:, None, None]


VECTOR = np.array([[[0.5, 0.1], [-0.3, 0.4]], [[-0.2, 0.0], [0.1, 0.2]], [[0.1, 0.05], [0.0, -0.1]]])


def windows(rows, order, intercept=True):
    """Return design matrix and targets of a least squares: every window without NaN."""
    lags, follows = [], []
    for row in rows:
        for t in range(order, len(row)):
            window = row[t - order : t][::-1].ravel()
            if not np.isnan(window).any() and not np.isnan(row[t]).any():
                lags.append(window)
                follows.append(row[t])
    lags = np.array(lags).reshape(len(lags), order * rows[0].shape[1])
    return (np.column_stack([np.ones(len(lags)), lags]) if intercept else lags), np.array(follows)


def least_squares(rows, order, intercept=True):
    """Return taps, intercept and covariance of the residuals by `np.linalg.lstsq`."""
    design, follows = windows(rows, order, intercept)
    found = np.linalg.lstsq(design, follows, rcond=None)[0]
    left = follows - design @ found
    size = rows[0].shape[1]
    taps = found[int(intercept) :].reshape(order, size, size).transpose(0, 2, 1)
    return taps, found[0] if intercept else np.zeros(size), left.T @ left / len(left)


def with_holes(series, part, seed=3):
    series = series.copy()
    series[np.random.default_rng(seed).random(series.shape) < part] = np.nan
    return series


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("order", [0, 1, 4])
@pytest.mark.parametrize("holes", [0.0, 0.1])
def test_least_squares_equals_numpy(intercept, order, holes):
    rows = [with_holes(simulate(VECTOR, steps, seed, intercept=[3.0, -1.0]), holes, seed)
            for seed, steps in enumerate([50, 3, 200, 5, 31])]  # fmt: skip
    model = DelayTaps(order, intercept=intercept).fit(rows)
    taps, constant, cov = least_squares(rows, order, intercept)
    np.testing.assert_allclose(model.taps_, taps, atol=1e-12)
    np.testing.assert_allclose(model.intercept_, constant, atol=1e-11)
    np.testing.assert_allclose(model.noise_cov_, cov, rtol=1e-10)
    assert model.num_windows_ == len(windows(rows, order)[0])


@pytest.mark.parametrize("shift", [0.0, 1e6])
@pytest.mark.parametrize("name", ["smooth", "ramp", "random walk", "units"])
def test_least_squares_where_the_normal_equations_lose_digits(name, shift):
    rng, t = np.random.default_rng(1), np.arange(600.0)
    series = {
        "smooth": np.sin(t / 50) + 1e-5 * rng.standard_normal(600),
        "ramp": t + 1e-3 * rng.standard_normal(600),
        "random walk": np.cumsum(np.cumsum(rng.standard_normal(600))),
        "units": rng.standard_normal(600),
    }[name][:, None] + shift
    if name == "units":
        series = np.concatenate([series, 1e9 * rng.standard_normal((600, 1)), 1e-9 * series**2], axis=1)
    model = DelayTaps(6).fit([series])
    centred = series - series.mean(0)  # so that NumPy keeps all digits
    taps, _, cov = least_squares([centred / centred.std(0)], 6)
    scale = centred.std(0)
    np.testing.assert_allclose(model.taps_ * scale / scale[:, None], taps, atol=1e-7 * np.abs(taps).max())
    np.testing.assert_allclose(model.noise_cov_ / np.outer(scale, scale), cov, rtol=1e-7, atol=1e-12 * cov.max())


def test_collinear_coordinates_give_the_forecasts_of_numpy():
    one = simulate(univariate(0.6, -0.2), 100)
    series = np.concatenate([one, 2 * one], axis=1)
    model = DelayTaps(2).fit([series])
    y, _ = model.scan(Sequences.from_list([series]))
    design, follows = windows([series], 2)
    np.testing.assert_allclose(y.values[1:-1], design @ np.linalg.lstsq(design, follows, rcond=None)[0], atol=1e-10)


@pytest.mark.parametrize("value", [0.0, 7.5, -1e12])
def test_a_constant_series_stays_constant(value):
    model = DelayTaps(3).fit([np.full((20, 1), value)])
    assert np.isfinite(model.taps_).all()
    np.testing.assert_allclose(model.forecast(np.full((1, 3, 1), value), 5).mean, value, rtol=1e-12)
    with pytest.raises(ValueError, match=r"^DelayTaps\.log_prob: the covariance of the noise is not positive definite"):
        model.log_prob(Sequences.from_list([np.full((20, 1), value)]))


def test_huge_numbers_stay_finite():
    series = simulate(univariate(0.6, -0.2), 300)
    for scale in (1e140, 1e-140):
        model = DelayTaps(2).fit([scale * series])
        np.testing.assert_allclose(model.taps_, DelayTaps(2).fit([series]).taps_, atol=1e-12)
        np.testing.assert_allclose(model.noise_cov_ / scale / scale, DelayTaps(2).fit([series]).noise_cov_, rtol=1e-12)


@pytest.mark.parametrize("penalty", [0.0, 1.0, 50.0])
@pytest.mark.parametrize("series", ["usual", "smooth", "few"])
def test_ridge_solves_its_equations(penalty, series):
    rows = {
        "usual": [simulate(VECTOR, 80, intercept=2.0), simulate(VECTOR, 40, 1, intercept=2.0)],
        "smooth": [np.sin(np.arange(200.0) / 40)[:, None] + 1e-7 * np.random.default_rng(0).standard_normal((200, 1))],
        "few": [simulate(VECTOR, 8)],
    }[series]
    if series == "few" and not penalty:
        pytest.skip("fewer windows than coefficients")
    model = DelayTaps(4, method="ridge", penalty=penalty).fit(rows)
    design, follows = windows(rows, 4)
    penalties = np.diag([0.0, *np.full(design.shape[1] - 1, penalty)])
    found = np.column_stack([model.intercept_, *model.taps_]).T.reshape(design.shape[1], -1)
    gradient = design.T @ (follows - design @ found) - penalties @ found
    assert np.abs(gradient).max() < 1e-9 * max(1, np.abs(found).max() * penalty)
    left = follows - design @ found
    np.testing.assert_allclose(model.noise_cov_, left.T @ left / len(left), rtol=1e-8, atol=1e-20)


@pytest.mark.parametrize("order", [1, 2, 5])
def test_yule_walker_equals_statsmodels(order):
    series = simulate(univariate(0.6, -0.3, 0.1), 200, intercept=2.0)
    taps, deviation = statsmodels_yule_walker(series[:, 0], order, method="mle")
    model = DelayTaps(order, method="yule_walker").fit([series])
    np.testing.assert_allclose(model.taps_[:, 0, 0], taps, atol=1e-12)
    np.testing.assert_allclose(model.noise_cov_, [[deviation**2]], rtol=1e-12)
    np.testing.assert_allclose(model.intercept_, series.mean(0) * (1 - taps.sum()), rtol=1e-12)
    taps, deviation = statsmodels_yule_walker(series[:, 0], order, method="mle", demean=False)
    model = DelayTaps(order, method="yule_walker", intercept=False).fit([series])
    np.testing.assert_allclose(model.taps_[:, 0, 0], taps, atol=1e-12)
    assert not model.intercept_.any()


def test_yule_walker_of_several_series_and_rows():
    rows = [simulate(VECTOR, steps, seed) for seed, steps in enumerate([100, 1, 3, 60])]
    model = DelayTaps(3, method="yule_walker").fit(rows)
    mean = np.concatenate(rows).mean(0)
    covariance = {lag: sum((row[lag:] - mean).T @ (row[: len(row) - lag] - mean) for row in rows) / 164
                  for lag in range(4)}  # fmt: skip
    covariance |= {-lag: covariance[lag].T for lag in range(1, 4)}
    for lag in range(1, 4):
        np.testing.assert_allclose(
            sum(model.taps_[i] @ covariance[lag - 1 - i] for i in range(3)), covariance[lag], atol=1e-12
        )
    noise = covariance[0] - sum(model.taps_[i] @ covariance[i + 1].T for i in range(3))
    np.testing.assert_allclose(model.noise_cov_, noise, atol=1e-12)
    assert model.stable_


def test_yule_walker_with_missing_values_finds_the_same_taps():
    series = simulate(VECTOR, 20_000)
    whole = DelayTaps(3, method="yule_walker").fit([series])
    torn = DelayTaps(3, method="yule_walker").fit([with_holes(series, 0.2)])
    np.testing.assert_allclose(torn.taps_, whole.taps_, atol=0.03)
    np.testing.assert_allclose(torn.noise_cov_, whole.noise_cov_, atol=0.05)


@pytest.mark.parametrize("seed", range(20))
def test_yule_walker_is_stable(seed):
    rng = np.random.default_rng(seed)
    series = np.cumsum(rng.standard_normal((40, 2)), 0) if seed % 2 else np.exp(np.arange(40.0) / 5)[:, None]
    model = DelayTaps(4, method="yule_walker").fit([series])
    assert model.stable_
    assert np.abs(model.roots_).max() < 1


def test_equals_autoreg_of_statsmodels():
    series = simulate(univariate(0.6, -0.3, 0.1), 150, intercept=2.0)
    model, theirs = DelayTaps(3).fit([series]), AutoReg(series[:, 0], 3).fit()
    np.testing.assert_allclose([model.intercept_[0], *model.taps_[:, 0, 0]], theirs.params, atol=1e-10)
    np.testing.assert_allclose(model.noise_cov_[0, 0], theirs.sigma2, rtol=1e-10)
    np.testing.assert_allclose(model.log_prob(Sequences.from_list([series])).sum(), theirs.llf, rtol=1e-10)
    np.testing.assert_allclose([model.aic_, model.bic_], [theirs.aic, theirs.bic], rtol=1e-10)
    np.testing.assert_allclose(np.abs(model.roots_), np.sort(1 / np.abs(theirs.roots))[::-1], rtol=1e-10)
    y, state = model.scan(Sequences.from_list([series]))
    np.testing.assert_allclose(y.values[2:-1, 0], theirs.fittedvalues, atol=1e-10)
    expected = theirs.get_prediction(150, 169)
    forecast = model.forecast(state, 20)
    np.testing.assert_allclose(forecast.mean[0, :, 0], expected.predicted_mean, rtol=1e-9)
    np.testing.assert_allclose(forecast.deviation[0, :, 0], np.sqrt(expected.var_pred_mean), rtol=1e-9)
    low, high = forecast.interval(0.9)
    np.testing.assert_allclose(np.stack([low, high], -1)[0, :, 0], expected.conf_int(0.1), rtol=1e-9)


def test_equals_vector_autoregression_of_statsmodels():
    series = simulate(VECTOR, 300, intercept=[1.0, 2.0])
    model, theirs = DelayTaps(3).fit([series]), VAR(series).fit(3)
    np.testing.assert_allclose(model.taps_, theirs.coefs, atol=1e-10)
    np.testing.assert_allclose(model.intercept_, theirs.intercept, atol=1e-10)
    np.testing.assert_allclose(model.noise_cov_, theirs.sigma_u_mle, rtol=1e-9)
    np.testing.assert_allclose(model.log_prob(Sequences.from_list([series])).sum(), theirs.llf, rtol=1e-10)
    assert model.stable_ == theirs.is_stable()
    forecast = model.forecast(Sequences.from_list([series]), 12)
    np.testing.assert_allclose(forecast.mean[0], theirs.forecast(series[-3:], 12), rtol=1e-9)
    model.noise_cov_ = theirs.sigma_u  # statsmodels divides by the degrees of freedom
    forecast = model.forecast(Sequences.from_list([series]), 12)
    np.testing.assert_allclose(forecast.cov[0], theirs.mse(12), rtol=1e-9)
    _, low, high = theirs.forecast_interval(series[-3:], 12, alpha=0.05)
    np.testing.assert_allclose(forecast.interval(0.95), [low[None], high[None]], rtol=1e-9)


@pytest.mark.parametrize("criterion", ["aic", "bic"])
def test_the_order_is_chosen_as_statsmodels_does(criterion):
    series = simulate(univariate(0.5, 0.0, -0.4), 250)
    model = DelayTaps(criterion, max_order=9).fit([series])
    theirs = ar_select_order(series[:, 0], 9, ic=criterion)
    assert model.order_ == len(theirs.ar_lags) == len(model.taps_)
    by_order = {len(lags) if lags else 0: value for lags, value in getattr(theirs, criterion).items()}
    theirs = np.array(
        [by_order[order] for order in range(10)]
    )  # statsmodels does not count the variance as a parameter
    np.testing.assert_allclose(np.diff(model.criteria_), np.diff(theirs), rtol=1e-8)
    np.testing.assert_allclose(model.taps_, DelayTaps(model.order_).fit([series]).taps_, atol=1e-12)


def test_the_order_of_a_vector_autoregression():
    series = simulate(VECTOR[:2] * 1.2, 300)
    ours, theirs = DelayTaps("bic", max_order=6).fit([series]), VAR(series).select_order(6)
    assert ours.order_ == theirs.bic == 2
    aic = DelayTaps("aic", max_order=6).fit([series]).criteria_
    constants = 2 * 3 + (300 - 6) * 2 * (np.log(2 * np.pi) + 1)  # from the covariance, and from the density
    np.testing.assert_allclose((aic - constants) / (300 - 6), theirs.ics["aic"], rtol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_white_noise_needs_no_taps(method):
    model = DelayTaps("bic", method=method, max_order=8).fit([np.random.default_rng(5).standard_normal((400, 1))])
    assert model.order_ == 0
    assert len(model.criteria_) == 9
    assert model.forecast(model.initial_state(2), 3).mean.std() < 1e-15


def test_the_highest_order_depends_on_the_length():
    assert len(DelayTaps("aic").fit([simulate(VECTOR, 400)]).criteria_) == 24  # 10 log10(200)
    assert (
        len(DelayTaps("aic").fit([simulate(VECTOR, 14)]).criteria_) == 3
    )  # at least twice as many windows as coefficients


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("order", [0, 1, 3])
def test_laws_hold(method, order):
    series = simulate(VECTOR, 200)
    model = DelayTaps(order, method=method).fit([series])
    laws = check_cell(model)
    assert "saving" in laws
    assert "scan equals stepping" in laws
    check_cell(model, with_holes(series, 0.15))


def test_laws_hold_with_a_chosen_order():
    check_cell(
        DelayTaps("aic").fit([simulate(univariate(0.5, -0.4), 100)]), with_holes(simulate(VECTOR, 90)[:, :1], 0.5)
    )


def test_missing_inputs_are_replaced_by_their_forecasts():
    series = simulate(VECTOR, 60)
    model = DelayTaps(3).fit([series])
    torn = series.copy()
    torn[[20, 21, 23, 40, 41, 42, 43, 44]] = np.nan
    torn[30, 1] = np.nan
    y, state = model.scan(Sequences.from_list([torn]))
    filled = torn.copy()
    for t in range(60):
        gap = np.isnan(filled[t])
        filled[t, gap] = (model.intercept_ + sum(model.taps_[i] @ filled[t - 1 - i] for i in range(3)))[gap]
    np.testing.assert_allclose(y.values, model.scan(Sequences.from_list([filled]))[0].values, atol=1e-12)
    np.testing.assert_allclose(state[0], filled[-3:], atol=1e-12)


def test_forecasts_are_nan_before_p_inputs():
    model = DelayTaps(3).fit([simulate(univariate(0.5, -0.4, 0.1), 100)])
    y, _ = model.scan(
        Sequences.from_list([np.array([[1.0], [2.0], [3.0], [4.0]]), np.array([[1.0], [np.nan], [3.0], [4.0]])])
    )
    assert np.isnan(y.values[:, 0]).tolist() == [True, True, False, False, True, True, True, True]
    log_prob = model.log_prob(Sequences.from_list([np.ones((5, 1))]))
    assert (log_prob == 0).tolist() == [True, True, True, False, False]


def test_log_prob_of_observed_coordinates():
    from scipy.stats import multivariate_normal

    series = simulate(VECTOR, 40)
    model = DelayTaps(2).fit([series])
    torn = series.copy()
    torn[10, 0], torn[20] = np.nan, np.nan
    log_prob = model.log_prob(Sequences.from_list([torn]))
    y, _ = model.scan(Sequences.from_list([torn]))
    residuals, cov = torn[1:] - y.values[:-1], model.noise_cov_
    np.testing.assert_allclose(log_prob[5], multivariate_normal(cov=cov).logpdf(residuals[4]))
    np.testing.assert_allclose(log_prob[10], multivariate_normal(cov=cov[1, 1]).logpdf(residuals[9, 1]))
    assert log_prob[20] == 0


def test_intervals_have_their_nominal_coverage():
    taps = univariate(0.7, -0.2)
    series = simulate(taps, 20_000)
    model = DelayTaps(2).fit([series])
    starts = np.arange(2, 19_990, 10)
    forecast = model.forecast(np.stack([series[t - 2 : t] for t in starts]), 5)
    low, high = forecast.interval(0.8)
    came = np.stack([series[t : t + 5] for t in starts])
    np.testing.assert_allclose(((low < came) & (came < high)).mean((0, 2)), 0.8, atol=0.03)


def test_forecasts_of_rows_and_of_their_states_agree():
    rows = [simulate(VECTOR, steps, seed) for seed, steps in enumerate([50, 7, 90])]
    model = DelayTaps(3).fit(rows)
    x = Sequences.from_list(rows)
    a, b = model.forecast(x, 4), model.forecast(model.after(x), 4)
    np.testing.assert_array_equal(a.mean, b.mean)
    assert a.mean.shape == (3, 4, 2)
    assert a.cov.shape == (3, 4, 2, 2)
    np.testing.assert_allclose(a.mean[:, 0], model.scan(x)[0].values[x.offsets[1:] - 1], atol=1e-12)


def test_a_saved_model_is_the_same(tmp_path):
    model = DelayTaps("aic", max_order=4).fit([simulate(VECTOR, 200)])
    model.save(tmp_path / "taps.safetensors")
    loaded = DelayTaps.load(tmp_path / "taps.safetensors")
    assert loaded.settings == model.settings
    assert loaded.order_ == model.order_
    assert (loaded.aic_, loaded.num_windows_) == (model.aic_, model.num_windows_)
    np.testing.assert_array_equal(loaded.criteria_, model.criteria_)
    np.testing.assert_array_equal(loaded.taps_, model.taps_)


def test_forecasts_of_an_unstable_model_raise_an_error():
    model = DelayTaps(1).fit([np.exp(np.arange(30.0))[:, None]])
    assert not model.stable_
    with pytest.raises(ValueError, match=r"^DelayTaps\.forecast: the forecasts overflow within 2000 steps"):
        model.forecast(np.ones((1, 1, 1)), 2000)


GOOD = np.random.default_rng(0).standard_normal((30, 2))
TORN, INFINITE = GOOD.copy(), GOOD.copy()
TORN[::3], INFINITE[4] = np.nan, np.inf
FIT_ERRORS = [
    ({"order": 3}, [], ValueError, r"expected at least one row, got none\.$"),
    ({"order": 3}, [GOOD[:3]], ValueError, r"order 3 needs a row of at least 4 steps .* the longest has 3"),
    ({"order": 3}, [GOOD[:, :1], GOOD], ValueError, r"got steps of shape \[1\] in row 0 and \[2\] in row 1\.$"),
    ({"order": 3}, [GOOD[:, 0].tolist()], ValueError, r"row 0: expected steps of D numbers, got a list of 30 numbers"),
    ({"order": 3}, [np.full((9, 2), np.nan)], ValueError, r"expected values, got 9 steps, all of them missing\.$"),
    ({"order": 3}, [np.column_stack([GOOD, np.full(30, np.nan)])], ValueError, r"coordinate 2 is missing at every"),
    ({"order": 3}, [TORN], ValueError, "the longest has 2"),
    ({"order": 1}, [INFINITE], ValueError, r"values of finite .*, got inf in row 0, step 4;"),
    ({"order": 1}, [GOOD.astype(complex)], TypeError, r"expected values of numbers, got complex128\.$"),
    ({"order": 3}, Sequences(np.zeros((0, 2)), [0, 0]), ValueError, r"expected rows with steps, got"),
    ({"order": 1}, Sequences(np.zeros((5, 1, 1)), [5]), ValueError, r"values of shape \[N, D\], got \[5, 1, 1\]"),
    ({"order": 5}, [GOOD[:10]], ValueError, r"order 5 has 11 coefficients .* there are 5 windows"),
    ({"order": -1}, [GOOD], ValueError, r"expected order to be an int of at least 0, got -1\.$"),
    ({"order": 2.0}, [GOOD], ValueError, r"expected order to be an int of at least 0, got 2\.0\.$"),
    ({"order": "aik"}, [GOOD], ValueError, r"expected order .* or one of aic, bic, got 'aik'\.$"),
    ({"order": "aic", "max_order": 40}, [GOOD], ValueError, r"order 40 needs a row of at least 41 steps"),
    ({"order": 1}, [1e160 * GOOD], ValueError, r"expected values up to 1e\+150, whose .*, got \d\.\d+e\+160"),
    ({"order": 2, "max_order": 4}, [GOOD], ValueError, r"max_order=4 has no effect with order=2"),
    ({"order": 2, "method": "burg"}, [GOOD], ValueError, r"expected method .* least_squares, ridge, yule_walker, got"),
    ({"order": 2, "penalty": 1.0}, [GOOD], ValueError, r"penalty=1\.0 has no effect with method='least_squares'"),
    ({"order": 2, "method": "ridge", "penalty": -1.0}, [GOOD], ValueError, r"penalty of at least 0, got -1\.0"),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "rows", "kind", "message"), FIT_ERRORS)
def test_bad_input_of_fit_is_one_clear_line(settings, rows, kind, message):
    with pytest.raises(kind, match=r"^DelayTaps\.fit: .*" + message):
        DelayTaps(**settings).fit(rows)


def test_too_many_missing_values_for_yule_walker():
    series = with_holes(np.cumsum(np.random.default_rng(0).standard_normal((40, 1)), 0), 0.7, seed=1)
    with pytest.raises(ValueError, match=r"^DelayTaps\.fit: too many values are missing: .* belong to no process"):
        DelayTaps(8, method="yule_walker").fit([series])
    chosen = DelayTaps("bic", method="yule_walker", max_order=8).fit([series])
    assert chosen.criteria_[8] == np.inf
    assert chosen.noise_cov_ > 0


def test_bad_input_of_other_methods_is_one_clear_line():
    model = DelayTaps(2).fit([GOOD])
    state = model.initial_state(3)
    with pytest.raises(TypeError, match=r"^DelayTaps\.step: expected x of numbers, got <U1"):
        model.step(np.full((3, 2), "a"), state)
    with pytest.raises(ValueError, match=r"^DelayTaps\.step: expected x of shape \[B, D=2\], got \[3, 1\]\.$"):
        model.step(np.zeros((3, 1)), state)
    with pytest.raises(ValueError, match=r"^DelayTaps\.step: expected state of shape \[B=2, p=2, D=2\], got"):
        model.step(np.zeros((2, 2)), state)
    with pytest.raises(ValueError, match=r"^DelayTaps\.scan: expected values of finite .* got -inf in row 0, step 1"):
        model.scan(Sequences(np.array([[0.0, 0.0], [-np.inf, 0.0]]), [2]))
    with pytest.raises(ValueError, match=r"^DelayTaps\.forecast: row 1: a forecast needs 2 inputs, got fewer"):
        model.forecast(Sequences.from_list([GOOD, GOOD[:1]]), 3)
    for steps in (0, 2.0, True):
        with pytest.raises(ValueError, match=r"^DelayTaps\.forecast: expected steps to be an int of at least 1, got"):
            model.forecast(Sequences.from_list([GOOD]), steps)
    with pytest.raises(ValueError, match=r"^Forecast\.interval: expected a level between 0 and 1, got 95\.$"):
        model.forecast(Sequences.from_list([GOOD]), 3).interval(95)
    with pytest.raises(ValueError, match=r"^DelayTaps\.initial_state: expected a fitted model, got one without taps"):
        DelayTaps(2).initial_state(1)
    with pytest.raises(ValueError, match=r"^DelayTaps\.from_arrays: expected arrays .*, got a; the file belongs"):
        DelayTaps.from_arrays({"a": GOOD}, order=2)


def test_textbook_series_have_their_published_orders(data_path):
    """Check `ar(sunspot.year)` of R, whose variance uses degrees of freedom, and the 11 taps of Tong's lynx (1977)."""
    paths = (data_path / "timeseries" / f"{name}.csv" for name in ("sunspot.year", "lynx"))
    sunspots, lynx = (np.loadtxt(path, delimiter=",", skiprows=1, usecols=[2])[:, None] for path in paths)
    model = DelayTaps("aic", method="yule_walker").fit([sunspots])
    taps = [1.1305, -0.3524, -0.1745, 0.1403, -0.1358, 0.0963, -0.0556, 0.0076, 0.1941]
    np.testing.assert_allclose(model.taps_[:, 0, 0], taps, atol=6e-5)
    np.testing.assert_allclose(model.noise_cov_[0, 0] * len(sunspots) / (len(sunspots) - 10), 267.5, rtol=2e-4)
    assert DelayTaps("aic", method="yule_walker").fit([np.log10(lynx)]).order_ == 11


def test_random_problems_give_finite_models():
    for seed in range(200):
        rng = np.random.default_rng(seed)
        size, kind = rng.integers(1, 4), rng.integers(4)
        rows = [rng.standard_normal((rng.integers(40), size)).cumsum(0) * 10.0 ** rng.integers(-3, 4) for _ in range(3)]
        for row in rows:
            if kind == 1:
                row[:] = row.round()
            if kind == 2:
                row[:, 0] = 3.0
            row[rng.random(row.shape) < 0.4 * rng.random() * rng.integers(2)] = np.nan
        order = rng.choice([0, 1, 2, 4, "aic", "bic"])
        model = DelayTaps(order if len(order) > 1 else int(order), method=str(rng.choice(METHODS)))
        with suppress(ValueError):  # too few windows, or everything missing
            model.fit(rows)
        if not hasattr(model, "taps_"):
            continue
        assert all(np.isfinite(array).all() for array in (model.taps_, model.intercept_, model.noise_cov_))
        assert np.linalg.eigvalsh(model.noise_cov_)[0] >= -1e-9 * np.abs(model.noise_cov_).max()
