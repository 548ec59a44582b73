"""Likelihood of a text, in measures that can be compared across units."""

import math
from dataclasses import dataclass
from typing import Any

from elman.metrics.report import Report


@dataclass(frozen=True, repr=False)
class Likelihood(Report):
    """Negative log-probability of a text, and the numbers of units and characters that it is averaged over.

    `nats_per_character` and `bits_per_character` divide the nats of the whole text by its number of characters for all
    kinds of units, so models of bytes, characters, words and BPE can be compared. `perplexity` is per unit. The mean
    over no characters or no units is NaN.
    """

    nats: float  # of all units, including the ends of documents
    units: int  # predicted units, including the ends of documents
    characters: int  # characters of the text
    unknown: int = 0  # units that are not in the vocabulary (<unk>)

    @property
    def nats_per_character(self) -> float:
        return self.nats / self.characters if self.characters else math.nan

    @property
    def bits_per_character(self) -> float:
        return self.nats_per_character / math.log(2)

    @property
    def nats_per_unit(self) -> float:
        return self.nats / self.units if self.units else math.nan

    @property
    def perplexity(self) -> float:
        """exp(nats per unit): the number of equally likely units with the same loss; infinite on overflow."""
        return math.inf if self.nats_per_unit >= 700 else math.exp(self.nats_per_unit)

    def main_figures(self) -> dict[str, Any]:
        return {"bits per character": self.bits_per_character, "perplexity": self.perplexity, "units": self.units,
                "characters": self.characters, "unknown": self.unknown}  # fmt: skip
