"""M steps of a chain: by counting, or by L-BFGS for a stationary start or driven transitions."""

from typing import NamedTuple

import numpy as np

from elman.classical.hmm.chain import Chain, stationary
from elman.classical.hmm.emissions.emission import DEAD
from elman.classical.special import log_softmax, softmax, xlogy
from elman.optional_packages import needed_by

LBFGS = {"maxiter": 20, "ftol": 1e-15, "gtol": 1e-9}  # options for one M step


class ChainPrior(NamedTuple):
    """Dirichlet priors on the start and on each row of the transition, as added counts; zero for none."""

    start: np.ndarray  # [K]
    transition: np.ndarray  # [K, K]


def log_prior(chain: Chain, prior: ChainPrior, stationary_start: bool) -> float:
    """Return the log-prior up to a constant; for driven transitions, that of an input of zero."""
    total = 0.0 if stationary_start else float(xlogy(prior.start, chain.start).sum())
    if prior.transition.any():
        logs = xlogy(prior.transition, chain.transition)
        if chain.weights is not None:
            at_zero = log_softmax(chain.weights[:, :, 0])
            logs = prior.transition * np.where(prior.transition > 0, at_zero, 0.0)
        total += float(logs.sum())
    return total


def free(chain: Chain, first: np.ndarray, transitions: np.ndarray, prior: ChainPrior) -> Chain:
    """Return the chain from expected counts of first states [K] and transitions [K, K], plus those of the prior."""
    return chain._replace(start=_divided(first + prior.start, chain.start),
                          transition=_divided(transitions + prior.transition, chain.transition))  # fmt: skip


def start_only(chain: Chain, first: np.ndarray, prior: ChainPrior) -> Chain:
    """Return the chain with a new start only."""
    return chain._replace(start=_divided(first + prior.start, chain.start))


def from_stationary(chain: Chain, first: np.ndarray, transitions: np.ndarray, prior: ChainPrior) -> Chain:
    """Maximise  sum first log pi(A) + sum transitions log A, where pi(A) A = pi(A).

    With Z = (I - A + 1 pi')^-1, the derivative of sum first log pi in A[i, j] is pi[i] (Z (first / pi))[j].
    """
    counts = transitions + prior.transition
    size, allowed = len(first), chain.transition > 0

    def objective(transition: np.ndarray) -> tuple[float, np.ndarray]:
        kept = stationary(transition)
        if kept is None or not (kept > 0).all():
            return -np.inf, np.zeros_like(transition)
        gradient = counts / np.maximum(transition, 1e-200)
        fundamental = np.linalg.inv(np.eye(size) - transition + kept)
        gradient += kept[:, None] * (fundamental @ (first / kept))
        return float(xlogy(first, kept).sum() + xlogy(counts, transition).sum()), gradient

    def matrix(theta: np.ndarray) -> np.ndarray:
        logits = np.full((size, size), -np.inf)
        logits[allowed] = theta
        return softmax(logits)

    def negative(theta: np.ndarray) -> tuple[float, np.ndarray]:
        transition = matrix(theta)
        value, gradient = objective(transition)
        if value == -np.inf:
            return 1e300, np.zeros_like(theta)
        slope = transition * (gradient - (transition * gradient).sum(1, keepdims=True))
        return -value, -slope[allowed]

    before, _ = objective(chain.transition)
    theta = np.log(chain.transition[allowed])
    with needed_by('HMM.fit with start="stationary"'):
        from scipy.optimize import minimize

    found = minimize(negative, theta, jac=True, method="L-BFGS-B", options=LBFGS)
    after = matrix(found.x)
    if not objective(after)[0] > before:
        return chain
    kept = stationary(after)
    assert kept is not None
    return chain._replace(start=kept, transition=after)


def driven(chain: Chain, u: np.ndarray, transitions: np.ndarray, prior: ChainPrior) -> Chain:
    """Maximise  sum over n of transitions[n] log softmax(weights (1, u[n])): transitions [N, K, K], u [N, U].

    The input is standardised to mean 0 and variance 1, which takes fewer iterations.
    """
    weights = chain.weights
    assert weights is not None
    shape, mean, scale = weights.shape, u.mean(0), u.std(0)
    scale = np.where(scale > 0, scale, 1.0)
    inputs = np.hstack([np.ones((len(u), 1)), (u - mean) / scale])
    at_zero = np.append(1.0, -mean / scale)
    allowed = np.isfinite(weights[:, :, 0])
    totals = transitions.sum(2)  # [N, K]
    # The prior acts as one more step with an input of zero.
    transitions = np.concatenate([transitions, prior.transition[None]])
    totals = np.vstack([totals, prior.transition.sum(1)])
    inputs = np.vstack([inputs, at_zero])

    def value(coefficients: np.ndarray) -> tuple[float, np.ndarray]:
        logits = np.tensordot(inputs, coefficients, axes=(1, 2))  # [N + 1, K, K]
        logits[:, ~allowed] = -np.inf
        logs = log_softmax(logits)
        total = float((transitions * np.where(allowed, logs, 0.0)).sum())
        error = transitions - totals[:, :, None] * np.exp(logs)
        return total, np.tensordot(error, inputs, axes=(0, 0))

    def negative(theta: np.ndarray) -> tuple[float, np.ndarray]:
        total, gradient = value(theta.reshape(shape))
        return -total, -np.where(allowed[:, :, None], gradient, 0.0).ravel()

    bias = np.where(allowed, weights[:, :, 0], 0.0)
    now = np.concatenate([(bias + weights[:, :, 1:] @ mean)[:, :, None], weights[:, :, 1:] * scale], axis=2)
    before = value(now)[0]
    with needed_by("HMM.fit with driven transitions"):
        from scipy.optimize import minimize

    found = minimize(negative, now.ravel(), jac=True, method="L-BFGS-B", options=LBFGS)
    new = found.x.reshape(shape)
    if not value(new)[0] > before:
        return chain
    slopes = new[:, :, 1:] / scale
    bias = np.where(allowed, new[:, :, 0] - slopes @ mean, -np.inf)
    bias -= bias.max(1, keepdims=True)
    weights = np.concatenate([bias[:, :, None], np.where(allowed[:, :, None], slopes, 0.0)], axis=2)
    return chain._replace(transition=softmax(bias), weights=weights)


def _divided(counts: np.ndarray, old: np.ndarray) -> np.ndarray:
    """Return rows that sum to one; rows without counts keep their old values."""
    sums = counts.sum(-1, keepdims=True)
    return np.where(sums >= DEAD, counts / np.where(sums > 0, sums, 1.0), old)
