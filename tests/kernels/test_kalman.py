from contextlib import nullcontext
from fractions import Fraction

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from elman.kernels import kalman, native
from elman.kernels.kalman import Prediction, System
from elman.kernels.kalman_estimate import Plain, PrecisionError

from .kalman_truth import Joint, assert_same, cases, draw, near, part

both = pytest.mark.parametrize("how", [native.disabled, pytest.param(nullcontext, marks=pytest.mark.needs_native)],
                               ids=["reference", "native"])  # fmt: skip
either_form = pytest.mark.parametrize("square_root", [False, True], ids=["plain", "square root"])
lengths = st.lists(st.integers(0, 5), max_size=3)
systems = st.fixed_dictionaries({**cases, "lengths": lengths})
diffuse_systems = st.fixed_dictionaries({**cases, "lengths": st.just([7]), "diffuse": st.just(True)})


def named(F, H, Q, R, rows=1):
    """Return a system of one model, and a diffuse start for `rows` rows."""
    system = System(*(np.array(leaf, float)[None] for leaf in (F, H, Q, R)))
    n = system.F.shape[1]
    start = {"mean": np.zeros((rows, n)), "cov": np.zeros((rows, n, n)), "diffuse": np.tile(np.eye(n), (rows, 1, 1))}
    return {"system": system, **start}


LEVEL = ([[1]], [[1]], [[2.0]], [[3.0]])
TREND = ([[1, 1], [0, 1]], [[1, 0]], np.diag([0.5, 0.2]), [[1.0]])
SEASONAL = ([[1, 0, 0, 0], [0, -1, -1, -1], [0, 1, 0, 0], [0, 0, 1, 0]], [[1, 1, 0, 0]], np.diag([0.3, 0.1, 0, 0]),
            [[1.0]])  # fmt: skip
TWO = ([[1, 1], [0, 1]], [[1, 0], [0.5, 1]], np.diag([0.5, 0.2]), [[1, 0.3], [0.3, 2]])


# Comparison with independent references.


@both
@either_form
@settings(max_examples=25)
@given(case=systems)
def test_filter_equals_the_joint_gaussian(how, square_root, case):
    arguments = draw(**case)
    with how():
        filtered, after = kalman.filter(**arguments, square_root=square_root)
    step = 0
    for row, length in enumerate(arguments["lengths"]):
        one, before = part(arguments, row), 0.0
        for t in range(length):
            truth = Joint(one, known=t + 1)
            near(filtered.mean[step], truth.state(t))
            near(filtered.cov[step], truth.between(t, t))
            near(filtered.log_prob[step], truth.log_prob - before)
            before = truth.log_prob
            step += 1
        truth = Joint(one, known=length)
        near(after.mean[row], truth.state(length))
        near(after.cov[row], truth.between(length, length))


@both
@either_form
@settings(max_examples=25)
@given(case=systems)
def test_smoother_equals_the_joint_gaussian(how, square_root, case):
    arguments = draw(**case)
    with how():
        smoothed = kalman.smooth(**arguments, square_root=square_root)
        near(kalman.log_likelihood(**arguments, square_root=square_root), smoothed.log_prob)
    step = 0
    for row, length in enumerate(arguments["lengths"]):
        truth = Joint(part(arguments, row), known=length)
        near(smoothed.log_prob[row], truth.log_prob)
        for t in range(length):
            near(smoothed.mean[step], truth.state(t))
            near(smoothed.cov[step], truth.between(t, t))
            near(smoothed.lag[step], truth.between(t + 1, t) * (t + 1 < length))
            step += 1


