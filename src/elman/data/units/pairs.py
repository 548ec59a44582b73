"""Units of both sides of a translator: texts to numbers, and numbers back to text."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from elman.data.units import UNKNOWN, Units, units_from_json
from elman.declared_types import Record, field
from elman.representation import call, complete
from elman.sequences import Sequences

BLANK_BEFORE = "bpe", "words"  # units whose texts begin with a blank; for characters, it would be one more unit


class PairUnits:
    """Units of sources and of targets.

    Args:
        source, target: the units; one object if both sides share a vocabulary.
        lowercase: convert all texts to lower case.
    """

    def __init__(self, source: Units, target: Units, lowercase: bool = False):
        self.source, self.target, self.lowercase = source, target, lowercase

    @complete
    def __repr__(self) -> str:
        return call("PairUnits", repr(self.source), "shared" if self.shared else repr(self.target))

    @property
    def shared(self) -> bool:
        """Whether both sides share a vocabulary."""
        return self.source is self.target

    def fit(self, sources: Sequence[str], targets: Sequence[str]) -> Self:
        """Fit the vocabularies."""
        read, written = (list(map(self.spaced, texts)) for texts in (sources, targets))
        if self.shared:
            self.source.fit([*read, *written])
        else:
            self.source.fit(read)
            self.target.fit(written)
        return self

    def spaced(self, text: str) -> str:
        """Return a text with a blank before every word, so that the first word has the same units as any other."""
        text = " ".join(["", *text.split()])
        return text.lower() if self.lowercase else text

    def words(self, text: str) -> list[str]:
        """Return the words of a text, as they are read."""
        return self.spaced(text).split()

    def encode_sources(self, texts: Sequence[str]) -> Sequences:
        """Return sources as numbers of units."""
        return self._encoded(self.source, texts)

    def encode_targets(self, texts: Sequence[str]) -> Sequences:
        """Return targets as numbers of units, without the boundary."""
        return self._encoded(self.target, texts)

    def decode(self, ids: np.ndarray) -> str:
        """Return the text of written units."""
        return self.target.decode(ids).strip()

    def decode_copying(self, ids: np.ndarray, text: str, attention: np.ndarray) -> str:
        """Return the text of written words, with each `<unk>` replaced by the source word with the largest weight.

        Args:
            ids: the written words.
            text: the source.
            attention: attention weights, [T, S] or [T + 1, S].
        """
        words = self.words(text)
        parts = zip(ids.tolist(), attention, strict=False)  # a further row of weights is that of the end
        return " ".join(words[int(weights.argmax())] if unit == UNKNOWN else self.target.decode([unit])
                        for unit, weights in parts)  # fmt: skip

    def each_source(self, ids: np.ndarray) -> list[str]:
        """Return the text of each unit of a source."""
        return [self.source.decode([unit]) for unit in ids.tolist()]

    def each_target(self, ids: np.ndarray) -> list[str]:
        """Return the text of each unit of a target."""
        return [self.target.decode([unit]) for unit in ids.tolist()]

    def _encoded(self, units: Units, texts: Sequence[str]) -> Sequences:
        blank = units.name in BLANK_BEFORE
        return units.encode_rows(self.spaced(text) if blank else self.spaced(text)[1:] for text in texts)

    def to_json(self) -> dict[str, Any]:
        """Return all that `from_json` needs, as JSON."""
        sides = {"source_units": self.source.to_json()}
        return sides if self.shared else sides | {"target_units": self.target.to_json()}

    @classmethod
    def from_json(cls, data: dict[str, Any], lowercase: bool) -> Self:
        """Return the fitted units that `to_json` wrote.

        Raises:
            ValueError: a part is missing or wrong.
        """
        source = target = units_from_json(field(data, "source_units", Record))
        if "target_units" in data:
            target = units_from_json(field(data, "target_units", Record))
        return cls(source, target, lowercase)
