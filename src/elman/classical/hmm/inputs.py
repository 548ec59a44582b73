"""Inputs of an HMM: observations, and a driving input for models that have one."""

from typing import Any, NamedTuple

import numpy as np

from elman.classical.checks import per_step_reals, place, reals
from elman.representation import brief_fields
from elman.sequences import Sequences


@brief_fields
class Driven(NamedTuple):
    """Values of a batch with a driving input: `Sequences(Driven(x, u), lengths)`."""

    x: Any  # [N, ...] observations, NaN where missing
    u: np.ndarray  # [N, U] input at each step, never missing


def counts(where: str, sequences: Sequences, spec: str, below: int | None = None) -> np.ndarray:
    """Return observations as float64, checked: whole numbers from 0 to `below` - 1, NaN where missing.

    Raises:
        TypeError: the observations are not numbers, or are booleans.
        ValueError: the shape is wrong, or a number is not whole or out of range.
    """
    if np.asarray(sequences.values).dtype.kind == "b":
        raise TypeError(f"{where}: expected observations of whole numbers, got bool; convert them with .astype(int).")
    values = per_step_reals(where, "observations", sequences, sequences.values, spec, missing=True)
    kept = ~np.isnan(values)
    wrong = kept & ((values < 0) | (values != np.floor(values)))
    if below is not None:
        wrong |= kept & (values >= below)
    if wrong.any():
        step = int(np.argwhere(wrong)[0][0])
        number = values[wrong][0]
        allowed = "of at least 0" if below is None else f"from 0 to {below - 1}"
        never = "; it was never seen in training" if below is not None and number >= below else ""
        raise ValueError(f"{where}: expected whole numbers {allowed}, got {number:.12g} in "
                         f"{place(sequences, step)}{never}.")  # fmt: skip
    return values


def drive(where: str, sequences: Sequences, size: int) -> tuple[Sequences, np.ndarray | None]:
    """Return the observations of a batch and its driving input [N, U]; None for a model without one (size 0)."""
    values = sequences.values
    if size == 0:
        if isinstance(values, tuple):
            raise TypeError(f"{where}: expected one array of observations, got a tuple; drive_size above 0 makes a "
                            "model with a driving input.")  # fmt: skip
        return sequences, None
    if not isinstance(values, tuple) or len(values) != 2:
        raise TypeError(f"{where}: expected values Driven(x, u) with u [N, U={size}], got {type(values).__name__}.")
    x, u = values
    u = per_step_reals(where, "the driving input", sequences, u, f"N={sequences.num_steps} U={size}")
    return sequences.with_values(x), u


def future(where: str, u: Any, rows: int, steps: int, size: int) -> np.ndarray | None:
    """Return the driving input of future steps, checked: [B, S, U], or None for a model without one.

    Raises:
        TypeError, ValueError: the input is missing, has no effect or has another shape.
    """
    if not size:
        if u is not None:
            raise ValueError(f"{where}: expected no driving input, got one; this model has none (drive_size=0).")
        return None
    if u is None:
        raise ValueError(f"{where}: expected the driving input of the future steps, got none; give u [B={rows}, "
                         f"S={steps}, U={size}].")  # fmt: skip
    return reals(where, "the driving input u", u, f"B={rows} S={steps} U={size}")
