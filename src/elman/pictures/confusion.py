"""Which classes are taken for which."""

from collections.abc import Sequence
from typing import Any

import numpy as np

COUNTED = 25  # classes; with more, a cell has no room for its count
NAMED = 120  # classes; with more, they have numbers, from 0 on
LONGEST = 24  # letters of a name that are shown
LETTER = 8  # points
LETTER_WIDTH = 0.075  # inches, as most letters of that size have it


def confusion(report: Any, title: str = "") -> Any:
    """Draw a row for each true class, shaded by the part of it that was taken for each class.

    The shades are those of the square root, so that rare mistakes are seen. With 25 classes or fewer, the counts are
    written into it; with more than 120, classes have their numbers for a name. A class that is never true is grey.

    Args:
        report: a `ClassReport`, or whatever has `classes`, C names, and `confusion`, counts [C, C] by true and by
            predicted class.
    Returns:
        a matplotlib Figure; `figure.savefig("confusion.png")` writes it.
    Raises:
        ValueError: no class, shapes that do not agree, or a negative count.
        ModuleNotFoundError: matplotlib is not installed.
    Example:
        >>> from elman.metrics import class_report
        >>> figure = confusion(class_report(["cat", "dog", "dog"], ["cat", "dog", "cat"], ["cat", "dog"]))
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['1', '1', '1']
    """
    counts, names = np.asarray(report.confusion), _names(report)
    if not names or counts.shape != (len(names), len(names)) or counts.min() < 0:
        wanted = f"counts of shape [C={len(names)}, C={len(names)}] for as many classes, none negative"
        raise ValueError(f"pictures.confusion: expected {wanted}, got {list(counts.shape)}.")
    figure, axis, upright = _canvas(names, counts.max())
    support = counts.sum(1, keepdims=True)
    parts = np.divide(counts, support, out=np.full(counts.shape, np.nan), where=support > 0)
    _draw(figure, axis, parts)
    if len(names) <= COUNTED:
        for true, predicted in np.argwhere(counts):
            color = "white" if parts[true, predicted] > 0.3 else "black"
            told = str(counts[true, predicted])
            axis.text(predicted, true, told, ha="center", va="center", color=color, fontsize=LETTER)
    if len(names) <= NAMED:
        places = range(len(names))
        axis.set_xticks(places, names, rotation=90 if upright else 0, fontsize=LETTER, parse_math=False)
        axis.set_yticks(places, names, fontsize=LETTER, parse_math=False)
    axis.set(title=title, xlabel="predicted", ylabel="true")
    return figure


def short_name(text: Any) -> str:
    """A text as a short line; of a long one, both ends."""
    name = " ".join(str(text).split())
    return f"{name[: LONGEST // 2]}…{name[1 - LONGEST // 2 :]}" if len(name) > LONGEST else name


def _names(report: Any) -> list[str]:
    """The classes as short lines."""
    unseen = set(getattr(report, "unseen", ()))
    names = []
    for label in report.classes:
        name = short_name(label)
        names.append(f"{name} (unknown)" if label in unseen else name)
    return names


def _canvas(names: Sequence[str], most: int) -> tuple[Any, Any, bool]:
    """A figure with room for every name and count, its axis, and whether the names below it stand upright."""
    from matplotlib.figure import Figure

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
    """The parts [C, C] as shades, lines between them, and what a shade means."""
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
    figure.colorbar(picture, ax=axis, label="part of the true class", shrink=min(1, 3 / figure.get_figheight()))
