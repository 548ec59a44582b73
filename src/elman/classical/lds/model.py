"""A linear dynamical system: a state that moves linearly and is seen through noise (Kalman 1960)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np

from elman import state as states
from elman.classical.checks import reals
from elman.classical.forecast import Forecast
from elman.classical.lds import fitting
from elman.classical.lds.beliefs import Filtered, Sample, Smoothed, limit
from elman.classical.lds.inputs import Observed, Read, read
from elman.classical.lds.matrices import Matrices, check_matrices, check_start, first_state
from elman.classical.lds.products import multiply, through
from elman.classical.lds.sampling import draw
from elman.classical.lds.variances import Variance, check_value, check_variances, composed
from elman.classical.model import ClassicalModel
from elman.classical.rows import as_sequences, place
from elman.kernels import kalman
from elman.kernels.kalman import Prediction
from elman.sequences import Sequences


class LDS(ClassicalModel):
    """A linear Gaussian state-space model; a step is one of the Kalman filter::

        x[t]   = H s[t] + D u[t] + noise(R)
        s[t+1] = F s[t] + B u[t] + noise(Q)

    Its state as a cell is the prediction of s for the next step, so that `step` filters: it takes in an observation,
    and then the system moves. A missing coordinate (NaN) tells nothing. Matrices may differ from step to step: they are
    then given with the observations, `Observed(x, u, F, H, Q, R)`, and take the place of the model's.

    `local_level`, `local_trend`, `seasonal` and `constant_velocity` are ready-made, and `+` adds their outputs; their
    noises are known but for named variances. A variance of None is to be found by `fit`.

    Args:
        F: [n, n]. H: [m, n].
        Q, R: [n, n] and [m, m] covariances, singular or zero too; None for zero.
        B, D: [n, U] and [m, U] of driving inputs; None for zero, both None for no inputs.
        start: of s at the first step: `diffuse`, nothing is known of it, exactly (Koopman 1997); `stationary`; or
            (mean [n], cov [n, n]), or (mean, cov, diffuse) of which a part is diffuse.
        variances: parts of Q and R that are a number times a pattern, added to them.
        square_root: carry square roots of covariances from the first step on, not only where definiteness is lost.
    Shapes:
        x: [B, m] or Observed   state: Prediction(mean [B, n], cov [B, n, n], diffuse [B, n, n])
        ->   y: Filtered(mean [B, n], cov [B, n, n], log_prob [B])
        Within a diffuse start, `cov` is infinite where the observations so far leave a state open.
        `log_prob` of a coordinate that the diffuse part takes up is -log(f) / 2, with f its variance by that part
        (Durbin and Koopman 2012, 7.2.2): without log(2 pi), as if it were no innovation.
    Attributes:
        F_, H_, Q_, R_, B_, D_: the matrices in force: those given, or fitted.
        start_: the start in force, Prediction without rows.
        variances_: {name: value}, None where it is not known yet.
        history_: of the last fit, log-probabilities: by EM, [iterations + 1]; by likelihood, of each start's optimum.
        converged_: whether that fit ended because nothing was gained any more.
    Raises:
        TypeError, ValueError: matrices, settings or observations that are none, in one line that says which.
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
        self._fitted = fitting.Parameters(matrices, self.start, {one.name: one.value for one in self.variances})

    # The matrices in force.

    @property
    def F_(self) -> np.ndarray:
        return self._fitted.matrices.F

    @property
    def H_(self) -> np.ndarray:
        return self._fitted.matrices.H

    @property
    def Q_(self) -> np.ndarray:
        return self._matrices("LDS.Q_").Q

    @property
    def R_(self) -> np.ndarray:
        return self._matrices("LDS.R_").R

    @property
    def B_(self) -> np.ndarray:
        return self._fitted.matrices.B

    @property
    def D_(self) -> np.ndarray:
        return self._fitted.matrices.D

    @property
    def start_(self) -> Prediction:
        return self._start("LDS.start_")

    @property
    def variances_(self) -> dict[str, float | None]:
        return dict(self._fitted.values)

    # A cell.

    def initial_state(self, batch_size: int) -> Prediction:
        """What is known of the first state before anything is seen, in every row."""
        start = self._start("LDS.initial_state")
        return Prediction(*(np.repeat(leaf[None], batch_size, axis=0) for leaf in start))

    def step(self, x: Any, state: Prediction) -> tuple[Filtered, Prediction]:
        """One observation of each row: -> what it tells, and the prediction for the next."""
        first = next(states.leaves(x))
        rows = Sequences(x, np.ones(len(first), np.int64))
        return self._filtered("LDS.step", self._read("LDS.step", rows), state)

    def scan(self, sequences: Sequences, state: Prediction | None = None) -> tuple[Sequences, Prediction]:
        """All rows in one call of the kernel."""
        where = "LDS.scan"
        filtered, last = self._filtered(where, self._read(where, sequences), state)
        return Sequences(filtered, sequences.lengths), last

    # What is asked of it.

    def log_prob(self, sequences: Sequences | Iterable[Any], state: Prediction | None = None) -> np.ndarray:
        """The log-probability of each row, [B]: the sum over its steps; -inf of one that is impossible."""
        where = "LDS.log_prob"
        rows = self._read(where, as_sequences(where, sequences))
        log_probs: np.ndarray = self._kernel(where, kalman.log_likelihood, rows, state)
        return log_probs

    def filter(self, sequences: Sequences | Iterable[Any]) -> Sequences:
        """What is known of the state at each step from the observations up to it: Filtered(mean [N, n], ...)."""
        where = "LDS.filter"
        rows = self._read(where, as_sequences(where, sequences))
        return Sequences(self._filtered(where, rows, None)[0], rows.rows.lengths)

    def smooth(self, sequences: Sequences | Iterable[Any], state: Prediction | None = None) -> Sequences:
        """What is known of the state at each step from whole rows: Smoothed(mean [N, n], cov [N, n, n], lag).

        Raises:
            ValueError: a row has too few observations for its diffuse start.
        """
        where = "LDS.smooth"
        rows = self._read(where, as_sequences(where, sequences))
        found = self._kernel(where, kalman.smooth, rows, state)
        return Sequences(Smoothed(found.mean, found.cov, found.lag), rows.rows.lengths)

    def predict(self, sequences: Sequences | Iterable[Any], state: Prediction | None = None) -> Sequences:
        """The forecast of each observation from those before it: Forecast(mean [N, m], cov [N, m, m])."""
        where = "LDS.predict"
        rows = self._read(where, as_sequences(where, sequences))
        matrices, state = self._matrices(where), self._state(where, state, rows)
        filtered, _ = self._kernel(where, kalman.filter, rows, state)
        F, Q = rows.of_steps("F", matrices), rows.of_steps("Q", matrices)
        moved = Prediction(
            multiply(F, filtered.mean) + rows.u @ matrices.B.T,
            through(F, filtered.cov) + Q,
            through(F, filtered.diffuse),
        )
        first = rows.rows.times == 0
        before = states.where(
            first,
            states.select(state, rows.rows.rows),
            states.select(moved, np.maximum(np.arange(len(first)) - 1, 0)),
        )
        return Sequences(self._outputs(matrices, rows, before), rows.rows.lengths)

    def forecast(self, given: Sequences | Iterable[Any] | Prediction, steps: int, future: Observed | None = None
                 ) -> Forecast:  # fmt: skip
        """The next observations of each row: Forecast(mean [B, S, m], cov [B, S, m, m]).

        Args:
            given: what was seen, or the state after it.
            steps: S, how far to look ahead, at least 1.
            future: what is known of the steps to come, leaves [B, S, ...]: `Observed((), u)` where a model is driven.
        """
        where = "LDS.forecast"
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
            raise ValueError(f"{where}: expected steps to be an int of at least 1, got {steps!r}.")
        if not isinstance(given, Prediction):
            given = self._filtered(where, self._read(where, as_sequences(where, given)), None)[1]
        rows = self._to_come(where, np.full(len(given.mean), steps), future)
        found, _ = self._kernel(where, kalman.filter, rows, given)
        outputs = self._outputs(self._matrices(where), rows, Prediction(found.mean, found.cov, found.diffuse))
        return Forecast(*(leaf.reshape(len(given.mean), steps, *leaf.shape[1:]) for leaf in outputs))

    def sample(self, lengths: Any, seed: int = 0, state: Prediction | None = None, given: Observed | None = None
               ) -> Sample:  # fmt: skip
        """Rows of so many steps, drawn from the model.

        Args:
            state: where rows start, such as the state after a series; without, `start_`, which must not be diffuse.
            given: what each step has of its own, leaves [N, ...]: `Observed((), u)` where a model is driven.
        """
        where = "LDS.sample"
        rows = self._to_come(where, lengths, given)
        state = self._state(where, state, rows)
        if state.diffuse.any():
            raise ValueError(f"{where}: expected a start that is not diffuse, which is no distribution to draw from; "
                             "give state=, as a scan returns one, or a model with start=(mean, cov).")  # fmt: skip
        x, s = draw(self._matrices(where), rows, state, np.random.default_rng(seed))
        values = x if given is None else given._replace(x=x)
        return Sample(Sequences(values, rows.rows.lengths), s)

    # Fitting.

    def fit(self, sequences: Sequences | Iterable[Any], learn: Iterable[str] | None = None, method: str | None = None,
            *, restarts: int = 3, seed: int = 0, max_iterations: int = 500, tolerance: float = 1e-8,
            floor: float = 1e-6) -> Self:  # fmt: skip
        """Find parameters that make rows most likely, from those given to the constructor.

        `em` (Shumway and Stoffer 1982; Ghahramani and Hinton 1996) never lowers the likelihood, and climbs slowly;
        `likelihood` climbs the log-likelihood itself, by quasi-Newton steps (L-BFGS-B) in logarithms of the variances
        and Cholesky factors of the covariances, with differences for gradients, all in one call of the kernel.

        Args:
            sequences: rows of observations, which may hold NaN: Sequences, or a list of arrays or `Observed`.
            learn: names of variances; or matrices among F H Q R B D; or `mean` and `cov` of the start. None: the
                variances that are not known, or Q and R where there are none.
            method: `em` or `likelihood`. None: `likelihood` for variances, `em` for matrices.
            restarts: `likelihood` only: how many starts; those after the first are random.
            seed: of the random starts.
            max_iterations: of EM, or of each start.
            tolerance: EM ends when an iteration gains less than this, in nats a step.
            floor: no covariance that EM learns becomes smaller than this share of the diagonal of the one given, so
                that it stays positive definite where the likelihood has no bound.
        Raises:
            TypeError, ValueError: observations or settings that cannot be used, in one line that says why.
        """
        where = "LDS.fit"
        settings = fitting.Settings(learn if learn is None else tuple(learn), method, restarts, seed, max_iterations,
                                    tolerance, floor, self.square_root)  # fmt: skip
        given = fitting.Parameters(Matrices(self.F, self.H, self.Q, self.R, self.B, self.D), self.start,
                                   {one.name: one.value for one in self.variances})  # fmt: skip
        rows = self._read(where, as_sequences(where, sequences), given.matrices)
        found = fitting.fit(where, rows, given, self.variances, settings)
        self._fitted, self.history_, self.converged_ = found
        return self

    # Models of models.

    def __add__(self, other: "LDS") -> "LDS":
        """The model of the sum of two outputs: states side by side, and one noise of observation."""
        from elman.classical.lds.joining import joined

        return joined(self, other, stacked=False) if isinstance(other, LDS) else NotImplemented

    # Files.

    @property
    def settings(self) -> dict[str, Any]:
        """What the constructor was given, but for arrays."""
        variances = [{"name": one.name, "of": one.of, "value": one.value} for one in self.variances]
        start = self._fitted.start if isinstance(self._fitted.start, str) else "given"
        return {"start": start, "variances": variances, "square_root": self.square_root}

    def to_arrays(self) -> dict[str, np.ndarray]:
        """What is in force, to be kept beside `settings`."""
        arrays = {name: leaf.copy() for name, leaf in self._fitted.matrices._asdict().items()}
        values = [np.nan if value is None else value for value in self._fitted.values.values()]
        arrays["values"] = np.array(values, np.float64)
        arrays |= {f"pattern.{number}": one.pattern.copy() for number, one in enumerate(self.variances)}
        if isinstance(self._fitted.start, Prediction):
            arrays |= {f"start.{name}": leaf.copy() for name, leaf in self._fitted.start._asdict().items()}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], **settings: Any) -> Self:
        """The model whose `to_arrays` and `settings` these are."""
        variances, start = settings["variances"], settings["start"]
        names = [*Matrices._fields, "values", *(f"pattern.{number}" for number in range(len(variances)))]
        names += [f"start.{name}" for name in Prediction._fields if start == "given"]
        if set(arrays) != set(names):
            raise ValueError(f"LDS.from_arrays: expected arrays {', '.join(names)}, got {', '.join(sorted(arrays))}; "
                             "these are of another model.")  # fmt: skip
        if start == "given":
            start = tuple(arrays[f"start.{name}"] for name in Prediction._fields)
        self = cls(
            **{name: arrays[name] for name in Matrices._fields},
            start=start,
            variances=[Variance(pattern=arrays[f"pattern.{number}"], **one) for number, one in enumerate(variances)],
            square_root=settings["square_root"],
        )
        values: dict[str, float | None] = {}
        for one, value in zip(self.variances, arrays["values"].tolist(), strict=True):
            values[one.name] = None if np.isnan(value) else check_value("LDS", one.name, value)
        self._fitted = self._fitted._replace(values=values)
        return self

    # Inside.

    def _matrices(self, where: str) -> Matrices:
        values = self._fitted.values
        unknown = [name for name, value in values.items() if value is None]
        if unknown:
            raise ValueError(f"{where}: expected known variances, got none of {', '.join(unknown)}; call fit, or give "
                             "them, as in local_level(level=1.0, noise=2.0).")  # fmt: skip
        return composed(self._fitted.matrices, self.variances, {name: value or 0.0 for name, value in values.items()})

    def _start(self, where: str) -> Prediction:
        start = self._fitted.start
        return first_state(where, start, self._fitted.matrices if start == "diffuse" else self._matrices(where))

    def _read(self, where: str, sequences: Sequences, matrices: Matrices | None = None) -> Read:
        return read(where, sequences, self._matrices(where) if matrices is None else matrices)

    def _state(self, where: str, state: Any, rows: Read) -> Prediction:
        if state is None:
            return self.initial_state(len(rows.rows))
        if not isinstance(state, tuple) or len(state) != 3:
            raise TypeError(f"{where}: expected a state Prediction(mean, cov, diffuse), got {type(state).__name__}.")
        n, B = len(self.F), len(rows.rows)
        specs = (f"B={B} n={n}", f"B={B} n={n} n={n}", f"B={B} n={n} n={n}")
        leaves = zip(Prediction._fields, state, specs, strict=True)
        return Prediction(*(reals(where, f"the state's {name}", leaf, spec) for name, leaf, spec in leaves))

    def _kernel(self, where: str, function: Any, rows: Read, state: Any) -> Any:
        state = self._state(where, state, rows)
        arguments = rows.system(self._matrices(where))
        return fitting.called(where, function, **arguments, **state._asdict(), square_root=self.square_root)

    def _filtered(self, where: str, rows: Read, state: Any) -> tuple[Filtered, Prediction]:
        found, last = self._kernel(where, kalman.filter, rows, state)
        impossible = np.flatnonzero(np.isneginf(found.log_prob))
        if len(impossible):
            raise ValueError(f"{where}: the observation in {place(rows.rows, int(impossible[0]))} is impossible: it is "
                             "known before and without noise, and is another; use an R above 0.")  # fmt: skip
        return Filtered(found.mean, limit(found.cov, found.diffuse), found.log_prob), last

    def _to_come(self, where: str, lengths: Any, given: Observed | None) -> Read:
        """Rows without observations, with what is given of their steps, [N, ...] or [B, S, ...]."""
        lengths = np.asarray(lengths)
        steps = int(lengths.sum())
        given = Observed(()) if given is None else given
        if not isinstance(given, Observed) or not isinstance(given.x, tuple):
            raise TypeError(f"{where}: expected what is given of steps to come as Observed((), u, ...), got "
                            f"{type(given).__name__}.")  # fmt: skip
        dimensions = {"u": 2, "F": 3, "H": 3, "Q": 3, "R": 3}
        own = {}
        for name, ndim in dimensions.items():
            leaf = getattr(given, name)
            if not isinstance(leaf, tuple):
                leaf = np.asarray(leaf)
                wide = leaf.ndim == ndim + 1 and where == "LDS.forecast"
                own[name] = leaf.reshape(-1, *leaf.shape[2:]) if wide else leaf
                if len(own[name]) != steps:
                    raise ValueError(f"{where}: expected {name} of {steps} steps, got shape {list(leaf.shape)}.")
        missing = np.full((steps, len(self.H)), np.nan)
        return self._read(where, Sequences(Observed(missing, **own), lengths))

    def _outputs(self, matrices: Matrices, rows: Read, belief: Prediction) -> Forecast:
        """What is observed at each step, where the state is so."""
        H, R = rows.of_steps("H", matrices), rows.of_steps("R", matrices)
        mean = multiply(H, belief.mean) + rows.u @ matrices.D.T
        return Forecast(mean, limit(through(H, belief.cov) + R, through(H, belief.diffuse)))
