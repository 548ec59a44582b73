"""Byte-pair encoding (Sennrich et al. 2016, arXiv:1508.07909). All bytes are units, so no text is unknown."""

import json
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import chain, islice
from typing import Any, Self

import numpy as np

from elman.data.units.base import Units, check_documents, check_text
from elman.data.units.decoders import ByteDecoder
from elman.data.units.merges import LETTERS, Merges, split_words
from elman.declared_types import field, shown
from elman.optional_packages import needed_by

# The words of `merges.split_words`, as a regular expression of the package tokenizers.
WORD = r"'(?:[sdmt]|ll|ve|re)| ?[\p{L}\p{M}]{1,32}| ?[\p{N}]{1,32}| ?[^\s\p{L}\p{M}\p{N}]{1,32}|\s{1,32}(?!\S)|\s{1,32}"
CHUNK = 1 << 16  # characters that are split into words at once: the tokenizer needs dozens of bytes for each
ENOUGH = 1 << 23  # characters to learn merges from: 50 million of noise took 5 GB and two minutes
BYTES = {letter: byte for byte, letter in LETTERS.items()}


class BPE(Units):
    """Byte-pair units: id 0 `<doc>`, then the 256 bytes, then merged units. `decode(encode(text))` is `text`.

    The merges of a long text are learned from 8 million of its characters, taken evenly, by the package tokenizers.
    Encoding and decoding do not need it.

    Args:
        vocabulary_size: upper bound of the number of ids; merging ends earlier if no pair occurs twice.
    """

    name = "bpe"

    def __init__(self, vocabulary_size: int = 4096):
        if vocabulary_size < 257:
            raise ValueError(f"units=bpe: expected a vocabulary_size of at least 257 (<doc> and 256 bytes), "
                             f"got {vocabulary_size}.")  # fmt: skip
        self.vocabulary_size = vocabulary_size
        self.merges: list[tuple[str, str]] = []

    @cached_property
    def tokens(self) -> list[str]:
        """Vocabulary without the boundary: the token of id i is `tokens[i - 1]`."""
        return list(dict.fromkeys([*sorted(BYTES), *(left + right for left, right in self.merges)]))

    @cached_property
    def spelled(self) -> list[bytes]:
        """Bytes of every id."""
        return [b"", *(bytes(BYTES[letter] for letter in token) for token in self.tokens)]

    @cached_property
    def _words(self) -> Merges:
        """Ids of words."""
        return Merges(self.merges, {token: id for id, token in enumerate(self.tokens, 1)})

    @property
    def size(self) -> int:
        return len(self.tokens) + 1

    def fit(self, documents: Iterable[str]) -> Self:
        texts = list(check_documents("units=bpe", documents))
        largest = len(BYTES) + 4 * sum(map(len, texts))  # each pair shortens the text; memory is reserved for the limit
        tokenizer = _tokenizer(_tokenizers().models.BPE())
        trainer = _tokenizers().trainers.BpeTrainer(
            vocab_size=min(self.vocabulary_size - 1, largest),
            min_frequency=2,
            initial_alphabet=sorted(BYTES),
            show_progress=False,
        )
        chunks = chain.from_iterable(map(_chunks, texts))
        every = -(-sum(map(len, texts)) // ENOUGH) or 1
        tokenizer.train_from_iterator(islice(chunks, 0, None, every), trainer)
        trained = json.loads(tokenizer.to_str())["model"]
        self._set(trained["merges"])
        assert trained["vocab"] == {token: i for i, token in enumerate(self.tokens)}
        return self

    def _set(self, merges: list[list[str]]) -> None:
        self.merges = [(left, right) for left, right in merges]
        for derived in ("tokens", "spelled", "_sizes", "_words"):
            self.__dict__.pop(derived, None)

    def encode(self, text: str) -> np.ndarray:
        check_text("units=bpe", text)
        words = chain.from_iterable(map(split_words, _chunks(text)))
        return np.fromiter(chain.from_iterable(map(self._words.__getitem__, words)), np.int64)

    def locate(self, text: str, ids: np.ndarray) -> tuple[bytes, np.ndarray]:
        return text.encode(), np.cumsum(self._sizes[ids])

    @cached_property
    def _sizes(self) -> np.ndarray:
        """Number of bytes of every id."""
        return np.array([*map(len, self.spelled)])

    def decoder(self) -> ByteDecoder:
        return ByteDecoder(self.spelled)

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "merges": [list(pair) for pair in self.merges]}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        units, known = cls(), set(BYTES)
        merges = field(data, "merges", list[list[str]])
        for merge in merges:
            if len(merge) != 2 or not known.issuperset(merge):
                raise ValueError(f"merges: expected two units that are bytes or earlier merges, got {shown(merge)}.")
            known.add("".join(merge))
        units._set(merges)
        return units


def _chunks(text: str) -> Iterator[str]:
    """Yield the text in chunks, cut before a blank if there is one, where a word begins anyway."""
    start = 0
    while start < len(text):
        stop = start + CHUNK
        if stop < len(text):
            blank = text.rfind(" ", start + 1, stop)
            stop = blank if blank > 0 else stop
        yield text[start:stop]
        start = stop


def _tokenizers() -> Any:
    with needed_by("units=bpe"):
        import tokenizers
    return tokenizers


def _tokenizer(model: Any) -> Any:
    """Return a tokenizer that splits text into words for `model`, without special tokens, which text could contain."""
    library = _tokenizers()
    tokenizer = library.Tokenizer(model)
    cut = library.pre_tokenizers
    tokenizer.pre_tokenizer = cut.Sequence(
        [
            cut.Split(library.Regex(WORD), "isolated"),
            cut.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    return tokenizer
