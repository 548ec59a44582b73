"""Which rows are held out to choose the best weights by."""

import numpy as np
from numpy.typing import ArrayLike


def hold_out(labels: ArrayLike, fraction: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the rows to train on and of those held out, both in order: about `fraction` of each class.

    A class of a single row is trained on; of any other at least one row is held out and at least one is not.

    Args:
        labels: one a row; all the same where rows have no classes.
        fraction: between 0 and 1.
    Raises:
        ValueError: fewer than two rows, or none of a class that could be parted.
    Example:
        >>> hold_out(["a", "b", "a", "a", "b"], 0.4)
        (array([0, 2, 4]), array([1, 3]))
    """
    if not 0 < fraction < 1:
        raise ValueError(f"hold_out: expected a fraction between 0 and 1, got {fraction}.")
    generator = np.random.Generator(np.random.Philox(seed))
    classes, numbers = np.unique(np.asarray(labels), return_inverse=True)
    held: list[int] = []
    for number in range(len(classes)):
        rows = generator.permutation(np.flatnonzero(numbers == number))
        if len(rows) > 1:
            held += rows[: min(len(rows) - 1, max(1, round(fraction * len(rows))))].tolist()
    if not held:
        raise ValueError(f"hold_out: expected at least two rows of a class, got {len(numbers)} rows of {len(classes)} "
                         "classes; give more rows, or set validation=0.")  # fmt: skip
    out = np.zeros(len(numbers), bool)
    out[held] = True
    return np.flatnonzero(~out), np.flatnonzero(out)
