"""elman.hmm against hmmlearn: equal settings, data and seed give equal models and results."""

import inspect

import hmmlearn.hmm as peer
import numpy as np
import pytest
from numpy.testing import assert_allclose

from elman import hmm

from .problems import CASES, LENGTHS, clouds, quietly

CLOSE = {"rtol": 1e-8, "atol": 1e-9}
MODELS = ["GaussianHMM", "CategoricalHMM", "GMMHMM", "PoissonHMM", "MultinomialHMM"]


def pair(case, seed=0, **settings):
    """Return hmmlearn's model, elman's model, and the data."""
    name, own, data, _ = CASES[case]
    settings = {"n_components": 3, "random_state": seed} | own | settings
    return quietly(getattr(peer, name), **settings), getattr(hmm, name)(**settings), data(seed)


def both_fitted(case, seed=0, **settings):
    theirs, ours, X = pair(case, seed, **settings)
    quietly(theirs.fit, X, LENGTHS)
    return theirs, ours.fit(X, LENGTHS), X


def check_same_parameters(theirs, ours, case):
    for name in ["startprob_", "transmat_", *CASES[case][3]]:
        expected, got = getattr(theirs, name), getattr(ours, name)
        if name == "_covars_" and ours.covariance_type == "spherical":
            expected = expected[:, 0]  # hmmlearn stores one column per feature
        assert_allclose(got, expected, **CLOSE, err_msg=name)


@pytest.mark.parametrize("name", MODELS)
def test_constructors_take_the_same_arguments_in_the_same_order(name):
    theirs = inspect.signature(getattr(peer, name)).parameters.values()
    ours = inspect.signature(getattr(hmm, name)).parameters.values()
    assert [(p.name, p.kind, p.default) for p in ours] == [(p.name, p.kind, p.default) for p in theirs]


@pytest.mark.parametrize("name", MODELS)
def test_every_public_name_is_there(name):
    model = quietly(getattr(peer, name))
    known = {n for n in dir(model) if not n.startswith("_")} - {"get_metadata_routing"}  # added by scikit-learn
    known -= {n for n in known if n.startswith("set_") and n.endswith("_request")}
    assert known <= set(dir(getattr(hmm, name)()))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("seed", [0, 1])
def test_fits_from_the_same_seed_are_the_same(case, seed):
    theirs, ours, _ = both_fitted(case, seed, n_iter=4)
    check_same_parameters(theirs, ours, case)
    assert_allclose(ours.monitor_.history, theirs.monitor_.history, rtol=1e-10)
    assert (ours.monitor_.iter, ours.monitor_.converged) == (theirs.monitor_.iter, theirs.monitor_.converged)
    assert ours.n_features == theirs.n_features


@pytest.mark.parametrize("case", [case for case in CASES if "priors" not in case])
def test_results_are_the_same(case):
    theirs, ours, X = both_fitted(case, n_iter=2)
    for lengths in (None, LENGTHS):
        assert ours.score(X, lengths) == pytest.approx(theirs.score(X, lengths), rel=1e-10)
        log_prob, probs = ours.score_samples(X, lengths)
        assert log_prob == pytest.approx(theirs.score(X, lengths), rel=1e-10)
        assert_allclose(probs, theirs.predict_proba(X, lengths), **CLOSE)
        assert ours.decode(X, lengths)[0] == pytest.approx(theirs.decode(X, lengths)[0], rel=1e-10)
        for got, expected in zip(ours.decode(X, lengths, "map"), theirs.decode(X, lengths, "map"), strict=True):
            assert_allclose(got, expected, **CLOSE)
        assert ours.aic(X, lengths) == pytest.approx(theirs.aic(X, lengths), rel=1e-10)
        assert ours.bic(X, lengths) == pytest.approx(theirs.bic(X, lengths), rel=1e-10)
    assert_allclose(ours.get_stationary_distribution(), theirs.get_stationary_distribution(), **CLOSE)
    if "gaussian" in case or "mixture" in case:  # with symbols and counts, different paths may have equal probability
        assert np.array_equal(ours.predict(X), theirs.predict(X))


@pytest.mark.parametrize("case", [case for case in CASES if "priors" not in case])
def test_samples_from_the_same_seed_are_the_same(case):
    theirs, ours, _ = both_fitted(case, n_iter=2)
    if case == "gaussian spherical":
        theirs._covars_ = theirs._covars_[:, 0]  # else hmmlearn uses another state's covariance
    theirs.random_state = 0  # some of hmmlearn's models replace it
    for options in ({}, {"random_state": 5}, {"currstate": 2}):
        X, states = ours.sample(30, **options)
        expected, expected_states = theirs.sample(30, **options)
        assert np.array_equal(states, expected_states)
        assert_allclose(X, expected, **CLOSE)
        assert X.shape == expected.shape
        assert X.dtype == expected.dtype
        assert states.dtype == expected_states.dtype


