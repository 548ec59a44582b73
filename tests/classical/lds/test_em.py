"""EM never lowers the likelihood, keeps covariances positive definite, and recovers the model."""

import numpy as np
import pytest

from elman.classical.lds import LDS, Observed, Variance, constant_velocity, local_level
from elman.classical.lds.matrices import Matrices

from .lds_problems import random_model, random_rows


def em_problem(seed):
    """Return a model, rows of another model with missing values, and the names of the parameters to learn."""
    random = np.random.default_rng(seed)
    n, m, inputs = random.integers(1, 4), random.integers(1, 4), random.integers(0, 2)
    start = ["given", "given", "diffuse", "partly"][random.integers(0, 4)]
    model = random_model(random, n, m, inputs, start)
    own = "".join(name for name in "FHQR" if random.uniform() < 0.1)
    lengths = random.integers(1, 8, random.integers(1, 4)).tolist()
    if start != "given":
        lengths = [length + 3 * n for length in lengths]
    rows = random_rows(random, model, lengths, missing=random.choice([0, 0.2, 0.5]) * (start == "given"), own=own)
    able = [name for name in "FHQRBD" if name not in own and (inputs or name not in "BD")]
    able = [name for name in able if not (name in "FB" and "Q" in own) and not (name in "HD" and "R" in own)]
    able = [name for name in able if start == "given" or name not in "FH"]
    able += ["mean", "cov"] if start == "given" else []
    learn = [name for name in able if random.uniform() < 0.6] or able[-1:]
    return model, rows, learn


def check_problem(seed, iterations=20):
    model, rows, learn = em_problem(seed)
    if not learn or np.isnan(rows.values.x if isinstance(rows.values, Observed) else rows.values).all():
        return
    model.fit(rows, learn, method="em", max_iterations=iterations, tolerance=0)
    history = model.history_
    assert np.isfinite(history).all(), seed
    assert (np.diff(history) >= 0).all(), seed
    if len(history) <= iterations:  # it ended early by convergence, not because an iteration lowered the likelihood
        assert model.converged_, seed
        settled = len(history) == 1 or history[-1] - history[-2] < 1e-6 * (1 + abs(history[-1]))
        assert settled, (seed, np.diff(history), learn)
    # The reported likelihood is that of the result, and matrices that are not learned are unchanged.
    assert model.log_prob(rows).sum() == pytest.approx(history[-1], rel=1e-8, abs=1e-6), seed
    for name in Matrices._fields:
        assert np.isfinite(getattr(model, f"{name}_")).all(), seed
        if name not in learn:
            np.testing.assert_array_equal(getattr(model, f"{name}_"), getattr(model, name))
    for cov in (model.Q_, model.R_, *([model.start_.cov] if "cov" in learn else [])):
        np.testing.assert_array_equal(cov, cov.T)
        assert np.linalg.eigvalsh(cov)[0] > 0, seed


@pytest.mark.parametrize("seed", range(16))
def test_em_never_lowers_the_likelihood(seed):
    check_problem(seed, iterations=6)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_em_never_lowers_the_likelihood_of_two_thousand_problems():
    for seed in range(2000):
        check_problem(seed)


def test_one_iteration_equals_the_published_equations():
    """Compare with Shumway and Stoffer (1982), equations 12 to 14, from moments of the smoother."""
    random = np.random.default_rng(0)
    model = random_model(random, 2, 2)
    x = model.sample([30], seed=1).observations
    smoothed = model.smooth(x).values
    second = smoothed.cov + smoothed.mean[:, :, None] * smoothed.mean[:, None, :]
    cross = smoothed.lag[:-1] + smoothed.mean[1:, :, None] * smoothed.mean[:-1, None, :]
    A, B, C = second[:-1].sum(0), cross.sum(0), second[1:].sum(0)
    errors = x.values - smoothed.mean @ model.H.T
    R = (errors.T @ errors + (model.H @ smoothed.cov @ model.H.T).sum(0)) / 30
    model.fit(x, ["F", "Q", "R", "mean"], method="em", max_iterations=1)
    np.testing.assert_allclose(model.F_, B @ np.linalg.inv(A), rtol=1e-9)
    np.testing.assert_allclose(model.Q_, (C - B @ np.linalg.inv(A) @ B.T) / 29, rtol=1e-8)
    np.testing.assert_allclose(model.R_, R, rtol=1e-8)
    np.testing.assert_allclose(model.start_.mean, smoothed.mean[0], rtol=1e-9)


