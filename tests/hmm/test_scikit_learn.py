"""Models work with scikit-learn's tools, pickle and copy."""

import copy
import pickle
import subprocess
import sys

import hmmlearn.hmm as peer
import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold

from elman import hmm

from .problems import clouds, quietly

MODELS = ["GaussianHMM", "CategoricalHMM", "GMMHMM", "PoissonHMM", "MultinomialHMM"]


@pytest.mark.parametrize("name", MODELS)
def test_settings_and_repr_equal_hmmlearns(name):
    for settings in ({}, {"n_components": 3, "n_iter": 7}, {"transmat_prior": 2.0, "random_state": 4}):
        theirs, ours = quietly(getattr(peer, name), **settings), getattr(hmm, name)(**settings)
        assert ours.get_params() == theirs.get_params() == ours.get_params(deep=False)
        assert repr(ours) == repr(theirs)


def test_settings_are_stored_unchanged():
    prior = np.ones((2, 2))
    model = hmm.GaussianHMM(2, transmat_prior=prior, random_state=np.random.RandomState(0))
    assert model.transmat_prior is prior
    assert "transmat_prior=array" in repr(model)
    model.fit(clouds(0))
    assert model.transmat_prior is prior


@pytest.mark.parametrize("name", MODELS)
def test_clone_copies_settings_but_not_fitted_attributes(name):
    model = getattr(hmm, name)(2, n_iter=3, random_state=1)
    X = np.array([[0, 3], [1, 2], [3, 0], [2, 1]] * 5)
    model.fit(X[:, :1] if name == "CategoricalHMM" else X)
    other = clone(model)
    assert type(other) is type(model)
    assert repr(other) == repr(model)
    assert not hasattr(other, "startprob_")


@pytest.mark.parametrize("kind", ["diag", "full"])
@pytest.mark.parametrize("copied", [copy.deepcopy, copy.copy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_give_the_same_results(copied, kind):
    X = clouds(0)
    model = hmm.GaussianHMM(3, kind, n_iter=2, random_state=0).fit(X)
    other = copied(model)
    assert other.score(X) == model.score(X)
    assert np.array_equal(other.sample(5)[0], model.sample(5)[0])
    assert other.monitor_.history == model.monitor_.history
    assert len(pickle.dumps(model)) < 10_000  # the observations are not kept


def test_a_grid_search_equals_hmmlearns():
    scores = []
    for module in (peer, hmm):
        search = GridSearchCV(module.GaussianHMM(n_iter=2, random_state=0), {"n_components": [1, 2]}, cv=KFold(2))
        scores.append(search.fit(clouds(0)).cv_results_["mean_test_score"])
    assert_allclose(*scores)


def test_scikit_learn_is_not_needed():
    code = """if True:
        import sys
        from elman import hmm
        model = hmm.GaussianHMM(2, random_state=0).fit([[0.0], [1.0], [9.0], [8.0]])
        print(model, {"sklearn", "hmmlearn", "torch"} & set(sys.modules))"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "GaussianHMM(n_components=2, random_state=0) set()\n"
