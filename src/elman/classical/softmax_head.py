"""Softmax regression on sparse features with naive-Bayes weights (Wang and Manning 2012, ACL)."""

import logging
from itertools import count
from typing import Any, NamedTuple

import numpy as np

from elman.classical.special import log_softmax
from elman.optional_packages import needed_by
from elman.progress import ProgressLine

MAX_ITERATIONS = 1000
logger = logging.getLogger("elman")


class Head(NamedTuple):
    """Parameters of the logits, features @ weights + bias."""

    weights: np.ndarray  # [F, C], naive-Bayes weights included
    bias: np.ndarray  # [C]


def log_count_ratios(features: Any, classes: np.ndarray, num_classes: int, smoothing: float) -> np.ndarray:
    """Return the log-ratio of each feature's frequency in each class and in the others, [F, C].

    Args:
        features: [B, F] sparse. classes: [B] from 0.
    """
    one_hot = np.eye(num_classes)[classes]
    within = features.T @ one_hot + smoothing  # [F, C]
    elsewhere = features.T @ (1 - one_hot) + smoothing
    return np.log(within / within.sum(0)) - np.log(elsewhere / elsewhere.sum(0))


def fit_head(features: Any, classes: np.ndarray, ratios: np.ndarray, l2: float, line: ProgressLine) -> Head:
    """Return the head that minimises  - sum over rows of log p(class | features)  +  l2 / 2 |w|^2, by L-BFGS.

    Args:
        features: [B, F] sparse. classes: [B] from 0. ratios: [F, C]; the logits are features @ (ratios w) + bias.
        line: shows the progress.
    """
    with needed_by("BagOfWords.fit"):
        from scipy.optimize import minimize

    shape, by_feature, iterations = ratios.shape, features.T.tocsr(), count(1)
    chosen = (np.arange(len(classes)), classes)

    def objective(theta: np.ndarray) -> tuple[float, np.ndarray]:
        weights, bias = theta[: -shape[1]].reshape(shape), theta[-shape[1] :]
        log_probs = log_softmax(features @ (ratios * weights) + bias)
        error = np.exp(log_probs)  # d loss / d logits
        error[chosen] -= 1
        slopes = ratios * (by_feature @ error) + l2 * weights
        loss = l2 / 2 * float((weights**2).sum()) - float(log_probs[chosen].sum())
        return loss, np.concatenate([slopes.ravel(), error.sum(0)])

    def report(intermediate_result: Any) -> None:
        line.iteration("BagOfWords.fit", next(iterations), MAX_ITERATIONS, -float(intermediate_result.fun))

    options = {"maxiter": MAX_ITERATIONS, "maxfun": 2 * MAX_ITERATIONS, "ftol": 1e-14, "gtol": 1e-6}
    origin = np.zeros(ratios.size + shape[1])
    found = minimize(objective, origin, jac=True, method="L-BFGS-B", options=options, callback=report)
    if found.nit >= MAX_ITERATIONS:
        logger.warning("BagOfWords.fit: %d iterations did not reach the optimum; a larger l2 helps", MAX_ITERATIONS)
    weights = found.x[: -shape[1]].reshape(shape)
    return Head(ratios * weights, found.x[-shape[1] :])
