"""Rows that a hidden Markov model makes."""

import numpy as np

from elman.classical.hmm.chain import log_transition
from elman.classical.hmm.em import Model
from elman.rows import Rows


def draw(
    model: Model, rows: Rows, rng: np.random.Generator, driving: np.ndarray | None, u: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Observations [N, ...] and states [N]: the states of all rows in time, then what they say.

    Args:
        driving: [N, U] where transitions are driven. u: [N, U] where anything is.
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
    """[N] places in distributions [N, K], one for each number in [0, 1); never one of probability zero."""
    edges = probs.cumsum(1)
    return (uniforms[:, None] * edges[:, -1:] >= edges).sum(1)
