"""Sums, maxima and samples over all paths of states, for HMM filters, CRF losses and Viterbi decoders.

A row of T steps has K^T paths; the weight of a path is the product of its start, transition and state weights. All
arguments are logarithms, so -inf forbids.
"""

from typing import Any, NamedTuple

import numpy as np

from elman.kernels import native
from elman.kernels import semiring_reference as reference
from elman.kernels.semiring_reference import Chain
from elman.sequences import Sequences
from elman.shapes import check


class Forward(NamedTuple):
    """Filtered state probabilities."""

    probs: np.ndarray  # [N, K] given the inputs up to each step; zeros from where a row is impossible
    log_prob: np.ndarray  # [N] of each step given the earlier ones; -inf from where a row is impossible
    last: np.ndarray  # [B, K] predicted for the step after the row; sums to 1 if the transitions do


class Posterior(NamedTuple):
    """State probabilities given the whole row."""

    log_prob: np.ndarray  # [B] of each row: 0 for an empty one, -inf for an impossible one
    probs: np.ndarray  # [N, K]; zeros in an impossible row
    transitions: np.ndarray  # expected counts within rows [M, K, K]; per step [N, K, K], zeros at last steps


class Paths(NamedTuple):
    """Best paths, best first."""

    states: np.ndarray  # [k, N] int64; -1 in rows with fewer paths
    log_prob: np.ndarray  # [k, B]; -inf there


def check_chain(where: str, log_start: Any, log_transition: Any, scores: Any, lengths: Any, model: Any,
                per_step: bool) -> Chain:  # fmt: skip
    """Check and return the arguments that the functions of this file have in common.

    Raises:
        TypeError: an array is not float64.
        ValueError: the shapes do not agree, or the number of a model is out of range.
    """
    arrays = {"log_start": log_start, "log_transition": log_transition, "scores": scores}
    for name, array in arrays.items():
        kind = getattr(array, "dtype", type(array).__name__)
        if kind != np.float64:
            raise TypeError(f"{where}: expected {name} of float64, got {kind}; convert it with .astype(np.float64).")
    log_start, log_transition, scores = map(np.ascontiguousarray, arrays.values())
    check(where, "scores", scores, "N K")
    steps, states = scores.shape
    if not states:
        raise ValueError(f"{where}: expected scores of at least one state, got shape {[steps, states]}.")
    sequences = Sequences(scores, lengths)
    check(where, "log_start", log_start, f"B={len(sequences)} K={states}")
    check(where, "log_transition", log_transition, f"{f'N={steps}' if per_step else 'M'} K={states} K={states}")
    if model is None or per_step:
        model = np.zeros(len(sequences), np.int64)
    model = np.asarray(model)
    check(where, "model", model, f"B={len(sequences)}")
    if model.size and model.dtype.kind not in "iu":
        raise TypeError(f"{where}: expected model of integers, got {model.dtype}.")
    if model.size and not per_step and not 0 <= model.min() <= model.max() < len(log_transition):
        raise ValueError(f"{where}: expected model from 0 to {len(log_transition) - 1}, one of log_transition's, "
                         f"got {model.min()} to {model.max()}.")  # fmt: skip
    return Chain(log_start, log_transition, sequences, model.astype(np.int64), per_step)


def forward(
    log_start: np.ndarray,
    log_transition: np.ndarray,
    scores: np.ndarray,
    lengths: Any,
    model: Any = None,
    per_step: bool = False,
) -> Forward:
    """Filter every row of a ragged batch (Rabiner 1989, with one scale per step).

    Args:
        log_start: [B, K], log-weights of the first state of each row; they need not sum to one.
        log_transition: [M, K, K] from, to, one per model. With `per_step` [N, K, K]: entry n leads from step n to the
            next one, the last of a row to the step after it.
        scores: [N, K], log-weights of each state at each step; zeros where an input is missing.
        lengths: steps of each row, B integers that add up to N.
        model: [B], the model of each row; None: all rows have model 0.
    Raises:
        TypeError: an array is not float64.
        ValueError: the shapes do not agree.
    Example:
        >>> start, transition = np.log([[0.5, 0.5]]), np.log([[[0.9, 0.1], [0.1, 0.9]]])
        >>> probs, log_prob, last = forward(start, transition, np.log([[0.8, 0.2], [0.8, 0.2]]), [2])
        >>> probs.round(3).tolist(), last.round(3).tolist()
        ([[0.8, 0.2], [0.919, 0.081]], [[0.835, 0.165]])
    """
    chain = check_chain("semiring_scan.forward", log_start, log_transition, scores, lengths, model, per_step)
    if not _native():
        log_filtered, log_prob, log_last = reference.forward(chain)
        with np.errstate(over="ignore"):
            return Forward(np.exp(log_filtered), log_prob, np.exp(log_last))
    out = Forward(native.doubles(*scores.shape), native.doubles(len(scores)), np.empty_like(chain.log_start))
    empty = chain.sequences.lengths == 0
    if empty.any():
        with np.errstate(over="ignore"):
            out.last[empty] = np.exp(chain.log_start[empty])
    _sums(chain, *out, None, None)
    return out


def total(
    log_start: np.ndarray,
    log_transition: np.ndarray,
    scores: np.ndarray,
    lengths: Any,
    model: Any = None,
    per_step: bool = False,
) -> np.ndarray:
    """Return the log-probability of each row, [B]: the sum of `forward`'s `log_prob`, without storing the steps.

    Example:
        >>> start, transition = np.log([[0.5, 0.5]]), np.log([[[0.9, 0.1], [0.1, 0.9]]])
        >>> total(start, transition, np.log([[0.8, 0.2], [0.8, 0.2]]), [2]).round(4)
        array([-1.1332])
    """
    chain = check_chain("semiring_scan.total", log_start, log_transition, scores, lengths, model, per_step)
    if not _native():
        return reference.row_log_prob(chain)
    sums = np.zeros(len(chain.sequences))
    _sums(chain, None, None, None, sums, None)
    return sums


