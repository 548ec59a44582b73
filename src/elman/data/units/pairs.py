"""The preprocessor of a translator: texts to ids on both sides, and ids back to text."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from elman.data.units import UNKNOWN, Units, units_from_json
from elman.sequences import Sequences


class PairUnits:
    """The units of sources and of targets, which may be the same.

    Args:
        source, target: the units; shared where both are one.
        lowercase: whether texts are read and written in lower case.
    """

    def __init__(self, source: Units, target: Units, lowercase: bool = False):
        self.source, self.target, self.lowercase = source, target, lowercase

    @property
    def shared(self) -> bool:
        """Whether both sides have one vocabulary."""
        return self.source is self.target

    def fit(self, sources: Sequence[str], targets: Sequence[str]) -> Self:
        """Choose the vocabularies."""
        read, written = (list(map(self.spaced, texts)) for texts in (sources, targets))
        if self.shared:
            self.source.fit([*read, *written])
        else:
            self.source.fit(read)
            self.target.fit(written)
        return self

    def spaced(self, text: str) -> str:
        """A text as units are cut from it: a blank before every word, so that the first one looks like any other."""
        text = " ".join(["", *text.split()])
        return text.lower() if self.lowercase else text

    def words(self, text: str) -> list[str]:
        """Its words, as they are read."""
        return self.spaced(text).split()

    def encode_sources(self, texts: Sequence[str]) -> Sequences:
        """Ids of what is read."""
        return self._encoded(self.source, texts)

    def encode_targets(self, texts: Sequence[str]) -> Sequences:
        """Ids of what is written, without the boundary."""
        return self._encoded(self.target, texts)

    def decode(self, ids: np.ndarray) -> str:
        """The text of what was written."""
        return self.target.decode(ids).strip()

    def decode_copying(self, ids: np.ndarray, text: str, attention: np.ndarray) -> str:
        """The same of words, with the word of the source that was looked at most in place of each `<unk>`.

        Args:
            text: the source.
            attention: of each word, how much it looked at each of the source, [T, S].
        """
        words = self.words(text)
        parts = zip(ids.tolist(), attention, strict=False)  # the look behind the last is that of the end
        return " ".join(words[int(look.argmax())] if unit == UNKNOWN else self.target.decode([unit])
                        for unit, look in parts)  # fmt: skip

    def each_source(self, ids: np.ndarray) -> list[str]:
        """The text of each unit that is read."""
        return [self.source.decode([unit]) for unit in ids.tolist()]

    def each_target(self, ids: np.ndarray) -> list[str]:
        """The text of each unit that is written."""
        return [self.target.decode([unit]) for unit in ids.tolist()]

    def _encoded(self, units: Units, texts: Sequence[str]) -> Sequences:
        blank = units.name in ("bpe", "words")  # of characters, a blank would be one more to read
        ids = [units.encode(self.spaced(text) if blank else self.spaced(text)[1:]) for text in texts]
        return Sequences(np.concatenate([np.empty(0, np.int64), *ids]), [len(row) for row in ids])

    def to_json(self) -> dict[str, Any]:
        """All that `from_json` needs, in plain JSON."""
        sides = {"source_units": self.source.to_json()}
        return sides if self.shared else sides | {"target_units": self.target.to_json()}

    @classmethod
    def from_json(cls, data: dict[str, Any], lowercase: bool) -> Self:
        """The fitted units that `to_json` wrote."""
        source = units_from_json(data["source_units"])
        return cls(source, units_from_json(data["target_units"]) if "target_units" in data else source, lowercase)
