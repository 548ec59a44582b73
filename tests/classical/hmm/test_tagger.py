"""HMMTagger against enumeration of all paths of tags, and a second implementation of Brants' algorithm."""

import gzip
import importlib
from collections import Counter
from itertools import product

import numpy as np
import pytest

from elman.classical import HMM
from elman.classical.hmm import Categorical, Gaussian, HMMTagger, Words
from elman.classical.hmm.tagger import pieces
from elman.classical.hmm.trigrams import estimate
from elman.sequences import Sequences
from elman.testing import check_cell

LENGTHS = [5, 0, 1, 2, 6, 1, 3]
TEXT = [["the", "dog", "barks"], ["a", "cat", "sleeps"], ["the", "cats", "purr"], [], ["Dogs", "bark"]]
TAGS = [["DET", "NOUN", "VERB"]] * 3 + [[], ["NOUN", "VERB"]]


def random_tags(num_tags=3, seed=0, lengths=LENGTHS):
    """Return rows of tags, all of which occur, and symbols that depend on them."""
    rng = np.random.default_rng(seed)
    tags = np.append(rng.integers(0, num_tags, sum(lengths) - num_tags), np.arange(num_tags))
    return Sequences((tags + rng.integers(0, 2, len(tags))) % 4, lengths), tags


def fitted(order=2, **settings):
    return HMMTagger(Categorical(4, prior=1.5), order).fit(*random_tags(**settings))


def enumerated(tagger, row):
    """Return the joint log-probability of a row with each path of tags, {path: log-probability}."""
    size, found = len(tagger.tags_), {}
    for path in product(range(size), repeat=len(row)):
        tags = (size, size, *path)
        terms = [tagger.trigrams_[tags[n], tags[n + 1], tags[n + 2]] * tagger.emission_.probs_[path[n], row[n]]
                 for n in range(len(row))]  # fmt: skip
        found[path] = float(np.log(terms).sum())
    return found


def brants(rows, num_tags, order):
    """Return deleted interpolation over dictionaries; each length starts with one vote."""
    grams, histories = Counter(), Counter()
    for row in rows:
        tags = [num_tags, num_tags, *row]
        for n in range(2, len(tags)):
            for length in range(order + 1):
                grams[tuple(tags[n - length : n + 1])] += 1
                histories[tuple(tags[n - length : n])] += 1
    votes = [1.0] * (order + 1)
    for gram, count in grams.items():
        if len(gram) == order + 1:
            without = []
            for length in range(order + 1):
                shorter = gram[order - length :]
                total = histories[shorter[:-1]] - 1
                without.append((grams[shorter] - 1) / total if total else 0.0)
            votes[int(np.argmax(without))] += count
    weights = np.array(votes) / sum(votes)
    probs = np.zeros((num_tags + 1, num_tags + 1, num_tags))
    for a, b, tag in np.ndindex(probs.shape):
        for length in range(order + 1):
            gram = (a, b, tag)[2 - length :]
            if histories[gram[:-1]]:
                probs[a, b, tag] += weights[length] * grams[gram] / histories[gram[:-1]]
    return probs / probs.sum(2, keepdims=True), weights


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("lengths", [[40, 1, 0, 25], [3] * 30, [1, 1, 1], [4]])
def test_the_chain_equals_brants_algorithm(lengths, order):
    x, tags = random_tags(lengths=lengths)
    found = estimate(x, tags, 3, order)
    probs, weights = brants(Sequences(tags, lengths).to_list(), 3, order)
    np.testing.assert_allclose(found.weights, weights, atol=1e-14)
    np.testing.assert_allclose(found.probs, probs, atol=1e-14)
    assert (found.probs > 0).all()


