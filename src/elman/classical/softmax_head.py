"""A softmax over sparse features: naive-Bayes weighting and the climb (Wang and Manning 2012, ACL)."""

import logging
from typing import Any, NamedTuple

import numpy as np

MAX_ITERATIONS = 1000
logger = logging.getLogger("elman")


class Head(NamedTuple):
    """What turns features into scores: features @ weights + bias."""

    weights: np.ndarray  # [F, C], the weighting in them
    bias: np.ndarray  # [C]


def log_count_ratios(features: Any, classes: np.ndarray, num_classes: int, smoothing: float) -> np.ndarray:
    """How much each feature speaks for each class against the others: log of a ratio of frequencies, [F, C].

    Args:
        features: [B, F] sparse. classes: [B] from 0.
    """
    one_hot = np.eye(num_classes)[classes]
    within = features.T @ one_hot + smoothing  # [F, C]
    elsewhere = features.T @ (1 - one_hot) + smoothing
    return np.log(within / within.sum(0)) - np.log(elsewhere / elsewhere.sum(0))


def climb(features: Any, classes: np.ndarray, ratios: np.ndarray, l2: float) -> Head:
    """The head for which  - sum over rows of log p(class | features)  +  l2 / 2 |w|^2  is least, by L-BFGS.

    Args:
        features: [B, F] sparse. classes: [B] from 0. ratios: [F, C]; the scores are features @ (ratios w) + bias.
    """
    from scipy.optimize import minimize

    shape, by_feature = ratios.shape, features.T.tocsr()
    chosen = (np.arange(len(classes)), classes)

    def downhill(theta: np.ndarray) -> tuple[float, np.ndarray]:
        weights, bias = theta[: -shape[1]].reshape(shape), theta[-shape[1] :]
        log_probs = log_softmax(features @ (ratios * weights) + bias)
        pull = np.exp(log_probs)
        pull[chosen] -= 1
        slopes = ratios * (by_feature @ pull) + l2 * weights
        loss = l2 / 2 * float((weights**2).sum()) - float(log_probs[chosen].sum())
        return loss, np.concatenate([slopes.ravel(), pull.sum(0)])

    options = {"maxiter": MAX_ITERATIONS, "maxfun": 2 * MAX_ITERATIONS, "ftol": 1e-14, "gtol": 1e-6}
    found = minimize(downhill, np.zeros(ratios.size + shape[1]), jac=True, method="L-BFGS-B", options=options)
    if found.nit >= MAX_ITERATIONS:
        logger.warning("BagOfWords.fit: %d iterations did not reach the optimum; a larger l2 helps", MAX_ITERATIONS)
    weights = found.x[: -shape[1]].reshape(shape)
    return Head(ratios * weights, found.x[-shape[1] :])


def log_softmax(scores: np.ndarray) -> np.ndarray:
    """Over the last axis."""
    scores = scores - scores.max(-1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(-1, keepdims=True))
