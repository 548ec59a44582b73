"""Conversion of lists of rows to Sequences, and names of places in a batch for error messages."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from elman import state as states
from elman.sequences import Sequences


def as_sequences(where: str, rows: Sequences | Iterable[Any]) -> Sequences:
    """Return Sequences unchanged, and a list of arrays [T, ...] (or tuples of them), one per row, as Sequences.

    Raises:
        TypeError: one array is given instead of a list of rows.
        ValueError: there are no rows, or they differ in width.
    Example:
        >>> as_sequences("HMM.fit", [np.zeros((3, 2)), np.zeros((4, 1))])
        Traceback (most recent call last):
            ...
        ValueError: HMM.fit: expected rows of one width, got steps of shape [2] in row 0 and [1] in row 1.
    """
    if isinstance(rows, Sequences):
        return rows
    if isinstance(rows, np.ndarray):
        raise TypeError(f"{where}: expected Sequences or a list of rows, got one array; give [x] for a single row.")
    rows = [states.map(np.asarray, row) for row in rows]
    if not rows:
        raise ValueError(f"{where}: expected at least one row, got none.")
    widths = [step_shapes(row) for row in rows]
    for number, width in enumerate(widths):
        if width != widths[0]:
            raise ValueError(f"{where}: expected rows of one width, got steps of shape {widths[0]} in row 0 and "
                             f"{width} in row {number}.")  # fmt: skip
    return Sequences.from_list(rows)


def step_shapes(row: Any) -> str:
    """Describe the shapes of one step."""
    return " and ".join(str(list(leaf.shape[1:])) for leaf in states.leaves(row))


def place(sequences: Sequences, step: int) -> str:
    """Return the place of a step of a batch, such as `row 3, step 7`."""
    return f"row {int(sequences.rows[step])}, step {int(sequences.times[step])}"
