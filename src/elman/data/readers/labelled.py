"""Labelled rows and their places: the result of every reader."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np


class Labelled(NamedTuple):
    """Inputs, labels and places of B rows.

    A place is `reviews.tsv:12` (lines count from 1), `train.npz:case 3` (cases of arrays count from 0), the name of a
    file that holds one row, or `row 3` of a data frame (from 0).
    """

    inputs: list[Any]  # str | words, or tuples of columns | array [T, ...] | uint8 [T, H, W(, 3)] | uint8 [H, W(, 3)]
    labels: list[Any] | None  # str, or a list of tags for tagged words; None for unlabelled data
    places: list[str]


class Row(NamedTuple):
    """One row of a reader."""

    input: Any
    label: Any  # None for an unlabelled row
    place: str


def gather(rows: Iterable[Row]) -> Labelled:
    """Collect rows, and check that they agree.

    Raises:
        ValueError: some rows have labels and others do not, or the steps of an array have another shape than those of
            the first.
    """
    inputs: list[Any] = []
    labels: list[Any] = []
    places: list[str] = []
    for value, label, place in rows:
        if inputs and (label is None) != (labels[0] is None):
            has, has_not = (places[0], place) if label is None else (place, places[0])
            raise ValueError(f"{has_not}: has no label, but {has} has one; read them separately.")
        if inputs and _step(value) != _step(inputs[0]):
            raise ValueError(
                f"{place}: expected {_kind(inputs[0])} as in {places[0]}, got {_kind(value)}; read them separately."
            )
        inputs.append(value)
        labels.append(label)
        places.append(place)
    return Labelled(inputs, None if None in labels[:1] else labels, places)


def at_least_one(where: object, rows: Iterable[Row]) -> Iterator[Row]:
    """Yield the rows of a file, and check that there is at least one.

    Raises:
        ValueError: there are no rows.
    """
    empty = True
    for row in rows:
        empty = False
        yield row
    if empty:
        raise ValueError(f"{where}: expected rows, found none.")


def _step(value: Any) -> Any:
    """Return the property that all rows of a data set share: the shape of a step, or the type."""
    return value.shape[1:] if isinstance(value, np.ndarray) else type(value)


def _kind(value: Any) -> str:
    if not isinstance(value, np.ndarray):
        return "text" if isinstance(value, str) else "words"
    return f"an array [{', '.join(['T', *map(str, value.shape[1:])])}]"