@pytest.mark.parametrize("params", ["", "s", "t", "st", "m", "mc", "stmc"])
def test_only_what_params_names_is_updated(params):
    theirs, ours, _ = both_fitted("gaussian diag", params=params, n_iter=2)
    check_same_parameters(theirs, ours, "gaussian diag")


@pytest.mark.parametrize("init_params", ["", "s", "m", "tc"])
def test_only_what_init_params_names_is_initialised(init_params):
    theirs, ours, X = pair("gaussian full", init_params=init_params, n_iter=1, params="t")
    for model in (theirs, ours):
        model.startprob_, model.transmat_ = np.full(3, 1 / 3), np.full((3, 3), 1 / 3)
        model.means_, model.covars_ = np.arange(6.0).reshape(3, 2), np.stack([np.eye(2)] * 3)
        quietly(model.fit, X)
    check_same_parameters(theirs, ours, "gaussian full")


def test_covariances_alone_are_fitted_about_the_present_means():
    X = clouds(0)
    model = hmm.GaussianHMM(1, params="c", covars_prior=0, random_state=0).fit(X)
    assert_allclose(model.covars_[0], np.diag(X.var(0)))


def test_a_one_state_gaussian_is_the_mean_and_the_variance():
    X = clouds(3)
    model = hmm.GaussianHMM(1, "full", covars_prior=0).fit(X)
    assert_allclose(model.means_[0], X.mean(0))
    assert_allclose(model.covars_[0], np.cov(X.T, bias=True))


def test_data_far_from_zero_keep_their_digits():
    X = clouds(0)
    near, far = (hmm.GaussianHMM(3, "full", n_iter=3, random_state=0).fit(X + shift) for shift in (0.0, 1e6))
    assert_allclose(far.covars_, near.covars_, rtol=1e-6)
    assert far.score(X + 1e6) == pytest.approx(near.score(X), rel=1e-6)


@pytest.mark.parametrize("case", [case for case in CASES if "gaussian" in case or "mixture" in case])
def test_integers_and_float32_count_as_reals(case):
    _, ours, X = both_fitted(case, n_iter=1)
    rounded = np.round(X)
    assert ours.score(rounded.astype(int)) == ours.score(rounded.astype(np.float32)) == ours.score(rounded)


@pytest.mark.parametrize("kind", ["spherical", "diag", "full", "tied"])
def test_covars_are_set_as_they_are_stored_and_read_as_matrices(kind):
    stored = {"spherical": [1.0, 2.0], "diag": [[1.0, 2.0], [3.0, 4.0]], "full": [np.eye(2), 2 * np.eye(2)],
              "tied": np.eye(2) + 0.5}[kind]  # fmt: skip
    model = hmm.GaussianHMM(2, kind)
    model.means_ = np.zeros((2, 2))
    model.covars_ = stored
    expected = {"spherical": [np.eye(2), 2 * np.eye(2)], "diag": [np.diag([1.0, 2]), np.diag([3.0, 4])],
                "full": stored, "tied": [stored, stored]}[kind]  # fmt: skip
    assert_allclose(model.covars_, expected)


@pytest.mark.parametrize("case", ["gaussian diag", "gaussian full", "gaussian tied", "gaussian spherical",
                                  "mixture diag", "mixture full", "mixture tied", "mixture spherical"])  # fmt: skip
def test_an_empty_state_keeps_its_parameters(case, caplog):
    _, ours, X = pair(case, n_iter=3)
    ours.n_iter = 0
    ours.fit(X)
    ours.set_params(n_iter=3, init_params="")
    ours.startprob_ = np.array([0.5, 0.5, 0.0])
    ours.transmat_ = np.array([[0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.2, 0.3, 0.5]])
    before = ours.means_[2].copy()
    ours.fit(X)
    assert_allclose(ours.transmat_[2], [0.2, 0.3, 0.5])
    assert_allclose(ours.means_[2], before)
    assert np.isfinite(ours.score(X))
    assert "no transition from their state was ever observed" in caplog.text


@pytest.mark.parametrize(("case", "name"), [("poisson", "lambdas_"), ("categorical", "emissionprob_"),
                                            ("multinomial", "emissionprob_")])  # fmt: skip
def test_an_empty_state_of_counts_keeps_its_parameters(case, name):
    _, ours, X = pair(case, n_iter=0)
    ours.fit(X)
    ours.set_params(n_iter=3, init_params="")
    ours.startprob_ = np.array([0.5, 0.5, 0.0])
    ours.transmat_ = np.array([[0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.2, 0.3, 0.5]])
    before = getattr(ours, name)[2].copy()
    ours.fit(X)
    assert_allclose(getattr(ours, name)[2], before)
    assert np.isfinite(ours.score(X))


