"""Words against a second implementation of the formula over dictionaries."""

from collections import Counter, defaultdict

import numpy as np
import pytest

from elman.classical import HMM
from elman.classical.hmm import Words
from elman.classical.hmm.emissions.words import forms, shape
from elman.sequences import Sequences

WORDS = ["The", "the", "the", "walks", "walk", "talks", "talk", "NATO", "1990s", "well-known", "walks", ".", "walks"]
STATES = [0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 2, 0, 1]
K = 3


class Textbook:
    """P(k | word), form by form."""

    def __init__(self, words, states, max_suffix, rare_count):
        self.max_suffix = max_suffix
        often, self.counts, self.total = Counter(words), defaultdict(Counter), np.bincount(states, minlength=K)
        for word, state in zip(words, states, strict=True):
            self.counts["exact", word][state] += 1
            self.counts["lower", word.lower()][state] += 1
            if often[word] <= rare_count:
                self.counts["rare"][state] += 1
                for form in forms(word, max_suffix):
                    self.counts["form", form][state] += 1

    def probs(self, word):
        probs = self.total / self.total.sum()
        chain = ["rare", *(("form", form) for form in forms(word, self.max_suffix))]
        for key in [*chain, ("lower", word.lower()), ("exact", word)]:
            seen = self.counts.get(key, {})
            if seen:
                d = len(seen)
                probs = (np.array([seen[k] for k in range(K)]) + d * probs) / (sum(seen.values()) + d)
        return probs


def fitted(words=WORDS, states=STATES, **settings):
    emission = Words(**settings)
    data = emission.read("here", Sequences(np.array(words), [len(words)]))
    return emission.from_states("here", data, np.eye(K)[states], np.random.default_rng(0))


def log_prob(emission, *words):
    return emission.log_prob(emission.read("here", Sequences(np.array(words), [len(words)])))


@pytest.mark.parametrize("settings", [{}, {"max_suffix": 2, "rare_count": 1}, {"max_suffix": 0}, {"rare_count": 0}])
def test_equals_the_textbook(settings):
    emission = fitted(**settings)
    textbook = Textbook(WORDS, STATES, **emission.settings)
    queries = [*WORDS, "stalks", "THE", "Walks", "2000s", "xyz", "ill-known", "!", "É", "a"]
    expected = np.array([textbook.probs(word) for word in queries])
    np.testing.assert_allclose(emission.state_probs(np.array(queries)), expected, atol=1e-14)
    np.testing.assert_allclose(expected.sum(1), 1)


def test_random_words_equal_the_textbook():
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abAB1-"), rng.integers(1, 5))) for _ in range(300)]
    states = rng.integers(0, K, 300)
    emission, textbook = fitted(words, states, rare_count=3), Textbook(words, states, 10, 3)
    queries = [*words[:80], *("".join(rng.choice(list("abAB1-"), 6)) for _ in range(80))]
    expected = [textbook.probs(word) for word in queries]
    np.testing.assert_allclose(emission.state_probs(np.array(queries)), expected, atol=1e-14)


def test_word_probabilities_sum_to_one():
    emission = fitted()
    share = np.bincount(STATES) / len(STATES)
    known = np.exp(log_prob(emission, *emission.words_)) @ share  # p(word)
    unknown = np.exp(log_prob(emission, "never")) @ share
    different = len(set(WORDS))
    np.testing.assert_allclose(unknown, different / (len(WORDS) + different))
    np.testing.assert_allclose(known.sum() + unknown, 1)


def test_a_missing_word_has_no_effect():
    emission = fitted()
    np.testing.assert_array_equal(log_prob(emission, "", "the")[0], np.zeros(K))
    gaps, all_of_them = [*WORDS, "", ""], [*STATES, 0, 1]
    np.testing.assert_array_equal(fitted(gaps, all_of_them).counts_, emission.counts_)
    with pytest.raises(ValueError, match=r"here: expected words, got none: all are missing"):
        fitted(["", ""], [0, 1])


def test_shapes():
    words = ["a", "A", "AB", "Ab", "aB", "1st", "...", "-", "x-y", "X-1", "É", "İstanbul"]
    assert [shape(word) for word in words] == ["a", "C", "A", "C", "a", "0", ".", ".", "a-", "0-", "C", "C"]


def test_samples_are_words_of_their_states():
    emission = fitted()
    drawn = emission.sample(np.array([0] * 50 + [2] * 50), np.random.default_rng(0))
    assert set(drawn[:50]) == {"The", "the", "."}
    assert set(drawn[50:]) == {"talk", "NATO", "1990s", "well-known", "walks"}


def test_a_saved_model_is_the_same(tmp_path):
    x = Sequences(np.array(WORDS), [len(WORDS)])
    model = HMM(K, Words(max_suffix=4), transition_prior=1.1).fit_labelled(x, np.array(STATES))
    model.save(tmp_path / "model.safetensors")
    again = HMM.load(tmp_path / "model.safetensors")
    rows = [np.array(["The", "stalks", "NASA"])]
    np.testing.assert_array_equal(again.decode(rows).states.values, model.decode(rows).states.values)
    np.testing.assert_array_equal(again.log_prob(rows), model.log_prob(rows))
    assert again.emission.settings == {"max_suffix": 4, "rare_count": 10}


def test_bad_input_is_one_clear_line():
    with pytest.raises(TypeError, match=r"here: expected observations of strings \(a NumPy array of str\), got int64"):
        Words().read("here", Sequences(np.array([1, 2]), [2]))
    with pytest.raises(ValueError, match=r"here: expected observations of shape \[N\], got \[2, 1\]"):
        Words().read("here", Sequences(np.array([["a"], ["b"]]), [2]))
    with pytest.raises(ValueError, match=r"HMM.fit: expected known states for words, got none; use fit_labelled"):
        HMM(2, Words()).fit([np.array(["a", "b"])])
    with pytest.raises(ValueError, match=r"Words: expected max_suffix to be an int of at least 0, got -1"):
        Words(max_suffix=-1)