def test_the_gradient_vanishes_at_the_result_of_em():
    """Check two correlated noise coordinates, one of them sometimes missing."""
    random = np.random.default_rng(3)
    one = np.eye(1)
    model = LDS(0.8 * one, np.ones((2, 1)), one, np.array([[1.0, 0.5], [0.5, 2.0]]), start=(np.zeros(1), one))
    x = model.sample([40], seed=2).observations.values
    x[random.uniform(size=40) < 0.3, 0] = np.nan
    x[random.uniform(size=40) < 0.2, 1] = np.nan
    model.fit([x], ["R"], method="em", max_iterations=100, tolerance=1e-11)

    def score(direction):
        ends = [LDS(model.F, model.H, model.Q, model.R_ + size * direction, start=model.start).log_prob([x])[0]
                for size in (-1e-4, 1e-4)]  # fmt: skip
        return (ends[1] - ends[0]) / 2e-4

    for direction in (np.diag([1.0, 0]), np.diag([0, 1.0]), np.array([[0, 1.0], [1.0, 0]])):
        assert abs(score(direction)) < 1e-2


def test_parameters_without_information_stay():
    """Check that a missing step does not affect H and R, and a row of one step not F and Q."""
    random = np.random.default_rng(0)
    model = random_model(random, 2, 1)
    seen = random.normal(size=(1, 1))
    model.fit([seen], ["F", "Q"], method="em", max_iterations=2)
    np.testing.assert_array_equal(model.F_, model.F)
    alone = random_model(np.random.default_rng(1), 2, 1).fit([seen], ["H", "R"], method="em", max_iterations=2)
    gaps = random_model(np.random.default_rng(1), 2, 1).fit(
        [np.vstack([seen, np.full((5, 1), np.nan)])], ["H", "R"], method="em", max_iterations=2
    )
    np.testing.assert_allclose(gaps.R_, alone.R_, rtol=1e-9)


def test_an_unbounded_likelihood_ends_at_the_floor():
    """Check as many states as outputs and one row, where the noise would shrink to zero."""
    model = LDS(np.eye(2), np.eye(2), np.eye(2), np.eye(2), start=(np.zeros(2), np.eye(2)))
    x = np.random.default_rng(0).normal(size=(3, 2))
    model.fit([x], ["F", "H", "Q", "R", "mean", "cov"], method="em", max_iterations=100, tolerance=0, floor=1e-3)
    assert (np.diff(model.history_) >= 0).all()
    for cov in (model.Q_, model.R_, model.start_.cov):
        assert np.linalg.eigvalsh(cov)[0] >= 1e-3 * (1 - 1e-9)


def test_em_recovers_named_variances():
    random = np.random.default_rng(0)
    model = constant_velocity(2, acceleration=1.0, noise=1.0)
    made = LDS(model.F, model.H, 0.3 * model.variances[0].pattern, 2.0 * np.eye(2), start=(np.zeros(4), np.eye(4)))
    x = made.sample([60, 40], seed=1).observations
    x.values[random.uniform(size=x.values.shape) < 0.2] = np.nan
    by_em = constant_velocity(2).fit(x, method="em", max_iterations=15)
    assert (np.diff(by_em.history_) >= 0).all()
    assert by_em.variances_["noise"] == pytest.approx(2.0, rel=0.4)
    assert by_em.variances_["acceleration"] == pytest.approx(0.3, rel=0.7)
    shared = LDS(np.eye(1), np.eye(1), variances=[Variance("one", "R", np.eye(1)), Variance("two", "R", np.eye(1))])
    with pytest.raises(ValueError, match="EM cannot separate variances of R"):
        shared.fit([np.arange(3.0)[:, None]], method="em")


def test_em_reports_what_it_cannot_fit():
    x = [np.random.default_rng(0).normal(size=(6, 1))]
    one = np.eye(1)
    with pytest.raises(ValueError, match="no step for a stationary start"):
        LDS(0.5 * one, one, one, one, start="stationary").fit(x, ["F"], method="em")
    with pytest.raises(ValueError, match="EM cannot learn F where Q differs"):
        LDS(one, one, one, one, start=(np.ones(1), one)).fit([Observed(x[0], Q=np.ones((6, 1, 1)))], ["F"], method="em")
    with pytest.raises(ValueError, match=r"expected a start \(mean, cov\) where H is learned, got a diffuse one"):
        LDS(one, one, one, one).fit(x, ["H"])
    with pytest.raises(ValueError, match="R above zero where it is learned"):
        LDS(one, one, one).fit(x, ["R"], method="em")
    with pytest.raises(ValueError, match="level above zero where it is learned"):
        local_level(0.0, 1.0).fit(x, ["level"], method="em")