@pytest.mark.parametrize("order", [1, 2])
def test_equals_enumeration_of_all_paths(order):
    tagger = fitted(order)
    x, _ = random_tags(seed=1)
    log_probs, smoothed = tagger.log_prob(x), tagger.smooth(x).to_list()
    best, by_step = tagger.decode(x), tagger.decode(x, "posterior")
    for b, row in enumerate(x.to_list()):
        paths = enumerated(tagger, row)
        weights = np.exp(list(paths.values()))
        np.testing.assert_allclose(log_probs[b], np.log(weights.sum()), atol=1e-12)
        assert tuple(best.states.to_list()[b]) == max(paths, key=paths.get)
        np.testing.assert_allclose(best.log_prob[b], max(paths.values()), atol=1e-12)
        every = np.array(list(paths))
        for n in range(len(row)):
            expected = np.bincount(every[:, n], weights, minlength=3) / weights.sum()
            np.testing.assert_allclose(smoothed[b][n], expected, atol=1e-12)
        chosen = tuple(by_step.states.to_list()[b])
        assert chosen == tuple(smoothed[b].argmax(1))
        np.testing.assert_allclose(by_step.log_prob[b], paths[chosen], atol=1e-12)


def test_filtering_equals_smoothing_of_each_prefix():
    tagger, (x, _) = fitted(), random_tags(seed=2)
    filtered = tagger.filter(x)
    for n in (1, 2, 4):
        row = x.select([4]).values[:n]
        last = tagger.smooth([row]).values[-1]
        np.testing.assert_allclose(filtered.to_list()[4].probs[n - 1], last, atol=1e-12)


def test_the_first_order_tagger_equals_an_hmm():
    tagger, (x, _) = fitted(order=1), random_tags(seed=3)
    model = HMM.from_parameters(tagger.trigrams_[3, 3], tagger.trigrams_[3, :3], tagger.emission_)
    np.testing.assert_allclose(tagger.log_prob(x), model.log_prob(x), atol=1e-12)
    np.testing.assert_allclose(tagger.smooth(x).values, model.smooth(x).values, atol=1e-12)
    np.testing.assert_array_equal(tagger.decode(x).states.values, model.decode(x).states.values)


@pytest.mark.parametrize("order", [1, 2])
def test_contract(order):
    words = np.array(["the", "Cat", "barks", "", "unseen", "42"])
    assert "saving" in check_cell(HMMTagger(order=order).fit(TEXT, TAGS), words)
    check_cell(fitted(order), np.arange(4))
    rng = np.random.default_rng(0)
    x, tags = rng.standard_normal((40, 2)), np.arange(40) % 3
    x[rng.random((40, 2)) < 0.2] = np.nan
    check_cell(HMMTagger(Gaussian(), order).fit([x[:25], x[25:]], tags), x)


def test_pieces_of_a_long_text_equal_the_whole(monkeypatch):
    tagger, (x, _) = fitted(), random_tags(seed=4, lengths=[300, 1, 0, 40, 41, 0])
    whole, smoothed = tagger.decode(x), tagger.smooth(x)
    monkeypatch.setattr(importlib.import_module("elman.classical.hmm.tagger"), "PIECE", 40)
    assert [len(piece) for piece in pieces(x)] == [1, 3, 1, 1]
    again = tagger.decode(x)
    np.testing.assert_array_equal(again.states.values, whole.states.values)
    np.testing.assert_allclose(again.log_prob, whole.log_prob, atol=1e-10)
    np.testing.assert_allclose(tagger.smooth(x).values, smoothed.values, atol=1e-12)


def test_empty_rows_and_batches():
    tagger = HMMTagger().fit(TEXT, TAGS)
    for rows in (Sequences(np.array([], "U3"), []), Sequences(np.array([], "U3"), [0, 0])):
        states, log_prob = tagger.decode(rows)
        assert states.values.shape == (0,)
        np.testing.assert_array_equal(log_prob, np.zeros(len(rows)))
        np.testing.assert_array_equal(tagger.log_prob(rows), np.zeros(len(rows)))
        assert tagger.smooth(rows).values.shape == (0, 3)


@pytest.mark.parametrize("names", [["x", "é", "zz"], [5, -2, 9]])
def test_tags_may_be_integers_and_files_keep_them(names, tmp_path):
    x, tags = random_tags()
    names = np.array(names)
    tagger = HMMTagger(Categorical(prior=1.1), order=1).fit(x, names[tags])
    assert set(tagger.decode(x).states.values) <= set(names)
    tagger.save(tmp_path / "tagger.safetensors")
    again = HMMTagger.load(tmp_path / "tagger.safetensors")
    np.testing.assert_array_equal(again.decode(x).states.values, tagger.decode(x).states.values)
    np.testing.assert_array_equal(again.log_prob(x), tagger.log_prob(x))
    assert again.settings == tagger.settings
    assert again.score(x, names[tags]) == np.mean(tagger.decode(x).states.values == names[tags])


