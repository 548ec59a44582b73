"""Confusion matrix."""

from collections.abc import Sequence
from typing import Any

import numpy as np

COUNTED = 25  # largest number of classes for which the cells have room for counts
NAMED = 120  # largest number of classes labelled with their names; more are labelled with numbers, from 0
LONGEST = 24  # characters of a name in the picture
LETTER = 8  # points
LETTER_WIDTH = 0.075  # inches, for most letters of that size


def confusion(report: Any, title: str = "") -> Any:
    """Draw a confusion matrix, with a row per true class, shaded by the fraction predicted as each class.

    The shades follow the square root, so that rare mistakes are visible. With up to 25 classes the cells show counts;
    with more than 120, classes are labelled with numbers. A class without rows is grey.

    Args:
        report: a `ClassReport`, or any object with `classes`, C names, and `confusion`, counts [C, C] by true and
            predicted class.
    Returns:
        a matplotlib Figure; `figure.savefig("confusion.png")` writes it.
    Raises:
        ValueError: there is no class, the shapes differ, or a count is negative.
        ModuleNotFoundError: matplotlib is not installed.
    Example:
        >>> from elman.metrics import class_report
        >>> figure = confusion(class_report(["cat", "dog", "dog"], ["cat", "dog", "cat"], ["cat", "dog"]))
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['1', '1', '1']
    """
    counts, names = np.asarray(report.confusion), _names(report)
    if not names or counts.shape != (len(names), len(names)) or counts.min() < 0:
        wanted = f"counts of shape [C={len(names)}, C={len(names)}] for at least one class, none negative"
        raise ValueError(f"pictures.confusion: expected {wanted}, got {list(counts.shape)}.")
    figure, axis, upright = _canvas(names, counts.max())
    support = counts.sum(1, keepdims=True)
    parts = np.divide(counts, support, out=np.full(counts.shape, np.nan), where=support > 0)
    _draw(figure, axis, parts)
    if len(names) <= COUNTED:
        for true, predicted in np.argwhere(counts):
            color = "white" if parts[true, predicted] > 0.3 else "black"
            count = str(counts[true, predicted])
            axis.text(predicted, true, count, ha="center", va="center", color=color, fontsize=LETTER)
    if len(names) <= NAMED:
        places = range(len(names))
        axis.set_xticks(places, names, rotation=90 if upright else 0, fontsize=LETTER, parse_math=False)
        axis.set_yticks(places, names, fontsize=LETTER, parse_math=False)
    axis.set(title=title, xlabel="predicted", ylabel="true")
    return figure


def short_name(text: Any) -> str:
    """Return text as one short line, without the middle of a long text."""
    name = " ".join(str(text).split())
    return f"{name[: LONGEST // 2]}…{name[1 - LONGEST // 2 :]}" if len(name) > LONGEST else name


def _names(report: Any) -> list[str]:
    """Return the names of the classes as short lines."""
    unseen = set(getattr(report, "unseen", ()))
    names = []
    for label in report.classes:
        name = short_name(label)
        names.append(f"{name} (unknown)" if label in unseen else name)
    return names


def _canvas(names: Sequence[str], most: int) -> tuple[Any, Any, bool]:
    """Return a figure with room for every name and count, its axis, and whether the names below are vertical."""
    from elman.pictures.figure import Figure

    if len(names) > NAMED:
        figure = Figure(figsize=(12, 11), layout="constrained")
        return figure, figure.subplots(), False
    digits = len(str(most)) if len(names) <= COUNTED else 0
    cell = max(3 / len(names), 0.2, LETTER_WIDTH * (digits + 2))
    longest = LETTER_WIDTH * max(map(len, names))
    upright = longest > 0.9 * cell
    side = cell * len(names)
    figure = Figure(figsize=(side + longest + 1.7, side + (longest if upright else 0) + 0.9), layout="constrained")
    return figure, figure.subplots(), upright


def _draw(figure: Any, axis: Any, parts: np.ndarray) -> None:
    """Draw the fractions [C, C] as shades, with grid lines and a colour bar."""
    from matplotlib import colormaps
    from matplotlib.colors import PowerNorm

    shades = colormaps["Blues"].with_extremes(bad="0.9")
    picture = axis.imshow(parts, cmap=shades, norm=PowerNorm(0.5, vmin=0, vmax=1))
    axis.tick_params(which="both", length=0)
    if len(parts) <= NAMED:
        between = np.arange(len(parts) - 1) + 0.5
        axis.set_xticks(between, minor=True)
        axis.set_yticks(between, minor=True)
        axis.grid(which="minor", color="0.85", linewidth=0.5)
    figure.colorbar(picture, ax=axis, label="fraction of the true class", shrink=min(1, 3 / figure.get_figheight()))
