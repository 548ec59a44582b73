"""Reference implementation of `semiring_scan` in logarithms, all rows of one time step together."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from elman.sequences import Sequences


class Chain(NamedTuple):
    """Checked arguments: rows of steps, each in one of K states."""

    log_start: np.ndarray  # [B, K]
    log_transition: np.ndarray  # [M, K, K], or [N, K, K] with `per_step`
    sequences: Sequences  # scores [N, K]
    model: np.ndarray  # [B]
    per_step: bool

    @property
    def scores(self) -> np.ndarray:
        """Log-weights of the states at each step, [N, K]."""
        return self.sequences.values

    def leaving(self, steps: np.ndarray) -> np.ndarray:
        """Return the log-transitions after `steps`, [len(steps), K, K], or [1, K, K] if all are equal."""
        if self.per_step:
            return self.log_transition[steps]
        rows = self.sequences.rows[steps]
        return self.log_transition if len(self.log_transition) == 1 else self.log_transition[self.model[rows]]

    def times(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the rows that have a step at each time, and those steps; rows only drop out at the end of the list."""
        plan, done = self.sequences.plan, 0
        for alive in plan.alive:
            yield plan.longest_first[:alive], plan.by_time[done : done + alive]
            done += alive

    @property
    def ends(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows that are not empty, and their last steps."""
        rows = np.flatnonzero(self.sequences.lengths)
        return rows, self.sequences.offsets[1:][rows] - 1


def log_sum(x: np.ndarray, axis: int) -> np.ndarray:
    """Return log(sum(exp(x))) along an axis, -inf where all x are."""
    top = x.max(axis, keepdims=True)
    top = np.where(top == -np.inf, 0.0, top)
    with np.errstate(divide="ignore"):
        return np.log(np.exp(x - top).sum(axis)) + np.squeeze(top, axis)


def forward(chain: Chain) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return log-probabilities of filtered states [N, K], of steps [N] and of the states after the rows [B, K]."""
    log_filtered, log_prob = np.empty_like(chain.scores), np.empty(len(chain.scores))
    before = np.empty(0, np.int64)
    for rows, steps in chain.times():
        if len(before):
            came = before[: len(rows)]
            joint = log_sum(log_filtered[came][:, :, None] + chain.leaving(came), axis=1) + chain.scores[steps]
        else:
            joint = chain.log_start[rows] + chain.scores[steps]
        total = log_sum(joint, axis=1)
        log_prob[steps] = total
        log_filtered[steps] = joint - np.where(total == -np.inf, 0.0, total)[:, None]
        before = steps
    log_last = chain.log_start.copy()
    rows, ends = chain.ends
    if len(ends):
        log_last[rows] = log_sum(log_filtered[ends][:, :, None] + chain.leaving(ends), axis=1)
    return log_filtered, log_prob, log_last


def row_sums(chain: Chain, values: np.ndarray) -> np.ndarray:
    """Return the sum of values [N] over each row, [B]."""
    sums = np.zeros(len(chain.sequences))
    np.add.at(sums, chain.sequences.rows, values)
    return sums


def row_log_prob(chain: Chain) -> np.ndarray:
    """Return the log-probability of each row, [B]."""
    return row_sums(chain, forward(chain)[1])


def posterior(chain: Chain) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return log_prob [B], state probabilities given the whole row [N, K], and expected transitions."""
    log_filtered, log_prob, _ = forward(chain)
    total = row_sums(chain, log_prob)
    probs, transitions = np.zeros_like(chain.scores), np.zeros_like(chain.log_transition)
    log_after = np.zeros_like(chain.scores)  # of later inputs, minus their forward log-probability
    after = np.empty(0, np.int64)
    for rows, steps in reversed(list(chain.times())):
        possible = total[rows] > -np.inf
        here, there = steps[: len(after)], after
        if len(there):
            scale = np.where(possible[: len(there)], log_prob[there], 0.0)
            onward = (
                chain.leaving(here) + (chain.scores[there] + log_after[there] - scale[:, None])[:, None, :]
            )  # [., K, K]
            log_after[here] = log_sum(onward, axis=2)
            counts = np.exp(log_filtered[here][:, :, None] + onward) * possible[: len(there), None, None]
            if chain.per_step:
                transitions[here] = counts
            else:
                np.add.at(transitions, chain.model[rows[: len(there)]], counts)
        now = np.exp(log_filtered[steps] + log_after[steps]) * possible[:, None]
        probs[steps] = now / np.where(possible, now.sum(1), 1.0)[:, None]
        after = steps
    return total, probs, transitions


def best_path(chain: Chain, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the k best paths [k, N] and their log-probabilities [k, B]: -1 and -inf where there are fewer.

    Among equal paths, the one with the lower last states comes first.
    """
    states = chain.scores.shape[1]
    value = np.empty((0, states, k))  # best k paths to each state, relative to the best one
    came_from = np.zeros((len(chain.scores), states, k), np.int64)  # state * k + rank
    paths = np.full((k, len(chain.scores)), -1, np.int64)
    final = np.full((len(chain.sequences), states, k), -np.inf)
    before = np.empty(0, np.int64)
    for rows, steps in chain.times():
        if len(before):
            choices = value[: len(rows), :, :, None] + chain.leaving(before[: len(rows)])[:, :, None, :]
            choices = choices.reshape(len(rows), states * k, states).swapaxes(1, 2)  # [., to, from and rank]
            order = first(choices, k)
            came_from[steps] = order
            value = np.take_along_axis(choices, order, -1)
        else:
            value = np.full((len(rows), states, k), -np.inf)
            value[:, :, 0] = chain.log_start[rows]
        value = value + chain.scores[steps][:, :, None]
        top = value.max((1, 2), keepdims=True)
        value = value - np.where(top == -np.inf, 0.0, top)
        final[rows] = value
        before = steps
    rows, _ = chain.ends
    flat = final[rows].reshape(len(rows), states * k)
    place = np.full((len(chain.sequences), k), -1, np.int64)
    place[rows] = first(flat, k)
    place[rows] = np.where(np.take_along_axis(flat, place[rows], -1) == -np.inf, -1, place[rows])
    after = np.empty(0, np.int64)
    for rows, steps in reversed(list(chain.times())):
        here = place[rows]
        old = here[: len(after)]
        if len(after):
            row = np.arange(len(after))[:, None]
            back = came_from[after][row, old // k, old % k]
            here[: len(after)] = np.where(old < 0, -1, back)
        place[rows] = here
        paths[:, steps] = np.where(here < 0, -1, here // k).T
        after = steps
    return paths, path_log_prob(chain, paths)


def first(values: np.ndarray, k: int) -> np.ndarray:
    """Return the indices of the k largest values of the last axis, in descending order; equal values by index."""
    if k == 1:
        return values.argmax(-1)[..., None]
    return np.argsort(-values, axis=-1, kind="stable")[..., :k]


def path_log_prob(chain: Chain, paths: np.ndarray) -> np.ndarray:
    """Return the log-weights [k, B] of paths [k, N]; -inf where a path is -1. An empty row has one, empty path."""
    sequences = chain.sequences
    total = np.full((len(paths), len(sequences)), -np.inf)
    total[:1, sequences.lengths == 0] = 0.0
    rows, ends = chain.ends
    steps = np.arange(sequences.num_steps)
    first_steps = sequences.offsets[:-1][rows]
    inner = np.setdiff1d(steps, ends, assume_unique=True)
    matrix = inner if chain.per_step else chain.model[sequences.rows[inner]]
    for rank, path in enumerate(paths):
        gain = chain.scores[steps, path]
        gain[first_steps] += chain.log_start[rows, path[first_steps]]
        gain[inner + 1] += chain.log_transition[matrix, path[inner], path[inner + 1]]
        sums = np.zeros(len(sequences))
        np.add.at(sums, sequences.rows, gain)
        total[rank, rows] = np.where(path[ends] < 0, -np.inf, sums[rows])
    return total


def sample_paths(chain: Chain, uniforms: np.ndarray) -> np.ndarray:
    """Sample paths [S, N] from the posterior, from each row's end to its beginning; -1 in rows without a path."""
    log_filtered, _, _ = forward(chain)
    paths = np.full(uniforms.shape, -1, np.int64)
    after = np.empty(0, np.int64)
    for _, steps in reversed(list(chain.times())):
        here, there = steps[: len(after)], after
        weight = np.repeat(log_filtered[steps][None], len(uniforms), axis=0)  # [S, ., K]
        if len(there):
            leaving = np.broadcast_to(chain.leaving(here), (len(here), *chain.log_transition.shape[1:]))
            weight[:, : len(here)] += leaving[np.arange(len(here))[None], :, paths[:, there]]
            weight[:, : len(here)][paths[:, there] < 0] = -np.inf
        top = weight.max(-1, keepdims=True)
        cumulative = np.exp(weight - np.where(top == -np.inf, 0.0, top)).cumsum(-1)
        drawn = (cumulative <= uniforms[:, steps, None] * cumulative[..., -1:]).sum(-1)
        paths[:, steps] = np.where(top[..., 0] == -np.inf, -1, drawn)
        after = steps
    return paths
