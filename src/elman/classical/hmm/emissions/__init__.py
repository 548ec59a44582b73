"""Emission distributions of HMMs, one per file."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from elman.classical.hmm.emissions.categorical import Categorical
from elman.classical.hmm.emissions.emission import DEAD, Emission
from elman.classical.hmm.emissions.gaussian import Gaussian
from elman.classical.hmm.emissions.mixture import GaussianMixture
from elman.classical.hmm.emissions.poisson import Poisson
from elman.classical.hmm.emissions.words import Words
from elman.declared_types import check_arguments, field
from elman.nearest import did_you_mean

EMISSIONS: dict[str, type[Emission]] = {
    kind.__name__: kind for kind in (Categorical, Gaussian, GaussianMixture, Poisson, Words)
}


def make_emission(stored: Mapping[str, Any]) -> Emission:
    """Return an emission without parameters from its kind and settings, as a model file stores them.

    Raises:
        TypeError, ValueError: the name or a setting is unknown or wrong.
    """
    settings = dict(stored)
    kind = field(settings, "kind", str)
    del settings["kind"]
    if kind not in EMISSIONS:
        raise ValueError(f"HMM: expected an emission that is one of {', '.join(EMISSIONS)}, got {kind!r}"
                         f"{did_you_mean(kind, EMISSIONS)}")  # fmt: skip
    check_arguments(EMISSIONS[kind], settings)
    return EMISSIONS[kind](**settings)


def split_arrays(arrays: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the arrays of the chain of states, and those of the emission, in a model file."""
    own = {name: array for name, array in arrays.items() if name.startswith("emission.")}
    chain = {name: array for name, array in arrays.items() if name not in own}
    return chain, {name.removeprefix("emission."): array for name, array in own.items()}


__all__ = ["DEAD", "EMISSIONS", "Categorical", "Emission", "Gaussian", "GaussianMixture", "Poisson", "Words",
           "make_emission", "split_arrays"]  # fmt: skip
