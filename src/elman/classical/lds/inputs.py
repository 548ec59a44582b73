"""What a linear dynamical system reads: rows of observations, and what else is known of each step."""

from typing import Any, NamedTuple

import numpy as np

from elman.classical.lds.matrices import Matrices
from elman.classical.rows import place
from elman.kernels.kalman import System
from elman.sequences import Sequences
from elman.shapes import check


class Observed(NamedTuple):
    """The values of a batch, where more is known of its steps than the observations; `()` is what is left out.

    `Sequences(Observed(x, u), lengths)` has a driving input, `Observed(x, H=H)` a matrix H for each step. Those of step
    t are the ones of x[t] = H s[t] + D u[t] + noise(R) and s[t+1] = F s[t] + B u[t] + noise(Q).
    """

    x: Any  # [N, m] observations, NaN where one is missing
    u: Any = ()  # [N, U] driving inputs, never missing
    F: Any = ()  # [N, n, n]
    H: Any = ()  # [N, m, n]
    Q: Any = ()  # [N, n, n]
    R: Any = ()  # [N, m, m]


class Read(NamedTuple):
    """Values that agree with a model."""

    rows: Sequences  # of x [N, m]
    u: np.ndarray  # [N, U]
    own: dict[str, np.ndarray]  # the matrices among F, H, Q, R that each step has of its own, [N, ...]

    def system(self, matrices: Matrices) -> dict[str, Any]:
        """The arguments of the kernel for a model, but for its start."""
        per_step = bool(self.own)
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
        """A matrix at every step [N, ...], or at some; where it is one for all, it lies in memory once."""
        if name in self.own:
            return self.own[name] if steps is None else self.own[name][steps]
        one: np.ndarray = getattr(matrices, name)
        return np.broadcast_to(one, (self.rows.num_steps if steps is None else len(steps), *one.shape))


def read(where: str, sequences: Sequences, matrices: Matrices) -> Read:
    """The values of a batch, if they are what a model with such matrices reads.

    Raises:
        TypeError: they are not of float64.
        ValueError: a shape is another, a number is infinite, an input missing, a covariance none: row and step are
            named.
    """
    (m, n), inputs = matrices.H.shape, matrices.B.shape[1]
    given = sequences.values
    if isinstance(given, tuple) and not isinstance(given, Observed):
        raise TypeError(f"{where}: expected observations, or Observed(x, u, ...), got {type(given).__name__}.")
    given = given if isinstance(given, Observed) else Observed(given)
    x = np.asarray(given.x)
    if x.ndim == 1 and not isinstance(given.x, tuple) and m == 1:
        raise ValueError(f"{where}: expected observations of shape [N, m=1], got {list(x.shape)}; a single series is "
                         "x[:, None].")  # fmt: skip
    rows = Sequences(number(where, "observations", sequences, x, f"N m={m}", missing=True), sequences.lengths)
    if isinstance(given.u, tuple):
        if inputs:
            raise ValueError(f"{where}: expected a driving input u [N, U={inputs}] at each step, got none; give "
                             "Observed(x, u).")  # fmt: skip
        u = np.zeros((sequences.num_steps, 0))
    elif not inputs:
        raise ValueError(f"{where}: expected no driving input, got one; this model has neither B nor D.")
    else:
        u = number(where, "the driving input u", sequences, given.u, f"N U={inputs}")
    own = {}
    specs = {"F": f"N n={n} n={n}", "H": f"N m={m} n={n}", "Q": f"N n={n} n={n}", "R": f"N m={m} m={m}"}
    for name, spec in specs.items():
        matrix = getattr(given, name)
        if not isinstance(matrix, tuple):
            own[name] = number(where, name, sequences, matrix, spec)
            if name in "QR":
                semidefinite(where, name, sequences, own[name])
    return Read(rows, u, own)


def number(where: str, name: str, sequences: Sequences, array: Any, spec: str, missing: bool = False) -> np.ndarray:
    """`array`, if it holds a float64 number, or NaN where one is `missing`, for each step."""
    array = np.asarray(array)
    check(where, name, array, spec)
    if array.dtype != np.float64:
        raise TypeError(f"{where}: expected {name} of float64, got {array.dtype}; convert with .astype(np.float64).")
    wrong = np.isinf(array) if missing else ~np.isfinite(array)
    if wrong.any():
        step = int(np.argwhere(wrong)[0][0])
        allowed = "finite numbers, or NaN where one is missing" if missing else "finite numbers"
        raise ValueError(f"{where}: expected {name} of {allowed}, got {array[wrong][0]} in {place(sequences, step)}; "
                         "mend the data.")  # fmt: skip
    return np.ascontiguousarray(array)


def semidefinite(where: str, name: str, sequences: Sequences, matrices: np.ndarray) -> None:
    """Raise unless the covariance of every step is one."""
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
