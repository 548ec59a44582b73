"""Expectation-maximisation for linear dynamical systems (Shumway and Stoffer 1982; Ghahramani and Hinton 1996).

The M step is exact for missing coordinates too. The missing coordinates of a partly observed step are hidden variables,
with moments given the rest. A step without observations contributes nothing to H, D and R.
"""

import logging
from typing import Any, NamedTuple

import numpy as np

from elman.classical.lds.matrices import Matrices, is_constant, multiply
from elman.classical.lds.problem import Fit, Parameters, Problem, known
from elman.kernels import kalman
from elman.kernels.kalman import Prediction, Smoothed
from elman.progress import ProgressLine

logger = logging.getLogger("elman")


class Moments(NamedTuple):
    """Expected sums over steps for the regression of y on z; r is the residual of y under the current weights."""

    rr: np.ndarray  # sum of r r'
    rz: np.ndarray  # sum of r z'
    zz: np.ndarray  # sum of z z'
    steps: int


def fit(problem: Problem, parameters: Parameters, line: ProgressLine) -> Fit:
    """Run EM until an iteration gains less than the tolerance, in nats per step, or for `max_iterations`."""
    check(problem, parameters)
    floors = floors_of(problem, parameters)
    parameters = above_floors(problem, parameters, floors)
    where, settings = problem.where, problem.settings
    enough = settings.tolerance * max(problem.inputs.rows.num_steps, 1)
    history: list[float] = []
    best = parameters
    for iteration in range(settings.max_iterations + 1):
        smoothed = e_step(problem, parameters)
        reached = float(smoothed.log_prob.sum())
        logger.info("%s: iteration %d of %d, log-probability %.6f", where, iteration, settings.max_iterations, reached)
        line.iteration(where, iteration, settings.max_iterations, reached)
        if history and not reached >= history[-1]:  # only rounding lowers it, at the optimum
            return Fit(best, np.array(history), True)
        history.append(reached)
        best = parameters
        if len(history) > 1 and history[-1] - history[-2] < enough:
            return Fit(best, np.array(history), True)
        if iteration < settings.max_iterations:
            parameters = m_step(problem, parameters, smoothed, floors)
    return Fit(best, np.array(history), False)


def check(problem: Problem, parameters: Parameters) -> None:
    """Raise a ValueError where the M step has no closed form."""
    where, learn, per_step = problem.where, problem.learn, problem.inputs.per_step
    remedy = "use method='likelihood'"
    for noise, means in (("Q", "FB"), ("R", "HD")):
        learned = [name for name in means if name in learn]
        if learned and noise in per_step:
            raise ValueError(
                f"{where}: EM cannot learn {learned[0]} where {noise} differs from step to step; {remedy}."
            )
        patterns = [one.pattern for one in problem.variances if one.of == noise]
        if problem.learned(noise):
            base = getattr(parameters.matrices, noise)
            whole = [*patterns, base]
            disjoint = all(np.abs(a @ b).max() <= 1e-12 * np.abs(a).max() * np.abs(b).max(initial=1e-300)
                        for i, a in enumerate(whole) for b in whole[:i])  # fmt: skip
            if not disjoint:
                raise ValueError(f"{where}: EM cannot separate variances of {noise} that share coordinates; {remedy}.")
    if parameters.start == "stationary" and (learn & {"F", "Q"} or problem.learned("Q")):
        raise ValueError(f"{where}: EM has no step for a stationary start; {remedy}, or start='diffuse'.")


def floors_of(problem: Problem, parameters: Parameters) -> dict[str, np.ndarray]:
    """Return the lower bound of each learned covariance, as a diagonal.

    Raises:
        ValueError: a covariance starts at zero, which EM never leaves.
    """
    found = {}
    for name in problem.learn & {"Q", "R", "cov"}:
        start = covariance(parameters, name)
        zero = np.flatnonzero(np.diag(start) <= 0)
        if len(zero):
            raise ValueError(f"{problem.where}: expected a {name} above zero where it is learned, got a variance of 0 "
                             f"at coordinate {zero[0]}, which EM never leaves; give it a positive one.")  # fmt: skip
        found[name] = problem.settings.floor * np.diag(start)
    for one in problem.learned():
        value = known(parameters.values)[one.name]
        if not value > 0:
            raise ValueError(f"{problem.where}: expected {one.name} above zero where it is learned, got {value}, which "
                             "EM never leaves; give it a positive value, or None.")  # fmt: skip
        found[one.name] = np.array([problem.settings.floor * value])
    return found


