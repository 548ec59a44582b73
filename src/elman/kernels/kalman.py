"""Kalman filter, likelihood and smoother for ragged batches of linear Gaussian systems."""

from typing import Any, NamedTuple

import numpy as np

from elman.kernels import kalman_estimate as estimate
from elman.kernels import kalman_reference as reference
from elman.kernels import native
from elman.kernels.kalman_estimate import FilterError, PrecisionError
from elman.kernels.kalman_reference import Problem
from elman.representation import brief_fields
from elman.sequences import Sequences
from elman.shapes import check

FLOAT = np.dtype(np.float64)
NAMES = ("F", "H", "Q", "R", "x", "mean", "cov", "diffuse", "state_offset", "output_offset")
AXES = ("Mnn", "Mmn", "Mnn", "Mmm", "Nm", "Bn", "Bnn", "Bnn", "Nn", "Nm")  # of each
OPTIONAL = ("state_offset", "output_offset")


class System(NamedTuple):
    """Matrices of x[t] = H s[t] + d[t] + noise(R), s[t+1] = F s[t] + b[t] + noise(Q).

    The leading axis counts models, or with `per_step` time steps: entry n leads from step n to the next one.
    """

    F: np.ndarray  # [M, n, n]
    H: np.ndarray  # [M, m, n]
    Q: np.ndarray  # [M, n, n] symmetric, positive semidefinite
    R: np.ndarray  # [M, m, m] symmetric, positive semidefinite: zero is legal


class Filtered(NamedTuple):
    """States given the inputs up to their step; the covariance is `cov + k diffuse` for k to infinity."""

    mean: np.ndarray  # [N, n]
    cov: np.ndarray  # [N, n, n]
    diffuse: np.ndarray  # [N, n, n]
    log_prob: np.ndarray  # [N] of each step given those before


@brief_fields
class Prediction(NamedTuple):
    """State of the next step, before its input."""

    mean: np.ndarray  # [B, n]
    cov: np.ndarray  # [B, n, n]
    diffuse: np.ndarray  # [B, n, n]


class Smoothed(NamedTuple):
    """States given all inputs of their row."""

    mean: np.ndarray  # [N, n]
    cov: np.ndarray  # [N, n, n]
    lag: np.ndarray  # [N, n, n] Cov(s[t+1], s[t]), zeros at the last step of a row
    log_prob: np.ndarray  # [B] of each row


class Batch(NamedTuple):
    """Checked arguments of the filter and the smoother."""

    system: System
    sequences: Sequences  # x [N, m]
    start: Prediction
    state_offset: np.ndarray | None
    output_offset: np.ndarray | None
    model: np.ndarray
    per_step: bool

    def row(self, number: int) -> Problem:
        """Return one row for the reference."""
        begin, end = self.sequences.offsets[number : number + 2].tolist()
        x, n = self.sequences.values[begin:end], self.start.mean.shape[1]

        def at(step: int) -> Any:
            entry = begin + step if self.per_step else self.model[number]
            return tuple(leaf[entry] for leaf in self.system)

        b = np.zeros((len(x), n)) if self.state_offset is None else self.state_offset[begin:end]
        d = np.zeros_like(x) if self.output_offset is None else self.output_offset[begin:end]
        return Problem(at, x, b, d, *(leaf[number] for leaf in self.start))


def check_batch(where: str, system: Any, x: Any, lengths: Any, mean: Any, cov: Any, diffuse: Any, state_offset: Any,
                output_offset: Any, model: Any, per_step: bool) -> Batch:  # fmt: skip
    """Check and return the arguments that the functions of this file have in common.

    Raises:
        TypeError: an array is not float64.
        ValueError: the shapes do not agree, or the number of a model is out of range.
    """
    given = dict(zip(NAMES, (*system, x, mean, cov, diffuse, state_offset, output_offset), strict=True))
    for name, array in given.items():
        if array is None and name in OPTIONAL:
            continue
        kind = getattr(array, "dtype", type(array).__name__)
        if kind != FLOAT:
            raise TypeError(f"{where}: expected {name} of float64, got {kind}; convert it with .astype(np.float64).")
        given[name] = np.ascontiguousarray(array)
    F, H, Q, R, x, mean, cov, diffuse, state_offset, output_offset = given.values()
    if x.ndim != 2 or mean.ndim != 2 or F.ndim != 3:
        check(where, "x", x, "N m")
        check(where, "mean", mean, "B n")
        check(where, "F", F, "N n n" if per_step else "M n n")
    (N, m), (B, n), M = x.shape, mean.shape, x.shape[0] if per_step else F.shape[0]
    if not n:
        raise ValueError(f"{where}: expected a mean of at least one state, got shape {[B, n]}.")
    sequences = Sequences(x, lengths)
    sizes = {"N": N, "B": len(sequences), "M": M, "m": m, "n": n}
    for (name, array), axes in zip(given.items(), AXES, strict=True):
        if array is not None and array.shape != tuple(map(sizes.__getitem__, axes)):
            axes = axes.replace("M", "N") if per_step else axes
            check(where, name, array, " ".join(f"{axis}={sizes[axis]}" for axis in axes))
    if B and not M and not per_step:
        raise ValueError(f"{where}: expected matrices of at least one model, got none.")
    if model is None or per_step:
        return Batch(System(F, H, Q, R), sequences, Prediction(mean, cov, diffuse), state_offset, output_offset,
                     np.zeros(B, np.int64), per_step)  # fmt: skip
    model = np.asarray(model)
    check(where, "model", model, f"B={B}")
    if model.size and model.dtype.kind not in "iu":
        raise TypeError(f"{where}: expected model of integers, got {model.dtype}.")
    if model.size and not 0 <= model.min() <= model.max() < M:
        raise ValueError(f"{where}: expected model from 0 to {M - 1}, one of the system's, "
                         f"got {model.min()} to {model.max()}.")  # fmt: skip
    return Batch(System(F, H, Q, R), sequences, Prediction(mean, cov, diffuse), state_offset, output_offset,
                 model.astype(np.int64), per_step)  # fmt: skip


