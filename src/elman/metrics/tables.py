"""Tables of figures as plain text."""

import unicodedata
from collections.abc import Sequence
from typing import Any

from elman.metrics.scores import Scores


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Format rows of cells as a table, the first column left-aligned, the others right-aligned.

    Example:
        >>> print(columns([["class", "F1"], ["bees", "0.5"]]))
        class   F1
        bees   0.5
    """
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [first + " " * (widths[0] - _width(first))]
        cells += [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def score_rows(names: Sequence[str], scores: Scores) -> list[list[str]]:
    """Return a row of cells for each name."""
    return [
        [name, *(f"{part[number]:.4f}" for part in scores[:3]), f"{scores.support[number]:,}"]
        for number, name in enumerate(names)
    ]


def printable(label: Any) -> str:
    """Return a label as one line of printable text.

    Example:
        >>> printable("tab\\tbed"), printable("")
        ('tab\\\\tbed', "''")
    """
    text = str(label)
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text) or "''"


def _width(text: str) -> int:
    """Return the width of a text in a terminal: two for a wide letter, zero for a combining mark."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(unicodedata.combining(letter) > 0 for letter in text)
