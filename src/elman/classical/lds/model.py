"""Linear dynamical system: a hidden state with linear dynamics, observed with noise (Kalman 1960)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np

from elman import state as states
from elman.classical.checks import as_sequences, check_names, one_step_rows, place, reals
from elman.classical.forecast import Forecast, check_steps
from elman.classical.lds import em, likelihood
from elman.classical.lds.inputs import Inputs, Observed, read, read_future
from elman.classical.lds.joining import Parts, joined
from elman.classical.lds.matrices import Matrices, check_matrices, check_start, first_state, multiply, propagate
from elman.classical.lds.problem import Parameters, Settings, pose
from elman.classical.lds.results import Filtered, Sample, Smoothed, diffuse_limit
from elman.classical.lds.sampling import draw
from elman.classical.lds.variances import Variance, check_value, check_variances, complete
from elman.classical.model import ClassicalModel
from elman.declared_types import Record, field
from elman.kernels import kalman
from elman.kernels.kalman import Prediction
from elman.nearest import suggests_arguments
from elman.progress import ProgressLine
from elman.representation import counted
from elman.sequences import Sequences


class LDS(ClassicalModel):
    """Linear Gaussian state-space model; `step` is one step of the Kalman filter::

        x[t]   = H s[t] + D u[t] + noise(R)
        s[t+1] = F s[t] + B u[t] + noise(Q)

    The cell state is the prediction of s for the next step, so `step` filters: it updates with an observation, then
    applies the dynamics. A missing coordinate (NaN) is skipped. Matrices that change from step to step are given with
    the observations, `Observed(x, u, F, H, Q, R)`, and replace those of the model.

    `local_level`, `local_trend`, `seasonal` and `constant_velocity` build common systems, and `+` adds their outputs.
    Their noise covariances are known up to named variances; `fit` finds a variance of None.

    Args:
        F: [n, n]. H: [m, n].
        Q, R: [n, n] and [m, m] covariances, which may be singular or zero; None for zero.
        B, D: [n, U] and [m, U] for driving inputs; None for zero, both None for no inputs.
        start: distribution of s at the first step: `diffuse`, an exact diffuse start (Koopman 1997); `stationary`; or
            (mean [n], cov [n, n]); or (mean, cov, diffuse) for a partly diffuse start.
        variances: parts of Q and R, each a number times a pattern, which are added to them.
        square_root: use square roots of covariances from the first step on, not only where definiteness is lost.
    Shapes:
        x: [B, m] or Observed   state: Prediction(mean [B, n], cov [B, n, n], diffuse [B, n, n])
        ->   y: Filtered(mean [B, n], cov [B, n, n], log_prob [B])
        With a diffuse start, `cov` is infinite for states that the observations so far leave undetermined.
        The `log_prob` of a coordinate absorbed by the diffuse part is -log(f) / 2, with f its variance under that part
        (Durbin and Koopman 2012, 7.2.2), without log(2 pi).
    Attributes:
        F_, H_, Q_, R_, B_, D_: the current matrices, given or fitted.
        start_: the current start, a Prediction without row axis.
        variances_: {name: value}, None for unknown ones.
        history_: log-probabilities of the last fit: [iterations + 1] for EM, one per start for likelihood.
        converged_: whether that fit stopped because it no longer improved.
    Raises:
        TypeError, ValueError: matrices, settings or observations are invalid; the message names them.
    Example:
        >>> level = LDS(np.eye(1), np.eye(1), np.array([[1469.2]]), np.array([[15098.5]]))  # the Nile
        >>> flow = [np.array([[1120.0], [1160.0], [963.0], [np.nan]])]
        >>> level.filter(flow).values.mean.ravel().round(1)
        array([1120. , 1140.9, 1072.8, 1072.8])
        >>> low, high = level.forecast(flow, steps=1).interval(0.9)
        >>> low.round(1), high.round(1)
        (array([[[818.9]]]), array([[[1326.7]]]))
    """

    history_: np.ndarray
    converged_: bool

    def __init__(self, F: Any, H: Any, Q: Any = None, R: Any = None, *, B: Any = None, D: Any = None,
                 start: Any = "diffuse", variances: Sequence[Variance] = (), square_root: bool = False):  # fmt: skip
        matrices = check_matrices("LDS", F, H, Q, R, B, D)
        self.F, self.H, self.Q, self.R, self.B, self.D = matrices
        self.start = check_start("LDS", start, len(matrices.F))
        self.variances = check_variances("LDS", variances, len(matrices.F), len(matrices.H))
        self.square_root = bool(square_root)
        self._fitted = self._given()

    # The current matrices.

    @property
    def F_(self) -> np.ndarray:
        """Transition [n, n]."""
        return self._fitted.matrices.F

    @property
    def H_(self) -> np.ndarray:
        """Observation matrix [m, n]."""
        return self._fitted.matrices.H

    @property
    def Q_(self) -> np.ndarray:
        """Covariance of the state noise [n, n]."""
        return self._matrices("LDS.Q_").Q

    @property
    def R_(self) -> np.ndarray:
        """Covariance of the observation noise [m, m]."""
        return self._matrices("LDS.R_").R

    @property
    def B_(self) -> np.ndarray:
        """Weights of the driving input in the state [n, U]."""
        return self._fitted.matrices.B

    @property
    def D_(self) -> np.ndarray:
        """Weights of the driving input in the observation [m, U]."""
        return self._fitted.matrices.D

    @property
    def start_(self) -> Prediction:
        """Distribution of the first state."""
        return self._start("LDS.start_")

    @property
    def variances_(self) -> dict[str, float | None]:
        """Named variances; None for unknown ones."""
        return dict(self._fitted.values)

    # The cell.

    def initial_state(self, batch_size: int) -> Prediction:
        """Return the distribution of the first state, in every row."""
        start = self._start("LDS.initial_state")
        return Prediction(*(np.repeat(leaf[None], batch_size, axis=0) for leaf in start))

    def step(self, x: Any, state: Prediction) -> tuple[Filtered, Prediction]:
        """Filter one observation of each row; return the filtered state, and the prediction for the next step."""
        rows = one_step_rows("LDS.step", x, columns=True)
        return self._filtered("LDS.step", self._read("LDS.step", rows), state)

    def scan(self, sequences: Sequences, state: Prediction | None = None) -> tuple[Sequences, Prediction]:
        """Filter all rows in one call of the kernel."""
        where = "LDS.scan"
        sequences = as_sequences(where, sequences, columns=True)
        filtered, last = self._filtered(where, self._read(where, sequences), state)
        return sequences.with_values(filtered), last

    # Inference.

    def log_prob(self, sequences: Sequences | Iterable[Any], state: Prediction | None = None) -> np.ndarray:
        """Return the log-probability of each row, [B]: the sum over its steps; -inf for an impossible row."""
        where = "LDS.log_prob"
        rows = self._read(where, as_sequences(where, sequences, columns=True))
        log_probs: np.ndarray = self._kernel(where, kalman.log_likelihood, rows, state)
        return log_probs

    def filter(self, sequences: Sequences | Iterable[Any]) -> Sequences:
        """Return the state at each step given the observations up to that step: Filtered(mean [N, n], ...)."""
        where = "LDS.filter"
        rows = self._read(where, as_sequences(where, sequences, columns=True))
        return rows.rows.with_values(self._filtered(where, rows, None)[0])

    def smooth(self, sequences: Sequences | Iterable[Any], state: Prediction | None = None) -> Sequences:
        """Return the state at each step given the whole row: Smoothed(mean [N, n], cov [N, n, n], lag).

        Raises:
            ValueError: a row has too few observations for its diffuse start.
        """
        where = "LDS.smooth"
        rows = self._read(where, as_sequences(where, sequences, columns=True))
        found = self._kernel(where, kalman.smooth, rows, state)
        return rows.rows.with_values(Smoothed(found.mean, found.cov, found.lag))

    def predict(self, sequences: Sequences | Iterable[Any], state: Prediction | None = None) -> Sequences:
        """Return the one-step forecast of each observation: Forecast(mean [N, m], cov [N, m, m])."""
        where = "LDS.predict"
        rows = self._read(where, as_sequences(where, sequences, columns=True))
        matrices, state = self._matrices(where), self._state(where, state, rows)
        filtered, _ = self._kernel(where, kalman.filter, rows, state)
        F, Q = rows.of_steps("F", matrices), rows.of_steps("Q", matrices)
        moved = Prediction(
            multiply(F, filtered.mean) + rows.u @ matrices.B.T,
            propagate(F, filtered.cov) + Q,
            propagate(F, filtered.diffuse),
        )
        first = rows.rows.times == 0
        before = states.where(
            first,
            states.select(state, rows.rows.rows),
            states.select(moved, np.maximum(np.arange(len(first)) - 1, 0)),
        )
        return rows.rows.with_values(self._outputs(matrices, rows, before))

    def forecast(self, given: Sequences | Iterable[Any] | Prediction, steps: int, future: Observed | None = None
                 ) -> Forecast:  # fmt: skip
        """Return the forecast of the next observations: Forecast(mean [B, S, m], cov [B, S, m, m]).

        Args:
            given: the rows so far, or the state after them.
            steps: S, the number of steps to forecast, at least 1.
            future: inputs and matrices of the future steps, leaves [B, S, ...]: `Observed((), u)` for a driven model.
        """
        where = "LDS.forecast"
        check_steps(where, steps)
        if not isinstance(given, Prediction):
            given = self._filtered(where, self._read(where, as_sequences(where, given, columns=True)), None)[1]
        rows = read_future(where, np.full(len(given.mean), steps), future, self._matrices(where))
        found, _ = self._kernel(where, kalman.filter, rows, given)
        outputs = self._outputs(self._matrices(where), rows, Prediction(found.mean, found.cov, found.diffuse))
        return Forecast(*(leaf.reshape(len(given.mean), steps, *leaf.shape[1:]) for leaf in outputs))

    def sample(self, lengths: Any, seed: int = 0, state: Prediction | None = None, given: Observed | None = None
               ) -> Sample:  # fmt: skip
        """Draw rows from the model.

        Args:
            lengths: number of steps of each row.
            state: first state of each row, such as the state after a series; None: `start_`, which must not be diffuse.
            given: inputs and matrices of each step, leaves [N, ...]: `Observed((), u)` for a driven model.
        """
        where = "LDS.sample"
        rows = read_future(where, lengths, given, self._matrices(where))
        state = self._state(where, state, rows)
        if state.diffuse.any():
            raise ValueError(f"{where}: expected a start that is not diffuse, because it cannot be sampled; give "
                             "state=, as scan returns it, or a model with start=(mean, cov).")  # fmt: skip
        x, s = draw(self._matrices(where), rows, state, np.random.default_rng(seed))
        values = x if given is None else given._replace(x=x)
        return Sample(rows.rows.with_values(values), s)

    # Fitting.

    @suggests_arguments
    def fit(self, sequences: Sequences | Iterable[Any], learn: Iterable[str] | None = None, method: str | None = None,
            *, restarts: int = 3, seed: int = 0, max_iterations: int = 500, tolerance: float = 1e-8,
            floor: float = 1e-6, verbose: bool | int | None = None) -> Self:  # fmt: skip
        """Fit parameters by maximum likelihood, starting from those given to the constructor.

        `em` (Shumway and Stoffer 1982; Ghahramani and Hinton 1996) never lowers the likelihood, but converges slowly.
        `likelihood` maximises the log-likelihood directly, by quasi-Newton steps (L-BFGS-B) in logarithms of variances
        and Cholesky factors of covariances, with finite-difference gradients computed in one call of the kernel.

        Args:
            sequences: rows of observations, NaN where missing: Sequences, a list of arrays or `Observed`, or one array,
                Series, data frame or `Observed` for a single row.
            learn: names of variances; or of matrices among F H Q R B D; or `mean` and `cov` of the start. None: the
                unknown variances, or Q and R if there are none.
            method: `em` or `likelihood`. None: `likelihood` for variances, `em` for matrices.
            restarts: number of starts of `likelihood`; all but the first are random.
            seed: seed of the random starts.
            max_iterations: maximum number of iterations, of EM or of each start.
            tolerance: EM stops when an iteration gains less than this, in nats per step.
            floor: lower bound of the covariances that EM learns, as a fraction of the given diagonal; it keeps them
                positive definite where the likelihood is unbounded.
            verbose: progress: None shows a line on a terminal and in a notebook if the fit takes longer than 2 seconds;
                False is silent; True shows it everywhere; 2 prints a line per iteration.
        Raises:
            TypeError, ValueError: the observations or settings cannot be used.
        """
        where, line = "LDS.fit", ProgressLine(verbose)
        settings = Settings(learn if learn is None else tuple(learn), method, restarts, seed, max_iterations, tolerance,
                            floor, self.square_root)  # fmt: skip
        given = self._given()
        rows = read(where, as_sequences(where, sequences, columns=True), given.matrices)
        problem, first, method = pose(where, rows, given, self.variances, settings)
        with line:
            fitted = (em if method == "em" else likelihood).fit(problem, first, line)
        self._fitted, self.history_, self.converged_ = fitted
        return self

    # Composition of systems.

    def __add__(self, other: "LDS") -> "LDS":
        """Return the model of the sum of two outputs: the states of both, and one observation noise."""
        return self.joined("LDS.__add__", other, stacked=False) if isinstance(other, LDS) else NotImplemented

    def joined(self, where: str, other: "LDS", stacked: bool) -> "LDS":
        """Return one model with the states of both, whose outputs are added, or stacked as `stack` does."""
        one, two = (Parts(model._given().matrices, model.start, model.variances, model.square_root)
                    for model in (self, other))  # fmt: skip
        matrices, start, variances, square_root = joined(where, one, two, stacked)
        return LDS(**matrices._asdict(), start=start, variances=variances, square_root=square_root)

    def _facts(self) -> list[str]:
        (m, n), inputs = self.H.shape, self.B.shape[1]
        start = self._fitted.start if isinstance(self._fitted.start, str) else "known"
        facts = [counted(n, "state"), counted(m, "output"), *([counted(inputs, "driving input")] if inputs else []),
                 f"{start} start"]  # fmt: skip
        facts += [f"{name} {'unknown' if value is None else f'{value:.4g}'}" for name, value in self.variances_.items()]
        if hasattr(self, "history_"):
            facts.append(f"fitted, log-likelihood {self.history_.max():.6g}")
        return facts

    def _parameters(self) -> dict[str, np.ndarray]:
        unknown = None in self.variances_.values()
        matrices = self._fitted.matrices if unknown else self._matrices("LDS")
        hidden = {name for name in "QR" if unknown} | {name for name in "BD" if not self.B.size}
        return {name: array for name, array in matrices._asdict().items() if name not in hidden}

    # Files.

    @property
    def settings(self) -> dict[str, Any]:
        """The constructor's arguments, except arrays."""
        variances = [{"name": one.name, "of": one.of, "value": one.value} for one in self.variances]
        start = self._fitted.start if isinstance(self._fitted.start, str) else "given"
        return {"start": start, "variances": variances, "square_root": self.square_root}

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the current parameters as arrays; `settings` holds the rest of the model."""
        arrays = {name: leaf.copy() for name, leaf in self._fitted.matrices._asdict().items()}
        values = [np.nan if value is None else value for value in self._fitted.values.values()]
        arrays["values"] = np.array(values, np.float64)
        arrays |= {f"pattern.{number}": one.pattern.copy() for number, one in enumerate(self.variances)}
        if isinstance(self._fitted.start, Prediction):
            arrays |= {f"start.{name}": leaf.copy() for name, leaf in self._fitted.start._asdict().items()}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], **settings: Any) -> Self:
        """Return the model from its `to_arrays` and `settings`."""
        variances, start = field(settings, "variances", list[Record]), field(settings, "start", str)
        names = [*Matrices._fields, "values", *(f"pattern.{number}" for number in range(len(variances)))]
        names += [f"start.{name}" for name in Prediction._fields if start == "given"]
        check_names("LDS.from_arrays", arrays, names)
        if start == "given":
            start = tuple(arrays[f"start.{name}"] for name in Prediction._fields)
        self = cls(
            **{name: arrays[name] for name in Matrices._fields},
            start=start,
            variances=[Variance(pattern=arrays[f"pattern.{number}"], **one) for number, one in enumerate(variances)],
            square_root=field(settings, "square_root", bool),
        )
        values: dict[str, float | None] = {}
        for one, value in zip(self.variances, arrays["values"].tolist(), strict=True):
            values[one.name] = None if np.isnan(value) else check_value("LDS", one.name, value)
        self._fitted = self._fitted._replace(values=values)
        return self

    # Internals.

    def _given(self) -> Parameters:
        """Return the parameters that the constructor was given."""
        matrices = Matrices(self.F, self.H, self.Q, self.R, self.B, self.D)
        return Parameters(matrices, self.start, {one.name: one.value for one in self.variances})

    def _matrices(self, where: str) -> Matrices:
        return complete(where, self._fitted.matrices, self.variances, self._fitted.values)

    def _start(self, where: str) -> Prediction:
        start = self._fitted.start
        return first_state(where, start, self._fitted.matrices if start == "diffuse" else self._matrices(where))

    def _read(self, where: str, sequences: Sequences) -> Inputs:
        return read(where, sequences, self._matrices(where))

    def _state(self, where: str, state: Any, rows: Inputs) -> Prediction:
        if state is None:
            return self.initial_state(len(rows.rows))
        if not isinstance(state, tuple) or len(state) != 3:
            raise TypeError(f"{where}: expected a state Prediction(mean, cov, diffuse), got {type(state).__name__}.")
        n, B = len(self.F), len(rows.rows)
        specs = (f"B={B} n={n}", f"B={B} n={n} n={n}", f"B={B} n={n} n={n}")
        leaves = zip(Prediction._fields, state, specs, strict=True)
        return Prediction(*(reals(where, f"the state's {name}", leaf, spec) for name, leaf, spec in leaves))

    def _kernel(self, where: str, function: Any, rows: Inputs, state: Any) -> Any:
        state = self._state(where, state, rows)
        arguments = rows.system(self._matrices(where))
        return function(**arguments, **state._asdict(), square_root=self.square_root, where=where)

    def _filtered(self, where: str, rows: Inputs, state: Any) -> tuple[Filtered, Prediction]:
        found, last = self._kernel(where, kalman.filter, rows, state)
        impossible = np.flatnonzero(np.isneginf(found.log_prob))
        if len(impossible):
            raise ValueError(f"{where}: the observation in {place(rows.rows, int(impossible[0]))} is impossible: "
                             "without noise, the earlier ones determine another value; use an R above 0.")  # fmt: skip
        return Filtered(found.mean, diffuse_limit(found.cov, found.diffuse), found.log_prob), last

    def _outputs(self, matrices: Matrices, rows: Inputs, states: Prediction) -> Forecast:
        """Return the distribution of the observation at each step, given that of the state."""
        H, R = rows.of_steps("H", matrices), rows.of_steps("R", matrices)
        mean = multiply(H, states.mean) + rows.u @ matrices.D.T
        return Forecast(mean, diffuse_limit(propagate(H, states.cov) + R, propagate(H, states.diffuse)))
