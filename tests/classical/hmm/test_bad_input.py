"""Bad input of an HMM gives one line: where, expected, got, way out."""

import numpy as np
import pytest

from elman.classical.hmm import HMM, Categorical, Driven, Gaussian, GaussianMixture, Poisson
from elman.sequences import Sequences

from .examples import example, values

NAN, INF = np.nan, np.inf


def fails(match, call, *arguments, error=ValueError, **settings):
    with pytest.raises(error, match=match) as caught:
        call(*arguments, **settings)
    assert "\n" not in str(caught.value)


def test_rows_of_different_width():
    x = [np.zeros((4, 2)), np.zeros((3, 3))]
    fails(r"HMM.fit: expected rows of one width, got steps of shape \[2\] in row 0 and \[3\] in row 1",
          HMM(2, Gaussian()).fit, x)  # fmt: skip
    fails(r"expected observations of shape \[N, D=2\], got \[4, 3\]", example("diag").log_prob, [np.zeros((4, 3))])
    fails(r"HMM.fit: row 0: expected steps of D numbers, got a list of 5 numbers; a series",
          HMM(2, Gaussian()).fit, [[0.0] * 5])  # fmt: skip


def test_no_rows():
    fails("HMM.fit: expected at least one row, got none", HMM(2, Gaussian()).fit, [])
    fails("expected Sequences, a list of rows or a single array, got int", HMM(2, Gaussian()).fit, 5, error=TypeError)


@pytest.mark.parametrize(("emission", "shape"), [
    (Gaussian(), (6, 2)), (Gaussian("full"), (6, 2)), (Poisson(), (6, 2)), (Categorical(), (6,)),
    (GaussianMixture(2), (6, 1)),
])  # fmt: skip
def test_all_missing(emission, shape):
    fails("HMM.fit: expected observations, got none: all are missing", HMM(2, emission).fit, [np.full(shape, NAN)])
    fails(
        "HMM.fit: expected observations, got none: all are missing", HMM(2, emission).fit, [np.zeros((0, *shape[1:]))]
    )


def test_one_feature_all_missing():
    x = np.random.default_rng(0).standard_normal((9, 3))
    x[:, 1] = NAN
    for emission in (Gaussian(), GaussianMixture(1)):
        fails("expected observations of each feature, got none of feature 1", HMM(2, emission).fit, [x])


def test_a_row_without_observations_is_legal_and_has_no_effect():
    model = example("diag")
    assert model.log_prob([np.full((4, 2), NAN)]) == pytest.approx(0, abs=1e-12)
    x = np.random.default_rng(0).standard_normal((20, 2))
    alone = HMM(2, Gaussian(), max_iterations=5).fit([x])
    both = HMM(2, Gaussian(), max_iterations=5).fit([x, np.full((7, 2), NAN)])
    np.testing.assert_allclose(both.log_prob([x]), alone.log_prob([x]), atol=2)
    assert np.isfinite(both.history_).all()


def test_probabilities_that_do_not_add_up():
    emission = Poisson.from_parameters([[1.0], [2.0]])
    fails("HMM: expected start of probabilities that add up to 1, got a sum of 0.9",
          HMM.from_parameters, [0.5, 0.4], np.eye(2), emission)  # fmt: skip
    fails("HMM: expected transition of probabilities that add up to 1, got a sum of 1.1 in row 1",
          HMM.from_parameters, [0.5, 0.5], [[0.5, 0.5], [0.6, 0.5]], emission)  # fmt: skip
    fails("expected transition of probabilities, got -0.5", HMM.from_parameters, [0.5, 0.5], [[1.5, -0.5], [0.5, 0.5]],
          emission)  # fmt: skip
    fails("Categorical: expected probs of probabilities that add up to 1", Categorical.from_parameters, [[0.5, 0.6]])
    fails("GaussianMixture: expected weights of probabilities that add up to 1", GaussianMixture.from_parameters,
          [[0.5, 0.6]], np.zeros((1, 2, 1)), np.ones((1, 2, 1)))  # fmt: skip


def test_covariances_that_are_not_positive_definite():
    means, covs = np.zeros((2, 2)), np.array([np.eye(2), [[1.0, 2.0], [2.0, 1.0]]])
    fails("Gaussian: expected covs of positive definite matrices, got eigenvalue -1 in matrix 1",
          Gaussian.from_parameters, means, covs, "full")  # fmt: skip
    fails("Gaussian: expected covs of symmetric matrices, got another in matrix 1",
          Gaussian.from_parameters, means, np.array([np.eye(2), [[1.0, 0.5], [0.0, 1.0]]]), "full")  # fmt: skip
    fails("Gaussian: expected covs of variances above 0, got 0 in state 1",
          Gaussian.from_parameters, means, np.array([[1.0, 1.0], [1.0, 0.0]]))  # fmt: skip
    fails("cov_prior of positive definite", HMM(1, Gaussian("full", cov_prior=-np.eye(2), cov_weight=1.0)).fit,
          [np.random.default_rng(0).standard_normal((9, 2))])  # fmt: skip


