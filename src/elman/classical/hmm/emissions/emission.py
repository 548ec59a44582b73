"""What a state says: the interface of p(x | state) that an HMM needs."""

import copy
import logging
from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from elman.sequences import Sequences

logger = logging.getLogger("elman")
CLIMBS = 300  # steps of EM inside known states, at most, for emissions that are mixtures
DEAD = 1e-6  # a state with an expected count below it keeps its parameters: it has nothing to learn from


class Emission:
    """The distribution of an observation in each of K states.

    An emission is a value. Its constructor stores settings; `initialise`, `m_step` and `with_arrays` return a copy with
    parameters, whose names end in `_`. EM of several restarts holds one a restart, and the observations once, as
    `read` gave them.

    Shapes:
        x: what an HMM is given, [N] or [N, D]      posterior: [N, K] probabilities of the states at each step
    """

    drive_size: int = 0  # U, where the distribution depends on a driving input

    @property
    def settings(self) -> dict[str, Any]:
        """What the constructor was given, as JSON can hold it."""
        raise NotImplementedError(f"{type(self).__name__} has no settings")

    @property
    def num_states(self) -> int:
        """K of an emission that has parameters."""
        raise NotImplementedError(f"{type(self).__name__} has no num_states")

    def read(self, where: str, x: Sequences, u: np.ndarray | None = None) -> Any:
        """The observations, checked, with what is computed of them once for all of EM; `u` [N, U] drives them.

        Raises:
            TypeError, ValueError: they are not what this emission is about; begins with `where`, names row and step.
        """
        raise NotImplementedError(f"{type(self).__name__} has no read")

    def log_prob(self, data: Any, out: np.ndarray | None = None) -> np.ndarray:
        """log p(x | state) [N, K] of what `read` gave; 0 in all states where all of x is missing. Fills `out`."""
        raise NotImplementedError(f"{type(self).__name__} has no log_prob")

    def initialise(self, where: str, data: Any, num_states: int, rng: np.random.Generator) -> Self:
        """A copy with parameters for EM to start from.

        Raises:
            ValueError: these observations cannot tell so many states apart, or there are none.
        """
        raise NotImplementedError(f"{type(self).__name__} has no initialise")

    def from_states(self, where: str, data: Any, posterior: np.ndarray, rng: np.random.Generator) -> Self:
        """A copy fitted to known states: posterior [N, K] of 0 and 1. What has a closed form takes one `m_step`.

        Raises:
            ValueError: as `initialise` does.
        """
        emission, before = self.initialise(where, data, posterior.shape[1], rng), -np.inf
        for _ in range(CLIMBS):
            emission = emission.m_step(data, posterior)
            now = float(emission.log_prob(data)[posterior > 0].sum()) + emission.log_prior()
            if not now - before > 1e-7 * len(posterior):
                break
            before = now
        return emission

    def resume(self, where: str, data: Any) -> Self:
        """A copy that keeps its parameters for EM to go on from, with what else of it depends on the data."""
        return self

    def m_step(self, data: Any, posterior: np.ndarray) -> Self:
        """A copy whose parameters give a sum over n, k of posterior log p(x_n | k), plus `log_prior`, that is no lower.

        A state whose expected count is below `DEAD` keeps its parameters.
        """
        raise NotImplementedError(f"{type(self).__name__} has no m_step")

    def log_prior(self) -> float:
        """The log-density of the parameters under the prior, up to a constant; 0 without one."""
        return 0.0

    def sample(self, states: np.ndarray, rng: np.random.Generator, u: np.ndarray | None = None) -> np.ndarray:
        """One observation for each of `states` [N]."""
        raise NotImplementedError(f"{type(self).__name__} has no sample")

    def to_arrays(self) -> dict[str, np.ndarray]:
        """The parameters, to be kept beside `settings`."""
        raise NotImplementedError(f"{type(self).__name__} has no to_arrays")

    def with_arrays(self, arrays: Mapping[str, np.ndarray]) -> Self:
        """A copy with the parameters that `to_arrays` gave."""
        raise NotImplementedError(f"{type(self).__name__} has no with_arrays")

    def with_parameters(self, **parameters: Any) -> Self:
        """A copy with these attributes."""
        other = copy.copy(self)
        for name, value in parameters.items():
            setattr(other, name, value)
        return other

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.settings.items())})"


def warn_of_few(where: str, distinct: int, num_states: int) -> None:
    """Log that there are more states than distinct observations, where that is unusual and yet no error.

    A chain of many states may say few words: states then differ in where they lead.
    """
    if distinct < num_states:
        logger.warning("%s: %d states for %d distinct observations: states can differ only in where they lead; ask for "
                       "fewer unless that is meant", where, num_states, distinct)  # fmt: skip


def buffer(out: np.ndarray | None, steps: int, states: int) -> np.ndarray:
    """`out`, or a new array for it."""
    return np.empty((steps, states)) if out is None else out