def test_a_single_tag_and_a_tag_that_only_ends_rows():
    assert HMMTagger().fit([["a"]], [["X"]]).decode([["a", "b"]]).states.values.tolist() == ["X", "X"]
    only_last = HMMTagger().fit([["a", "b"]], [["X", "Y"]])  # Y never has a successor
    assert np.isfinite(only_last.trigrams_).all()
    assert only_last.decode([["a", "b", "a", "c"]]).states.values.tolist()[:2] == ["X", "Y"]


def test_bad_input_is_one_clear_line():
    tagger = HMMTagger().fit(TEXT, TAGS)
    with pytest.raises(ValueError, match=r"HMMTagger.fit: expected a label for each of the 3 steps of row 1, got 2"):
        HMMTagger().fit(TEXT, [TAGS[0], TAGS[0][:2], *TAGS[2:]])
    with pytest.raises(ValueError, match=r"HMMTagger.fit: expected labels for 5 rows, got 4"):
        HMMTagger().fit(TEXT, TAGS[:-1])
    with pytest.raises(TypeError, match=r"HMMTagger.fit: expected tags of integers or strings, got float64"):
        HMMTagger().fit([["a", "b"]], np.array([0.5, 1.0]))
    with pytest.raises(ValueError, match=r"HMMTagger.fit: expected tags, got none: all rows are empty"):
        HMMTagger().fit(Sequences(np.array([], "U1"), [0]), np.array([], "U1"))
    with pytest.raises(TypeError, match=r"HMMTagger.decode: expected observations of strings"):
        tagger.decode([np.array([1, 2])])
    with pytest.raises(TypeError, match=r"HMMTagger.decode: expected Sequences, a list of rows or a single array"):
        tagger.decode(None)
    with pytest.raises(ValueError, match=r"HMMTagger.decode: expected method viterbi or posterior, got 'best'"):
        tagger.decode(TEXT, "best")
    with pytest.raises(
        ValueError, match=r"HMMTagger.step: expected state of shape \[B=1, T\+1=4, T=3\], got \[2, 4, 3"
    ):
        tagger.step(np.array(["the"]), tagger.initial_state(2))
    with pytest.raises(ValueError, match=r"HMMTagger.log_prob: expected whole numbers from 0 to 3, got 7 in row 0"):
        fitted().log_prob([np.array([1, 7])])
    with pytest.raises(ValueError, match=r"HMMTagger.decode: expected a fitted model, got one without counts"):
        HMMTagger().decode(TEXT)
    with pytest.raises(ValueError, match=r"HMMTagger: expected order to be 1 or 2, got 3"):
        HMMTagger(order=3)
    with pytest.raises(TypeError, match=r"HMMTagger: expected an emission, such as Words\(\), got 'words'"):
        HMMTagger("words")
    with pytest.raises(ValueError, match=r"HMMTagger: expected an emission without a driving input"):
        HMMTagger(Gaussian(drive_size=1))
    with pytest.raises(ValueError, match=r"HMMTagger.score: expected at least one step, got none"):
        tagger.score([np.array([], "U1")], np.array([], "U1"))


@pytest.mark.slow
def test_ud_ewt_has_the_documented_accuracy(data_path):
    """Evaluate on the dev part, which no setting was chosen on."""
    rows, tags = {}, {}
    for part in ("train", "dev"):
        text = gzip.decompress((data_path / "ud_ewt" / f"{part}.tsv.gz").read_bytes()).decode()
        sentences = [[line.split("\t") for line in block.split("\n")] for block in text.strip().split("\n\n")]
        rows[part] = [[word for word, _, _ in sentence] for sentence in sentences]
        tags[part] = [[tag for _, tag, _ in sentence] for sentence in sentences]
    assert HMMTagger(Words()).fit(rows["train"], tags["train"]).score(rows["dev"], tags["dev"]) >= 0.925
