"""Inputs of a linear dynamical system: observations, driving inputs, and matrices that change from step to step."""

from typing import Any, NamedTuple

import numpy as np

from elman.classical.checks import array_of, per_step_reals, place
from elman.classical.lds.matrices import Matrices
from elman.kernels.kalman import System
from elman.representation import brief_fields
from elman.rows import Rows
from elman.sequences import Sequences


@brief_fields
class Observed(NamedTuple):
    """Values of a batch with more than observations; `()` marks a missing part.

    `Sequences(Observed(x, u), lengths)` has a driving input, `Observed(x, H=H)` a matrix H for each step. Entry t holds
    the matrices of x[t] = H s[t] + D u[t] + noise(R) and s[t+1] = F s[t] + B u[t] + noise(Q).
    """

    x: Any  # [N, m] observations, NaN where one is missing
    u: Any = ()  # [N, U] driving inputs, never missing
    F: Any = ()  # [N, n, n]
    H: Any = ()  # [N, m, n]
    Q: Any = ()  # [N, n, n]
    R: Any = ()  # [N, m, m]


class Inputs(NamedTuple):
    """Values of a batch, checked against a model."""

    rows: Sequences  # x [N, m]
    u: np.ndarray  # [N, U]
    per_step: dict[str, np.ndarray]  # matrices among F, H, Q, R that are given for each step, [N, ...]

    def system(self, matrices: Matrices) -> dict[str, Any]:
        """Return the arguments of the kernel for a model, except its start."""
        per_step = bool(self.per_step)
        leaves = [
            self.of_steps(name, matrices) if per_step else getattr(matrices, name)[None] for name in System._fields
        ]
        driven = self.u.shape[1] > 0
        return {
            "system": System(*leaves),
            "x": self.rows.values,
            "lengths": self.rows.lengths,
            "state_offset": self.u @ matrices.B.T if driven else None,
            "output_offset": self.u @ matrices.D.T if driven else None,
            "per_step": per_step,
        }

    def of_steps(self, name: str, matrices: Matrices, steps: np.ndarray | None = None) -> np.ndarray:
        """Return a matrix at every step [N, ...], or at `steps`; a constant one is a broadcast view."""
        if name in self.per_step:
            return self.per_step[name] if steps is None else self.per_step[name][steps]
        one: np.ndarray = getattr(matrices, name)
        return np.broadcast_to(one, (self.rows.num_steps if steps is None else len(steps), *one.shape))


def read(where: str, sequences: Sequences, matrices: Matrices) -> Inputs:
    """Return the values of a batch, checked against the matrices of a model.

    Raises:
        TypeError: an array is not of numbers.
        ValueError: a shape is wrong, a number is infinite, an input is missing, or Q or R is not a covariance; the
            message names row and step.
    """
    (m, n), inputs = matrices.H.shape, matrices.B.shape[1]
    given = sequences.values
    if isinstance(given, tuple) and not isinstance(given, Observed):
        raise TypeError(f"{where}: expected observations, or Observed(x, u, ...), got {type(given).__name__}.")
    given = given if isinstance(given, Observed) else Observed(given)
    if isinstance(given.x, tuple):
        raise TypeError(f"{where}: expected observations x [N, m={m}], got none.")
    rows = sequences.with_values(per_step_reals(where, "observations", sequences, given.x, f"N m={m}", missing=True))
    if isinstance(given.u, tuple):
        if inputs:
            raise ValueError(f"{where}: expected a driving input u [N, U={inputs}] at each step, got none; give "
                             "Observed(x, u).")  # fmt: skip
        u = np.zeros((sequences.num_steps, 0))
    elif not inputs:
        raise ValueError(f"{where}: expected no driving input, got one; this model has neither B nor D.")
    else:
        u = per_step_reals(where, "the driving input u", sequences, given.u, f"N U={inputs}")
    per_step = {}
    specs = {"F": f"N n={n} n={n}", "H": f"N m={m} n={n}", "Q": f"N n={n} n={n}", "R": f"N m={m} m={m}"}
    for name, spec in specs.items():
        matrix = getattr(given, name)
        if not isinstance(matrix, tuple):
            per_step[name] = per_step_reals(where, name, sequences, matrix, spec)
            if name in "QR":
                semidefinite(where, name, sequences, per_step[name])
    return Inputs(rows, u, per_step)


def read_future(where: str, lengths: Any, given: Observed | None, matrices: Matrices) -> Inputs:
    """Return rows without observations, with the inputs and matrices `given` for their steps.

    Args:
        given: `Observed((), u, ...)`, leaves [N, ...]; for `LDS.forecast` [B, S, ...] as well.
    """
    rows = Rows.of(lengths, where=where)
    steps = rows.num_steps
    given = Observed(()) if given is None else given
    if not isinstance(given, Observed) or not isinstance(given.x, tuple):
        raise TypeError(f"{where}: expected the inputs of future steps as Observed((), u, ...), got "
                        f"{type(given).__name__}.")  # fmt: skip
    dimensions = {"u": 2, "F": 3, "H": 3, "Q": 3, "R": 3}
    leaves = {}
    for name, ndim in dimensions.items():
        leaf = getattr(given, name)
        if not isinstance(leaf, tuple):
            leaf = array_of(where, name, leaf)
            by_row = leaf.ndim == ndim + 1 and where == "LDS.forecast"
            leaves[name] = leaf.reshape(-1, *leaf.shape[2:]) if by_row else leaf
            if len(leaves[name]) != steps:
                raise ValueError(f"{where}: expected {name} of {steps} steps, got shape {list(leaf.shape)}.")
    missing = np.full((steps, len(matrices.H)), np.nan)
    return read(where, Sequences(Observed(missing, **leaves), rows), matrices)


def semidefinite(where: str, name: str, sequences: Sequences, matrices: np.ndarray) -> None:
    """Raise a ValueError unless the matrix of every step is a covariance."""
    if not matrices.size:
        return
    scale = np.abs(matrices).max((1, 2))
    skew = np.abs(matrices - matrices.swapaxes(1, 2)).max((1, 2)) > 1e-8 * scale
    lowest = np.linalg.eigvalsh(matrices)[:, 0]
    wrong = np.flatnonzero(skew | (lowest < -1e-10 * scale))
    if len(wrong):
        step = int(wrong[0])
        got = "one that is not symmetric" if skew[step] else f"eigenvalue {lowest[step]:.6g}"
        raise ValueError(f"{where}: expected {name} of positive semidefinite matrices, got {got} in "
                         f"{place(sequences, step)}.")  # fmt: skip
