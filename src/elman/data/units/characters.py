"""Characters (Unicode code points) of the training text as units; all others are `<unk>`."""

from collections import Counter
from collections.abc import Iterable
from typing import Any, Self

import numpy as np

from elman.data.units.base import UNKNOWN, Units, Unknown, check_documents, check_limits, check_text, most_frequent
from elman.data.units.decoders import CharacterDecoder
from elman.declared_types import field

CHUNK = 1 << 20  # characters looked up at once, so that a long text is not copied as a whole


class Characters(Units):
    """Character units: ids 0 `<doc>`, 1 `<unk>` (decoded as U+FFFD), then the characters, most frequent first.

    Args:
        vocabulary_size: upper bound of the number of ids, including the two special ones; None for no limit.
        min_count: characters that occur fewer times are `<unk>`.
    """

    name = "characters"
    has_unknown = True

    def __init__(self, vocabulary_size: int | None = None, min_count: int = 1):
        check_limits("units=characters", vocabulary_size, min_count)
        self.vocabulary_size, self.min_count = vocabulary_size, min_count
        self._set("")

    def _set(self, vocabulary: str) -> None:
        self.vocabulary = vocabulary
        self.ids = np.full(0x110000, UNKNOWN, np.int32)  # id of every code point
        self.ids[_code_points(vocabulary)] = np.arange(len(vocabulary)) + 2

    @property
    def size(self) -> int:
        return len(self.vocabulary) + 2

    def fit(self, documents: Iterable[str]) -> Self:
        counts: Counter[str] = Counter()
        for text in check_documents("units=characters", documents):
            counts.update(text)
        vocabulary = most_frequent(counts, self.vocabulary_size, self.min_count)
        if not vocabulary:
            raise ValueError(f"units=characters: expected a character that occurs {self.min_count} times or more, "
                             f"got {counts.total()} characters; give more text, or lower min_count.")  # fmt: skip
        self._set("".join(vocabulary))
        return self

    def encode(self, text: str) -> np.ndarray:
        check_text("units=characters", text)
        ids = np.empty(len(text), np.int64)
        for start in range(0, len(text), CHUNK):
            ids[start : start + CHUNK] = self.ids[_code_points(text[start : start + CHUNK])]
        return ids

    def decoder(self) -> CharacterDecoder:
        return CharacterDecoder(["", "\ufffd", *self.vocabulary])

    def locate(self, text: str, ids: np.ndarray) -> tuple[str, np.ndarray]:
        return text, np.arange(1, len(text) + 1)

    def unknown(self, text: str) -> Unknown | None:
        offsets = np.flatnonzero(self.encode(text) == UNKNOWN)
        return Unknown("character", text[offsets[0]], int(offsets[0])) if len(offsets) else None

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "vocabulary": self.vocabulary}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        units = cls()
        units._set(field(data, "vocabulary", str))
        return units


def _code_points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le"), np.uint32)
