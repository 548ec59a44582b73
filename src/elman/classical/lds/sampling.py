"""Sampling rows from a linear dynamical system."""

import numpy as np

from elman.classical.lds.inputs import Inputs
from elman.classical.lds.matrices import Matrices, is_constant, multiply
from elman.kernels.kalman import Prediction


def draw(
    matrices: Matrices, inputs: Inputs, start: Prediction, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return observations [N, m] and states [N, n] of rows drawn from `start`, whose diffuse part is ignored."""
    rows, n, m = inputs.rows, len(matrices.F), len(matrices.H)
    drive, offset = inputs.u @ matrices.B.T, inputs.u @ matrices.D.T
    noise = multiply(root(inputs.of_steps("Q", matrices)), rng.standard_normal((rows.num_steps, n)))
    state = start.mean + multiply(root(start.cov), rng.standard_normal((len(rows), n)))
    states = np.empty((rows.num_steps, n))
    F = inputs.of_steps("F", matrices)
    for time in range(int(rows.lengths.max(initial=0))):
        alive = np.flatnonzero(rows.lengths > time)
        steps = rows.offsets[alive] + time
        states[steps] = state[alive]
        state[alive] = multiply(F[steps], state[alive]) + drive[steps] + noise[steps]
    error = multiply(root(inputs.of_steps("R", matrices)), rng.standard_normal((rows.num_steps, m)))
    return multiply(inputs.of_steps("H", matrices), states) + offset + error, states


def root(covs: np.ndarray) -> np.ndarray:
    """Return A with A A' = cov for each covariance of [..., n, n], singular ones included."""
    if is_constant(covs):
        return np.broadcast_to(root(covs[0]), covs.shape)
    values, vectors = np.linalg.eigh(covs)
    found: np.ndarray = vectors * np.sqrt(np.maximum(values, 0))[..., None, :]
    return found
