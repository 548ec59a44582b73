"""NGram against a second implementation of the papers' formulas over dictionaries of tuples."""

import gzip
from collections import Counter
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elman import state as states
from elman.cell import Cell
from elman.classical import NGram
from elman.classical.ngram import FALLBACK, discounts
from elman.sequences import Sequences


class Textbook:
    """Chen and Goodman (1998), section 4.1.6, gram by gram."""

    def __init__(self, documents, vocabulary_size, order):
        self.vocabulary_size, self.order = vocabulary_size, order
        self.occurs = Counter()
        for document in documents:
            units = (0, *document, 0)
            for end in range(2, len(units) + 1):
                for start in range(max(0, end - order), end):
                    self.occurs[units[start:end]] += 1
        self.counts = {gram: self.count(gram) for gram in self.occurs}
        self.discounts = [self.estimate(length) for length in range(1, order + 1)]

    def count(self, gram):
        if len(gram) == self.order or (len(gram) > 1 and gram[0] == 0):
            return self.occurs[gram]
        return sum((before, *gram) in self.occurs for before in range(self.vocabulary_size))

    def estimate(self, length):
        counts = [count for gram, count in self.counts.items() if len(gram) == length]
        n1, n2, n3, n4 = (counts.count(j) for j in (1, 2, 3, 4))
        if 0 in (n1, n2, n3, n4):
            return 0.5, 1.0, 1.5
        y = n1 / (n1 + 2 * n2)
        estimated = 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3
        return estimated if min(estimated) > 0 else (0.5, 1.0, 1.5)

    def prob(self, unit, history):
        history = tuple(history)[-(self.order - 1) :] if self.order > 1 else ()
        lower = self.prob(unit, history[1:]) if history else 1 / self.vocabulary_size
        following = {gram[-1]: c for gram, c in self.counts.items() if gram[:-1] == history}
        if not following:
            return lower
        taken = {w: self.discounts[len(history)][min(c, 3) - 1] for w, c in following.items()}
        total = sum(following.values())
        own = following[unit] - taken[unit] if unit in following else 0
        return own / total + sum(taken.values()) / total * lower


@st.composite
def corpora(draw):
    """Draw a vocabulary size, an order, and documents, some of them empty."""
    vocabulary_size, order = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    units = st.lists(st.integers(1, vocabulary_size - 1), max_size=12) if vocabulary_size > 1 else st.just([])
    return vocabulary_size, order, draw(st.lists(units, min_size=1, max_size=4))


def fit(vocabulary_size, order, documents):
    return NGram(vocabulary_size, order).fit([np.array(document, np.int64) for document in documents])


def inputs(*rows):
    return Sequences.from_list([np.array(row, np.int64) for row in rows])


@cache
def example():
    """Return a model of 4,000 units over an alphabet of 20 with uneven transitions."""
    random = np.random.default_rng(0)
    follows = random.permuted(np.tile(0.5 ** np.arange(1, 20), (20, 1)), axis=1)
    units = [1]
    while len(units) < 4000:
        units.append(1 + random.choice(19, p=follows[units[-1]] / follows[units[-1]].sum()))
    documents = tuple(units[:2500]), tuple(units[2500:]), ()
    return fit(20, 4, documents), Textbook(documents, 20, 4), random.integers(0, 20, 60)


@settings(max_examples=150, deadline=None)
@given(corpora(), st.lists(st.integers(0, 4), max_size=8))
def test_equals_the_textbook(corpus, history):
    vocabulary_size, order, documents = corpus
    history = [0] + [unit % vocabulary_size for unit in history]
    y, _ = fit(*corpus).scan(inputs(history))
    textbook = Textbook(documents, vocabulary_size, order)
    expected = [[textbook.prob(w, history[: t + 1]) for w in range(vocabulary_size)] for t in range(len(history))]
    np.testing.assert_allclose(np.exp(y.values), expected, atol=1e-12)
    np.testing.assert_allclose(np.exp(y.values).sum(1), 1, atol=1e-12)


def test_equals_the_textbook_where_discounts_are_estimated():
    model, textbook, history = example()
    assert (model.discounts_ != FALLBACK).any(axis=1).sum() >= 3
    np.testing.assert_allclose(model.discounts_, textbook.discounts, atol=1e-12)
    y, _ = model.scan(inputs(history))
    expected = [[textbook.prob(w, history[: t + 1]) for w in range(20)] for t in range(len(history))]
    np.testing.assert_allclose(np.exp(y.values), expected, atol=1e-12)


