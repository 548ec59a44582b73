"""Rows drawn from a linear dynamical system."""

import numpy as np

from elman.classical.lds.inputs import Read
from elman.classical.lds.matrices import Matrices
from elman.classical.lds.products import multiply, same
from elman.kernels.kalman import Prediction


def draw(matrices: Matrices, read: Read, start: Prediction, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Observations [N, m] and states [N, n] of rows that start in `start`, whose diffuse part is left out."""
    rows, n, m = read.rows, len(matrices.F), len(matrices.H)
    drive, offset = read.u @ matrices.B.T, read.u @ matrices.D.T
    noise = multiply(root(read.of_steps("Q", matrices)), rng.standard_normal((rows.num_steps, n)))
    state = start.mean + multiply(root(start.cov), rng.standard_normal((len(rows), n)))
    states = np.empty((rows.num_steps, n))
    F = read.of_steps("F", matrices)
    for time in range(int(rows.lengths.max(initial=0))):
        alive = np.flatnonzero(rows.lengths > time)
        steps = rows.offsets[alive] + time
        states[steps] = state[alive]
        state[alive] = multiply(F[steps], state[alive]) + drive[steps] + noise[steps]
    error = multiply(root(read.of_steps("R", matrices)), rng.standard_normal((rows.num_steps, m)))
    return multiply(read.of_steps("H", matrices), states) + offset + error, states


def root(covs: np.ndarray) -> np.ndarray:
    """A with A A' = cov of each of [..., n, n], also of singular ones."""
    if same(covs):
        return np.broadcast_to(root(covs[0]), covs.shape)
    values, vectors = np.linalg.eigh(covs)
    found: np.ndarray = vectors * np.sqrt(np.maximum(values, 0))[..., None, :]
    return found
