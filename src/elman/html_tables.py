"""Small HTML tables, which notebooks show for objects with a `_repr_html_`."""

import math
from collections.abc import Iterable, Mapping, Sequence, Sized
from html import escape
from itertools import islice
from numbers import Integral, Real
from typing import Any

import numpy as np

MOST_ROWS = 50  # a longer table ends with the number of rows left out
LONGEST_CELL = 120  # characters
MOST_CELLS = 20  # of a side of a heat table
DARKEST = 0.6  # opacity of the largest number of a heat table


def html_table(
    caption: str,
    rows: Mapping[Any, Any] | Iterable[Sequence[Any]],
    header: Sequence[Any] = (),
    total: int | None = None,
) -> str:
    """Return a table as HTML, with all text escaped.

    Args:
        caption: the line above the table.
        rows: cells of each row, the first of which names the row; or a mapping of names to values. Floats are printed
            with four significant digits, None as an empty cell.
        header: names of the columns.
        total: number of rows, if `rows` is an iterator; after 50 of them the table prints how many are left out.
    Example:
        >>> html_table("2 < 3", {"rows": 1200})
        '<table><caption>2 &lt; 3</caption><tr><th>rows</th><td>1,200</td></tr></table>'
    """
    if isinstance(rows, Mapping):
        rows = rows.items()
    total = len(rows) if total is None and isinstance(rows, Sized) else total
    shown = list(islice(rows, MOST_ROWS))
    lines = [f"<caption>{_cell(caption)}</caption>"]
    if header:
        lines.append(_row(*(f"<th>{_cell(name)}</th>" for name in header)))
    lines += [
        _row(f"<th>{_cell(name)}</th>", *(f"<td>{_cell(value)}</td>" for value in values)) for name, *values in shown
    ]
    if total is not None and total > len(shown):
        lines.append(_row(f"<th>... {total - len(shown):,} more rows</th>"))
    return f"<table>{''.join(lines)}</table>"


def heat_table(caption: str, matrix: Any, rows: Sequence[Any] = (), columns: Sequence[Any] = ()) -> str:
    """Return a matrix as HTML whose cells are shaded by their size: blue above zero, red below.

    Args:
        caption: the line above the table.
        matrix: NumPy array [R, C]. Rows and columns above 20 are left out.
        rows, columns: their names; numbers from 0 if there are none.
    Example:
        >>> heat_table("transition", np.eye(2)).count("rgba(70, 130, 180, 0.60)")
        2
    """
    shown = np.asarray(matrix, float)[:MOST_CELLS, :MOST_CELLS]
    if shown.shape != matrix.shape:
        caption += f", the first {len(shown)} x {shown.shape[1]} of {matrix.shape[0]:,} x {matrix.shape[1]:,}"
    largest = np.abs(shown).max(where=np.isfinite(shown), initial=0.0) or 1.0
    names = ["", *(columns or range(matrix.shape[1]))[:MOST_CELLS]]
    lines = [f"<caption>{_cell(caption)}</caption>", _row(*(f"<th>{_cell(name)}</th>" for name in names))]
    for name, values in zip(rows or range(len(shown)), shown.tolist(), strict=False):
        cells = (f'<td style="background: {_shade(value / largest)}">{_cell(value)}</td>' for value in values)
        lines.append(_row(f"<th>{_cell(name)}</th>", *cells))
    return f"<table>{''.join(lines)}</table>"


def parameter_tables(caption: str, arrays: Mapping[str, Any]) -> str:
    """Return a caption, and a heat table of each array of numbers [C] or [R, C]; other arrays are left out."""
    shown = {name: array for name, array in arrays.items() if array.ndim in (1, 2) and array.dtype.kind in "if"}
    tables = (heat_table(name, np.atleast_2d(array), [""] * (array.ndim == 1)) for name, array in shown.items())
    return html_table(caption, []) + "".join(tables)


def _shade(part: float) -> str:
    """Return the CSS colour of a number between -1 and 1."""
    if not math.isfinite(part):
        return "none"
    color = "70, 130, 180" if part >= 0 else "205, 92, 92"
    return f"rgba({color}, {DARKEST * abs(part):.2f})"


def _row(*cells: str) -> str:
    return f"<tr>{''.join(cells)}</tr>"


def _cell(value: Any) -> str:
    """Return a value as escaped text."""
    if value is None:
        text = ""
    elif isinstance(value, Integral) and not isinstance(value, bool):
        text = f"{value:,}"
    elif isinstance(value, Real) and not isinstance(value, bool):
        text = f"{value:.4g}"
    else:
        text = str(value)
    return escape(text if len(text) <= LONGEST_CELL else text[: LONGEST_CELL - 3] + "...")