@both
@either_form
@settings(max_examples=10)
@given(case=diffuse_systems)
def test_a_diffuse_start_equals_generalised_least_squares(how, square_root, case):
    arguments = draw(**case)
    one = part(arguments, 0)
    for known in range(1, 8):
        if not Joint(one, known).determined:
            continue
        truth, some = Joint(one, known), part(arguments, 0, slice(known))
        size = np.abs(truth.cov).max()  # poorly determined numbers have fewer digits
        with how():
            filtered, _ = kalman.filter(**some, square_root=square_root)
            smoothed = kalman.smooth(**some, square_root=square_root)
        assert not filtered.diffuse[-1].any()
        near(filtered.mean[-1] / size, truth.state(known - 1) / size)
        near(filtered.cov[-1] / size, truth.between(known - 1, known - 1) / size)
        near(filtered.log_prob.sum(), truth.log_prob)
        near(smoothed.log_prob, truth.log_prob)
        for t in range(known):
            near(smoothed.mean[t] / size, truth.state(t) / size)
            near(smoothed.cov[t] / size, truth.between(t, t) / size)
            near(smoothed.lag[t] / size, truth.between(t + 1, t) * (t + 1 < known) / size)


@both
@either_form
@pytest.mark.parametrize("matrices", [LEVEL, TREND, SEASONAL, TWO], ids=["level", "trend", "seasonal", "two outputs"])
@pytest.mark.filterwarnings("ignore::UserWarning")  # about disturbances, which are not used
def test_diffuse_starts_equal_statsmodels(how, square_root, matrices):
    from statsmodels.tsa.statespace.initialization import Initialization
    from statsmodels.tsa.statespace.kalman_smoother import KalmanSmoother

    arguments = named(*matrices)
    system, (m, n) = arguments["system"], np.shape(matrices[1])
    x = np.random.default_rng(0).normal(size=(30, m)).cumsum(0)
    x[[1, 10, 11, 12]] = np.nan
    peer = KalmanSmoother(k_endog=m, k_states=n, k_posdef=n)
    peer.bind(x.copy())
    for name, leaf in zip(("transition", "design", "state_cov", "obs_cov"), system, strict=True):
        peer[name] = leaf[0]
    peer["selection"] = np.eye(n)
    peer.initialize(Initialization.from_components(n, a=np.zeros(n), Pstar=np.zeros((n, n)), Pinf=np.eye(n)))
    peer.filter_univariate = True
    wanted = peer.smooth()
    with how():
        filtered, after = kalman.filter(x=x, lengths=[30], **arguments, square_root=square_root)
        smoothed = kalman.smooth(x=x, lengths=[30], **arguments, square_root=square_root)
    near(filtered.mean, wanted.filtered_state.T, 1e-11)
    near(filtered.cov, wanted.filtered_state_cov.transpose(2, 0, 1), 1e-11)
    near(after.mean[0], wanted.predicted_state[:, -1], 1e-11)
    near(after.cov[0], wanted.predicted_state_cov[:, :, -1], 1e-11)
    near(smoothed.mean, wanted.smoothed_state.T, 1e-11)
    near(smoothed.cov, wanted.smoothed_state_cov.transpose(2, 0, 1), 1e-11)
    start = wanted.nobs_diffuse
    near(filtered.log_prob[start:], wanted.llf_obs[start:], 1e-11)
    # statsmodels adds log(2 pi) for coordinates absorbed by the diffuse part; Durbin and Koopman (2012, 7.2.2) do not.
    near(filtered.log_prob.sum(), wanted.llf_obs.sum() + 0.5 * np.log(2 * np.pi) * n, 1e-11)


def exact(system, x, mean, cov):
    """Return filtered means and covariances, and log-densities, in rational arithmetic."""
    rational = np.vectorize(Fraction, otypes=[object])
    F, H, Q, R = (rational(leaf[0]) for leaf in system)
    mean, cov, found = rational(mean[0]), rational(cov[0]), []
    for value in x:
        log_prob = 0.0
        for h, noise, number in zip(H, np.diag(R), rational(value), strict=True):
            gain, variance, error = cov @ h, h @ cov @ h + noise, number - h @ mean
            mean, cov = mean + gain * error / variance, cov - np.outer(gain, gain) / variance
            log_prob -= 0.5 * (np.log(2 * np.pi) + np.log(float(variance)) + float(error * error / variance))
        found.append((mean.astype(float), cov.astype(float), log_prob))
        mean, cov = F @ mean, F @ cov @ F.T + Q
    return found