def test_more_states_than_distinct_observations(caplog):
    x = [np.array([[1.0], [2.0], [1.0], [2.0], [1.0], [2.0]])]
    message = "HMM.fit: expected at least as many distinct observations as states .*, got 2 for 3; use fewer states"
    fails(message, HMM(3, Gaussian()).fit, x)
    fails(message.replace("3", "4"), HMM(2, GaussianMixture(2)).fit, x)
    fails(
        "expected at least as many observed steps as states .*, got 2 for 3",
        HMM(3, Poisson()).fit,
        [np.array([[1], [5]])],
    )
    model = HMM(3, Categorical(), max_iterations=20).fit(
        [np.array([0, 1, 0, 1, 1, 1, 0])]
    )  # legal: states can differ in their transitions
    assert "3 states for 2 distinct observations" in caplog.text
    assert np.isfinite(model.history_).all()


def test_an_observation_never_seen_in_training():
    model = HMM(2, Categorical(), max_iterations=5).fit([np.array([0, 1, 3, 1, 0, 3, 3, 1])])
    for verb in (model.log_prob, model.decode, model.filter, model.smooth):
        fails("symbol 2 in row 0, step 1 has probability zero in every state: it was never seen in training; fit with "
              "a prior above 1", verb, [np.array([0, 2])])  # fmt: skip
        fails(r"expected whole numbers from 0 to 3, got 4 in row 1, step 0; it was never seen in training",
              verb, [np.array([0]), np.array([4])])  # fmt: skip
    fails("HMM.step: symbol 2 in row 0, step 0", model.step, np.array([2]), model.initial_state(1))
    smoothed = HMM(2, Categorical(4, prior=1.1), max_iterations=5).fit([np.array([0, 1, 3, 1, 0, 3])])
    assert np.isfinite(smoothed.log_prob([np.array([0, 2])])).all()


def test_paths_that_do_not_exist():
    model = HMM.from_parameters(
        [1.0, 0.0], [[0.0, 1.0], [1.0, 0.0]], Categorical.from_parameters([[1.0, 0.0], [0.0, 1.0]])
    )
    good, bad = np.array([0, 1, 0]), np.array([0, 1, 1, 0])
    assert model.log_prob([good, bad]).tolist() == [0, -INF]
    for verb in (model.filter, model.scan):
        fails("the observation in row 1, step 2 is impossible", verb, Sequences.from_list([good, bad]))
    for verb in (model.decode, model.smooth):
        fails("row 1 is impossible: every path has", verb, [good, bad])
    fails("HMM.fit: row 1 is impossible", model.fit, [good, bad], refine=True)
    fails("HMM.step: the observation in row 0, step 0 is impossible", model.step, np.array([1]), np.array([[1.0, 0.0]]))


@pytest.mark.parametrize("value", [INF, -INF])
def test_infinities(value):
    x = np.zeros((5, 2))
    x[3, 1] = value
    rows = Sequences(x, [2, 3])
    message = "expected observations of finite numbers, or NaN where one is missing, got -?inf in row 1, step 1"
    fails(f"HMM.fit: {message}", HMM(1, Gaussian()).fit, rows)
    fails(f"HMM.log_prob: {message}", example("full").log_prob, rows)
    fails(f"HMM.log_prob: {message}", example("poisson").log_prob, rows)
    fails("whose squares are finite", HMM(1, Gaussian()).fit, [np.array([[1e200], [0.0]])])


def test_other_dtypes():
    fails("expected observations of numbers, got complex128", HMM(2, Gaussian()).fit, [np.zeros((3, 2), complex)],
          error=TypeError)  # fmt: skip
    fails("expected whole numbers of at least 0, got 0.5 in row 0, step 1", HMM(2, Poisson()).fit,
          [np.array([[1.0], [0.5]])])  # fmt: skip
    fails(
        "expected whole numbers of at least 0, got -1 in row 0, step 0", HMM(2, Poisson()).fit, [np.array([[-1], [2]])]
    )
    fails(
        "expected observations of numbers, got <U1",
        HMM(2, Categorical()).fit,
        [np.array(["a", "b"])],
        error=TypeError,
    )
    fails("got bool", HMM(2, Categorical()).fit, [np.array([True, False])], error=TypeError)


