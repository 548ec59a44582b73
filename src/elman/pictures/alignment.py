"""Where a decoder looked in the source while it wrote each word."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from elman.pictures.confusion import LETTER, LETTER_WIDTH, NAMED, short_name

CELL = 0.25  # inches
LARGEST = 24  # inches of a side of the picture


def alignment(source: Sequence[str], target: Sequence[str], weights: Any, title: str = "") -> Any:
    """Draw a row for each word that was written, shaded by how much of the attention each word of the source had.

    With more than 120 words on a side, they have their numbers for a name, from 0 on.

    Args:
        source: S words, or other units, that were read.
        target: T words that were written.
        weights: [T, S] from 0 to 1.
    Returns:
        a matplotlib Figure; `figure.savefig("alignment.png")` writes it.
    Raises:
        ValueError: no word, weights of another shape, or one that is not between 0 and 1.
        ModuleNotFoundError: matplotlib is not installed.
    Example:
        >>> figure = alignment(["a", "dog"], ["ein", "Hund"], [[0.9, 0.1], [0.2, 0.8]])
        >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
        ['ein', 'Hund']
    """
    parts = np.asarray(weights)
    shape = len(target), len(source)
    if parts.shape != shape or not parts.size:
        wanted = f"weights of shape [T={shape[0]}, S={shape[1]}] for as many words, one at least"
        raise ValueError(f"pictures.alignment: expected {wanted}, got {list(parts.shape)}.")
    if not (parts.min() >= 0 and parts.max() <= 1.001):
        got = f"{parts.min():.4g} to {parts.max():.4g}"
        raise ValueError(f"pictures.alignment: expected weights from 0 to 1, got {got}.")
    figure, axis = _canvas(*([short_name(word) for word in words] for words in (source, target)))
    picture = axis.imshow(parts, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axis.tick_params(which="both", length=0)
    axis.xaxis.tick_top()
    axis.set(title=title)
    figure.colorbar(picture, ax=axis, label="attention", shrink=min(1, 2 / figure.get_figheight()))
    return figure


def _canvas(source: Sequence[str], target: Sequence[str]) -> tuple[Any, Any]:
    """A figure with room for every word of the source above it and of the target beside it, and its axis."""
    from matplotlib.figure import Figure

    above, beside = (LETTER_WIDTH * max(map(len, words)) for words in (source, target))
    width, height = CELL * len(source) + beside + 1.4, CELL * len(target) + above + 0.6
    figure = Figure(figsize=(np.clip(width, 3, LARGEST), np.clip(height, 2.4, LARGEST)), layout="constrained")
    axis = figure.subplots()
    if len(source) <= NAMED:
        axis.set_xticks(range(len(source)), source, rotation=90, fontsize=LETTER, parse_math=False)
    if len(target) <= NAMED:
        axis.set_yticks(range(len(target)), target, fontsize=LETTER, parse_math=False)
    return figure, axis
