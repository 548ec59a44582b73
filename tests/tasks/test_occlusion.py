"""Importance of the parts of a row, by occlusion."""

import numpy as np
import pytest
import torch

from elman import Classifier
from elman.runtime import occlusion as module

STEPS, PLACE, VARIABLE = 30, slice(12, 18), 2


def draw(rows, seed):
    """Return series of noise, with a bump in one variable and one window in those of class `bump`."""
    generator = np.random.default_rng(seed)
    X, y = generator.normal(size=(rows, STEPS, 4)), np.where(generator.integers(0, 2, rows) == 1, "bump", "noise")
    X[y == "bump", PLACE, VARIABLE] += 3
    return X, y


@pytest.fixture(scope="module")
def series():
    return Classifier(hidden_size=12, epochs=10, learning_rate=2e-2, seed=1).fit(*draw(120, 0))


@pytest.fixture(scope="module")
def bump():
    X, y = draw(20, 1)
    return X[y == "bump"][0]


@pytest.fixture(scope="module")
def texts():
    rows = ["a good film", "a great film", "a bad film", "an awful film", "good fun", "awful fun"] * 8
    settings = {"hidden_size": 12, "epochs": 12, "learning_rate": 1e-2, "min_count": 1, "validation": 0}
    return Classifier(**settings).fit(rows, [1, 1, 0, 0, 1, 0] * 8)


def test_the_one_window_of_the_one_variable_that_decides_is_found(series, bump):
    found = series.occlusion(bump, window=6)
    assert found.label == "bump"
    assert found.edges.tolist() == [0, 6, 12, 18, 24, 30]
    assert np.unravel_index(found.importance.argmax(), found.importance.shape) == (2, VARIABLE)
    others = np.delete(found.importance.ravel(), 2 * 4 + VARIABLE)
    assert found.importance[2, VARIABLE] > 0.3 > 5 * np.abs(others).max()
    assert (found.by_time.argmax(), found.by_variable.argmax()) == (2, VARIABLE)


def test_the_figures_are_those_of_copies_that_are_predicted_one_by_one(series, bump, monkeypatch):
    found = series.occlusion(bump, window=7)
    whole = series.predict_proba([bump])[0]
    number = int(whole.argmax())
    assert found.probability == pytest.approx(whole[number], abs=1e-6)
    mean = np.concatenate(draw(120, 0)[0]).mean(0)  # of training, but for the held-out rows
    np.testing.assert_allclose(series.inputs_.mean, mean, atol=0.05)

    def fall(steps, variables):
        copy = bump.copy()
        copy[steps, variables] = series.inputs_.mean[variables]
        return whole[number] - series.predict_proba([copy])[0, number]

    windows = [slice(start, start + 7) for start in range(0, 30, 7)]
    every = slice(None)
    for got, wanted in (
        (found.importance, [[fall(window, variable) for variable in range(4)] for window in windows]),
        (found.by_time, [fall(window, every) for window in windows]),
        (found.by_variable, [fall(every, variable) for variable in range(4)]),
    ):
        np.testing.assert_allclose(got, wanted, atol=1e-6)
    monkeypatch.setattr(module, "NUMBERS", 300)  # a few copies at a time
    np.testing.assert_allclose(series.occlusion(bump, window=7).importance, found.importance, atol=1e-6)


def test_any_class_is_explained(series, bump):
    found, other = series.occlusion(bump), series.occlusion(bump, label="noise")
    assert len(found.by_time) == 15  # windows of two steps, a twentieth of 30 rounded up
    np.testing.assert_allclose(found.importance, -other.importance, atol=1e-6)
    assert found.probability + other.probability == pytest.approx(1)


def test_one_variable_missing_values_and_data_frames():
    generator = np.random.default_rng(0)
    rows = [generator.normal(size=20) for _ in range(12)]
    rows[0][3] = np.nan
    one = Classifier(hidden_size=4, epochs=1, validation=0).fit(rows, [0, 1] * 6)
    found = one.occlusion(rows[0], window=20)
    assert found.importance.shape == (1, 1)
    assert found.importance[0, 0] == found.by_time[0] == found.by_variable[0]
    assert np.isnan(found.series[3, 0])
    pandas = pytest.importorskip("pandas")
    frames = [pandas.DataFrame({"speed": row, "height": -row}) for row in rows]
    two = Classifier(hidden_size=4, epochs=1, validation=0).fit(frames, [0, 1] * 6)
    assert two.occlusion(frames[0]).names == ["speed", "height"]


