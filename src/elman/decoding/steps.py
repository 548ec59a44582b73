"""Step functions of a search."""

from collections.abc import Callable
from threading import Lock

import numpy as np

from elman.arrays import Array
from elman.network import Stepper
from elman.state import State

Step = Callable[[np.ndarray, State], tuple[Array, State]]
"""Function that reads one unit per row, ids [R] int64, and returns scores of the next unit, [R, V], and the new state.

Scores are logits or log-probabilities, in NumPy or PyTorch. The number of rows changes from call to call. With PyTorch,
run a search under `torch.inference_mode()`.
"""


def by_stepper(stepper: Stepper) -> Step:
    """Return the step function of a stepper that reads ids. Several searches and threads may share it.

    It accepts any number of rows, and computes as many at once as the stepper has.
    """
    lock = Lock()

    def step(ids: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        with lock:
            return stepper.step(ids, state)

    return step