def test_empty_rows_change_nothing():
    X = clouds(0)
    with_empty, without = (hmm.GaussianHMM(3, n_iter=2, random_state=0).fit(X, lengths)
                           for lengths in ([0, 50, 0, 70, 0], [50, 70]))  # fmt: skip
    assert np.array_equal(with_empty.means_, without.means_)
    assert with_empty.score(X, [120, 0]) == without.score(X)


def test_both_implementations_give_the_same_result():
    X = clouds(0)
    a, b = (hmm.GaussianHMM(3, n_iter=2, random_state=0, implementation=name).fit(X) for name in ("log", "scaling"))
    assert np.array_equal(a.transmat_, b.transmat_)


def test_an_outlier_that_underflows_scaled_arithmetic():
    X = np.concatenate([np.random.default_rng(0).normal(size=(100, 1)), [[1e5]]])
    theirs, ours = (module.GaussianHMM(2, init_params="", params="", n_iter=1) for module in (peer, hmm))
    for model in (theirs, ours):
        model.startprob_, model.transmat_ = np.array([1.0, 0.0]), np.array([[0.4, 0.6], [0.6, 0.4]])
        model.means_, model.covars_ = np.array([[0.0], [5.0]]), np.ones((2, 1))
        quietly(model.fit, X)
    assert ours.score(X) == pytest.approx(theirs.score(X), rel=1e-12)


def test_a_custom_monitor_decides_when_to_stop():
    class Once(hmm.ConvergenceMonitor):
        @property
        def converged(self):
            return self.iter == 1

    model = hmm.GaussianHMM(2, n_iter=50, random_state=0)
    model.monitor_ = Once(model.tol, model.n_iter, model.verbose)
    assert model.fit(clouds(0)).monitor_.iter == 1


def test_verbose_reports_as_hmmlearn_does(capsys):
    theirs, ours, X = pair("gaussian diag", verbose=True, n_iter=3)
    theirs.fit(X)
    expected = capsys.readouterr().err.splitlines()
    ours.fit(X)
    reported = capsys.readouterr().err.splitlines()
    assert len(reported) == len(expected) == 3
    assert [line.split()[0] for line in reported] == ["1", "2", "3"]
    assert_allclose([float(line.split()[1]) for line in reported], [float(line.split()[1]) for line in expected])


def test_a_generator_continues_and_none_is_the_global_one():
    X = clouds(0)
    first, second = np.random.RandomState(3), np.random.RandomState(3)
    theirs, ours = (
        module.GaussianHMM(3, n_iter=2, random_state=generator).fit(X)
        for module, generator in ((peer, first), (hmm, second))
    )
    assert_allclose(ours.means_, theirs.means_)
    assert first.rand() == second.rand()
    state = np.random.get_state()  # noqa: NPY002
    drawn = []
    for _ in range(2):
        np.random.set_state(state)  # noqa: NPY002
        drawn.append(hmm.GaussianHMM(3, n_iter=1).fit(X).means_)
    assert np.array_equal(*drawn)


def test_a_subclass_with_custom_emissions():
    class ExponentialHMM(hmm.BaseHMM):
        def _init(self, X, lengths=None):
            super()._init(X, lengths)
            self.rates_ = np.array([0.5, 2.0])

        def _compute_log_likelihood(self, X):
            return np.log(self.rates_) - X * self.rates_

        def _initialize_sufficient_statistics(self):
            return super()._initialize_sufficient_statistics() | {"post": np.zeros(2), "obs": np.zeros(2)}

        def _accumulate_sufficient_statistics(self, stats, X, lattice, posteriors, fwdlattice, bwdlattice):
            super()._accumulate_sufficient_statistics(stats, X, lattice, posteriors, fwdlattice, bwdlattice)
            stats["post"] += posteriors.sum(0)
            stats["obs"] += posteriors.T @ X[:, 0]

        def _do_mstep(self, stats):
            super()._do_mstep(stats)
            self.rates_ = stats["post"] / stats["obs"]

        def _generate_sample_from_state(self, state, random_state):
            return [random_state.exponential(1 / self.rates_[state])]

    rng = np.random.default_rng(0)
    path = np.repeat([0, 1, 0, 1], 100)
    X = rng.exponential(np.array([5.0, 0.1])[path])[:, None]
    model = ExponentialHMM(2, n_iter=20, random_state=0).fit(X, [150, 250])
    assert (np.diff(model.monitor_.history) > -1e-9).all()
    assert_allclose(np.sort(model.rates_), [0.2, 10], rtol=0.2)
    assert (model.predict(X) == (path if model.rates_[0] < model.rates_[1] else 1 - path)).mean() > 0.9
    assert model.sample(5)[0].shape == (5, 1)
    with pytest.raises(NotImplementedError, match=r"ExponentialHMM\.aic: override _get_n_fit_scalars_per_param"):
        model.aic(X)
