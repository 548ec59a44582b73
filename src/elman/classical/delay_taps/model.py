"""Autoregressive model: the next input as a linear function of the last p (Yule 1927; Lütkepohl 2005)."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from elman.classical.checks import as_sequences, check_names, floats, integers, per_step_reals, positive_definite, reals
from elman.classical.delay_taps import checks
from elman.classical.delay_taps.checks import METHODS
from elman.classical.delay_taps.products import Design
from elman.classical.delay_taps.windows import Layout, complete_runs, forecast_next, predict, window_matrix
from elman.classical.delay_taps.yule_walker import autocovariances, yule_walker
from elman.classical.forecast import Forecast, check_steps, error_covariances
from elman.classical.model import ClassicalModel
from elman.nearest import suggests_arguments
from elman.representation import counted
from elman.sequences import Sequences
from elman.state import State

PENALTY = 1.0  # default penalty of ridge
MOST_LAGS = 5  # whose taps notebooks show


class DelayTaps(ClassicalModel):
    """Autoregressive model: predicts the next input from the last p inputs, which are its state::

        x[t+1] = c + A1 x[t] + A2 x[t-1] + ... + Ap x[t+1-p] + noise,    noise ~ N(0, S)

    With one coordinate this is an AR(p), with several a vector autoregression. A missing input (NaN, entirely or in one
    coordinate) is replaced by its forecast. Forecasts are NaN until p inputs have been seen.

    Args:
        order: p, number of past inputs, at least 0; or `aic` or `bic`, to choose it by that criterion.
        method: `least_squares`; `ridge`, which adds `penalty` times the squared coefficients to the squared errors;
            `yule_walker`, which gives a stable model if no values are missing, and shrinks towards zero.
        penalty: strength of the penalty of `ridge`, at least 0, in squared units of the series; None for 1. The
            intercept is not penalised.
        intercept: whether to fit c.
        max_order: highest order to try if `order` is a criterion; None for 10 log10(N / D) with N windows.
    Shapes:
        x: [B, D]   state: [B, p, D], the latest input last, NaN before the first
        ->   y: [B, D] the forecast of the next input
    Attributes:
        taps_: [p, D, D], A1, ..., Ap.
        intercept_: [D], c.
        noise_cov_: [D, D], S, the mean of the squared residuals (`yule_walker`: the solution of its equations).
        order_: p, as given or chosen by the criterion.
        num_windows_: number of windows in the fit; with `yule_walker`, number of steps.
        criteria_: [max_order + 1], the criterion of each order, on the windows of the highest order; else None.
    Raises:
        TypeError: the values are not float64.
        ValueError: values are infinite or all missing, rows differ in width, or there are too few steps for the order;
            a setting is out of range or has no effect; the model is not fitted.
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

    @suggests_arguments
    def fit(self, sequences: Sequences | Iterable[np.ndarray]) -> "DelayTaps":
        """Fit rows [T, D]: every window of p inputs and its target, if none of them is missing.

        Rows without such a window are ignored, except by `yule_walker`, which uses all products of observed values.
        """
        checks.settings(**self.settings)
        rows = checks.rows(sequences)
        whole = rows if self.method == "yule_walker" else complete_runs(rows)
        order = self.order
        self.criteria_: np.ndarray | None = None
        if isinstance(order, str):
            self.criteria_ = self._criteria(whole, order)
            order = int(self.criteria_.argmin())
        self._check_length(whole, order)
        taps, intercept, noise_cov, windows = self._estimate(whole, order)
        return self._set(taps, intercept, noise_cov, windows)

    def initial_state(self, batch_size: int) -> np.ndarray:
        """Return the state before the first input: NaN, [B, p, D]."""
        self._check_fitted("DelayTaps.initial_state")
        return np.full((batch_size, self.order_, self.output_size), np.nan)

    def step(self, x: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        """Read one input of each row, x [B, D]; return the forecast of the next one [B, D], and the state."""
        self._check_fitted("DelayTaps.step")
        x = reals("DelayTaps.step", "x", x, f"B D={self.output_size}", missing=True)
        state = self._state("DelayTaps.step", state, len(x))
        missing = np.isnan(x)
        if missing.any():
            x = np.where(missing, forecast_next(state, self._matrix, self.intercept_), x)
        state = np.concatenate([state, x[:, None]], axis=1)[:, 1:]
        return forecast_next(state, self._matrix, self.intercept_), state

    def scan(self, sequences: Sequences, state: State | None = None) -> tuple[Sequences, State]:
        """Compute all steps together: the state consists of inputs, so only imputed inputs depend on earlier steps."""
        sequences = as_sequences("DelayTaps.scan", sequences, columns=True)
        layout = self._read("DelayTaps.scan", sequences, state)
        after = predict(layout.steps, self.taps_, self.intercept_)
        return sequences.with_values(after[layout.places + 1]), layout.last()

    def after(self, sequences: Sequences | Iterable[Any], state: State | None = None) -> np.ndarray:
        """Return the state after each row, [B, p, D], without computing forecasts."""
        return self._read("DelayTaps.after", sequences, state).last()

    def log_prob(self, sequences: Sequences | Iterable[Any], state: State | None = None) -> np.ndarray:
        """Return the log-density of each input given the earlier ones, in nats [N].

        It is 0 where there is no forecast yet (for the first p inputs of a row), and for missing inputs. For a partly
        missing input it is the log-density of the observed coordinates.
        """
        where = "DelayTaps.log_prob"
        sequences = as_sequences(where, sequences, columns=True)
        layout = self._read(where, sequences, state)
        before = predict(layout.steps, self.taps_, self.intercept_)[layout.places]
        return log_density(where, floats(where, "values", sequences.values) - before, self.noise_cov_)

    def forecast(self, given: Sequences | Iterable[Any] | State, steps: int) -> Forecast:
        """Return the forecast of the next inputs of each row, with the covariance of the error.

        The covariance accumulates the noise over the steps. It ignores the uncertainty of the taps and of imputed
        inputs.

        Args:
            given: the rows so far: Sequences, a list of arrays [T, D], or one array for a single row; or the state
                after them, [B, p, D].
            steps: S, the number of steps to forecast, at least 1.
        Raises:
            ValueError: a row has fewer than p inputs; the forecasts of an unstable model overflow.
        """
        where = "DelayTaps.forecast"
        self._check_fitted(where)
        check_steps(where, steps)
        is_state = isinstance(given, np.ndarray) and given.ndim == 3
        state: Any = given if is_state else self._read(where, given, None).last()
        state = self._state(where, state, len(state))
        unseen = np.isnan(state).any((1, 2))
        if unseen.any():
            raise ValueError(f"{where}: row {int(unseen.argmax())}: a forecast needs {self.order_} inputs, got fewer; "
                             "scan more of the row first.")  # fmt: skip
        mean = np.empty((len(state), steps, self.output_size))
        with np.errstate(over="ignore", invalid="ignore"):
            for step in range(steps):
                mean[:, step] = forecast_next(state, self._matrix, self.intercept_)
                state = np.concatenate([state, mean[:, step, None]], axis=1)[:, 1:]
            cov = error_covariances(self.taps_, self.noise_cov_, steps)
        if not (np.isfinite(mean).all() and np.isfinite(cov).all()):
            raise ValueError(
                f"{where}: the forecasts overflow within {steps} steps, because the model is not stable (see "
                "stable_); forecast fewer steps, or fit with method='yule_walker'."
            )
        return Forecast(mean, np.broadcast_to(cov, (len(mean), *cov.shape)))

    @property
    def roots_(self) -> np.ndarray:
        """Eigenvalues [p * D] of the transition from state to state, largest first: decay factors per step."""
        self._check_fitted("DelayTaps.roots_")
        size, order = self.output_size, self.order_
        companion = np.eye(order * size, k=-size)
        companion[:size] = self.taps_.transpose(1, 0, 2).reshape(size, order * size) if order else 0
        roots = np.linalg.eigvals(companion)
        return roots[np.argsort(-np.abs(roots), kind="stable")]

    @property
    def stable_(self) -> bool:
        """Whether every disturbance decays: all roots lie within the unit circle."""
        return bool((np.abs(self.roots_) < 1).all())

    @property
    def aic_(self) -> float:
        """Akaike's criterion: -2 log-likelihood + 2 k for k fitted numbers; lower is better."""
        return self._criterion("aic", self.noise_cov_, self.num_windows_, self.order_)

    @property
    def bic_(self) -> float:
        """Schwarz's criterion: -2 log-likelihood + k log N for N windows; lower is better."""
        return self._criterion("bic", self.noise_cov_, self.num_windows_, self.order_)

    # Files.

    def _facts(self) -> list[str]:
        method = [] if self.method == METHODS[0] else [self.method]
        if not hasattr(self, "taps_"):
            return [f"order {self.order}", *method, "not fitted"]
        noise = f"noise deviation {np.sqrt(self.noise_cov_[0, 0]):.4g}" if self.output_size == 1 else None
        return [f"order {self.order_}", *method, counted(self.output_size, "coordinate"),
                f"fitted on {counted(self.num_windows_, 'window')}", *([noise] if noise else [])]  # fmt: skip

    def _parameters(self) -> dict[str, np.ndarray]:
        if not hasattr(self, "taps_"):
            return {}
        taps = ({"taps": self.taps_[:, 0, 0]} if self.output_size == 1 else
                {f"taps, lag {lag}": array for lag, array in enumerate(self.taps_[:MOST_LAGS], 1)})  # fmt: skip
        return {**taps, "intercept": self.intercept_, "noise_cov": self.noise_cov_}

    @property
    def settings(self) -> dict[str, Any]:
        """The constructor's arguments."""
        names = ("order", "method", "penalty", "intercept", "max_order")
        return {name: getattr(self, name) for name in names}

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the fitted parameters as arrays; `settings` holds the rest of the model."""
        self._check_fitted("DelayTaps.to_arrays")
        criteria = {} if self.criteria_ is None else {"criteria": self.criteria_}
        fitted = {"taps": self.taps_, "intercept": self.intercept_, "noise_cov": self.noise_cov_}
        return fitted | {"num_windows": np.array([self.num_windows_])} | criteria

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], **settings: Any) -> "DelayTaps":
        """Return the model from its `to_arrays` and `settings`."""
        where, model = "DelayTaps.from_arrays", cls(**settings)
        check_names(where, arrays, ("taps", "intercept", "noise_cov", "num_windows"), ("criteria",))
        checks.settings(**model.settings)
        intercept = reals(where, "intercept", arrays["intercept"], "D")
        size, order = len(intercept), "p" if isinstance(model.order, str) else f"p={model.order}"
        (windows,) = integers(where, "num_windows", arrays["num_windows"], "1=1").tolist()
        model.criteria_ = arrays.get("criteria")
        return model._set(
            reals(where, "taps", arrays["taps"], f"{order} D={size} D={size}"),
            intercept,
            positive_definite(where, "noise_cov", arrays["noise_cov"], f"D={size} D={size}", semi=True),
            windows,
        )

    # Estimation.

    def _estimate(self, rows: Sequences, order: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
        """Return taps, intercept, covariance of the noise, and number of windows."""
        if self.method == "yule_walker":
            covariances, mean = autocovariances(rows, order, self.intercept)
            taps, noise_cov = yule_walker(covariances, order)
            lowest = np.linalg.eigvalsh(noise_cov).min(initial=0.0)
            if lowest < -1e-8 * np.abs(covariances[0]).max():
                raise ValueError(
                    "DelayTaps.fit: too many values are missing: the autocovariances belong to no process (the noise "
                    "has a negative variance); lower the order, or use method='least_squares'."
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

    def _criteria(self, rows: Sequences, criterion: str) -> np.ndarray:
        """Return the criterion of orders 0 to max_order, all on the same windows."""
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
        if variances[0] <= 0:  # perfect prediction, or no process has these autocovariances
            return -math.inf if variances[0] > -1e-8 * variances[-1] else math.inf
        log_det = np.log(variances).sum()
        numbers = size * (order * size + self.intercept) + size * (size + 1) // 2
        weight = 2.0 if name == "aic" else math.log(count)
        return float(count * (size * (math.log(2 * math.pi) + 1) + log_det) + weight * numbers)

    def _penalty(self) -> float:
        if self.method != "ridge":
            return 0.0
        return PENALTY if self.penalty is None else self.penalty

    def _set(self, taps: np.ndarray, intercept: np.ndarray, noise_cov: np.ndarray, windows: int) -> "DelayTaps":
        self.taps_, self.intercept_, self.noise_cov_ = (np.ascontiguousarray(a) for a in (taps, intercept, noise_cov))
        self.order_, self.num_windows_ = len(taps), windows
        self.input_size = self.output_size = len(intercept)
        self._matrix = window_matrix(self.taps_)
        return self

    def _check_length(self, rows: Sequences, order: int) -> None:
        checks.length(rows, order, order * rows.values.shape[1] + self.intercept if self.method == METHODS[0] else 1)

    # Inputs.

    def _read(self, where: str, sequences: Sequences | Iterable[Any], state: State | None) -> Layout:
        """Return the steps of a batch after those of its state, with missing inputs imputed."""
        self._check_fitted(where)
        sequences = as_sequences(where, sequences, columns=True)
        values = per_step_reals(where, "values", sequences, sequences.values, f"N D={self.output_size}", missing=True)
        state = self.initial_state(len(sequences)) if state is None else self._state(where, state, len(sequences))
        layout = Layout(sequences.with_values(values), state)
        layout.fill(self.taps_, self.intercept_)
        return layout

    def _state(self, where: str, state: State, rows: int) -> np.ndarray:
        return reals(where, "state", state, f"B={rows} p={self.order_} D={self.output_size}", missing=True)

    def _check_fitted(self, where: str) -> None:
        if not hasattr(self, "taps_"):
            raise ValueError(f"{where}: expected a fitted model, got one without taps; call fit or from_arrays first.")


def log_density(where: str, residuals: np.ndarray, cov: np.ndarray) -> np.ndarray:
    """Return the log-density [N] of the observed coordinates of residuals [N, D] under N(0, cov), 0 without any.

    Raises:
        ValueError: the covariance is not positive definite.
    """
    densities = np.zeros(len(residuals))
    present = ~np.isnan(residuals)
    whole = present.all(1)
    for observed in np.ones((1, residuals.shape[1]), bool) if whole.all() else np.unique(present, axis=0):
        if not observed.any():
            continue
        try:
            root = np.linalg.cholesky(cov[np.ix_(observed, observed)])
        except np.linalg.LinAlgError:
            raise ValueError(
                f"{where}: the covariance of the noise is not positive definite: the model predicts without error, or "
                "was fitted to too few windows; use more data or a lower order."
            ) from None
        rows = whole if observed.all() else (present == observed).all(1)
        white = np.linalg.solve(root, residuals[rows][:, observed].T)
        log_det = 2 * np.log(np.diagonal(root)).sum()
        densities[rows] = -(len(root) * math.log(2 * math.pi) + log_det + (white**2).sum(0)) / 2
    return densities
