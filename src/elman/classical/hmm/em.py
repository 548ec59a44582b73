"""Expectation-maximisation of several models together, with one kernel call per iteration (Baum et al. 1970)."""

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from elman.classical.checks import place
from elman.classical.hmm import chain_steps
from elman.classical.hmm.chain import Chain, log, log_transition
from elman.classical.hmm.chain_steps import ChainPrior
from elman.classical.hmm.emissions import DEAD, Emission
from elman.kernels import semiring_scan
from elman.progress import ProgressLine
from elman.sequences import Sequences

logger = logging.getLogger("elman")


class Model(NamedTuple):
    """Parameters of one HMM."""

    chain: Chain
    emission: Emission


class Problem(NamedTuple):
    """Rows to fit, and priors."""

    rows: Sequences  # observations, for their lengths
    data: Any  # result of the emission's `read`
    u: np.ndarray | None  # [N, U] if transitions are driven
    prior: ChainPrior
    stationary: bool  # whether rows start in the stationary distribution


class Expected(NamedTuple):
    """Result of one E step for one model."""

    objective: float  # log-probability of all rows plus log-prior of the parameters
    probs: np.ndarray  # [N, K]
    transitions: np.ndarray  # [K, K], or [N, K, K] if transitions are driven


class Fit(NamedTuple):
    """Result of EM for one model."""

    model: Model
    history: np.ndarray  # [iterations + 1] objective of the first parameters and after each iteration
    converged: bool
    counts: np.ndarray  # [K] expected number of steps in each state


def e_step(where: str, problem: Problem, models: Sequence[Model], scores: np.ndarray | None = None) -> list[Expected]:
    """Return the posteriors of all models from one kernel call; `scores` [M N, K] is a buffer for log-likelihoods.

    Raises:
        ValueError: a row is impossible for one of the models.
    """
    rows, steps = problem.rows, problem.rows.num_steps
    size = (len(models) * steps, models[0].emission.num_states)
    scores = np.empty(size) if scores is None else scores[: size[0]]
    for m, model in enumerate(models):
        model.emission.log_prob(problem.data, out=scores[m * steps : (m + 1) * steps])
    log_transitions = [log_transition(model.chain, problem.u) for model in models]
    per_step = problem.u is not None
    posterior = semiring_scan.forward_backward(
        np.repeat(np.stack([log(model.chain.start) for model in models]), len(rows), axis=0),
        np.concatenate(log_transitions) if per_step else np.stack(log_transitions),
        scores,
        np.tile(rows.lengths, len(models)),
        np.repeat(np.arange(len(models)), len(rows)),
        per_step,
    )
    log_probs = posterior.log_prob.reshape(len(models), len(rows))
    if not np.isfinite(log_probs).all():
        _, row = np.argwhere(~np.isfinite(log_probs))[0]
        raise ValueError(f"{where}: row {row} is impossible: every path has an observation or a transition of "
                         "probability zero; allow more transitions, or fit with priors above 1.")  # fmt: skip
    counts = posterior.transitions
    return [
        Expected(
            float(log_probs[m].sum()) + log_prior(model, problem),
            posterior.probs[m * steps : (m + 1) * steps],
            counts[m * steps : (m + 1) * steps] if per_step else counts[m],
        )
        for m, model in enumerate(models)
    ]


def log_prior(model: Model, problem: Problem) -> float:
    """Return the log-prior of all parameters, up to a constant."""
    return chain_steps.log_prior(model.chain, problem.prior, problem.stationary) + model.emission.log_prior()


def m_step(problem: Problem, model: Model, expected: Expected) -> Model:
    """Return parameters with an expected log-probability plus log-prior that is not lower."""
    chain = chain_step(problem, model.chain, expected)
    return Model(chain, model.emission.m_step(problem.data, expected.probs))


def chain_step(problem: Problem, chain: Chain, expected: Expected) -> Chain:
    """Return the chain after the M step of start and transitions."""
    rows = problem.rows
    first = expected.probs[rows.offsets[:-1][rows.lengths > 0]].sum(0)
    if problem.stationary:
        return chain_steps.from_stationary(chain, first, expected.transitions, problem.prior)
    if problem.u is not None:
        chain = chain_steps.start_only(chain, first, problem.prior)
        return chain_steps.driven(chain, problem.u, expected.transitions, problem.prior)
    return chain_steps.free(chain, first, expected.transitions, problem.prior)


def fit(where: str, problem: Problem, models: Sequence[Model], max_iterations: int, tolerance: float,
        line: ProgressLine) -> list[Fit]:  # fmt: skip
    """Run EM on each model until an iteration gains less than `tolerance` nats per step, or for `max_iterations`.

    A model that has converged leaves the batch.
    """
    models = list(models)
    histories: list[list[float]] = [[] for _ in models]
    last: list[Expected] = []  # for each model
    scores = np.empty((len(models) * problem.rows.num_steps, models[0].emission.num_states))
    active = list(range(len(models)))
    enough = tolerance * max(problem.rows.num_steps, 1)
    for iteration in range(max_iterations + 1):
        expectations = e_step(where, problem, [models[m] for m in active], scores)
        last = list(expectations) if iteration == 0 else last
        ongoing = []
        for m, expected in zip(active, expectations, strict=True):
            history = histories[m]
            history.append(expected.objective)
            last[m] = expected
            if len(history) > 1 and history[-1] - history[-2] < enough:
                continue
            ongoing.append(m)
            if iteration < max_iterations:
                models[m] = m_step(problem, models[m], expected)
        best = max(history[-1] for history in histories)
        logger.info("%s: iteration %d of %d, log-probability %.6f, %d of %d restarts continue", where, iteration,
                    max_iterations, best, len(ongoing), len(models))  # fmt: skip
        line.iteration(where, iteration, max_iterations, best)
        active = ongoing
        if not active:
            break
    fits = [
        Fit(model, np.array(history), m not in active, expected.probs.sum(0))
        for m, (model, history, expected) in enumerate(zip(models, histories, last, strict=True))
    ]
    for one in fits:
        for state in np.flatnonzero(one.counts < DEAD):
            logger.info("%s: state %d is empty: no step is expected in it; it keeps its parameters", where, state)
    return fits


def impossible(where: str, rows: Sequences, log_prob: np.ndarray) -> None:
    """Raise a ValueError that names row and step if the log-probability of a step [N] is -inf."""
    wrong = ~np.isfinite(log_prob)
    if wrong.any():
        raise ValueError(f"{where}: the observation in {place(rows, int(np.argmax(wrong)))} is impossible: it has "
                         "probability zero in every reachable state; fit with priors above 1.")  # fmt: skip
