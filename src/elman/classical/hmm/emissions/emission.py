"""Base of the emission distributions p(x | state)."""

import copy
import inspect
import logging
from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from elman.html_tables import parameter_tables
from elman.representation import brief, call, complete, counted
from elman.sequences import Sequences

logger = logging.getLogger("elman")
MAX_STEPS = 300  # maximum steps of EM given known states, for mixtures
DEAD = 1e-6  # a state with a smaller expected count is empty and keeps its parameters


class Emission:
    """Distribution of an observation in each of K states.

    An emission is a value. Its constructor stores settings; `initialise`, `m_step` and `with_arrays` return a copy with
    parameters, whose names end in `_`. EM with several restarts holds one emission per restart, and one result of
    `read` for all.

    Shapes:
        x: observations, [N] or [N, D]      posterior: [N, K] probabilities of the states at each step
    """

    columns: bool = True  # whether a step has D numbers; else it is one value
    drive_size: int = 0  # U, if the distribution depends on a driving input

    @property
    def settings(self) -> dict[str, Any]:
        """The constructor's arguments as JSON values."""
        raise NotImplementedError(f"{type(self).__name__} has no settings")

    @property
    def num_states(self) -> int:
        """K, for an emission with parameters."""
        raise NotImplementedError(f"{type(self).__name__} has no num_states")

    def read(self, where: str, x: Sequences, u: np.ndarray | None = None) -> Any:
        """Return the observations, checked, with features computed once for EM; `u` [N, U] is a driving input.

        Raises:
            TypeError, ValueError: the observations are invalid; the message starts with `where` and names row and step.
        """
        raise NotImplementedError(f"{type(self).__name__} has no read")

    def log_prob(self, data: Any, out: np.ndarray | None = None) -> np.ndarray:
        """Return log p(x | state) [N, K] for the result of `read`; 0 where x is missing. Fills `out` if given."""
        raise NotImplementedError(f"{type(self).__name__} has no log_prob")

    def initialise(self, where: str, data: Any, num_states: int, rng: np.random.Generator) -> Self:
        """Return a copy with parameters for EM to start from.

        Raises:
            ValueError: there are no observations, or fewer distinct ones than the states need.
        """
        raise NotImplementedError(f"{type(self).__name__} has no initialise")

    def from_states(self, where: str, data: Any, posterior: np.ndarray, rng: np.random.Generator) -> Self:
        """Return a copy fitted to known states: posterior [N, K] of 0 and 1; closed forms take one `m_step`.

        Raises:
            ValueError: as in `initialise`.
        """
        emission, before = self.initialise(where, data, posterior.shape[1], rng), -np.inf
        for _ in range(MAX_STEPS):
            emission = emission.m_step(data, posterior)
            now = float(emission.log_prob(data)[posterior > 0].sum()) + emission.log_prior()
            if not now - before > 1e-7 * len(posterior):
                break
            before = now
        return emission

    def resume(self, where: str, data: Any) -> Self:
        """Return a copy that keeps its parameters, prepared to continue EM on these data."""
        return self

    def m_step(self, data: Any, posterior: np.ndarray) -> Self:
        """Return a copy for which the posterior mean of log p(x | state) plus `log_prior` is not lower.

        A state with an expected count below `DEAD` keeps its parameters.
        """
        raise NotImplementedError(f"{type(self).__name__} has no m_step")

    def log_prior(self) -> float:
        """Return the log-density of the parameters under the prior, up to a constant; 0 without a prior."""
        return 0.0

    def moments(self, u: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray] | None:
        """Return mean [K, D] and covariance [K, D, D] of each state; None for observations that are not numbers.

        Args:
            u: driving input [..., U], which the means then depend on: [..., K, D].
        """
        return None

    def sample(self, states: np.ndarray, rng: np.random.Generator, u: np.ndarray | None = None) -> np.ndarray:
        """Draw one observation for each of `states` [N]."""
        raise NotImplementedError(f"{type(self).__name__} has no sample")

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the parameters as arrays; `settings` holds the rest."""
        raise NotImplementedError(f"{type(self).__name__} has no to_arrays")

    def with_arrays(self, arrays: Mapping[str, np.ndarray]) -> Self:
        """Return a copy with the parameters from `to_arrays`.

        Raises:
            TypeError, ValueError: an array is missing, or is not a parameter of this emission.
        """
        raise NotImplementedError(f"{type(self).__name__} has no with_arrays")

    def with_parameters(self, **parameters: Any) -> Self:
        """Return a copy with these attributes."""
        other = copy.copy(self)
        for name, value in parameters.items():
            setattr(other, name, value)
        return other

    def size(self) -> str:
        """Return the size of an observation, such as `2 features`. The emission must have parameters."""
        raise NotImplementedError(f"{type(self).__name__} has no size")

    def brief(self) -> str:
        """Return the kind, and the size of an observation if it is known: `Gaussian of 2 features`."""
        try:
            return f"{type(self).__name__} of {self.size()}"
        except AttributeError:  # without parameters
            return type(self).__name__

    def distributions(self) -> dict[str, np.ndarray]:
        """Return the parameters of the distributions by name, without those of the prior."""
        return {name: array for name, array in self.to_arrays().items()
                if name != "floor" and not name.endswith("_prior")}  # fmt: skip

    @complete
    def __repr__(self) -> str:
        """Return the settings that differ from their defaults, and the sizes if there are parameters."""
        parameters = inspect.signature(type(self)).parameters.values()
        required = [one.name for one in parameters if one.default is one.empty and one.kind is not one.VAR_KEYWORD]
        usual = type(self)(**{name: self.settings[name] for name in required}).settings
        changed = [f"{name}={brief(value)}" for name, value in self.settings.items()
                   if name in required or value != usual[name]]  # fmt: skip
        try:
            sizes = [counted(self.num_states, "state"), self.size()]
        except AttributeError:
            sizes = []
        return call(type(self).__name__, *changed, *sizes)

    @complete
    def _repr_html_(self) -> str:
        """Return the parameters as shaded tables, for notebooks."""
        try:
            return parameter_tables(repr(self), self.distributions())
        except AttributeError:  # without parameters
            return parameter_tables(repr(self), {})


def warn_of_few(where: str, distinct: int, num_states: int) -> None:
    """Log a warning if there are more states than distinct observations.

    This is legal: states with equal emissions may differ in their transitions.
    """
    if distinct < num_states:
        logger.warning("%s: %d states for %d distinct observations: some states differ only in their transitions; use "
                       "fewer states unless this is intended", where, num_states, distinct)  # fmt: skip


def buffer(out: np.ndarray | None, steps: int, states: int) -> np.ndarray:
    """Return `out`, or a new array if it is None."""
    return np.empty((steps, states)) if out is None else out
