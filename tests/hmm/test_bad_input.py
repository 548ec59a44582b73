"""Bad input gives one clear line, and never a model of NaN."""

import numpy as np
import pytest

from elman import hmm

from .problems import clouds

X = np.array([[0.0, 1.0], [1.0, 0.0], [9.0, 8.0], [8.0, 9.0], [9.0, 9.0]])


def gaussian(**attributes):
    """Return a model of two states with good parameters, except the given ones."""
    model = hmm.GaussianHMM(2)
    good = {"startprob_": [0.5, 0.5], "transmat_": [[0.9, 0.1], [0.1, 0.9]], "means_": [[0.0, 0.0], [9.0, 9.0]],
            "covars_": [[1.0, 1.0], [1.0, 1.0]]}  # fmt: skip
    for name, value in (good | attributes).items():
        setattr(model, name, np.asarray(value))
    return model


def raises_line(line, kind=ValueError):
    """Expect an error whose whole message is this line."""
    return pytest.raises(kind, match=rf"^{line}$")


@pytest.mark.parametrize(("given", "line"), [
    ([[1.0, 2.0], [3.0]], "expected X of rows of one width, got 2 numbers in row 0 and 1 in row 1."),
    ([1.0, 2.0], r"expected X of shape \[N, D\], got \[2\]; X.reshape\(-1, 1\) makes a column of one series."),
    (np.zeros((2, 3, 4)), r"expected X of shape \[N, D\], got \[2, 3, 4\]; X.*"),
    (np.zeros((0, 2)), r"expected X of at least one row and one feature, got \[0, 2\]."),
    (np.zeros((2, 0)), r"expected X of at least one row and one feature, got \[2, 0\]."),
    ([[1.0, 2.0], [np.nan, 3.0]],
     r"expected X of finite numbers, got nan at \[1, 0\]; elman.HMM reads NaN as missing."),
    ([[1.0, 2.0], [3.0, -np.inf]], r"expected X of finite numbers, got -inf at \[1, 1\]; correct the data."),
])  # fmt: skip
@pytest.mark.parametrize("verb", ["fit", "score", "score_samples", "decode", "predict", "predict_proba", "aic", "bic"])
def test_invalid_observations(verb, given, line):
    with raises_line(f"GaussianHMM.{verb}: {line}"):
        getattr(gaussian(), verb)(given)


@pytest.mark.parametrize("given", [[["a", "b"]], np.zeros((2, 2), complex), [[None, 1.0]], [[object(), 1.0]]])
def test_observations_of_another_kind(given):
    with pytest.raises((TypeError, ValueError), match=r"^GaussianHMM.fit: expected X of (real|finite) numbers, got "):
        gaussian().fit(given)


def test_observations_of_another_width():
    with raises_line(r"GaussianHMM.fit: expected X of shape \[N, D=2\], got \[3, 1\]."):
        hmm.GaussianHMM(2).fit(X).fit(np.zeros((3, 1)))
    with raises_line(r"GaussianHMM: expected X of shape \[N, D=2\], got \[3, 1\]."):
        gaussian().score(np.zeros((3, 1)))


@pytest.mark.parametrize(("lengths", "line"), [
    ([2, 2], "expected lengths that sum to 5 steps, got 4."),
    ([], "expected lengths that sum to 5 steps, got 0."),
    ([6, -1], "expected lengths of at least 0, got -1."),
    ([2.5, 2.5], r"expected integer lengths of shape \[B\], got float64 \[2\]."),
    (5, r"expected integer lengths of shape \[B\], got int64 \[\]."),
    ([2**63 - 1, 2**63 - 1, 7], r"expected lengths that sum to less than 2\*\*62 steps, got 1.84e\+19."),
])  # fmt: skip
@pytest.mark.parametrize("verb", ["fit", "score", "decode", "predict"])
def test_invalid_lengths(verb, lengths, line):
    with raises_line(f"GaussianHMM.{verb}: {line}"):
        getattr(gaussian(), verb)(X, lengths)


@pytest.mark.parametrize(("name", "value", "line"), [
    ("startprob_", [0.5, 0.4], "expected startprob_ that must sum to 1, got a sum of 0.9; divide it by its sum."),
    ("startprob_", [1.0], r"expected startprob_ of shape \[2\], got \[1\]."),
    ("startprob_", [1.5, -0.5], "expected startprob_ of probabilities, got -0.5."),
    ("startprob_", [np.nan, 1.0], "expected startprob_ of finite numbers, got nan."),
    ("transmat_", [[0.5, 0.5], [0.5, 0.2]],
     "expected transmat_ that must sum to 1, got a sum of 0.7 in row 1; divide it by its sum."),
    ("transmat_", [0.5, 0.5], r"expected transmat_ of shape \[2, 2\], got \[2\]."),
    ("means_", [0.0, 1.0], r"expected means_ of 2 axes, got shape \[2\]; call fit, or set it."),
    ("means_", [[0.0, np.inf], [1.0, 1.0]], "expected means_ of finite numbers, got inf."),
    ("_covars_", np.ones((3, 2)), r"expected covars_ of shape \[2, 2\], got \[3, 2\]."),
])  # fmt: skip
def test_invalid_parameters(name, value, line):
    with raises_line(f"GaussianHMM: {line}"):
        gaussian(**{name: value}).score(X)


