"""Direct maximum likelihood: L-BFGS-B over logarithms of variances and Cholesky factors of covariances."""

import logging
from collections.abc import Sequence
from itertools import count
from typing import Any, NamedTuple

import numpy as np

from elman.classical.lds.matrices import Matrices
from elman.classical.lds.problem import Fit, Parameters, Problem, known, scales
from elman.kernels import kalman
from elman.kernels.kalman import Prediction, System
from elman.optional_packages import needed_by
from elman.progress import ProgressLine

logger = logging.getLogger("elman")
STEP = 1e-4  # step of the finite differences, in units where parameters are about 1
LOWEST, HIGHEST = 1e-14, 1e8  # bounds of a variance, as fractions of the one that alone would explain the series
NEGLIGIBLE = 1e-7  # nats: a variance is set to zero if that costs no more
WORST = 1e300  # objective of parameters that make the rows impossible
NUMBERS = 10_000_000  # array elements per call of the kernel


class Coordinates(NamedTuple):
    """Map between parameters and the vector that the optimiser works on."""

    problem: Problem
    origin: Parameters  # fixed parameters, and the units of learned ones
    sizes: dict[str, float]  # scale of each named variance

    def names(self) -> list[str]:
        """Return the learned names in the order of the vector."""
        order = [one.name for one in self.problem.variances] + [*Matrices._fields, "mean", "cov"]
        return [name for name in order if name in self.problem.learn]

    def pack(self, parameters: Parameters) -> np.ndarray:
        """Return the vector of some parameters."""
        parts = []
        for name in self.names():
            if name in parameters.values:
                least = LOWEST * self.sizes[name]
                parts.append(np.log([max(known(parameters.values)[name], least) / self.sizes[name]]))
            elif name in ("Q", "R", "cov"):
                root = np.linalg.cholesky(leaf(parameters, name) / self.units(name))
                lower = np.tril_indices(len(root))
                parts.append(np.where(lower[0] == lower[1], np.log(np.abs(root[lower]) + 1e-300), root[lower]))
            else:
                parts.append((leaf(parameters, name) / self.units(name)).ravel())
        return np.concatenate(parts)

    def unpack(self, vector: np.ndarray) -> Parameters:
        """Return the parameters of a vector."""
        values, matrices, start = dict(self.origin.values), self.origin.matrices, self.origin.start
        place = 0
        for name in self.names():
            if name in values:
                values[name] = float(np.exp(vector[place]) * self.sizes[name])
                place += 1
                continue
            shape = leaf(self.origin, name).shape
            if name in ("Q", "R", "cov"):
                root = np.zeros(shape)
                lower = np.tril_indices(len(root))
                part = vector[place : place + len(lower[0])]
                root[lower] = np.where(lower[0] == lower[1], np.exp(part), part)
                place += len(part)
                found = root @ root.T * self.units(name)
            else:
                found = (vector[place : place + np.prod(shape, dtype=int)]).reshape(shape) * self.units(name)
                place += found.size
            if name in Matrices._fields:
                matrices = matrices._replace(**{name: found})
            else:
                assert isinstance(start, Prediction)
                start = start._replace(**{name: found})
        return Parameters(matrices, start, values)

    def units(self, name: str) -> np.ndarray:
        """Return the unit of a parameter: initial deviations for covariances and a mean, mean size for weights."""
        one = leaf(self.origin, name)
        if name in ("Q", "R", "cov"):
            deviations = np.sqrt(np.diag(one))
            return deviations[:, None] * deviations
        if name == "mean":
            return np.sqrt(np.diag(leaf(self.origin, "cov"))) + 1e-3 * np.abs(one) + 1e-12
        return np.asarray(np.abs(one).mean() or 1.0)

    def bounds(self) -> list[tuple[float, float]]:
        """Return the bounds of each coordinate."""
        found: list[tuple[float, float]] = []
        for name in self.names():
            if name in self.origin.values:
                found.append((np.log(LOWEST), np.log(HIGHEST)))
            elif name in ("Q", "R", "cov"):
                size = len(leaf(self.origin, name))
                rows, columns = np.tril_indices(size)
                found += [(np.log(1e-6), np.log(1e6)) if row == column else (-1e6, 1e6)
                          for row, column in zip(rows, columns, strict=True)]  # fmt: skip
            else:
                found += [(-np.inf, np.inf)] * leaf(self.origin, name).size
        return found


def leaf(parameters: Parameters, name: str) -> np.ndarray:
    """Return a matrix, or the mean or covariance of the start, by name."""
    holder: Any = parameters.matrices if name in Matrices._fields else parameters.start
    found: np.ndarray = getattr(holder, name)
    return found


