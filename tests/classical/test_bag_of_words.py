"""BagOfWords against scikit-learn's counts and regressions, and ratios computed by hand."""

import gzip

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from elman.cell import Cell
from elman.classical import NGram
from elman.classical.bag_of_words import BagOfWords, BagState, running_sums
from elman.classical.softmax_head import log_count_ratios
from elman.data.units import make_units
from elman.sequences import Sequences
from elman.testing import check_cell

V = 7


def random_rows(seed=0, rows=60):
    """Return rows of ids, the first one empty, and labels from 0 to 2 that depend on them."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, rows)
    lengths = rng.integers(0, 9, rows)
    lengths[0] = 0
    ids = [
        np.where(rng.random(length) < 0.4, label + 1, rng.integers(0, V - 1, length))
        for length, label in zip(lengths, labels, strict=True)
    ]
    return Sequences.from_list(ids), labels


def counted(sequences, ngrams, binary):
    """Return the features of scikit-learn, [B, F], and their names."""
    texts = [" ".join(map(str, row)) for row in sequences.to_list()]
    counter = CountVectorizer(token_pattern=r"\S+", ngram_range=(1, ngrams), binary=binary)
    return counter.fit_transform(texts).astype(float), counter.get_feature_names_out()


def fitted(**settings):
    sequences, labels = random_rows()
    return BagOfWords(V, **settings).fit(sequences, labels)


@pytest.mark.parametrize("ngrams", [1, 2, 3, 5])
def test_features_are_the_grams_of_count_vectorizer(ngrams):
    sequences, _ = random_rows()
    expected, names = counted(sequences, ngrams, binary=False)
    _, state = fitted(ngrams=ngrams).scan(sequences)
    assert state.counts.shape == expected.shape
    assert sorted(map(tuple, state.counts.T.tolist())) == sorted(map(tuple, expected.toarray().T.astype(int).tolist()))
    assert sum(len(name.split()) == ngrams for name in names) == len(fitted(ngrams=ngrams).grams_[-1])


@pytest.mark.parametrize("min_count", [2, 4])
def test_rare_grams_are_not_features(min_count):
    sequences, _ = random_rows()
    totals = np.asarray(counted(sequences, 3, binary=False)[0].sum(0)).ravel()
    _, state = fitted(ngrams=3, min_count=min_count).scan(sequences)
    assert sorted(state.counts.sum(0)) == sorted(totals[totals >= min_count])


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("ngrams", [1, 2])
def test_without_weighting_it_is_softmax_regression(ngrams, binary):
    sequences, labels = random_rows()
    features, _ = counted(sequences, ngrams, binary)
    expected = LogisticRegression(C=1 / 0.5, tol=1e-10, max_iter=10_000).fit(features, labels).predict_proba(features)
    model = fitted(ngrams=ngrams, binary=binary, naive_bayes=False, l2=0.5)
    np.testing.assert_allclose(model.predict_proba(sequences), expected, atol=1e-5)


def test_two_classes_are_logistic_regression_on_weighted_features():
    sequences, labels = random_rows()
    labels = np.minimum(labels, 1)
    features, _ = counted(sequences, 2, binary=True)
    within, elsewhere = (features.toarray()[labels == label].sum(0) + 0.7 for label in (1, 0))
    ratios = np.log(within / within.sum() / (elsewhere / elsewhere.sum()))
    weighted = features.toarray() * ratios
    # The two weights of a feature are opposite, so their penalty is half of that of one weight.
    expected = LogisticRegression(C=2 / 1.5, tol=1e-10, max_iter=10_000).fit(weighted, labels).predict_proba(weighted)
    model = BagOfWords(V, ngrams=2, smoothing=0.7, l2=1.5).fit(sequences, labels)
    np.testing.assert_allclose(model.predict_proba(sequences), expected, atol=1e-5)
    assert model.score(sequences, labels) == (expected.argmax(1) == labels).mean()


def test_ratios_equal_hand_computed_ones():
    features = csr_matrix([[1.0, 1, 0], [1, 0, 0], [0, 2, 1]])
    ratios = log_count_ratios(features, np.array([0, 0, 1]), 2, smoothing=1.0)
    of_first = np.array([3, 2, 1]) / 6 / (np.array([1, 3, 2]) / 6)
    np.testing.assert_allclose(ratios, np.log(np.stack([of_first, 1 / of_first], axis=1)), atol=1e-15)
    of_three = log_count_ratios(features, np.array([0, 1, 2]), 3, smoothing=1.0)
    np.testing.assert_allclose(of_three[:, 2], np.log(np.array([1, 3, 2]) / 6 / (np.array([3, 2, 1]) / 6)), atol=1e-15)


@pytest.mark.parametrize("settings", [{}, {"ngrams": 1}, {"ngrams": 3, "binary": False}, {"min_count": 3}])
def test_contract(settings):
    assert "saving" in check_cell(fitted(**settings), np.arange(V))


def test_the_last_step_of_a_scan_equals_predict_proba():
    model, (sequences, _) = fitted(ngrams=3), random_rows(seed=1)
    probs, _ = model.scan(sequences)
    full = np.flatnonzero(sequences.lengths)
    last = probs.values[sequences.offsets[1:][full] - 1]
    np.testing.assert_allclose(model.predict_proba(sequences)[full], last, atol=1e-14)
    np.testing.assert_array_equal(model.predict(sequences), model.predict_proba(sequences).argmax(1))
    empty = np.exp(model.bias_) / np.exp(model.bias_).sum()
    np.testing.assert_allclose(model.predict_proba(sequences)[sequences.lengths == 0][0], empty, atol=1e-14)


def test_an_unseen_id_has_no_effect():
    model = fitted(ngrams=2)  # id 6 is in the vocabulary, but not in training
    probs, state = model.scan(Sequences.from_list([np.array([1, 6, 2]), np.array([1])]))
    np.testing.assert_array_equal(probs.values[1], probs.values[0])
    assert state.counts.sum(1).tolist() == [2, 1]
    assert model.predict([[6, 6], []]).tolist() == [model.classes_[model.bias_.argmax()]] * 2


@pytest.mark.parametrize("lengths", [[5, 0, 2], [0, 3, 1, 0, 4, 4, 1, 2], [0, 0], []])
def test_running_sums_by_row_equal_those_by_time(lengths):
    rng = np.random.default_rng(0)
    gains = Sequences(rng.standard_normal((sum(lengths), 2)), lengths)
    start = rng.standard_normal((len(lengths), 2))
    expected = [before + row.cumsum(0) for before, row in zip(start, gains.to_list(), strict=True)]
    sums = running_sums(gains, start)
    assert sums.shape == gains.values.shape
    for row, wanted in zip(Sequences(sums, lengths).to_list(), expected, strict=True):
        np.testing.assert_allclose(row, wanted, atol=1e-15)


def test_scan_needs_no_array_of_steps_by_features():
    sequences, labels = random_rows(rows=300)
    model = BagOfWords(V, ngrams=4).fit(sequences, labels)
    tall = Sequences(np.resize(sequences.values, 200_000), [150_000, 50_000])
    probs, state = model.scan(tall)  # [N, F] would be 1.3 GB
    assert probs.values.shape == (200_000, 3)
    assert state.counts[:, : len(model.grams_[0])].sum() == np.isin(tall.values, sequences.values).sum()
    few = tall.select([1])
    np.testing.assert_array_equal(model.scan(few)[0].values, probs.values[150_000:])


@pytest.mark.parametrize("labels", [["no", "yes", "é"], [3, -1, 7], [False, True, True]])
def test_labels_may_be_strings_and_files_keep_them(labels, tmp_path):
    sequences, classes = random_rows()
    labels = np.array(labels)[classes]
    model = BagOfWords(V, ngrams=2, l2=0.3).fit(sequences, labels)
    assert model.score(sequences, labels) > 0.6
    model.save(tmp_path / "model.safetensors")
    again = BagOfWords.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(again.predict(sequences), model.predict(sequences))
    np.testing.assert_array_equal(again.predict_proba(sequences), model.predict_proba(sequences))
    assert again.settings == model.settings
    assert again.predict(sequences).dtype == labels.dtype
    with pytest.raises(ValueError, match="expected a NGram, got a model of the kind BagOfWords"):
        NGram.load(tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=r"BagOfWords.from_arrays: expected arrays .*, grams.3, got"):
        BagOfWords.from_arrays(model.to_arrays(), **{**model.settings, "ngrams": 3})


def test_a_state_may_start_from_other_counts():
    model = fitted(ngrams=2, binary=False)
    x = np.array([1, 2])
    _, state = model.step(x, model.initial_state(2))
    doubled = BagState(2 * state.counts, state.last)
    scores = np.log(model.step(np.array([6, 6]), doubled)[0])
    expected = model.bias_ + 2 * state.counts @ model.weights_
    np.testing.assert_allclose(scores - scores[:, :1], expected - expected[:, :1], atol=1e-12)


def test_bad_input_is_one_clear_line():
    sequences, labels = random_rows()
    model = fitted(ngrams=2)
    with pytest.raises(ValueError, match=r"BagOfWords.fit: expected labels of shape \[B=60\], got \[59\]"):
        BagOfWords(V).fit(sequences, labels[:-1])
    with pytest.raises(ValueError, match=r"BagOfWords.fit: expected labels of at least two classes, got \[0\]\."):
        BagOfWords(V).fit(sequences, 0 * labels)
    with pytest.raises(TypeError, match=r"BagOfWords.fit: expected labels of integers or strings, got float64"):
        BagOfWords(V).fit(sequences, labels / 2)
    with pytest.raises(ValueError, match=r"BagOfWords.fit: expected values from 0 to 4, got 5 at"):
        BagOfWords(5).fit(sequences, labels)
    with pytest.raises(TypeError, match=r"BagOfWords.fit: expected ids, got words; encode"):
        BagOfWords(V).fit([["the", "cat"], ["sat"]], [0, 1])
    with pytest.raises(TypeError, match=r"BagOfWords.predict: expected Sequences, a list of rows or a single array"):
        model.predict(12)
    with pytest.raises(ValueError, match=r"BagOfWords.fit: expected a gram that occurs 1 times or more, got 0 ids"):
        BagOfWords(V).fit([[], []], [0, 1])
    with pytest.raises(ValueError, match=r"BagOfWords.fit: expected at least one row, got none"):
        BagOfWords(V).fit([], [])
    with pytest.raises(ValueError, match=r"BagOfWords.step: expected x from 0 to 6, got 7 at \[0\]"):
        model.step(np.array([7]), model.initial_state(1))
    with pytest.raises(ValueError, match=r"BagOfWords.step: expected state.counts of shape \[B=1, F=\d+\], got \[2, "):
        model.step(np.array([1]), model.initial_state(2))
    state = model.initial_state(1)
    with pytest.raises(TypeError, match=r"BagOfWords.scan: expected state.counts of integers, got float64"):
        model.scan(Sequences(np.array([1]), [1]), state._replace(counts=state.counts / 2))
    with pytest.raises(ValueError, match=r"BagOfWords.predict_proba: expected a fitted model, got one without weights"):
        BagOfWords(V).predict_proba(sequences)
    with pytest.raises(ValueError, match=r"BagOfWords.score: expected at least one row, got none"):
        model.score(Sequences(np.zeros(0, np.int64), []), [])
    for settings, message in (({"ngrams": 0}, "ngrams to be an int of at least 1, got 0"),
                           ({"smoothing": 0.0}, "smoothing above 0, got 0.0"),
                           ({"l2": float("nan")}, "l2 above 0, got nan")):  # fmt: skip
        with pytest.raises(ValueError, match=f"BagOfWords.fit: expected {message}"):
            BagOfWords(V, **settings).fit(sequences, labels)


@pytest.mark.slow
def test_sst2_has_the_documented_accuracy(data_path):
    """Evaluate the defaults, chosen by cross-validation on train and dev, on the test part."""
    texts, labels = {}, {}
    for part in ("train", "test"):
        lines = gzip.decompress((data_path / "sst2" / f"{part}.tsv.gz").read_bytes()).decode().splitlines()
        texts[part], labels[part] = zip(*(line.split("\t") for line in lines), strict=True)
    units = make_units("words").fit(texts["train"])
    rows = {part: [units.encode(text) for text in texts[part]] for part in texts}
    model = BagOfWords(units.size).fit(rows["train"], labels["train"])
    assert model.score(rows["test"], labels["test"]) >= 0.818


def test_scan_equals_unrolled_steps():
    model, (sequences, _) = fitted(ngrams=3), random_rows(seed=2)
    fast, slow = model.scan(sequences), Cell.scan(model, sequences)
    np.testing.assert_allclose(fast[0].values, slow[0].values, atol=1e-14)
    for a, b in zip(fast[1], slow[1], strict=True):
        np.testing.assert_array_equal(a, b)
