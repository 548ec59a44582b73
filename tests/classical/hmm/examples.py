"""Models of each kind with random parameters, rows for them, and densities by SciPy."""

from typing import Any

import numpy as np
from scipy import stats

from elman.classical.hmm import HMM, Categorical, Driven, Gaussian, GaussianMixture, Poisson
from elman.sequences import Sequences

STATES, SIZE, DRIVE = 3, 2, 2
GAUSSIANS = ["diag", "full", "tied", "spherical"]
MIXTURES = [f"mixture {kind}" for kind in GAUSSIANS]
DRIVEN = ["driven transitions", "driven means", "driven both"]
KINDS = ["categorical", "poisson", *GAUSSIANS, *MIXTURES, *DRIVEN]


def random_covs(rng: np.random.Generator, kind: str, *axes: int) -> np.ndarray:
    if kind == "diag":
        return rng.uniform(0.3, 2, (*axes, SIZE))
    if kind == "spherical":
        return rng.uniform(0.3, 2, axes)
    root = rng.standard_normal((*axes, SIZE, SIZE))
    return root @ root.swapaxes(-1, -2) + 0.3 * np.eye(SIZE)


def example(kind: str, seed: int = 0) -> HMM:
    rng = np.random.default_rng(seed)
    start, moves = rng.dirichlet(np.ones(STATES)), rng.dirichlet(np.ones(STATES), size=STATES)
    means = 2 * rng.standard_normal((STATES, SIZE))
    weights = slopes = None
    emission: Any
    if kind == "categorical":
        emission = Categorical.from_parameters(rng.dirichlet(np.ones(4), size=STATES))
    elif kind == "poisson":
        emission = Poisson.from_parameters(rng.uniform(0.5, 9, (STATES, SIZE)))
    elif kind in GAUSSIANS:
        covs = random_covs(rng, kind, *([] if kind == "tied" else [STATES]))
        emission = Gaussian.from_parameters(means, covs, kind)
    elif kind in MIXTURES:
        kind = kind.split()[1]
        covs = random_covs(rng, kind, *([STATES] if kind == "tied" else [STATES, 2]))
        means = 2 * rng.standard_normal((STATES, 2, SIZE))
        emission = GaussianMixture.from_parameters(rng.dirichlet(np.ones(2), size=STATES), means, covs, kind)
    else:
        if kind != "driven transitions":
            slopes = rng.standard_normal((STATES, SIZE, DRIVE))
        if kind != "driven means":
            weights = rng.standard_normal((STATES, STATES, 1 + DRIVE))
        emission = Gaussian.from_parameters(means, random_covs(rng, "full", STATES), "full", slopes)
    return HMM.from_parameters(start, None if weights is not None else moves, emission, weights)


def values(kind: str, steps: int, seed: int = 0, missing: float = 0.0) -> Any:
    """Return values [N, ...] for a model of that kind, `Driven` if it has an input."""
    rng = np.random.default_rng([seed, 1])
    if kind == "categorical":
        x = rng.integers(0, 4, steps).astype(np.float64)
    elif kind == "poisson":
        x = rng.poisson(4.0, (steps, SIZE)).astype(np.float64)
    else:
        x = 2 * rng.standard_normal((steps, SIZE))
    x[rng.random(x.shape) < missing] = np.nan
    x[rng.random(steps) < missing / 2] = np.nan
    return Driven(x, rng.standard_normal((steps, DRIVE))) if kind in DRIVEN else x


def rows(kind: str, lengths: list[int], seed: int = 0, missing: float = 0.0) -> Sequences:
    return Sequences(values(kind, sum(lengths), seed, missing), lengths)


def scores(model: HMM, x: Any) -> np.ndarray:
    """Return log-densities [N, K] of the observed coordinates, one step and state at a time."""
    u = None
    if isinstance(x, tuple):
        x, u = x
    return np.array([[_score(model.emission_, k, x[n], None if u is None else u[n]) for k in range(model.num_states)]
                     for n in range(len(x))])  # fmt: skip


def _score(emission: Any, k: int, x: Any, u: Any) -> float:
    seen = ~np.isnan(x)
    if not seen.any():
        return 0.0
    if isinstance(emission, Categorical):
        return float(np.log(emission.probs_[k, int(x)]))
    if isinstance(emission, Poisson):
        return float(stats.poisson.logpmf(x[seen], emission.rates_[k, seen]).sum())
    if isinstance(emission, GaussianMixture):
        parts = [np.log(weight) + _score(emission.gaussian_, k * emission.num_components + c, x, u)
                 for c, weight in enumerate(emission.weights_[k])]  # fmt: skip
        return float(np.logaddexp.reduce(parts))
    mean = emission.means_[k] + (0 if emission.slopes_ is None else emission.slopes_[k] @ u)
    cov = emission.covariances[k][np.ix_(seen, seen)]
    return float(stats.multivariate_normal.logpdf(x[seen], mean[seen], cov))


def moves(model: HMM, x: Any) -> np.ndarray:
    """Return the transitions after each step, [N, K, K]."""
    if model.transition_weights_ is None:
        return np.repeat(model.transition_[None], len(x[0] if isinstance(x, tuple) else x), axis=0)
    logits = model.transition_weights_ @ np.vstack([np.ones(len(x.u)), x.u.T])  # [K, K, N]
    odds = np.exp(np.moveaxis(logits, 2, 0))
    return odds / odds.sum(2, keepdims=True)
