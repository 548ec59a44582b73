"""GaussianHMM, and the covariances of hmmlearn's four types."""

from functools import lru_cache
from typing import Any

import numpy as np

from elman.classical.hmm.emissions import DEAD, Gaussian
from elman.classical.hmm.emissions.covariances import is_diagonal, matrices
from elman.classical.hmm.emissions.moments import MeanPrior
from elman.classical.hmm.emissions.real_data import RealData
from elman.hmm.base import BaseHMM, Statistics
from elman.hmm.checks import one_of, random_generator
from elman.hmm.k_means import initial_means

COVARIANCE_TYPES = frozenset(("spherical", "diag", "full", "tied"))
LOWEST = np.finfo(np.float64).tiny  # replaces a variance of zero
JITTER = 1e-7  # added to the variances of a matrix that is almost positive definite


class RealHMM(BaseHMM):
    """Base class of models whose observations are real numbers."""

    covariance_type: str
    means_: np.ndarray
    _words = BaseHMM._words | {"covariance_type": COVARIANCE_TYPES}

    def _read(self, X: np.ndarray) -> RealData:
        self._check_width(X)
        return RealData(X.astype(np.float64), None)

    def _width(self, name: str, axes: int) -> int:
        """Return D of an attribute [..., D]."""
        shape = np.shape(getattr(self, name, []))
        if len(shape) != axes:
            raise ValueError(f"{type(self).__name__}: expected {name} of {axes} axes, got shape {list(shape)}; "
                             "call fit, or set it.")  # fmt: skip
        return int(shape[-1])


