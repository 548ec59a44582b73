"""Fitting of an HMM to rows with known states, by counting."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from elman.classical.checks import array_of
from elman.classical.hmm import chain_steps, em
from elman.classical.hmm.chain import Chain, path_log_prob
from elman.classical.hmm.em import Expected, Model, Problem
from elman.classical.hmm.emissions import Emission
from elman.sequences import Sequences
from elman.shapes import check


def labels_of(where: str, rows: Sequences, labels: Sequences | Iterable[Any]) -> np.ndarray:
    """Return one label per step [N], from Sequences, a list of rows of labels, or an array [N].

    Raises:
        ValueError: the numbers of labels and of steps differ.
    """
    if not isinstance(labels, Sequences | np.ndarray):
        labels = list(labels)
        if any(not isinstance(row, str) and np.ndim(row) for row in labels):
            full = [array_of(where, "labels", row) for row in labels if len(row)]
            values = np.concatenate(full) if full else np.zeros(0, np.int64)
            labels = Sequences(values, [len(row) for row in labels])
    if not isinstance(labels, Sequences):
        values = array_of(where, "labels", labels)
        check(where, "labels", values, f"N={rows.num_steps}")
        return values
    if len(labels) != len(rows):
        raise ValueError(f"{where}: expected labels for {len(rows)} rows, got {len(labels)}.")
    wrong = labels.lengths != rows.lengths
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(f"{where}: expected a label for each of the {rows.lengths[row]} steps of row {row}, got "
                         f"{labels.lengths[row]}.")  # fmt: skip
    check(where, "labels", labels.values, "N")
    return labels.values


def fit(
    where: str, problem: Problem, emission: Emission, states: np.ndarray, num_states: int, rng: np.random.Generator,
    max_iterations: int, tolerance: float,
) -> Model:  # fmt: skip
    """Return the most probable parameters given observations, states [N] and priors.

    Counts determine most of them. A stationary start, driven transitions and mixtures need iterations, as in EM, until
    one gains less than `tolerance` nats per step.

    Raises:
        ValueError: a state never occurs.
    """
    seen = np.bincount(states, minlength=num_states)
    if not seen.all():
        raise ValueError(f"{where}: expected every state from 0 to {num_states - 1} to occur, got no step in state "
                         f"{int(np.argmin(seen))}; lower num_states, or give more rows.")  # fmt: skip
    posterior = np.eye(num_states)[states]
    chain = Chain(np.full(num_states, 1 / num_states), np.full((num_states, num_states), 1 / num_states))
    if problem.u is not None:
        chain = chain._replace(weights=np.zeros((num_states, num_states, 1 + problem.u.shape[1])))
    fitted = emission.from_states(where, problem.data, posterior, rng)
    expected = Expected(0.0, posterior, transition_counts(problem, states, num_states))
    scores, before = np.zeros_like(posterior), -np.inf  # the chain's probability alone
    for _ in range(max(max_iterations, 1)):
        chain = em.chain_step(problem, chain, expected)
        paths = path_log_prob(chain, scores, problem.u, problem.rows, states)
        now = float(paths.sum()) + chain_steps.log_prior(chain, problem.prior, problem.stationary)
        if not now - before > tolerance * len(states):
            break
        before = now
    return Model(chain, fitted)


def transition_counts(problem: Problem, states: np.ndarray, num_states: int) -> np.ndarray:
    """Return counts of transitions within rows, [K, K]; [N, K, K] if they are driven."""
    after = np.flatnonzero(problem.rows.times > 0)
    pairs = (states[after - 1], states[after])
    if problem.u is not None:
        each = np.zeros((len(states), num_states, num_states))
        each[(after - 1, *pairs)] = 1.0
        return each
    counts = np.zeros((num_states, num_states))
    np.add.at(counts, pairs, 1.0)
    return counts