def test_driving_inputs():
    model, x = example("driven both"), values("driven both", 6)
    fails(
        r"expected values Driven\(x, u\) with u \[N, U=2\], got ndarray",
        model.log_prob,
        Sequences(x.x, [6]),
        error=TypeError,
    )
    fails(r"expected the driving input of shape \[N=6, U=2\], got \[6, 3\]", model.log_prob,
          Sequences(Driven(x.x, np.zeros((6, 3))), [6]))  # fmt: skip
    u = x.u.copy()
    u[4, 0] = NAN
    fails("expected the driving input of finite numbers, none missing, got nan in row 1, step 1", model.log_prob,
          Sequences(Driven(x.x, u), [3, 3]))  # fmt: skip
    fails("got a tuple", example("diag").log_prob, Sequences(x, [6]), error=TypeError)
    fails("which have no stationary distribution", model.stationary)
    fails("HMM.sample: expected the driving input", model.sample, [4])
    fails("expected no driving input, got one", example("diag").sample, [4], u=np.zeros((4, 2)))
    fails(
        "expected one driving input, got drive_size=1 for the transitions and 2",
        HMM,
        2,
        Gaussian(drive_size=2),
        drive_size=1,
    )
    fails("expected start to be free if transitions are driven", HMM, 2, Gaussian(), start="stationary", drive_size=1)


def test_settings():
    fails("HMM: expected num_states to be an int of at least 1, got 0", HMM, 0, Gaussian())
    fails("HMM: expected an emission, such as Gaussian", HMM, 2, "gaussian", error=TypeError)
    fails("HMM: expected start to be one of free, stationary, got 'fixed'", HMM, 2, Gaussian(), start="fixed")
    fails("HMM: expected priors of at least 1", HMM, 2, Gaussian(), transition_prior=0.5)
    fails(r"expected transition_prior of shape \[K=2, K=2\]", HMM, 2, Gaussian(), transition_prior=np.ones((3, 3)))
    fails("HMM: expected restarts to be an int of at least 1", HMM, 2, Gaussian(), restarts=0)
    fails("HMM: expected a tolerance of at least 0", HMM, 2, Gaussian(), tolerance=-1.0)
    fails("Gaussian: expected covariance to be one of diag, full, tied, spherical, got 'round'", Gaussian, "round")
    fails("Gaussian: expected a floor above 0", Gaussian, floor=0.0)
    fails("Categorical: expected a prior of at least 1", Categorical, prior=0.5)
    fails("Categorical: expected num_symbols of at least 1", Categorical, 0)
    fails("Poisson: expected a shape of at least 1", Poisson, shape=0.5)
    fails("Poisson: expected rates above 0", Poisson.from_parameters, [[0.0]])
    fails("GaussianMixture: expected num_components of at least 1", GaussianMixture, 0)
    fails("GaussianMixture: expected a weight_prior", GaussianMixture, 2, weight_prior=0.1)


def test_calls_with_wrong_arguments():
    fails("HMM.log_prob: expected a fitted model", HMM(2, Gaussian()).log_prob, [np.zeros((3, 1))])
    fails("HMM.initial_state: expected a fitted model", HMM(2, Gaussian()).initial_state, 1)
    fails("HMM: expected an emission with parameters", HMM.from_parameters, [1.0], [[1.0]], Gaussian())
    model = example("diag")
    fails("expected method viterbi, or posterior with k=1, got 'best'", model.decode, [np.zeros((3, 2))], method="best")
    fails("expected k of at least 1", model.decode, [np.zeros((3, 2))], k=0)
    fails(
        r"HMM.step: expected state of shape \[B=1, K=3\], got \[1, 2\]", model.step, np.zeros((1, 2)), np.ones((1, 2))
    )
    fails("expected a state of probabilities, got -1", model.step, np.zeros((1, 2)), np.array([[1.0, 1.0, -1.0]]))
    fails("expected lengths of at least 0, got -1", model.sample, [-1])


@pytest.mark.parametrize("scale", [1e-170, 1e-20, 1e20, 1e90])
@pytest.mark.parametrize("kind", ["diag", "full", "tied", "spherical"])
def test_scales_from_tiny_to_huge(scale, kind):
    x = scale * (np.random.default_rng(0).standard_normal((40, 2)) + np.array([0.0, 3.0]))
    model = HMM(2, Gaussian(kind), max_iterations=5).fit([x])
    assert np.isfinite(model.history_).all()


@pytest.mark.parametrize("kind", ["diag", "full", "tied", "spherical"])
def test_constant_data(kind):
    x = np.ones((20, 2))
    x[::2, 0] = 2.0  # one coordinate varies, the other does not
    model = HMM(2, Gaussian(kind), max_iterations=5).fit([x])
    assert np.isfinite(model.history_).all()
    assert (np.linalg.eigvalsh(model.emission_.covariances) > 0).all()
    one = HMM(1, Gaussian(kind), max_iterations=5).fit([np.full((9, 1), 7.0)])
    assert np.isfinite(one.log_prob([np.full((3, 1), 7.0)])).all()
