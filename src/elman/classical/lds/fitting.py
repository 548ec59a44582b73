"""What is fitted, from where, and by which method."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from elman.classical.lds.inputs import Read
from elman.classical.lds.matrices import Matrices, first_state
from elman.classical.lds.variances import Variance, composed
from elman.kernels.kalman import Prediction

METHODS = ("em", "likelihood")
START = ("mean", "cov")


class Parameters(NamedTuple):
    """All numbers of a model."""

    matrices: Matrices  # without the variances
    start: str | Prediction
    values: Mapping[str, float | None]  # of the variances


class Settings(NamedTuple):
    """The arguments of `fit`, and what of the model's settings matters there."""

    learn: tuple[str, ...] | None
    method: str | None
    restarts: int
    seed: int
    max_iterations: int
    tolerance: float
    floor: float
    square_root: bool


class Problem(NamedTuple):
    """What is fitted to, and how."""

    where: str
    rows: Read
    variances: Sequence[Variance]
    learn: frozenset[str]
    settings: Settings

    def matrices(self, parameters: Parameters) -> Matrices:
        return composed(parameters.matrices, self.variances, known(parameters.values))

    def first(self, parameters: Parameters) -> Prediction:
        return first_state(self.where, parameters.start, self.matrices(parameters))

    def learned(self, of: str | None = None) -> list[Variance]:
        """The variances that are learned, all or those of Q or R."""
        return [one for one in self.variances if one.name in self.learn and of in (None, one.of)]


class Fit(NamedTuple):
    """Where fitting ended."""

    parameters: Parameters
    history: np.ndarray
    converged: bool


def has_diffuse(start: str | Prediction) -> bool:
    return bool(start.diffuse.any()) if isinstance(start, Prediction) else start == "diffuse"


def known(values: Mapping[str, float | None]) -> dict[str, float]:
    return {name: 0.0 if value is None else value for name, value in values.items()}


def called(where: str, function: Any, **arguments: Any) -> Any:
    """What a kernel says, and its errors in the name of the caller."""
    try:
        return function(**arguments)
    except ValueError as error:
        _, _, told = str(error).partition(": ")
        raise ValueError(f"{where}: {told}") from None


def fit(where: str, rows: Read, given: Parameters, variances: Sequence[Variance], settings: Settings) -> Fit:
    """Parameters that make rows likelier than those given; unknown variances start from a guess.

    Raises:
        ValueError: what is asked for cannot be done, in one line that says why.
    """
    from elman.classical.lds import em, likelihood

    learn = chosen(where, rows, given, variances, settings)
    problem = Problem(where, rows, variances, frozenset(learn), settings)
    if np.isnan(rows.rows.values).all():
        raise ValueError(f"{where}: expected at least one observation, got none: every one is missing.")
    open_ = len(given.matrices.F) if given.start == "diffuse" else (
        int(np.linalg.matrix_rank(given.start.diffuse)) if isinstance(given.start, Prediction) else 0)  # fmt: skip
    seen = np.bincount(rows.rows.rows, (~np.isnan(rows.rows.values)).sum(1), len(rows.rows)).astype(int)
    if not (seen > open_).any():
        raise ValueError(f"{where}: expected a row with more than {open_} observations, which a diffuse start of "
                         f"{open_} states takes up, got {seen.max()}; give more, or a start (mean, cov).")  # fmt: skip
    by = settings.method
    if by is None:
        by = "likelihood" if problem.learned() or given.start == "stationary" else "em"
    if by not in METHODS:
        raise ValueError(f"{where}: expected method to be em or likelihood, got {by!r}.")
    return (em if by == "em" else likelihood).fit(problem, guessed(problem, given))


def chosen(where: str, rows: Read, given: Parameters, variances: Sequence[Variance], settings: Settings
           ) -> tuple[str, ...]:  # fmt: skip
    """The names of what is learned, if they can be."""
    unknown = [name for name, value in given.values.items() if value is None]
    learn = settings.learn
    if learn is None:
        if variances and not unknown:
            raise ValueError(f"{where}: expected something to learn, got variances that are all known; name those to "
                             f"learn, as in learn={[variances[0].name]}.")  # fmt: skip
        learn = tuple(unknown) if unknown else ("Q", "R")
    if not learn:
        raise ValueError(f"{where}: expected names of what to learn, got none.")
    names = [*given.values, *Matrices._fields, *START]
    for name in learn:
        if name not in names:
            raise ValueError(f"{where}: expected learn among {', '.join(names)}, got {name!r}.")
        if name in rows.own:
            raise ValueError(f"{where}: expected {name} of the model where it is learned, got one for each step.")
        if name in ("B", "D") and not given.matrices.B.shape[1]:
            raise ValueError(f"{where}: expected a driving input where {name} is learned, got none; give B and D.")
        if name in ("F", "H") and has_diffuse(given.start):
            raise ValueError(f"{where}: expected a start (mean, cov) where {name} is learned, got a diffuse one: its "
                             f"likelihood has no bound as {name} loses sight of a state; give a wide cov.")  # fmt: skip
        if name in START and (not isinstance(given.start, Prediction) or has_diffuse(given.start)):
            raise ValueError(f"{where}: expected a start (mean, cov) where {name} is learned, got a diffuse or "
                             "stationary one.")  # fmt: skip
    for one in variances:
        if one.of in learn:
            raise ValueError(f"{where}: expected {one.of} to be learned by its variances, such as {one.name}, got "
                             f"learn={list(learn)}.")  # fmt: skip
        if one.name in learn and one.of in rows.own:
            raise ValueError(f"{where}: expected {one.of} of the model where {one.name} is learned, got one for each "
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
    """Unknown variances by their share in what the series does from step to step."""
    values = dict(given.values)
    sizes = scales(problem, given.matrices)
    for one in problem.variances:
        if values[one.name] is None:
            values[one.name] = sizes[one.name] * (0.5 if one.of == "R" else 0.1)
    return given._replace(values=values)


def scales(problem: Problem, matrices: Matrices) -> dict[str, float]:
    """For each variance, the one that would by itself explain the variance of the differences of the series."""
    x = problem.rows.rows.values
    inside = problem.rows.rows.times[1:] > 0
    moves = np.diff(x, axis=0)[inside]
    size = mean_square(moves) or mean_square(x) or 1.0
    n = len(matrices.F)
    F, H = (problem.rows.own[name].mean(0) if name in problem.rows.own else getattr(matrices, name) for name in "FH")
    found = {}
    for one in problem.variances:
        if one.of == "R":
            share = float(np.trace(one.pattern)) / len(H)
        else:  # what it has become in the output after n steps
            cov = one.pattern
            for _ in range(n):
                cov = F @ cov @ F.T + one.pattern
            share = float(np.trace(H @ cov @ H.T)) / (len(H) * (n + 1))
        found[one.name] = size / share if np.isfinite(share) and share > 0 else size
    return found


def mean_square(values: np.ndarray) -> float:
    there = values[~np.isnan(values)]
    return float(np.mean(there**2)) if there.size else 0.0
