"""Sums, maxima and draws over all paths of states: what HMM filters, CRF losses and Viterbi decoders share.

A row of T steps has K^T paths; the weight of one is the product of its start, its transitions and its states' scores.
Logarithms come in, so that -inf forbids.
"""

from typing import Any, NamedTuple

import numpy as np

from elman.kernels import native
from elman.kernels import semiring_reference as reference
from elman.kernels.semiring_reference import Chain
from elman.sequences import Sequences
from elman.shapes import check


class Forward(NamedTuple):
    """What is known of each state after each step."""

    probs: np.ndarray  # [N, K] of the states given the inputs up to here; zeros from where a row is impossible
    log_prob: np.ndarray  # [N] of each step given those before; -inf from where a row is impossible
    last: np.ndarray  # [B, K] predicted for the step after the row: it adds up to 1 if the transitions do


class Posterior(NamedTuple):
    """What is known of each state from the whole row."""

    log_prob: np.ndarray  # [B] of each row: 0 of an empty one, -inf of an impossible one
    probs: np.ndarray  # [N, K]; zeros in an impossible row
    transitions: np.ndarray  # [M, K, K] expected within rows, or [N, K, K], zeros at the last step of a row


class Paths(NamedTuple):
    """The best paths, best first."""

    states: np.ndarray  # [k, N] int64; -1 in rows that have fewer paths
    log_prob: np.ndarray  # [k, B]; -inf there


def check_chain(where: str, log_start: Any, log_transition: Any, scores: Any, lengths: Any, model: Any,
                per_step: bool) -> Chain:  # fmt: skip
    """The arguments that all functions here share, if they agree.

    Raises:
        TypeError: an array is not of float64.
        ValueError: the shapes do not agree, or a row names a model that is not there.
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
    """Filter every row of a ragged batch (Rabiner 1989, with a scale a step).

    Args:
        log_start: [B, K] log-weights of the state before each row's first input; they need not add up to one.
        log_transition: [M, K, K] from, to: of each model. `per_step`: [N, K, K], entry n leads from step n to the next
            one, the last of a row to the step after it.
        scores: [N, K] log-weights of each state at each step; zeros where an input is missing.
        lengths: steps of each row, B integers that add up to N.
        model: [B] whose transitions each row has; None: all rows have model 0.
    Raises:
        TypeError: an array is not of float64.
        ValueError: the shapes do not agree.
    Example:
        >>> start, transition = np.log([[0.5, 0.5]]), np.log([[[0.9, 0.1], [0.1, 0.9]]])
        >>> probs, log_prob, last = forward(start, transition, np.log([[0.8, 0.2], [0.8, 0.2]]), [2])
        >>> probs.round(3).tolist(), last.round(3).tolist()
        ([[0.8, 0.2], [0.919, 0.081]], [[0.835, 0.165]])
    """
    chain = check_chain("semiring_scan.forward", log_start, log_transition, scores, lengths, model, per_step)
    if not _fast():
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
    """The log-probability of each row, [B]: what `forward` says of its steps, added up, and nothing kept of them.

    Example:
        >>> start, transition = np.log([[0.5, 0.5]]), np.log([[[0.9, 0.1], [0.1, 0.9]]])
        >>> total(start, transition, np.log([[0.8, 0.2], [0.8, 0.2]]), [2]).round(4)
        array([-1.1332])
    """
    chain = check_chain("semiring_scan.total", log_start, log_transition, scores, lengths, model, per_step)
    if not _fast():
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
    """The states given whole rows, and the transitions to expect: the arguments are those of `forward`.

    Transitions within rows count, the one after the last step does not.

    Example:
        >>> start, transition = np.log([[0.5, 0.5]]), np.log([[[0.9, 0.1], [0.1, 0.9]]])
        >>> log_prob, probs, transitions = forward_backward(start, transition, np.log([[0.8, 0.2], [0.8, 0.2]]), [2])
        >>> probs.round(3).tolist(), transitions.round(3).tolist()
        ([[0.919, 0.081], [0.919, 0.081]], [[[0.894, 0.025], [0.025, 0.056]]])
    """
    chain = check_chain("semiring_scan.forward_backward", log_start, log_transition, scores, lengths, model, per_step)
    if not _fast():
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
    """The k paths of the largest weight (Viterbi 1967), best first: the other arguments are those of `forward`.

    Raises:
        ValueError: k is no number of paths.
    Example:
        >>> start, transition = np.log([[0.5, 0.5]]), np.log([[[0.9, 0.1], [0.1, 0.9]]])
        >>> states, log_prob = best_path(start, transition, np.log([[0.8, 0.2], [0.3, 0.7]]), [2], k=2)
        >>> states.tolist(), log_prob.round(3).tolist()
        ([[0, 0], [1, 1]], [[-2.226], [-2.765]])
    """
    chain = check_chain("semiring_scan.best_path", log_start, log_transition, scores, lengths, model, per_step)
    if k < 1:
        raise ValueError(f"semiring_scan.best_path: expected k of at least 1, got {k}.")
    if not _fast():
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
    """Paths drawn from the posterior, by filtering forward and drawing backward: the arguments are those of `forward`.

    Args:
        uniforms: [S, N] numbers in [0, 1), one for each step of each path.
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
    if not _fast():
        return reference.sample_paths(chain, uniforms)
    uniforms = np.ascontiguousarray(uniforms, np.float64)
    probs, paths = native.doubles(*scores.shape), np.empty(uniforms.shape, np.int64)
    lost = _sums(chain, probs, None, None, None, None)
    native.module.semiring_draw(*_arguments(chain), probs, uniforms, paths, lost)
    if lost.any():  # once more, in logarithms
        rows, steps = np.flatnonzero(lost), np.flatnonzero(lost[chain.sequences.rows])
        transition = chain.log_transition[steps] if per_step else chain.log_transition
        again = chain.sequences.select(rows)
        few = Chain(chain.log_start[rows], transition, again, chain.model[rows], per_step)
        paths[:, steps] = reference.sample_paths(few, uniforms[:, steps])
    return paths


def _fast() -> bool:
    """Whether the extension is here, and no older than this file."""
    return hasattr(native.module, "semiring_sums")


def _arguments(chain: Chain) -> tuple[Any, ...]:
    """A chain as C++ takes it."""
    offsets = chain.sequences.offsets
    return chain.log_start, chain.log_transition, chain.scores, offsets, chain.model, chain.per_step


def _sums(chain: Chain, probs: Any, log_prob: Any, last: Any, row_log_prob: Any, transitions: Any) -> np.ndarray:
    """Fill what is given; which rows were done in logarithms, since floats could not hold them: [B]."""
    lost = np.zeros(len(chain.sequences), np.uint8)
    native.module.semiring_sums(*_arguments(chain), probs, log_prob, last, row_log_prob, transitions, lost)
    return lost
