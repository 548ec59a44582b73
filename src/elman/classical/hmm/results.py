"""Results of an HMM."""

from typing import NamedTuple

import numpy as np

from elman.classical.forecast import Forecast
from elman.html_tables import html_table
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

    def _repr_html_(self) -> str:
        """Return a table of the state probabilities at each step of the first row, for notebooks."""
        size = self.probs.shape[-1]
        rows = [[step, *probs] for step, probs in enumerate(self.probs[:1].reshape(-1, size).tolist(), 1)]
        return html_table(f"{self!r}, row 0", rows, ["step", *(f"state {state}" for state in range(size))])


@brief_fields
class Sample(NamedTuple):
    """Rows drawn from a model."""

    observations: Sequences  # in the form that `fit` reads
    states: np.ndarray  # [N] int64
