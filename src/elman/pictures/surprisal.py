"""Surprisal along the words of a text."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from elman.pictures.confusion import LETTER, NAMED, short_name

WORD_WIDTH = 0.45  # inches
LARGEST = 24  # inches of the width


def surprisal(words: Sequence[str], bits: Any, title: str = "") -> Any:
    """Draw the surprisal of each word of a text.

    With more than 120 words, the words are labelled with numbers, from 0.

    Args:
        words: T words.
        bits: surprisal of each word, [T], in bits; or several such arrays by name, e.g. of two models.
    Returns:
        a matplotlib Figure; `figure.savefig("surprisal.png")` writes it.
    Raises:
        ValueError: there is no word, or an array has another shape.
        ModuleNotFoundError: matplotlib is not installed.
    Example:
        >>> figure = surprisal(["the", "old", "man"], {"LSTM": [3.1, 9.2, 6.0], "n-gram": [2.9, 9.9, 8.1]})
        >>> [line.get_label() for line in figure.axes[0].get_lines()]
        ['LSTM', 'n-gram']
    """
    from elman.pictures.figure import Figure

    curves = {name: np.asarray(curve, np.float64) for name, curve in
              (bits.items() if isinstance(bits, Mapping) else [("", bits)])}  # fmt: skip
    for name, curve in curves.items():
        if curve.shape != (len(words),) or not len(words):
            of = f" of {name}" if name else ""
            raise ValueError(f"pictures.surprisal: expected bits{of} of shape [T={len(words)}] for at least one word, "
                             f"got {list(curve.shape)}.")  # fmt: skip
    figure = Figure(figsize=(min(2 + WORD_WIDTH * len(words), LARGEST), 3), layout="constrained")
    axis = figure.subplots()
    for name, curve in curves.items():
        axis.plot(curve, marker=".", label=name)
    if len(words) <= NAMED:
        axis.set_xticks(range(len(words)), [short_name(word) or "\\n" for word in words], rotation=90, fontsize=LETTER,
                        parse_math=False)  # fmt: skip
    axis.set_title(title, parse_math=False)
    axis.set(ylabel="surprisal, bits", ylim=(0, None))
    axis.grid(alpha=0.3)
    if any(curves):
        axis.legend()
    return figure
