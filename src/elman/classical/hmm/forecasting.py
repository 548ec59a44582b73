"""Forecasts of an HMM, in closed form: powers of the transitions, and the moments of a mixture of states."""

import numpy as np

from elman.classical.forecast import Forecast, mixture_moments
from elman.classical.hmm.chain import Chain, driven
from elman.classical.hmm.emissions.emission import Emission
from elman.classical.hmm.results import StateForecast


def forecast(chain: Chain, emission: Emission, state: np.ndarray, steps: int, u: np.ndarray | None) -> StateForecast:
    """Return the forecast of the next steps.

    Args:
        state: [B, K] probabilities of the states at the first of these steps.
        u: [B, S, U] driving input; None for a model without one.
    """
    probs = np.empty((len(state), steps, len(chain.start)))
    for step in range(steps):
        probs[:, step] = state
        if chain.weights is None or u is None:
            state = state @ chain.transition
        else:
            state = np.einsum("bi,bij->bj", state, np.exp(driven(chain.weights, u[:, step])))
    moments = emission.moments(u if emission.drive_size else None)
    return StateForecast(probs, None if moments is None else Forecast(*mixture_moments(probs, *moments)))
