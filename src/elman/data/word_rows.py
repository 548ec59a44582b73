"""Words of texts, and the units that belong to each of them.

A word ends where white space or the end of the text follows. White space before a word belongs to that word, as in
units of byte pairs. A run of white space with a line end is a word of its own, `\\n`. The end of a text is the word
`</s>`.
"""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from elman.data.units.base import BOUNDARY, SPACES, UNKNOWN, Units
from elman.representation import brief_fields

END = "</s>"  # the end of a text
LINE = "\n"  # white space with a line end
_WORD = re.compile(r"\s*\n\s*|[^\S\n]*\S+", re.ASCII)
_BYTES_WORD = re.compile(_WORD.pattern.encode())


@brief_fields
class WordRows(NamedTuple):
    """Words [R] of texts, in order, and the units [N] that a model predicts: those of each text, then its end."""

    words: list[str]  # R, END at the end of each text
    text: np.ndarray  # [R] number of the text, from 0
    position: np.ndarray  # [R] number of the word in its text, from 0
    units: np.ndarray  # [R] number of units
    unknown: np.ndarray  # [R] number of units that are not in the vocabulary
    word_of_unit: np.ndarray  # [N] the word that a unit belongs to
    after_word: np.ndarray  # [M] units that follow a word that has ended

    def sums(self, costs: np.ndarray, end_costs: np.ndarray) -> np.ndarray:
        """Return the cost of each word, [R]: -log p of its units and of its end.

        The cost of its end is moved from the unit after the word to the word, so the sum over all words is that over
        all units.

        Args:
            costs: [N] -log p(unit).
            end_costs: [N] -log of the probability that the word before a unit has ended, the sum over all units that
                `Units.follows_word` marks.
        """
        after, size = self.word_of_unit[self.after_word], len(self.words)
        ends = end_costs[self.after_word]
        moved = np.bincount(after - 1, ends, size) - np.bincount(after, ends, size)
        return np.bincount(self.word_of_unit, costs, size) + moved


def word_rows(units: Units, texts: Sequence[Any], ids: Sequence[np.ndarray]) -> WordRows:
    """Return the words of texts.

    Args:
        units: the fitted units.
        texts: B texts.
        ids: the ids of each text.
    Example:
        >>> from elman.data.units import make_units
        >>> units, texts = make_units("characters").fit(["a cat"]), ["a cat"]
        >>> rows = word_rows(units, texts, [units.encode(texts[0])])
        >>> rows.words, rows.units
        (['a', 'cat', '</s>'], array([1, 4, 1]))
    """
    words: list[str] = []
    word_of_unit = []
    for text, encoded in zip(texts, ids, strict=True):
        located, offsets = units.locate(text, encoded)
        pattern: re.Pattern[Any] = _BYTES_WORD if isinstance(located, bytes) else _WORD
        found = pattern.findall(located)  # with the white space before each word
        ends = np.cumsum([*map(len, found)])
        word_of_unit.append(np.append(np.searchsorted(ends, offsets), len(found)) + len(words))
        words += [*map(_text, found), END]
    of_unit = np.concatenate(word_of_unit)
    last = np.array([int(of_words[-1]) for of_words in word_of_unit])  # the end of each text
    sizes = np.diff(last, prepend=-1)
    number = np.repeat(np.arange(len(last)), sizes)
    position = np.arange(len(words)) - np.repeat(last + 1 - sizes, sizes)
    targets = np.concatenate([np.append(encoded, BOUNDARY) for encoded in ids])
    unknown = of_unit[targets == UNKNOWN] if units.has_unknown else of_unit[:0]

    first = np.flatnonzero(np.diff(of_unit, prepend=-1))  # the first unit of each word that has units
    after = of_unit[first]
    is_line = np.array([word == LINE for word in words])
    ended = (position[after] > 0) & ~is_line[after - 1] & units.follows_word[targets[first]]
    counts, unknown_counts = (np.bincount(part, minlength=len(words)) for part in (of_unit, unknown))
    return WordRows(words, number, position, counts, unknown_counts, of_unit, first[ended])


def _text(word: str | bytes) -> str:
    """Return a word without the white space before it."""
    text = word.decode(errors="replace") if isinstance(word, bytes) else word
    return text.lstrip(SPACES) or LINE
