"""Stream of a tagger: words in, tags out with a delay of a few words."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from elman.classical import CRF
from elman.declared_types import expected_type
from elman.representation import brief, call, complete
from elman.sequences import Sequences
from elman.state import State


class TaggerStream:
    """Tagger of one sentence that is read word by word.

    A tag is decided once `look_ahead` more words have been read: it is the tag of the best path through the words that
    have no tag yet, after the tags that are decided. So the tags always obey their scheme.

    Args:
        model: a trained tagger that reads sentences forwards.
        look_ahead: words that are read before a tag is decided.
    Attributes:
        state: state of the recurrent layers.
    Raises:
        ValueError: the model reads sentences in both directions, or look_ahead is negative.
    """

    def __init__(self, model: Any, look_ahead: int):
        if expected := expected_type(look_ahead, int):
            raise TypeError(f"stream: expected a look_ahead that is {expected}, got {brief(look_ahead)}.")
        if look_ahead < 0:
            raise ValueError(f"stream: expected a look_ahead of at least 0 words, got {look_ahead}.")
        if not model.streams:
            raise ValueError("Tagger.stream: expected bidirectional=False, got a model that reads a sentence in both "
                             "directions; train one with bidirectional=False, or use predict on whole sentences."
                             )  # fmt: skip
        self._model, self.look_ahead = model, look_ahead
        self.reset()

    def reset(self) -> None:
        """Begin a new sentence."""
        self.state: State = None
        self._scores = np.zeros((0, len(self._model.tags_)))  # of the words without a tag
        self._last: int | None = None  # the last tag that was decided

    @complete
    def __repr__(self) -> str:
        return call("TaggerStream", f"look_ahead={self.look_ahead}", f"{len(self._scores)} words without a tag")

    def read(self, words: Sequence[Any]) -> list[str]:
        """Read the next words of the sentence.

        Args:
            words: words, or tuples of a word and its given tags.
        Returns:
            the tags that are decided now, of earlier words first.
        Raises:
            TypeError, ValueError: a word cannot be read; the stream is unchanged.
        """
        if isinstance(words, str | bytes) or not isinstance(words, Iterable):
            raise TypeError(f"TaggerStream.read: expected a list of words, got {brief(words)}.")
        batch = self._model.words_.encode([list(words)])
        with self._model.evaluating():
            scores, self.state = self._model.scores(batch, self.state)
        self._scores = np.concatenate([self._scores, scores.values])
        return self._decided(len(self._scores) - self.look_ahead, ends=False)

    def finish(self) -> list[str]:
        """Return the tags of the words without a tag, at the end of the sentence, and begin a new one."""
        tags = self._decided(len(self._scores), ends=True)
        self.reset()
        return tags

    def _decided(self, count: int, ends: bool) -> list[str]:
        """Decide the tags of the first `count` words that have none."""
        if count <= 0:
            return []
        chain = _continued(self._model.crf_, self._last, ends)
        best = chain.decode(Sequences(self._scores, [len(self._scores)])).tags.values.tolist()
        before = [] if self._last is None else [self._last]
        names = [self._model.tags_[number] for number in [*before, *best]]
        first = len(before)
        if self._model.scheme_ is not None:  # a span that began earlier, or that goes on, is written as a whole one
            if names[0][:2] in ("I-", "E-"):
                names.insert(0, "B" + names[0][1:])
                first += 1
            if names[-1][:2] in ("B-", "I-"):
                names.append("E" + names[-1][1:])
        self._scores, self._last = self._scores[count:], best[count - 1]
        written: list[str] = self._model.written(names)[first : first + count]
        return written


def _continued(chain: CRF, last: int | None, ends: bool) -> CRF:
    """Return a chain that continues after a tag, and that need not end here unless `ends`."""
    start, end = chain.start_, chain.end_ if ends else np.zeros_like(chain.end_)
    if last is not None:
        start = chain.transitions_[last]
    return CRF.from_parameters(chain.transitions_, start, end)