def covariance(parameters: Parameters, name: str) -> np.ndarray:
    """Return Q, R or the covariance of the start."""
    if name == "cov":
        assert isinstance(parameters.start, Prediction)
        return parameters.start.cov
    found: np.ndarray = getattr(parameters.matrices, name)
    return found


def above_floors(problem: Problem, parameters: Parameters, floors: dict[str, np.ndarray]) -> Parameters:
    """Return the parameters with learned covariances raised to their lower bounds."""
    matrices, start = parameters.matrices, parameters.start
    for name in problem.learn & {"Q", "R"}:
        matrices = matrices._replace(**{name: at_least(getattr(matrices, name), floors[name])})
    if "cov" in problem.learn and isinstance(start, Prediction):
        start = start._replace(cov=at_least(start.cov, floors["cov"]))
    return parameters._replace(matrices=matrices, start=start)


def at_least(cov: np.ndarray, floor: np.ndarray) -> np.ndarray:
    """Return the covariance C >= diag(floor) that maximises -log det C - tr(C^-1 cov)."""
    units = np.sqrt(floor)
    values, vectors = np.linalg.eigh(cov / units[:, None] / units)
    if values[0] >= 1:
        return cov
    found: np.ndarray = (vectors * np.maximum(values, 1)) @ vectors.T * units[:, None] * units
    return (found + found.T) / 2


def e_step(problem: Problem, parameters: Parameters) -> Smoothed:
    """Return the smoothed states of all rows, and their log-probabilities."""
    matrices, batch = problem.matrices(parameters), len(problem.inputs.rows)
    first = problem.first(parameters)
    start = {name: np.repeat(leaf[None], batch, axis=0) for name, leaf in first._asdict().items()}
    arguments: dict[str, Any] = problem.inputs.system(matrices) | start
    return kalman.smooth(**arguments, square_root=problem.settings.square_root, where=problem.where)


def m_step(problem: Problem, parameters: Parameters, smoothed: Smoothed, floors: dict[str, np.ndarray]) -> Parameters:
    """Return parameters with an expected log-probability of states and observations that is not lower."""
    learn, matrices, values = problem.learn, parameters.matrices, dict(parameters.values)
    whole = problem.matrices(parameters)
    if learn & {"F", "B", "Q"} or problem.learned("Q"):
        sums = transitions(problem, whole, smoothed)
        if sums.steps:
            F, B, cov = regression(sums, whole.F, whole.B, "F" in learn, "B" in learn)
            matrices = matrices._replace(F=F, B=B)
            matrices = noise(problem, matrices, values, "Q", cov, floors)
    if learn & {"H", "D", "R"} or problem.learned("R"):
        sums = observations(problem, whole, smoothed)
        if sums.steps:
            H, D, cov = regression(sums, whole.H, whole.D, "H" in learn, "D" in learn)
            matrices = matrices._replace(H=H, D=D)
            matrices = noise(problem, matrices, values, "R", cov, floors)
    start = parameters.start
    rows = problem.inputs.rows
    first = rows.offsets[:-1][rows.lengths > 0]
    if isinstance(start, Prediction) and learn & {"mean", "cov"} and len(first):
        mean = smoothed.mean[first].mean(0) if "mean" in learn else start.mean
        if "cov" in learn:
            errors = smoothed.mean[first] - mean
            cov = smoothed.cov[first].mean(0) + errors.T @ errors / len(first)
            start = start._replace(cov=at_least((cov + cov.T) / 2, floors["cov"]))
        start = start._replace(mean=mean)
    return Parameters(matrices, start, values)


def noise(problem: Problem, matrices: Matrices, values: dict[str, float | None], name: str, cov: np.ndarray,
          floors: dict[str, np.ndarray]) -> Matrices:  # fmt: skip
    """Return the matrices with the mean squared noise as Q or R; its named variances go into `values`."""
    for one in problem.learned(name):
        inverse = np.linalg.pinv(one.pattern, rcond=1e-12, hermitian=True)
        rank = np.linalg.matrix_rank(one.pattern, tol=1e-12 * np.abs(one.pattern).max(), hermitian=True)
        values[one.name] = max(float(np.sum(inverse * cov)) / int(rank), float(floors[one.name][0]))
    if name in problem.learn:
        return matrices._replace(**{name: at_least(cov, floors[name])})
    return matrices


