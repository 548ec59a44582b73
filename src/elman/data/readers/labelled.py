"""Rows with a label and the place each came from: what every reader gives."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np


class Labelled(NamedTuple):
    """What was read: B rows.

    A place is `reviews.tsv:12` (lines count from 1), `train.npz:case 3` (cases of arrays count from 0), the name of the
    file where it holds one row, or `row 3` of a data frame (from 0).
    """

    inputs: list[Any]  # str | words, or tuples of columns | array [T, ...] | uint8 [T, H, W(, 3)] | uint8 [H, W(, 3)]
    labels: list[Any] | None  # str, or of tagged words a list of them; None where there are none
    places: list[str]


class Row(NamedTuple):
    """What a reader finds, one at a time."""

    input: Any
    label: Any  # None: the row has none
    place: str


def gather(rows: Iterable[Row]) -> Labelled:
    """All rows, once they agree with each other.

    Raises:
        ValueError: some rows have labels and others none, or arrays whose steps have another shape than the first's.
    """
    inputs: list[Any] = []
    labels: list[Any] = []
    places: list[str] = []
    for value, label, place in rows:
        if inputs and (label is None) != (labels[0] is None):
            has, has_not = (places[0], place) if label is None else (place, places[0])
            raise ValueError(f"{has_not}: has no label, but {has} has one; read them apart.")
        if inputs and _step(value) != _step(inputs[0]):
            raise ValueError(
                f"{place}: expected {_kind(inputs[0])} as in {places[0]}, got {_kind(value)}; read them apart."
            )
        inputs.append(value)
        labels.append(label)
        places.append(place)
    return Labelled(inputs, None if None in labels[:1] else labels, places)


def some(where: object, rows: Iterable[Row]) -> Iterator[Row]:
    """The rows of a file, of which there is one at least.

    Raises:
        ValueError: there is none.
    """
    empty = True
    for row in rows:
        empty = False
        yield row
    if empty:
        raise ValueError(f"{where}: expected rows, found none.")


def _step(value: Any) -> Any:
    """What the rows of a data set have in common."""
    return value.shape[1:] if isinstance(value, np.ndarray) else type(value)


def _kind(value: Any) -> str:
    if not isinstance(value, np.ndarray):
        return "text" if isinstance(value, str) else "words"
    return f"an array [{', '.join(['T', *map(str, value.shape[1:])])}]"
