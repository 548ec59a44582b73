import itertools

import numpy as np
import pytest

from elman import Classifier
from elman import state as states

SETTINGS = {"hidden_size": 8, "epochs": 3, "learning_rate": 2e-2, "bidirectional": False}
POOLINGS = ["last", "mean", "max", "attention"]


def series(count=24):
    generator = np.random.default_rng(0)
    rows = [generator.normal(number % 2, 1, (generator.integers(1, 12), 2)) for number in range(count)]
    rows[5][0, 1] = np.nan
    return rows, [("low", "high")[number % 2] for number in range(count)]


def frames(count=12):
    generator = np.random.default_rng(0)
    rows = [generator.integers(0, 120 + 100 * (number % 2), (5, 6, 7)).astype(np.uint8) for number in range(count)]
    return rows, [("dark", "bright")[number % 2] for number in range(count)]


def skeletons(count=12):
    generator = np.random.default_rng(0)
    rows = [generator.normal(0, 1 + number % 2, (6, 4, 3)).cumsum(0) for number in range(count)]
    return rows, [("calm", "wild")[number % 2] for number in range(count)]


def texts(count=12):
    rows = ["it is good, isn't it?", "bad - as always", "Good!", "a bad, bad film"] * (count // 4)
    return rows, ["yes", "no"] * (count // 2)


def cuts(row, *places):
    return [row[start:end] for start, end in itertools.pairwise((0, *places, len(row)))]


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("differences", [False, True])
def test_the_last_probabilities_are_those_of_the_whole_row(pooling, differences):
    rows, labels = series()
    model = Classifier(**SETTINGS, pooling=pooling, differences=differences, num_layers=2).fit(rows, labels)
    for row, whole in zip(rows, model.predict_proba(rows), strict=True):
        stream = model.stream()
        after = stream.read(row)
        assert after.shape == (len(row), 2)
        np.testing.assert_allclose(after[-1], whole, rtol=1e-5)
        assert np.array_equal(stream.probabilities, after[-1])
        assert stream.label == model.predict([row])[0]


@pytest.mark.parametrize("pooling", POOLINGS)
def test_probabilities_at_each_step_are_those_of_the_row_so_far(pooling):
    rows, labels = series()
    model = Classifier(**SETTINGS, pooling=pooling, differences=True).fit(rows, labels)
    row = max(rows, key=len)
    so_far = model.predict_proba([row[:steps] for steps in range(len(row) + 1)])
    stream = model.stream()
    np.testing.assert_allclose(stream.probabilities, so_far[0], rtol=1e-5)
    np.testing.assert_allclose(stream.read(row), so_far[1:], rtol=1e-5)


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("make", [series, frames])
def test_a_row_in_pieces_equals_the_whole_row(make, pooling):
    rows, labels = make()
    settings = {"differences": True, **({"embedding_size": 6} if make is frames else {})}
    model = Classifier(**SETTINGS, **settings, pooling=pooling).fit(rows, labels)
    row = max(rows, key=len)
    whole = model.stream().read(row)
    for places in [range(1, len(row)), (2,), (0, 3, 3), (len(row),)]:
        stream = model.stream()
        parts = [stream.read(piece) for piece in cuts(row, *places)]
        np.testing.assert_allclose(np.concatenate(parts), whole, rtol=1e-5)
        np.testing.assert_allclose(stream.probabilities, whole[-1], rtol=1e-5)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_text_comes_in_whole_words(pooling):
    model = Classifier(**SETTINGS, embedding_size=6, pooling=pooling).fit(*texts())
    text = "It is a good, bad film, isn't it?"
    whole = model.stream().read(text)
    np.testing.assert_allclose(whole[-1], model.predict_proba([text])[0], rtol=1e-5)
    stream = model.stream()
    parts = [stream.read(piece) for piece in ("It is", " ", "a good,", "bad", "", "film, isn't it?")]
    assert [len(part) for part in parts] == [2, 0, 3, 1, 0, 5]
    np.testing.assert_allclose(np.concatenate(parts), whole, rtol=1e-5)


@pytest.mark.parametrize("units", ["characters", "bytes"])
def test_characters_come_one_by_one(units):
    model = Classifier(**SETTINGS, embedding_size=6, units=units).fit(*texts())
    stream = model.stream()
    after = np.concatenate([stream.read(character) for character in "bad film"])
    np.testing.assert_allclose(after[-1], model.predict_proba(["bad film"])[0], rtol=1e-5)


@pytest.mark.parametrize("make", [skeletons, frames])
def test_a_whole_row_at_once(make):
    rows, labels = make()
    settings = {"embedding_size": 6} if make is frames else {}
    model = Classifier(**SETTINGS, **settings).fit(rows, labels)
    stream = model.stream()
    stream.read(rows[1])
    np.testing.assert_allclose(stream.probabilities, model.predict_proba(rows[1:2])[0], rtol=1e-5)


def test_skeletons_of_one_size_come_in_pieces():
    """Each piece is scaled by the body size in it, so the body has the same size in all pieces here."""
    model = Classifier(**SETTINGS).fit(*skeletons())
    generator = np.random.default_rng(1)
    rest = generator.normal(size=(4, 3))
    row = np.stack([generator.permutation(rest) for _ in range(8)])
    stream = model.stream()
    parts = [stream.read(piece) for piece in cuts(row, 1, 4)]
    np.testing.assert_allclose(np.concatenate(parts), model.stream().read(row), rtol=1e-5)


def test_probabilities_before_the_first_step():
    for make in (series, texts, frames, skeletons):
        model = Classifier(**SETTINGS).fit(*make())
        stream = model.stream()
        assert stream.classes.tolist() == model.classes_.tolist()
        assert stream.probabilities.sum() == pytest.approx(1)
    empty = Classifier(**SETTINGS, embedding_size=6).fit(*texts())
    np.testing.assert_allclose(empty.stream().probabilities, empty.predict_proba([""])[0], rtol=1e-5)


def test_the_state_can_be_restored():
    rows, labels = series()
    model = Classifier(**SETTINGS).fit(rows, labels)
    stream = model.stream()
    stream.read(rows[0])
    kept = stream.state
    first = stream.read(rows[1])
    stream.read(rows[2])
    stream.state = kept
    assert np.array_equal(stream.read(rows[1]), first)


def test_two_streams_do_not_affect_each_other():
    rows, labels = series()
    model = Classifier(**SETTINGS).fit(rows, labels)
    alone = model.stream().read(rows[0])
    one, other = model.stream(), model.stream()
    together = []
    for step in range(len(rows[0])):
        together.append(one.read(rows[0][step : step + 1]))
        other.read(rows[1][:1])
    np.testing.assert_allclose(np.concatenate(together), alone, rtol=1e-5)


def test_a_piece_that_cannot_be_read_leaves_the_stream_unchanged():
    rows, labels = series()
    model = Classifier(**SETTINGS).fit(rows, labels)
    stream = model.stream()
    stream.read(rows[0])
    state, probabilities = stream.state, stream.probabilities
    for piece, error in [
        (
            [[1.0, 2.0, 3.0]],
            r"ClassifierStream.read: expected steps of shape \[D\] = \[2\], as in training, got \[3\]",
        ),
        ([1.0, 2.0], r"ClassifierStream.read: expected steps of shape \[D\] = \[2\], as in training, got \[1\]"),
        ([[1.0, np.inf]], "ClassifierStream.read: step 0, variable 1 is infinite"),
        ([[np.nan, 1.0]], "ClassifierStream.read: step 0, variable 0 is NaN"),
    ]:
        with pytest.raises(ValueError, match=error):
            stream.read(piece)
    assert states.to_bytes(stream.state) == states.to_bytes(state)
    assert stream.probabilities is probabilities


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_bidirectional_model_does_not_stream(pooling):
    model = Classifier(**SETTINGS | {"bidirectional": True, "epochs": 1}, pooling=pooling).fit(*series())
    with pytest.raises(
        ValueError, match=r"\(Bidirectional\) reads whole sequences, so it cannot stream; train with bi"
    ):
        model.stream()
