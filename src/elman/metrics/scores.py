"""Precision, recall and F1 from counts."""

from typing import Any, NamedTuple

import numpy as np


class Scores(NamedTuple):
    """What is told of a class or a label; numbers, or arrays with one for each."""

    precision: Any  # of what was found, the part that is right
    recall: Any  # of what is true, the part that was found
    f1: Any  # their harmonic mean
    support: Any  # how many are true


def scores(right: Any, found: Any, true: Any) -> Scores:
    """Counts of the right ones, of those found and of those true, [...] -> scores [...]; a share of nothing is 0."""
    return Scores(ratio(right, found), ratio(right, true), ratio(2 * right, found + true), true)


def ratio(part: Any, whole: Any) -> Any:
    """part / whole, and 0 where the whole is 0."""
    shares = np.divide(part, whole, out=np.zeros(np.shape(whole)), where=np.asarray(whole) != 0)
    return shares if shares.ndim else float(shares)
