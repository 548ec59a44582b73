"""Words of sentences as a tagger reads them: a number, a spelling, and given tags."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from elman.declared_types import field
from elman.errors import RowError, RowTypeError
from elman.representation import brief, brief_fields, call, complete
from elman.sequences import Sequences

DIGIT = re.compile(r"\d")
UNKNOWN = 0  # word, character or given tag that does not occur in the training part


@brief_fields
class Tokens(NamedTuple):
    """Words of a batch."""

    word: Any  # [N] int64
    spelling: Any  # [N] int64, row of `Spelled.characters`
    given: Any  # [N, E] int64


@brief_fields
class Spelled(NamedTuple):
    """Sentences and the spellings of their different words, each once."""

    tokens: Sequences  # of Tokens
    characters: Sequences  # one row per different word, ids [M]

    def select(self, rows: np.ndarray) -> "Spelled":
        """Return some of the sentences, with the spellings that they need."""
        tokens = self.tokens.select(rows)
        word, spelling, given = tokens.values
        different, places = np.unique(spelling, return_inverse=True)
        return Spelled(tokens.with_values(Tokens(word, places, given)), self.characters.select(different))


class Words:
    """Vocabularies of words, characters and given tags. Id 0 is unknown.

    Words are looked up in lower case and with every digit as 0; the characters keep case and digits.

    Args:
        min_count: a word that occurs fewer times in the training part is unknown, and has only its spelling.
    """

    def __init__(self, min_count: int = 1):
        self.min_count = min_count

    @complete
    def __repr__(self) -> str:
        words, characters, given = self.sizes
        sizes = [f"{words:,} words", f"{characters:,} characters", *(f"{size:,} given tags" for size in given)]
        return call("Words", *sizes)

    def fit(self, rows: Sequence[Sequence[Any]]) -> Self:
        """Collect the vocabularies from sentences, each a list of words, or of tuples of a word and given tags.

        Raises:
            TypeError, ValueError: a sentence is a string, a word is not, the words have different numbers of given
                tags, or there are no words.
        """
        tokens = _tokens(rows)
        widths = sorted({len(token) - 1 for token in tokens})
        if len(widths) > 1:
            raise ValueError(f"words: expected the same number of given tags with every word, got {widths}.")
        if not widths:
            raise ValueError("words: expected rows with words, got rows that are all empty.")
        forms, *given = ([token[column] for token in tokens] for column in range(1 + widths[0]))
        words = Counter[str]()
        for form, count in Counter(forms).items():
            words[_folded(form)] += count
        kept = sorted((word for word, count in words.items() if count >= self.min_count), key=lambda w: (-words[w], w))
        characters = sorted({character for form in set(forms) for character in form})
        return self._set(kept, [words[word] for word in kept], characters, [sorted(set(tags)) for tags in given])

    def _set(self, words: list[str], counts: list[int], characters: list[str], given: list[list[str]]) -> Self:
        self.words, self.counts, self.characters, self.given = words, counts, characters, given
        self._word_ids = {word: number for number, word in enumerate(words, 1)}
        self._character_ids = {character: number for number, character in enumerate(characters, 1)}
        self._given_ids = [{tag: number for number, tag in enumerate(tags, 1)} for tags in given]
        return self

    @property
    def sizes(self) -> tuple[int, int, list[int]]:
        """Number of words, of characters, and of each kind of given tags, the unknown one included."""
        return len(self.words) + 1, len(self.characters) + 1, [len(tags) + 1 for tags in self.given]

    def encode(self, rows: Sequence[Sequence[Any]]) -> Spelled:
        """Return sentences as numbers.

        Raises:
            TypeError, ValueError: a sentence is a string, a word is not, or a word has another number of given tags.
        """
        tokens, others = _tokens(rows), len(self.given)
        wrong = next((step for step, token in enumerate(tokens) if len(token) - 1 != others), None)
        if wrong is not None:
            form, *got = tokens[wrong]
            raise RowError(_row_of(wrong, rows), f"expected {others} given tags with every word, as in training, got "
                                                 f"{len(got)} with {form!r}.")  # fmt: skip
        forms, *given = ([token[column] for token in tokens] for column in range(1 + others))
        spellings = {form: number for number, form in enumerate(dict.fromkeys(forms))}
        word = np.array([self._word_ids.get(_folded(form), UNKNOWN) for form in spellings], np.int64)
        spelling = np.array([spellings[form] for form in forms], np.int64)
        tags = [[ids.get(tag, UNKNOWN) for tag in column] for ids, column in zip(self._given_ids, given, strict=True)]
        columns = np.array(tags, np.int64).reshape(others, len(forms)).T.copy()
        ids = [self._character_ids.get(character, UNKNOWN) for form in spellings for character in form]
        characters = Sequences(np.array(ids, np.int64), [*map(len, spellings)])
        return Spelled(Sequences(Tokens(word[spelling], spelling, columns), [*map(len, rows)]), characters)

    def to_json(self) -> dict[str, Any]:
        """Return all that `from_json` needs, as JSON."""
        return {"words": self.words, "counts": self.counts, "characters": self.characters, "given": self.given}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Return the vocabularies that `to_json` wrote.

        Raises:
            ValueError: a part is missing or of another type.
        """
        words, counts = field(data, "words", list[str]), field(data, "counts", list[int])
        if len(words) != len(counts):
            raise ValueError(f"words: expected a count of each of {len(words)} words, got {len(counts)}.")
        return cls()._set(words, counts, field(data, "characters", list[str]), field(data, "given", list[list[str]]))


def _tokens(rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """Return the words of all sentences, each with its given tags.

    Raises:
        TypeError: a sentence is not a list of words, or a word is not a string.
    """
    text = next((number for number, row in enumerate(rows) if isinstance(row, str | bytes)), None)
    if text is not None:
        raise RowTypeError(text, "expected a list of words, got a string; split it with elman.data.tokenizer.tokenize.")
    for number, row in enumerate(rows):
        if not hasattr(row, "__len__") or getattr(row, "ndim", 1) == 0:
            raise RowTypeError(number, f"expected a list of words, got {brief(row)}.")
    tokens = [token if isinstance(token, tuple) else (token,) for row in rows for token in row]
    for step, token in enumerate(tokens):
        if not token or not isinstance(token[0], str):
            form = token[0] if token else token
            raise RowTypeError(_row_of(step, rows), f"expected words, got {type(form).__name__} {brief(form)}.")
    return tokens


def _row_of(step: int, rows: Sequence[Sequence[Any]]) -> int:
    """Return the row of a step, counted over all rows."""
    return int(np.searchsorted(np.cumsum([*map(len, rows)]), step, side="right"))


def _folded(word: str) -> str:
    return DIGIT.sub("0", word.lower())