class GaussianHMM(RealHMM):
    """HMM with one Gaussian per state.

    Args:
        covariance_type: "spherical", "diag", "full", or "tied" (one covariance for all states).
        min_covar: number added to the initial variances.
        means_prior, means_weight: mean of a normal prior on the means, and its weight as a number of observations.
        covars_prior, covars_weight: parameters of an inverse gamma (spherical, diag) or inverse Wishart prior on the
            covariances, in hmmlearn's formulas: a number as covars_prior is added to every entry of a full matrix.
        params, init_params: letters s, t, m (means), c (covariances).
        For all other arguments see `BaseHMM`.
    Shapes:
        X: [N, D] finite real numbers
    Attributes:
        means_: [K, D].   startprob_, transmat_, monitor_, n_features.
        covars_: [K, D, D] for every type; it is set as [K] spherical, [K, D] diag, [K, D, D] full, [D, D] tied.
    Raises:
        TypeError, ValueError: X, lengths, a setting or an attribute is invalid.
    Example:
        >>> X = np.array([[0.0], [0.1], [-0.1], [9.0], [9.1], [8.9]])
        >>> model = GaussianHMM(2, random_state=0).fit(X)
        >>> np.sort(model.means_.ravel()).round(2)
        array([0., 9.])
    """

    _covars_: np.ndarray
    _emission_letters = (("m", "means_"), ("c", "covars_"))

    def __init__(
        self, n_components: int = 1, covariance_type: str = "diag", min_covar: float = 1e-3,
        startprob_prior: Any = 1.0, transmat_prior: Any = 1.0, means_prior: Any = 0, means_weight: Any = 0,
        covars_prior: Any = 1e-2, covars_weight: Any = 1, algorithm: str = "viterbi", random_state: Any = None,
        n_iter: int = 10, tol: float = 1e-2, verbose: bool = False, params: str = "stmc", init_params: str = "stmc",
        implementation: str = "log",
    ):  # fmt: skip
        super().__init__(n_components, startprob_prior, transmat_prior, algorithm, random_state, n_iter, tol, verbose,
                         params, init_params, implementation)  # fmt: skip
        self.covariance_type, self.min_covar = covariance_type, min_covar
        self.means_prior, self.means_weight = means_prior, means_weight
        self.covars_prior, self.covars_weight = covars_prior, covars_weight

    @property
    def covars_(self) -> np.ndarray:
        """The covariance of each state, [K, D, D]."""
        return self._matrices().copy()

    @covars_.setter
    def covars_(self, covars: Any) -> None:
        kind = one_of("GaussianHMM", "covariance_type", self.covariance_type, COVARIANCE_TYPES)
        self._covars_ = stored_covars(covars, kind, self.n_components)

    def _stored(self) -> np.ndarray:
        """Return the covariances as `elman.classical.hmm` stores them: tied ones are [1, D, D]."""
        return self._covars_[None] if self.covariance_type == "tied" else self._covars_

    def _matrices(self) -> np.ndarray:
        return matrices(self.covariance_type, self._stored(), self.n_components, np.shape(self.means_)[1])

    def _gaussian(self) -> Gaussian:
        return emission(self.covariance_type, self.means_, self._stored())

    def _emission_shapes(self) -> dict[str, tuple[int, ...]]:
        states, features = self.n_components, self.n_features
        covars = {"spherical": (states,), "diag": (states, features), "full": (states, features, features),
                  "tied": (features, features)}  # fmt: skip
        return {"means_": (states, features), "_covars_": covars[self.covariance_type]}

    def _initial(self, name: str, X: np.ndarray) -> np.ndarray:
        if name == "means_":
            return initial_means("GaussianHMM.fit", X, self.n_components, random_generator(self.random_state))
        whole, states = covars_of_all(X, self.min_covar), self.n_components
        return {"spherical": np.full(states, whole.mean()), "diag": np.tile(np.diag(whole), (states, 1)),
                "full": np.tile(whole, (states, 1, 1)), "tied": whole}[self.covariance_type]  # fmt: skip

    def _check(self) -> None:
        self.n_features = self._width("means_", 2)
        super()._check()

    def _get_n_fit_scalars_per_param(self) -> dict[str, int]:
        states, features = self.n_components, self.n_features
        one = features * (features + 1) // 2
        covars = {"spherical": states, "diag": states * features, "full": states * one, "tied": one}
        return {"s": states - 1, "t": states * (states - 1), "m": states * features,
                "c": covars[self.covariance_type]}  # fmt: skip

    def _compute_log_likelihood(self, X: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):
            return self._gaussian().log_prob(self._data(X))

    def _emission_statistics(self, X: np.ndarray, lattice: np.ndarray, posteriors: np.ndarray) -> Statistics:
        found = self._gaussian().expected_moments(self._data(X), posteriors, no_prior(self.n_features))
        return {"post": posteriors.sum(0), "means": found.means, "scatter": found.scatter}  # scatter about `means`

    def _do_mstep(self, stats: Statistics) -> None:
        super()._do_mstep(stats)
        if "m" in self.params:
            self._update_means(stats)
        if "c" in self.params:
            self._update_covars(stats)

    def _update_means(self, stats: Statistics) -> None:
        steps, prior, weight = stats["post"][:, None], np.asarray(self.means_prior), np.asarray(self.means_weight)
        self.means_ = quotient(weight * prior + steps * stats["means"], weight + steps, self.means_)

    def _update_covars(self, stats: Statistics) -> None:
        steps, scatter, weight = stats["post"], stats["scatter"], np.asarray(self.means_weight)
        from_prior, moved = self.means_ - np.asarray(self.means_prior), self.means_ - stats["means"]
        if is_diagonal(self.covariance_type):
            above = self.covars_prior + weight * from_prior**2 + scatter + steps[:, None] * moved**2
            below = (np.maximum(self.covars_weight - 1, 0) + steps)[:, None]
            below = np.where(below >= DEAD, np.maximum(below, 1e-5), 0)
            if self.covariance_type == "spherical":
                above, below = above.mean(1), below[:, 0]
            self._covars_ = quotient(above, below, self._covars_)
            return
        above = scatter + weight * outer(from_prior) + steps[:, None, None] * outer(moved)
        extra = max(self.covars_weight - self.n_features, 0)
        if self.covariance_type == "tied":
            self._covars_ = (self.covars_prior + above.sum(0)) / (extra + steps.sum())
        else:
            self._covars_ = quotient(self.covars_prior + above, extra + steps[:, None, None], self._covars_)

    def _generate_sample_from_state(self, state: int, random_state: np.random.RandomState) -> Any:
        return draw(self.means_[state], self._matrices()[state], random_state)


def emission(kind: str, means: np.ndarray, covars: np.ndarray) -> Gaussian:
    """Return the emission of C Gaussians: means [C, D]; covars as `elman.classical.hmm` stores them.

    Raises:
        ValueError: a matrix is not positive definite.
    """
    covars = np.maximum(covars, LOWEST) if is_diagonal(kind) else definite(covars)
    return Gaussian(kind).with_parameters(means_=means, covs_=covars)


def no_prior(features: int) -> MeanPrior:
    """Return a prior of weight zero, because hmmlearn's priors enter in the M step."""
    return MeanPrior(np.zeros(features), 0.0)


def quotient(above: np.ndarray, below: np.ndarray, old: np.ndarray) -> np.ndarray:
    """Return above / below, and the old values where the expected number of observations is about zero."""
    alive = below >= DEAD
    return np.where(alive, above / np.where(alive, below, 1), old)