def fit(problem: Problem, parameters: Parameters, line: ProgressLine) -> Fit:
    """Return the best optimum from several starts: the given parameters, and random ones."""
    with needed_by('LDS.fit with method="likelihood"'):
        from scipy.optimize import minimize

    check(problem, parameters)
    coordinates = Coordinates(problem, parameters, scales(problem, parameters.matrices))
    settings = problem.settings
    first = log_likelihoods(problem, [parameters])  # raises a clear error before optimising
    if not np.isfinite(first[0]):
        raise ValueError(f"{problem.where}: the first parameters make the rows impossible; give others, with an R "
                         "above 0.")  # fmt: skip
    rng = np.random.default_rng(settings.seed)
    origin, bounds = coordinates.pack(parameters), coordinates.bounds()
    best, best_vector, converged, history, iterations = -np.inf, origin, False, [], count()

    def report(intermediate_result: Any) -> None:
        limit = settings.restarts * settings.max_iterations
        line.iteration(problem.where, next(iterations) + 1, limit, max(best, -float(intermediate_result.fun)))

    for restart in range(settings.restarts):
        start = origin if restart == 0 else scattered(coordinates, origin, rng)
        found = minimize(
            lambda vector: objective(coordinates, vector), start, jac=True, method="L-BFGS-B", bounds=bounds,
            callback=report,
            options={"maxiter": settings.max_iterations, "maxfun": 4 * settings.max_iterations + 20, "ftol": 1e-14,
                     "gtol": 1e-6, "maxcor": 20},
        )  # fmt: skip
        history.append(-float(found.fun))
        logger.info("%s: start %d of %d, log-probability %.6f", problem.where, restart + 1, settings.restarts,
                    history[-1])  # fmt: skip
        if history[-1] > best:
            best, best_vector, converged = history[-1], found.x, bool(found.nit < settings.max_iterations)
    if best < first[0]:  # no start improved on the given parameters
        return Fit(parameters, np.array(history), converged)
    return Fit(without_negligible(problem, coordinates.unpack(best_vector), best), np.array(history), converged)


def check(problem: Problem, parameters: Parameters) -> None:
    """Raise a ValueError unless every learned covariance is positive definite."""
    for name in problem.learn & {"Q", "R", "cov"}:
        one = leaf(parameters, name)
        lowest = np.linalg.eigvalsh(one)[0]
        if not lowest > 1e-12 * np.abs(one).max():
            raise ValueError(f"{problem.where}: expected a positive definite {name} where it is learned, got "
                             f"eigenvalue {lowest:.6g}; give another to start from.")  # fmt: skip


def scattered(coordinates: Coordinates, origin: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a random start: variances over six orders of magnitude, other parameters near the given ones."""
    place, start = 0, origin.copy()
    for name in coordinates.names():
        if name in coordinates.origin.values:
            start[place] = np.log(10) * rng.uniform(-5, 0.5)
            place += 1
        else:
            shape = leaf(coordinates.origin, name).shape
            size = len(np.tril_indices(shape[0])[0]) if name in ("Q", "R", "cov") else int(np.prod(shape))
            spread = 1.0 if name in ("Q", "R", "cov") else 0.1
            start[place : place + size] += spread * rng.standard_normal(size)
            place += size
    return start


def objective(coordinates: Coordinates, vector: np.ndarray) -> tuple[float, np.ndarray]:
    """Return minus the log-likelihood and its gradient by central differences, all in one batch of models."""
    moves = STEP * np.eye(len(vector))
    models = [coordinates.unpack(one) for one in (vector, *(vector + moves), *(vector - moves))]
    try:
        found = -log_likelihoods(coordinates.problem, models)
    except ValueError:  # a model overflows
        found = np.full(len(models), np.inf)
    if not np.isfinite(found).all():
        return WORST, np.zeros(len(vector))
    up, down = found[1 : 1 + len(vector)], found[1 + len(vector) :]
    return float(found[0]), (up - down) / (2 * STEP)


def log_likelihoods(problem: Problem, models: Sequence[Parameters]) -> np.ndarray:
    """Return the log-probability of all rows under each model, [len(models)]."""
    inputs = problem.inputs
    width = (
        sum(leaf[0].size for leaf in inputs.per_step.values()) + inputs.rows.values.shape[1] + len(models[0].matrices.F)
    )
    at_once = max(1, NUMBERS // max(1, inputs.rows.num_steps * width))
    parts = [models[start : start + at_once] for start in range(0, len(models), at_once)]
    return np.concatenate([log_likelihoods_of(problem, part) for part in parts])


def log_likelihoods_of(problem: Problem, models: Sequence[Parameters]) -> np.ndarray:
    """Return the same from one call of the kernel, in which every model has all rows."""
    batch, count = len(problem.inputs.rows), len(models)
    each = [problem.inputs.system(problem.matrices(model)) for model in models]
    per_step = each[0]["per_step"]
    firsts = [problem.first(model) for model in models]
    start = {
        name: np.repeat(np.stack([getattr(first, name) for first in firsts]), batch, axis=0)
        for name in Prediction._fields
    }
    offsets: dict[str, Any] = {
        name: None if each[0][name] is None else np.concatenate([one[name] for one in each])
        for name in ("state_offset", "output_offset")
    }
    found = kalman.log_likelihood(
        system=System(*(np.concatenate(leaves) for leaves in zip(*(one["system"] for one in each), strict=True))),
        x=np.tile(problem.inputs.rows.values, (count, 1)),
        lengths=np.tile(problem.inputs.rows.lengths, count),
        model=None if per_step else np.repeat(np.arange(count), batch),
        per_step=per_step,
        square_root=problem.settings.square_root,
        where=problem.where,
        **start,
        **offsets,
    )
    sums: np.ndarray = found.reshape(count, batch).sum(1)
    return sums


def without_negligible(problem: Problem, parameters: Parameters, best: float) -> Parameters:
    """Return the parameters with variances that the rows do not need set to exactly zero."""
    sizes = scales(problem, parameters.matrices)
    names = [one.name for one in problem.learned() if known(parameters.values)[one.name] < 1e-4 * sizes[one.name]]
    for name in names:
        without = parameters._replace(values={**parameters.values, name: 0.0})
        try:
            equal = log_likelihoods(problem, [without])[0] >= best - NEGLIGIBLE
        except ValueError:
            continue
        if equal:
            parameters = without
    return parameters
