"""Base class of all models: scoring, decoding, sampling and EM with hmmlearn's interface, and the hooks for emissions.

All rows go through elman's kernels in one call; models differ only in the emission distribution of each state.
"""

import logging
import string
from typing import Any, ClassVar, Self

import numpy as np

from elman.estimator import Estimator
from elman.hmm.checks import NotFittedError, observations, one_of, random_generator, row_lengths
from elman.hmm.monitor import ConvergenceMonitor
from elman.kernels import semiring_scan

log = logging.getLogger("elman.hmm")
DECODER_ALGORITHMS = frozenset(("viterbi", "map"))
DISTRIBUTIONS = ("startprob_", "transmat_", "emissionprob_", "weights_")  # sum to 1 along the last axis
Statistics = dict[str, Any]
KernelArguments = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


class BaseHMM(Estimator):
    """Hidden Markov model without emissions: only the start and transition probabilities of its states.

    A model with emissions overrides `_compute_log_likelihood`. For `fit` it also overrides `_init`, `_check`,
    `_initialize_sufficient_statistics`, `_accumulate_sufficient_statistics` and `_do_mstep`; for `sample`, it overrides
    `_generate_sample_from_state`.

    Args:
        n_components: K, the number of states.
        startprob_prior, transmat_prior: Dirichlet parameters, [K] and [K, K] or one number; 1 is no prior.
        algorithm: used by `decode` and `predict`: "viterbi", the best path, or "map", the best state of each step.
        random_state: an integer or a generator; None is NumPy's global generator.
        n_iter, tol: EM stops after `n_iter` iterations, or when one gains less than `tol` nats.
        verbose: report every iteration on standard error.
        params, init_params: letters of the parameters that EM updates, and that `fit` initialises: s start, t
            transitions, and the letters of the emissions.
        implementation: "log" or "scaling", as in hmmlearn; elman has one implementation, so both give the same result.
    Shapes:
        X: [N, D], the steps of all rows; lengths: [B], the steps of each row, which add up to N (None: one row)
    Attributes:
        startprob_: [K].   transmat_: [K, K] from, to.   monitor_: the ConvergenceMonitor of `fit`.
    """

    n_features: Any
    startprob_: np.ndarray
    transmat_: np.ndarray
    _words: ClassVar[dict[str, frozenset[str]]] = {"implementation": frozenset(("log", "scaling"))}  # legal values
    _emission_letters: ClassVar[tuple[tuple[str, str], ...]] = ()  # (letter of params, fitted attribute)
    _observed: tuple[np.ndarray, Any] | None = None  # while `fit` runs: X, and the result of `_read(X)`

    def __init__(
        self, n_components: int = 1, startprob_prior: Any = 1.0, transmat_prior: Any = 1.0, algorithm: str = "viterbi",
        random_state: Any = None, n_iter: int = 10, tol: float = 1e-2, verbose: bool = False,
        params: str = string.ascii_letters, init_params: str = string.ascii_letters, implementation: str = "log",
    ):  # fmt: skip
        self.n_components = n_components
        self.startprob_prior, self.transmat_prior = startprob_prior, transmat_prior
        self.algorithm, self.random_state = algorithm, random_state
        self.n_iter, self.tol, self.verbose = n_iter, tol, verbose
        self.params, self.init_params, self.implementation = params, init_params, implementation
        self.monitor_ = ConvergenceMonitor(tol, n_iter, verbose)

    # Inference.

    @np.errstate(under="ignore")  # for callers who let NumPy raise on underflow
    def score(self, X: Any, lengths: Any = None) -> float:
        """Return the log-likelihood of all rows together, in nats; -inf if one is impossible."""
        X, rows = self._rows("score", X, lengths)
        return float(semiring_scan.total(*self._kernel_arguments("score", X, rows)).sum())

    @np.errstate(under="ignore")
    def score_samples(self, X: Any, lengths: Any = None) -> tuple[float, np.ndarray]:
        """Return the log-likelihood of all rows together, and the posterior probabilities [N, K] of the states.

        Raises:
            ValueError: a row is impossible, so its posterior is undefined; `score` returns -inf for it.
        """
        X, rows = self._rows("score_samples", X, lengths)
        posterior = self._posterior("score_samples", self._kernel_arguments("score_samples", X, rows))
        return float(posterior.log_prob.sum()), posterior.probs

    @np.errstate(under="ignore")
    def decode(self, X: Any, lengths: Any = None, algorithm: str | None = None) -> tuple[float, np.ndarray]:
        """Return a score and the states [N].

        The score of "viterbi" is the log-probability of the path; that of "map" is the sum of the states' posterior
        probabilities.

        Raises:
            ValueError: a row is impossible, so it has no best path.
        """
        where = f"{type(self).__name__}.decode"
        algorithm = one_of(where, "algorithm", algorithm or self.algorithm, DECODER_ALGORITHMS)
        X, rows = self._rows("decode", X, lengths)
        arguments = self._kernel_arguments("decode", X, rows)
        if algorithm == "map":
            probs = self._posterior("decode", arguments).probs
            return float(probs.max(axis=1).sum()), probs.argmax(axis=1)
        paths = semiring_scan.best_path(*arguments, k=1)
        self._check_possible("decode", paths.log_prob[0])
        return float(paths.log_prob.sum()), paths.states[0]

    def predict(self, X: Any, lengths: Any = None) -> np.ndarray:
        """Return the states [N] that `decode` finds."""
        return self.decode(*self._rows("predict", X, lengths))[1]

    def predict_proba(self, X: Any, lengths: Any = None) -> np.ndarray:
        """Return the posterior probabilities [N, K] of the states, given the whole row."""
        return self.score_samples(*self._rows("predict_proba", X, lengths))[1]

    def sample(self, n_samples: int = 1, random_state: Any = None, currstate: int | None = None) -> tuple[Any, Any]:
        """Draw one row of `n_samples` steps: observations [n, D] and states [n], the first of which is `currstate`."""
        self._check_fitted("sample")
        self._check()
        generator = random_generator(self.random_state if random_state is None else random_state)
        start, transitions = np.cumsum(self.startprob_), np.cumsum(self.transmat_, axis=1)
        state = currstate
        states: list[int] = []
        X: list[Any] = []
        for _ in range(n_samples):
            if state is None or states:
                cumulative = start if state is None else transitions[state]
                state = int((cumulative > generator.rand()).argmax())
            states.append(state)
            X.append(self._generate_sample_from_state(state, generator))
        return np.atleast_2d(X), np.array(states, dtype=int)

    def get_stationary_distribution(self) -> np.ndarray:
        """Return a distribution [K] that the transitions leave unchanged; one of them if there are several."""
        if not hasattr(self, "transmat_"):
            raise NotFittedError(f"{type(self).__name__}.get_stationary_distribution: expected transmat_, got none; "
                                 "fit the model, or set it.")  # fmt: skip
        transitions = np.asarray(self.transmat_, np.float64)
        balance = np.vstack([transitions.T - np.eye(len(transitions)), np.ones(len(transitions))])
        stationary = np.linalg.lstsq(balance, np.append(np.zeros(len(transitions)), 1.0), rcond=None)[0]
        stationary = np.maximum(stationary, 0)
        return stationary / stationary.sum()

    def aic(self, X: Any, lengths: Any = None) -> float:
        """Return Akaike's criterion, -2 log-likelihood + 2 free parameters: lower is better."""
        return -2 * self.score(*self._rows("aic", X, lengths)) + 2 * self._free_parameters("aic")

    def bic(self, X: Any, lengths: Any = None) -> float:
        """Return Schwarz's criterion, -2 log-likelihood + log(N) free parameters: lower is better."""
        X, rows = self._rows("bic", X, lengths)
        return -2 * self.score(X, rows) + float(np.log(len(X))) * self._free_parameters("bic")

    def _free_parameters(self, verb: str) -> int:
        free = self._get_n_fit_scalars_per_param()
        if not free:
            raise NotImplementedError(f"{type(self).__name__}.{verb}: override _get_n_fit_scalars_per_param for it.")
        return sum(free.values())

    # EM.

    @np.errstate(under="ignore")
    def fit(self, X: Any, lengths: Any = None) -> Self:
        """Initialise the parameters that `init_params` names, and improve those that `params` names by EM.

        Raises:
            TypeError, ValueError: X, lengths or a setting is invalid; a row is impossible under the initial parameters.
        """
        if not isinstance(self.n_components, int | np.integer) or self.n_components < 1:
            raise ValueError(f"{type(self).__name__}.fit: expected n_components of at least 1, got "
                             f"{self.n_components!r}.")  # fmt: skip
        X, rows = self._read_rows("fit", X, lengths)
        self._init(X, rows)
        self._check()
        self.monitor_._reset()
        self._observed = X, self._read(X)
        try:
            for _ in range(self.n_iter):
                stats, log_prob = self._do_estep(X, rows)
                self._do_mstep(stats)
                self.monitor_.report(log_prob)
                if self.monitor_.converged:
                    break
        finally:
            del self._observed  # a fitted model does not store the data
        return self

    def _do_estep(self, X: np.ndarray, lengths: Any) -> tuple[Statistics, float]:
        """Return the sufficient statistics of all rows under the current parameters, and their log-likelihood."""
        rows = row_lengths(f"{type(self).__name__}.fit", lengths, len(X))
        arguments = self._kernel_arguments("fit", X, rows)
        posterior = self._posterior("fit", arguments)
        stats = self._initialize_sufficient_statistics()
        starts = (np.cumsum(rows) - rows)[rows > 0]
        stats["nobs"] += len(starts)
        stats["start"] += posterior.probs[starts].sum(0)
        stats["trans"] += posterior.transitions[0]
        self._accumulate_sufficient_statistics(stats, X, arguments[2], posterior.probs, None, None)
        return stats, float(posterior.log_prob.sum())

    def _init(self, X: np.ndarray, lengths: Any = None) -> None:
        """Initialise the parameters: start and transitions at random, emissions by `_initial`."""
        self._check_words()
        self._check_and_set_n_features(X)
        generator = random_generator(self.random_state)
        even = np.full(self.n_components, 1 / self.n_components)
        if self._needs_init("s", "startprob_"):
            self.startprob_ = generator.dirichlet(even)
        if self._needs_init("t", "transmat_"):
            self.transmat_ = generator.dirichlet(even, size=self.n_components)
        free = self._get_n_fit_scalars_per_param()
        unknown = [letter for letter in self.params if letter not in free]
        if free and unknown:
            raise ValueError(f"{type(self).__name__}.fit: expected params of the letters {''.join(free)}, "
                             f"got {self.params!r}.")  # fmt: skip
        parameters = sum(free[letter] for letter in self.params if letter in free)
        if X.size < parameters:
            log.warning("Fitting a model with %d free scalar parameters with only %d data points will result in a "
                        "degenerate solution.", parameters, X.size)  # fmt: skip
        for letter, name in self._emission_letters:
            if self._needs_init(letter, name):
                setattr(self, name, self._initial(name, X))

    def _needs_init(self, code: str, name: str) -> bool:
        is_set = hasattr(self, name)
        if is_set and code in self.init_params:
            log.warning("Even though the %r attribute is set, it will be overwritten during initialization because "
                        "'init_params' contains %r", name, code)  # fmt: skip
        return code in self.init_params or not is_set

    def _do_mstep(self, stats: Statistics) -> None:
        """Update start and transitions; zeros stay zero, and a state that was never left keeps its row."""
        if "s" in self.params:
            counts = np.maximum(self.startprob_prior - 1 + stats["start"], 0)
            self.startprob_ = normalized(np.where(self.startprob_ == 0, 0, counts), self.startprob_)
        if "t" in self.params:
            counts = np.where(self.transmat_ == 0, 0, np.maximum(self.transmat_prior - 1 + stats["trans"], 0))
            if not counts.any(axis=1).all():
                log.warning("Some rows of transmat_ are kept, because no transition from their state was ever "
                            "observed.")  # fmt: skip
            self.transmat_ = normalized(counts, self.transmat_)

    # Hooks that a model with emissions overrides; the names are hmmlearn's.

    def _check_and_set_n_features(self, X: np.ndarray) -> None:
        if getattr(self, "n_features", X.shape[1]) != X.shape[1]:
            raise ValueError(
                f"{type(self).__name__}.fit: expected X of shape [N, D={self.n_features}], got {list(X.shape)}."
            )
        self.n_features = X.shape[1]

    def _check(self) -> None:
        """Raise a ValueError if a setting or a parameter is invalid; convert the parameters to float64."""
        self._check_words()
        states = self.n_components
        shapes = {"startprob_": (states,), "transmat_": (states, states)} | self._emission_shapes()
        for name, shape in shapes.items():
            setattr(self, name, self._parameter(name, shape))

    def _get_n_fit_scalars_per_param(self) -> dict[str, int]:
        """Return the number of free scalars of each parameter, by letter."""
        return {}

    def _compute_likelihood(self, X: np.ndarray) -> np.ndarray:
        """Return p(x | state) [N, K]; a model overrides either this or `_compute_log_likelihood`."""
        with np.errstate(under="ignore"):
            return np.exp(self._compute_log_likelihood(X))

    def _compute_log_likelihood(self, X: np.ndarray) -> np.ndarray:
        """Return log p(x | state) [N, K]."""
        if type(self)._compute_likelihood is BaseHMM._compute_likelihood:
            raise NotImplementedError(f"{type(self).__name__} has no _compute_log_likelihood")
        with np.errstate(divide="ignore"):
            return np.log(self._compute_likelihood(X))

    def _initialize_sufficient_statistics(self) -> Statistics:
        states = self.n_components
        return {"nobs": 0, "start": np.zeros(states), "trans": np.zeros((states, states))}

    def _accumulate_sufficient_statistics(
        self, stats: Statistics, X: np.ndarray, lattice: np.ndarray, posteriors: np.ndarray,
        fwdlattice: Any, bwdlattice: Any,
    ) -> None:  # fmt: skip
        """Add the statistics of all rows for the M step; `lattice` are log-likelihoods and `posteriors` probabilities.

        Both are [N, K]. elman calls this once per iteration, hmmlearn once per row. The last two are None.
        """
        stats |= self._emission_statistics(X, lattice, posteriors)

    def _generate_sample_from_state(self, state: int, random_state: np.random.RandomState) -> Any:
        """Draw one observation [D]."""
        return ()

    # Hooks of elman's own emissions.

    def _emission_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each emission parameter, by attribute."""
        return {}

    def _initial(self, name: str, X: np.ndarray) -> np.ndarray:
        """Return the initial value of an emission parameter for EM."""
        raise NotImplementedError(f"{type(self).__name__}: _emission_shapes lists {name}, so define _initial as well.")

    def _read(self, X: np.ndarray) -> Any:
        """Return X as the emission of `elman.classical.hmm` reads it."""
        return X

    def _data(self, X: np.ndarray) -> Any:
        """Return `_read(X)`, computed once for all iterations of `fit`."""
        return self._observed[1] if self._observed is not None and self._observed[0] is X else self._read(X)

    def _emission_statistics(self, X: np.ndarray, lattice: np.ndarray, posteriors: np.ndarray) -> Statistics:
        """Return the statistics that the M step of the emissions needs."""
        return {}

    # Checks, and the arguments of the kernels.

    def _read_rows(self, verb: str, X: Any, lengths: Any) -> tuple[np.ndarray, np.ndarray]:
        where = f"{type(self).__name__}.{verb}"
        X = observations(where, X)
        return X, row_lengths(where, lengths, len(X))

    def _rows(self, verb: str, X: Any, lengths: Any) -> tuple[np.ndarray, np.ndarray]:
        """Check X and lengths for a model that has parameters."""
        self._check_fitted(verb)
        self._check()
        return self._read_rows(verb, X, lengths)

    def _kernel_arguments(self, verb: str, X: np.ndarray, rows: np.ndarray) -> KernelArguments:
        """Return log start [B, K], log transitions [1, K, K], log-likelihoods [N, K] and lengths [B]."""
        scores = np.ascontiguousarray(self._compute_log_likelihood(X), np.float64)
        if np.isnan(scores).any():
            raise ValueError(f"{type(self).__name__}.{verb}: expected log-likelihoods that are numbers, got NaN at "
                             f"{np.argwhere(np.isnan(scores))[0].tolist()}; check the parameters.")  # fmt: skip
        with np.errstate(divide="ignore"):
            start, transitions = np.log(self.startprob_), np.log(self.transmat_)
        return np.tile(start, (len(rows), 1)), transitions[None], scores, rows

    def _posterior(self, verb: str, arguments: KernelArguments) -> semiring_scan.Posterior:
        posterior = semiring_scan.forward_backward(*arguments)
        self._check_possible(verb, posterior.log_prob)
        return posterior

    def _check_possible(self, verb: str, log_prob: np.ndarray) -> None:
        if np.isneginf(log_prob).any():
            raise ValueError(f"{type(self).__name__}.{verb}: row {int(np.isneginf(log_prob).argmax())} has probability "
                             "zero under the model; a prior above 1 or other parameters make it possible.")  # fmt: skip

    def _check_fitted(self, verb: str) -> None:
        if not hasattr(self, "startprob_"):
            raise NotFittedError(f"{type(self).__name__}.{verb}: expected a fitted model, got one without parameters; "
                                 "call fit, or set them.")  # fmt: skip

    def _check_words(self) -> None:
        for name, words in self._words.items():
            one_of(type(self).__name__, name, getattr(self, name), words)

    def _check_width(self, X: np.ndarray) -> None:
        if X.shape[1] != self.n_features:
            raise ValueError(
                f"{type(self).__name__}: expected X of shape [N, D={self.n_features}], got {list(X.shape)}."
            )

    def _parameter(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """Return a parameter as finite float64 numbers of that shape; a distribution has to sum to 1."""
        where, public = type(self).__name__, name.lstrip("_")
        if not hasattr(self, name):
            raise NotFittedError(f"{where}: expected {public}, got none; call fit, or set it.")
        array = np.asarray(getattr(self, name), np.float64)
        if array.shape != shape:
            raise ValueError(f"{where}: expected {public} of shape {list(shape)}, got {list(array.shape)}.")
        if not np.isfinite(array).all():
            raise ValueError(f"{where}: expected {public} of finite numbers, got {array[~np.isfinite(array)][0]}.")
        if name not in DISTRIBUTIONS:
            return array
        if (array < 0).any():
            raise ValueError(f"{where}: expected {name} of probabilities, got {array.min():.6g}.")
        wrong = ~np.isclose(array.sum(-1), 1)
        if wrong.any():
            row = f" in row {int(np.argmax(wrong))}" if array.ndim > 1 else ""
            raise ValueError(f"{where}: expected {name} that must sum to 1, got a sum of "
                             f"{array.sum(-1)[wrong].flat[0]:.6g}{row}; divide it by its sum.")  # fmt: skip
        return array


def normalized(counts: np.ndarray, old: np.ndarray) -> np.ndarray:
    """Return counts divided by their sum along the last axis; the old values where all counts are zero."""
    total = counts.sum(-1, keepdims=True)
    return np.where(total > 0, counts / np.where(total > 0, total, 1), old)