def close_outputs(apart, noise):
    """Return two almost equal outputs with a precise sensor (Grewal and Andrews 2015, example 7.2)."""
    system = System(np.eye(3)[None], np.array([[[1, 1, 1], [1, 1, 1 + apart]]]), np.zeros((1, 3, 3)),
                    noise * np.eye(2)[None])  # fmt: skip
    x = np.array([0.5, -1, 2]) @ system.H[0].T + np.sqrt(noise) * np.random.default_rng(0).normal(size=(3, 2))
    return {"system": system, "x": x, "lengths": [3], "mean": np.zeros((1, 3)), "cov": np.eye(3)[None],
            "diffuse": np.zeros((1, 3, 3))}  # fmt: skip


@both
@either_form
@pytest.mark.parametrize("apart", [2.0**-12, 2.0**-20, 2.0**-27, 2.0**-30])
def test_square_roots_keep_digits_that_a_covariance_loses(how, square_root, apart):
    arguments = close_outputs(apart, apart**2)
    with how():
        filtered, _ = kalman.filter(**arguments, square_root=square_root)
    wanted = exact(*(arguments[name] for name in ("system", "x", "mean", "cov")))
    share = 3e-15 / apart if square_root or apart < 1e-5 else 1e-8
    for t, (mean, cov, log_prob) in enumerate(wanted):
        near(filtered.cov[t], cov, share)
        near(filtered.mean[t], mean, share)
        near(filtered.log_prob[t], log_prob, share)
        assert np.linalg.eigvalsh(filtered.cov[t])[0] > -1e-15


def test_a_covariance_that_lost_its_digits_raises_an_error():
    arguments = close_outputs(2.0**-27, 2.0**-54)
    cov, (first, second) = Plain(arguments["cov"][0]), arguments["system"].H[0]
    cov.update(first, 2.0**-54, None)
    with pytest.raises(PrecisionError):
        cov.update(second, 2.0**-54, None)
    with pytest.raises(PrecisionError):
        Plain(np.array([[1.0, 2.0], [2.0, 1.0]])).check()


# The laws of the contract.


@both
@either_form
@settings(max_examples=20)
@given(case=systems, diffuse=st.booleans())
def test_a_scan_equals_repeated_steps(how, square_root, case, diffuse):
    arguments = draw(**case, diffuse=diffuse)
    share = 1e-7 if diffuse else 1e-9  # a step factors the covariance that a scan keeps as a root
    with how():
        whole = kalman.filter(**arguments, square_root=square_root)
        for row, length in enumerate(arguments["lengths"]):
            begin = sum(arguments["lengths"][:row])
            state = Prediction(*(arguments[name][row : row + 1] for name in Prediction._fields))
            for t in range(length):
                one = part(arguments, row, slice(t, t + 1)) | state._asdict()
                filtered, state = kalman.filter(**one, square_root=square_root)
                for got, wanted in zip(filtered, whole[0], strict=True):
                    near(got[0], wanted[begin + t], share)
            for got, wanted in zip(state, whole[1], strict=True):
                near(got[0], wanted[row], share)


@both
@settings(max_examples=20)
@given(case=systems, diffuse=st.booleans())
def test_other_rows_of_the_batch_change_no_bit(how, case, diffuse):
    arguments = draw(**case, diffuse=diffuse)
    with how():
        filtered, after = kalman.filter(**arguments)
        for row, length in enumerate(arguments["lengths"]):
            begin = sum(arguments["lengths"][:row])
            alone, alone_after = kalman.filter(**part(arguments, row))
            assert_same(alone, [leaf[begin : begin + length] for leaf in filtered])
            assert_same(alone_after, [leaf[row : row + 1] for leaf in after])


