"""Word emission: counts for known words, shapes and endings for unknown ones (Brants 2000)."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

import numpy as np

from elman.classical.checks import array_of, check_names, reals
from elman.classical.context_counts import find
from elman.classical.hmm.emissions.emission import DEAD, Emission, buffer
from elman.classical.packed_strings import pack, unpack
from elman.representation import counted
from elman.sequences import Sequences
from elman.shapes import check


class Text(NamedTuple):
    """Result of `Words.read`."""

    words: np.ndarray  # [U] distinct words, sorted
    places: np.ndarray  # [N] index of each step's word


class Words(Emission):
    """Distribution p(word | k) = P(k | word) p(word) / P(k), where P(k | word) backs off to the word's form::

        P(k | form) = (c(k, form) + d P(k | shorter form)) / (c(form) + d)

    The forms of a word, from short to long: the empty form, its shape (capitals, digits, hyphen), its shape with its
    last letter, its last two, ... up to `max_suffix`; then the word in lower case; then the word. Shapes and endings
    are counted over rare words only, because unknown words resemble those (Brants 2000, TnT). Brants uses one d for all
    forms; here d is the number of states seen with the form (Witten and Bell 1991), so that a form with many states has
    less weight. p(word) is c / (N + W) for a word seen c times among N words, W of them distinct. All unknown words
    together have the probability W / (N + W).

    It is fitted to known states, by `HMM.fit_labelled` or `HMMTagger.fit`, not by EM.

    Args:
        max_suffix: letters in the longest endings.
        rare_count: maximum count of the words that shapes and endings are counted over.
    Shapes:
        x: [N] array of strings; the empty string is a missing word
    Attributes:
        words_: [W], known words, sorted. counts_: [W, K], count of each word in each state.
    Raises:
        TypeError: x does not hold strings.
        ValueError: EM is used, or a setting is out of range.
    Example:
        >>> from elman.classical import HMM
        >>> x = Sequences(np.array(["the", "dog", "barks", "the", "cats", "purr"]), [3, 3])
        >>> model = HMM(3, Words(), transition_prior=1.1).fit_labelled(x, np.array([0, 1, 2, 0, 1, 2]))
        >>> model.decode([np.array(["the", "rats", "squeak"])]).states.values
        array([0, 1, 2])
    """

    words_: np.ndarray
    counts_: np.ndarray

    columns = False

    def __init__(self, max_suffix: int = 10, rare_count: int = 10):
        for name, given in (("max_suffix", max_suffix), ("rare_count", rare_count)):
            if not isinstance(given, int | np.integer) or isinstance(given, bool) or given < 0:
                raise ValueError(f"Words: expected {name} to be an int of at least 0, got {given!r}.")
        self.max_suffix, self.rare_count = max_suffix, rare_count

    @property
    def settings(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"max_suffix": self.max_suffix, "rare_count": self.rare_count}

    @property
    def num_states(self) -> int:
        """K."""
        return self.counts_.shape[1]

    def size(self) -> str:
        return counted(len(self.counts_), "distinct word")

    def read(self, where: str, x: Sequences, u: np.ndarray | None = None) -> Text:
        """Return the distinct words, and the index of each step's word."""
        values = array_of(where, "observations", x.values)
        check(where, "observations", values, "N")
        if values.size and values.dtype.kind != "U":
            raise TypeError(f"{where}: expected observations of strings (a NumPy array of str), got {values.dtype}.")
        return Text(*np.unique(values.astype(str, copy=False), return_inverse=True))

    def log_prob(self, data: Text, out: np.ndarray | None = None) -> np.ndarray:
        """Return log p(word | state) [N, K]."""
        given_word = self.state_probs(data.words)
        known = self._known(data.words)
        words, total = len(self.words_), self.counts_.sum()
        seen = np.append(self.counts_.sum(1), 0.0)[known]
        prior = self.counts_.sum(0) / total
        with np.errstate(divide="ignore"):
            logs = np.log(given_word) - np.log(np.where(prior > 0, prior, 1.0))
        logs += np.log(np.where(known < words, seen, words) / (total + words))[:, None]
        logs[data.words == ""] = 0.0
        return np.take(logs, data.places, axis=0, out=buffer(out, len(data.places), self.num_states), mode="clip")

    def state_probs(self, words: np.ndarray) -> np.ndarray:
        """Return P(k | word) for words [U] without context, [U, K]."""
        probs = self._form_probs[np.array([self._longest(word) for word in words.tolist()], np.int64)]
        lowered, exact = len(self._lowered), len(self.words_)
        rows = np.array([self._lowered.get(word.lower(), lowered) for word in words.tolist()], np.int64)
        nothing = np.zeros((1, self.num_states))
        probs = mixed(np.concatenate([self._lowered_counts, nothing])[rows], probs)
        known = self._known(words)
        return mixed(np.concatenate([self.counts_, nothing])[np.minimum(known, exact)], probs)

    def initialise(self, where: str, data: Text, num_states: int, rng: np.random.Generator) -> Self:
        """Raise a ValueError: words are not fitted by EM."""
        raise ValueError(f"{where}: expected known states for words, got none; use fit_labelled, or HMMTagger.")

    def from_states(self, where: str, data: Text, posterior: np.ndarray, rng: np.random.Generator) -> Self:
        """Return a copy with the counts of known states [N, K]."""
        return self._counted(where, data, posterior)

    def m_step(self, data: Text, posterior: np.ndarray) -> Self:
        """Return a copy with new counts."""
        return self._counted("Words.m_step", data, posterior)

    def _counted(self, where: str, data: Text, posterior: np.ndarray) -> Self:
        present = data.words != ""
        if not present.any():
            raise ValueError(f"{where}: expected words, got none: all are missing.")
        counts = np.zeros((len(data.words), posterior.shape[1]))
        np.add.at(counts, data.places, posterior)
        return self._with(data.words[present], counts[present])

    def sample(self, states: np.ndarray, rng: np.random.Generator, u: np.ndarray | None = None) -> np.ndarray:
        """Draw known words [N] of these states."""
        drawn = np.zeros(len(states), np.int64)
        for state in np.unique(states):
            chances = self.counts_[:, state] / self.counts_[:, state].sum()
            here = states == state
            drawn[here] = rng.choice(len(chances), size=int(here.sum()), p=chances)
        return self.words_[drawn]

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the words and their counts."""
        return {"words": pack(self.words_), "counts": self.counts_}

    def with_arrays(self, arrays: Mapping[str, np.ndarray]) -> Self:
        """Return a copy with these words and counts."""
        check_names("Words", arrays, ["words", "counts"])
        words = unpack(arrays["words"])
        counts = reals("Words", "counts", arrays["counts"], f"W={len(words)} K")
        if words.dtype.kind != "U" or (words[1:] <= words[:-1]).any() or not words.size or "" in words:
            raise ValueError("Words: expected words in ascending order.")
        if (counts < 0).any() or not (counts.sum(1) > 0).all():
            raise ValueError("Words: expected counts of at least 0, and a count of every word.")
        return self._with(words, counts)

    # Quantities that follow from the counts.

    def _with(self, words: np.ndarray, counts: np.ndarray) -> Self:
        """Return a copy with these sorted words and counts, and the probabilities of their forms."""
        states = counts.shape[1]
        lowered: dict[str, int] = {}
        rows = np.array([lowered.setdefault(word.lower(), len(lowered)) for word in words.tolist()], np.int64)
        lowered_counts = np.zeros((len(lowered), states))
        np.add.at(lowered_counts, rows, counts)

        rare = counts.sum(1) <= self.rare_count
        known_forms: dict[str, int] = {"": 0}
        probs = [mixed(counts[rare].sum(0)[None], (counts.sum(0) / counts.sum())[None])]
        spelled = [forms(word, self.max_suffix) for word in words[rare].tolist()]
        for size in range(self.max_suffix + 1):  # a form backs off to the next shorter one
            holders = [row for row, own in enumerate(spelled) if len(own) > size]
            first = len(known_forms)
            places = [known_forms.setdefault(spelled[row][size], len(known_forms)) for row in holders]
            shorter = np.zeros(len(known_forms) - first, np.int64)
            form_counts = np.zeros((len(shorter), states))
            if not holders:
                break
            own = np.array(places) - first
            shorter[own] = [known_forms[spelled[row][size - 1]] if size else 0 for row in holders]
            np.add.at(form_counts, own, counts[rare][holders])
            probs.append(mixed(form_counts, np.concatenate(probs)[shorter]))
        return self.with_parameters(words_=words, counts_=counts, _lowered=lowered, _lowered_counts=lowered_counts,
                                    _forms=known_forms, _form_probs=np.concatenate(probs))  # fmt: skip

    def _longest(self, word: str) -> int:
        """Return the index of the longest known form of a word."""
        known = 0
        for form in forms(word, self.max_suffix):
            place = self._forms.get(form)
            if place is None:
                break
            known = place
        return known

    def _known(self, words: np.ndarray) -> np.ndarray:
        """Return the index of each word among the known ones, [U]; W for an unknown word."""
        places, known = find(self.words_, words)
        return np.where(known, places, len(self.words_))

    _lowered: dict[str, int]
    _lowered_counts: np.ndarray
    _forms: dict[str, int]
    _form_probs: np.ndarray


def mixed(counts: np.ndarray, probs: np.ndarray) -> np.ndarray:
    """Return counts [M, K] interpolated with probabilities [M, K], weighted by the number of states with counts."""
    kinds = (counts >= DEAD).sum(1, keepdims=True)
    total = counts.sum(1, keepdims=True)
    return np.where(kinds > 0, (counts + kinds * probs) / np.where(kinds > 0, total + kinds, 1.0), probs)


def shape(word: str) -> str:
    """Return the shape of a word: digits, no letters, all capitals, a capital first, or none; and a hyphen inside.

    Example:
        >>> [shape(word) for word in ("1990s", "...", "NATO", "Paris", "well-known")]
        ['0', '.', 'A', 'C', 'a-']
    """
    if any(letter.isdigit() for letter in word):
        kind = "0"
    elif not any(letter.isalpha() for letter in word):
        kind = "."
    elif word.isupper() and len(word) > 1:
        kind = "A"
    else:
        kind = "C" if word[0].isupper() else "a"
    return kind + ("-" if "-" in word and len(word) > 1 else "")


def forms(word: str, max_suffix: int) -> list[str]:
    """Return the shape of a word, alone and with each of its endings, the longest last.

    Example:
        >>> forms("Going", 3)
        ['C ', 'C g', 'C ng', 'C ing']
    """
    kind, lowered = shape(word), word.lower()
    return [f"{kind} {lowered[len(lowered) - size :]}" for size in range(min(max_suffix, len(lowered)) + 1)]
