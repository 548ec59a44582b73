"""Rows and labels as people hand them over."""

import hashlib
from typing import Any

import numpy as np

from elman import state as states
from elman.sequences import Sequences


def as_rows(where: str, X: Any) -> list[Any]:
    """Rows as a list.

    Raises:
        TypeError, ValueError: one text in place of several, or no rows that can be counted.
    """
    if isinstance(X, str | bytes):
        raise TypeError(f"{where}: expected a list of rows, got one text; put it in a list: [text].")
    if isinstance(X, Sequences):
        return X.to_list()
    if hasattr(X, "toarray"):
        raise TypeError(f"{where}: expected dense rows, got a sparse matrix; give X.toarray().")
    if hasattr(X, "to_numpy"):
        X = X.to_numpy()
    if isinstance(X, np.ndarray) and X.ndim == 0:
        raise ValueError(f"{where}: expected rows, got a single number.")
    return list(X)


def as_labels(where: str, y: Any, rows: int) -> np.ndarray:
    """[B] labels: strings, integers or booleans.

    Raises:
        ValueError: another number than rows; labels that are missing or no classes.
    """
    if y is None:
        raise ValueError(f"{where}: requires y to be passed, but the target y is None; give a label for each row.")
    labels = np.asarray(y)
    if labels.ndim != 1 or len(labels) != rows:
        got = list(labels.shape)
        raise ValueError(f"{where}: expected a label for each of {rows} rows, got labels of shape {got}.")
    if labels.dtype == object:
        kinds = sorted({type(label).__name__ for label in labels.tolist()})
        if kinds != ["str"]:
            raise ValueError(f"{where}: expected labels of one kind, got {', '.join(kinds)}; give strings or integers.")
        labels = labels.astype(str)
    if labels.dtype.kind == "f":
        whole = labels.astype(np.int64)
        if len(labels) and not np.array_equal(whole, labels):
            odd = labels[whole != labels][0]
            raise ValueError(f"{where}: expected classes, got the number {odd}. Unknown label type: continuous; give "
                             "strings or integers.")  # fmt: skip
        labels = whole
    if labels.dtype.kind not in "Uiub":
        raise ValueError(f"{where}: expected labels of strings or integers, got {labels.dtype}.")
    return labels


def digest(data: Sequences, targets: Any) -> str:
    """A digest of numbers and targets: the same for the same rows in the same order."""
    total = hashlib.sha256()
    for leaf in (*states.leaves(data.values), data.lengths, np.asarray(targets)):
        total.update(str((leaf.dtype, leaf.shape)).encode() + np.ascontiguousarray(leaf).tobytes())
    return total.hexdigest()
