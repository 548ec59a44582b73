"""Small random problems of every kind, many of them hard: few steps, many states, many missing values."""

from typing import Any, NamedTuple

import numpy as np

from elman.classical.hmm import HMM, Categorical, Driven, Gaussian, GaussianMixture, Poisson
from elman.sequences import Sequences

KINDS = ["diag", "full", "tied", "spherical"]


class RandomProblem(NamedTuple):
    model: HMM
    rows: Sequences
    description: str  # description for the message of a failing test


def random_problem(seed: int, max_iterations: int = 12) -> RandomProblem:
    """Return rows with missing steps and coordinates, and an HMM to fit."""
    rng = np.random.default_rng(seed)
    states, size, drive = int(rng.integers(1, 5)), int(rng.integers(1, 4)), int(rng.integers(1, 3))
    lengths = rng.integers(0, 15, size=rng.integers(1, 6)) + (rng.random() < 0.3) * 20
    lengths[0] = max(lengths[0], 12)
    steps = int(lengths.sum())
    prior = bool(rng.random() < 0.5)
    missing = rng.choice([0.0, 0.1, 0.5])
    name = rng.choice(["Categorical", "Poisson", "Gaussian", "Gaussian", "GaussianMixture"])
    of_means, of_moves = (bool(flag) for flag in rng.random(2) < 0.25)
    x: Any
    if name == "Categorical":
        size = int(rng.integers(2, 6))
        x = rng.integers(0, size, steps).astype(float)
        emission: Any = Categorical(size, prior=1.5 if prior else 1.0)
    elif name == "Poisson":
        x = rng.poisson(rng.choice([0.3, 5.0, 400.0], size=(steps, size))).astype(float)
        emission = Poisson(shape=2.0, rate=0.1) if prior else Poisson()
    else:
        x = rng.choice([0.0, 3.0], size=(steps, 1)) + rng.choice([0.01, 1.0]) * rng.standard_normal((steps, size))
        x = x @ rng.standard_normal((size, size)) * 10.0 ** rng.integers(-3, 4) + rng.choice([0.0, 50.0])
        settings: dict[str, Any] = {"covariance": str(rng.choice(KINDS)), "drive_size": drive if of_means else 0}
        if prior:
            settings |= {"mean_weight": 0.5, "cov_weight": 2.0}
        if rng.random() < 0.3:
            settings |= {"floor": 0.05}
        emission = Gaussian(**settings) if name == "Gaussian" else GaussianMixture(
            int(rng.integers(1, 3)), weight_prior=1.5 if prior else 1.0, **settings)  # fmt: skip
        states = min(states, 3)
    of_means = of_means and name.startswith("Gaussian")
    x[rng.random(x.shape) < missing] = np.nan
    x[rng.random(steps) < missing / 2] = np.nan
    x[:8] = np.where(
        np.isnan(x[:8]), np.arange(8.0).reshape(-1, *[1] * (x.ndim - 1)) % 2, x[:8]
    )  # at least one observation
    start = "stationary" if rng.random() < 0.3 and not of_moves else "free"
    chain = {"start_prior": 1.5, "transition_prior": 1.2} if prior else {}
    model = HMM(states, emission, start=start, drive_size=drive if of_moves else 0, restarts=1, tolerance=0.0,
                max_iterations=max_iterations, seed=seed, **chain)  # fmt: skip
    values = Driven(x, rng.standard_normal((steps, drive))) if of_means or of_moves else x
    description = (
        f"seed {seed}: {states} states, {emission}, start {start}, drive {of_moves}, missing {missing}, prior {prior}"
    )
    return RandomProblem(model, Sequences(values, lengths), description)
