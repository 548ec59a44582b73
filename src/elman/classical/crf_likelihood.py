"""Likelihood of a linear-chain CRF and its gradients in one pass, in float64; errors explain the failing step."""

from math import isfinite
from typing import NamedTuple

import numpy as np

from elman.kernels.semiring_scan import forward_backward, total


class Weights(NamedTuple):
    """Weights of a CRF, or their gradients; -inf forbids."""

    transitions: np.ndarray  # [K, K] from, to
    start: np.ndarray  # [K] for the first tag of a row
    end: np.ndarray  # [K] for the last


class Gradients(NamedTuple):
    """Gradients of the loss: expectation over all paths minus the given path."""

    scores: np.ndarray  # [N, K]
    weights: Weights


class Ends(NamedTuple):
    """First and last steps of the rows that are not empty."""

    rows: np.ndarray
    first: np.ndarray
    last: np.ndarray

    @classmethod
    def of(cls, lengths: np.ndarray) -> "Ends":
        """Return the ends of rows with these lengths."""
        rows, stops = np.flatnonzero(lengths), lengths.cumsum()
        if len(rows) < len(lengths):
            stops, lengths = stops[rows], lengths[rows]
        return cls(rows, stops - lengths, stops - 1)


def log_starts(weights: Weights, rows: int) -> np.ndarray:
    """Return the start weights for every row, [B, K]."""
    starts = np.empty((rows, len(weights.start)))
    starts[:] = weights.start
    return starts


def with_end(scores: np.ndarray, end: np.ndarray, ends: Ends) -> np.ndarray:
    """Return a float64 copy of scores [N, K], with the end weights added at the last step of every row."""
    scores = scores.astype(np.float64)
    scores[ends.last] += end
    return scores


def path_log_weight(scores: np.ndarray, tags: np.ndarray, weights: Weights, ends: Ends) -> np.ndarray:
    """Return the log-weight of each step of a path, [N]: its score plus the transition to it.

    Args:
        scores: [N, K], with the end weights added.
    """
    gain = scores[np.arange(len(tags)), tags]
    gain[1:] += weights.transitions[tags[:-1], tags[1:]]
    begins = tags[ends.first]
    gain[ends.first] = scores[ends.first, begins] + weights.start[begins]
    return gain


def negative_log_likelihood(
    where: str, scores: np.ndarray, tags: np.ndarray, lengths: np.ndarray, weights: Weights, gradients: bool = True
) -> tuple[float, Gradients | None]:
    """Return log Z minus the log-weight of the tags, summed over rows, and its gradients.

    Args:
        where: the caller's name for error messages.
        scores: [N, K] floats; -inf forbids a tag at a step.
        tags: [N] int64.
        lengths: [B] int64 that add up to N.
        weights: float64.
    Raises:
        ValueError: a tag lies outside 0 to K - 1, a score or weight is NaN or infinite, or a row is impossible.
    """
    num_tags = len(weights.start)
    if len(tags) and tags.view(np.uint64).max() >= num_tags:  # negative numbers are very large there
        raise _outside(where, tags, lengths, num_tags)
    ends = Ends.of(lengths)
    x = with_end(scores, weights.end, ends)
    if not (x.max(initial=-np.inf) < np.inf and weights.transitions.max() < np.inf and weights.start.max() < np.inf):
        explain(where, scores, tags, lengths, weights)
    chain = log_starts(weights, len(lengths)), weights.transitions[None], x, lengths
    posterior = forward_backward(*chain) if gradients else None
    log_partition = total(*chain) if posterior is None else posterior.log_prob
    chosen = np.arange(0, x.size, num_tags) + tags  # places in [N, K]
    moves = num_tags * tags[:-1] + tags[1:]  # places in [K, K]
    within = np.ones(len(moves), bool)
    within[ends.last[:-1]] = False
    moves = moves[within]
    weight = x.take(chosen).sum() + weights.transitions.take(moves).sum() + weights.start.take(tags[ends.first]).sum()
    loss = float(log_partition.sum()) - float(weight)
    if not isfinite(loss):
        explain(where, scores, tags, lengths, weights)
    if posterior is None:
        return loss, None
    dx, dtransitions = posterior.probs, posterior.transitions[0]
    dx.reshape(-1)[chosen] -= 1
    dtransitions -= np.bincount(moves, minlength=num_tags * num_tags).reshape(num_tags, num_tags)
    return loss, Gradients(dx, Weights(dtransitions, dx[ends.first].sum(0), dx[ends.last].sum(0)))


