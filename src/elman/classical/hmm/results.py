"""Results of an HMM."""

from typing import NamedTuple

import numpy as np

from elman.classical.forecast import Forecast
from elman.representation import brief_fields
from elman.sequences import Sequences


@brief_fields
class Filtered(NamedTuple):
    """State probabilities at each step given the observations up to it."""

    probs: np.ndarray  # [B, K]
    log_prob: np.ndarray  # [B] of this observation given the earlier ones


@brief_fields
class Decoded(NamedTuple):
    """Decoded states."""

    states: Sequences  # [N] int64; [N, k] for the k best paths, best first, -1 where a row has fewer
    log_prob: np.ndarray  # [B] of a row's observations and path jointly; [B, k]


@brief_fields
class StateForecast(NamedTuple):
    """Forecast of the next S steps of each row: their states, and the observations, a mixture over the states."""

    probs: np.ndarray  # [B, S, K] of the states
    observations: Forecast | None  # mean [B, S, D] and covariance; None for symbols and words


@brief_fields
class Sample(NamedTuple):
    """Rows drawn from a model."""

    observations: Sequences  # in the form that `fit` reads
    states: np.ndarray  # [N] int64
