"""Hidden Markov model (Baum and Petrie 1966; Rabiner 1989)."""

from collections.abc import Iterable, Mapping
from typing import Any, Self

import numpy as np

from elman.classical.checks import as_sequences, check_names, distribution, floats, integers, one_step_rows, reals
from elman.classical.forecast import check_steps
from elman.classical.hmm import em, forecasting, inputs, labelled
from elman.classical.hmm.chain import Chain, log, log_transition, path_log_prob, random_chain, sample_states, stationary
from elman.classical.hmm.chain_steps import ChainPrior
from elman.classical.hmm.em import Model, Problem
from elman.classical.hmm.emissions import Emission, make_emission, split_arrays
from elman.classical.hmm.inputs import Driven
from elman.classical.hmm.results import Decoded, Filtered, Sample, StateForecast
from elman.classical.model import ClassicalModel
from elman.classical.special import softmax
from elman.declared_types import Record, field
from elman.kernels import semiring_scan
from elman.nearest import suggests_arguments
from elman.progress import ProgressLine
from elman.representation import counted
from elman.rows import Rows
from elman.sequences import Sequences
from elman.shapes import check

KernelArguments = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, None, bool]
STARTS = ("free", "stationary")


class HMM(ClassicalModel):
    """Hidden Markov model: a chain of hidden states, each with a distribution of observations::

        p(s_1) = start[s_1]    p(s_n+1 | s_n) = transition[s_n, s_n+1]    p(x_n | s_n): the emission

    The cell state is the prediction for the next step, so `step` filters: it updates with an observation, then applies
    the transitions. A missing observation (NaN) skips the update.

    With a driving input u [N, U], the transition after step n is softmax(b + W u_n) over the next state, and the means
    of a `Gaussian(drive_size=U)` are m + B u_n (Bengio and Frasconi 1995).

    Args:
        num_states: K.
        emission: `Gaussian() Categorical() Poisson() GaussianMixture(C)`, with their settings.
        start: `free`, or `stationary`: rows start in the stationary distribution of the transitions, in `fit` too.
        drive_size: U, the number of features of the input that drives the transitions; 0 for none.
        start_prior: Dirichlet parameter of the start: 1 is no prior, 1 + c counts as c more rows for each state.
        transition_prior: the same for each row of the transitions: a number, or an array [K, K].
        restarts: number of random starts of EM, which run in one call of the kernel; the best result is kept.
        max_iterations: maximum number of iterations of EM.
        tolerance: EM stops when an iteration gains less than this, in nats per step.
        seed: seed of the random starts: restart r equals a single run with `seed + r`.
    Shapes:
        x: [B] or [B, D], as the emission reads it; or `Driven(x, u)` with u [B, U]
        state: [B, K] probabilities of the state at the next step   ->   y: Filtered(probs [B, K], log_prob [B])
    Attributes:
        start_: [K]. transition_: [K, K] from, to (with a driving input, for an input of zero).
        transition_weights_: [K, K, 1 + U], b and W; with a driving input only.
        emission_: the emission with its parameters.
        history_: [iterations + 1], log-probability of all rows plus log-prior, for the first parameters and after each
            iteration. converged_: whether EM stopped before `max_iterations`.
        counts_: [K], expected number of steps in each state. A state with a count below 1e-6 is empty: it keeps its
            emission and transitions, and the log reports it. More restarts or a prior help.
    Raises:
        TypeError, ValueError: observations, probabilities or settings are invalid; the message names them.
    Example:
        >>> from elman.classical.hmm import Categorical
        >>> x = Sequences.from_list([np.array([0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1])])
        >>> model = HMM(2, Categorical(prior=1.1), restarts=3).fit(x)
        >>> states, log_prob = model.decode(x)
        >>> len(np.unique(states.values)), model.transition_.shape
        (2, (2, 2))
    """

    start_: np.ndarray
    transition_: np.ndarray
    transition_weights_: np.ndarray | None = None
    emission_: Emission
    history_: np.ndarray
    converged_: bool
    counts_: np.ndarray

    def __init__(self, num_states: int, emission: Emission, *, start: str = "free", drive_size: int = 0,
                 start_prior: float = 1.0, transition_prior: Any = 1.0, restarts: int = 1, max_iterations: int = 300,
                 tolerance: float = 1e-7, seed: int = 0):  # fmt: skip
        self.num_states, self.emission, self.start, self.drive_size = num_states, emission, start, drive_size
        self.start_prior, self.restarts, self.max_iterations = start_prior, restarts, max_iterations
        self.transition_prior = transition_prior if np.ndim(transition_prior) == 0 else (
            np.asarray(transition_prior, np.float64).tolist())  # fmt: skip
        self.tolerance, self.seed = tolerance, seed
        self._check_settings()

    @classmethod
    def from_parameters(cls, start: Any, transition: Any, emission: Emission, transition_weights: Any = None,
                        **settings: Any) -> Self:  # fmt: skip
        """Return a model with known parameters: start [K] (or "stationary"), transition [K, K], a known emission.

        Args:
            transition_weights: [K, K, 1 + U] for a driving input; `transition` is then None.
        Example:
            >>> from elman.classical.hmm import Categorical
            >>> dice = Categorical.from_parameters(np.array([[0.5, 0.5], [0.1, 0.9]]))
            >>> model = HMM.from_parameters("stationary", np.array([[0.9, 0.1], [0.3, 0.7]]), dice)
            >>> model.initial_state(1)
            array([[0.75, 0.25]])
        """
        try:
            states = emission.num_states
        except AttributeError:
            raise ValueError(
                "HMM: expected an emission with parameters, got one without; use its from_parameters."
            ) from None
        if isinstance(start, str):
            settings["start"] = start
        weights = None
        if transition_weights is not None:
            weights = reals("HMM", "transition_weights", transition_weights, f"K={states} K={states} 1+U")
            settings["drive_size"] = weights.shape[2] - 1
            transition = softmax(weights[:, :, 0])
        self = cls(states, emission, **settings)
        transition = distribution("HMM", "transition", transition, f"K={states} K={states}")
        if self.start == "stationary":
            start = _stationary("HMM", transition)
        start = distribution("HMM", "start", start, f"K={states}")
        return self._with(Model(Chain(start, transition, weights), emission))

    # The cell.

    def initial_state(self, batch_size: int) -> np.ndarray:
        """Return the distribution of the first state, `start_`, in every row."""
        return np.tile(self._model("HMM.initial_state").chain.start, (batch_size, 1))

    def step(self, x: Any, state: np.ndarray) -> tuple[Filtered, np.ndarray]:
        """Filter one observation of each row; return its state probabilities, and the prediction for the next step."""
        where = "HMM.step"
        rows = one_step_rows(where, x, self.emission.columns)
        chain, scores, u = self._scored(where, rows)
        joint = log(self._state(where, state, len(rows))) + scores
        top = joint.max(1, keepdims=True, initial=-np.inf)
        em.impossible(where, rows, top[:, 0])
        probs = np.exp(joint - top)
        total = probs.sum(1, keepdims=True)
        probs /= total
        if u is None:
            predicted = probs @ chain.transition
        else:
            predicted = np.einsum("bi,bij->bj", probs, np.exp(log_transition(chain, u)))
        return Filtered(probs, (np.log(total) + top)[:, 0]), predicted

    def scan(self, sequences: Sequences, state: np.ndarray | None = None) -> tuple[Sequences, np.ndarray]:
        """Filter all rows in one call of the kernel."""
        return self._filtered("HMM.scan", sequences, state)

    # Inference.

    def log_prob(self, sequences: Sequences | Iterable[Any]) -> np.ndarray:
        """Return the log-probability of each row, [B]; -inf for an impossible one."""
        sequences = self._rows("HMM.log_prob", sequences)
        chain, scores, u = self._scored("HMM.log_prob", sequences)
        return semiring_scan.total(*self._kernel_arguments(chain, scores, u, sequences))

    def filter(self, sequences: Sequences | Iterable[Any]) -> Sequences:
        """Return the state probabilities given the observations up to each step: Filtered(probs [N, K], ...)."""
        return self._filtered("HMM.filter", sequences)[0]

    def smooth(self, sequences: Sequences | Iterable[Any]) -> Sequences:
        """Return the state probabilities given whole rows, [N, K]."""
        sequences = self._rows("HMM.smooth", sequences)
        chain, scores, u = self._scored("HMM.smooth", sequences)
        return sequences.with_values(self._smoothed("HMM.smooth", sequences, chain, scores, u))

    def decode(self, sequences: Sequences | Iterable[Any], method: str = "viterbi", k: int = 1) -> Decoded:
        """Return the best path of each row (`viterbi`), the k best, or the best state of each step (`posterior`)."""
        where = "HMM.decode"
        sequences = self._rows(where, sequences)
        chain, scores, u = self._scored(where, sequences)
        if method == "posterior" and k == 1:
            states = self._smoothed(where, sequences, chain, scores, u).argmax(1)
            log_probs = path_log_prob(chain, scores, u, sequences, states)
            return Decoded(sequences.with_values(states), log_probs)
        if method != "viterbi":
            raise ValueError(f"{where}: expected method viterbi, or posterior with k=1, got {method!r} with k={k}.")
        if k < 1:
            raise ValueError(f"{where}: expected k of at least 1, got {k}.")
        found = semiring_scan.best_path(*self._kernel_arguments(chain, scores, u, sequences), k=k)
        _possible(where, found.log_prob[0])
        if k == 1:
            return Decoded(sequences.with_values(found.states[0]), found.log_prob[0])
        return Decoded(sequences.with_values(found.states.T.copy()), found.log_prob.T.copy())

    def forecast(self, sequences: Sequences | Iterable[Any], steps: int, u: Any = None, *,
                 state: np.ndarray | None = None) -> StateForecast:  # fmt: skip
        """Return the forecast of the next steps of each row: StateForecast(probs [B, S, K], observations).

        The probabilities are exact. The observations are a mixture over the states, so `observations.interval` is that
        of the Gaussian with their mean and covariance.

        Args:
            sequences: the rows so far.
            steps: S, the number of steps to forecast, at least 1.
            u: driving input of these steps, [B, S, U]; for a driven model only.
            state: [B, K] prediction for the first step of the rows, as `scan` takes it.
        Example:
            >>> from elman.classical.hmm import Gaussian
            >>> levels = Gaussian.from_parameters([[0.0], [10.0]], [[1.0], [1.0]])
            >>> found = HMM.from_parameters([1, 0], [[0.9, 0.1], [0.2, 0.8]], levels).forecast([[[0.1]]], steps=2)
            >>> found.probs.round(2), found.observations.mean[0, :, 0].round(2)
            (array([[[0.9 , 0.1 ],
                    [0.83, 0.17]]]), array([1. , 1.7]))
        """
        where = "HMM.forecast"
        check_steps(where, steps)
        _, last = self._filtered(where, sequences, state)
        model, u = self._model(where), inputs.future(where, u, len(last), steps, self._drive_size(where))
        return forecasting.forecast(model.chain, model.emission, last, steps, u)

    def sample(self, lengths: Any, seed: int = 0, u: np.ndarray | None = None) -> Sample:
        """Draw rows of these lengths from the model; a driven model needs `u` [N, U]."""
        where = "HMM.sample"
        model = self._model(where)
        size = self._drive_size(where)
        rows = Rows.of(lengths, where=where)
        if size:
            u = np.zeros((0, 0)) if u is None else floats(where, "the driving input u", u)
            check(where, "the driving input u", u, f"N={rows.num_steps} U={size}")
            given = Sequences(Driven(np.zeros((rows.num_steps, 0)), u), rows)
            _, u = inputs.drive(where, given, size)
        elif u is not None:
            raise ValueError(f"{where}: expected no driving input, got one; this model has none (drive_size=0).")
        rng = np.random.default_rng(seed)
        states = sample_states(model.chain, rows, rng, u if self.drive_size else None)
        x = model.emission.sample(states, rng, u)
        return Sample(Sequences(x if u is None else Driven(x, u), rows), states)

    def stationary(self) -> np.ndarray:
        """Return the stationary distribution [K], which long rows approach."""
        return _stationary("HMM.stationary", self._undriven("HMM.stationary").transition)

    # Fitting.

    @suggests_arguments
    def fit(self, sequences: Sequences | Iterable[Any], refine: bool = False, *,
            verbose: bool | int | None = None) -> Self:  # fmt: skip
        """Fit by EM over all rows, from `restarts` random starts together.

        Args:
            sequences: rows of observations: Sequences, a list of arrays, or one array, Series or data frame for a
                single row.
            refine: start from the current parameters instead of random ones. Probabilities of zero stay zero (without
                a prior), so this can be used to forbid transitions.
            verbose: progress: None shows a line on a terminal and in a notebook if the fit takes longer than 2 seconds;
                False is silent; True shows it everywhere; 2 prints a line per iteration.
        """
        where, line = "HMM.fit", ProgressLine(verbose)
        emission = self._model(where).emission if refine else self.emission
        problem = self._problem(where, sequences, emission)
        data = problem.data
        if refine:
            models = [Model(self._model(where).chain, emission.resume(where, data))]
        else:
            models = [self._random(where, data, self.seed + restart) for restart in range(self.restarts)]
        with line:
            fits = em.fit(where, problem, models, self.max_iterations, self.tolerance, line)
        best = max(fits, key=lambda fit: fit.history[-1])
        self.history_, self.converged_, self.counts_ = best.history, best.converged, best.counts
        return self._with(best.model)

    def fit_labelled(self, sequences: Sequences | Iterable[Any], states: Sequences | Iterable[Any]) -> Self:
        """Fit to known states, by counting: the most probable parameters under the priors, without EM.

        Args:
            states: the state of each step, from 0 to K - 1: Sequences, a list of rows, or an array [N].
        """
        where = "HMM.fit_labelled"
        problem = self._problem(where, sequences, self.emission)
        labels = labelled.labels_of(where, problem.rows, states)
        labels = integers(where, "states", labels, "N", below=self.num_states)
        model = labelled.fit(where, problem, self.emission, labels, self.num_states, np.random.default_rng(self.seed),
                             self.max_iterations, self.tolerance)  # fmt: skip
        self.counts_ = np.bincount(labels, minlength=self.num_states).astype(np.float64)
        return self._with(model)

    def _facts(self) -> list[str]:
        known = hasattr(self, "emission_")
        facts = [counted(self.num_states, "state"), (self.emission_ if known else self.emission).brief()]
        if self.drive_size:
            facts.append(counted(self.drive_size, "driving input"))
        if not known:
            return [*facts, "not fitted"]
        if not hasattr(self, "history_"):
            return facts
        steps = round(float(self.counts_.sum()))
        per_step = f"log-likelihood {self.history_[-1] / steps:.4g} per step"
        return [*facts, f"fitted on {counted(steps, 'step')}", per_step]

    def _parameters(self) -> dict[str, np.ndarray]:
        if not hasattr(self, "emission_"):
            return {}
        return {"start": self.start_, "transition": self.transition_, **self.emission_.distributions()}

    # Files.

    @property
    def settings(self) -> dict[str, Any]:
        """The constructor's arguments."""
        names = ("num_states", "start", "drive_size", "start_prior", "transition_prior", "restarts", "max_iterations",
                 "tolerance", "seed")  # fmt: skip
        emission = {"kind": type(self.emission).__name__, **self.emission.settings}
        return {name: getattr(self, name) for name in names} | {"emission": emission}

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the fitted parameters as arrays; `settings` holds the rest of the model."""
        model = self._model("HMM.to_arrays")
        arrays = {"start": model.chain.start, "transition": model.chain.transition}
        if model.chain.weights is not None:
            arrays["transition_weights"] = model.chain.weights
        arrays |= {f"emission.{name}": array for name, array in model.emission.to_arrays().items()}
        return {name: np.ascontiguousarray(array) for name, array in arrays.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], **settings: Any) -> Self:
        """Return the model from its `to_arrays` and `settings`."""
        where, (chain, own) = "HMM.from_arrays", split_arrays(arrays)
        self = cls(**settings | {"emission": make_emission(field(settings, "emission", Record))})
        check_names(where, chain, ["start", "transition", *["transition_weights"] * bool(self.drive_size)])
        emission, size = self.emission.with_arrays(own), f"K={self.num_states}"
        if emission.num_states != self.num_states:
            raise ValueError(f"{where}: expected an emission of {self.num_states} states, got {emission.num_states}.")
        weights = chain.get("transition_weights")
        if weights is not None:
            weights = reals(where, "transition_weights", weights, f"{size} {size} 1+U={1 + self.drive_size}")
        start = distribution(where, "start", chain["start"], size)
        transition = distribution(where, "transition", chain["transition"], f"{size} {size}")
        return self._with(Model(Chain(start, transition, weights), emission))

    # Internals.

    def _check_settings(self) -> None:
        for name, lowest in (("num_states", 1), ("restarts", 1), ("max_iterations", 0), ("drive_size", 0), ("seed", 0)):
            given = getattr(self, name)
            if not isinstance(given, int | np.integer) or isinstance(given, bool) or given < lowest:
                raise ValueError(f"HMM: expected {name} to be an int of at least {lowest}, got {given!r}.")
        if not isinstance(self.emission, Emission):
            raise TypeError(f"HMM: expected an emission, such as Gaussian(), got {self.emission!r}.")
        if self.start not in STARTS:
            raise ValueError(f"HMM: expected start to be one of {', '.join(STARTS)}, got {self.start!r}.")
        if self.start == "stationary" and self.drive_size:
            raise ValueError("HMM: expected start to be free if transitions are driven, got stationary; they have no "
                             "stationary distribution.")  # fmt: skip
        if not self.start_prior >= 1 or not (np.asarray(self.transition_prior) >= 1).all():
            raise ValueError("HMM: expected priors of at least 1 (1 is no prior), got "
                             f"{self.start_prior} and {self.transition_prior}.")  # fmt: skip
        if np.ndim(self.transition_prior):
            check(
                "HMM", "transition_prior", np.asarray(self.transition_prior), f"K={self.num_states} K={self.num_states}"
            )
        if not self.tolerance >= 0:
            raise ValueError(f"HMM: expected a tolerance of at least 0, got {self.tolerance}.")
        self._drive_size("HMM")

    def _drive_size(self, where: str) -> int:
        """Return U, the size of the driving input of transitions, means or both; 0 for none."""
        own, of_means = self.drive_size, self.emission.drive_size
        if own and of_means and own != of_means:
            raise ValueError(f"{where}: expected one driving input, got drive_size={own} for the transitions and "
                             f"{of_means} for the emission.")  # fmt: skip
        return own or of_means

    def _with(self, model: Model) -> Self:
        self.start_, self.transition_ = model.chain.start, model.chain.transition
        self.transition_weights_, self.emission_ = model.chain.weights, model.emission
        return self

    def _model(self, where: str) -> Model:
        if not hasattr(self, "emission_"):
            raise ValueError(f"{where}: expected a fitted model, got one without parameters; call fit, from_parameters "
                             "or from_arrays first.")  # fmt: skip
        return Model(Chain(self.start_, self.transition_, self.transition_weights_), self.emission_)

    def _undriven(self, where: str) -> Chain:
        if self.drive_size:
            raise ValueError(f"{where}: expected constant transitions, got driven ones (drive_size="
                             f"{self.drive_size}), which have no stationary distribution.")  # fmt: skip
        return self._model(where).chain

    def _rows(self, where: str, sequences: Sequences | Iterable[Any]) -> Sequences:
        return as_sequences(where, sequences, self.emission.columns)

    def _problem(self, where: str, sequences: Sequences | Iterable[Any], emission: Emission) -> Problem:
        rows, u = inputs.drive(where, self._rows(where, sequences), self._drive_size(where))
        data = emission.read(where, rows, u)
        priors = np.broadcast_to(np.asarray(self.transition_prior), (self.num_states, self.num_states))
        prior = ChainPrior(np.full(self.num_states, self.start_prior - 1.0), priors - 1.0)
        return Problem(rows, data, u if self.drive_size else None, prior, self.start == "stationary")

    def _random(self, where: str, data: Any, seed: int) -> Model:
        rng = np.random.default_rng(seed)
        emission = self.emission.initialise(where, data, self.num_states, rng)
        chain = random_chain(self.num_states, rng, self.drive_size or None)
        if self.start == "stationary":
            chain = chain._replace(start=_stationary(where, chain.transition))
        return Model(chain, emission)

    def _state(self, where: str, state: Any, rows: int) -> np.ndarray:
        state = reals(where, "state", state, f"B={rows} K={self.num_states}")
        if (state < 0).any():
            raise ValueError(f"{where}: expected a state of probabilities, got {state.min():.6g}.")
        return state

    def _scored(self, where: str, sequences: Sequences) -> tuple[Chain, np.ndarray, np.ndarray | None]:
        """Return the chain, log-likelihoods [N, K], and the driving input of the transitions or None."""
        model = self._model(where)
        rows, u = inputs.drive(where, sequences, self._drive_size(where))
        return model.chain, model.emission.log_prob(model.emission.read(where, rows, u)), u if self.drive_size else None

    def _filtered(self, where: str, sequences: Sequences | Iterable[Any], state: np.ndarray | None = None
                  ) -> tuple[Sequences, np.ndarray]:  # fmt: skip
        """Return the filtered states of all rows, and the predictions after them [B, K]."""
        sequences = self._rows(where, sequences)
        chain, scores, u = self._scored(where, sequences)
        state = self.initial_state(len(sequences)) if state is None else self._state(where, state, len(sequences))
        found = semiring_scan.forward(*self._kernel_arguments(chain, scores, u, sequences, state))
        em.impossible(where, sequences, found.log_prob)
        last = np.where(sequences.lengths[:, None] > 0, found.last, state)
        return sequences.with_values(Filtered(found.probs, found.log_prob)), last

    def _kernel_arguments(self, chain: Chain, scores: np.ndarray, u: np.ndarray | None, sequences: Sequences,
                          state: np.ndarray | None = None) -> KernelArguments:  # fmt: skip
        """Return the arguments of the kernel."""
        state = np.tile(chain.start, (len(sequences), 1)) if state is None else state
        transition = log_transition(chain, u)
        return (
            log(state),
            transition if u is not None else transition[None],
            scores,
            sequences.lengths,
            None,
            u is not None,
        )

    def _smoothed(self, where: str, sequences: Sequences, chain: Chain, scores: np.ndarray,
                  u: np.ndarray | None) -> np.ndarray:  # fmt: skip
        posterior = semiring_scan.forward_backward(*self._kernel_arguments(chain, scores, u, sequences))
        _possible(where, posterior.log_prob)
        return posterior.probs


def _stationary(where: str, transition: np.ndarray) -> np.ndarray:
    kept = stationary(transition)
    if kept is None:
        raise ValueError(f"{where}: expected one stationary distribution, got several: the states form groups without "
                         "transitions between them; use start='free'.")  # fmt: skip
    return kept


def _possible(where: str, log_prob: np.ndarray) -> None:
    """Raise a ValueError unless every row [B] has a possible path."""
    wrong = ~np.isfinite(log_prob)
    if wrong.any():
        raise ValueError(f"{where}: row {int(np.argmax(wrong))} is impossible: every path has an observation or a "
                         "transition of probability zero; `filter` names the step.")  # fmt: skip