def regression(moments: Moments, states: np.ndarray, inputs: np.ndarray, learn_states: bool, learn_inputs: bool
               ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Regress y on z = (states, inputs): return the weights of both, and the mean squared residual.

    The result is the current weights plus a correction: this preserves digits, and weights that z does not determine.
    """
    n = states.shape[1]
    rr, rz, zz, steps = moments
    free = np.r_[np.full(n, learn_states), np.full(inputs.shape[1], learn_inputs)]
    if free.any():
        wrong, inner = rz[:, free], zz[np.ix_(free, free)]
        units = np.sqrt(np.diag(inner))
        units[units == 0] = 1.0
        step = wrong / units @ np.linalg.pinv(inner / units[:, None] / units, rcond=1e-13, hermitian=True) / units
        explained = step @ wrong.T
        rr = rr - explained - explained.T + step @ inner @ step.T
        moved = np.hstack([states, inputs])
        moved[:, free] += step
        states, inputs = moved[:, :n], moved[:, n:]
    return states, inputs, (rr + rr.T) / (2 * steps)


def transitions(problem: Problem, matrices: Matrices, smoothed: Smoothed) -> Moments:
    """Return the moments of each state (y) with the previous state and its input (z); first steps have none."""
    inputs = problem.inputs
    after = np.flatnonzero(inputs.rows.times > 0)
    now = after - 1
    F, z, u = inputs.of_steps("F", matrices, now), smoothed.mean[now], inputs.u[now]
    cov, lag, cov_after = smoothed.cov[now], smoothed.lag[now], smoothed.cov[after]
    r = smoothed.mean[after] - multiply(F, z) - u @ matrices.B.T
    if is_constant(F):  # only sums are needed
        F, cov, lag, cov_after = F[:1], summed(cov), summed(lag), summed(cov_after)
    carried = lag - F @ cov
    spread = cov_after - lag @ F.swapaxes(1, 2) - (carried @ F.swapaxes(1, 2)).swapaxes(1, 2)
    return moments(r, spread, carried, z, cov, u)


def observations(problem: Problem, matrices: Matrices, smoothed: Smoothed) -> Moments:
    """Return the moments of each observation (y) with its state and input (z), over steps with any observation.

    A missing coordinate is G s + a plus noise, given the state s and the observed coordinates.
    """
    inputs = problem.inputs
    x, m = inputs.rows.values, len(matrices.H)
    missing = np.isnan(x)
    seen = np.flatnonzero(~missing.all(1))
    mean, cov, u = smoothed.mean[seen], smoothed.cov[seen], inputs.u[seen]
    H, R = inputs.of_steps("H", matrices, seen), inputs.of_steps("R", matrices, seen)
    partly = missing[seen].any(1)
    G = -H if partly.any() or not is_constant(H) else np.broadcast_to(-H[0], H.shape)  # of r = x - H s - D u, in s
    a = np.where(missing[seen], 0.0, x[seen] - u @ matrices.D.T)
    noise = np.zeros((m, m))
    patterns, kind = np.unique(missing[seen], axis=0, return_inverse=True)
    kind = kind.reshape(-1)
    for number, pattern in enumerate(patterns):
        if not pattern.any():
            continue
        at, lost, kept = np.flatnonzero(kind == number), np.flatnonzero(pattern), np.flatnonzero(~pattern)
        for steps in ([one] for one in at) if "R" in inputs.per_step else [at]:
            one = R[steps[0]]
            gain = one[np.ix_(lost, kept)] @ np.linalg.pinv(one[np.ix_(kept, kept)], rcond=1e-13, hermitian=True)
            G[np.ix_(steps, lost)] = -gain @ H[steps][:, kept]
            a[np.ix_(steps, lost)] = a[steps][:, kept] @ gain.T
            noise[np.ix_(lost, lost)] += len(steps) * (one[np.ix_(lost, lost)] - gain @ one[np.ix_(kept, lost)])
    r = a + multiply(G, mean)
    if is_constant(G):
        G, cov = G[:1], summed(cov)
    cross = G @ cov  # Cov(r, s)
    found = moments(r, cross @ G.swapaxes(1, 2), cross, mean, cov, u)
    return found._replace(rr=found.rr + noise)


def summed(matrices: np.ndarray) -> np.ndarray:
    """Return the sum over steps, [N, ...] -> [1, ...]."""
    return matrices.sum(0, keepdims=True)


def moments(r: np.ndarray, r_cov: np.ndarray, cross: np.ndarray, z: np.ndarray, z_cov: np.ndarray, u: np.ndarray
            ) -> Moments:  # fmt: skip
    """Return sums over steps of products of r, z and u: r and z have covariances, u is known.

    r_cov, cross = Cov(r, z) and z_cov are [N, ...], or summed over steps, [1, ...].
    """
    return Moments(
        r.T @ r + r_cov.sum(0),
        np.hstack([r.T @ z + cross.sum(0), r.T @ u]),
        np.block([[z.T @ z + z_cov.sum(0), z.T @ u], [u.T @ z, u.T @ u]]),
        len(r),
    )