def explain(where: str, scores: np.ndarray, tags: np.ndarray | None, lengths: np.ndarray, weights: Weights) -> None:
    """Raise a ValueError that explains why the loss or the partition is not finite."""
    check_scores(where, scores, lengths)
    check_weights(where, weights)
    ends = Ends.of(lengths)
    x = with_end(scores, weights.end, ends)
    require_paths(where, total(log_starts(weights, len(lengths)), weights.transitions[None], x, lengths))
    if tags is None:
        return
    impossible = np.flatnonzero(path_log_weight(x, tags, weights, ends) == -np.inf)
    if len(impossible):
        step = int(impossible[0])
        tag = tags[step]
        if scores[step, tag] == -np.inf:
            why = f"expected a tag that its scores allow, got {tag}, whose score is -inf"
        elif step in ends.first and weights.start[tag] == -np.inf:
            why = f"expected a tag that may begin a row, got {tag}"
        elif step not in ends.first and weights.transitions[tags[step - 1], tag] == -np.inf:
            why = f"expected a tag that may follow {tags[step - 1]}, got {tag}"
        else:
            why = f"expected a tag that may end a row, got {tag}"
        raise ValueError(f"{where}: {place(lengths, step)}: {why}; correct the tags or allow it.")


def check_scores(where: str, scores: np.ndarray, lengths: np.ndarray) -> None:
    """Raise a ValueError if a score is NaN or infinite; -inf forbids a tag and is legal."""
    wrong = np.isnan(scores) | (scores == np.inf)
    if wrong.any():
        step, tag = np.argwhere(wrong)[0]
        raise ValueError(f"{where}: {place(lengths, step)}: expected scores that are finite (or -inf, which forbids), "
                         f"got {scores[step, tag]} for tag {tag}.")  # fmt: skip


def check_weights(where: str, weights: Weights) -> None:
    """Raise a ValueError if a weight is NaN or infinite; -inf forbids and is legal."""
    for name, array in weights._asdict().items():
        wrong = np.isnan(array) | (array == np.inf)
        if wrong.any():
            spot = ", ".join(str(int(i)) for i in np.argwhere(wrong)[0])
            raise ValueError(f"{where}: expected {name} that are finite (or -inf, which forbids), got "
                             f"{array[wrong][0]} at [{spot}].")  # fmt: skip


def require_paths(where: str, log_partition: np.ndarray) -> None:
    """Raise a ValueError if every path of a row is forbidden."""
    impossible = np.flatnonzero(log_partition == -np.inf)
    if len(impossible):
        raise ValueError(f"{where}: row {impossible[0]}: expected at least one path of tags that is not forbidden, got "
                         "none; allow more transitions, starts, ends or scores.")  # fmt: skip


def place(lengths: np.ndarray, step: int) -> str:
    """Return the place of a step of a batch, such as `row 3, step 7`."""
    stops = np.cumsum(lengths)
    row = int(np.searchsorted(stops, step, side="right"))
    return f"row {row}, step {int(step - stops[row] + lengths[row])}"


def _outside(where: str, tags: np.ndarray, lengths: np.ndarray, num_tags: int) -> ValueError:
    step = int(np.flatnonzero((tags < 0) | (tags >= num_tags))[0])
    return ValueError(f"{where}: {place(lengths, step)}: expected a tag from 0 to {num_tags - 1}, got {tags[step]}.")