@both
def test_a_row_without_steps_returns_its_state_to_the_bit(how):
    arguments = draw(0, [0, 2, 0], diffuse=True)
    arguments["cov"][0, 0, 1] += 0.1  # any state
    with how():
        _, after = kalman.filter(**arguments)
        assert kalman.log_likelihood(**arguments)[0] == 0
    for leaf, name in zip(after, Prediction._fields, strict=True):
        np.testing.assert_array_equal(leaf[[0, 2]], arguments[name][[0, 2]])


# Zero noise, and impossible inputs.


@both
@either_form
def test_without_noise_the_state_equals_the_observation(how, square_root):
    arguments = named([[1]], [[1]], [[2.0]], [[0.0]])
    x = np.array([[3.0], [5.0], [np.nan], [4.0]])
    with how():
        filtered, _ = kalman.filter(x=x, lengths=[4], **arguments, square_root=square_root)
        smoothed = kalman.smooth(x=x, lengths=[4], **arguments, square_root=square_root)
    near(filtered.mean.ravel(), [3, 5, 5, 4], 1e-14)
    near(filtered.cov.ravel(), [0, 0, 2, 0], 1e-14)
    near(smoothed.mean.ravel(), [3, 5, 4.5, 4], 1e-14)
    near(smoothed.cov.ravel(), [0, 0, 1, 0], 1e-14)
    normal = [-0.5 * np.log(2 * np.pi * variance) - 0.5 * error**2 / variance for error, variance in [(2, 2), (-1, 4)]]
    near(filtered.log_prob, [0, normal[0], 0, normal[1]], 1e-14)


@both
@either_form
def test_a_known_value_has_log_prob_zero_and_an_impossible_one_minus_infinity(how, square_root):
    arguments = named(np.eye(2), [[1, 1], [1, 1]], np.zeros((2, 2)), np.zeros((2, 2)))
    arguments |= {"cov": np.array([[[0.7, 0.2], [0.2, 1.9]]]), "diffuse": np.zeros((1, 2, 2))}
    with how():
        filtered, _ = kalman.filter(x=np.full((3, 2), 1.3), lengths=[3], **arguments, square_root=square_root)
        near(filtered.log_prob, [-0.5 * np.log(2 * np.pi * 3) - 0.5 * 1.3**2 / 3, 0, 0], 1e-12)
        x = np.array([[1.3, 1.4]])
        assert kalman.log_likelihood(x=x, lengths=[1], **arguments, square_root=square_root) == -np.inf


@both
def test_a_singular_covariance_whose_first_coordinates_hardly_differ(how):
    arguments = named(np.eye(3), [[1, 0, 0]], np.zeros((3, 3)), [[1.0]])
    root = np.array([[1, 0], [1, 1e-7], [0, 1]])  # a pivot of 1e-14 would make the last one -0.01
    arguments["system"].Q[0] = root @ root.T
    arguments |= {"cov": arguments["system"].Q * 3, "diffuse": np.zeros((1, 3, 3))}
    x = np.array([[1.0], [3.0], [2.0]])
    with how():
        plain = kalman.smooth(x=x, lengths=[3], **arguments)
        roots = kalman.smooth(x=x, lengths=[3], **arguments, square_root=True)
    for got, wanted in zip(plain, roots, strict=True):
        near(got, wanted)


