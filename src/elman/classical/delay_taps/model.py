"""An autoregression: the next input as a linear function of the last p (Yule 1927; several series: Lütkepohl 2005)."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from elman.classical.checks import reals
from elman.classical.delay_taps import checks
from elman.classical.delay_taps.checks import METHODS
from elman.classical.delay_taps.gaussian import log_density
from elman.classical.delay_taps.products import Design
from elman.classical.delay_taps.windows import Layout, follow, predict, stretches, window_matrix
from elman.classical.delay_taps.yule_walker import autocovariances, yule_walker
from elman.classical.forecast import Forecast, error_covariances
from elman.classical.model import ClassicalModel
from elman.classical.rows import as_sequences
from elman.sequences import Sequences
from elman.state import State

PENALTY = 1.0  # of ridge, where nothing else is asked for


class DelayTaps(ClassicalModel):
    """The next input from the last p inputs; its state is those inputs::

        x[t+1] = c + A1 x[t] + A2 x[t-1] + ... + Ap x[t+1-p] + noise,    noise ~ N(0, S)

    One coordinate makes it an AR(p), several a vector autoregression. A missing input (NaN, whole or one coordinate)
    is replaced by its forecast, and the model goes on from that; forecasts are NaN until p inputs have been seen.

    Args:
        order: p, inputs that are looked back at, at least 0; or `aic` or `bic`, to choose it by that criterion.
        method: `least_squares`; `ridge`, which adds `penalty` times the squared coefficients to the squared errors;
            `yule_walker`, which is stable whatever the series, if nothing is missing, and shrinks towards zero.
        penalty: of `ridge`, at least 0, in squared units of the series; None for 1. The intercept is not penalised.
        intercept: whether there is a c.
        max_order: the highest order that is tried, where the order is chosen; None for 10 log10(N / D) of N windows.
    Shapes:
        x: [B, D]   state: [B, p, D], the latest input last, NaN where there was none yet
        ->   y: [B, D] the forecast of the next input
    Attributes:
        taps_: [p, D, D] A1, ..., Ap.
        intercept_: [D] c.
        noise_cov_: [D, D] S, the mean of the squared residuals (for `yule_walker`, what its equations give).
        order_: p, as it was given or chosen.
        num_windows_: windows that it was fitted to; with `yule_walker`, steps.
        criteria_: [max_order + 1] of each order, where it was chosen, on the windows of the highest one.
    Raises:
        TypeError: values that are not float64.
        ValueError: infinite values, rows of another width, too few steps for the order, all missing; a setting that
            cannot act; used before `fit`.
    Example:
        >>> series = np.cumsum(np.ones((20, 1)), 0) % 5
        >>> model = DelayTaps(order=5).fit([series])
        >>> model.forecast(Sequences.from_list([series]), steps=6).mean[0, :, 0].round(6) + 0.0
        array([1., 2., 3., 4., 0., 1.])
    """

    def __init__(
        self,
        order: int | str,
        method: str = "least_squares",
        penalty: float | None = None,
        intercept: bool = True,
        max_order: int | None = None,
    ):
        self.order, self.method, self.penalty = order, method, penalty
        self.intercept, self.max_order = intercept, max_order

    def fit(self, sequences: Sequences | Iterable[np.ndarray]) -> "DelayTaps":
        """Estimate from rows [T, D]: every window of p inputs and the one behind it, where none is missing.

        Rows without such a window add nothing (to `yule_walker` they do: it uses every product that is there).
        """
        checks.settings(**self.settings)
        rows = checks.rows(sequences)
        whole = rows if self.method == "yule_walker" else stretches(rows)
        order = self.order
        self.criteria_: np.ndarray | None = None
        if isinstance(order, str):
            self.criteria_ = self._judge(whole, order)
            order = int(self.criteria_.argmin())
        self._check_length(whole, order)
        taps, intercept, noise_cov, windows = self._estimate(whole, order)
        return self._take(taps, intercept, noise_cov, windows)

    def initial_state(self, batch_size: int) -> np.ndarray:
        """No inputs yet: [B, p, D] of NaN."""
        self._check_fitted("DelayTaps.initial_state")
        return np.full((batch_size, self.order_, self.output_size), np.nan)

    def step(self, x: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        """One input of each row, x [B, D] -> (the forecast of the next one [B, D], the last p inputs [B, p, D])."""
        self._check_fitted("DelayTaps.step")
        x = reals("DelayTaps.step", "x", x, f"B D={self.output_size}", missing=True)
        state = self._state("DelayTaps.step", state, len(x))
        missing = np.isnan(x)
        if missing.any():
            x = np.where(missing, follow(state, self._matrix, self.intercept_), x)
        state = np.concatenate([state, x[:, None]], axis=1)[:, 1:]
        return follow(state, self._matrix, self.intercept_), state

    def scan(self, sequences: Sequences, state: State | None = None) -> tuple[Sequences, State]:
        """All steps at once: a state is inputs that were read, so only those that are missing wait for others."""
        layout = self._read("DelayTaps.scan", sequences, state)
        after = predict(layout.steps, self.taps_, self.intercept_)
        return sequences.with_values(after[layout.places + 1]), layout.last()

    def after(self, sequences: Sequences, state: State | None = None) -> np.ndarray:
        """The state after each row, [B, p, D], without the forecasts of a scan."""
        return self._read("DelayTaps.after", sequences, state).last()

    def log_prob(self, sequences: Sequences, state: State | None = None) -> np.ndarray:
        """The log-density of each input given those before it, in nats [N]; a row's is their sum.

        It is 0 where there is no forecast yet (so the first p inputs of a row are taken as they are), and where all is
        missing. Of an input that is missing in part, it is that of the rest.
        """
        layout = self._read("DelayTaps.log_prob", sequences, state)
        before = predict(layout.steps, self.taps_, self.intercept_)[layout.places]
        return log_density("DelayTaps.log_prob", sequences.values - before, self.noise_cov_)

    def forecast(self, given: Sequences | Iterable[Any] | State, steps: int) -> Forecast:
        """The next inputs of each row, with the covariance of the error.

        The covariance is that of the noise alone, accumulated over the steps: taps are taken as if they were known,
        and missing inputs as if they had been what stands for them.

        Args:
            given: what was read, Sequences or a list of arrays [T, D]; or the state after it, [B, p, D].
            steps: S, how far to look ahead, at least 1.
        Raises:
            ValueError: a row that has not seen p inputs; numbers beyond the range of floats, of an unstable model.
        """
        where = "DelayTaps.forecast"
        self._check_fitted(where)
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
            raise ValueError(f"{where}: expected steps to be an int of at least 1, got {steps!r}.")
        if isinstance(given, np.ndarray) and given.ndim == 3:
            state = given
        else:
            state = self._read(where, as_sequences(where, given), None).last()
        state = self._state(where, state, len(state))
        unseen = np.isnan(state).any((1, 2))
        if unseen.any():
            raise ValueError(f"{where}: row {int(unseen.argmax())} has not seen the {self.order_} inputs that a "
                             "forecast needs; read more of it first.")  # fmt: skip
        mean = np.empty((len(state), steps, self.output_size))
        with np.errstate(over="ignore", invalid="ignore"):
            for step in range(steps):
                mean[:, step] = follow(state, self._matrix, self.intercept_)
                state = np.concatenate([state, mean[:, step, None]], axis=1)[:, 1:]
            cov = error_covariances(self.taps_, self.noise_cov_, steps)
        if not (np.isfinite(mean).all() and np.isfinite(cov).all()):
            raise ValueError(
                f"{where}: numbers grow beyond the range of floats within {steps} steps; the model is not stable (see "
                "stable_): look less far ahead, or fit with method='yule_walker'."
            )
        return Forecast(mean, np.broadcast_to(cov, (len(mean), *cov.shape)))

    @property
    def roots_(self) -> np.ndarray:
        """The eigenvalues [p * D] of the step from state to state, largest first: what is left of a disturbance one
        step later."""
        self._check_fitted("DelayTaps.roots_")
        size, order = self.output_size, self.order_
        companion = np.eye(order * size, k=-size)
        companion[:size] = self.taps_.transpose(1, 0, 2).reshape(size, order * size) if order else 0
        roots = np.linalg.eigvals(companion)
        return roots[np.argsort(-np.abs(roots), kind="stable")]

    @property
    def stable_(self) -> bool:
        """Whether every disturbance dies out: all roots within the unit circle."""
        return bool((np.abs(self.roots_) < 1).all())

    @property
    def aic_(self) -> float:
        """Akaike's criterion: -2 log-likelihood + 2 k of the k numbers that were fitted; lower is better."""
        return self._criterion("aic", self.noise_cov_, self.num_windows_, self.order_)

    @property
    def bic_(self) -> float:
        """Schwarz's criterion: -2 log-likelihood + k log N of the N windows; lower is better."""
        return self._criterion("bic", self.noise_cov_, self.num_windows_, self.order_)

    # The files.

    @property
    def settings(self) -> dict[str, Any]:
        """What the constructor was given."""
        names = ("order", "method", "penalty", "intercept", "max_order")
        return {name: getattr(self, name) for name in names}

    def to_arrays(self) -> dict[str, np.ndarray]:
        """What was fitted."""
        self._check_fitted("DelayTaps.to_arrays")
        criteria = {} if self.criteria_ is None else {"criteria": self.criteria_}
        fitted = {"taps": self.taps_, "intercept": self.intercept_, "noise_cov": self.noise_cov_}
        return fitted | {"num_windows": np.array([self.num_windows_])} | criteria

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], **settings: Any) -> "DelayTaps":
        """The fitted model whose `to_arrays` and `settings` these are."""
        model = cls(**settings)
        needed = {"taps", "intercept", "noise_cov", "num_windows"}
        if not needed <= set(arrays):
            raise ValueError(
                f"DelayTaps.from_arrays: expected arrays {sorted(needed)}, got {sorted(arrays)}; these are those of "
                "another model."
            )
        model.criteria_ = arrays.get("criteria")
        return model._take(
            reals("DelayTaps.from_arrays", "taps", arrays["taps"], "p D D"),
            reals("DelayTaps.from_arrays", "intercept", arrays["intercept"], "D"),
            reals("DelayTaps.from_arrays", "noise_cov", arrays["noise_cov"], "D D"),
            int(arrays["num_windows"][0]),
        )

    # Estimation.

    def _estimate(self, rows: Sequences, order: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
        """taps, intercept, covariance of the noise, windows."""
        if self.method == "yule_walker":
            covariances, mean = autocovariances(rows, order, self.intercept)
            taps, noise_cov = yule_walker(covariances, order)
            lowest = np.linalg.eigvalsh(noise_cov).min(initial=0.0)
            if lowest < -1e-8 * np.abs(covariances[0]).max():
                raise ValueError(
                    "DelayTaps.fit: so much is missing that the autocovariances are those of no process (noise of "
                    "negative variance); lower the order, or use method='least_squares'."
                )
            return taps, mean - taps.sum(0) @ mean, noise_cov, rows.num_steps
        design, penalty = Design(rows, order, self.intercept), self._penalty()
        triangle = design.triangle()
        coefficients = design.solve(triangle, order, penalty)
        if triangle.well_conditioned and order:
            coefficients, squares = design.corrected(triangle, coefficients, penalty)
        else:
            squares = design.residuals(triangle, coefficients)
        taps, intercept, squares = design.unscaled(triangle.mean, coefficients, squares)
        return taps, intercept, (squares + squares.T) / (2 * design.count), design.count

    def _judge(self, rows: Sequences, criterion: str) -> np.ndarray:
        """The criterion of the orders 0 to max_order, all on the same windows."""
        highest = self._highest(rows)
        self._check_length(rows, highest)
        if self.method == "yule_walker":
            covariances, _ = autocovariances(rows, highest, self.intercept)
            noise = [yule_walker(covariances, order)[1] for order in range(highest + 1)]
            count = rows.num_steps
        else:
            design, penalty, noise = Design(rows, highest, self.intercept), self._penalty(), []
            triangle, count = design.triangle(), design.count
            for order in range(highest + 1):
                squares = design.residuals(triangle, design.solve(triangle, order, penalty))
                noise.append(squares * np.outer(design.scale, design.scale) / count)
        return np.array([self._criterion(criterion, cov, count, order) for order, cov in enumerate(noise)])

    def _highest(self, rows: Sequences) -> int:
        if self.max_order is not None:
            return self.max_order
        steps, size = rows.values.shape
        wanted = max(1, math.floor(10 * math.log10(max(steps / size, 1))))
        affordable = [order for order in range(wanted + 1) if checks.windows(rows, order) > 2 * (order * size + 1)]
        return max(affordable, default=0)

    def _criterion(self, name: str, noise_cov: np.ndarray, count: int, order: int) -> float:
        size = len(noise_cov)
        variances = np.linalg.eigvalsh(noise_cov)
        if variances[0] <= 0:  # nothing is left to predict; or no process has these autocovariances
            return -math.inf if variances[0] > -1e-8 * variances[-1] else math.inf
        log_det = np.log(variances).sum()
        numbers = size * (order * size + self.intercept) + size * (size + 1) // 2
        weight = 2.0 if name == "aic" else math.log(count)
        return float(count * (size * (math.log(2 * math.pi) + 1) + log_det) + weight * numbers)

    def _penalty(self) -> float:
        if self.method != "ridge":
            return 0.0
        return PENALTY if self.penalty is None else self.penalty

    def _take(self, taps: np.ndarray, intercept: np.ndarray, noise_cov: np.ndarray, windows: int) -> "DelayTaps":
        self.taps_, self.intercept_, self.noise_cov_ = (np.ascontiguousarray(a) for a in (taps, intercept, noise_cov))
        self.order_, self.num_windows_ = len(taps), windows
        self.input_size = self.output_size = len(intercept)
        self._matrix = window_matrix(self.taps_)
        return self

    def _check_length(self, rows: Sequences, order: int) -> None:
        checks.length(rows, order, order * rows.values.shape[1] + self.intercept if self.method == METHODS[0] else 1)

    # What comes in.

    def _read(self, where: str, sequences: Sequences, state: State | None) -> Layout:
        """The steps of a batch behind those of its state, what is missing filled in."""
        self._check_fitted(where)
        sequences = as_sequences(where, sequences)
        values = reals(where, "values", sequences.values, f"N D={self.output_size}", missing=True)
        state = self.initial_state(len(sequences)) if state is None else self._state(where, state, len(sequences))
        layout = Layout(sequences.with_values(values), state)
        layout.fill(self.taps_, self.intercept_)
        return layout

    def _state(self, where: str, state: State, rows: int) -> np.ndarray:
        return reals(where, "state", state, f"B={rows} p={self.order_} D={self.output_size}", missing=True)

    def _check_fitted(self, where: str) -> None:
        if not hasattr(self, "taps_"):
            raise ValueError(f"{where}: expected a fitted model, got one without taps; call fit or from_arrays first.")
