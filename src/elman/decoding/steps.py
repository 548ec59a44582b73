"""Step functions of a search."""

from collections.abc import Callable
from threading import Lock

import numpy as np

from elman import state as states
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
    lock, size = Lock(), len(stepper.input)

    def part(ids: np.ndarray, state: State, start: int) -> tuple[np.ndarray, State]:
        rows = np.minimum(np.arange(start, start + size), len(ids) - 1)  # the last row is repeated to fill the stepper
        real = min(size, len(ids) - start)
        stepper.state = states.select(state, rows)
        stepper.input[...] = ids[rows]
        stepper()
        return stepper.output[:real].copy(), states.map(lambda leaf: leaf[:real].copy(), stepper.state)

    def step(ids: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        with lock:
            parts = [part(ids, state, start) for start in range(0, len(ids), size)]
        return np.concatenate([scores for scores, _ in parts]), states.cat([after for _, after in parts])

    return step
