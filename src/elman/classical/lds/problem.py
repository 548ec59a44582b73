"""Fitting problem of EM and direct maximum likelihood: rows, names of learned parameters, initial parameters."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from elman.classical.lds.inputs import Inputs
from elman.classical.lds.matrices import Matrices, first_state
from elman.classical.lds.variances import Variance, composed
from elman.kernels.kalman import Prediction

METHODS = ("em", "likelihood")
START = ("mean", "cov")


class Parameters(NamedTuple):
    """All numbers of a model, given or fitted."""

    matrices: Matrices  # Q and R without the named variances
    start: str | Prediction
    values: Mapping[str, float | None]  # values of the named variances


class Settings(NamedTuple):
    """Arguments of `LDS.fit`, and the model's `square_root`."""

    learn: tuple[str, ...] | None
    method: str | None
    restarts: int
    seed: int
    max_iterations: int
    tolerance: float
    floor: float
    square_root: bool


class Problem(NamedTuple):
    """Rows to fit, names of the learned parameters, and settings."""

    where: str
    inputs: Inputs
    variances: Sequence[Variance]
    learn: frozenset[str]
    settings: Settings

    def matrices(self, parameters: Parameters) -> Matrices:
        return composed(parameters.matrices, self.variances, known(parameters.values))

    def first(self, parameters: Parameters) -> Prediction:
        return first_state(self.where, parameters.start, self.matrices(parameters))

    def learned(self, of: str | None = None) -> list[Variance]:
        """Return the named variances to learn: all, or those of Q or R."""
        return [one for one in self.variances if one.name in self.learn and of in (None, one.of)]


class Fit(NamedTuple):
    """Result of fitting."""

    parameters: Parameters
    history: np.ndarray
    converged: bool


def known(values: Mapping[str, float | None]) -> dict[str, float]:
    """Return the values of the named variances, 0 for unknown ones."""
    return {name: 0.0 if value is None else value for name, value in values.items()}


def pose(
    where: str, inputs: Inputs, given: Parameters, variances: Sequence[Variance], settings: Settings
) -> tuple[Problem, Parameters, str]:
    """Return the problem, the parameters that fitting starts from, and the method, `em` or `likelihood`.

    Raises:
        ValueError: the rows or settings cannot be used.
    """
    learn = checked_names(where, inputs, given, variances, settings)
    problem = Problem(where, inputs, variances, frozenset(learn), settings)
    values = inputs.rows.values
    if np.isnan(values).all():
        raise ValueError(f"{where}: expected at least one observation, got none: every one is missing.")
    diffuse = diffuse_states(given)
    seen = np.bincount(inputs.rows.rows, (~np.isnan(values)).sum(1), len(inputs.rows)).astype(int)
    if not (seen > diffuse).any():
        raise ValueError(f"{where}: expected a row with more than {diffuse} observations, which the diffuse start of "
                         f"{diffuse} states needs, got {seen.max()}; give more, or a start (mean, cov).")  # fmt: skip
    method = settings.method
    if method is None:
        method = "likelihood" if problem.learned() or given.start == "stationary" else "em"
    if method not in METHODS:
        raise ValueError(f"{where}: expected method to be em or likelihood, got {method!r}.")
    return problem, guessed(problem, given), method


def diffuse_states(parameters: Parameters) -> int:
    """Return the number of diffuse dimensions of the start."""
    start = parameters.start
    if isinstance(start, Prediction):
        return int(np.linalg.matrix_rank(start.diffuse))
    return len(parameters.matrices.F) if start == "diffuse" else 0


