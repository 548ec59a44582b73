"""Stream of a tagger: words in, tags out with a delay of a few words."""

from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

from elman.classical import CRF
from elman.data.spelled_words import Words
from elman.declared_types import expected_type
from elman.network.tagger import TaggerNet, WordFeatures
from elman.representation import brief, brief_fields, call, complete
from elman.runtime.stream import Stream
from elman.state import State

MOST_WORDS = 1 << 12  # with features that are kept
NONE = -1  # number of the last tag at the beginning of a sentence


@brief_fields
class TaggerState(NamedTuple):
    """State of a `TaggerStream`."""

    network: State
    scores: np.ndarray  # [P, K] float32 of the words without a tag
    tag: np.ndarray  # [1] int64, number of the last tag that was decided; -1 at the beginning


class TaggerStream(Stream):
    """Tagger of one sentence that is read word by word.

    A tag is decided once `look_ahead` more words have been read: it is the tag of the best path through the words that
    have no tag yet, after the tags that are decided. So the tags always obey their scheme.

    Args:
        net: network that reads sentences forwards.
        words: the vocabularies.
        chain: weights of the transitions between tags.
        write: function from the number of the tag before, or -1, and that of a tag to the tag as it is written.
        look_ahead: words that are read before a tag is decided.
    Raises:
        ValueError: look_ahead is negative.
        TypeError: look_ahead is not a whole number.
    """

    def __init__(self, net: TaggerNet, words: Words, chain: CRF, write: Callable[[int, int], str], look_ahead: int):
        if expected := expected_type(look_ahead, int):
            raise TypeError(f"stream: expected a look_ahead that is {expected}, got {brief(look_ahead)}.")
        if look_ahead < 0:
            raise ValueError(f"stream: expected a look_ahead of at least 0 words, got {look_ahead}.")
        self._net = net
        super().__init__(net.body, model=net)
        self._words, self._chain, self._write, self.look_ahead = words, chain, write, int(look_ahead)
        self._known: dict[Any, Any] = {}  # features by word
        self._beginning = TaggerState(
            self._network_state(), np.zeros((0, net.output_size), np.float32), np.array([NONE])
        )
        self.reset()

    @complete
    def __repr__(self) -> str:
        return call("TaggerStream", f"look_ahead={self.look_ahead}", f"{len(self._scores)} words without a tag")

    def _bind(self) -> None:
        super()._bind()
        self._features_of = WordFeatures(self._net)

    def _state(self) -> TaggerState:
        return TaggerState(self._network_state(), self._scores.copy(), np.array([self._last]))

    def _restore(self, state: TaggerState) -> None:
        self._stepper.state = state.network
        self._scores, self._last = state.scores.copy(), int(state.tag[0])

    def _like(self, state: Any) -> State:
        pending = state[1] if isinstance(state, tuple) and len(state) == 3 else None
        rows = len(pending) if isinstance(pending, np.ndarray) and pending.ndim == 2 else 0
        return self._beginning._replace(scores=np.zeros((rows, self._scores.shape[1]), np.float32))

    def _checked(self, where: str, state: Any) -> TaggerState:
        found: TaggerState = super()._checked(where, state)
        if not NONE <= found.tag[0] < self._net.output_size:
            raise ValueError(f"{where}: expected the number of a tag, from -1 to {self._net.output_size - 1}, got "
                             f"{found.tag[0]}.")  # fmt: skip
        return found

    def read(self, words: Sequence[Any]) -> list[str]:
        """Read the next words of the sentence.

        Args:
            words: whole words, or tuples of a word and its given tags.
        Returns:
            the tags that are decided now, of earlier words first.
        Raises:
            TypeError, ValueError: a word cannot be read; the stream is unchanged.
        """
        if isinstance(words, str | bytes) or not isinstance(words, Iterable):
            split = "; split it with elman.data.tokenizer.tokenize" if isinstance(words, str) else ""
            raise TypeError(f"TaggerStream.read: expected a list of words, got {brief(words)}{split}.")
        given = list(words)
        if not given:
            return []
        hidden = np.empty((len(given), len(self._output)), np.float32)
        for number, features in enumerate(self._features(given)):
            self._input[...] = features
            self._stepper()
            hidden[number] = self._output
        self._scores = np.concatenate([self._scores, self._net.readout.apply_to(hidden)])
        return self._decided(len(self._scores) - self.look_ahead)

    def _features(self, words: list[Any]) -> list[np.ndarray]:
        """Return the features of each word, which the recurrent layers read; those of earlier words are kept."""
        try:
            known: dict[Any, Any] = {word: self._known.get(word) for word in words}
        except TypeError:  # a word that is neither text nor a tuple
            self._words.encode([words])
            raise
        if new := [word for word, features in known.items() if features is None]:
            if len(self._known) > MOST_WORDS:
                self._known.clear()
            tokens, spellings = self._words.encode([new])
            (ids, spelling, given), lengths = tokens.values, spellings.lengths.tolist()
            ends = list(accumulate(lengths))
            for word, number, row, tags in zip(new, ids, spelling, given, strict=True):
                characters = spellings.values[ends[row] - lengths[row] : ends[row]]
                self._known[word] = known[word] = self._features_of([number, *tags], characters)
        return [known[word] for word in words]

    def finish(self) -> list[str]:
        """Return the tags of the words without a tag, at the end of the sentence, and begin a new one."""
        tags = self._decided(len(self._scores), self._chain.end_)
        self.reset()
        return tags

    def _decided(self, count: int, end: np.ndarray | float = 0.0) -> list[str]:
        """Decide the tags of the first `count` words that have none."""
        if count <= 0:
            return []
        first = self._chain.start_ if self._last == NONE else self._chain.transitions_[self._last]
        found = best_path(first, self._chain.transitions_, self._scores.astype(np.float64), end)[:count]
        tags = [self._write(before, tag) for before, tag in zip([self._last, *found], found, strict=False)]
        self._scores, self._last = self._scores[count:], found[-1]
        return tags


def best_path(start: np.ndarray, transitions: np.ndarray, scores: np.ndarray, end: np.ndarray | float) -> list[int]:
    """Return the states of the path of largest weight (Viterbi 1967), for a few steps: one row, unchecked.

    Args:
        start: [K] weights of the first state.
        transitions: [K, K] from, to.
        scores: [T, K], at least one step.
        end: [K] weights of the last state, or 0.
    """
    best, came_from = start + scores[0], []
    for step in scores[1:]:
        paths = best[:, None] + transitions
        came_from.append(paths.argmax(0))
        best = paths.max(0) + step
    found = [int((best + end).argmax())]
    for before in reversed(came_from):
        found.append(int(before[found[-1]]))
    return found[::-1]
