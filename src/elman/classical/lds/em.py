"""Expectation-maximisation for linear dynamical systems (Shumway and Stoffer 1982; Ghahramani and Hinton 1996).

The M step is exact, also where coordinates are missing: those of a step that is seen in part are hidden variables,
with moments given the rest; a step that is not seen at all says nothing of H, D and R.
"""

import logging
from typing import NamedTuple

import numpy as np

from elman.classical.lds.fitting import Fit, Parameters, Problem, called, known
from elman.classical.lds.matrices import Matrices
from elman.classical.lds.products import multiply, same
from elman.kernels import kalman
from elman.kernels.kalman import Prediction, Smoothed

logger = logging.getLogger("elman")


class Moments(NamedTuple):
    """Sums over steps of what is expected of r, what the weights there are leave of y, and of z, which explains y."""

    rr: np.ndarray
    rz: np.ndarray
    zz: np.ndarray
    steps: int


def fit(problem: Problem, parameters: Parameters) -> Fit:
    """EM until an iteration gains less than the tolerance, in nats a step, or `max_iterations` are over."""
    check(problem, parameters)
    floors = floors_of(problem, parameters)
    parameters = above_floors(problem, parameters, floors)
    where, settings = problem.where, problem.settings
    enough = settings.tolerance * max(problem.rows.rows.num_steps, 1)
    history: list[float] = []
    best = parameters
    for iteration in range(settings.max_iterations + 1):
        smoothed = e_step(problem, parameters)
        reached = float(smoothed.log_prob.sum())
        logger.info("%s: iteration %d of %d, log-probability %.6f", where, iteration, settings.max_iterations, reached)
        if history and not reached >= history[-1]:  # it falls by rounding alone, where nothing is to be gained
            return Fit(best, np.array(history), True)
        history.append(reached)
        best = parameters
        if len(history) > 1 and history[-1] - history[-2] < enough:
            return Fit(best, np.array(history), True)
        if iteration < settings.max_iterations:
            parameters = m_step(problem, parameters, smoothed, floors)
    return Fit(best, np.array(history), False)


def check(problem: Problem, parameters: Parameters) -> None:
    """Raise where the M step has no closed form."""
    where, learn, own = problem.where, problem.learn, problem.rows.own
    way = "use method='likelihood'"
    for noise, means in (("Q", "FB"), ("R", "HD")):
        learned = [name for name in means if name in learn]
        if learned and noise in own:
            raise ValueError(f"{where}: EM cannot learn {learned[0]} where {noise} differs from step to step; {way}.")
        patterns = [one.pattern for one in problem.variances if one.of == noise]
        if problem.learned(noise):
            base = getattr(parameters.matrices, noise)
            whole = [*patterns, base]
            apart = all(np.abs(a @ b).max() <= 1e-12 * np.abs(a).max() * np.abs(b).max(initial=1e-300)
                        for i, a in enumerate(whole) for b in whole[:i])  # fmt: skip
            if not apart:
                raise ValueError(f"{where}: EM cannot tell apart variances of {noise} that share coordinates; {way}.")
    if parameters.start == "stationary" and (learn & {"F", "Q"} or problem.learned("Q")):
        raise ValueError(f"{where}: EM has no step for a stationary start; {way}, or start='diffuse'.")