@pytest.mark.parametrize(("kind", "value", "line"), [
    ("diag", [[1.0, 0.0], [1.0, 1.0]], "expected diag variances above 0, got 0."),
    ("diag", [1.0, 1.0], r"expected diag covariances of shape \[K, D\], got \[2\]."),
    ("spherical", [1.0], r"expected spherical covariances of shape \[2\], got \[1\]."),
    ("spherical", [[1.0, 2.0], [1.0, 1.0]], r"expected spherical covariances of shape \[2\], got \[2, 2\]."),
    ("tied", [[1.0, 2.0], [2.0, 1.0]],
     "expected symmetric, positive definite matrices, got eigenvalue -1 in matrix 0."),
    ("full", [np.eye(2), [[1.0, 2.0], [2.0, 1.0]]],
     "expected symmetric, positive definite matrices, got eigenvalue -1 in matrix 1."),
    ("full", [np.eye(2), [[1.0, 0.5], [0.0, 1.0]]],
     "expected symmetric matrices of finite numbers; matrix 1 is not one."),
])  # fmt: skip
def test_invalid_covariances(kind, value, line):
    model = hmm.GaussianHMM(2, kind)
    with raises_line(f"covars_: {line}"):
        model.covars_ = value


def test_invalid_covariances_of_mixtures():
    model = hmm.GMMHMM(1, 1, covariance_type="full").fit(clouds(0))
    model.covars_ = np.array([[[[1.0, 2.0], [2.0, 1.0]]]])
    with raises_line("covars_: expected symmetric, positive definite matrices, got eigenvalue -1 in matrix 0."):
        model.score(X)
    model = hmm.GMMHMM(1, 1).fit(clouds(0))
    model.covars_ = -model.covars_
    with pytest.raises(ValueError, match="expected covars_ of variances of at least 0, got -"):
        model.score(X)


@pytest.mark.parametrize(("model", "line"), [
    (hmm.GaussianHMM(2, "fulll"),
     "GaussianHMM: expected covariance_type of diag, full, spherical, tied, got 'fulll'; did you mean full\\?"),
    (hmm.GMMHMM(2, covariance_type="sphere"),
     "GMMHMM: expected covariance_type of diag, full, spherical, tied, got 'sphere'; did you mean spherical\\?"),
    (hmm.GaussianHMM(2, implementation="scalling"),
     "GaussianHMM: expected implementation of log, scaling, got 'scalling'; did you mean scaling\\?"),
    (hmm.GaussianHMM(2, params="stmcw"), "GaussianHMM.fit: expected params of the letters stmc, got 'stmcw'."),
    (hmm.GaussianHMM(2, random_state="seed"), "random_state: expected None, an integer from 0 to .*, got 'seed'."),
    (hmm.GaussianHMM(0), "GaussianHMM.fit: expected n_components of at least 1, got 0."),
    (hmm.GaussianHMM("3"), "GaussianHMM.fit: expected n_components of at least 1, got '3'."),
    (hmm.GaussianHMM(6), "GaussianHMM.fit: expected at least as many observations as states, got 5 for 6."),
    (hmm.GMMHMM(6), "GMMHMM.fit: expected at least as many observations as states, got 5 for 6."),
    (hmm.GMMHMM(2, 2, means_prior=np.zeros(5)), "GMMHMM: expected priors that fit the parameters: .*"),
])  # fmt: skip
def test_invalid_settings(model, line):
    with raises_line(line):
        model.fit(X)


def test_an_unknown_decoder():
    with raises_line(r"GaussianHMM.decode: expected algorithm of map, viterbi, got 'viterbbi'; did you mean viterbi\?"):
        gaussian().decode(X, algorithm="viterbbi")


@pytest.mark.parametrize("name", ["GaussianHMM", "CategoricalHMM", "GMMHMM", "PoissonHMM", "MultinomialHMM"])
@pytest.mark.parametrize("verb", ["score", "score_samples", "decode", "predict", "predict_proba", "aic", "bic"])
def test_a_model_that_was_not_fitted(name, verb):
    line = f"{name}.{verb}: expected a fitted model, got one without parameters; call fit, or set them."
    for kind in (ValueError, AttributeError, hmm.NotFittedError):
        with raises_line(line, kind):
            getattr(getattr(hmm, name)(), verb)([[0]])
    with pytest.raises(hmm.NotFittedError):
        getattr(hmm, name)().sample()
    with pytest.raises(hmm.NotFittedError):
        getattr(hmm, name)().get_stationary_distribution()


