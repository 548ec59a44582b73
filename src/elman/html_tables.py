"""Small HTML tables, which notebooks show for objects with a `_repr_html_`."""

from collections.abc import Iterable, Mapping, Sequence, Sized
from html import escape
from itertools import islice
from numbers import Integral, Real
from typing import Any

MOST_ROWS = 50  # a longer table ends with the number of rows left out
LONGEST_CELL = 120  # characters


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