def floors_of(problem: Problem, parameters: Parameters) -> dict[str, np.ndarray]:
    """Of each covariance that is learned whole, the diagonal of the least one.

    Raises:
        ValueError: it starts from zero, which EM never leaves.
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
    if name == "cov":
        assert isinstance(parameters.start, Prediction)
        return parameters.start.cov
    found: np.ndarray = getattr(parameters.matrices, name)
    return found


def above_floors(problem: Problem, parameters: Parameters, floors: dict[str, np.ndarray]) -> Parameters:
    matrices, start = parameters.matrices, parameters.start
    for name in problem.learn & {"Q", "R"}:
        matrices = matrices._replace(**{name: at_least(getattr(matrices, name), floors[name])})
    if "cov" in problem.learn and isinstance(start, Prediction):
        start = start._replace(cov=at_least(start.cov, floors["cov"]))
    return parameters._replace(matrices=matrices, start=start)


def at_least(cov: np.ndarray, floor: np.ndarray) -> np.ndarray:
    """Of all covariances C >= diag(floor), the one with the highest -log det C - tr(C^-1 cov)."""
    units = np.sqrt(floor)
    values, vectors = np.linalg.eigh(cov / units[:, None] / units)
    if values[0] >= 1:
        return cov
    found: np.ndarray = (vectors * np.maximum(values, 1)) @ vectors.T * units[:, None] * units
    return (found + found.T) / 2


def e_step(problem: Problem, parameters: Parameters) -> Smoothed:
    """What is known of the states of all rows, and their log-probabilities."""
    matrices, batch = problem.matrices(parameters), len(problem.rows.rows)
    first = problem.first(parameters)
    start = {name: np.repeat(leaf[None], batch, axis=0) for name, leaf in first._asdict().items()}
    return called(problem.where, kalman.smooth, **problem.rows.system(matrices), **start,
                  square_root=problem.settings.square_root)  # fmt: skip


def m_step(problem: Problem, parameters: Parameters, smoothed: Smoothed, floors: dict[str, np.ndarray]) -> Parameters:
    """Parameters for which the expected log-probability of states and observations is no lower."""
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
    rows = problem.rows.rows
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
    """The mean squared noise as a covariance, or as the variances that it has by name (those go into `values`)."""
    for one in problem.learned(name):
        inverse = np.linalg.pinv(one.pattern, rcond=1e-12, hermitian=True)
        rank = np.linalg.matrix_rank(one.pattern, tol=1e-12 * np.abs(one.pattern).max(), hermitian=True)
        values[one.name] = max(float(np.sum(inverse * cov)) / int(rank), float(floors[one.name][0]))
    if name in problem.learn:
        return matrices._replace(**{name: at_least(cov, floors[name])})
    return matrices


def regression(moments: Moments, states: np.ndarray, inputs: np.ndarray, learn_states: bool, learn_inputs: bool
               ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """The matrices of states and of inputs that explain y best from z = (states, inputs), and the mean square left.

    A step from the weights there are, so that digits are kept, and so that they stay where z leaves them open.
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
    """Of each state but the first of a row, and of the state before it with its input."""
    read = problem.rows
    after = np.flatnonzero(read.rows.times > 0)
    now = after - 1
    F, z, u = read.of_steps("F", matrices, now), smoothed.mean[now], read.u[now]
    cov, lag, cov_after = smoothed.cov[now], smoothed.lag[now], smoothed.cov[after]
    r = smoothed.mean[after] - multiply(F, z) - u @ matrices.B.T
    if same(F):  # sums are all that is asked for
        F, cov, lag, cov_after = F[:1], summed(cov), summed(lag), summed(cov_after)
    carried = lag - F @ cov
    spread = cov_after - lag @ F.swapaxes(1, 2) - (carried @ F.swapaxes(1, 2)).swapaxes(1, 2)
    return moments(r, spread, carried, z, cov, u)


def observations(problem: Problem, matrices: Matrices, smoothed: Smoothed) -> Moments:
    """Of each observation, and of the state with its input, over the steps that are seen at least in part.

    What is missing beside what is there is G s + a, given the state s and the rest, with noise.
    """
    read = problem.rows
    x, m = read.rows.values, len(matrices.H)
    missing = np.isnan(x)
    seen = np.flatnonzero(~missing.all(1))
    mean, cov, u = smoothed.mean[seen], smoothed.cov[seen], read.u[seen]
    H, R = read.of_steps("H", matrices, seen), read.of_steps("R", matrices, seen)
    partly = missing[seen].any(1)
    G = -H if partly.any() or not same(H) else np.broadcast_to(-H[0], H.shape)  # of r = x - H s - D u, in s
    a = np.where(missing[seen], 0.0, x[seen] - u @ matrices.D.T)
    noise = np.zeros((m, m))
    patterns, kind = np.unique(missing[seen], axis=0, return_inverse=True)
    kind = kind.reshape(-1)
    for number, pattern in enumerate(patterns):
        if not pattern.any():
            continue
        at, gone, there = np.flatnonzero(kind == number), np.flatnonzero(pattern), np.flatnonzero(~pattern)
        for steps in ([one] for one in at) if "R" in read.own else [at]:
            one = R[steps[0]]
            gain = one[np.ix_(gone, there)] @ np.linalg.pinv(one[np.ix_(there, there)], rcond=1e-13, hermitian=True)
            G[np.ix_(steps, gone)] = -gain @ H[steps][:, there]
            a[np.ix_(steps, gone)] = a[steps][:, there] @ gain.T
            noise[np.ix_(gone, gone)] += len(steps) * (one[np.ix_(gone, gone)] - gain @ one[np.ix_(there, gone)])
    r = a + multiply(G, mean)
    if same(G):
        G, cov = G[:1], summed(cov)
    seen_of_state = G @ cov
    found = moments(r, seen_of_state @ G.swapaxes(1, 2), seen_of_state, mean, cov, u)
    return found._replace(rr=found.rr + noise)


def summed(matrices: np.ndarray) -> np.ndarray:
    """[N, ...] -> [1, ...]"""
    return matrices.sum(0, keepdims=True)


def moments(r: np.ndarray, r_cov: np.ndarray, cross: np.ndarray, z: np.ndarray, z_cov: np.ndarray, u: np.ndarray
            ) -> Moments:  # fmt: skip
    """Sums over steps: r and z with their covariances and Cov(r, z), which may be summed already; u is known."""
    return Moments(
        r.T @ r + r_cov.sum(0),
        np.hstack([r.T @ z + cross.sum(0), r.T @ u]),
        np.block([[z.T @ z + z_cov.sum(0), z.T @ u], [u.T @ z, u.T @ u]]),
        len(r),
    )