def test_the_words_that_decide_a_text(texts):
    text = "It's a film: awful!"
    found = texts.occlusion(text)
    assert found.names == ["It's", "a", "film", ":", "awful", "!"]
    assert found.names[int(found.importance.argmax())] == "awful"
    without = texts.predict_proba([text, "It's a film:  !", ""])[:, 0]
    assert found.importance[4, 0] == pytest.approx(without[0] - without[1], abs=1e-6)
    assert found.by_variable[0] == pytest.approx(without[0] - without[2], abs=1e-6)


def test_a_text_of_characters_is_explained_by_its_words():
    model = Classifier(units="characters", hidden_size=4, epochs=1, validation=0).fit(["ab", "cd"] * 4, [0, 1] * 4)
    assert model.occlusion("ab cd").names == ["ab", "cd"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((0, 4)),), "a series with steps, got an empty one"),
        ((np.zeros((5, 3)),), r"expected steps of shape \[D\] = \[4\]"),
        ((np.zeros((5, 4)), "spike"), r"one of the classes \['bump', 'noise'\], got 'spike'"),
        ((np.zeros((5, 4)), None, 6), "a window of 1 to 5 steps, got 6"),
        ((np.zeros((5, 4)), None, 0), "a window of 1 to 5 steps, got 0"),
        ((np.zeros((5, 4)), None, 1.5), "a window of 1 to 5 steps, got 1.5"),
        ((np.zeros((5, 4)), None, "a"), "a window of 1 to 5 steps, got 'a'"),
        ((np.zeros((5, 4)), None, np.nan), "a window of 1 to 5 steps, got nan"),
        ((np.zeros((5, 4)), np.array(["bump", "noise"]), 2), "expected one of the classes"),
    ],
)
def test_models_and_rows_that_cannot_be_explained_are_refused(series, texts, arguments, message):
    row, label, window = (*arguments, None, None)[:3]
    with pytest.raises(ValueError, match=message):
        series.occlusion(row, label=label, window=window)


def test_kinds_without_windows_or_words_are_refused(texts):
    pictures = Classifier(hidden_size=2, epochs=1, inputs="pixels", validation=0)
    pictures.fit(np.zeros((4, 3, 3)), [0, 1] * 2)
    for model, row, message in (
        (texts, "", "a text with words, got ''"),
        (texts, 3, "a text with words, got 3"),
        (pictures, np.zeros((3, 3)), "a model of series or texts, got one of pixels"),
        (Classifier(), "a", "not fitted yet"),
    ):
        with pytest.raises(ValueError, match=message):
            model.occlusion(row)


def test_a_picture_has_panels_for_windows_and_variables(series, texts, bump):
    from elman import pictures

    figure = pictures.occlusion(series, bump, window=6)
    importance = series.occlusion(bump, window=6).importance
    [shown] = [mesh for axis in figure.axes for mesh in axis.collections if mesh.get_array() is not None][:1]
    np.testing.assert_allclose(np.asarray(shown.get_array()).reshape(4, 5), importance.T)
    assert figure._suptitle.get_text().startswith("class bump: probability")
    words = pictures.occlusion(texts, "a good film")
    assert [label.get_text() for label in words.axes[0].get_xticklabels()] == ["a", "good", "film"]
    long = pictures.occlusion(texts, "a good film " * 30)
    assert len(long.axes) == 3  # two lines of words, and the colours
    many = np.random.default_rng(0).normal(size=(8, 10, 70))
    wide = Classifier(hidden_size=2, epochs=1, validation=0).fit(many, [0, 1] * 4)
    constant = np.zeros((10, 70))
    assert pictures.occlusion(wide, constant, title="flat")._repr_png_().startswith(b"\x89PNG")
    assert torch.is_grad_enabled()
