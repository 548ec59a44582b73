"""The words of sentences as a tagger reads them: a number, a spelling, and what else is given of each."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from elman.sequences import Sequences

DIGIT = re.compile(r"\d")
UNKNOWN = 0  # word, character or given tag that training has not seen


class Tokens(NamedTuple):
    """The words of a batch."""

    word: Any  # [N] int64
    spelling: Any  # [N] int64, row of the word in the `Spelled.characters` that belong to the batch
    given: Any  # [N, E] int64


class Spelled(NamedTuple):
    """Sentences and how their different words are spelled: each once, however often it occurs."""

    tokens: Sequences  # of Tokens
    characters: Sequences  # a row a different word, ids [M]

    def select(self, rows: np.ndarray) -> "Spelled":
        """Some of the sentences, with the spellings that they need."""
        tokens = self.tokens.select(rows)
        word, spelling, given = tokens.values
        different, places = np.unique(spelling, return_inverse=True)
        return Spelled(Sequences(Tokens(word, places, given), tokens.lengths), self.characters.select(different))


class Words:
    """The vocabularies of words, characters and given tags. Id 0 is what training has not seen, or seldom.

    Words are looked up in lower case and with every digit as 0; the characters keep case and digits.

    Args:
        min_count: a word that training has fewer times has no number of its own, only its spelling.
    """

    def __init__(self, min_count: int = 1):
        self.min_count = min_count

    def fit(self, rows: Sequence[Sequence[Any]]) -> Self:
        words, characters = Counter[str](), Counter[str]()
        widths = {len(self._columns(token)) for row in rows for token in row}
        if len(widths) > 1:
            got = sorted(width - 1 for width in widths)
            raise ValueError(f"words: expected the same columns beside every word, got {got} of them.")
        if not widths:
            raise ValueError("words: expected rows with words, got rows that are all empty.")
        given: list[set[str]] = [set() for _ in range(widths.pop() - 1)]
        for row in rows:
            for token in row:
                word, *others = self._columns(token)
                words[_folded(word)] += 1
                characters.update(word)
                for tags, other in zip(given, others, strict=True):
                    tags.add(other)
        kept = sorted((word for word, count in words.items() if count >= self.min_count), key=lambda w: (-words[w], w))
        return self._set(kept, [words[word] for word in kept], sorted(characters), [sorted(tags) for tags in given])

    def _set(self, words: list[str], counts: list[int], characters: list[str], given: list[list[str]]) -> Self:
        self.words, self.counts, self.characters, self.given = words, counts, characters, given
        self._word_ids = {word: number for number, word in enumerate(words, 1)}
        self._character_ids = {character: number for number, character in enumerate(characters, 1)}
        self._given_ids = [{tag: number for number, tag in enumerate(tags, 1)} for tags in given]
        return self

    @property
    def sizes(self) -> tuple[int, int, list[int]]:
        """Ids of words, of characters, and of each kind of given tags."""
        return len(self.words) + 1, len(self.characters) + 1, [len(tags) + 1 for tags in self.given]

    def encode(self, rows: Sequence[Sequence[Any]]) -> Spelled:
        """Sentences, each a list of words, or of tuples of a word and what is given of it.

        Raises:
            TypeError, ValueError: a sentence that is a text, a word that is none, another number of columns.
        """
        spellings: dict[str, int] = {}
        word, spelling, given = [], [], []
        for number, row in enumerate(rows):
            if isinstance(row, str | bytes):
                raise TypeError(f"row {number}: expected a list of words, got a text; split it into words first.")
            for token in row:
                form, *others = self._columns(token)
                if not isinstance(form, str):
                    raise TypeError(f"row {number}: expected words, got {type(form).__name__} {form!r}.")
                if len(others) != len(self.given):
                    raise ValueError(f"row {number}: expected {len(self.given)} columns beside a word, as in training, "
                                     f"got {len(others)} at {form!r}.")  # fmt: skip
                word.append(self._word_ids.get(_folded(form), UNKNOWN))
                spelling.append(spellings.setdefault(form, len(spellings)))
                given.append([ids.get(tag, UNKNOWN) for ids, tag in zip(self._given_ids, others, strict=True)])
        tokens = Tokens(np.array(word, np.int64), np.array(spelling, np.int64),
                        np.array(given, np.int64).reshape(len(word), len(self.given)))  # fmt: skip
        ids = [self._character_ids.get(character, UNKNOWN) for form in spellings for character in form]
        characters = Sequences(np.array(ids, np.int64), [*map(len, spellings)])
        return Spelled(Sequences(tokens, [*map(len, rows)]), characters)

    def to_json(self) -> dict[str, Any]:
        return {"words": self.words, "counts": self.counts, "characters": self.characters, "given": self.given}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        return cls()._set(data["words"], data["counts"], data["characters"], data["given"])

    @staticmethod
    def _columns(token: Any) -> tuple[Any, ...]:
        return token if isinstance(token, tuple) else (token,)


def _folded(word: Any) -> str:
    return DIGIT.sub("0", word.lower()) if isinstance(word, str) else word