def test_equals_probabilities_computed_by_hand():
    # <doc> a b a b <doc>: grams <doc>a, ab twice, ba, b<doc>; two units come before a, one before b and before <doc>.
    model = fit(3, 2, [[1, 2, 1, 2]])
    end, a, b = ((1 - 0.5) / 4 + 0.5 / 3, (2 - 1) / 4 + 0.5 / 3, (1 - 0.5) / 4 + 0.5 / 3)
    y, state = model.scan(inputs([0, 1, 2]))
    np.testing.assert_allclose(
        np.exp(y.values),
        [
            [0.5 * end, 0.5 + 0.5 * a, 0.5 * b],
            [0.5 * end, 0.5 * a, 0.5 + 0.5 * b],
            [0.25 + 0.5 * end, 0.25 + 0.5 * a, 0.5 * b],
        ],
        atol=1e-15,
    )
    np.testing.assert_array_equal(state, [[2]])


def test_discounts_equal_hand_computed_ones():
    counts = np.repeat([1, 2, 3, 4, 9], [6, 3, 2, 1, 5])
    np.testing.assert_allclose(discounts(counts), [0.5, 1.0, 2.0])
    np.testing.assert_array_equal(discounts(np.array([1, 1, 2, 3])), FALLBACK)  # no count of 4
    np.testing.assert_array_equal(discounts(np.repeat([1, 2, 3, 4], [9, 1, 9, 1])), FALLBACK)  # D2 would be negative


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.integers(0, 19), max_size=9), min_size=1, max_size=4), st.integers(0, 9))
def test_scan_equals_repeated_steps_for_any_cut_and_batch(rows, cut):
    model, _, _ = example()
    sequences = inputs(*rows)
    y, final = model.scan(sequences)
    stepped, stepped_final = Cell.scan(model, sequences)
    np.testing.assert_array_equal(y.values, stepped.values)
    np.testing.assert_array_equal(final, stepped_final)

    first, state = model.scan(inputs(*(row[:cut] for row in rows)))
    second, state = model.scan(inputs(*(row[cut:] for row in rows)), state)
    np.testing.assert_array_equal(final, state)
    together = zip(first.to_list(), second.to_list(), y.to_list(), strict=True)
    for row, (before, after, whole) in zip(rows, together, strict=True):
        np.testing.assert_array_equal(np.concatenate([before, after]), whole)
        np.testing.assert_array_equal(model.scan(inputs(row))[0].values, whole)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.integers(0, 19), max_size=9), min_size=1, max_size=4), st.randoms())
def test_log_prob_equals_the_scan(rows, random):
    model, _, _ = example()
    sequences = inputs(*rows)
    targets = np.array([random.randrange(20) for _ in range(sequences.num_steps)], np.int64)
    state = np.array([[-1, -1, 0] for _ in rows])
    for start in (None, state):
        y, _ = model.scan(sequences, start)
        expected = y.values[np.arange(len(targets)), targets]
        np.testing.assert_allclose(model.log_prob(sequences, targets, start), expected, atol=1e-12)


def test_a_boundary_resets_the_context():
    model, _, _ = example()
    y, _ = model.scan(inputs([3, 7, 0, 5, 6], [0, 5, 6]))
    np.testing.assert_array_equal(y.values[2:5], y.values[5:])


def test_empty_rows_empty_batches_and_states():
    model, _, _ = example()
    fresh = model.initial_state(2)
    np.testing.assert_array_equal(fresh, np.full((2, 3), -1))
    y, state = model.scan(inputs([], [0, 4]))
    np.testing.assert_array_equal(state, [[-1, -1, -1], [-1, 0, 4]])
    y, state = model.scan(Sequences(np.zeros(0, np.int64), []))
    assert y.values.shape == (0, 20)
    assert state.shape == (0, 3)
    y, state = model.step(np.zeros(0, np.int64), model.initial_state(0))
    assert y.shape == (0, 20)
    np.testing.assert_array_equal(states.from_bytes(states.to_bytes(fresh), fresh), fresh)
    unigram = fit(3, 1, [[1, 2]])
    assert unigram.scan(inputs([0, 1], []))[1].shape == (2, 0)


