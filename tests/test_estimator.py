"""Estimators, plain classes and dataclasses, with scikit-learn's tools."""

import inspect
from abc import ABC
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from elman.estimator import Estimator

LABELS = ["a", "b", "c", "b"] * 6
ROWS = [np.full((length, 2), ord(label)) for length, label in enumerate(LABELS, 1)]  # ragged


class Plain(Estimator):
    def __init__(self, size: int = 2, prior: object = 1.0):
        self.size, self.prior = size, prior


@dataclass(kw_only=True)
class Settings:
    """Dataclass that is not an estimator, with a generated __repr__."""

    epochs: int = 3

    def __post_init__(self):
        assert self.epochs > 0


class Base(Settings, Estimator, ABC):
    pass


@dataclass(kw_only=True)
class Nearest(Base):
    """Classifier by the first value of a row; with odd epochs also by its length, which rarely matches."""

    estimator_type: ClassVar[str | None] = "classifier"
    weights: dict | None = None

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.known_ = {self.key(row): label for row, label in zip(X, y, strict=True)}
        return self

    def predict(self, X):
        return np.array([self.known_.get(self.key(row), self.classes_[0]) for row in X])

    def predict_proba(self, X):
        return (self.predict(X)[:, None] == self.classes_) * 0.8 + 0.2 / len(self.classes_)

    def score(self, X, y):
        return float(np.mean(self.predict(X) == np.asarray(y)))

    def key(self, row):
        return row[0, 0], self.epochs % 2 * len(row)


@dataclass(kw_only=True)
class Tags(Base):
    """Tagger with one tag per word."""

    def fit(self, X, y):
        self.tags_ = sorted({tag for row in y for tag in row})
        return self

    def score(self, X, y):
        return float(np.mean([tag == self.tags_[0] for row in y for tag in row]))


@pytest.mark.parametrize("kind", [Plain, Nearest, Tags])
def test_an_unknown_setting_of_the_constructor(kind):
    name = next(iter(kind().get_params()))
    for typed in (f"{name}s", name[:-1], name.upper()):
        with pytest.raises(TypeError, match=rf"^{kind.__name__}: {typed}: unknown; did you mean {name}\?$"):
            kind(**{typed: 1})
    assert list(inspect.signature(kind).parameters) == list(inspect.signature(kind.__init__).parameters)[1:]
    assert kind(**{name: 7}).get_params()[name] == 7


@pytest.mark.parametrize("kind", [Plain, Nearest])
def test_set_params(kind):
    model = kind()
    name, other = list(model.get_params())[:2]
    assert model.set_params(**{name: 7}) is model
    assert model.get_params() == model.get_params(deep=False) == {**kind().get_params(), name: 7}
    with pytest.raises(ValueError, match=rf"{kind.__name__}.set_params: {name}s: unknown; did you mean {name}\?"):
        model.set_params(**{other: 8, f"{name}s": 2})
    assert getattr(model, other) == getattr(kind(), other)  # nothing is changed then


def test_repr_shows_settings_that_differ_from_the_default():
    assert repr(Plain()) == "Plain()"
    assert repr(Plain(prior=np.ones(2))) == "Plain(prior=array([1., 1.]))"
    assert repr(Nearest()) == "Nearest()"
    assert repr(Nearest(weights={"a": 2}, epochs=4)) == "Nearest(epochs=4, weights={'a': 2})"


def test_a_custom_repr_is_inherited():
    class Own(Plain):
        def __repr__(self):
            return "mine"

    @dataclass
    class Below(Own):
        pass

    assert repr(Below()) == "mine"


def test_clone_copies_settings_but_no_fitted_attributes():
    model = Nearest(epochs=5, weights={"a": 1.0}).fit(ROWS, LABELS)
    other = clone(model)
    assert repr(other) == repr(model)
    assert not hasattr(other, "classes_")
    check_is_fitted(model)


def test_tags():
    assert is_classifier(Nearest())
    assert get_tags(Nearest()).classifier_tags.multi_class
    assert get_tags(Nearest()).target_tags.required
    assert not is_classifier(Plain())
    assert get_tags(Plain()).classifier_tags is None
    assert not get_tags(Plain()).target_tags.required


@pytest.mark.parametrize("scoring", [None, "accuracy", "balanced_accuracy", "f1_macro"])
def test_cross_validation_of_ragged_rows(scoring):
    assert cross_val_score(Nearest(epochs=2), ROWS, LABELS, cv=3, scoring=scoring).tolist() == [1, 1, 1]
    assert cross_val_score(Nearest(epochs=3), ROWS, LABELS, cv=3, scoring=scoring).max() < 1


def test_a_classifier_has_stratified_folds():
    seen = []

    class Watching(Nearest):
        def fit(self, X, y):
            seen.append(sorted(y))
            return super().fit(X, y)

    cross_val_score(Watching(), ROWS, sorted(LABELS), cv=3)
    assert seen == [sorted(["a", "b", "c", "b"] * 4)] * 3


def test_probabilities_are_cross_validated():
    probs = cross_val_predict(Nearest(epochs=2), ROWS, LABELS, cv=3, method="predict_proba")
    assert np.array(["a", "b", "c"])[probs.argmax(1)].tolist() == LABELS
    scores = cross_val_score(Nearest(epochs=2), ROWS, LABELS, cv=3, scoring="neg_log_loss")
    assert scores == pytest.approx(np.log(0.8 + 0.2 / 3))


def test_a_grid_search_through_a_pipeline():
    pipeline = make_pipeline(FunctionTransformer(lambda rows: [row + 1 for row in rows]), Nearest())
    search = GridSearchCV(pipeline, {"nearest__epochs": [1, 2, 3]}, cv=2).fit(ROWS, LABELS)
    assert is_classifier(search)
    assert search.best_params_ == {"nearest__epochs": 2}
    assert search.predict_proba(ROWS).shape == (24, 3)
    assert "Nearest(epochs=2)" in repr(search.best_estimator_)


def test_cross_validation_of_rows_of_tags():
    X, y = [["a", "dog"], ["runs"], ["a", "b", "c"]], [["D", "N"], ["V"], ["D", "D", "N"]]
    assert cross_val_score(Tags(), X, y, cv=3).tolist() == [0.5, 0, pytest.approx(2 / 3)]
