"""Emission distributions of HMMs, one per file."""

from typing import Any

from elman.classical.hmm.emissions.categorical import Categorical
from elman.classical.hmm.emissions.emission import DEAD, Emission
from elman.classical.hmm.emissions.gaussian import Gaussian
from elman.classical.hmm.emissions.mixture import GaussianMixture
from elman.classical.hmm.emissions.poisson import Poisson
from elman.classical.hmm.emissions.words import Words
from elman.nearest import did_you_mean

EMISSIONS: dict[str, type[Emission]] = {
    kind.__name__: kind for kind in (Categorical, Gaussian, GaussianMixture, Poisson, Words)
}


def make_emission(kind: str, **settings: Any) -> Emission:
    """Return the emission with this name, as stored in a model file."""
    if kind not in EMISSIONS:
        raise ValueError(f"HMM: expected an emission that is one of {', '.join(EMISSIONS)}, got {kind!r}"
                         f"{did_you_mean(kind, EMISSIONS)}")  # fmt: skip
    return EMISSIONS[kind](**settings)


__all__ = ["DEAD", "EMISSIONS", "Categorical", "Emission", "Gaussian", "GaussianMixture", "Poisson", "Words",
           "make_emission"]  # fmt: skip