def forward_backward(
    log_start: np.ndarray,
    log_transition: np.ndarray,
    scores: np.ndarray,
    lengths: Any,
    model: Any = None,
    per_step: bool = False,
) -> Posterior:
    """Return state probabilities given whole rows, and expected transitions; the arguments are those of `forward`.

    Only transitions within rows count, not the one after the last step.

    Example:
        >>> start, transition = np.log([[0.5, 0.5]]), np.log([[[0.9, 0.1], [0.1, 0.9]]])
        >>> log_prob, probs, transitions = forward_backward(start, transition, np.log([[0.8, 0.2], [0.8, 0.2]]), [2])
        >>> probs.round(3).tolist(), transitions.round(3).tolist()
        ([[0.919, 0.081], [0.919, 0.081]], [[[0.894, 0.025], [0.025, 0.056]]])
    """
    chain = check_chain("semiring_scan.forward_backward", log_start, log_transition, scores, lengths, model, per_step)
    if not _native():
        return Posterior(*reference.posterior(chain))
    transitions = native.doubles(*chain.log_transition.shape)
    out = Posterior(np.zeros(len(chain.sequences)), native.doubles(*scores.shape), transitions)
    _sums(chain, out.probs, None, None, out.log_prob, transitions)
    return out


def best_path(
    log_start: np.ndarray,
    log_transition: np.ndarray,
    scores: np.ndarray,
    lengths: Any,
    model: Any = None,
    per_step: bool = False,
    k: int = 1,
) -> Paths:
    """Return the k paths of largest weight (Viterbi 1967), best first; the other arguments are those of `forward`.

    Raises:
        ValueError: k is below 1.
    Example:
        >>> start, transition = np.log([[0.5, 0.5]]), np.log([[[0.9, 0.1], [0.1, 0.9]]])
        >>> states, log_prob = best_path(start, transition, np.log([[0.8, 0.2], [0.3, 0.7]]), [2], k=2)
        >>> states.tolist(), log_prob.round(3).tolist()
        ([[0, 0], [1, 1]], [[-2.226], [-2.765]])
    """
    chain = check_chain("semiring_scan.best_path", log_start, log_transition, scores, lengths, model, per_step)
    if k < 1:
        raise ValueError(f"semiring_scan.best_path: expected k of at least 1, got {k}.")
    if not _native():
        return Paths(*reference.best_path(chain, k))
    out = Paths(np.empty((k, len(scores)), np.int64), np.full((k, len(chain.sequences)), -np.inf))
    out.log_prob[0, chain.sequences.lengths == 0] = 0.0
    native.module.semiring_best(*_arguments(chain), *out)
    return out


def sample_paths(
    log_start: np.ndarray,
    log_transition: np.ndarray,
    scores: np.ndarray,
    lengths: Any,
    uniforms: np.ndarray,
    model: Any = None,
    per_step: bool = False,
) -> np.ndarray:
    """Sample paths from the posterior by forward filtering, backward sampling; the arguments are those of `forward`.

    Args:
        uniforms: [S, N], numbers in [0, 1), one for each step of each path.
    Returns:
        [S, N] int64; -1 in impossible rows.
    Example:
        >>> start, transition = np.log([[0.5, 0.5]]), np.log([[[0.9, 0.1], [0.1, 0.9]]])
        >>> sample_paths(start, transition, np.log([[0.8, 0.2], [0.3, 0.7]]), [2], np.array([[0.1, 0.1], [0.9, 0.9]]))
        array([[0, 0],
               [1, 1]])
    """
    where = "semiring_scan.sample_paths"
    chain = check_chain(where, log_start, log_transition, scores, lengths, model, per_step)
    uniforms = np.asarray(uniforms)
    check(where, "uniforms", uniforms, f"S N={chain.sequences.num_steps}")
    if not _native():
        return reference.sample_paths(chain, uniforms)
    uniforms = np.ascontiguousarray(uniforms, np.float64)
    probs, paths = native.doubles(*scores.shape), np.empty(uniforms.shape, np.int64)
    lost = _sums(chain, probs, None, None, None, None)
    native.module.semiring_draw(*_arguments(chain), probs, uniforms, paths, lost)
    if lost.any():  # repeat in logarithms
        rows, steps = np.flatnonzero(lost), np.flatnonzero(lost[chain.sequences.rows])
        transition = chain.log_transition[steps] if per_step else chain.log_transition
        again = chain.sequences.select(rows)
        few = Chain(chain.log_start[rows], transition, again, chain.model[rows], per_step)
        paths[:, steps] = reference.sample_paths(few, uniforms[:, steps])
    return paths


def _native() -> bool:
    """Return whether the native kernel is available."""
    return hasattr(native.module, "semiring_sums")


def _arguments(chain: Chain) -> tuple[Any, ...]:
    """Return a chain as arguments of the native kernel."""
    offsets = chain.sequences.layout.native_offsets
    return chain.log_start, chain.log_transition, chain.scores, offsets, chain.model, chain.per_step


def _sums(chain: Chain, probs: Any, log_prob: Any, last: Any, row_log_prob: Any, transitions: Any) -> np.ndarray:
    """Fill the given outputs; return which rows underflowed and were computed in logarithms, [B]."""
    lost = np.zeros(len(chain.sequences), np.uint8)
    native.module.semiring_sums(*_arguments(chain), probs, log_prob, last, row_log_prob, transitions, lost)
    return lost
