"""Symbols of an alphabet: one a step, or counts of several."""

import warnings
from typing import Any

import numpy as np
from scipy.special import gammaln, xlogy

from elman.classical.hmm.emissions import tall
from elman.hmm.base import BaseHMM, Statistics, shares
from elman.hmm.inputs import random_generator


class SymbolHMM(BaseHMM):
    """States with probabilities of symbols."""

    emissionprob_: np.ndarray

    def _init(self, X: np.ndarray, lengths: Any = None) -> None:
        super()._init(X, lengths)
        generator = random_generator(self.random_state)
        if self._needs_init("e", "emissionprob_"):
            drawn = generator.rand(self.n_components, self.n_features)
            self.emissionprob_ = drawn / drawn.sum(1, keepdims=True)

    def _check(self) -> None:
        super()._check()
        self.emissionprob_ = np.atleast_2d(getattr(self, "emissionprob_", []))
        if getattr(self, "n_features", None) is None:
            self.n_features = self.emissionprob_.shape[1]
        self.emissionprob_ = self._probabilities("emissionprob_", (self.n_components, self.n_features))

    def _get_n_fit_scalars_per_param(self) -> dict[str, int]:
        states = self.n_components
        return {"s": states - 1, "t": states * (states - 1), "e": states * (self.n_features - 1)}


class CategoricalHMM(SymbolHMM):
    """States that each give a symbol of an alphabet.

    Args:
        emissionprob_prior: of Dirichlet distributions on the probabilities of the symbols, [K, V] or one number; 1 is
            none.
        n_features: V; without, the largest symbol in training and one.
        params, init_params: letters s, t, e (the probabilities of the symbols).
        The others are those of `BaseHMM`.
    Shapes:
        X: [N, 1] integers from 0
    Attributes:
        emissionprob_: [K, V].   startprob_, transmat_, monitor_, n_features.
    Raises:
        TypeError, ValueError: X, lengths, a setting or an attribute is not as it should be.
    Example:
        >>> model = CategoricalHMM(2, random_state=0).fit([[0], [1], [0], [2], [2], [2]])
        >>> model.predict([[0], [1], [2]]).shape, model.n_features
        ((3,), 3)
    """

    def __init__(
        self,
        n_components: int = 1,
        startprob_prior: Any = 1.0,
        transmat_prior: Any = 1.0,
        *,
        emissionprob_prior: Any = 1.0,
        n_features: int | None = None,
        algorithm: str = "viterbi",
        random_state: Any = None,
        n_iter: int = 10,
        tol: float = 1e-2,
        verbose: bool = False,
        params: str = "ste",
        init_params: str = "ste",
        implementation: str = "log",
    ):
        super().__init__(n_components, startprob_prior, transmat_prior, algorithm, random_state, n_iter, tol, verbose,
                         params, init_params, implementation)  # fmt: skip
        self.emissionprob_prior, self.n_features = emissionprob_prior, n_features

    def _read_rows(self, verb: str, X: Any, lengths: Any) -> tuple[np.ndarray, np.ndarray]:
        X, rows = super()._read_rows(verb, X, lengths)
        if X.shape[1] != 1:
            warnings.warn("Inputs of shape other than (n_samples, 1) are deprecated.", DeprecationWarning, stacklevel=3)
            X, rows = X.reshape(-1, 1), rows * X.shape[1]
        return X, rows

    def _check_and_set_n_features(self, X: np.ndarray) -> None:
        check_symbols("CategoricalHMM.fit", X, self.n_features)
        if self.n_features is None:
            self.n_features = int(X.max()) + 1

    def _compute_log_likelihood(self, X: np.ndarray) -> np.ndarray:
        check_symbols("CategoricalHMM", X, self.n_features)
        with np.errstate(divide="ignore"):
            return np.log(self.emissionprob_.T)[X[:, 0]]

    def _accumulate_sufficient_statistics(
        self,
        stats: Statistics,
        X: np.ndarray,
        lattice: np.ndarray,
        posteriors: np.ndarray,
        fwdlattice: Any,
        bwdlattice: Any,
    ) -> None:
        symbols = X[:, 0].astype(np.int64)
        stats["obs"] = np.stack([np.bincount(symbols, column, self.n_features) for column in posteriors.T])

    def _do_mstep(self, stats: Statistics) -> None:
        super()._do_mstep(stats)
        if "e" in self.params:
            counts = np.maximum(np.asarray(self.emissionprob_prior) - 1 + stats["obs"], 0)
            self.emissionprob_ = shares(counts, self.emissionprob_)

    def _generate_sample_from_state(self, state: int, random_state: np.random.RandomState) -> Any:
        return [(np.cumsum(self.emissionprob_[state]) > random_state.rand()).argmax()]