def checked_names(
    where: str, inputs: Inputs, given: Parameters, variances: Sequence[Variance], settings: Settings
) -> tuple[str, ...]:
    """Check and return the names of the parameters to learn."""
    unknown = [name for name, value in given.values.items() if value is None]
    learn = settings.learn
    if learn is None:
        if variances and not unknown:
            raise ValueError(f"{where}: expected an unknown variance, got known ones only; name the variances to "
                             f"learn, as in learn={[variances[0].name]}.")  # fmt: skip
        learn = tuple(unknown) if unknown else ("Q", "R")
    if not learn:
        raise ValueError(f"{where}: expected names of parameters to learn, got none.")
    names = [*given.values, *Matrices._fields, *START]
    for name in learn:
        if name not in names:
            raise ValueError(f"{where}: expected learn among {', '.join(names)}, got {name!r}.")
        if name in inputs.per_step:
            raise ValueError(f"{where}: expected a constant {name}, since it is learned, got one for each step.")
        if name in ("B", "D") and not given.matrices.B.shape[1]:
            raise ValueError(f"{where}: expected a driving input where {name} is learned, got none; give B and D.")
        if name in ("F", "H") and diffuse_states(given):
            raise ValueError(f"{where}: expected a start (mean, cov) where {name} is learned, got a diffuse one: its "
                             f"likelihood is unbounded as a state leaves the output; give a wide cov.")  # fmt: skip
        if name in START and (not isinstance(given.start, Prediction) or diffuse_states(given)):
            raise ValueError(f"{where}: expected a start (mean, cov) where {name} is learned, got a diffuse or "
                             "stationary one.")  # fmt: skip
    for one in variances:
        if one.of in learn:
            raise ValueError(f"{where}: expected {one.of} to be learned by its variances, such as {one.name}, got "
                             f"learn={list(learn)}.")  # fmt: skip
        if one.name in learn and one.of in inputs.per_step:
            raise ValueError(f"{where}: expected a constant {one.of}, since {one.name} is learned, got one for each "
                             "step.")  # fmt: skip
        if one.name in unknown and one.name not in learn:
            raise ValueError(f"{where}: expected {one.name} to be known or learned, got neither; add it to learn.")
    for name, lowest in (("restarts", 1), ("max_iterations", 0), ("seed", 0)):
        number = getattr(settings, name)
        if isinstance(number, bool) or not isinstance(number, int | np.integer) or number < lowest:
            raise ValueError(f"{where}: expected {name} to be an int of at least {lowest}, got {number!r}.")
    if not (settings.tolerance >= 0 and 0 < settings.floor < 1):
        raise ValueError(f"{where}: expected a tolerance of at least 0 and a floor between 0 and 1, got "
                         f"{settings.tolerance} and {settings.floor}.")  # fmt: skip
    return learn


def guessed(problem: Problem, given: Parameters) -> Parameters:
    """Return the parameters with unknown variances guessed from the differences of the series."""
    values = dict(given.values)
    sizes = scales(problem, given.matrices)
    for one in problem.variances:
        if values[one.name] is None:
            values[one.name] = sizes[one.name] * (0.5 if one.of == "R" else 0.1)
    return given._replace(values=values)


def scales(problem: Problem, matrices: Matrices) -> dict[str, float]:
    """Return for each named variance the value that alone would explain the differences of the series."""
    x = problem.inputs.rows.values
    inside = problem.inputs.rows.times[1:] > 0
    moves = np.diff(x, axis=0)[inside]
    size = mean_square(moves) or mean_square(x) or 1.0
    n = len(matrices.F)
    F, H = (
        problem.inputs.per_step[name].mean(0) if name in problem.inputs.per_step else getattr(matrices, name)
        for name in "FH"
    )
    found = {}
    for one in problem.variances:
        if one.of == "R":
            share = float(np.trace(one.pattern)) / len(H)
        else:  # its effect on the output after n steps
            cov = one.pattern
            for _ in range(n):
                cov = F @ cov @ F.T + one.pattern
            share = float(np.trace(H @ cov @ H.T)) / (len(H) * (n + 1))
        found[one.name] = size / share if np.isfinite(share) and share > 0 else size
    return found


def mean_square(values: np.ndarray) -> float:
    there = values[~np.isnan(values)]
    return float(np.mean(there**2)) if there.size else 0.0
