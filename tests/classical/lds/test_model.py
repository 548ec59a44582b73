"""Filter, smoother, forecasts and likelihoods against the joint Gaussian; the contract; sums; files."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from elman import state as states
from elman.classical.lds import LDS, Observed, Prediction, Variance, constant_velocity, local_level, seasonal, stack
from elman.sequences import Sequences
from elman.testing import check_cell

from .lds_problems import joint, positive, random_model, random_rows, transition

problems = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**32 - 1),
        "lengths": st.lists(st.integers(1, 4), min_size=1, max_size=2),
        "n": st.integers(1, 3),
        "m": st.integers(1, 2),
        "inputs": st.integers(0, 2),
        "own": st.sets(st.sampled_from("FHQR")).map(sorted).map("".join),
        "square_root": st.booleans(),
    }
)


def draw(seed, lengths, n, m, inputs, own, square_root=False, start="given"):
    random = np.random.default_rng(seed)
    model = random_model(random, n, m, inputs, start, square_root=square_root)
    return model, random_rows(random, model, lengths, own=own)


def near(got, expected):
    np.testing.assert_allclose(got, expected, rtol=1e-7, atol=1e-8 * (1 + np.abs(expected).max(initial=0)))


def block(cov, n, t, s=None):
    s = t if s is None else s
    return cov[t * n : (t + 1) * n, s * n : (s + 1) * n]


def observations(row):
    return row.x if isinstance(row, Observed) else row


@settings(max_examples=12)
@given(problems, st.sampled_from(["given", "stationary"]))
def test_filter_and_smoother_equal_the_joint_gaussian(case, start):
    model, rows = draw(**case, start=start)
    filtered, smoothed = model.filter(rows).to_list(), model.smooth(rows).to_list()
    log_prob = model.log_prob(rows)
    for number, row in enumerate(rows.to_list()):
        x, whole, n = observations(row), joint(model, row), case["n"]
        total = 0.0
        for t in range(len(x)):
            known = x.copy()
            known[t + 1 :] = np.nan
            mean, cov, before = whole.given(known)
            near(filtered[number].mean[t], mean[t])
            near(filtered[number].cov[t], block(cov, n, t))
            near(filtered[number].log_prob[: t + 1].sum(), before)
        if len(x):
            mean, cov, total = whole.given(x)
            near(smoothed[number].mean, mean)
            for t in range(len(x)):
                near(smoothed[number].cov[t], block(cov, n, t))
                near(smoothed[number].lag[t], block(cov, n, t + 1, t) if t + 1 < len(x) else np.zeros((n, n)))
        near(log_prob[number], total)


@settings(max_examples=12)
@given(problems)
def test_predictions_and_forecasts_equal_the_joint_gaussian(case):
    model, rows = draw(**case)
    m = case["m"]
    for row, predicted in zip(rows.to_list(), model.predict(rows).to_list(), strict=True):
        x, whole = observations(row), joint(model, row)
        for t in range(len(x)):
            seen = x.copy()
            seen[t:] = np.nan
            mean, cov = outputs_given(whole, seen)
            near(predicted.mean[t], mean[t])
            near(predicted.cov[t], block(cov, m, t))
            past, future = (states.select(row, part) for part in (np.arange(t), np.arange(t, len(x))))
            future = states.map(lambda leaf: leaf[None], future._replace(x=())) if isinstance(row, Observed) else None
            forecast = model.forecast([past], len(x) - t, future)
            near(forecast.mean[0], mean[t:])
            near(forecast.cov[0, -1], block(cov, m, len(x) - 1))


def outputs_given(whole, x):
    """Return the distribution of all observations [T, m] given the observed ones."""
    steps = len(x)
    outputs = steps * whole.n + np.arange(steps * whole.m)
    there = outputs[~np.isnan(x.ravel())]
    gain = np.linalg.solve(whole.cov[np.ix_(there, there)], whole.cov[np.ix_(there, outputs)]).T
    mean = whole.mean[outputs] + gain @ (x.ravel()[~np.isnan(x.ravel())] - whole.mean[there])
    return mean.reshape(steps, whole.m), whole.cov[np.ix_(outputs, outputs)] - gain @ whole.cov[np.ix_(there, outputs)]


@pytest.mark.parametrize("start", ["diffuse", "partly"])
@pytest.mark.parametrize(("n", "m"), [(1, 1), (2, 1), (3, 2)])
def test_a_diffuse_start_equals_generalised_least_squares(n, m, start):
    random = np.random.default_rng(n + m)
    model = random_model(random, n, m, inputs=1, start=start)
    rows = random_rows(random, model, [7, 9], missing=0.1, own="H")
    for row, smoothed, log_prob in zip(rows.to_list(), model.smooth(rows).to_list(), model.log_prob(rows), strict=True):
        mean, cov, expected = joint(model, row).given_diffuse(row.x, model.start_.diffuse)
        near(smoothed.mean, mean)
        near(log_prob, expected)
        for t in range(len(mean)):
            near(smoothed.cov[t], block(cov, n, t))


@pytest.mark.parametrize(
    ("start", "square_root"), [("given", False), ("diffuse", False), ("partly", True), ("stationary", False)]
)
def test_contract(start, square_root):
    random = np.random.default_rng(3)
    model = random_model(random, 3, 2, inputs=2, start=start, square_root=square_root)
    steps = random_rows(random, model, [20], missing=0.3, own="HQ").values
    checked = check_cell(model, steps)
    assert "scan equals stepping" in checked
    assert "saving" in checked


def test_contract_of_a_plain_series():
    check_cell(local_level(level=1.0, noise=2.0) + seasonal(3, 0.5), np.random.default_rng(0).normal(size=(30, 1)))


def test_a_constant_state_with_a_diffuse_start_is_least_squares():
    random = np.random.default_rng(0)
    H, x = random.normal(size=(30, 1, 3)), random.normal(size=(30, 1))
    x[[4, 11]] = np.nan
    there = ~np.isnan(x[:, 0])
    regression = LDS(np.eye(3), np.zeros((1, 3)), R=0.7 * np.eye(1))
    filtered = regression.filter([Observed(x, H=H)]).values
    for t in (4, 10, 29):  # recursive least squares
        A, b = H[: t + 1, 0][there[: t + 1]], x[: t + 1, 0][there[: t + 1]]
        near(filtered.mean[t], np.linalg.lstsq(A, b, rcond=None)[0])
        near(filtered.cov[t], 0.7 * np.linalg.inv(A.T @ A))
    smoothed = regression.smooth([Observed(x, H=H)]).values
    near(smoothed.mean, np.tile(filtered.mean[-1], (30, 1)))


def test_undetermined_states_have_infinite_variances():
    velocity = constant_velocity(1, acceleration=1.0, noise=1.0)
    filtered = velocity.filter([np.array([[1.0], [2.0], [3.0]])]).values
    assert np.isinf(filtered.cov[0, 1, 1])
    assert filtered.cov[0, 0, 0] == pytest.approx(1.0)
    assert np.isfinite(filtered.cov[1:]).all()
    assert np.isinf(velocity.predict([np.array([[1.0], [2.0]])]).values.cov).ravel().tolist() == [True, True]
    low, high = velocity.forecast(velocity.initial_state(1), 1).interval(0.5)
    assert (low[0, 0, 0], high[0, 0, 0]) == (-np.inf, np.inf)


def test_forecasts_are_the_filter_run_on_missing_values():
    random = np.random.default_rng(5)
    model = random_model(random, 3, 2, start="diffuse")
    rows = random_rows(random, model, [9, 12])
    forecast = model.forecast(rows, 4)
    for number, row in enumerate(rows.to_list()):
        longer = np.concatenate([row, np.full((4, 2), np.nan)])
        filtered = states.select(model.filter([longer]).values, np.arange(len(row), len(row) + 4))
        near(forecast.mean[number], filtered.mean @ model.H.T)
        near(forecast.cov[number], model.H @ filtered.cov @ model.H.T + model.R)
    _, state = model.scan(rows)
    np.testing.assert_array_equal(model.forecast(state, 4).mean, forecast.mean)
    predicted = model.predict(rows).to_list()
    near(predicted[0].mean[-1], model.forecast([rows.to_list()[0][:-1]], 1).mean[0, 0])


def test_observations_without_noise():
    random = np.random.default_rng(0)
    model = LDS(transition(random, 2), np.eye(2), positive(random, 2), start=(np.zeros(2), np.eye(2)))
    x = random.normal(size=(8, 2))
    filtered = model.filter([x]).values
    near(filtered.mean, x)
    near(filtered.cov, np.zeros((8, 2, 2)))
    near(model.predict([x]).values.mean[1:], x[:-1] @ model.F.T)
    impossible = LDS(np.eye(1), np.eye(1), start=(np.zeros(1), np.zeros((1, 1))))
    with pytest.raises(ValueError, match="row 0, step 1 is impossible"):
        impossible.filter([np.array([[0.0], [1.0]])])


def test_samples_have_the_moments_of_the_model():
    random = np.random.default_rng(1)
    model = random_model(random, 2, 2, inputs=1)
    u = random.normal(size=(3, 1))
    rows = 20_000
    x, s = model.sample([3] * rows, seed=4, given=Observed((), np.tile(u, (rows, 1))))
    whole = joint(model, Observed(np.zeros((3, 2)), u))
    drawn = np.hstack([s.reshape(rows, -1), x.values.x.reshape(rows, -1)])
    scale = np.sqrt(np.diag(whole.cov))
    np.testing.assert_allclose(drawn.mean(0) / scale, whole.mean / scale, atol=0.05)
    np.testing.assert_allclose(np.cov(drawn.T) / scale / scale[:, None], whole.cov / scale / scale[:, None], atol=0.06)
    again = model.sample([3] * rows, seed=4, given=Observed((), np.tile(u, (rows, 1))))
    np.testing.assert_array_equal(again.states, s)
    assert model.sample([2, 0, 3], given=Observed((), np.zeros((5, 1)))).observations.lengths.tolist() == [2, 0, 3]


def test_a_sample_continues_from_a_state():
    level = local_level(level=1.0, noise=0.0)
    with pytest.raises(ValueError, match="not diffuse"):
        level.sample([5])
    _, state = level.scan(Sequences.from_list([np.array([[1000.0]])]))
    assert np.abs(level.sample([5], state=state).observations.values - 1000).max() < 20


def test_a_sum_of_models_adds_their_outputs():
    random = np.random.default_rng(2)
    one, other = (random_model(random, n, 2, inputs=1) for n in (1, 2))
    both = one + other
    row = random_rows(random, both, [5], missing=0).values
    parts = [joint(model, row) for model in (one, other)]
    outputs = [part.cov[5 * part.n :, 5 * part.n :] for part in parts]
    whole = joint(both, row)
    near(whole.cov[15:, 15:], outputs[0] + outputs[1])
    near(whole.mean[15:], parts[0].mean[5:] + parts[1].mean[10:])
    side = stack(one, other)
    double = row._replace(x=np.hstack([row.x, row.x + 1]))
    near(side.log_prob([double]), one.log_prob([row]) + other.log_prob([row._replace(x=row.x + 1)]))


def test_a_sum_has_one_observation_noise():
    both = local_level(noise=1.0) + local_level(level=2.0, noise=3.0, name="slow")
    assert both.variances_ == {"level": None, "noise": 4.0, "slow.level": 2.0}
    with pytest.raises(ValueError, match="got level twice"):
        local_level() + local_level()
    mixed = local_level(1.0, 1.0) + LDS(0.5 * np.eye(1), np.eye(1), np.eye(1), start="stationary")
    near(mixed.start_.cov, np.diag([0.0, 4 / 3]))
    near(mixed.start_.diffuse, np.diag([1.0, 0.0]))


def test_a_saved_model_is_the_same(tmp_path):
    random = np.random.default_rng(0)
    x = np.cumsum(random.normal(size=(12, 1)), 0)
    model = (local_level(noise=0.5) + seasonal(3, 0.25)).fit([x], restarts=1, max_iterations=3)
    model.save(tmp_path / "model.safetensors")
    loaded = LDS.load(tmp_path / "model.safetensors")
    assert loaded.variances_ == model.variances_
    assert loaded.settings == model.settings
    np.testing.assert_array_equal(loaded.forecast([x], 3).cov, model.forecast([x], 3).cov)
    unfitted = local_level(noise=0.5)
    unfitted.save(tmp_path / "model.safetensors")
    assert LDS.load(tmp_path / "model.safetensors").variances_ == {"level": None, "noise": 0.5}
    given = random_model(random, 2, 1, inputs=2, start="partly", square_root=True)
    given.save(tmp_path / "model.safetensors")
    assert LDS.load(tmp_path / "model.safetensors").settings == given.settings
    with pytest.raises(ValueError, match="belongs to another model"):
        LDS.from_arrays({"F": np.eye(1)}, **given.settings)


def test_many_series_in_one_call_equal_single_calls():
    random = np.random.default_rng(0)
    model = local_level(level=1.0, noise=2.0)
    rows = [random.normal(size=(length, 1)) for length in (5, 0, 9, 1)]
    assert model.log_prob(rows).shape == (4,)
    near(model.log_prob(rows)[2], model.log_prob([rows[2]])[0])
    assert isinstance(model.scan(Sequences.from_list(rows))[1], Prediction)


def test_variances_are_parts_of_covariances():
    pattern = np.array([[2.0, 1.0], [1.0, 2.0]])
    model = LDS(np.eye(2), np.eye(2), np.eye(2), variances=[Variance("both", "Q", pattern, 3.0)])
    near(model.Q_, np.eye(2) + 3 * pattern)
    near(model.Q, np.eye(2))