class MultinomialHMM(SymbolHMM):
    """States that each give counts of the symbols in `n_trials` draws.

    Args:
        n_trials: draws a step, one number or [N]; without, `fit` takes them from X.
        params, init_params: letters s, t, e (the probabilities of the symbols).
        The others are those of `BaseHMM`.
    Shapes:
        X: [N, V] integers of at least 0, the counts of each symbol
    Attributes:
        emissionprob_: [K, V].   startprob_, transmat_, monitor_, n_features.
    Raises:
        TypeError, ValueError: X, lengths, a setting or an attribute is not as it should be.
    Example:
        >>> model = MultinomialHMM(2, random_state=0).fit([[3, 0], [2, 1], [0, 3], [0, 3]])
        >>> model.predict_proba([[3, 0]]).shape
        (1, 2)
    """

    def __init__(
        self,
        n_components: int = 1,
        n_trials: Any = None,
        startprob_prior: Any = 1.0,
        transmat_prior: Any = 1.0,
        algorithm: str = "viterbi",
        random_state: Any = None,
        n_iter: int = 10,
        tol: float = 1e-2,
        verbose: bool = False,
        params: str = "ste",
        init_params: str = "ste",
        implementation: str = "log",
    ):
        super().__init__(n_components, startprob_prior, transmat_prior, algorithm, random_state, n_iter, tol, verbose,
                         params, init_params, implementation)  # fmt: skip
        self.n_trials = n_trials

    def _check_and_set_n_features(self, X: np.ndarray) -> None:
        super()._check_and_set_n_features(X)
        check_symbols("MultinomialHMM.fit", X, None)
        trials = X.sum(axis=1)
        if self.n_trials is None:
            self.n_trials = trials
        elif not np.array_equal(trials, np.broadcast_to(self.n_trials, np.shape(self.n_trials) or trials.shape)):
            raise ValueError(f"MultinomialHMM.fit: expected counts that add up to n_trials={self.n_trials} in every "
                             f"step, got sums from {trials.min()} to {trials.max()}.")  # fmt: skip

    def _check(self) -> None:
        super()._check()
        if self.n_trials is None:
            raise ValueError("MultinomialHMM: expected n_trials, got none; call fit, or set it.")

    def _compute_log_likelihood(self, X: np.ndarray) -> np.ndarray:
        check_symbols("MultinomialHMM", X, None)
        if X.shape[1] != self.n_features:
            raise ValueError(f"MultinomialHMM: expected X of shape [N, V={self.n_features}], got {list(X.shape)}.")
        orders = gammaln(X.sum(1) + 1) - gammaln(X + 1).sum(1)
        return np.stack([xlogy(X, probs).sum(1) + orders for probs in self.emissionprob_], axis=1)

    def _accumulate_sufficient_statistics(
        self,
        stats: Statistics,
        X: np.ndarray,
        lattice: np.ndarray,
        posteriors: np.ndarray,
        fwdlattice: Any,
        bwdlattice: Any,
    ) -> None:
        stats["obs"] = tall.inner(posteriors, X)

    def _do_mstep(self, stats: Statistics) -> None:
        super()._do_mstep(stats)
        if "e" in self.params:
            self.emissionprob_ = shares(stats["obs"], self.emissionprob_)

    def _generate_sample_from_state(self, state: int, random_state: np.random.RandomState) -> Any:
        trials = np.unique(self.n_trials)
        if len(trials) != 1:
            raise ValueError(f"MultinomialHMM.sample: expected one n_trials for all steps, got {len(trials)}.")
        return random_state.multinomial(int(trials[0]), self.emissionprob_[state])


def check_symbols(where: str, X: np.ndarray, symbols: int | None) -> None:
    """Raise unless X holds integers from 0, below `symbols` where that is known."""
    if X.dtype.kind not in "iu":
        raise ValueError(f"{where}: expected X of integers, got {X.dtype}; convert whole numbers with .astype(int).")
    if X.min() < 0:
        raise ValueError(f"{where}: expected X of integers of at least 0, got {X.min()}.")
    if symbols is not None and X.max() >= symbols:
        raise ValueError(f"{where}: expected symbols from 0 to {symbols - 1}, got {X.max()}; it was never seen in "
                         "training, n_features makes room for it.")  # fmt: skip