@both
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"R": -1.0}, "kalman.filter: R is not positive semidefinite, in row 1 at step 2."),
        ({"Q": -1.0, "square_root": True}, "Q is not positive semidefinite, in row 1 at step 2."),
        ({"cov": -1.0, "square_root": True}, "the covariance of the start is not positive semidefinite, in row 1 at "
                                             "step 0."),
        ({"cov": -1.0}, "the covariance of the start is not positive semidefinite, in row 1 at step 0."),
        ({"diffuse": -1.0}, "the diffuse part of the start is not positive semidefinite, in row 1 at step 0."),
        ({"F": 1e200}, "numbers overflow, in row 1 at step 2."),
        ({"mean": np.nan}, "numbers overflow, in row 1 at step 0."),
    ],
)  # fmt: skip
def test_a_failure_with_square_roots_is_one_clear_line(how, change, message):
    arguments = draw(1, [2, 4], n=2, m=2, per_step=True, missing=0)
    for name, value in change.items():
        if name in System._fields:
            getattr(arguments["system"], name)[4] = value * np.eye(2)
        elif name != "square_root":
            arguments[name][1] = value * np.eye(2) if name != "mean" else value
    with how(), pytest.raises(ValueError, match=message):
        kalman.filter(**arguments, square_root=change.get("square_root", False))


@both
@either_form
@pytest.mark.parametrize(("x", "step"), [([[np.nan]] * 3, 2), ([[np.nan], [1.0], [np.nan]], 2), ([[2.0]], 0)])
def test_a_state_that_inputs_do_not_determine_is_one_clear_line(how, square_root, x, step):
    message = f"kalman.smooth: the inputs are too few for the diffuse start, in row 0 at step {step}."
    with how(), pytest.raises(ValueError, match=message):
        kalman.smooth(x=np.array(x), lengths=[len(x)], **named(*TREND), square_root=square_root)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"x": np.zeros((3, 2), np.int64)}, TypeError, "expected x of float64, got int64; convert it with .astype"),
        ({"mean": [[0.0, 0, 0]]}, TypeError, "expected mean of float64, got list"),
        ({"x": np.zeros(3)}, ValueError, r"expected x of shape \[N, m\], got \[3\]"),
        ({"lengths": [4]}, ValueError, "expected lengths that sum to 3 steps, got 4"),
        ({"mean": np.zeros((2, 3))}, ValueError, r"expected mean of shape \[B=1, n=3\], got \[2, 3\]"),
        ({"cov": np.zeros((1, 2, 2))}, ValueError, r"expected cov of shape \[B=1, n=3, n=3\], got \[1, 2, 2\]"),
        ({"Q": np.zeros((2, 3, 3))}, ValueError, r"expected Q of shape \[M=1, n=3, n=3\], got \[2, 3, 3\]"),
        ({"H": np.zeros((1, 3, 3))}, ValueError, r"expected H of shape \[M=1, m=2, n=3\], got \[1, 3, 3\]"),
        ({"per_step": True}, ValueError, r"expected F of shape \[N=3, n=3, n=3\], got \[1, 3, 3\]"),
        ({"state_offset": np.zeros((3, 2))}, ValueError, r"expected state_offset of shape \[N=3, n=3\]"),
        ({"model": [1]}, ValueError, "expected model from 0 to 0, one of the system's, got 1 to 1"),
        ({"model": [0.0]}, TypeError, "expected model of integers, got float64"),
        ({"mean": np.zeros((1, 0))}, ValueError, "expected a mean of at least one state"),
    ],
)
def test_a_wrong_argument_is_one_clear_line(change, error, message):
    arguments = draw(0, [3], offsets=False, diffuse=False)
    arguments["system"] = arguments["system"]._replace(**{k: v for k, v in change.items() if k in System._fields})
    arguments |= {k: v for k, v in change.items() if k not in System._fields}
    with pytest.raises(error, match=f"kalman.filter: {message}|Sequences: {message}"):
        kalman.filter(**arguments)


@both
@pytest.mark.parametrize("rows", [[], [0], [0, 0]], ids=str)
def test_batches_without_steps(how, rows):
    arguments = draw(0, rows)
    with how():
        filtered, after = kalman.filter(**arguments)
        smoothed = kalman.smooth(**arguments)
    assert filtered.mean.shape == (0, 3)
    assert after.cov.shape == (len(rows), 3, 3)
    assert smoothed.log_prob.tolist() == [0.0] * len(rows)
