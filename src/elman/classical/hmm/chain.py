"""The hidden Markov chain: start and transition probabilities."""

from typing import NamedTuple

import numpy as np

from elman.classical.special import log_softmax
from elman.rows import Rows
from elman.sequences import Sequences


class Chain(NamedTuple):
    """Start and transition probabilities of an HMM."""

    start: np.ndarray  # [K]
    transition: np.ndarray  # [K, K] from, to; with a driving input, for an input of zero
    weights: np.ndarray | None = None  # [K, K, 1 + U]: the transition is softmax(weights (1, u)) over `to`


def log(probs: np.ndarray) -> np.ndarray:
    """Return the logarithm of probabilities, -inf for zero."""
    with np.errstate(divide="ignore"):
        return np.log(probs)


def log_transition(chain: Chain, u: np.ndarray | None) -> np.ndarray:
    """Return log transitions [K, K]; with a driving input [N, U], [N, K, K]."""
    if chain.weights is None or u is None:
        return log(chain.transition)
    return driven(chain.weights, u)


def driven(weights: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Return log softmax(b + W u) over the last axis, [N, K, K], for weights [K, K, 1 + U] and u [N, U]."""
    logits = np.tensordot(u, weights[:, :, 1:], axes=(1, 2)) + weights[:, :, 0]
    return log_softmax(logits)


def stationary(transition: np.ndarray) -> np.ndarray | None:
    """Return the stationary distribution [K] of a transition matrix; None if there are several."""
    size = len(transition)
    system = np.vstack([transition.T - np.eye(size), np.ones(size)])
    solution, _, rank, _ = np.linalg.lstsq(system, np.append(np.zeros(size), 1.0), rcond=1e-13)
    if rank < size:
        return None
    solution = np.maximum(solution, 0.0)
    return solution / solution.sum()


def path_log_prob(chain: Chain, scores: np.ndarray, u: np.ndarray | None, sequences: Sequences,
                  states: np.ndarray) -> np.ndarray:  # fmt: skip
    """Return the joint log-probability of observations and states of each row, [B]."""
    terms = scores[np.arange(len(states)), states]
    begins = sequences.times == 0
    terms[begins] += log(chain.start)[states[begins]]
    later = np.flatnonzero(~begins)
    before, after = states[later - 1], states[later]
    if u is None:
        terms[later] += log(chain.transition)[before, after]
    else:
        assert chain.weights is not None
        terms[later] += driven(chain.weights, u)[later - 1, before, after]
    sums = np.zeros(len(sequences))
    np.add.at(sums, sequences.rows, terms)
    return sums


def random_chain(num_states: int, rng: np.random.Generator, drive_size: int | None = None) -> Chain:
    """Return a random chain for EM to start from: a uniform start, and states that tend to stay."""
    transition = 0.5 * np.eye(num_states) + 0.5 * rng.dirichlet(np.full(num_states, 5.0), size=num_states)
    start = np.full(num_states, 1 / num_states)
    if drive_size is None:
        return Chain(start, transition)
    slopes = 0.1 * rng.standard_normal((num_states, num_states, drive_size))
    return Chain(start, transition, np.concatenate([np.log(transition)[:, :, None], slopes], axis=2))


def sample_states(chain: Chain, rows: Rows, rng: np.random.Generator, u: np.ndarray | None) -> np.ndarray:
    """Draw the states [N] of rows; `u` [N, U] if transitions are driven."""
    states = np.zeros(rows.num_steps, np.int64)
    uniforms = rng.random(rows.num_steps)
    for time in range(int(rows.lengths.max(initial=0))):
        now = rows.offsets[:-1][rows.lengths > time] + time
        if time == 0:
            probs = np.tile(chain.start, (len(now), 1))
        elif u is None:
            probs = chain.transition[states[now - 1]]
        else:
            probs = np.exp(log_transition(chain, u[now - 1]))[np.arange(len(now)), states[now - 1]]
        cumulative = probs.cumsum(1)  # scaled by its last entry, so that no state of probability zero is drawn
        states[now] = (uniforms[now][:, None] * cumulative[:, -1:] >= cumulative).sum(1)
    return states
