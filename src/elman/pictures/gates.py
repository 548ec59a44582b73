"""Gates and states of recurrent cells along a row (Karpathy et al. 2015, arXiv:1506.02078)."""

from typing import Any

import numpy as np

from elman.pictures.confusion import LETTER, short_name

COLUMN, HEIGHT = 0.14, 1.9  # inches of a step, and of a heat map
NARROWEST, WIDEST = 2.4, 9.0  # inches of a heat map
LABELLED = 100  # steps; a longer row is labelled with numbers, from 0


def gates(model: Any, row: Any, title: str = "") -> Any:
    """Draw the gates, the cell state and the hidden state of each recurrent cell along a row, as heat maps.

    There is a line of heat maps for each cell. A heat map has a row per unit and a column per step, with the words or
    letters below. Gates go from 0 (dark, closed) to 1 (light, open); states are blue below zero and red above. A cell
    that reads the row backward is drawn in the order of the row.

    Args:
        model: a trained task, or a cell with one row of `Sequences`. The numbers are those of `model.activations(row)`.
        row: a row as the model's `predict` reads it, such as a sentence; a text for a language model.
    Returns:
        a matplotlib Figure; `figure.savefig("gates.png")` writes it.
    Raises:
        ValueError: the model has no recurrent cell with a state, or the row cannot be read.
        ModuleNotFoundError: matplotlib is not installed.
    Example:
        >>> import torch
        >>> from elman import GRU, Sequences
        >>> figure = gates(GRU(3, 4), Sequences.from_list([torch.randn(20, 3)]))
        >>> [axis.get_title() for axis in figure.axes[:3]]
        ['reset gate', 'update gate', 'hidden state']
    """
    if not hasattr(model, "activations"):
        raise TypeError(f"pictures.gates: expected a trained task or a cell of elman, got {type(model).__name__}.")
    cells = [cell for cell in model.activations(row) if cell.values]
    if not cells:
        raise ValueError("pictures.gates: expected a recurrent cell with a state of H numbers per row, got "
                         f"{type(model).__name__} without one.")  # fmt: skip
    figure, parts = _canvas(cells, title)
    for part, cell in zip(parts, cells, strict=True):
        axes = part.subplots(1, len(cell.values), squeeze=False)[0]
        part.suptitle(f"{cell.name}: {cell.cell}" if cell.name else cell.cell, fontsize="medium", parse_math=False)
        for axis, (name, values) in zip(axes, cell.values.items(), strict=True):
            _draw(part, axis, np.asarray(values, np.float64), name)
            if cell.texts is not None and len(values) <= LABELLED:
                words = [short_name(text) for text in cell.texts]
                turn = 90 if max(map(len, words)) > 1 else 0
                axis.set_xticks(range(len(words)), words, rotation=turn, fontsize=LETTER, parse_math=False)
            else:
                axis.set_xlabel("step")
        axes[0].set_ylabel("unit")
    return figure


def _draw(part: Any, axis: Any, values: np.ndarray, name: str) -> None:
    """Draw values [T, H]: a gate from 0 to 1, a state around 0."""
    gate = name.endswith(" gate")
    most = 1.0 if gate else float(np.abs(values).max()) or 1.0
    colors = "magma" if gate else "RdBu_r"
    picture = axis.imshow(values.T, cmap=colors, vmin=0 if gate else -most, vmax=most, aspect="auto",
                          interpolation="nearest")  # fmt: skip
    axis.set_title(name, fontsize="medium")
    axis.tick_params(which="both", length=0)
    part.colorbar(picture, ax=axis)


def _canvas(cells: Any, title: str) -> tuple[Any, list[Any]]:
    """Return a figure, and a subfigure for each cell."""
    from elman.pictures.figure import Figure

    widths, heights = [], []
    for cell in cells:
        steps = max(map(len, cell.values.values()))
        widths.append(len(cell.values) * (0.9 + float(np.clip(COLUMN * steps, NARROWEST, WIDEST))))
        texts = cell.texts if cell.texts is not None and steps <= LABELLED else [""]
        heights.append(HEIGHT + 0.6 + 0.075 * max(len(short_name(text)) for text in texts))
    figure = Figure(figsize=(max(widths), sum(heights)), layout="constrained")
    figure.suptitle(title, parse_math=False)
    parts: Any = figure.subfigures(len(cells), squeeze=False, height_ratios=heights)[:, 0]
    return figure, list(parts)