def test_a_parameter_that_was_not_set():
    model = hmm.GaussianHMM(2)
    model.startprob_, model.transmat_, model.means_ = np.ones(2) / 2, np.ones((2, 2)) / 2, np.zeros((2, 2))
    with raises_line("GaussianHMM: expected covars_, got none; call fit, or set it."):
        model.score(X)


@pytest.mark.parametrize(("given", "line"), [
    ([[0.5], [1.0]], r"expected X of integers, got float64; convert whole numbers with .astype\(int\)."),
    ([[0], [-1]], "expected X of integers of at least 0, got -1."),
])  # fmt: skip
def test_invalid_symbols(given, line):
    with raises_line(f"CategoricalHMM.fit: {line}"):
        hmm.CategoricalHMM(2).fit(given)


def test_a_symbol_never_seen_in_training():
    model = hmm.CategoricalHMM(2, random_state=0).fit([[0], [1], [0], [1], [1]])
    with raises_line(
        "CategoricalHMM: expected symbols from 0 to 1, got 2; it was never seen in training, "
        "n_features makes room for it."
    ):
        model.score([[0], [2]])
    model = hmm.CategoricalHMM(2, n_features=3, random_state=0).fit([[0], [1], [0], [1], [1]])
    assert model.score([[0], [2]]) == -np.inf
    for verb in ("decode", "score_samples"):
        with raises_line(f"CategoricalHMM.{verb}: row 1 has probability zero under the model; a prior above 1 or other "
                  "parameters make it possible."):  # fmt: skip
            getattr(model, verb)([[0], [0], [2]], [1, 2])
    smoothed = hmm.CategoricalHMM(2, n_features=3, emissionprob_prior=1.1, random_state=0).fit([[0], [1], [0], [1]])
    assert np.isfinite(smoothed.score([[0], [2]]))


def test_a_row_that_is_impossible_is_not_fitted():
    model = hmm.CategoricalHMM(2, init_params="", n_features=2)
    model.startprob_, model.transmat_ = np.array([1.0, 0.0]), np.eye(2)
    model.emissionprob_ = np.eye(2)
    with raises_line("CategoricalHMM.fit: row 0 has probability zero under the model; .*"):
        model.fit([[0], [1]])
    assert np.array_equal(model.emissionprob_, np.eye(2))


@pytest.mark.parametrize(("given", "line"), [
    ([[0.5], [1.0]], r"expected X of counts, whole numbers of at least 0, got 0.5 at \[0, 0\]."),
    ([[0], [-1]], r"expected X of counts, whole numbers of at least 0, got -1 at \[1, 0\]."),
])  # fmt: skip
def test_invalid_counts(given, line):
    with raises_line(f"PoissonHMM.fit: {line}"):
        hmm.PoissonHMM(2).fit(given)


def test_invalid_trials():
    with raises_line(
        "MultinomialHMM.fit: expected counts that add up to n_trials=3 in every step, got sums from 3 to 4."
    ):
        hmm.MultinomialHMM(2, 3).fit([[1, 2], [2, 2]])
    model = hmm.MultinomialHMM(2, random_state=0).fit([[1, 2], [2, 2]])
    with raises_line("MultinomialHMM.sample: expected one n_trials for all steps, got 2."):
        model.sample()


@pytest.mark.parametrize("model", [
    *(hmm.GaussianHMM(3, kind, random_state=0, n_iter=5) for kind in ("diag", "full", "tied", "spherical")),
    *(hmm.GMMHMM(2, 2, covariance_type=kind, random_state=0, n_iter=5) for kind in ("diag", "full", "tied",
                                                                                    "spherical")),
    hmm.PoissonHMM(2, random_state=0),
])  # fmt: skip
@pytest.mark.parametrize("given", [np.zeros((8, 2)), np.full((8, 2), 7), np.repeat([[0, 0], [5, 5]], 4, axis=0)])
def test_constant_and_repeated_observations_make_no_nan(model, given):
    model.fit(given, [5, 3])
    for name in ("startprob_", "transmat_", "means_", "_covars_", "covars_", "weights_", "lambdas_"):
        assert np.isfinite(getattr(model, name, 0.0)).all(), name
    assert np.isfinite(model.score(given))
    assert np.isfinite(model.predict_proba(given)).all()


def test_one_observation():
    for model in (hmm.GaussianHMM(1), hmm.GaussianHMM(1, "full"), hmm.PoissonHMM(1), hmm.CategoricalHMM(1)):
        model.fit([[3]])
        assert np.isfinite(model.score([[3]]))
