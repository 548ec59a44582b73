"""CategoricalHMM, MultinomialHMM and PoissonHMM: symbols, counts of symbols, and counts."""

import warnings
from typing import Any

import numpy as np

from elman.classical.hmm.emissions import Categorical, Poisson, tall
from elman.classical.hmm.emissions.categorical import Symbols
from elman.classical.hmm.emissions.poisson import Counts
from elman.classical.special import log_factorial, xlogy
from elman.hmm.base import BaseHMM, Statistics, normalized
from elman.hmm.checks import counts, integers, random_generator

LOWEST = np.finfo(np.float64).tiny  # replaces a rate of zero


class SymbolHMM(BaseHMM):
    """Base class of models whose states have probabilities of V symbols."""

    emissionprob_: np.ndarray
    _emission_letters = (("e", "emissionprob_"),)

    def _initial(self, name: str, X: np.ndarray) -> np.ndarray:
        drawn = random_generator(self.random_state).rand(self.n_components, self.n_features)
        return drawn / drawn.sum(1, keepdims=True)

    def _emission_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"emissionprob_": (self.n_components, self.n_features)}

    def _check(self) -> None:
        self.emissionprob_ = np.atleast_2d(getattr(self, "emissionprob_", []))
        if getattr(self, "n_features", None) is None:
            self.n_features = self.emissionprob_.shape[1]
        super()._check()

    def _get_n_fit_scalars_per_param(self) -> dict[str, int]:
        states = self.n_components
        return {"s": states - 1, "t": states * (states - 1), "e": states * (self.n_features - 1)}

    def _do_mstep(self, stats: Statistics) -> None:
        super()._do_mstep(stats)
        if "e" in self.params:
            extra = np.asarray(getattr(self, "emissionprob_prior", 1.0)) - 1
            self.emissionprob_ = normalized(np.maximum(extra + stats["obs"], 0), self.emissionprob_)


class CategoricalHMM(SymbolHMM):
    """HMM whose states emit one of V symbols.

    Args:
        emissionprob_prior: Dirichlet parameters of the symbols' probabilities, [K, V] or one number; 1 is no prior.
        n_features: V; None: the largest symbol in training plus one.
        params, init_params: letters s, t, e (the probabilities of the symbols).
        For all other arguments see `BaseHMM`.
    Shapes:
        X: [N, 1] integers from 0
    Attributes:
        emissionprob_: [K, V].   startprob_, transmat_, monitor_, n_features.
    Raises:
        TypeError, ValueError: X, lengths, a setting or an attribute is invalid.
    Example:
        >>> model = CategoricalHMM(2, random_state=0).fit([[0], [1], [0], [2], [2], [2]])
        >>> model.predict([[0], [1], [2]]).shape, model.n_features
        ((3,), 3)
    """

    def __init__(
        self, n_components: int = 1, startprob_prior: Any = 1.0, transmat_prior: Any = 1.0, *,
        emissionprob_prior: Any = 1.0, n_features: int | None = None, algorithm: str = "viterbi",
        random_state: Any = None, n_iter: int = 10, tol: float = 1e-2, verbose: bool = False, params: str = "ste",
        init_params: str = "ste", implementation: str = "log",
    ):  # fmt: skip
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
        integers("CategoricalHMM.fit", X, self.n_features)
        if self.n_features is None:
            self.n_features = int(X.max()) + 1

    def _emission(self) -> Categorical:
        return Categorical().with_parameters(probs_=self.emissionprob_)

    def _read(self, X: np.ndarray) -> Symbols:
        integers("CategoricalHMM", X, self.n_features)
        return Symbols(X[:, 0].astype(np.int64), self.n_features)

    def _compute_log_likelihood(self, X: np.ndarray) -> np.ndarray:
        return self._emission().log_prob(self._data(X))

    def _emission_statistics(self, X: np.ndarray, lattice: np.ndarray, posteriors: np.ndarray) -> Statistics:
        return {"obs": self._emission().expected_counts(self._data(X), posteriors)}

    def _generate_sample_from_state(self, state: int, random_state: np.random.RandomState) -> Any:
        return [(np.cumsum(self.emissionprob_[state]) > random_state.rand()).argmax()]


class MultinomialHMM(SymbolHMM):
    """HMM whose states emit the counts of V symbols in `n_trials` draws.

    Args:
        n_trials: the number of draws per step, one number or [N]; None: `fit` counts them in X.
        params, init_params: letters s, t, e (the probabilities of the symbols).
        For all other arguments see `BaseHMM`.
    Shapes:
        X: [N, V] integers of at least 0, the counts of each symbol
    Attributes:
        emissionprob_: [K, V].   startprob_, transmat_, monitor_, n_features.
    Raises:
        TypeError, ValueError: X, lengths, a setting or an attribute is invalid.
    Example:
        >>> model = MultinomialHMM(2, random_state=0).fit([[3, 0], [2, 1], [0, 3], [0, 3]])
        >>> model.predict_proba([[3, 0]]).shape
        (1, 2)
    """

    def __init__(
        self, n_components: int = 1, n_trials: Any = None, startprob_prior: Any = 1.0, transmat_prior: Any = 1.0,
        algorithm: str = "viterbi", random_state: Any = None, n_iter: int = 10, tol: float = 1e-2,
        verbose: bool = False, params: str = "ste", init_params: str = "ste", implementation: str = "log",
    ):  # fmt: skip
        super().__init__(n_components, startprob_prior, transmat_prior, algorithm, random_state, n_iter, tol, verbose,
                         params, init_params, implementation)  # fmt: skip
        self.n_trials = n_trials

    def _check_and_set_n_features(self, X: np.ndarray) -> None:
        super()._check_and_set_n_features(X)
        integers("MultinomialHMM.fit", X)
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
        integers("MultinomialHMM", X)
        self._check_width(X)
        orders = log_factorial(X.sum(1)) - log_factorial(X).sum(1)
        return np.stack([xlogy(X, probs).sum(1) + orders for probs in self.emissionprob_], axis=1)

    def _emission_statistics(self, X: np.ndarray, lattice: np.ndarray, posteriors: np.ndarray) -> Statistics:
        return {"obs": tall.inner(posteriors, X)}

    def _generate_sample_from_state(self, state: int, random_state: np.random.RandomState) -> Any:
        trials = np.unique(self.n_trials)
        if len(trials) != 1:
            raise ValueError(f"MultinomialHMM.sample: expected one n_trials for all steps, got {len(trials)}.")
        return random_state.multinomial(int(trials[0]), self.emissionprob_[state])


