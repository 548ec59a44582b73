"""How a hidden state moves: where it starts, and where it goes next."""

from typing import NamedTuple

import numpy as np
from scipy.special import log_softmax

from elman.sequences import Sequences


class Chain(NamedTuple):
    """The hidden part of an HMM."""

    start: np.ndarray  # [K]
    transition: np.ndarray  # [K, K] from, to; with a driving input, that of an input of zero
    weights: np.ndarray | None = None  # [K, K, 1 + U]: the transition is softmax(weights (1, u)) over `to`


def log(probs: np.ndarray) -> np.ndarray:
    """Of probabilities, -inf of zero."""
    with np.errstate(divide="ignore"):
        return np.log(probs)


def log_transition(chain: Chain, u: np.ndarray | None) -> np.ndarray:
    """[K, K]; with a driving input [N, U], [N, K, K]."""
    if chain.weights is None or u is None:
        return log(chain.transition)
    return driven(chain.weights, u)


def driven(weights: np.ndarray, u: np.ndarray) -> np.ndarray:
    """[N, K, K] logarithms of softmax(b + W u) over the last axis: weights [K, K, 1 + U], u [N, U]."""
    logits = np.tensordot(u, weights[:, :, 1:], axes=(1, 2)) + weights[:, :, 0]
    return log_softmax(logits, axis=2)


def stationary(transition: np.ndarray) -> np.ndarray | None:
    """[K] the distribution that a transition keeps; None where there are several."""
    size = len(transition)
    system = np.vstack([transition.T - np.eye(size), np.ones(size)])
    solution, _, rank, _ = np.linalg.lstsq(system, np.append(np.zeros(size), 1.0), rcond=1e-13)
    if rank < size:
        return None
    solution = np.maximum(solution, 0.0)
    return solution / solution.sum()


def path_log_prob(chain: Chain, scores: np.ndarray, u: np.ndarray | None, sequences: Sequences,
                  states: np.ndarray) -> np.ndarray:  # fmt: skip
    """[B] of observations and states together."""
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
    """For EM to start from: every state may start, and rather stays than moves."""
    transition = 0.5 * np.eye(num_states) + 0.5 * rng.dirichlet(np.full(num_states, 5.0), size=num_states)
    start = np.full(num_states, 1 / num_states)
    if drive_size is None:
        return Chain(start, transition)
    slopes = 0.1 * rng.standard_normal((num_states, num_states, drive_size))
    return Chain(start, transition, np.concatenate([np.log(transition)[:, :, None], slopes], axis=2))
