"""What an HMM answers."""

from typing import NamedTuple

import numpy as np

from elman.sequences import Sequences


class Filtered(NamedTuple):
    """What a step tells."""

    probs: np.ndarray  # [B, K] of the states, given the observations up to here
    log_prob: np.ndarray  # [B] of this observation, given those before


class Decoded(NamedTuple):
    """The states that explain rows."""

    states: Sequences  # [N] int64; [N, k] of the k best paths, best first, -1 where a row has fewer
    log_prob: np.ndarray  # [B] of a row's observations and its path together; [B, k]


class Sample(NamedTuple):
    """Rows that a model made."""

    observations: Sequences  # as `fit` takes them
    states: np.ndarray  # [N] int64