def outer(x: np.ndarray) -> np.ndarray:
    """Return x x': [..., D] -> [..., D, D]."""
    return x[..., :, None] * x[..., None, :]


def draw(mean: np.ndarray, cov: np.ndarray, generator: np.random.RandomState) -> np.ndarray:
    """Draw [D] as `generator.multivariate_normal(mean, cov)` does, with the decomposition of `cov` cached."""
    return generator.standard_normal(len(mean)) @ _root(np.asarray(cov, np.float64).tobytes(), len(mean)) + mean


@lru_cache(maxsize=256)
def _root(cov: bytes, features: int) -> np.ndarray:
    """Return A [D, D] with A' A = cov."""
    _, variances, directions = np.linalg.svd(np.frombuffer(cov).reshape(features, features))
    return np.sqrt(variances)[:, None] * directions


def covars_of_all(X: np.ndarray, floor: float) -> np.ndarray:
    """Return the covariance [D, D] of all steps, with `floor` added to the variances."""
    features = X.shape[1]
    covars = np.cov(X.T) if len(X) > 1 else np.zeros((features, features))
    return np.atleast_2d(covars) + floor * np.eye(features)


def definite(covars: np.ndarray) -> np.ndarray:
    """Return covariances [C, D, D] that are positive definite; add a little variance if necessary.

    Raises:
        ValueError: a matrix is not positive definite with the added variance either.
    """
    try:
        np.linalg.cholesky(covars)
    except np.linalg.LinAlgError:
        return np.stack([_raised(matrix, number) for number, matrix in enumerate(covars)])
    return covars


def _raised(matrix: np.ndarray, number: int) -> np.ndarray:
    """Return the matrix [D, D] with as little added variance as its Cholesky factor needs."""
    for more in (0.0, JITTER, JITTER * matrix.trace()):
        raised = matrix + more * np.eye(len(matrix))
        try:
            np.linalg.cholesky(raised)
        except np.linalg.LinAlgError:
            continue
        return raised
    raise _not_definite("covars_", matrix, number)


def check_covars(name: str, covars: np.ndarray, semi: bool = False) -> None:
    """Raise a ValueError unless covariances [C, D, D] are symmetric and positive definite (with `semi`, or zero)."""
    for number, matrix in enumerate(covars):
        if not np.isfinite(matrix).all() or not np.allclose(matrix, matrix.T):
            raise ValueError(f"{name}: expected symmetric matrices of finite numbers; matrix {number} is not one.")
        lowest = np.linalg.eigvalsh(matrix).min()
        if lowest <= (-1e-10 * np.abs(matrix).max() if semi else 0) and not (semi and lowest == 0):
            raise _not_definite(name, matrix, number)


def _not_definite(name: str, matrix: np.ndarray, number: int) -> ValueError:
    lowest = np.linalg.eigvalsh(matrix).min()
    return ValueError(f"{name}: expected symmetric, positive definite matrices, got eigenvalue {lowest:.6g} in "
                      f"matrix {number}.")  # fmt: skip


def stored_covars(covars: Any, kind: str, states: int) -> np.ndarray:
    """Return the value assigned to `covars_` of a GaussianHMM, checked: [K], [K, D], [K, D, D] or, tied, [D, D].

    Raises:
        ValueError: the shape is wrong, a variance is not above 0, or a matrix is not symmetric and positive definite.
    """
    shapes = {"spherical": f"[{states}]", "diag": "[K, D]", "full": "[K, D, D]", "tied": "[D, D]"}
    array = np.array(covars, np.float64)
    right = {
        "spherical": array.ndim >= 1 and len(array) == states and array.size >= states,
        "diag": array.ndim == 2,
        "full": array.ndim == 3 and array.shape[1] == array.shape[2],
        "tied": array.ndim == 2 and array.shape[0] == array.shape[1],
    }[kind]
    if right and kind == "spherical":
        array = array.reshape(states, -1)
        right, array = bool((array == array[:, :1]).all()), array[:, 0].copy()
    if not right:
        raise ValueError(f"covars_: expected {kind} covariances of shape {shapes[kind]}, got {list(np.shape(covars))}.")
    if is_diagonal(kind):
        if not (array > 0).all() or not np.isfinite(array).all():
            raise ValueError(f"covars_: expected {kind} variances above 0, got {array.min():.6g}.")
    else:
        check_covars("covars_", array if kind == "full" else array[None])
    return array
