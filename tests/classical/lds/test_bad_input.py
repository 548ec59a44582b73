"""Bad input gives one clear line that names the place, and never a model of NaN."""

import numpy as np
import pytest

from elman.classical.lds import (
    LDS,
    Observed,
    Prediction,
    Variance,
    constant_velocity,
    local_level,
    local_trend,
    seasonal,
    stack,
)
from elman.sequences import Sequences

from .lds_problems import random_model

ONE = np.eye(1)
X = np.arange(6.0)[:, None]
LEVEL = local_level(level=1.0, noise=1.0)
DRIVEN = LDS(ONE, ONE, ONE, ONE, B=ONE)
PLANE = LDS(np.eye(2), np.eye(2), np.eye(2), np.eye(2))
INDEFINITE = np.array([[1.0, 2.0], [2.0, 1.0]])
ODD = np.array([np.eye(2), np.eye(2), INDEFINITE, np.eye(2)])

WRONG = {
    "rows of different width": (
        lambda: PLANE.log_prob([np.zeros((3, 2)), np.zeros((4, 3))]),
        r"LDS.log_prob: expected rows of one width, got steps of shape \[2\] in row 0 and \[3\] in row 1.",
    ),
    "another width": (
        lambda: LEVEL.filter([np.zeros((3, 2))]),
        r"LDS.filter: expected observations of shape \[N, m=1\], got \[3, 2\].",
    ),
    "a flat series": (lambda: LEVEL.filter([[0.0] * 3]), r"a series of single numbers is np.asarray\(x\)"),
    "several rows in one array": (
        lambda: LEVEL.filter(X[None]),
        r"got an array \[1, \d+, 1\]; list\(x\) makes a row of",
    ),
    "no rows": (lambda: LEVEL.filter([]), "expected at least one row, got none"),
    "a plain tuple": (lambda: DRIVEN.filter([(X, X)]), r"expected observations, or Observed\(x, u, ...\), got tuple"),
    "an all-missing series": (
        lambda: local_level().fit([np.full((5, 1), np.nan)]),
        "LDS.fit: expected at least one observation, got none: every one is missing.",
    ),
    "too few for a diffuse start": (
        lambda: constant_velocity(1, acceleration=1.0, noise=1.0).smooth([X, np.full((5, 1), np.nan)]),
        "LDS.smooth: the inputs are too few for the diffuse start, in row 1 at step 4",
    ),
    "infinities": (
        lambda: LEVEL.fit([X, np.array([[0.0], [np.inf]])], ["level"]),
        "LDS.fit: expected observations of finite numbers, or NaN where one is missing, got inf in row 1, step 1;",
    ),
    "text": (lambda: LEVEL.filter([np.full((5, 1), "a")]), "LDS.filter: expected observations of numbers, got <U1."),
    "an indefinite Q": (
        lambda: LDS(np.eye(2), np.eye(2), INDEFINITE),
        "LDS: expected Q of positive semidefinite matrices, got eigenvalue -1",
    ),
    "an asymmetric R": (lambda: LDS(np.eye(2), np.eye(2), R=np.triu(np.ones((2, 2)))), "LDS: expected R of symmetric"),
    "an indefinite R of a step": (
        lambda: PLANE.filter([np.zeros((2, 2)), Observed(np.zeros((4, 2)), R=ODD)][1:]),
        "LDS.filter: expected R of positive semidefinite matrices, got eigenvalue -1 in row 0, step 2.",
    ),
    "an indefinite Q of a step": (
        lambda: PLANE.log_prob([Observed(np.zeros((1, 2)), Q=np.eye(2)[None]), Observed(np.zeros((4, 2)), Q=ODD)]),
        "LDS.log_prob: expected Q of positive semidefinite matrices, got eigenvalue -1 in row 1, step 2.",
    ),
    "an indefinite start": (
        lambda: LDS(np.eye(2), np.eye(2), start=(np.zeros(2), INDEFINITE)),
        "expected the covariance of the start of positive semidefinite matrices",
    ),
    "an indefinite pattern": (
        lambda: LDS(np.eye(2), np.eye(2), variances=[Variance("odd", "Q", INDEFINITE)]),
        "expected the pattern of odd of positive semidefinite",
    ),
    "a negative variance": (
        lambda: local_level(level=-1.0),
        "LDS: expected level to be a finite variance of at least 0",
    ),
    "a variance of NaN": (lambda: local_level(noise=np.nan), "expected noise to be a finite variance"),
    "a variance that is no number": (lambda: local_level(noise="large"), "expected noise to be a number, got str"),
    "complex matrices": (
        lambda: LDS(np.eye(2, dtype=complex), np.eye(2)),
        "LDS: expected F of numbers, got complex128",
    ),
    "matrices of NaN": (lambda: LDS(np.full((1, 1), np.nan), ONE), "LDS: expected F of finite numbers, got nan"),
    "shapes": (lambda: LDS(np.eye(2), np.eye(3)), r"LDS: expected H of shape \[m, n=2\], got \[3, 3\]"),
    "no states": (lambda: LDS(np.zeros((0, 0)), np.zeros((1, 0))), "at least one state and one output, got n=0"),
    "inputs of two widths": (lambda: LDS(ONE, ONE, B=ONE, D=np.ones((1, 2))), r"expected D of shape \[m=1, U=1\]"),
    "no driving input": (lambda: DRIVEN.filter([X]), r"expected a driving input u \[N, U=1\] at each step, got none"),
    "a driving input": (lambda: LEVEL.filter([Observed(X, X)]), "expected no driving input, got one"),
    "a driving input that is missing": (
        lambda: DRIVEN.filter([Observed(X, np.where(X == 2, np.nan, X))]),
        "expected the driving input u of finite numbers, none missing, got nan in row 0, step 2",
    ),
    "no driving input of the future": (lambda: DRIVEN.forecast([Observed(X, X)], 2), "expected a driving input"),
    "a short future": (
        lambda: DRIVEN.forecast([Observed(X, X)], 3, Observed((), np.zeros((1, 2, 1)))),
        r"LDS.forecast: expected u of 3 steps, got shape \[1, 2, 1\]",
    ),
    "no steps": (lambda: LEVEL.forecast([X], 0), "expected steps to be an int of at least 1, got 0"),
    "a state of another model": (
        lambda: LEVEL.step(X[:1], PLANE.initial_state(1)),
        r"LDS.step: expected the state's mean of shape \[B=1, n=1\], got \[1, 2\]",
    ),
    "a state that is none": (lambda: LEVEL.step(X[:1], X[:1]), "expected a state Prediction"),
    "a state of NaN": (
        lambda: LEVEL.step(X[:1], Prediction(np.full((1, 1), np.nan), ONE[None], ONE[None])),
        "expected the state's mean of finite numbers",
    ),
    "unknown variances": (
        lambda: local_level(noise=1.0).filter([X]),
        r"LDS.filter: expected known variances, got none of level; call fit, or give them",
    ),
    "an explosive stationary start": (
        lambda: LDS(ONE, ONE, ONE, ONE, start="stationary").filter([X]),
        "eigenvalues lie within 1 for a stationary start, got one of absolute value 1; use start='diffuse'",
    ),
    "a start that is none": (lambda: LDS(ONE, ONE, start="free"), "expected start to be diffuse, stationary or"),
    "numbers that overflow": (
        lambda: LDS(1e200 * ONE, ONE, ONE, ONE, start=(np.ones(1), ONE)).filter([np.full((5, 1), np.nan)]),
        "LDS.filter: numbers overflow, in row 0 at step",
    ),
    "nothing to learn": (
        lambda: LEVEL.fit([X]),
        "got known ones only; name the variances to learn, as",
    ),
    "an unknown name to learn": (
        lambda: LEVEL.fit([X], ["slope"]),
        "expected learn among level, .*, got 'slope'",
    ),
    "a Q that is made of variances": (lambda: LEVEL.fit([X], ["Q"]), "expected Q to be learned by its variances"),
    "a method": (lambda: local_level().fit([X], method="mcmc"), "expected method to be em or likelihood, got 'mcmc'"),
    "restarts": (lambda: local_level().fit([X], restarts=0), "expected restarts to be an int of at least 1, got 0"),
    "a floor": (lambda: PLANE.fit([np.zeros((3, 2))], floor=2.0), "a floor between 0 and 1, got 1e-08 and 2.0"),
    "the start of a diffuse model": (lambda: LEVEL.fit([X], ["mean"]), "expected a start .* where mean is learned"),
    "matrices given and learned": (
        lambda: LDS(ONE, ONE, ONE, ONE).fit([Observed(X, R=np.ones((6, 1, 1)))], ["R"]),
        "expected a constant R, since it is learned, got one for each step",
    ),
    "a period": (lambda: seasonal(1), "seasonal: expected a period of at least 2 steps, got 1"),
    "no time": (lambda: constant_velocity(1, dt=0.0), "constant_velocity: expected a dt above 0"),
    "a sum of different outputs": (lambda: LEVEL + PLANE, "the same number of outputs, got 1 and 2; use stack"),
    "a stack of nothing": (lambda: stack(), "expected at least one model"),
    "impossible rows": (
        lambda: LDS(ONE, ONE, start=(np.zeros(1), 0 * ONE), variances=[Variance("noise", "R", ONE, 0.0)]).filter([X]),
        "LDS.filter: the observation in row 0, step 1 is impossible",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_bad_input_is_one_clear_line(case):
    call, line = WRONG[case]
    with pytest.raises((ValueError, TypeError), match=line) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_a_failed_fit_leaves_the_model_as_it_was():
    model = random_model(np.random.default_rng(0), 2, 1)
    before = model.to_arrays()
    with pytest.raises(ValueError, match="got inf"):
        model.fit([np.full((3, 1), np.inf)])
    for name, array in model.to_arrays().items():
        np.testing.assert_array_equal(array, before[name])


def test_a_constant_series_gives_a_finite_fit():
    """Check unbounded likelihoods: the fit ends with finite numbers."""
    for series in (np.full((20, 1), 3.0), np.zeros((20, 1)), np.array([[1.0], [np.nan], [2.0]])):
        model = local_level().fit([series], restarts=2)
        assert all(np.isfinite(value) and value >= 0 for value in model.variances_.values())
        assert np.isfinite(model.filter([series]).values.mean).all()


def test_empty_rows_and_batches():
    assert LEVEL.log_prob(Sequences(np.zeros((0, 1)), [])).shape == (0,)
    assert LEVEL.log_prob(Sequences(np.zeros((0, 1)), [0, 0])).tolist() == [0.0, 0.0]
    assert LEVEL.smooth(Sequences(np.zeros((0, 1)), [0])).values.mean.shape == (0, 1)
    assert LEVEL.predict(Sequences(np.zeros((0, 1)), [0])).values.mean.shape == (0, 1)
    assert LEVEL.forecast(Sequences(np.zeros((0, 1)), []), 2).mean.shape == (0, 2, 1)


def test_a_series_too_short_for_the_diffuse_start():
    model = local_trend() + seasonal(4)
    with pytest.raises(ValueError, match=r"LDS.fit: expected a row with more than 5 observations, .* got 5; "):
        model.fit([np.arange(5.0)[:, None]])