FAILURES = ("", "", estimate.NO_R, estimate.NO_Q, estimate.NO_START, estimate.NO_DIFFUSE,
            estimate.OVERFLOW, estimate.UNDETERMINED)  # fmt: skip  # as in native/inference/state_space.hpp


def run_native(where: str, batch: Batch, square_root: bool, **outputs: np.ndarray | None) -> bool:
    """Fill the outputs with the native kernel; return False if it is not available."""
    if not native.available():
        return False
    failed = np.empty((len(batch.sequences), 2), np.int64)
    native.module.kalman(
        *batch.system, batch.per_step, batch.model, batch.sequences.values,
        batch.sequences.layout.native_offsets, *batch.start,
        batch.state_offset, batch.output_offset, square_root, failed, **outputs)  # fmt: skip
    if failed[:, 0].any():
        row = int(np.flatnonzero(failed[:, 0])[0])
        raise ValueError(f"{where}: {FAILURES[failed[row, 0]]}, in row {row} at step {failed[row, 1]}.")
    return True


def run_reference(where: str, function: Any, batch: Batch, number: int, square_root: bool) -> Any:
    """Return a reference function's result for a row, with square roots where they are requested or needed."""
    row = batch.row(number)
    try:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            try:
                return function(row, square_root)
            except PrecisionError:
                return function(row, True)
    except FilterError as error:
        raise ValueError(f"{where}: {error.reason}, in row {number} at step {error.step}.") from None


def filter(system: System, x: np.ndarray, lengths: Any, mean: np.ndarray, cov: np.ndarray, diffuse: np.ndarray,
           state_offset: np.ndarray | None = None, output_offset: np.ndarray | None = None, model: Any = None,
           per_step: bool = False, square_root: bool = False, where: str = "kalman.filter"
           ) -> tuple[Filtered, Prediction]:  # fmt: skip
    """Filter every row of a ragged batch (Kalman 1960), one coordinate of an input at a time (Koopman and Durbin 2000).

    The start may be exactly diffuse (Koopman 1997). `log_prob` is then Durbin and Koopman's diffuse likelihood (2012,
    7.2.2): a coordinate absorbed by the diffuse part adds -log(F) / 2, where F is its variance under that part alone,
    without the squared error and log(2 pi); every other one adds the logarithm of its density. A coordinate without
    variance (R = 0, and known already) adds 0, or -inf if it differs from its known value.

    Args:
        system: matrices of each model, or with `per_step` of each step.
        x: [N, m]; NaN where a coordinate is missing.
        lengths: steps of each row, B integers that add up to N.
        mean: [B, n], mean of the state at each row's first step, before its input.
        cov: [B, n, n], its covariance; zero is legal.
        diffuse: [B, n, n], its diffuse part; zeros for a proper start.
        state_offset: [N, n] b, or None for zeros; the last of a row leads to the prediction after it.
        output_offset: [N, m] d, or None for zeros.
        model: [B], the model of each row; None: all rows have model 0.
        square_root: use square roots of covariances in all rows, not only in those that need them.
        where: the caller's name for error messages.
    Raises:
        TypeError: an array is not float64.
        ValueError: the shapes do not agree; or a row fails even with square roots, because a covariance is not
            positive semidefinite or numbers overflow. The message names row and step.
    Example:
        >>> one = np.ones((1, 1, 1))
        >>> x = np.array([[1120.0], [1160.0], [963.0]])  # the Nile
        >>> system = System(one, one, 1469.2 * one, 15098.5 * one)
        >>> filtered, after = filter(system, x, [3], np.zeros((1, 1)), 0 * one, one)
        >>> filtered.mean.ravel().round(2).tolist(), filtered.log_prob.round(4).tolist()
        ([1120.0, 1140.93, 1072.8], [0.0, -6.1257, -6.6184])
    """
    batch = check_batch(where, system, x, lengths, mean, cov, diffuse, state_offset, output_offset, model, per_step)
    steps, n = len(batch.sequences.values), batch.start.mean.shape[1]
    filtered = Filtered(np.empty((steps, n)), np.empty((steps, n, n)), np.zeros((steps, n, n)), np.empty(steps))
    after = Prediction(*(leaf.copy() for leaf in batch.start))
    names = ("out_mean", "out_cov", "out_diffuse", "log_prob", "last_mean", "last_cov", "last_diffuse")
    if run_native(where, batch, square_root, **dict(zip(names, filtered + after, strict=True))):
        return filtered, after
    for row in np.flatnonzero(batch.sequences.lengths).tolist():
        begin = int(batch.sequences.offsets[row])
        results = run_reference(where, reference.filter_row, batch, row, square_root)
        for step, result in enumerate(results, begin):
            filtered.mean[step], filtered.log_prob[step] = result.mean, result.log_prob
            filtered.cov[step], filtered.diffuse[step] = result.estimate.cov.matrix, result.estimate.diffuse.matrix
        last = results[-1]
        after.mean[row] = last.next_mean
        after.cov[row], after.diffuse[row] = last.next_estimate.cov.matrix, last.next_estimate.diffuse.matrix
    return filtered, after