@pytest.mark.parametrize("order", [1, 2, 6])
@pytest.mark.parametrize(("vocabulary_size", "document"), [(1, []), (2, []), (2, [1]), (2, [1] * 500), (9, [8] * 5)])
def test_tiny_training_texts(vocabulary_size, document, order):
    y, _ = fit(vocabulary_size, order, [document]).scan(inputs([0, *document]))
    assert np.isfinite(y.values).all()
    np.testing.assert_allclose(np.exp(y.values).sum(1), 1, atol=1e-12)


def test_documents_as_sequences_and_small_integers():
    documents = [[1, 2, 1], [], [2]]
    expected = fit(3, 3, documents).to_arrays()
    for other in (inputs(*documents), [np.array(row, np.uint8) for row in documents], iter(documents)):
        arrays = NGram(3, 3).fit(other).to_arrays()
        for name, array in expected.items():
            np.testing.assert_array_equal(arrays[name], array)


def test_arrays_round_trip():
    model, _, history = example()
    again = NGram.from_arrays(model.to_arrays(), **model.settings)
    np.testing.assert_array_equal(again.scan(inputs(history))[0].values, model.scan(inputs(history))[0].values)
    np.testing.assert_array_equal(again.discounts_, model.discounts_)
    with pytest.raises(ValueError, match=r"NGram.from_arrays: expected arrays 0.contexts to 2.counts for order 3"):
        NGram.from_arrays(model.to_arrays(), vocabulary_size=20, order=3)


def test_bad_input_is_one_clear_line():
    model = fit(4, 3, [[1, 2, 3]])
    fresh = model.initial_state(1)
    with pytest.raises(ValueError, match=r"NGram.step: expected x of ids from 0 to 3, got 4; encode the text"):
        model.step(np.array([4]), fresh)
    with pytest.raises(ValueError, match=r"NGram.scan: expected values of ids from 0 to 3, got -1"):
        model.scan(inputs([0, -1]))
    with pytest.raises(ValueError, match=r"NGram.log_prob: expected targets of ids from 0 to 3, got 9"):
        model.log_prob(inputs([0]), np.array([9]))
    with pytest.raises(ValueError, match=r"NGram.log_prob: expected targets of shape \[N=2\], got \[1\]"):
        model.log_prob(inputs([0, 1]), np.array([1]))
    with pytest.raises(TypeError, match=r"NGram.step: expected x of integer ids, got float64"):
        model.step(np.array([1.0]), fresh)
    with pytest.raises(ValueError, match=r"NGram.step: expected x of shape \[B\], got \[1, 1\]"):
        model.step(np.array([[1]]), fresh)
    with pytest.raises(ValueError, match=r"NGram.step: expected state of shape \[B=1, order-1=2\], got \[2, 2\]"):
        model.step(np.array([1]), model.initial_state(2))
    with pytest.raises(ValueError, match=r"NGram.step: expected state of ids from -1 to 3, got 7"):
        model.step(np.array([1]), np.array([[7, 1]]))
    with pytest.raises(ValueError, match=r"NGram.fit: .* ids from 1 to 3 \(0 is the boundary, which fit adds\), got 0"):
        fit(4, 3, [[1, 0, 2]])
    with pytest.raises(ValueError, match=r"NGram.fit: expected at least one document, got none"):
        fit(4, 3, [])
    with pytest.raises(ValueError, match=r"NGram.fit: expected order to be an int of at least 1, got 0"):
        fit(4, 0, [[1]])
    with pytest.raises(ValueError, match=r"NGram.fit: expected vocabulary_size to be an int of at least 1, got 2.5"):
        fit(2.5, 2, [[1]])
    with pytest.raises(ValueError, match=r"NGram.step: expected a fitted model, got one without counts; call fit"):
        NGram(4, 3).step(np.array([0]), fresh)


@pytest.mark.slow
def test_tinyshakespeare_has_the_documented_loss(data_path):
    """Evaluate on the last tenth; order 7 was chosen on the last tenth of the rest."""
    text = gzip.decompress((data_path / "tinyshakespeare" / "input.txt.gz").read_bytes()).decode()
    train, held_out = text[: len(text) * 9 // 10], text[len(text) * 9 // 10 :]
    ids = {character: number for number, character in enumerate(sorted(set(train)), start=2)}  # 1: unknown
    model = NGram(len(ids) + 2, order=7).fit([np.array([ids[character] for character in train])])
    units = np.array([ids.get(character, 1) for character in held_out])
    log_probs = model.log_prob(inputs([0, *units]), np.append(units, 0))
    assert -log_probs.sum() / len(held_out) < 1.57
