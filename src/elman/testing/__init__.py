"""`check_cell`: the contract of a cell as a test, for the cells of elman and for user-defined ones."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from elman.cell import Cell
from elman.testing import laws
from elman.testing.harness import Harness, InitialState, example_steps, is_module


def check_cell(
    cell: Cell,
    inputs: Any = None,
    *,
    initial_state: InitialState | None = None,
    seed: int = 0,
    tolerance: float | None = None,
) -> tuple[str, ...]:
    """Raise unless a cell satisfies every law that applies to it, in evaluation mode. `cell` itself is unchanged.

    Args:
        cell: any cell, of PyTorch or NumPy, streaming or not. Small sizes test as strictly as large ones, and faster.
        inputs: example steps, an array [M, ...] or a tuple of them; None for Gaussian numbers [64, input_size]. For a
            cell that reads ids, all of them: `torch.arange(vocabulary_size)`.
        initial_state: function from a copy of the cell and a number of rows to their initial state, for a cell that
            needs more than `cell.initial_state(rows)`, such as a decoder with a memory.
        seed: seed of the random rows, states and directions.
        tolerance: largest `|a - b| / (1 + |b|)` where the order of arithmetic may differ; None for 1e-10 in float64 and
            1e-5 in float32. Copies, repetitions and empty rows are compared bitwise.
    Returns:
        The names of the laws that were checked; `runtime equals scan` only for float32 cells that `elman.runtime` runs,
        and `stepper equals scan` only if `cell.stepper()` works.
    Raises:
        AssertionError: a law is broken; the message has the law, the difference, row and step, and the likely cause.
        TypeError: `cell` is not a cell, has no sizes, or needs `inputs`.
    Example:
        >>> from elman import GRU
        >>> check_cell(GRU(3, 4))  # doctest: +NORMALIZE_WHITESPACE, +ELLIPSIS
        ('shapes', 'purity', 'order of rows', 'independent rows', 'empty rows', 'scan equals stepping', 'cutting rows',
         'state operations', 'saving', 'numeric gradients', 'gradients of stepping'...)
    """
    if not isinstance(cell, Cell):
        raise TypeError(
            f"check_cell: expected an elman.Cell, got {cell!r:.80}; inherit from elman.Cell, and give an instance."
        )
    if is_module(cell):
        from elman.cells.module import CellModule, check_sizes

        if isinstance(cell, CellModule):
            check_sizes("check_cell", cell)
    name = type(cell).__name__
    checked = []
    for law in applying(cell):
        rng = np.random.default_rng(seed)
        steps = example_steps(cell, rng) if inputs is None else inputs
        law_name = law.__name__.replace("_", " ")
        try:
            law(Harness(copied(cell), steps, rng, tolerance, initial_state))
        except AssertionError as error:
            raise AssertionError(f"check_cell: {name}: {law_name}: {error}") from None
        except Exception as error:
            raise AssertionError(f"check_cell: {name}: {law_name}: {one_line(error)}.") from error
        checked.append(law_name)
    return tuple(checked)


def applying(cell: Cell) -> list[Callable[[Harness], None]]:
    """Return the laws that apply to a cell, in an order in which later laws rely on earlier ones."""
    chosen: list[Callable[[Harness], None]] = [
        laws.shapes,
        laws.purity,
        laws.order_of_rows,
        laws.independent_rows,
        laws.empty_rows,
    ]
    chosen += [laws.scan_equals_stepping, laws.cutting_rows] if cell.streams else [laws.no_step]
    chosen += [laws.state_operations]
    if is_module(cell):
        from elman.testing import torch_laws

        chosen += [torch_laws.saving, torch_laws.numeric_gradients]
        chosen += [torch_laws.gradients_of_stepping] if cell.streams else []
        if hasattr(cell, "runs_without_torch") and cell.runs_without_torch():
            chosen += [torch_laws.runtime_equals_scan]
            chosen += [torch_laws.stepper_equals_scan] if cell.streams_natively() else []  # type: ignore[attr-defined]
    elif hasattr(cell, "to_arrays"):
        chosen += [laws.saving]
    return chosen


def copied(cell: Cell) -> Any:
    """Return a copy in evaluation mode."""
    try:
        cell = copy.deepcopy(cell)
    except Exception as error:
        raise AssertionError(
            f"the cell cannot be copied: {one_line(error)}; likely cause: a state in the module."
        ) from error
    if is_module(cell):
        cell.eval()  # type: ignore[attr-defined]
    return cell


def one_line(error: Exception) -> str:
    """Format an error as `ValueError: its first line`."""
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0].removesuffix('.')}"
