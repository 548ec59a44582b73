"""Sampling rows from a hidden Markov model."""

import numpy as np

from elman.classical.hmm.chain import log_transition
from elman.classical.hmm.em import Model
from elman.rows import Rows


def draw(
    model: Model, rows: Rows, rng: np.random.Generator, driving: np.ndarray | None, u: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Draw observations [N, ...] and states [N]: first the states of all rows, then the observations.

    Args:
        driving: [N, U] if transitions are driven, else None. u: [N, U] if transitions or emissions are driven.
    """
    states = np.zeros(rows.num_steps, np.int64)
    uniforms = rng.random(rows.num_steps)
    for time in range(int(rows.lengths.max(initial=0))):
        now = rows.offsets[:-1][rows.lengths > time] + time
        if time == 0:
            probs = np.tile(model.chain.start, (len(now), 1))
        elif driving is None:
            probs = model.chain.transition[states[now - 1]]
        else:
            moves = np.exp(log_transition(model.chain, driving[now - 1]))
            probs = moves[np.arange(len(now)), states[now - 1]]
        states[now] = choose(probs, uniforms[now])
    return model.emission.sample(states, rng, u), states


def choose(probs: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
    """Return one index per distribution [N, K] from uniform numbers in [0, 1); never one of probability zero."""
    cumulative = probs.cumsum(1)
    return (uniforms[:, None] * cumulative[:, -1:] >= cumulative).sum(1)
