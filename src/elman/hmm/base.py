"""What the models of this face share: scoring, decoding, sampling and EM, as hmmlearn's users know them.

The passes over the rows are elman's kernels, all rows in one call; what differs between models is what a state says.
"""

import logging
import string
from typing import Any, Self

import numpy as np

from elman.estimator import Estimator
from elman.hmm.inputs import NotFittedError, observations, one_of, random_generator, row_lengths
from elman.hmm.monitor import ConvergenceMonitor
from elman.kernels import semiring_scan

log = logging.getLogger("elman.hmm")
DECODER_ALGORITHMS = frozenset(("viterbi", "map"))
IMPLEMENTATIONS = frozenset(("log", "scaling"))
Statistics = dict[str, Any]
Passed = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


class BaseHMM(Estimator):
    """A hidden Markov model without emissions: the start and the transitions of its states.

    A model with emissions of its own overrides `_compute_log_likelihood`, and to be fitted `_init`, `_check`,
    `_initialize_sufficient_statistics`, `_accumulate_sufficient_statistics`, `_do_mstep`; to be sampled
    `_generate_sample_from_state`.

    Args:
        n_components: K, the states.
        startprob_prior, transmat_prior: of Dirichlet distributions, [K] and [K, K] or one number; 1 is none.
        algorithm: what `decode` and `predict` find: "viterbi", the best path, or "map", the best state of each step.
        random_state: an integer or a generator; None is NumPy's global generator.
        n_iter, tol: EM stops after `n_iter` iterations, or when one gains less than `tol` nats.
        verbose: report every iteration on standard error.
        params, init_params: the letters of what EM updates, and of what it initialises: s start, t transitions, ...
        implementation: "log" or "scaling"; there is one implementation here, and both name it.
    Shapes:
        X: [N, D], the steps of all rows; lengths: [B], the steps of each row, which add up to N (None: one row)
    Attributes:
        startprob_: [K].   transmat_: [K, K] from, to.   monitor_: the ConvergenceMonitor of `fit`.
    """

    n_features: Any
    startprob_: np.ndarray
    transmat_: np.ndarray

    def __init__(
        self,
        n_components: int = 1,
        startprob_prior: Any = 1.0,
        transmat_prior: Any = 1.0,
        algorithm: str = "viterbi",
        random_state: Any = None,
        n_iter: int = 10,
        tol: float = 1e-2,
        verbose: bool = False,
        params: str = string.ascii_letters,
        init_params: str = string.ascii_letters,
        implementation: str = "log",
    ):
        self.n_components = n_components
        self.startprob_prior, self.transmat_prior = startprob_prior, transmat_prior
        self.algorithm, self.random_state = algorithm, random_state
        self.n_iter, self.tol, self.verbose = n_iter, tol, verbose
        self.params, self.init_params, self.implementation = params, init_params, implementation
        self.monitor_ = ConvergenceMonitor(tol, n_iter, verbose)

    # What is asked of a model.

    @np.errstate(under="ignore")  # for those who ask NumPy to tell of it
    def score(self, X: Any, lengths: Any = None) -> float:
        """The log-likelihood of all rows together, in nats; -inf where one is impossible."""
        X, rows = self._rows("score", X, lengths)
        return float(semiring_scan.total(*self._passed("score", X, rows)).sum())

    @np.errstate(under="ignore")
    def score_samples(self, X: Any, lengths: Any = None) -> tuple[float, np.ndarray]:
        """The log-likelihood of all rows together, and the probabilities [N, K] of the states given the whole row.

        Raises:
            ValueError: a row is impossible, and so has no such probabilities; `score` gives -inf for it.
        """
        X, rows = self._rows("score_samples", X, lengths)
        posterior = self._posterior("score_samples", X, rows)
        return float(posterior.log_prob.sum()), posterior.probs

    @np.errstate(under="ignore")
    def decode(self, X: Any, lengths: Any = None, algorithm: str | None = None) -> tuple[float, np.ndarray]:
        """The states [N], and with "viterbi" the log-probability of the path, with "map" the sum of the probabilities
        of the states.

        Raises:
            ValueError: a row is impossible, and so has no best path.
        """
        where = f"{type(self).__name__}.decode"
        algorithm = one_of(where, "algorithm", algorithm or self.algorithm, DECODER_ALGORITHMS)
        X, rows = self._rows("decode", X, lengths)
        if algorithm == "map":
            probs = self._posterior("decode", X, rows).probs
            return float(probs.max(axis=1).sum()), probs.argmax(axis=1)
        paths = semiring_scan.best_path(*self._passed("decode", X, rows), k=1)
        self._check_possible("decode", paths.log_prob[0])
        return float(paths.log_prob.sum()), paths.states[0]

    def predict(self, X: Any, lengths: Any = None) -> np.ndarray:
        """The states [N] that `decode` finds."""
        return self.decode(X, lengths)[1]

    def predict_proba(self, X: Any, lengths: Any = None) -> np.ndarray:
        """The probabilities [N, K] of the states, given the whole row."""
        return self.score_samples(X, lengths)[1]

    def sample(self, n_samples: int = 1, random_state: Any = None, currstate: int | None = None) -> tuple[Any, Any]:
        """A row of `n_samples` steps drawn from the model, [n, D], and its states [n]; it begins in `currstate`."""
        self._check_fitted("sample")
        self._check()
        generator = random_generator(self.random_state if random_state is None else random_state)
        start, onward = np.cumsum(self.startprob_), np.cumsum(self.transmat_, axis=1)
        state = currstate
        states: list[int] = []
        X: list[Any] = []
        for _ in range(n_samples):
            if state is None or states:
                edges = start if state is None else onward[state]
                state = int((edges > generator.rand()).argmax())
            states.append(state)
            X.append(self._generate_sample_from_state(state, generator))
        return np.atleast_2d(X), np.array(states, dtype=int)

    def get_stationary_distribution(self) -> np.ndarray:
        """[K], unchanged by a transition; a chain with several such distributions gives one of them."""
        if not hasattr(self, "transmat_"):
            raise NotFittedError(f"{type(self).__name__}.get_stationary_distribution: expected transmat_, got none; "
                                 "fit the model, or set it.")  # fmt: skip
        transitions = np.asarray(self.transmat_, np.float64)
        balance = np.vstack([transitions.T - np.eye(len(transitions)), np.ones(len(transitions))])
        stationary = np.linalg.lstsq(balance, np.append(np.zeros(len(transitions)), 1.0), rcond=None)[0]
        stationary = np.maximum(stationary, 0)
        return stationary / stationary.sum()

    def aic(self, X: Any, lengths: Any = None) -> float:
        """Akaike's criterion, -2 log-likelihood + 2 free parameters: lower is better."""
        return -2 * self.score(X, lengths) + 2 * self._free_parameters("aic")

    def bic(self, X: Any, lengths: Any = None) -> float:
        """Schwarz's criterion, -2 log-likelihood + log(N) free parameters: lower is better."""
        return -2 * self.score(X, lengths) + float(np.log(len(X))) * self._free_parameters("bic")

    def _free_parameters(self, verb: str) -> int:
        free = self._get_n_fit_scalars_per_param()
        if not free:
            raise NotImplementedError(f"{type(self).__name__}.{verb}: override _get_n_fit_scalars_per_param for it.")
        return sum(free.values())

    # EM.

    @np.errstate(under="ignore")
    def fit(self, X: Any, lengths: Any = None) -> Self:
        """Initialise what `init_params` names, and improve what `params` names by EM.

        Raises:
            TypeError, ValueError: X, lengths or a setting is not as it should be; a row is impossible at the start.
        """
        if not isinstance(self.n_components, int | np.integer) or self.n_components < 1:
            raise ValueError(f"{type(self).__name__}.fit: expected n_components of at least 1, got "
                             f"{self.n_components!r}.")  # fmt: skip
        X, rows = self._read_rows("fit", X, lengths)
        self._init(X, rows)
        self._check()
        self.monitor_._reset()
        for _ in range(self.n_iter):
            stats, log_prob = self._do_estep(X, rows)
            self._do_mstep(stats)
            self.monitor_.report(log_prob)
            if self.monitor_.converged:
                break
        return self

    def _do_estep(self, X: np.ndarray, lengths: Any) -> tuple[Statistics, float]:
        """The statistics of all rows under the present parameters, and their log-likelihood."""
        rows = row_lengths(f"{type(self).__name__}.fit", lengths, len(X))
        args = self._passed("fit", X, rows)
        posterior = semiring_scan.forward_backward(*args)
        self._check_possible("fit", posterior.log_prob)
        stats = self._initialize_sufficient_statistics()
        starts = (np.cumsum(rows) - rows)[rows > 0]
        stats["nobs"] += len(starts)
        stats["start"] += posterior.probs[starts].sum(0)
        stats["trans"] += posterior.transitions[0]
        self._accumulate_sufficient_statistics(stats, X, args[2], posterior.probs, None, None)
        return stats, float(posterior.log_prob.sum())

    def _init(self, X: np.ndarray, lengths: Any = None) -> None:
        """Initialise the start and the transitions; a model adds its emissions."""
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

    def _needs_init(self, code: str, name: str) -> bool:
        is_set = hasattr(self, name)
        if is_set and code in self.init_params:
            log.warning("Even though the %r attribute is set, it will be overwritten during initialization because "
                        "'init_params' contains %r", name, code)  # fmt: skip
        return code in self.init_params or not is_set

    def _do_mstep(self, stats: Statistics) -> None:
        """The start and the transitions; what was zero stays zero, and a state that was never left keeps its row."""
        if "s" in self.params:
            counts = np.maximum(self.startprob_prior - 1 + stats["start"], 0)
            self.startprob_ = shares(np.where(self.startprob_ == 0, 0, counts), self.startprob_)
        if "t" in self.params:
            counts = np.where(self.transmat_ == 0, 0, np.maximum(self.transmat_prior - 1 + stats["trans"], 0))
            if not counts.any(axis=1).all():
                log.warning("Some rows of transmat_ are kept, because no transition from their state was ever "
                            "observed.")  # fmt: skip
            self.transmat_ = shares(counts, self.transmat_)

    # What a model with emissions overrides.

    def _check_and_set_n_features(self, X: np.ndarray) -> None:
        if getattr(self, "n_features", X.shape[1]) != X.shape[1]:
            raise ValueError(
                f"{type(self).__name__}.fit: expected X of shape [N, D={self.n_features}], got {list(X.shape)}."
            )
        self.n_features = X.shape[1]

    def _check(self) -> None:
        """Raise a ValueError where an attribute is not what it should be."""
        where, states = type(self).__name__, self.n_components
        one_of(where, "implementation", self.implementation, IMPLEMENTATIONS)
        self.startprob_ = self._probabilities("startprob_", (states,))
        self.transmat_ = self._probabilities("transmat_", (states, states))

    def _get_n_fit_scalars_per_param(self) -> dict[str, int]:
        """The numbers that EM fits, by letter."""
        return {}

    def _compute_likelihood(self, X: np.ndarray) -> np.ndarray:
        """p(x | state) [N, K]; one of this and the next is overridden."""
        with np.errstate(under="ignore"):
            return np.exp(self._compute_log_likelihood(X))

    def _compute_log_likelihood(self, X: np.ndarray) -> np.ndarray:
        """log p(x | state) [N, K]."""
        if type(self)._compute_likelihood is BaseHMM._compute_likelihood:
            raise NotImplementedError(f"{type(self).__name__} has no _compute_log_likelihood")
        with np.errstate(divide="ignore"):
            return np.log(self._compute_likelihood(X))

    def _initialize_sufficient_statistics(self) -> Statistics:
        states = self.n_components
        return {"nobs": 0, "start": np.zeros(states), "trans": np.zeros((states, states))}

    def _accumulate_sufficient_statistics(
        self,
        stats: Statistics,
        X: np.ndarray,
        lattice: np.ndarray,
        posteriors: np.ndarray,
        fwdlattice: Any,
        bwdlattice: Any,
    ) -> None:
        """Add what the M step needs of all rows: their steps, log-likelihoods and posteriors [N, K].

        Called once an iteration; hmmlearn calls it once a row. The two lattices are None.
        """

    def _generate_sample_from_state(self, state: int, random_state: np.random.RandomState) -> Any:
        """One observation [D]."""
        return ()

    # Between what is asked and the kernels.

    def _read_rows(self, verb: str, X: Any, lengths: Any) -> tuple[np.ndarray, np.ndarray]:
        where = f"{type(self).__name__}.{verb}"
        X = observations(where, X)
        return X, row_lengths(where, lengths, len(X))

    def _rows(self, verb: str, X: Any, lengths: Any) -> tuple[np.ndarray, np.ndarray]:
        """X and lengths for a model that has parameters."""
        self._check_fitted(verb)
        self._check()
        return self._read_rows(verb, X, lengths)

    def _passed(self, verb: str, X: np.ndarray, rows: np.ndarray) -> Passed:
        """What the kernels take: log-weights of start and transitions, scores [N, K], lengths."""
        scores = np.ascontiguousarray(self._compute_log_likelihood(X), np.float64)
        if np.isnan(scores).any():
            raise ValueError(f"{type(self).__name__}.{verb}: expected log-likelihoods that are numbers, got NaN at "
                             f"{np.argwhere(np.isnan(scores))[0].tolist()}; look at the parameters.")  # fmt: skip
        with np.errstate(divide="ignore"):
            start, transitions = np.log(self.startprob_), np.log(self.transmat_)
        return np.tile(start, (len(rows), 1)), transitions[None], scores, rows

    def _posterior(self, verb: str, X: np.ndarray, rows: np.ndarray) -> semiring_scan.Posterior:
        posterior = semiring_scan.forward_backward(*self._passed(verb, X, rows))
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

    def _parameter(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """The attribute as finite float64 numbers of that shape."""
        where, public = type(self).__name__, name.lstrip("_")
        if not hasattr(self, name):
            raise NotFittedError(f"{where}: expected {public}, got none; call fit, or set it.")
        array = np.asarray(getattr(self, name), np.float64)
        if array.shape != shape:
            raise ValueError(f"{where}: expected {public} of shape {list(shape)}, got {list(array.shape)}.")
        if not np.isfinite(array).all():
            raise ValueError(f"{where}: expected {public} of finite numbers, got {array[~np.isfinite(array)][0]}.")
        return array

    def _probabilities(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """The attribute, if it is not negative and adds up to one along its last axis."""
        array, where = self._parameter(name, shape), type(self).__name__
        if (array < 0).any():
            raise ValueError(f"{where}: expected {name} of probabilities, got {array.min():.6g}.")
        sums = array.sum(-1)
        if not np.allclose(sums, 1):
            row = f" in row {int(np.argmax(~np.isclose(sums, 1)))}" if sums.ndim else ""
            raise ValueError(f"{where}: expected {name} that must sum to 1, got a sum of "
                             f"{sums[~np.isclose(sums, 1)].flat[0]:.6g}{row}; divide it by its sum.")  # fmt: skip
        return array


def shares(counts: np.ndarray, old: np.ndarray) -> np.ndarray:
    """Counts divided by their sum along the last axis; where all are zero, the old shares."""
    total = counts.sum(-1, keepdims=True)
    return np.where(total > 0, counts / np.where(total > 0, total, 1), old)
