"""`check_cell`: the contract as a test, for the cells of elman and for your own."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from elman.cell import Cell
from elman.testing import laws
from elman.testing.trial import Start, Trial, example_steps, is_module


def check_cell(
    cell: Cell,
    inputs: Any = None,
    *,
    start: Start | None = None,
    seed: int = 0,
    tolerance: float | None = None,
) -> tuple[str, ...]:
    """Raise unless a cell keeps every law that applies to it, in evaluation mode. Tries copies; `cell` is unchanged.

    Args:
        cell: any cell, of PyTorch or NumPy, streaming or not. Small sizes are as strict as large ones, and faster.
        inputs: steps to draw from, an array [M, ...] or a tuple of them; without, Gaussian numbers [64, input_size].
            A cell that reads ids takes them all: `torch.arange(vocabulary_size)`.
        start: gives the initial state of a copy of the cell for a number of rows, where that takes more than
            `cell.initial_state(rows)`: of a decoder, something to read.
        seed: of the rows, states and directions that are tried.
        tolerance: of `|a - b| / (1 + |b|)`, where arithmetic may be done in another order; without, 1e-10 in
            float64 and 1e-5 in float32. Copies, repetitions and empty rows are compared to the bit.
    Returns:
        the names of the laws that were checked. `stepper equals scan` is one where `cell.stepper()` exists.
    Raises:
        AssertionError: a law is broken, in one line: which, by how much, at which row and step, the likely cause.
        TypeError: `cell` is no cell, or needs `inputs`.
    Example:
        >>> from elman import GRU
        >>> check_cell(GRU(3, 4))  # doctest: +NORMALIZE_WHITESPACE, +ELLIPSIS
        ('shapes', 'purity', 'order of rows', 'company of rows', 'empty rows', 'scan equals stepping', 'cutting rows',
         'state verbs', 'saving', 'numeric gradients', 'gradients of stepping'...)
    """
    if not isinstance(cell, Cell):
        raise TypeError(
            f"check_cell: expected an elman.Cell, got {cell!r:.80}; inherit from elman.Cell, and give an instance."
        )
    name = type(cell).__name__
    checked = []
    for law in applying(cell):
        rng = np.random.default_rng(seed)
        steps = example_steps(cell, rng) if inputs is None else inputs
        words = law.__name__.replace("_", " ")
        try:
            law(Trial(copied(cell), steps, rng, tolerance, start))
        except AssertionError as error:
            raise AssertionError(f"check_cell: {name}: {words}: {error}") from None
        except Exception as error:
            raise AssertionError(f"check_cell: {name}: {words}: {one_line(error)}.") from error
        checked.append(words)
    return tuple(checked)


def applying(cell: Cell) -> list[Callable[[Trial], None]]:
    """The laws of a cell in the order in which a fault is told best: what later laws rest on comes first."""
    chosen: list[Callable[[Trial], None]] = [
        laws.shapes,
        laws.purity,
        laws.order_of_rows,
        laws.company_of_rows,
        laws.empty_rows,
    ]
    chosen += [laws.scan_equals_stepping, laws.cutting_rows] if cell.streams else [laws.no_step]
    chosen += [laws.state_verbs]
    if is_module(cell):
        from elman.testing import torch_laws

        chosen += [torch_laws.saving, torch_laws.numeric_gradients]
        chosen += [torch_laws.gradients_of_stepping] if cell.streams else []
        chosen += [torch_laws.stepper_equals_scan] if steps_natively(cell) else []
    elif hasattr(cell, "to_arrays"):
        chosen += [laws.saving]
    return chosen


def steps_natively(cell: Any) -> bool:
    """Whether `elman.runtime` can step it."""
    return hasattr(cell, "streams_natively") and cell.streams_natively()


def copied(cell: Cell) -> Any:
    """A copy in evaluation mode."""
    try:
        cell = copy.deepcopy(cell)
    except Exception as error:
        raise AssertionError(f"no copy: {one_line(error)}; likely cause: a state in the module.") from error
    if is_module(cell):
        cell.eval()  # type: ignore[attr-defined]
    return cell


def one_line(error: Exception) -> str:
    """An error as `ValueError: its first line`."""
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0].removesuffix('.')}"
