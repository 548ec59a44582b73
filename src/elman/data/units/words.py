"""Words (separated by white space) and line ends as units; rare words are `<unk>`."""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any, Self

import numpy as np

from elman.data.units.base import UNKNOWN, Units, Unknown, check_documents, check_limits, check_text, most_frequent
from elman.data.units.decoders import WordDecoder
from elman.declared_types import field

WORD = re.compile(r"\n|\S+")


class Words(Units):
    r"""Word units: ids 0 `<doc>`, 1 `<unk>`, then the words, most frequent first.

    The end of a line is the unit `\n`, which is `<eos>` in the Penn Treebank. A `<unk>` in the text is read as the
    unknown word. `decode` joins words by single blanks.

    Args:
        vocabulary_size: upper bound of the number of ids, including the two special ones; None for no limit.
        min_count: words that occur fewer times are `<unk>`. With 1, training never sees `<unk>` and cannot learn it.
    """

    name = "words"
    has_unknown = True

    def __init__(self, vocabulary_size: int | None = 20_000, min_count: int = 2):
        check_limits("units=words", vocabulary_size, min_count)
        self.vocabulary_size, self.min_count = vocabulary_size, min_count
        self._set([])

    def _set(self, vocabulary: list[str]) -> None:
        self.vocabulary = vocabulary
        self.ids = {word: i for i, word in enumerate(vocabulary, 2)} | {"<unk>": UNKNOWN}

    @property
    def size(self) -> int:
        return len(self.vocabulary) + 2

    def fit(self, documents: Iterable[str]) -> Self:
        counts: Counter[str] = Counter()
        for text in check_documents("units=words", documents):
            counts.update(match.group() for match in WORD.finditer(text))
        counts.pop("<unk>", None)
        vocabulary = most_frequent(counts, self.vocabulary_size, self.min_count)
        if not vocabulary:
            raise ValueError(f"units=words: expected a word that occurs {self.min_count} times or more, "
                             f"got {counts.total()} words; give more text, or lower min_count.")  # fmt: skip
        self._set(vocabulary)
        return self

    def encode(self, text: str) -> np.ndarray:
        check_text("units=words", text)
        return np.fromiter((self.ids.get(match.group(), UNKNOWN) for match in WORD.finditer(text)), np.int64)

    def decoder(self) -> WordDecoder:
        return WordDecoder(["", "<unk>", *self.vocabulary])

    @property
    def follows_word(self) -> np.ndarray:
        return np.ones(self.size, bool)  # a unit is a word

    def locate(self, text: str, ids: np.ndarray) -> tuple[str, np.ndarray]:
        return text, np.fromiter((match.end() for match in WORD.finditer(text)), np.int64)

    def unknown(self, text: str) -> Unknown | None:
        for match in WORD.finditer(text):
            if match.group() not in self.ids:
                return Unknown("word", match.group(), match.start())
        return None

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "vocabulary": self.vocabulary}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        units = cls()
        units._set(field(data, "vocabulary", list[str]))
        return units
