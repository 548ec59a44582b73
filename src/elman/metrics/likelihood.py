"""How well a model predicts a text, in measures that can be compared across units."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Likelihood:
    """The negative log-probability of a text, and what it is shared among.

    `nats_per_character` and `bits_per_character` share the whole text's nats among its characters, whatever the units
    of the model, so that models of bytes, characters, words and BPE can be compared; `perplexity` is per unit.
    """

    nats: float  # of all units, the ends of the documents included
    units: int  # what was predicted, the ends of the documents included
    characters: int  # of the text
    unknown: int = 0  # of the units, how many the model has no name for and knows as <unk> only

    @property
    def nats_per_character(self) -> float:
        return self.nats / self.characters

    @property
    def bits_per_character(self) -> float:
        return self.nats_per_character / math.log(2)

    @property
    def nats_per_unit(self) -> float:
        return self.nats / self.units

    @property
    def perplexity(self) -> float:
        """exp(nats per unit): as if choosing among this many equally likely units; infinite where that overflows."""
        return math.exp(self.nats_per_unit) if self.nats_per_unit < 700 else math.inf