class PoissonHMM(BaseHMM):
    """HMM whose states emit D counts, independent given the state.

    Args:
        lambdas_prior, lambdas_weight: shape and rate of a gamma prior on the rates, in hmmlearn's formula
            (shape + n y) / (rate + n), where n is all steps of all states and y a state's mean; 0 and 0 are no prior.
        params, init_params: letters s, t, l (the rates).
        For all other arguments see `BaseHMM`.
    Shapes:
        X: [N, D] whole numbers of at least 0
    Attributes:
        lambdas_: [K, D], the rates.   startprob_, transmat_, monitor_, n_features.
    Raises:
        TypeError, ValueError: X, lengths, a setting or an attribute is invalid.
    Example:
        >>> model = PoissonHMM(2, random_state=0).fit([[0], [1], [0], [9], [8], [11]])
        >>> np.sort(model.lambdas_.ravel()).round(2)
        array([0.33, 9.33])
    """

    lambdas_: np.ndarray
    _emission_letters = (("l", "lambdas_"),)

    def __init__(
        self, n_components: int = 1, startprob_prior: Any = 1.0, transmat_prior: Any = 1.0, lambdas_prior: Any = 0.0,
        lambdas_weight: Any = 0.0, algorithm: str = "viterbi", random_state: Any = None, n_iter: int = 10,
        tol: float = 1e-2, verbose: bool = False, params: str = "stl", init_params: str = "stl",
        implementation: str = "log",
    ):  # fmt: skip
        super().__init__(n_components, startprob_prior, transmat_prior, algorithm, random_state, n_iter, tol, verbose,
                         params, init_params, implementation)  # fmt: skip
        self.lambdas_prior, self.lambdas_weight = lambdas_prior, lambdas_weight

    def _check_and_set_n_features(self, X: np.ndarray) -> None:
        super()._check_and_set_n_features(X)
        counts("PoissonHMM.fit", X)

    def _initial(self, name: str, X: np.ndarray) -> np.ndarray:
        mean, variance, size = X.mean(), X.var(), (self.n_components, X.shape[1])
        if variance == 0 or mean == 0:
            return np.full(size, mean)
        return random_generator(self.random_state).gamma(mean**2 / variance, variance / mean, size)

    def _emission_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"lambdas_": (self.n_components, self.n_features)}

    def _check(self) -> None:
        self.lambdas_ = np.atleast_2d(getattr(self, "lambdas_", []))
        self.n_features = getattr(self, "n_features", self.lambdas_.shape[1])
        super()._check()
        if (self.lambdas_ < 0).any():
            raise ValueError(f"PoissonHMM: expected lambdas_ of at least 0, got {self.lambdas_.min():.6g}.")

    def _get_n_fit_scalars_per_param(self) -> dict[str, int]:
        states = self.n_components
        return {"s": states - 1, "t": states * (states - 1), "l": states * self.n_features}

    def _emission(self) -> Poisson:
        return Poisson().with_parameters(rates_=np.maximum(self.lambdas_, LOWEST))

    def _read(self, X: np.ndarray) -> Counts:
        self._check_width(X)
        return Counts.of(counts("PoissonHMM", X))

    def _compute_log_likelihood(self, X: np.ndarray) -> np.ndarray:
        scores = self._emission().log_prob(self._data(X))
        if not self.lambdas_.all():  # a rate of zero makes counts above zero impossible
            scores[(X > 0) @ (self.lambdas_ == 0).T] = -np.inf
        return scores

    def _emission_statistics(self, X: np.ndarray, lattice: np.ndarray, posteriors: np.ndarray) -> Statistics:
        return {"post": posteriors.sum(0), "obs": self._emission().expected_counts(self._data(X), posteriors)[0]}

    def _do_mstep(self, stats: Statistics) -> None:
        super()._do_mstep(stats)
        if "l" in self.params:
            steps, own = stats["post"].sum(), stats["post"][:, None]
            means = stats["obs"] / np.where(own > 0, own, 1)
            fitted = (self.lambdas_prior + steps * means) / (self.lambdas_weight + steps)
            self.lambdas_ = np.where(own > 0, fitted, self.lambdas_)

    def _generate_sample_from_state(self, state: int, random_state: np.random.RandomState) -> Any:
        return random_state.poisson(self.lambdas_[state])
