"""Tasks with scikit-learn: estimator checks, grid search, pipelines, cross-validation and clones."""

import pickle
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator
from sklearn.utils.validation import check_is_fitted

from elman import CellSettings, Classifier, LanguageModel, Tagger

PAGE = Path(__file__).parents[2] / "docs" / "classifier.md"
QUICK = {"hidden_size": 8, "epochs": 5, "learning_rate": 3e-2, "bidirectional": False, "dropout": 0.0,
         "input_dropout": 0.0, "validation": 0}  # fmt: skip
WIDTHS = "a row of numbers is a series, and a model reads series of any length"
EXPECTED_FAILURES = {
    "check_n_features_in": WIDTHS,
    "check_n_features_in_after_fitting": WIDTHS,
    "check_classifiers_train": WIDTHS,
    "check_class_weight_classifiers": "`class_weight` is None or `balanced`; `config.toml` has no table of labels",
}


def checks():
    """Yield the checks of scikit-learn; a check that is expected to fail must fail."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".* does not inherit from `sklearn.base.BaseEstimator`")
        every = list(estimator_checks_generator(Classifier(**QUICK)))
    for estimator, check in every:
        name, options = check.func.__name__, check.keywords
        reason = EXPECTED_FAILURES.get(name)
        marks = [pytest.mark.xfail(raises=(AssertionError, ValueError), reason=reason, strict=True)] if reason else []
        if options and name == "check_classifiers_train":  # memory maps; once with arrays is enough
            marks.append(pytest.mark.slow)
        yield pytest.param(estimator, check, marks=marks, id=" ".join([name, *map(str, options)]))


@pytest.mark.parametrize(("estimator", "check"), list(checks()))
def test_checks(estimator, check):
    check(estimator)


def test_the_page_lists_the_checks_that_fail():
    section = PAGE.read_text(encoding="utf-8").partition("## With scikit-learn")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(check_\w+)` \| (.*) \|$", section, re.MULTILINE)
    assert dict(rows) == EXPECTED_FAILURES


def blobs():
    """Return rows of four numbers, [B, 4]; the sign of their sum is the class."""
    X = np.random.default_rng(0).normal(size=(60, 4))
    return X, np.where(X.sum(1) > 0, "up", "down")


def test_the_failing_checks_apart_from_widths():
    X, y = blobs()
    model = Classifier(**QUICK).fit(X.tolist(), y.tolist())
    assert accuracy_score(y, model.predict(X)) > 0.83
    assert model.predict(X).shape == (60,)
    probabilities = model.predict_proba(X)
    assert np.array_equal(model.classes_[probabilities.argmax(1)], model.predict(X))
    np.testing.assert_allclose(probabilities.sum(1), 1)
    with pytest.raises(ValueError, match="expected a label for each of 60 rows"):
        model.fit(X, y[:-1])
    assert model.predict(X[:, :2]).shape == (60,)  # shorter series


def test_cross_validation():
    X, y = blobs()
    assert cross_val_score(Classifier(**QUICK), X, y, cv=3).mean() > 0.8
    assert is_classifier(Classifier())  # so that folds have equal shares of the classes
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    probabilities = cross_val_predict(Classifier(**QUICK), X, y, cv=folds, method="predict_proba")
    assert accuracy_score(y, np.array(["down", "up"])[probabilities.argmax(1)]) > 0.8
    for scoring in ("neg_log_loss", "roc_auc", "f1_macro"):
        assert np.isfinite(cross_val_score(Classifier(**QUICK), X, y, cv=2, scoring=scoring)).all()


def test_cross_validation_of_ragged_rows():
    X, y = blobs()
    ragged = [row[: 2 + number % 3] for number, row in enumerate(X)]
    labels = [("down", "up")[int(row.sum() > 0)] for row in ragged]
    assert cross_val_score(Classifier(**QUICK), ragged, labels, cv=2).mean() > 0.7
    assert len(y) == len(labels)


def test_a_grid_search():
    X, y = blobs()
    search = GridSearchCV(Classifier(**QUICK), {"hidden_size": [1, 8], "pooling": ["last", "mean"]}, cv=2).fit(X, y)
    assert search.best_params_.keys() == {"hidden_size", "pooling"}
    assert search.best_estimator_.net_.readout.weight.shape == (2, search.best_params_["hidden_size"])
    assert search.score(X, y) > 0.8


def without_tags(rows):
    return [re.sub("<[^>]*>", " ", row) for row in rows]


def test_a_pipeline_that_cleans_texts():
    rows = [f"<p class='{word}'>it is <b>{kind}</b></p>" for kind in ("good", "bad") for word in "abcdefgh"]
    labels = ["yes"] * 8 + ["no"] * 8
    pipeline = make_pipeline(FunctionTransformer(without_tags), Classifier(**QUICK | {"epochs": 20}, embedding_size=8))
    assert pipeline.fit(rows, labels).score(rows, labels) == 1
    assert sorted(pipeline[-1].inputs_.units.vocabulary) == ["bad", "good", "is", "it"]
    search = GridSearchCV(pipeline, {"classifier__hidden_size": [4, 8]}, cv=2).fit(rows, labels)
    assert search.predict(["<i>good</i>", "<i>bad</i>"]).tolist() == ["yes", "no"]


def test_a_pipeline_of_numbers():
    X, y = blobs()
    assert make_pipeline(StandardScaler(), Classifier(**QUICK)).fit(1000 * X, y).score(1000 * X, y) > 0.8


def test_cross_validation_of_a_tagger():
    rows = [["Ann", "met", "Bob"], ["Bob", "left"], ["Kim", "saw", "Ann", "go"], ["they", "met", "Kim"]] * 6
    tags = [["B-PER" if word.istitle() else "O" for word in row] for row in rows]
    model = Tagger(hidden_size=8, embedding_size=8, character_size=4, epochs=5, learning_rate=3e-2, validation=0)
    assert cross_val_score(model, rows, tags, cv=3).mean() > 0.9
    search = GridSearchCV(model, {"output": ["crf", "softmax"]}, cv=2).fit(rows, tags)
    assert search.predict([["Ann", "left"]]) == [["B-PER", "O"]]


def test_a_grid_search_over_options_of_the_cell():
    X, y = blobs()
    model = Classifier(**QUICK, cell=CellSettings("lstm", forget_bias=2.0))
    search = GridSearchCV(model, {"cell__zoneout_c": [0.0, 0.1]}, cv=2).fit(X, y)
    best = search.best_estimator_
    assert best.cell == CellSettings("lstm", forget_bias=2.0, zoneout_c=search.best_params_["cell__zoneout_c"])
    assert search.score(X, y) > 0.8
    search = GridSearchCV(Classifier(**QUICK), {"cell": ["gru"], "cell__reset": ["before", "after"]}, cv=2).fit(X, y)
    assert search.best_estimator_.cell == CellSettings("gru", reset=search.best_params_["cell__reset"])


def test_options_of_the_cell_are_settings():
    cell = CellSettings("lstm", zoneout_c=0.1)
    model = Tagger(cell=cell)
    assert model.cell is cell
    assert clone(model).cell == cell
    assert clone(Tagger(cell="gru")).cell == "gru"
    assert repr(model) == "Tagger(cell=CellSettings('lstm', zoneout_c=0.1))"
    assert model.get_params()["cell__zoneout_c"] == 0.1
    assert "cell__zoneout_c" not in model.get_params(deep=False)
    assert model.set_params(cell__zoneout_h=0.2).cell == CellSettings("lstm", zoneout_c=0.1, zoneout_h=0.2)
    assert cell == CellSettings("lstm", zoneout_c=0.1)  # a shared value is never changed
    assert Tagger().set_params(cell__zoneout_c=0.3).cell == CellSettings("lstm", zoneout_c=0.3)
    assert Tagger().cell == "lstm"
    assert model.set_params(cell__reset="before", cell="gru").cell == CellSettings("gru", reset="before")
    assert pickle.loads(pickle.dumps(model)).get_params() == model.get_params()
    with pytest.raises(ValueError, match=r"Tagger.set_params: scheme__x: unknown"):
        model.set_params(scheme__x=1, epochs=3)
    assert model.epochs == 15
    with pytest.raises(ValueError, match=r"cell\.reset: cell=lstm has no such option \(available for gru\)"):
        Tagger(cell=CellSettings("lstm", reset="before")).fit([["a", "b"]] * 4, [["X", "Y"]] * 4)


def test_a_fitted_model_with_options_of_the_cell_is_pickled():
    X, y = blobs()
    model = Classifier(**QUICK, cell=CellSettings("gru", reset="before")).fit(X, y)
    assert np.array_equal(pickle.loads(pickle.dumps(model)).predict_proba(X), model.predict_proba(X))


SETTINGS = {Classifier: "pooling", Tagger: "output", LanguageModel: "units"}


@pytest.mark.parametrize("kind", SETTINGS)
def test_settings(kind):
    name = SETTINGS[kind]
    model = kind(hidden_size=7, **{name: "other"})
    params = model.get_params()
    assert (params["hidden_size"], params[name], params["seed"]) == (7, "other", 0)
    assert repr(model) == f"{kind.__name__}(hidden_size=7, {name}='other')"
    assert model.set_params(hidden_size=9) is model
    copy = clone(model)
    assert copy is not model
    assert copy.get_params() == {**params, "hidden_size": 9}
    with pytest.raises(ValueError, match=rf"{kind.__name__}.set_params: hiden_size: unknown; did you mean hidden_size"):
        model.set_params(hiden_size=3)


@pytest.mark.parametrize("kind", SETTINGS)
def test_a_constructor_stores_settings_and_fit_checks_them(kind):
    rows = {Classifier: (["a", "b"], [0, 1]), Tagger: ([["a", "b"]], [["X", "Y"]]), LanguageModel: ("abc" * 99,)}[kind]
    for model in (kind(epochs=0), kind().set_params(epochs=0)):
        with pytest.raises(ValueError, match=f"{kind.__name__}: expected epochs of at least 1, got 0"):
            model.fit(*rows)


@pytest.mark.parametrize("kind", [Classifier, Tagger])
def test_a_model_that_is_not_fitted(kind):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        kind().predict([["a"]])
    with pytest.raises(NotFittedError):
        check_is_fitted(kind())


def test_a_clone_of_a_language_model_is_not_fitted():
    settings = {"hidden_size": 4, "embedding_size": 4, "epochs": 1, "steps": 10, "streams": 2, "ngram_order": 2}
    model = LanguageModel(**settings).fit("abcab" * 30)
    check_is_fitted(model)
    with pytest.raises(NotFittedError):
        check_is_fitted(clone(model))
    assert clone(model).fit("abcab" * 30).score("abc") == model.score("abc")


def test_tasks_do_not_import_scikit_learn():
    code = "import sys, elman.tasks; print([name for name in sys.modules if name.partition('.')[0] == 'sklearn'])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_a_classifier_needs_no_scikit_learn():
    """Fitting, errors and warnings work without it."""
    code = """if True:
        import sys, warnings
        sys.modules["sklearn"] = None
        from elman import Classifier
        model = Classifier(hidden_size=2, epochs=1, validation=0)
        try:
            model.predict([[1.0]])
        except ValueError as error:
            print(type(error).__name__)
        with warnings.catch_warnings(record=True) as caught:
            model.fit([[1.0], [2.0]], [[0], [1]])
        print(caught[0].category.__name__, model.predict([[1.0]]).shape)
    """
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "ValueError\nUserWarning (1,)\n"