def log_likelihood(system: System, x: np.ndarray, lengths: Any, mean: np.ndarray, cov: np.ndarray, diffuse: np.ndarray,
                   state_offset: np.ndarray | None = None, output_offset: np.ndarray | None = None, model: Any = None,
                   per_step: bool = False, square_root: bool = False, where: str = "kalman.log_likelihood"
                   ) -> np.ndarray:  # fmt: skip
    """Return the log-probability of each row, [B]: the sum of `filter`'s `log_prob`, without storing the states.

    Example:
        >>> one = np.ones((1, 1, 1))
        >>> x = np.array([[1120.0], [1160.0], [963.0]])  # the Nile
        >>> system = System(one, one, 1469.2 * one, 15098.5 * one)
        >>> log_likelihood(system, x, [3], np.zeros((1, 1)), 0 * one, one).round(4)
        array([-12.7441])
    """
    batch = check_batch(where, system, x, lengths, mean, cov, diffuse, state_offset, output_offset, model, per_step)
    log_prob = np.zeros(len(batch.sequences))
    if run_native(where, batch, square_root, total=log_prob):
        return log_prob
    for row in np.flatnonzero(batch.sequences.lengths).tolist():
        log_prob[row] = sum(
            step.log_prob for step in run_reference(where, reference.filter_row, batch, row, square_root)
        )
    return log_prob


def smooth(system: System, x: np.ndarray, lengths: Any, mean: np.ndarray, cov: np.ndarray, diffuse: np.ndarray,
           state_offset: np.ndarray | None = None, output_offset: np.ndarray | None = None, model: Any = None,
           per_step: bool = False, square_root: bool = False, where: str = "kalman.smooth") -> Smoothed:  # fmt: skip
    """Return the states given whole rows (Rauch, Tung and Striebel 1965); the arguments are those of `filter`.

    Covariances are sums of semidefinite matrices; nothing is inverted.

    Raises:
        TypeError, ValueError: as in `filter`; or a row has too few inputs for its diffuse start, so that a state has
            no finite variance.
    Example:
        >>> one = np.ones((1, 1, 1))
        >>> x = np.array([[1120.0], [1160.0], [963.0]])  # the Nile
        >>> system = System(one, one, 1469.2 * one, 15098.5 * one)
        >>> smooth(system, x, [3], np.zeros((1, 1)), 0 * one, one).mean.ravel().round(2)
        array([1086.72, 1083.48, 1072.8 ])
    """
    batch = check_batch(where, system, x, lengths, mean, cov, diffuse, state_offset, output_offset, model, per_step)
    steps, n = len(batch.sequences.values), batch.start.mean.shape[1]
    smoothed = Smoothed(
        np.empty((steps, n)), np.empty((steps, n, n)), np.empty((steps, n, n)), np.zeros(len(batch.sequences))
    )
    between = np.zeros((steps, n, n)) if batch.start.diffuse.any() else None  # diffuse parts
    if run_native(where, batch, square_root, out_mean=smoothed.mean, out_cov=smoothed.cov, out_diffuse=between,
                  lag=smoothed.lag, total=smoothed.log_prob):  # fmt: skip
        return smoothed
    for row in np.flatnonzero(batch.sequences.lengths).tolist():
        results, smoothed.log_prob[row] = run_reference(where, reference.smooth_row, batch, row, square_root)
        for step, result in enumerate(results, int(batch.sequences.offsets[row])):
            smoothed.mean[step], smoothed.cov[step], smoothed.lag[step] = result
    return smoothed
