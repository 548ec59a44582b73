"""Attention of a decoder over the source, for each target word."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from elman.pictures.confusion import LETTER, LETTER_WIDTH, NAMED, short_name

CELL = 0.25  # inches
LARGEST = 24  # inches of a side of the picture


def alignment(source: Sequence[str], target: Sequence[str], weights: Any, title: str = "") -> Any:
    """Draw the attention weights as a heatmap, with a row per target word and a column per source word.

    A side with more than 120 words is labelled with numbers, from 0.

    Args:
        source: S words, or other units, of the source.
        target: T words of the target.
        weights: [T, S] attention weights, from 0 to 1.
    Returns:
        a matplotlib Figure; `figure.savefig("alignment.png")` writes it.
    Raises:
        ValueError: there is no word, the weights have another shape, or a weight is not between 0 and 1.
        ModuleNotFoundError: matplotlib is not installed.
    Example:
        >>> figure = alignment(["a", "dog"], ["ein", "Hund"], [[0.9, 0.1], [0.2, 0.8]])
        >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
        ['ein', 'Hund']
    """
    parts = np.asarray(weights)
    shape = len(target), len(source)
    if parts.shape != shape or not parts.size:
        wanted = f"weights of shape [T={shape[0]}, S={shape[1]}] for at least one target and one source word"
        raise ValueError(f"pictures.alignment: expected {wanted}, got {list(parts.shape)}.")
    if not (parts.min() >= 0 and parts.max() <= 1.001):
        got = f"{parts.min():.4g} to {parts.max():.4g}"
        raise ValueError(f"pictures.alignment: expected weights from 0 to 1, got {got}.")
    figure, axis = _canvas(*([short_name(word) for word in words] for words in (source, target)))
    picture = axis.imshow(parts, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axis.tick_params(which="both", length=0)
    axis.xaxis.tick_top()
    axis.set(title=title)
    figure.colorbar(picture, ax=axis, label="attention weight", shrink=min(1, 2 / figure.get_figheight()))
    return figure


def _canvas(source: Sequence[str], target: Sequence[str]) -> tuple[Any, Any]:
    """Return a figure with room for the source words above and the target words on the left, and its axis."""
    from elman.pictures.figure import Figure

    above, left = (LETTER_WIDTH * max(map(len, words)) for words in (source, target))
    width, height = CELL * len(source) + left + 1.4, CELL * len(target) + above + 0.6
    figure = Figure(figsize=(np.clip(width, 3, LARGEST), np.clip(height, 2.4, LARGEST)), layout="constrained")
    axis = figure.subplots()
    if len(source) <= NAMED:
        axis.set_xticks(range(len(source)), source, rotation=90, fontsize=LETTER, parse_math=False)
    if len(target) <= NAMED:
        axis.set_yticks(range(len(target)), target, fontsize=LETTER, parse_math=False)
    return figure, axis
